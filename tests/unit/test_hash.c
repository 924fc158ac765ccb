/* The hash functions: FIPS 180's and RFC 1321's examples, in pieces and at once. */
#include "hex.h"

#include <string.h>

#include "crypto/hash.h"

static const struct {
    enum gh_hash_alg alg;
    const char *text, *digest;
} answers[] = {
    {GH_HASH_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
    {GH_HASH_MD5, "", "d41d8cd98f00b204e9800998ecf8427e"},
    {GH_HASH_SHA_1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {GH_HASH_SHA_1, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {GH_HASH_SHA2_256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {GH_HASH_SHA2_256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {GH_HASH_SHA2_384, "abc",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
     "8086072ba1e7cc2358baeca134c825a7"},
    {GH_HASH_SHA2_512, "abc",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void known_answers(void **state)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const size_t len = strlen(answers[i].text);
        const struct octets want = hex(answers[i].digest);
        uint8_t digest[GH_HASH_MAX + 1];

        assert_int_equal(gh_hash_len(answers[i].alg), want.len);
        for (size_t cut = 0; cut <= len; cut++) {
            const struct gh_view parts[] = {gh_view_of(answers[i].text, cut),
                                            {NULL, 0},
                                            gh_view_of(answers[i].text + cut, len - cut)};

            memset(digest, 0xa5, sizeof(digest));
            assert_true(gh_hash(answers[i].alg, parts, 3, digest));
            assert_memory_equal(digest, want.p, want.len);
            assert_int_equal(digest[want.len], 0xa5);
        }
    }
}

/* What was hashed so far may go on in two ways. */
static void a_copy_goes_on_by_itself(void **state)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const enum gh_hash_alg alg = answers[i].alg;
        const struct octets want = hex(answers[i].digest);
        union gh_hash_state s, copy;
        uint8_t digest[GH_HASH_MAX];

        assert_true(gh_hash_init(alg, &s));
        gh_hash_copy(alg, &copy, &s);
        assert_true(gh_hash_update(alg, &s, "another", 7));
        assert_true(gh_hash_update(alg, &copy, answers[i].text, strlen(answers[i].text)));
        assert_true(gh_hash_final(alg, &copy, digest));
        assert_memory_equal(digest, want.p, want.len);
        assert_true(gh_hash_final(alg, &s, digest));
        assert_memory_not_equal(digest, want.p, want.len);
    }
}

static void unknown_ones_are_refused(void **state)
{
    const struct gh_view part = gh_view_of("abc", 3);
    union gh_hash_state s;
    uint8_t digest[GH_HASH_MAX] = {0xa5};

    assert_int_equal(gh_hash_len(GH_HASH_NONE), 0);
    assert_int_equal(gh_hash_block(GH_HASH_NONE), 0);
    assert_false(gh_hash(GH_HASH_NONE, &part, 1, digest));
    assert_false(gh_hash((enum gh_hash_alg)5, &part, 1, digest));
    assert_int_equal(digest[0], 0xa5);
    assert_false(gh_hash_init(GH_HASH_NONE, &s));
    assert_false(gh_hash_update(GH_HASH_NONE, &s, "", 0));
    assert_false(gh_hash_final(GH_HASH_NONE, &s, digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(a_copy_goes_on_by_itself),
        cmocka_unit_test(unknown_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

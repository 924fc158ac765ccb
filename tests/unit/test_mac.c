/* Known answers of the MACs, and that pieces, reuse and refusal behave. */
#include "unit.h"

#include <string.h>

#include "crypto/mac.h"

struct known {
    const char *source;
    enum gh_mac_alg alg;
    const char *key;
    size_t key_len;
    const char *message;
    size_t len;
    const char *tag;
};

#define AES_KEY "\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c"
#define AES_TEXT                                                                                   \
    "\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a"                             \
    "\xae\x2d\x8a\x57\x1e\x03\xac\x9c\x9e\xb7\x6f\xac\x45\xaf\x8e\x51"                             \
    "\x30\xc8\x1c\x46\xa3\x5c\xe4\x11"
#define TEN_AA    "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define EIGHTY_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA
#define LONG_TEXT "Test Using Larger Than Block-Size Key - Hash Key First"

static const struct known answers[] = {
    {"RFC 2202 3.2", GH_MAC_HMAC_SHA_1, "Jefe", 4, "what do ya want for nothing?", 28,
     "\xef\xfc\xdf\x6a\xe5\xeb\x2f\xa2\xd2\x74\x16\xd5\xf1\x84\xdf\x9c\x25\x9a\x7c\x79"},
    {"RFC 2202 3.6", GH_MAC_HMAC_SHA_1, EIGHTY_AA, 80, LONG_TEXT, 54,
     "\xaa\x4a\xe5\xe1\x52\x72\xd0\x0e\x95\x70\x56\x37\xce\x8a\x3b\x55\xed\x40\x21\x12"},
    {"RFC 4231 4.3", GH_MAC_HMAC_SHA_256, "Jefe", 4, "what do ya want for nothing?", 28,
     "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7"
     "\x5a\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58\xb9\x64\xec\x38\x43"},
    {"RFC 4231 4.7", GH_MAC_HMAC_SHA_256, EIGHTY_AA TEN_AA TEN_AA TEN_AA TEN_AA TEN_AA "\xaa", 131,
     LONG_TEXT, 54,
     "\x60\xe4\x31\x59\x1e\xe0\xb6\x7f\x0d\x8a\x26\xaa\xcb\xf5\xb7\x7f"
     "\x8e\x0b\xc6\x21\x37\x28\xc5\x14\x05\x46\x04\x0f\x0e\xe3\x7f\x54"},
    {"RFC 4493 4 example 1", GH_MAC_AES_128_CMAC, AES_KEY, 16, "", 0,
     "\xbb\x1d\x69\x29\xe9\x59\x37\x28\x7f\xa3\x7d\x12\x9b\x75\x67\x46"},
    {"RFC 4493 4 example 2", GH_MAC_AES_128_CMAC, AES_KEY, 16, AES_TEXT, 16,
     "\x07\x0a\x16\xb4\x6b\x4d\x41\x44\xf7\x9b\xdd\x9d\xd0\x4a\x28\x7c"},
    {"RFC 4493 4 example 3", GH_MAC_AES_128_CMAC, AES_KEY, 16, AES_TEXT, 40,
     "\xdf\xa6\x67\x47\xde\x9a\xe6\x30\x30\xca\x32\x61\x14\x97\xc8\x27"},
};

#define EACH(k)                                                                                    \
    for (const struct known *k = answers; k < answers + sizeof(answers) / sizeof(answers[0]); k++)

static void known_answers(void **state)
{
    EACH(k)
    {
        struct gh_mac_key key = {0};
        struct gh_mac m;
        uint8_t tag[GH_MAC_TAG_MAX];

        assert_true(gh_mac_key_set(&key, k->alg, (const uint8_t *)k->key, k->key_len));
        gh_mac_init(&m, &key);
        gh_mac_update(&m, k->message, k->len);
        assert_true(gh_mac_final(&m, tag));
        assert_memory_equal(tag, k->tag, gh_mac_tag_len(k->alg));
        gh_mac_key_clear(&key);
    }
}

/* Wherever the message is cut, and however often the key was used before. */
static void pieces_give_the_same(void **state)
{
    EACH(k)
    {
        struct gh_mac_key key = {0};
        struct gh_mac m;
        uint8_t tag[GH_MAC_TAG_MAX];

        assert_true(gh_mac_key_set(&key, k->alg, (const uint8_t *)k->key, k->key_len));
        for (size_t cut = 0; cut <= k->len; cut++) {
            gh_mac_init(&m, &key);
            gh_mac_update(&m, k->message, cut);
            gh_mac_update(&m, NULL, 0);
            gh_mac_update(&m, k->message + cut, k->len - cut);
            assert_true(gh_mac_final(&m, tag));
            assert_memory_equal(tag, k->tag, gh_mac_tag_len(k->alg));
        }
        gh_mac_key_clear(&key);
    }
}

static void keys_of_wrong_length_are_refused(void **state)
{
    static const uint8_t octets[17];
    struct gh_mac_key key = {0};
    struct gh_mac m;
    uint8_t tag[GH_MAC_TAG_MAX];

    assert_false(gh_mac_key_set(&key, GH_MAC_AES_128_CMAC, octets, 15));
    assert_false(gh_mac_key_set(&key, GH_MAC_AES_128_CMAC, octets, 17));
    assert_false(gh_mac_key_set(&key, GH_MAC_NONE, octets, 16));
    assert_int_equal(gh_mac_tag_len(GH_MAC_NONE), 0);

    /* The refused key is empty: nothing that looks like a MAC comes out of it. */
    memset(tag, 0xff, sizeof(tag));
    gh_mac_init(&m, &key);
    gh_mac_update(&m, "x", 1);
    assert_false(gh_mac_final(&m, tag));
    for (size_t i = 0; i < sizeof(tag); i++)
        assert_int_equal(tag[i], 0xff);
}

static void clearing_leaves_nothing(void **state)
{
    struct gh_mac_key key = {0};
    const uint8_t *octets = (const uint8_t *)&key;

    assert_true(gh_mac_key_set(&key, GH_MAC_HMAC_SHA_1, (const uint8_t *)"key", 3));
    gh_mac_key_clear(&key);
    for (size_t i = 0; i < sizeof(key); i++)
        assert_int_equal(octets[i], 0);
    gh_mac_key_clear(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(pieces_give_the_same),
        cmocka_unit_test(keys_of_wrong_length_are_refused),
        cmocka_unit_test(clearing_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

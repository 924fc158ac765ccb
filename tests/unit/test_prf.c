/* The PRFs of IKE: published answers, NIST's key derivations, and what is refused. */
#include "hex.h"

#include <string.h>

#include "crypto/prf.h"
#include "nist_ike_kdf.h"

static const struct {
    const char *source;
    enum gh_prf_alg alg;
    const char *key, *message, *out;
} answers[] = {
    {"RFC 4231 4.2", GH_PRF_HMAC_SHA2_256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"RFC 4231 4.2", GH_PRF_HMAC_SHA2_384, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265",
     "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af1"
     "52e8b2fa9cb6"},
    {"RFC 4231 4.2", GH_PRF_HMAC_SHA2_512, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265",
     "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b"
     "274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
    {"RFC 4231 4.3", GH_PRF_HMAC_SHA2_256, "4a656665",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"RFC 4231 4.3", GH_PRF_HMAC_SHA2_384, "4a656665",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b32"
     "39ecfab21649"},
    {"RFC 4231 4.3", GH_PRF_HMAC_SHA2_512, "4a656665",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d03"
     "4f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
    {"RFC 4231 4.4", GH_PRF_HMAC_SHA2_256, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddddddddddd",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"RFC 4231 4.4", GH_PRF_HMAC_SHA2_384, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddddddddddd",
     "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3a"
     "b6e101a34f27"},
    {"RFC 4231 4.4", GH_PRF_HMAC_SHA2_512, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddddddddddd",
     "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b4"
     "85a47e67c807b946a337bee8942674278859e13292fb"},
    {"RFC 4231 4.5", GH_PRF_HMAC_SHA2_256, "0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
     "cdcdcdcdcdcdcdcd",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"RFC 4231 4.5", GH_PRF_HMAC_SHA2_384, "0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
     "cdcdcdcdcdcdcdcd",
     "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8"
     "a386c674cffb"},
    {"RFC 4231 4.5", GH_PRF_HMAC_SHA2_512, "0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
     "cdcdcdcdcdcdcdcd",
     "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679"
     "275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
    {"RFC 4231 4.7", GH_PRF_HMAC_SHA2_256,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d204861"
     "7368204b6579204669727374",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"RFC 4231 4.7", GH_PRF_HMAC_SHA2_384,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d204861"
     "7368204b6579204669727374",
     "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe829624"
     "8df163f44952"},
    {"RFC 4231 4.7", GH_PRF_HMAC_SHA2_512,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d204861"
     "7368204b6579204669727374",
     "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0f"
     "d2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
    {"RFC 4231 4.8", GH_PRF_HMAC_SHA2_256,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaa",
     "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73"
     "697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e"
     "20546865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e672075"
     "7365642062792074686520484d414320616c676f726974686d2e",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {"RFC 4231 4.8", GH_PRF_HMAC_SHA2_384,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaa",
     "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73"
     "697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e"
     "20546865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e672075"
     "7365642062792074686520484d414320616c676f726974686d2e",
     "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860"
     "e6110c46523e"},
    {"RFC 4231 4.8", GH_PRF_HMAC_SHA2_512,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaa",
     "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73"
     "697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e"
     "20546865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e672075"
     "7365642062792074686520484d414320616c676f726974686d2e",
     "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5e"
     "eb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
    {"RFC 2202 2.1", GH_PRF_HMAC_MD5, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "9294727a3638bb1c13f48ef8158bfc9d"},
    {"RFC 2202 3.1", GH_PRF_HMAC_SHA1, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265", "b617318655057264e28bc0b6fb378c8ef146be00"},
    {"RFC 2202 2.2", GH_PRF_HMAC_MD5, "4a656665",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "750c783e6ab0b503eaa86e310a5db738"},
    {"RFC 2202 3.2", GH_PRF_HMAC_SHA1, "4a656665",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {"RFC 2202 2.3", GH_PRF_HMAC_MD5, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddddddddddd",
     "56be34521d144c88dbb8c733f0e8b3f6"},
    {"RFC 2202 3.3", GH_PRF_HMAC_SHA1, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddddddddddd",
     "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
    {"RFC 2202 2.6", GH_PRF_HMAC_MD5,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d204861"
     "7368204b6579204669727374",
     "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"},
    {"RFC 2202 3.6", GH_PRF_HMAC_SHA1,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d204861"
     "7368204b6579204669727374",
     "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {"RFC 4434 2.1", GH_PRF_AES128_XCBC, "000102030405060708090a0b0c0d0e0f",
     "000102030405060708090a0b0c0d0e0f10111213", "47f51b4564966215b8985c63055ed308"},
    {"RFC 4434 2.1", GH_PRF_AES128_XCBC, "00010203040506070809",
     "000102030405060708090a0b0c0d0e0f10111213", "0fa087af7d866e7653434e602fdde835"},
    {"RFC 4434 2.1", GH_PRF_AES128_XCBC, "000102030405060708090a0b0c0d0e0fedcb",
     "000102030405060708090a0b0c0d0e0f10111213", "8cd3c93ae598a9803006ffb67c40e9e4"},
    {"RFC 4615 4", GH_PRF_AES128_CMAC, "000102030405060708090a0b0c0d0e0fedcb",
     "000102030405060708090a0b0c0d0e0f10111213", "84a348a4a45d235babfffc0d2b4da09a"},
    {"RFC 4615 4", GH_PRF_AES128_CMAC, "000102030405060708090a0b0c0d0e0f",
     "000102030405060708090a0b0c0d0e0f10111213", "980ae87b5f4c9c5214f5b6a8455e4c2d"},
    {"RFC 4615 4", GH_PRF_AES128_CMAC, "00010203040506070809",
     "000102030405060708090a0b0c0d0e0f10111213", "290d9e112edb09ee141fcf64c0b72f3d"},
};

static const enum gh_prf_alg all[] = {
    GH_PRF_HMAC_MD5,      GH_PRF_HMAC_SHA1,     GH_PRF_AES128_XCBC, GH_PRF_HMAC_SHA2_256,
    GH_PRF_HMAC_SHA2_384, GH_PRF_HMAC_SHA2_512, GH_PRF_AES128_CMAC,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void known_answers(void **state)
{
    for (size_t i = 0; i < COUNT(answers); i++) {
        const struct octets key = hex(answers[i].key), message = hex(answers[i].message),
                            want = hex(answers[i].out);
        uint8_t out[GH_PRF_MAX];

        assert_int_equal(gh_prf_len(answers[i].alg), want.len);
        /* Wherever the message is cut in two. */
        for (size_t cut = 0; cut <= message.len; cut++) {
            const struct gh_view parts[] = {
                {message.p, cut}, {NULL, 0}, {message.p + cut, message.len - cut}};

            memset(out, 0, sizeof(out));
            assert_true(gh_prf(answers[i].alg, view_of(&key), parts, 3, out));
            assert_memory_equal(out, want.p, want.len);
        }
    }
}

static void nist_skeyseeds(void **state)
{
    for (size_t i = 0; i < COUNT(nist_skeyseed); i++) {
        const struct octets nonces = hex(nist_skeyseed[i].nonces), gir = hex(nist_skeyseed[i].gir),
                            want = hex(nist_skeyseed[i].skeyseed);
        const struct gh_view part = view_of(&gir);
        uint8_t out[GH_PRF_MAX];

        assert_true(gh_prf(nist_skeyseed[i].alg, view_of(&nonces), &part, 1, out));
        assert_int_equal(gh_prf_len(nist_skeyseed[i].alg), want.len);
        assert_memory_equal(out, want.p, want.len);
    }
}

static void nist_key_streams(void **state)
{
    for (size_t i = 0; i < COUNT(nist_prf_plus); i++) {
        const struct octets key = hex(nist_prf_plus[i].key), seed = hex(nist_prf_plus[i].seed),
                            want = hex(nist_prf_plus[i].out);
        const struct gh_view part = view_of(&seed);
        uint8_t out[512];

        /* However long: the beginning of the same stream, and no octet more. */
        for (size_t len = 0; len <= want.len; len++) {
            memset(out, 0xa5, sizeof(out));
            assert_true(gh_prf_plus(nist_prf_plus[i].alg, view_of(&key), &part, 1, out, len));
            assert_memory_equal(out, want.p, len);
            assert_int_equal(out[len], 0xa5);
        }
    }
}

static void assert_stream(struct gh_view key, const struct gh_view *parts, size_t n,
                          const char *want_text)
{
    const struct octets want = hex(want_text);
    uint8_t out[512];

    assert_true(gh_prf_plus(GH_PRF_HMAC_SHA1, key, parts, n, out, want.len));
    assert_memory_equal(out, want.p, want.len);
}

static void nist_whole_sa(void **state)
{
    const struct octets ni = hex(nist_sa.ni), nr = hex(nist_sa.nr), spi_i = hex(nist_sa.spi_i),
                        spi_r = hex(nist_sa.spi_r), gir = hex(nist_sa.gir),
                        gir_new = hex(nist_sa.gir_new), skeyseed = hex(nist_sa.skeyseed),
                        rekeyed = hex(nist_sa.skeyseed_rekey), dkm = hex(nist_sa.dkm);
    const struct gh_view sa[] = {view_of(&ni), view_of(&nr), view_of(&spi_i), view_of(&spi_r)};
    const struct gh_view child[] = {view_of(&gir_new), view_of(&ni), view_of(&nr)};
    const struct gh_view part = view_of(&gir), sk_d = {dkm.p, 20};
    uint8_t nonces[64], out[GH_PRF_MAX];

    memcpy(nonces, ni.p, ni.len);
    memcpy(nonces + ni.len, nr.p, nr.len);
    assert_true(gh_prf(GH_PRF_HMAC_SHA1, gh_view_of(nonces, ni.len + nr.len), &part, 1, out));
    assert_memory_equal(out, skeyseed.p, 20);
    assert_stream(view_of(&skeyseed), sa, 4, nist_sa.dkm);
    assert_stream(sk_d, sa, 2, nist_sa.dkm_child);
    assert_stream(sk_d, child, 3, nist_sa.dkm_child_dh);
    assert_true(gh_prf(GH_PRF_HMAC_SHA1, sk_d, child, 3, out));
    assert_memory_equal(out, rekeyed.p, 20);
}

/* The output may take the place of the key or of a part, as in a chain of keys. */
static void output_over_input(void **state)
{
    for (size_t i = 0; i < COUNT(all); i++) {
        uint8_t buffer[GH_PRF_MAX] = {1, 2, 3}, want[GH_PRF_MAX];
        const struct gh_view v = {buffer, 16};

        assert_true(gh_prf(all[i], v, &v, 1, want));
        assert_true(gh_prf(all[i], v, &v, 1, buffer));
        assert_memory_equal(buffer, want, gh_prf_len(all[i]));
    }
}

/* Two hundred fifty-five rounds and no more: the counter is one octet. */
static void the_longest_stream(void **state)
{
    static uint8_t out[GH_PRF_ROUNDS * GH_PRF_MAX + 1];
    const struct gh_view key = gh_view_of("key", 3), seed = gh_view_of("seed", 4);

    for (size_t i = 0; i < COUNT(all); i++) {
        const size_t size = gh_prf_len(all[i]), longest = GH_PRF_ROUNDS * size;
        uint8_t last[GH_PRF_MAX], before[GH_PRF_MAX];
        const struct gh_view parts[] = {{before, size}, seed, gh_view_of("\xff", 1)};

        assert_true(gh_prf_plus(all[i], key, &seed, 1, out, longest));
        memcpy(before, out + longest - 2 * size, size);
        assert_true(gh_prf(all[i], key, parts, 3, last));
        assert_memory_equal(out + longest - size, last, size);

        memset(out, 0xa5, sizeof(out));
        assert_false(gh_prf_plus(all[i], key, &seed, 1, out, longest + 1));
        for (size_t n = 0; n < longest + 1; n++)
            assert_int_equal(out[n], 0);
    }
}

static void key_lengths(void **state)
{
    assert_int_equal(gh_prf_fixed_key(GH_PRF_AES128_XCBC), 16);
    assert_int_equal(gh_prf_fixed_key(GH_PRF_AES128_CMAC), 16);
    assert_int_equal(gh_prf_fixed_key(GH_PRF_HMAC_SHA2_256), 0);
    /* No key at all is a key like others, for all of them. */
    for (size_t i = 0; i < COUNT(all); i++) {
        uint8_t out[GH_PRF_MAX];

        assert_true(gh_prf(all[i], (struct gh_view){0}, NULL, 0, out));
    }
}

static void unknown_ones_are_refused(void **state)
{
    for (unsigned id = 0; id < 300; id++) {
        uint8_t out[GH_PRF_MAX];
        bool known = false;

        for (size_t i = 0; i < COUNT(all); i++)
            known = known || all[i] == id;
        memset(out, 0xa5, sizeof(out));
        assert_int_equal(gh_prf_len((enum gh_prf_alg)id) > 0, known);
        assert_int_equal(gh_prf((enum gh_prf_alg)id, gh_view_of("key", 3), NULL, 0, out), known);
        if (!known) {
            assert_int_equal(out[0], 0xa5);
            assert_false(gh_prf_plus((enum gh_prf_alg)id, gh_view_of("key", 3), NULL, 0, out, 8));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),     cmocka_unit_test(nist_skeyseeds),
        cmocka_unit_test(nist_key_streams),  cmocka_unit_test(nist_whole_sa),
        cmocka_unit_test(output_over_input), cmocka_unit_test(the_longest_stream),
        cmocka_unit_test(key_lengths),       cmocka_unit_test(unknown_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

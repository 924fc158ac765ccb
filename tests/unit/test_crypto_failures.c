/*
 * When memory fails under IKE's cryptography: no success, or the right octets; and what runs for
 * each packet allocates nothing at all. Allocations of ours (by the linker's --wrap) and of
 * libcrypto (by its own hook) fail one after the other.
 */
#include "failing_memory.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/cipher.h"
#include "crypto/ke.h"
#include "crypto/prf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct pair {
    enum gh_enc_alg enc;
    unsigned bits;
    enum gh_integ_alg integ;
} pairs[] = {
    {GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96},
    {GH_ENC_AES_CBC, 256, GH_INTEG_AES_XCBC_96},
    {GH_ENC_AES_CTR, 128, GH_INTEG_AES_CMAC_96},
    {GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE},
    {GH_ENC_AES_CCM_8, 256, GH_INTEG_NONE},
    {GH_ENC_CHACHA20_POLY1305, 0, GH_INTEG_NONE},
    {GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE},
    {GH_ENC_CAMELLIA_CBC, 128, GH_INTEG_HMAC_SHA2_512_256},
    {GH_ENC_3DES, 0, GH_INTEG_HMAC_SHA2_384_192},
    {GH_ENC_NULL, 0, GH_INTEG_HMAC_MD5_96},
};

static uint8_t octets[256];

static struct gh_cipher *cipher_of(const struct pair *p)
{
    return gh_cipher_new(p->enc, p->bits, p->integ,
                         gh_view_of(octets, gh_enc_key_len(p->enc, p->bits)),
                         gh_view_of(octets + 64, gh_integ_key_len(p->integ)));
}

static void ciphers_without_memory(void **state)
{
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct gh_cipher *c = cipher_of(&pairs[i]); /* what is looked up once, is looked up now */
        unsigned failed = 0;

        assert_non_null(c);
        gh_cipher_free(c);
        c = NULL;
        for (int n = 0; c == NULL; n++) {
            countdown = n;
            c = cipher_of(&pairs[i]);
            if (c == NULL)
                failed++;
            else
                assert_true(countdown >= 0); /* nothing that failed was passed over */
            countdown = -1;
        }
        assert_true(failed > 0);
        gh_cipher_free(c);
    }
}

/* Sealing and opening: no allocation, so none can fail. */
static void packets_take_no_memory(void **state)
{
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct gh_cipher *c = cipher_of(&pairs[i]);
        const struct gh_view aad = {octets, 32};
        uint8_t data[96], icv[GH_CIPHER_ICV_MAX];

        assert_non_null(c);
        for (int n = 0; n < 5; n++) {
            bool sealed, opened, forged;

            memcpy(data, octets, sizeof(data));
            allocations = 0;
            sealed = gh_cipher_seal(c, aad, octets + n, data, sizeof(data), icv);
            opened = gh_cipher_open(c, aad, octets + n, data, sizeof(data), icv);
            assert_int_equal(allocations, 0);
            assert_true(sealed);
            assert_true(opened);
            assert_memory_equal(data, octets, sizeof(data));
            icv[0] ^= 1;
            forged = gh_cipher_open(c, aad, octets + n, data, sizeof(data), icv);
            assert_false(forged); /* which libcrypto may note in its error queue */
        }
        gh_cipher_free(c);
    }
}

static void hmac_takes_no_memory(void **state)
{
    static const enum gh_prf_alg hmacs[] = {GH_PRF_HMAC_MD5, GH_PRF_HMAC_SHA1, GH_PRF_HMAC_SHA2_256,
                                            GH_PRF_HMAC_SHA2_384, GH_PRF_HMAC_SHA2_512};

    for (size_t i = 0; i < COUNT(hmacs); i++) {
        const struct gh_view key = {octets, 32}, part = {octets, 200};
        uint8_t out[256];

        allocations = 0;
        assert_true(gh_prf(hmacs[i], key, &part, 1, out));
        assert_true(gh_prf_plus(hmacs[i], key, &part, 1, out, sizeof(out)));
        assert_int_equal(allocations, 0);
    }
}

static void prfs_without_memory(void **state)
{
    static const enum gh_prf_alg algs[] = {GH_PRF_AES128_XCBC, GH_PRF_AES128_CMAC};

    for (size_t i = 0; i < COUNT(algs); i++) {
        const struct gh_view key = {octets, 32}, part = {octets, 200};
        uint8_t want[64], out[64];
        unsigned failed = 0;
        bool ok = false;

        assert_true(gh_prf_plus(algs[i], key, &part, 1, want, sizeof(want)));
        for (int n = 0; !ok; n++) {
            countdown = n;
            ok = gh_prf_plus(algs[i], key, &part, 1, out, sizeof(out));
            countdown = -1;
            failed += !ok;
        }
        assert_memory_equal(out, want, sizeof(out));
        assert_true(failed > 0);
    }
}

static void exchanges_without_memory(void **state)
{
    static const unsigned groups[] = {GH_KE_MODP_768, GH_KE_ECP_256, GH_KE_BRAINPOOL_256,
                                      GH_KE_X25519, GH_KE_X448};

    for (size_t i = 0; i < COUNT(groups); i++) {
        const unsigned group = groups[i];
        const struct gh_view seed = {octets, gh_ke_seed_len(group)},
                             other = {octets + 1, gh_ke_seed_len(group)};
        struct gh_ke *ke = gh_ke_new(group, seed);
        struct gh_secret want = {0};
        uint8_t answer[GH_KE_PUBLIC_MAX];
        unsigned failed[3] = {0};
        bool enough = false;

        assert_non_null(ke);
        assert_true(gh_ke_answer(group, other, gh_ke_public(ke), answer, &want));
        for (int n = 0; !enough; n++) {
            struct gh_ke *again;

            countdown = n;
            again = gh_ke_new(group, seed);
            enough = countdown >= 0;
            countdown = -1;
            failed[0] += again == NULL;
            if (again != NULL)
                assert_true(gh_view_equal(gh_ke_public(again), gh_ke_public(ke)));
            assert_true(again != NULL || !enough);
            gh_ke_free(again);
        }
        enough = false;
        for (int n = 0; !enough; n++) {
            const struct gh_view theirs = {answer, gh_ke_public_len(group, true)};
            struct gh_secret secret = {0};
            bool ok;

            countdown = n;
            ok = gh_ke_shared(ke, theirs, &secret);
            enough = countdown >= 0;
            countdown = -1;
            failed[1] += !ok;
            assert_true(ok || !enough);
            assert_true(ok ? gh_secret_equal(&secret, &want) : secret.data == NULL);
            gh_secret_clear(&secret);
        }
        enough = false;
        for (int n = 0; !enough; n++) {
            struct gh_secret secret = {0};
            uint8_t out[GH_KE_PUBLIC_MAX] = {0};
            bool ok;

            countdown = n;
            ok = gh_ke_answer(group, other, gh_ke_public(ke), out, &secret);
            enough = countdown >= 0;
            countdown = -1;
            failed[2] += !ok;
            assert_true(ok || !enough);
            assert_true(ok ? gh_secret_equal(&secret, &want) : secret.data == NULL);
            if (ok)
                assert_memory_equal(out, answer, gh_ke_public_len(group, true));
            gh_secret_clear(&secret);
        }
        for (size_t step = 0; step < COUNT(failed); step++)
            assert_true(failed[step] > 0);
        gh_secret_clear(&want);
        gh_ke_free(ke);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ciphers_without_memory),   cmocka_unit_test(packets_take_no_memory),
        cmocka_unit_test(hmac_takes_no_memory),     cmocka_unit_test(prfs_without_memory),
        cmocka_unit_test(exchanges_without_memory),
    };

    if (!fail_libcrypto_too())
        return 1;
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)(i * 7 + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

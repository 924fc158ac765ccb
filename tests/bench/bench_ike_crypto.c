/*
 * What IKE's cryptography costs on one core: key exchanges, a PRF, and messages sealed and opened.
 *
 *     bench_ike_crypto [SECONDS]        for each line; 0.2 if not said
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/cipher.h"
#include "crypto/ke.h"
#include "crypto/prf.h"

enum { MESSAGE = 208 }; /* a multiple of every block */

static double seconds = 0.2;
static volatile bool failed;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds that one run takes. */
static double time_of(bool (*run)(void *), void *arg)
{
    double start, end;
    unsigned long n = 0, batch = 1;

    failed = failed || !run(arg);
    start = now();
    do {
        for (unsigned long i = 0; i < batch; i++)
            failed = failed || !run(arg);
        n += batch;
        end = now();
        batch = end - start < seconds / 100 ? batch * 2 : batch;
    } while (end - start < seconds);
    return (end - start) / (double)n;
}

static uint8_t octets[GH_KE_SEED_MAX * 2];

static bool initiator(void *arg)
{
    const unsigned group = *(unsigned *)arg;
    struct gh_ke *ke = gh_ke_new(group, gh_view_of(octets, gh_ke_seed_len(group)));

    gh_ke_free(ke);
    return ke != NULL;
}

struct answer {
    unsigned group;
    struct gh_ke *ke;
};

static bool responder(void *arg)
{
    struct answer *a = arg;
    uint8_t public_value[GH_KE_PUBLIC_MAX];
    struct gh_secret secret = {0};
    bool ok = gh_ke_answer(a->group, gh_view_of(octets + 1, gh_ke_seed_len(a->group)),
                           gh_ke_public(a->ke), public_value, &secret);

    gh_secret_clear(&secret);
    return ok;
}

static void exchanges(void)
{
    static const unsigned groups[] = {1,  2,  5,  14, 15, 16, 17, 18, 19, 20,
                                      21, 28, 29, 30, 31, 32, 35, 36, 37};

    printf("group    pair us  answer us  answers/s\n");
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        struct answer a = {.group = groups[i]};
        double pair, both;

        if (!gh_ke_available(a.group)) {
            printf("%5u    (this OpenSSL does not have it)\n", a.group);
            continue;
        }
        a.ke = gh_ke_new(a.group, gh_view_of(octets, gh_ke_seed_len(a.group)));
        pair = time_of(initiator, &a.group);
        both = time_of(responder, &a);
        printf("%5u %10.1f %10.1f %10.0f\n", a.group, pair * 1e6, both * 1e6, 1 / both);
        gh_ke_free(a.ke);
    }
}

static bool prf(void *arg)
{
    const struct gh_view part = {octets, 64};
    uint8_t out[GH_PRF_MAX];

    return gh_prf(*(enum gh_prf_alg *)arg, gh_view_of(octets, 32), &part, 1, out);
}

/* SK_d to SK_pr of an IKE SA with AES-CBC-256 and HMAC-SHA2-256. */
static bool keys(void *arg)
{
    const struct gh_view part = {octets, 80};
    uint8_t out[224];

    return gh_prf_plus(*(enum gh_prf_alg *)arg, gh_view_of(octets, 32), &part, 1, out, sizeof(out));
}

static void prfs(void)
{
    static enum gh_prf_alg algs[] = {GH_PRF_HMAC_SHA1, GH_PRF_HMAC_SHA2_256, GH_PRF_HMAC_SHA2_512,
                                     GH_PRF_AES128_XCBC, GH_PRF_AES128_CMAC};

    printf("\nPRF   prf ns  prf+ 224 ns\n");
    for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++)
        printf("%3d %8.0f %12.0f\n", algs[i], time_of(prf, &algs[i]) * 1e9,
               time_of(keys, &algs[i]) * 1e9);
}

struct message {
    struct gh_cipher *cipher;
    uint8_t data[MESSAGE], iv[GH_CIPHER_IV_MAX], icv[GH_CIPHER_ICV_MAX];
};

static bool seal(void *arg)
{
    struct message *m = arg;

    return gh_cipher_seal(m->cipher, gh_view_of(octets, 32), m->iv, m->data, MESSAGE, m->icv);
}

static bool seal_and_open(void *arg)
{
    struct message *m = arg;

    return seal(m) &&
           gh_cipher_open(m->cipher, gh_view_of(octets, 32), m->iv, m->data, MESSAGE, m->icv);
}

static void ciphers(void)
{
    static const struct {
        const char *name;
        enum gh_enc_alg enc;
        unsigned bits;
        enum gh_integ_alg integ;
    } pairs[] = {
        {"AES-GCM-16 128", GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE},
        {"AES-GCM-16 256", GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE},
        {"ChaCha20-Poly1305", GH_ENC_CHACHA20_POLY1305, 0, GH_INTEG_NONE},
        {"AES-CCM-16 128", GH_ENC_AES_CCM_16, 128, GH_INTEG_NONE},
        {"AES-CBC 128, SHA1-96", GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96},
        {"AES-CBC 256, SHA2-256-128", GH_ENC_AES_CBC, 256, GH_INTEG_HMAC_SHA2_256_128},
        {"AES-CBC 256, SHA2-512-256", GH_ENC_AES_CBC, 256, GH_INTEG_HMAC_SHA2_512_256},
        {"AES-CBC 128, XCBC-96", GH_ENC_AES_CBC, 128, GH_INTEG_AES_XCBC_96},
        {"AES-CTR 128, SHA2-256-128", GH_ENC_AES_CTR, 128, GH_INTEG_HMAC_SHA2_256_128},
        {"3DES, SHA1-96", GH_ENC_3DES, 0, GH_INTEG_HMAC_SHA1_96},
    };

    printf("\n%d octets                  seal ns  seal and open ns\n", MESSAGE);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct message m = {
            .cipher = gh_cipher_new(pairs[i].enc, pairs[i].bits, pairs[i].integ,
                                    gh_view_of(octets, gh_enc_key_len(pairs[i].enc, pairs[i].bits)),
                                    gh_view_of(octets + 40, gh_integ_key_len(pairs[i].integ)))};
        double one, both;

        if (m.cipher == NULL) {
            failed = true;
            continue;
        }
        one = time_of(seal, &m);
        both = time_of(seal_and_open, &m);
        printf("%-26s %8.0f %12.0f\n", pairs[i].name, one * 1e9, both * 1e9);
        gh_cipher_free(m.cipher);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = atof(argv[1]);
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)(i * 7 + 1);
    exchanges();
    prfs();
    ciphers();
    if (failed)
        fprintf(stderr, "an operation failed\n");
    return failed;
}

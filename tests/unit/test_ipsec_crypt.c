/*
 * The back ends of the IPsec engine: each against the standards' packets, and against one another
 * with every algorithm, key length and many lengths, in full batches.
 */
#include "hex.h"

#include <stdio.h>
#include <string.h>

#include "ipsec/crypt.h"
#include "ipsec_vectors.h"

enum { ESP_HEADER = 8, ROOM = 2200, LENGTHS = 320 };

static const char *const back_ends[] = {"openssl", "ipsec-mb"};

/* NULL: this machine has no such back end; the reason was printed. */
static struct ipsec_crypt *start(const char *name)
{
    struct ipsec_crypt *c = ipsec_crypt_new(name);

    if (c == NULL) {
        assert_string_equal(name, "ipsec-mb");
        printf("skipped: no intel-ipsec-mb, or the CPU has not what it wants\n");
    } else {
        assert_string_equal(ipsec_crypt_name(c), name);
    }
    return c;
}

/* A packet in memory as ESP lays it out, and its job. */
struct laid {
    uint8_t mem[ROOM];
    struct ipsec_crypt_job job;
};

static void lay(struct laid *l, struct ipsec_crypt_key *key, size_t iv_len, bool aead, bool esn,
                uint64_t seq, size_t len)
{
    struct ipsec_crypt_job *j = &l->job;
    const uint8_t high[4] = {(uint8_t)(seq >> 56), (uint8_t)(seq >> 48), (uint8_t)(seq >> 40),
                             (uint8_t)(seq >> 32)};

    j->key = key;
    j->iv = l->mem + ESP_HEADER;
    j->data = l->mem + ESP_HEADER + iv_len;
    j->len = len;
    j->icv = j->data + len;
    memcpy(j->aad, l->mem, ESP_HEADER);
    j->aad_len = ESP_HEADER;
    j->tail_len = 0;
    if (esn && aead) {
        memcpy(j->aad + 8, j->aad + 4, 4);
        memcpy(j->aad + 4, high, 4);
        j->aad_len = 12;
    } else if (esn) {
        memcpy(j->tail, high, 4);
        j->tail_len = 4;
    }
}

static void run_one(struct ipsec_crypt *c, struct laid *l, bool seal)
{
    struct ipsec_crypt_job *job = &l->job;

    ipsec_crypt_run(c, &job, 1, seal);
}

static void check_vector(struct ipsec_crypt *c, const struct esp_vector *v)
{
    const struct octets key = hex(v->key), plain = hex(v->plain), packet = hex(v->packet);
    struct ipsec_crypt_algs algs = {.enc = v->enc, .bits = v->bits, .enc_key = view_of(&key)};
    struct ipsec_crypt_key *sealer = ipsec_crypt_key_new(c, &algs, true, true);
    struct ipsec_crypt_key *opener = ipsec_crypt_key_new(c, &algs, false, true);
    size_t iv_len = gh_enc_iv_len(v->enc), before = ESP_HEADER + iv_len;
    struct laid l;

    assert_non_null(sealer);
    assert_non_null(opener);
    assert_string_equal(ipsec_crypt_key_by(sealer), ipsec_crypt_name(c));
    memcpy(l.mem, packet.p, before);
    memcpy(l.mem + before, plain.p, plain.len);
    lay(&l, sealer, iv_len, true, v->esn, v->seq, plain.len);
    run_one(c, &l, true);
    assert_true(l.job.ok);
    assert_memory_equal(l.mem, packet.p, packet.len);

    lay(&l, opener, iv_len, true, v->esn, v->seq, plain.len);
    run_one(c, &l, false);
    assert_true(l.job.ok);
    assert_memory_equal(l.mem + before, plain.p, plain.len);

    memcpy(l.mem, packet.p, packet.len);
    l.mem[packet.len - 1] ^= 1;
    lay(&l, opener, iv_len, true, v->esn, v->seq, plain.len);
    run_one(c, &l, false);
    assert_false(l.job.ok);
    for (size_t i = 0; i < plain.len; i++)
        assert_int_equal(l.mem[before + i], 0);
    ipsec_crypt_key_free(sealer);
    ipsec_crypt_key_free(opener);
}

static void packets_of_the_standards(void **state)
{
    for (size_t b = 0; b < 2; b++) {
        struct ipsec_crypt *c = start(back_ends[b]);

        for (size_t i = 0; c != NULL && i < ESP_VECTORS; i++)
            check_vector(c, &esp_vectors[i]);
        ipsec_crypt_free(c);
    }
}

static const enum gh_enc_alg encs[] = {GH_ENC_3DES,
                                       GH_ENC_NULL,
                                       GH_ENC_AES_CBC,
                                       GH_ENC_AES_CTR,
                                       GH_ENC_AES_CCM_8,
                                       GH_ENC_AES_CCM_12,
                                       GH_ENC_AES_CCM_16,
                                       GH_ENC_AES_GCM_8,
                                       GH_ENC_AES_GCM_12,
                                       GH_ENC_AES_GCM_16,
                                       GH_ENC_CAMELLIA_CBC,
                                       GH_ENC_NULL_AES_GMAC,
                                       GH_ENC_CAMELLIA_CTR,
                                       GH_ENC_DES,
                                       GH_ENC_CHACHA20_POLY1305,
                                       GH_ENC_AES_CCM_8_IIV,
                                       GH_ENC_AES_GCM_16_IIV,
                                       GH_ENC_CHACHA20_POLY1305_IIV};
static const enum gh_integ_alg integs[] = {GH_INTEG_NONE,
                                           GH_INTEG_HMAC_MD5_96,
                                           GH_INTEG_HMAC_SHA1_96,
                                           GH_INTEG_AES_XCBC_96,
                                           GH_INTEG_AES_CMAC_96,
                                           GH_INTEG_HMAC_SHA2_256_128,
                                           GH_INTEG_HMAC_SHA2_384_192,
                                           GH_INTEG_HMAC_SHA2_512_256};

static uint8_t noise(size_t i)
{
    return (uint8_t)(i * 167 + (i >> 8) * 13 + 5);
}

static struct laid ours[IPSEC_BATCH], theirs[IPSEC_BATCH];

/* A full batch sealed by both, alike; then each opens the other's, but for one that was damaged. */
static void compare(struct ipsec_crypt *a, struct ipsec_crypt *b,
                    const struct ipsec_crypt_algs *algs, bool esn, size_t first_len)
{
    struct ipsec_crypt_key *key[2][2] = {
        {ipsec_crypt_key_new(a, algs, true, true), ipsec_crypt_key_new(a, algs, false, true)},
        {ipsec_crypt_key_new(b, algs, true, true), ipsec_crypt_key_new(b, algs, false, true)}};
    size_t iv_len = gh_enc_iv_len(algs->enc), block = gh_enc_block(algs->enc);
    size_t icv_len = gh_icv_len(algs->enc, algs->integ);
    bool aead = gh_enc_is_aead(algs->enc);
    struct ipsec_crypt_job *x[IPSEC_BATCH], *y[IPSEC_BATCH];
    size_t len[IPSEC_BATCH], damaged = first_len % IPSEC_BATCH;

    for (size_t i = 0; i < IPSEC_BATCH; i++) {
        uint64_t seq = (uint64_t)i << 32 | (first_len + i);

        len[i] = (first_len + i * 5 + block) / block * block;
        for (size_t o = 0; o < ROOM; o++)
            ours[i].mem[o] = theirs[i].mem[o] = noise(o + i * 31 + first_len);
        lay(&ours[i], key[0][0], iv_len, aead, esn, seq, len[i]);
        lay(&theirs[i], key[1][0], iv_len, aead, esn, seq, len[i]);
        x[i] = &ours[i].job;
        y[i] = &theirs[i].job;
    }
    ipsec_crypt_run(a, x, IPSEC_BATCH, true);
    ipsec_crypt_run(b, y, IPSEC_BATCH, true);
    for (size_t i = 0; i < IPSEC_BATCH; i++) {
        assert_true(x[i]->ok && y[i]->ok);
        assert_memory_equal(ours[i].mem, theirs[i].mem, ROOM); /* and nothing else was touched */
        x[i]->key = key[0][1];
        y[i]->key = key[1][1];
    }
    theirs[damaged].job.icv[icv_len - 1] ^= 0x80;
    ours[damaged].job.data[0] ^= 1;
    ipsec_crypt_run(a, x, IPSEC_BATCH, false);
    ipsec_crypt_run(b, y, IPSEC_BATCH, false);
    for (size_t i = 0; i < IPSEC_BATCH; i++) {
        assert_int_equal(x[i]->ok, i != damaged);
        assert_int_equal(y[i]->ok, i != damaged);
        for (size_t o = 0; o < len[i]; o++) {
            size_t at = ESP_HEADER + iv_len + o;
            uint8_t want = i == damaged ? 0 : noise(at + i * 31 + first_len);

            assert_int_equal(ours[i].mem[at], want);
            assert_int_equal(theirs[i].mem[at], want);
        }
    }
    for (int i = 0; i < 4; i++)
        ipsec_crypt_key_free(key[i / 2][i % 2]);
}

static void back_ends_agree(void **state)
{
    static const unsigned key_bits[] = {0, 128, 192, 256};
    struct ipsec_crypt *a = start("openssl"), *b = start("ipsec-mb");
    uint8_t enc_key[64], integ_key[64];
    size_t pairs = 0;

    if (b == NULL) {
        ipsec_crypt_free(a);
        skip();
    }

    for (size_t i = 0; i < sizeof(enc_key); i++) {
        enc_key[i] = noise(i + 1000);
        integ_key[i] = noise(i + 2000);
    }
    for (size_t e = 0; e < sizeof(encs) / sizeof(encs[0]); e++)
        for (size_t k = 0; k < 4; k++)
            for (size_t n = 0; n < sizeof(integs) / sizeof(integs[0]); n++) {
                struct ipsec_crypt_algs algs = {
                    .enc = encs[e], .bits = key_bits[k], .integ = integs[n]};

                if (gh_icv_len(encs[e], integs[n]) == 0 || !gh_enc_available(encs[e], key_bits[k]))
                    continue;
                algs.enc_key = gh_view_of(enc_key, gh_enc_key_len(encs[e], key_bits[k]));
                algs.integ_key = gh_view_of(integ_key, gh_integ_key_len(integs[n]));
                compare(a, b, &algs, false, 0);
                compare(a, b, &algs, true, 7);
                compare(a, b, &algs, pairs % 2, 1200);
                pairs++;
            }
    assert_true(pairs > 100);
    ipsec_crypt_free(a);
    ipsec_crypt_free(b);
}

/* Keys of different SAs in one batch, some of which the back end leaves to OpenSSL. */
static void mixed_batch(void **state)
{
    static const uint8_t secret[32] = {7};
    static const struct ipsec_crypt_algs algs[3] = {
        {.enc = GH_ENC_AES_GCM_16, .bits = 128, .enc_key = {secret, 20}},
        {.enc = GH_ENC_3DES,
         .integ = GH_INTEG_HMAC_SHA1_96,
         .enc_key = {secret, 24},
         .integ_key = {secret, 20}},
        {.enc = GH_ENC_AES_CBC,
         .bits = 256,
         .integ = GH_INTEG_HMAC_SHA2_256_128,
         .enc_key = {secret, 32},
         .integ_key = {secret, 32}}};
    struct ipsec_crypt *c = ipsec_crypt_new(NULL);
    struct ipsec_crypt_key *key[3][2];
    struct ipsec_crypt_job *jobs[IPSEC_BATCH];

    assert_non_null(c);
    for (size_t i = 0; i < 3; i++)
        for (int open = 0; open < 2; open++) {
            key[i][open] = ipsec_crypt_key_new(c, &algs[i], !open, true);
            assert_non_null(key[i][open]);
        }
    assert_string_equal(ipsec_crypt_key_by(key[1][0]), "openssl");
    for (size_t i = 0; i < IPSEC_BATCH; i++) {
        memset(ours[i].mem, (int)i, ROOM);
        lay(&ours[i], key[i % 3][0], gh_enc_iv_len(algs[i % 3].enc), i % 3 == 0, false, 1, 96);
        jobs[i] = &ours[i].job;
    }
    ipsec_crypt_run(c, jobs, IPSEC_BATCH, true);
    for (size_t i = 0; i < IPSEC_BATCH; i++) {
        assert_true(jobs[i]->ok);
        jobs[i]->key = key[i % 3][1];
    }
    ipsec_crypt_run(c, jobs, IPSEC_BATCH, false);
    for (size_t i = 0; i < IPSEC_BATCH; i++) {
        assert_true(jobs[i]->ok);
        for (size_t o = 0; o < 96; o++)
            assert_int_equal(jobs[i]->data[o], i);
    }
    for (size_t i = 0; i < 6; i++)
        ipsec_crypt_key_free(key[i / 2][i % 2]);
    ipsec_crypt_free(c);
}

/* What gh_cipher_new() refuses, no back end makes a key of. */
static void keys_refused(void **state)
{
    static const uint8_t secret[64];

    for (size_t b = 0; b < 2; b++) {
        struct ipsec_crypt *c = start(back_ends[b]);
        struct ipsec_crypt_algs algs = {
            .enc = GH_ENC_AES_GCM_16, .bits = 128, .enc_key = {secret, 20}};

        if (c == NULL)
            continue;
        algs.enc_key.len = 19;
        assert_null(ipsec_crypt_key_new(c, &algs, true, true));
        algs.enc_key.len = 20;
        algs.integ = GH_INTEG_HMAC_SHA1_96;
        assert_null(ipsec_crypt_key_new(c, &algs, true, true));
        algs =
            (struct ipsec_crypt_algs){.enc = GH_ENC_AES_CBC, .bits = 128, .enc_key = {secret, 16}};
        assert_null(ipsec_crypt_key_new(c, &algs, true, true)); /* without integrity: never */
        algs.bits = 40;
        algs.integ = GH_INTEG_HMAC_SHA1_96;
        algs.integ_key = (struct gh_view){secret, 20};
        assert_null(ipsec_crypt_key_new(c, &algs, false, true));
        ipsec_crypt_free(c);
    }
    assert_null(ipsec_crypt_new("quantum"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_of_the_standards),
        cmocka_unit_test(back_ends_agree),
        cmocka_unit_test(mixed_batch),
        cmocka_unit_test(keys_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

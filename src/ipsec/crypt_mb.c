/*
 * intel-ipsec-mb as a back end: the jobs of a batch run in the lanes of the vector units.
 *
 * The library is loaded when the engine starts, so that a machine without it, or without the CPU
 * flags, goes on with OpenSSL. Every batch is flushed, no job outlives the call. DES, 3DES,
 * Camellia, AES-CCM with 192 bits and GMAC are left to OpenSSL.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "base/secret.h"
#include "ipsec/crypt.h"

enum { ALIGN = 64, HMAC_BLOCK_MAX = 128, AES_BLOCK = 16, SALT_MAX = 4 };

/* The parts of one job that the library points to until it is done. */
struct scratch {
    uint8_t nonce[AES_BLOCK];
    uint8_t tag[64], given[GH_CIPHER_ICV_MAX];
    struct ipsec_crypt_job *job;
    size_t icv_len;
};

struct mb {
    void *library;
    __typeof__(free_mb_mgr) *free_manager;
    IMB_MGR *manager;
    struct scratch scratch[IPSEC_BATCH];
};

struct mb_key {
    size_t key_len, iv_len, icv_len, salt_len;
    uint8_t salt[SALT_MAX];
    IMB_CIPHER_MODE cipher;
    IMB_HASH_ALG hash;
    bool aead;
    union {
        _Alignas(ALIGN) struct gcm_key_data gcm;
        struct {
            _Alignas(16) uint8_t enc[16 * 15], dec[16 * 15]; /* round keys; ChaCha20's key in enc */
            /* HMAC: after the inner and the outer block, in mac2 and mac3. */
            _Alignas(16) uint8_t mac[16 * 11], mac2[64], mac3[64];
        };
    };
};

static void stop(void *state)
{
    struct mb *mb = state;

    if (mb->manager != NULL)
        mb->free_manager(mb->manager);
    if (mb->library != NULL)
        dlclose(mb->library);
    gh_wipe(mb, sizeof(*mb));
    free(mb);
}

static bool load(struct mb *mb)
{
    __typeof__(alloc_mb_mgr) *allocate;
    __typeof__(init_mb_mgr_auto) *initialise;
    IMB_ARCH arch = IMB_ARCH_NONE;

    mb->library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (mb->library == NULL)
        return false;
    allocate = (__typeof__(allocate))dlsym(mb->library, "alloc_mb_mgr");
    initialise = (__typeof__(initialise))dlsym(mb->library, "init_mb_mgr_auto");
    mb->free_manager = (__typeof__(mb->free_manager))dlsym(mb->library, "free_mb_mgr");
    if (allocate == NULL || initialise == NULL || mb->free_manager == NULL)
        return false;
    mb->manager = allocate(0);
    if (mb->manager == NULL)
        return false;
    initialise(mb->manager, &arch);
    /* Without the CPU's AES, the library's emulation is slower than OpenSSL. */
    return arch >= IMB_ARCH_SSE && (mb->manager->features & IMB_FEATURE_AESNI) != 0;
}

static void *start(void)
{
    struct mb *mb = calloc(1, sizeof(*mb));

    if (mb == NULL || load(mb))
        return mb;
    stop(mb);
    return NULL;
}

static void aes_expand(IMB_MGR *m, struct mb_key *k, const uint8_t *key)
{
    if (k->key_len == 16)
        IMB_AES_KEYEXP_128(m, key, k->enc, k->dec);
    else if (k->key_len == 24)
        IMB_AES_KEYEXP_192(m, key, k->enc, k->dec);
    else
        IMB_AES_KEYEXP_256(m, key, k->enc, k->dec);
}

static void gcm_expand(IMB_MGR *m, struct mb_key *k, const uint8_t *key)
{
    if (k->key_len == 16)
        IMB_AES128_GCM_PRE(m, key, &k->gcm);
    else if (k->key_len == 24)
        IMB_AES192_GCM_PRE(m, key, &k->gcm);
    else
        IMB_AES256_GCM_PRE(m, key, &k->gcm);
}

static bool set_cipher(IMB_MGR *m, struct mb_key *k, const struct ipsec_crypt_algs *algs)
{
    switch (algs->enc) {
    case GH_ENC_NULL:
        k->cipher = IMB_CIPHER_NULL;
        return true;
    case GH_ENC_AES_CBC:
        k->cipher = IMB_CIPHER_CBC;
        break;
    case GH_ENC_AES_CTR:
        k->cipher = IMB_CIPHER_CNTR;
        k->salt_len = 4;
        break;
    case GH_ENC_AES_CCM_8:
    case GH_ENC_AES_CCM_8_IIV:
    case GH_ENC_AES_CCM_12:
    case GH_ENC_AES_CCM_16:
        if (algs->bits == 192)
            return false;
        k->cipher = IMB_CIPHER_CCM;
        k->hash = IMB_AUTH_AES_CCM;
        k->salt_len = 3;
        break;
    case GH_ENC_AES_GCM_8:
    case GH_ENC_AES_GCM_12:
    case GH_ENC_AES_GCM_16:
    case GH_ENC_AES_GCM_16_IIV:
        k->cipher = IMB_CIPHER_GCM;
        k->hash = IMB_AUTH_AES_GMAC;
        k->salt_len = 4;
        break;
    case GH_ENC_CHACHA20_POLY1305:
    case GH_ENC_CHACHA20_POLY1305_IIV:
        k->cipher = IMB_CIPHER_CHACHA20_POLY1305;
        k->hash = IMB_AUTH_CHACHA20_POLY1305;
        k->salt_len = 4;
        break;
    default:
        return false;
    }
    k->key_len = algs->enc_key.len - k->salt_len;
    memcpy(k->salt, algs->enc_key.p + k->key_len, k->salt_len);
    if (k->cipher == IMB_CIPHER_GCM)
        gcm_expand(m, k, algs->enc_key.p);
    else if (k->cipher == IMB_CIPHER_CHACHA20_POLY1305)
        memcpy(k->enc, algs->enc_key.p, k->key_len);
    else
        aes_expand(m, k, algs->enc_key.p);
    return true;
}

/* RFC 2104: what depends on the key alone. */
static void hmac_halves(struct mb_key *k, hash_one_block_t one_block, size_t block,
                        struct gh_view key)
{
    uint8_t pad[HMAC_BLOCK_MAX] = {0};

    memcpy(pad, key.p, key.len);
    for (size_t i = 0; i < block; i++)
        pad[i] ^= 0x36;
    one_block(pad, k->mac2);
    for (size_t i = 0; i < block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    one_block(pad, k->mac3);
    gh_wipe(pad, sizeof(pad));
}

static bool set_hash(IMB_MGR *m, struct mb_key *k, const struct ipsec_crypt_algs *algs)
{
    switch (algs->integ) {
    case GH_INTEG_HMAC_MD5_96:
        k->hash = IMB_AUTH_MD5;
        hmac_halves(k, m->md5_one_block, 64, algs->integ_key);
        return true;
    case GH_INTEG_HMAC_SHA1_96:
        k->hash = IMB_AUTH_HMAC_SHA_1;
        hmac_halves(k, m->sha1_one_block, 64, algs->integ_key);
        return true;
    case GH_INTEG_HMAC_SHA2_256_128:
        k->hash = IMB_AUTH_HMAC_SHA_256;
        hmac_halves(k, m->sha256_one_block, 64, algs->integ_key);
        return true;
    case GH_INTEG_HMAC_SHA2_384_192:
        k->hash = IMB_AUTH_HMAC_SHA_384;
        hmac_halves(k, m->sha384_one_block, 128, algs->integ_key);
        return true;
    case GH_INTEG_HMAC_SHA2_512_256:
        k->hash = IMB_AUTH_HMAC_SHA_512;
        hmac_halves(k, m->sha512_one_block, 128, algs->integ_key);
        return true;
    case GH_INTEG_AES_XCBC_96:
        k->hash = IMB_AUTH_AES_XCBC;
        IMB_AES_XCBC_KEYEXP(m, algs->integ_key.p, k->mac, k->mac2, k->mac3);
        return true;
    case GH_INTEG_AES_CMAC_96: {
        _Alignas(16) uint8_t unused[16 * 11];

        k->hash = IMB_AUTH_AES_CMAC;
        IMB_AES_KEYEXP_128(m, algs->integ_key.p, k->mac, unused);
        IMB_AES_CMAC_SUBKEY_GEN_128(m, k->mac, k->mac2, k->mac3);
        gh_wipe(unused, sizeof(unused));
        return true;
    }
    default:
        return false;
    }
}

static void key_free(void *key)
{
    gh_wipe(key, sizeof(struct mb_key));
    free(key);
}

static void *key_new(void *state, const struct ipsec_crypt_algs *algs, bool seal)
{
    IMB_MGR *m = ((struct mb *)state)->manager;
    struct mb_key *k;

    if (gh_icv_len(algs->enc, algs->integ) == 0 || !gh_enc_known(algs->enc, algs->bits) ||
        algs->enc_key.len != gh_enc_key_len(algs->enc, algs->bits) ||
        algs->integ_key.len != gh_integ_key_len(algs->integ))
        return NULL;
    k = aligned_alloc(ALIGN, (sizeof(*k) + ALIGN - 1) / ALIGN * ALIGN);
    if (k == NULL)
        return NULL;
    memset(k, 0, sizeof(*k));
    k->iv_len = gh_enc_iv_len(algs->enc);
    k->icv_len = gh_icv_len(algs->enc, algs->integ);
    k->aead = gh_enc_is_aead(algs->enc);
    if (set_cipher(m, k, algs) && (k->aead || set_hash(m, k, algs)))
        return k;
    key_free(k);
    return NULL;
}

static void describe_aead(IMB_JOB *i, const struct mb_key *k, const struct ipsec_crypt_job *j)
{
    i->hash_start_src_offset_in_bytes = 0;
    i->msg_len_to_hash_in_bytes = j->len;
    i->iv_len_in_bytes = k->salt_len + k->iv_len;
    if (k->cipher == IMB_CIPHER_GCM) {
        i->enc_keys = i->dec_keys = &k->gcm;
        i->u.GCM.aad = j->aad;
        i->u.GCM.aad_len_in_bytes = j->aad_len;
    } else if (k->cipher == IMB_CIPHER_CCM) {
        i->u.CCM.aad = j->aad;
        i->u.CCM.aad_len_in_bytes = j->aad_len;
    } else {
        i->dec_keys = k->enc;
        i->u.CHACHA20_POLY1305.aad = j->aad;
        i->u.CHACHA20_POLY1305.aad_len_in_bytes = j->aad_len;
    }
}

/* What the MAC covers is one piece of memory: aad, IV, data, and the tail in the ICV's place. */
static void describe_mac(IMB_JOB *i, const struct mb_key *k, const struct ipsec_crypt_job *j)
{
    size_t before = j->aad_len + k->iv_len;

    memcpy(j->data + j->len, j->tail, j->tail_len);
    i->src = j->data - before;
    i->cipher_start_src_offset_in_bytes = before;
    i->hash_start_src_offset_in_bytes = 0;
    i->msg_len_to_hash_in_bytes = before + j->len + j->tail_len;
    i->iv_len_in_bytes = k->cipher == IMB_CIPHER_NULL ? 0 : AES_BLOCK;
    if (k->hash == IMB_AUTH_AES_XCBC) {
        i->u.XCBC._k1_expanded = (const uint32_t *)k->mac;
        i->u.XCBC._k2 = k->mac2;
        i->u.XCBC._k3 = k->mac3;
    } else if (k->hash == IMB_AUTH_AES_CMAC) {
        i->u.CMAC._key_expanded = k->mac;
        i->u.CMAC._skey1 = k->mac2;
        i->u.CMAC._skey2 = k->mac3;
    } else {
        i->u.HMAC._hashed_auth_key_xor_ipad = k->mac2;
        i->u.HMAC._hashed_auth_key_xor_opad = k->mac3;
    }
}

static void set_nonce(struct scratch *s, const struct mb_key *k, const uint8_t *iv)
{
    memset(s->nonce, 0, sizeof(s->nonce));
    memcpy(s->nonce, k->salt, k->salt_len);
    memcpy(s->nonce + k->salt_len, iv, k->iv_len);
    if (k->cipher == IMB_CIPHER_CNTR)
        s->nonce[AES_BLOCK - 1] = 1; /* RFC 3686 4 */
}

static void describe(IMB_JOB *i, struct scratch *s, const struct mb_key *k, bool seal)
{
    const struct ipsec_crypt_job *j = s->job;

    set_nonce(s, k, j->iv);
    if (!seal)
        memcpy(s->given, j->icv, k->icv_len);
    i->enc_keys = k->enc;
    i->dec_keys = k->cipher == IMB_CIPHER_CBC ? k->dec : k->enc;
    i->key_len_in_bytes = k->key_len;
    i->src = i->dst = j->data;
    i->cipher_start_src_offset_in_bytes = 0;
    i->msg_len_to_cipher_in_bytes = j->len;
    i->iv = s->nonce;
    i->auth_tag_output = s->tag;
    i->auth_tag_output_len_in_bytes = k->icv_len;
    i->cipher_mode = k->cipher;
    i->hash_alg = k->hash;
    i->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    i->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    if (k->cipher == IMB_CIPHER_CCM)
        i->chain_order = seal ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
    i->user_data = s;
    if (k->aead)
        describe_aead(i, k, j);
    else
        describe_mac(i, k, j);
}

static void finish(IMB_JOB *done, bool seal)
{
    struct scratch *s = done->user_data;
    struct ipsec_crypt_job *j = s->job;

    j->ok =
        done->status == IMB_STATUS_COMPLETED && (seal || gh_ct_equal(s->tag, s->given, s->icv_len));
    if (j->ok && seal)
        memcpy(j->icv, s->tag, s->icv_len);
    if (j->ok)
        return;
    gh_wipe(s->tag, sizeof(s->tag)); /* the right one of what was forged */
    gh_wipe(j->data, j->len);
}

static void run(void *state, struct ipsec_crypt_job *const *jobs, void *const *keys, size_t count,
                bool seal)
{
    struct mb *mb = state;
    IMB_MGR *m = mb->manager;
    IMB_JOB *done;

    for (size_t n = 0; n < count; n++) {
        const struct mb_key *k = keys[n];
        struct scratch *s = &mb->scratch[n];
        IMB_JOB *i = IMB_GET_NEXT_JOB(m);

        s->job = jobs[n];
        s->icv_len = k->icv_len;
        jobs[n]->ok = false;
        describe(i, s, k, seal);
        for (done = IMB_SUBMIT_JOB(m); done != NULL; done = IMB_GET_COMPLETED_JOB(m))
            finish(done, seal);
    }
    while ((done = IMB_FLUSH_JOB(m)) != NULL)
        finish(done, seal);
}

const struct ipsec_crypt_ops ipsec_crypt_mb = {
    .name = "ipsec-mb",
    .start = start,
    .stop = stop,
    .key_new = key_new,
    .key_free = key_free,
    .run = run,
};

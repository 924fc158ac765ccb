/*
 * One EVP_CIPHER_CTX with its key set serves all packets: giving it the next nonce allocates
 * nothing. AEAD and counter modes turn the same context both ways; of CBC, the two directions have
 * different key schedules and so a context each.
 */
#include "crypto/cipher.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/cipher_alg.h"

enum { SALT_MAX = 4, CTR_BLOCK = 16 };

struct gh_cipher {
    const struct gh_enc_info *info;
    EVP_CIPHER_CTX *ctx;
    EVP_CIPHER_CTX *open;  /* NULL: ctx opens too */
    struct gh_mac_key mac; /* not of AEAD */
    size_t icv_len;
    uint8_t salt[SALT_MAX];
};

static EVP_CIPHER_CTX *context(const struct gh_enc_info *info, const EVP_CIPHER *cipher,
                               const uint8_t *key, bool seal)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const uint8_t *first = info->mode == GH_MODE_CCM ? NULL : key;
    bool ok = ctx != NULL && EVP_CipherInit_ex(ctx, cipher, NULL, first, NULL, seal) == 1;

    /* Both before the key, or OpenSSL has made other plans. */
    if (ok && info->mode == GH_MODE_CCM)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, info->salt + info->iv, NULL) == 1 &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, info->icv, NULL) == 1 &&
             EVP_CipherInit_ex(ctx, NULL, NULL, key, NULL, seal) == 1;
    if (ok && info->mode == GH_MODE_CBC)
        ok = EVP_CIPHER_CTX_set_padding(ctx, 0) == 1;
    if (ok)
        return ctx;
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

static bool set_keys(struct gh_cipher *c, unsigned bits, struct gh_view enc_key,
                     const struct gh_integ_info *integ, struct gh_view integ_key)
{
    const struct gh_enc_info *info = c->info;

    if (info->mode != GH_MODE_NULL) {
        const EVP_CIPHER *cipher = gh_fetched_cipher(gh_enc_fetched(info, bits));

        c->ctx = cipher != NULL ? context(info, cipher, enc_key.p, true) : NULL;
        if (c->ctx == NULL)
            return false;
        if (info->mode == GH_MODE_CBC || info->mode == GH_MODE_CCM) {
            c->open = context(info, cipher, enc_key.p, false);
            if (c->open == NULL)
                return false;
        }
        memcpy(c->salt, enc_key.p + enc_key.len - info->salt, info->salt);
    }
    return integ == NULL || gh_mac_key_set(&c->mac, integ->mac, integ_key.p, integ_key.len);
}

struct gh_cipher *gh_cipher_new(enum gh_enc_alg enc, unsigned bits, enum gh_integ_alg integ,
                                struct gh_view enc_key, struct gh_view integ_key)
{
    struct gh_cipher *c;

    if (gh_icv_len(enc, integ) == 0 || !gh_enc_known(enc, bits) ||
        enc_key.len != gh_enc_key_len(enc, bits) || integ_key.len != gh_integ_key_len(integ))
        return NULL;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->info = gh_enc_info(enc);
    c->icv_len = gh_icv_len(enc, integ);
    if (set_keys(c, bits, enc_key, gh_integ_info(integ), integ_key))
        return c;
    gh_cipher_free(c);
    return NULL;
}

void gh_cipher_free(struct gh_cipher *c)
{
    if (c == NULL)
        return;
    EVP_CIPHER_CTX_free(c->ctx); /* wipes */
    EVP_CIPHER_CTX_free(c->open);
    gh_mac_key_clear(&c->mac);
    gh_wipe(c, sizeof(*c));
    free(c);
}

size_t gh_cipher_iv_len(const struct gh_cipher *c)
{
    return c->info->iv;
}

size_t gh_cipher_icv_len(const struct gh_cipher *c)
{
    return c->icv_len;
}

size_t gh_cipher_block(const struct gh_cipher *c)
{
    return c->info->block;
}

/* All of the octets at once; out NULL: associated data, of which there may be none. */
static bool update(EVP_CIPHER_CTX *ctx, uint8_t *out, const uint8_t *in, size_t len)
{
    int n;

    return (out == NULL && len == 0) ||
           (EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1 && (size_t)n == len);
}

static bool finish(EVP_CIPHER_CTX *ctx)
{
    uint8_t nothing[EVP_MAX_BLOCK_LENGTH];
    int n;

    return EVP_CipherFinal_ex(ctx, nothing, &n) == 1 && n == 0;
}

static EVP_CIPHER_CTX *context_for(const struct gh_cipher *c, bool seal)
{
    return seal || c->open == NULL ? c->ctx : c->open;
}

static bool start_aead(struct gh_cipher *c, EVP_CIPHER_CTX *ctx, const uint8_t *iv, bool seal)
{
    uint8_t nonce[SALT_MAX + GH_CIPHER_IV_MAX];

    memcpy(nonce, c->salt, c->info->salt);
    memcpy(nonce + c->info->salt, iv, c->info->iv);
    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, seal) == 1;
}

/* Associated data, then data; CCM starts from the length (RFC 3610 2.2). */
static bool aead_body(const struct gh_cipher *c, EVP_CIPHER_CTX *ctx, struct gh_view aad,
                      const uint8_t *iv, uint8_t *data, size_t len)
{
    int n;

    switch (c->info->mode) {
    case GH_MODE_GMAC:
        return update(ctx, NULL, aad.p, aad.len) && update(ctx, NULL, iv, c->info->iv) &&
               update(ctx, NULL, data, len);
    case GH_MODE_CCM:
        return EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)len) == 1 &&
               update(ctx, NULL, aad.p, aad.len) && update(ctx, data, data, len);
    default:
        return update(ctx, NULL, aad.p, aad.len) && update(ctx, data, data, len);
    }
}

static bool seal_aead(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                      size_t len, uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = context_for(c, true);

    return start_aead(c, ctx, iv, true) && aead_body(c, ctx, aad, iv, data, len) && finish(ctx) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)c->icv_len, icv) == 1;
}

static bool open_aead(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                      size_t len, const uint8_t *icv)
{
    EVP_CIPHER_CTX *ctx = context_for(c, false);
    uint8_t tag[GH_CIPHER_ICV_MAX]; /* OpenSSL only reads it, but takes no const */

    memcpy(tag, icv, c->icv_len);
    /* CCM refuses in aead_body(), the others at the end. */
    return start_aead(c, ctx, iv, false) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)c->icv_len, tag) == 1 &&
           aead_body(c, ctx, aad, iv, data, len) && (c->info->mode == GH_MODE_CCM || finish(ctx));
}

/* Without integrity, which the caller of this adds. */
static bool crypt(struct gh_cipher *c, const uint8_t *iv, uint8_t *data, size_t len, bool seal)
{
    EVP_CIPHER_CTX *ctx = context_for(c, seal);
    uint8_t block[CTR_BLOCK] = {0};

    switch (c->info->mode) {
    case GH_MODE_NULL:
        return true;
    case GH_MODE_CBC:
        return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, seal) == 1 &&
               update(ctx, data, data, len) && finish(ctx);
    case GH_MODE_CTR:
        /* RFC 3686 4: nonce, IV, and a counter that starts at one. Both ways are encryption. */
        memcpy(block, c->salt, c->info->salt);
        memcpy(block + c->info->salt, iv, c->info->iv);
        block[CTR_BLOCK - 1] = 1;
        return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, block, true) == 1 &&
               update(ctx, data, data, len);
    default:
        return false;
    }
}

static bool mac_of(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, const uint8_t *data,
                   size_t len, struct gh_view tail, uint8_t tag[GH_MAC_TAG_MAX])
{
    struct gh_mac m;

    gh_mac_init(&m, &c->mac);
    gh_mac_update(&m, aad.p, aad.len);
    gh_mac_update(&m, iv, c->info->iv);
    gh_mac_update(&m, data, len);
    gh_mac_update(&m, tail.p, tail.len);
    return gh_mac_final(&m, tag);
}

/* There is always something to seal: IKE and ESP have at least the octet of the padding's length,
 * and OpenSSL's CCM checks no ICV where there is no data. */
static bool fits(const struct gh_cipher *c, struct gh_view aad, size_t len, struct gh_view tail)
{
    return len > 0 && len <= INT_MAX && aad.len <= INT_MAX && len % c->info->block == 0 &&
           (tail.len == 0 || c->info->icv == 0);
}

bool gh_cipher_seal_tail(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                         size_t len, struct gh_view tail, uint8_t *icv)
{
    uint8_t tag[GH_MAC_TAG_MAX];
    bool ok = fits(c, aad, len, tail);

    if (ok && c->info->icv > 0) {
        ok = seal_aead(c, aad, iv, data, len, icv);
    } else if (ok) {
        ok = crypt(c, iv, data, len, true) && mac_of(c, aad, iv, data, len, tail, tag);
        if (ok)
            memcpy(icv, tag, c->icv_len);
    }
    if (ok)
        return true;
    gh_wipe(data, len);
    gh_wipe(icv, c->icv_len);
    return false;
}

bool gh_cipher_open_tail(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                         size_t len, struct gh_view tail, const uint8_t *icv)
{
    uint8_t tag[GH_MAC_TAG_MAX];
    bool ok = fits(c, aad, len, tail);

    if (ok && c->info->icv > 0)
        ok = open_aead(c, aad, iv, data, len, icv);
    else
        ok = ok && mac_of(c, aad, iv, data, len, tail, tag) && gh_ct_equal(tag, icv, c->icv_len) &&
             crypt(c, iv, data, len, false);
    if (!ok) {
        gh_wipe(tag, sizeof(tag)); /* the right one of what was forged */
        gh_wipe(data, len);
    }
    return ok;
}

bool gh_cipher_seal(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                    size_t len, uint8_t *icv)
{
    return gh_cipher_seal_tail(c, aad, iv, data, len, (struct gh_view){0}, icv);
}

bool gh_cipher_open(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                    size_t len, const uint8_t *icv)
{
    return gh_cipher_open_tail(c, aad, iv, data, len, (struct gh_view){0}, icv);
}

#include "crypto/xcbc.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/fetched.h"

enum { CHUNK = 256 };

struct gh_xcbc {
    EVP_CIPHER_CTX *cbc; /* under K1; its chaining value is E[i-1] */
    uint8_t k2[GH_XCBC_BLOCK], k3[GH_XCBC_BLOCK];
    uint8_t last[GH_XCBC_BLOCK]; /* held back, for the last block is treated otherwise */
    size_t held;
};

static const uint8_t zero[GH_XCBC_BLOCK];

/* RFC 3566 4 (1): three keys, each a constant block encrypted under K. */
static bool derive(const EVP_CIPHER *aes, const uint8_t *key, uint8_t keys[3 * GH_XCBC_BLOCK])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx != NULL;

    for (int i = 0; ok && i < 3; i++) {
        uint8_t block[GH_XCBC_BLOCK];
        int n;

        memset(block, i + 1, sizeof(block));
        ok = EVP_EncryptInit_ex(ctx, aes, NULL, key, zero) == 1 &&
             EVP_EncryptUpdate(ctx, keys + (size_t)i * GH_XCBC_BLOCK, &n, block, sizeof(block)) ==
                 1 &&
             n == GH_XCBC_BLOCK;
    }
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

struct gh_xcbc *gh_xcbc_new(const uint8_t key[GH_XCBC_BLOCK])
{
    static struct gh_fetched aes_cbc = {.name = "AES-128-CBC"};
    const EVP_CIPHER *aes = gh_fetched_cipher(&aes_cbc);
    struct gh_xcbc *x = aes != NULL ? calloc(1, sizeof(*x)) : NULL;
    uint8_t keys[3 * GH_XCBC_BLOCK] = {0};
    bool ok = false;

    if (x == NULL)
        return NULL;
    x->cbc = EVP_CIPHER_CTX_new();
    if (x->cbc != NULL && derive(aes, key, keys)) {
        memcpy(x->k2, keys + GH_XCBC_BLOCK, GH_XCBC_BLOCK);
        memcpy(x->k3, keys + 2 * GH_XCBC_BLOCK, GH_XCBC_BLOCK);
        ok = EVP_EncryptInit_ex(x->cbc, aes, NULL, keys, zero) == 1;
    }
    gh_wipe(keys, sizeof(keys));
    if (ok)
        return x;
    gh_xcbc_free(x);
    return NULL;
}

void gh_xcbc_free(struct gh_xcbc *x)
{
    if (x == NULL)
        return;
    EVP_CIPHER_CTX_free(x->cbc); /* wipes */
    gh_wipe(x, sizeof(*x));
    free(x);
}

bool gh_xcbc_init(struct gh_xcbc *x)
{
    x->held = 0;
    return EVP_EncryptInit_ex(x->cbc, NULL, NULL, NULL, zero) == 1;
}

/* Whole blocks; what CBC makes of all but the last is of no use. */
static bool chain(struct gh_xcbc *x, const uint8_t *blocks, size_t len)
{
    uint8_t out[CHUNK];
    bool ok = true;

    while (ok && len > 0) {
        size_t step = len < CHUNK ? len : CHUNK;
        int n;

        ok = EVP_EncryptUpdate(x->cbc, out, &n, blocks, (int)step) == 1 && (size_t)n == step;
        blocks += step;
        len -= step;
    }
    gh_wipe(out, sizeof(out));
    return ok;
}

bool gh_xcbc_update(struct gh_xcbc *x, const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t take = sizeof(x->last) - x->held, blocks;

    if (len == 0)
        return true;
    take = len < take ? len : take;
    memcpy(x->last + x->held, p, take);
    x->held += take;
    p += take;
    len -= take;
    if (len == 0)
        return true;

    /* There is more, so the block held back is not the last; and one is held back again. */
    blocks = (len - 1) / GH_XCBC_BLOCK * GH_XCBC_BLOCK;
    if (!chain(x, x->last, sizeof(x->last)) || !chain(x, p, blocks))
        return false;
    x->held = len - blocks;
    memcpy(x->last, p + blocks, x->held);
    return true;
}

bool gh_xcbc_final(struct gh_xcbc *x, uint8_t tag[GH_XCBC_BLOCK])
{
    const uint8_t *k = x->k2;
    int n;
    bool ok;

    if (x->held < GH_XCBC_BLOCK) {
        k = x->k3;
        memset(x->last + x->held, 0, GH_XCBC_BLOCK - x->held);
        x->last[x->held] = 0x80;
    }
    for (size_t i = 0; i < GH_XCBC_BLOCK; i++)
        x->last[i] ^= k[i];
    ok = EVP_EncryptUpdate(x->cbc, tag, &n, x->last, GH_XCBC_BLOCK) == 1 && n == GH_XCBC_BLOCK;
    gh_wipe(x->last, sizeof(x->last));
    x->held = 0;
    return ok;
}

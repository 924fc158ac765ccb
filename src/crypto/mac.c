/*
 * OpenSSL 3.0's EVP_MAC allocates twice at each re-initialisation of an HMAC, and eleven times for
 * its key; a copy of an EVP_MD_CTX allocates once. The low-level SHA and CMAC interfaces, the same
 * code underneath, do not: an HMAC key is then two plain structs, and one MAC a copy of them. They
 * are deprecated in favour of EVP but not removed, so the warning is silenced in this one file.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/mac.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/secret.h"

enum { HMAC_BLOCK = 64, HMAC_IPAD = 0x36, HMAC_OPAD = 0x5c };

size_t gh_mac_tag_len(enum gh_mac_alg alg)
{
    switch (alg) {
    case GH_MAC_HMAC_SHA_1:
        return SHA_DIGEST_LENGTH;
    case GH_MAC_HMAC_SHA_256:
        return SHA256_DIGEST_LENGTH;
    case GH_MAC_AES_128_CMAC:
        return 16;
    case GH_MAC_NONE:
        break;
    }
    return 0;
}

static void xor_block(uint8_t block[HMAC_BLOCK], uint8_t pad)
{
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        block[i] ^= pad;
}

/* RFC 2104: keys longer than a block are hashed first. `block` arrives zeroed. */
static bool sha1_key(struct gh_mac_key *k, const uint8_t *key, size_t len, uint8_t *block)
{
    if (len > HMAC_BLOCK) {
        SHA_CTX *ctx = &k->sha1.inner; /* scratch, initialised anew below */

        if (!SHA1_Init(ctx) || !SHA1_Update(ctx, key, len) || !SHA1_Final(block, ctx))
            return false;
    } else if (len > 0) {
        memcpy(block, key, len);
    }
    xor_block(block, HMAC_IPAD);
    if (!SHA1_Init(&k->sha1.inner) || !SHA1_Update(&k->sha1.inner, block, HMAC_BLOCK))
        return false;
    xor_block(block, HMAC_IPAD ^ HMAC_OPAD);
    return SHA1_Init(&k->sha1.outer) && SHA1_Update(&k->sha1.outer, block, HMAC_BLOCK);
}

static bool sha256_key(struct gh_mac_key *k, const uint8_t *key, size_t len, uint8_t *block)
{
    if (len > HMAC_BLOCK) {
        SHA256_CTX *ctx = &k->sha256.inner;

        if (!SHA256_Init(ctx) || !SHA256_Update(ctx, key, len) || !SHA256_Final(block, ctx))
            return false;
    } else if (len > 0) {
        memcpy(block, key, len);
    }
    xor_block(block, HMAC_IPAD);
    if (!SHA256_Init(&k->sha256.inner) || !SHA256_Update(&k->sha256.inner, block, HMAC_BLOCK))
        return false;
    xor_block(block, HMAC_IPAD ^ HMAC_OPAD);
    return SHA256_Init(&k->sha256.outer) && SHA256_Update(&k->sha256.outer, block, HMAC_BLOCK);
}

static bool cmac_key(struct gh_mac_key *k, const uint8_t *key, size_t len)
{
    if (len != GH_MAC_AES_KEY)
        return false;
    k->cmac = CMAC_CTX_new();
    return k->cmac != NULL && CMAC_Init(k->cmac, key, len, EVP_aes_128_cbc(), NULL);
}

bool gh_mac_key_set(struct gh_mac_key *k, enum gh_mac_alg alg, const uint8_t *key, size_t len)
{
    uint8_t block[HMAC_BLOCK] = {0};
    bool ok = false;

    gh_mac_key_clear(k);
    k->alg = alg;
    switch (alg) {
    case GH_MAC_HMAC_SHA_1:
        ok = sha1_key(k, key, len, block);
        break;
    case GH_MAC_HMAC_SHA_256:
        ok = sha256_key(k, key, len, block);
        break;
    case GH_MAC_AES_128_CMAC:
        ok = cmac_key(k, key, len);
        break;
    case GH_MAC_NONE:
        break;
    }
    gh_wipe(block, sizeof(block));
    if (!ok)
        gh_mac_key_clear(k);
    return ok;
}

void gh_mac_key_clear(struct gh_mac_key *k)
{
    if (k->alg == GH_MAC_AES_128_CMAC)
        CMAC_CTX_free(k->cmac); /* wipes */
    gh_wipe(k, sizeof(*k));
}

void gh_mac_init(struct gh_mac *m, struct gh_mac_key *k)
{
    m->key = k;
    m->bad = false;
    switch (k->alg) {
    case GH_MAC_HMAC_SHA_1:
        m->sha1 = k->sha1.inner;
        break;
    case GH_MAC_HMAC_SHA_256:
        m->sha256 = k->sha256.inner;
        break;
    case GH_MAC_AES_128_CMAC:
        m->bad = !CMAC_Init(k->cmac, NULL, 0, NULL, NULL);
        break;
    case GH_MAC_NONE:
        m->bad = true;
    }
}

void gh_mac_update(struct gh_mac *m, const void *data, size_t len)
{
    if (m->bad || len == 0)
        return;
    switch (m->key->alg) {
    case GH_MAC_HMAC_SHA_1:
        m->bad = !SHA1_Update(&m->sha1, data, len);
        break;
    case GH_MAC_HMAC_SHA_256:
        m->bad = !SHA256_Update(&m->sha256, data, len);
        break;
    case GH_MAC_AES_128_CMAC:
        m->bad = !CMAC_Update(m->key->cmac, data, len);
        break;
    case GH_MAC_NONE:
        m->bad = true;
    }
}

static bool sha1_final(struct gh_mac *m, uint8_t *tag)
{
    if (!SHA1_Final(tag, &m->sha1))
        return false;
    m->sha1 = m->key->sha1.outer;
    return SHA1_Update(&m->sha1, tag, SHA_DIGEST_LENGTH) && SHA1_Final(tag, &m->sha1);
}

static bool sha256_final(struct gh_mac *m, uint8_t *tag)
{
    if (!SHA256_Final(tag, &m->sha256))
        return false;
    m->sha256 = m->key->sha256.outer;
    return SHA256_Update(&m->sha256, tag, SHA256_DIGEST_LENGTH) && SHA256_Final(tag, &m->sha256);
}

bool gh_mac_final(struct gh_mac *m, uint8_t tag[GH_MAC_TAG_MAX])
{
    size_t len;
    bool ok = false;

    if (!m->bad) {
        switch (m->key->alg) {
        case GH_MAC_HMAC_SHA_1:
            ok = sha1_final(m, tag);
            break;
        case GH_MAC_HMAC_SHA_256:
            ok = sha256_final(m, tag);
            break;
        case GH_MAC_AES_128_CMAC:
            ok = CMAC_Final(m->key->cmac, tag, &len);
            break;
        case GH_MAC_NONE:
            break;
        }
    }
    if (!ok)
        gh_wipe(tag, GH_MAC_TAG_MAX);
    gh_wipe(m, sizeof(*m));
    return ok;
}

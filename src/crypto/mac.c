/*
 * OpenSSL 3.0's EVP_MAC allocates twice at each re-initialisation of an HMAC, and eleven times for
 * its key; a copy of an EVP_MD_CTX allocates once. The low-level hash and CMAC interfaces, the same
 * code underneath, do not: an HMAC key is then two plain structs, and one MAC a copy of them. They
 * are deprecated in favour of EVP but not removed, so the warning is silenced in this file (and in
 * crypto/hash.c).
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/mac.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/fetched.h"
#include "crypto/xcbc.h"

enum { HMAC_IPAD = 0x36, HMAC_OPAD = 0x5c };

/* HMAC's hash function; NONE: not an HMAC. */
static enum gh_hash_alg hash_of(enum gh_mac_alg alg)
{
    switch (alg) {
    case GH_MAC_HMAC_MD5:
        return GH_HASH_MD5;
    case GH_MAC_HMAC_SHA_1:
        return GH_HASH_SHA_1;
    case GH_MAC_HMAC_SHA_256:
        return GH_HASH_SHA2_256;
    case GH_MAC_HMAC_SHA_384:
        return GH_HASH_SHA2_384;
    case GH_MAC_HMAC_SHA_512:
        return GH_HASH_SHA2_512;
    case GH_MAC_AES_128_CMAC:
    case GH_MAC_AES_128_XCBC:
    case GH_MAC_NONE:
        break;
    }
    return GH_HASH_NONE;
}

size_t gh_mac_tag_len(enum gh_mac_alg alg)
{
    if (alg == GH_MAC_AES_128_CMAC || alg == GH_MAC_AES_128_XCBC)
        return 16;
    return gh_hash_len(hash_of(alg));
}

/* RFC 2104: keys longer than a block are hashed first. */
static bool hmac_key(struct gh_mac_key *k, enum gh_hash_alg hash, const uint8_t *key, size_t len)
{
    const size_t size = gh_hash_block(hash);
    const struct gh_view whole = {key, len};
    uint8_t block[GH_HASH_BLOCK_MAX] = {0};
    bool ok = true;

    if (len > size)
        ok = gh_hash(hash, &whole, 1, block);
    else if (len > 0)
        memcpy(block, key, len);
    for (size_t i = 0; i < size; i++)
        block[i] ^= HMAC_IPAD;
    ok = ok && gh_hash_init(hash, &k->hmac.inner) &&
         gh_hash_update(hash, &k->hmac.inner, block, size);
    for (size_t i = 0; i < size; i++)
        block[i] ^= HMAC_IPAD ^ HMAC_OPAD;
    ok = ok && gh_hash_init(hash, &k->hmac.outer) &&
         gh_hash_update(hash, &k->hmac.outer, block, size);
    gh_wipe(block, sizeof(block));
    return ok;
}

static bool cmac_key(struct gh_mac_key *k, const uint8_t *key, size_t len)
{
    static struct gh_fetched aes_cbc = {.name = "AES-128-CBC"};
    const EVP_CIPHER *aes = gh_fetched_cipher(&aes_cbc);

    if (len != GH_MAC_AES_KEY || aes == NULL)
        return false;
    k->cmac = CMAC_CTX_new();
    return k->cmac != NULL && CMAC_Init(k->cmac, key, len, aes, NULL);
}

static bool xcbc_key(struct gh_mac_key *k, const uint8_t *key, size_t len)
{
    if (len != GH_MAC_AES_KEY)
        return false;
    k->xcbc = gh_xcbc_new(key);
    return k->xcbc != NULL;
}

bool gh_mac_key_set(struct gh_mac_key *k, enum gh_mac_alg alg, const uint8_t *key, size_t len)
{
    bool ok;

    gh_mac_key_clear(k);
    k->alg = alg;
    if (alg == GH_MAC_AES_128_CMAC)
        ok = cmac_key(k, key, len);
    else if (alg == GH_MAC_AES_128_XCBC)
        ok = xcbc_key(k, key, len);
    else
        ok = hmac_key(k, hash_of(alg), key, len);
    if (!ok)
        gh_mac_key_clear(k);
    return ok;
}

void gh_mac_key_clear(struct gh_mac_key *k)
{
    if (k->alg == GH_MAC_AES_128_CMAC)
        CMAC_CTX_free(k->cmac); /* wipes */
    else if (k->alg == GH_MAC_AES_128_XCBC)
        gh_xcbc_free(k->xcbc);
    gh_wipe(k, sizeof(*k));
}

void gh_mac_init(struct gh_mac *m, struct gh_mac_key *k)
{
    m->key = k;
    m->bad = k->alg == GH_MAC_NONE;
    if (k->alg == GH_MAC_AES_128_CMAC)
        m->bad = !CMAC_Init(k->cmac, NULL, 0, NULL, NULL);
    else if (k->alg == GH_MAC_AES_128_XCBC)
        m->bad = !gh_xcbc_init(k->xcbc);
    else
        gh_hash_copy(hash_of(k->alg), &m->hash, &k->hmac.inner);
}

void gh_mac_update(struct gh_mac *m, const void *data, size_t len)
{
    const enum gh_mac_alg alg = m->key->alg;

    if (m->bad || len == 0)
        return;
    if (alg == GH_MAC_AES_128_CMAC)
        m->bad = !CMAC_Update(m->key->cmac, data, len);
    else if (alg == GH_MAC_AES_128_XCBC)
        m->bad = !gh_xcbc_update(m->key->xcbc, data, len);
    else
        m->bad = !gh_hash_update(hash_of(alg), &m->hash, data, len);
}

static bool hmac_final(struct gh_mac *m, enum gh_hash_alg hash, uint8_t *tag)
{
    if (!gh_hash_final(hash, &m->hash, tag))
        return false;
    gh_hash_copy(hash, &m->hash, &m->key->hmac.outer);
    return gh_hash_update(hash, &m->hash, tag, gh_hash_len(hash)) &&
           gh_hash_final(hash, &m->hash, tag);
}

bool gh_mac_final(struct gh_mac *m, uint8_t *tag)
{
    const enum gh_mac_alg alg = m->key->alg;
    size_t len;
    bool ok = false;

    if (m->bad)
        ok = false;
    else if (alg == GH_MAC_AES_128_CMAC)
        ok = CMAC_Final(m->key->cmac, tag, &len);
    else if (alg == GH_MAC_AES_128_XCBC)
        ok = gh_xcbc_final(m->key->xcbc, tag);
    else
        ok = hmac_final(m, hash_of(alg), tag);
    if (!ok)
        gh_wipe(tag, gh_mac_tag_len(alg));
    gh_wipe(m, sizeof(*m));
    return ok;
}

/*
 * The low-level interfaces of OpenSSL, for the reasons that crypto/mac.c gives: deprecated in
 * favour of EVP, which looks up and allocates, but not removed. The warning is silenced in this
 * file.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hash.h"

#include <string.h>

#include "base/secret.h"

size_t gh_hash_len(enum gh_hash_alg alg)
{
    switch (alg) {
    case GH_HASH_MD5:
        return MD5_DIGEST_LENGTH;
    case GH_HASH_SHA_1:
        return SHA_DIGEST_LENGTH;
    case GH_HASH_SHA2_256:
        return SHA256_DIGEST_LENGTH;
    case GH_HASH_SHA2_384:
        return SHA384_DIGEST_LENGTH;
    case GH_HASH_SHA2_512:
        return SHA512_DIGEST_LENGTH;
    case GH_HASH_NONE:
        break;
    }
    return 0;
}

size_t gh_hash_block(enum gh_hash_alg alg)
{
    switch (alg) {
    case GH_HASH_MD5:
    case GH_HASH_SHA_1:
    case GH_HASH_SHA2_256:
        return 64;
    case GH_HASH_SHA2_384:
    case GH_HASH_SHA2_512:
        return 128;
    case GH_HASH_NONE:
        break;
    }
    return 0;
}

bool gh_hash_init(enum gh_hash_alg alg, union gh_hash_state *s)
{
    switch (alg) {
    case GH_HASH_MD5:
        return MD5_Init(&s->md5);
    case GH_HASH_SHA_1:
        return SHA1_Init(&s->sha1);
    case GH_HASH_SHA2_256:
        return SHA256_Init(&s->sha256);
    case GH_HASH_SHA2_384:
        return SHA384_Init(&s->sha512);
    case GH_HASH_SHA2_512:
        return SHA512_Init(&s->sha512);
    case GH_HASH_NONE:
        break;
    }
    return false;
}

bool gh_hash_update(enum gh_hash_alg alg, union gh_hash_state *s, const void *data, size_t len)
{
    if (len == 0)
        return alg != GH_HASH_NONE;
    switch (alg) {
    case GH_HASH_MD5:
        return MD5_Update(&s->md5, data, len);
    case GH_HASH_SHA_1:
        return SHA1_Update(&s->sha1, data, len);
    case GH_HASH_SHA2_256:
        return SHA256_Update(&s->sha256, data, len);
    case GH_HASH_SHA2_384:
        return SHA384_Update(&s->sha512, data, len);
    case GH_HASH_SHA2_512:
        return SHA512_Update(&s->sha512, data, len);
    case GH_HASH_NONE:
        break;
    }
    return false;
}

bool gh_hash_final(enum gh_hash_alg alg, union gh_hash_state *s, uint8_t *out)
{
    switch (alg) {
    case GH_HASH_MD5:
        return MD5_Final(out, &s->md5);
    case GH_HASH_SHA_1:
        return SHA1_Final(out, &s->sha1);
    case GH_HASH_SHA2_256:
        return SHA256_Final(out, &s->sha256);
    case GH_HASH_SHA2_384:
        return SHA384_Final(out, &s->sha512);
    case GH_HASH_SHA2_512:
        return SHA512_Final(out, &s->sha512);
    case GH_HASH_NONE:
        break;
    }
    return false;
}

void gh_hash_copy(enum gh_hash_alg alg, union gh_hash_state *to, const union gh_hash_state *from)
{
    switch (alg) {
    case GH_HASH_MD5:
        to->md5 = from->md5;
        break;
    case GH_HASH_SHA_1:
        to->sha1 = from->sha1;
        break;
    case GH_HASH_SHA2_256:
        to->sha256 = from->sha256;
        break;
    case GH_HASH_SHA2_384:
    case GH_HASH_SHA2_512:
        to->sha512 = from->sha512;
        break;
    case GH_HASH_NONE:
        break;
    }
}

bool gh_hash(enum gh_hash_alg alg, const struct gh_view *parts, size_t n, uint8_t out[GH_HASH_MAX])
{
    union gh_hash_state s;
    uint8_t digest[GH_HASH_MAX];
    bool ok = gh_hash_init(alg, &s);

    for (size_t i = 0; ok && i < n; i++)
        ok = gh_hash_update(alg, &s, parts[i].p, parts[i].len);
    ok = ok && gh_hash_final(alg, &s, digest);
    if (ok)
        memcpy(out, digest, gh_hash_len(alg));
    gh_wipe(&s, sizeof(s));
    gh_wipe(digest, sizeof(digest));
    return ok;
}

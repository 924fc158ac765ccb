/*
 * Hash functions: one after the other over scattered pieces, or all at once.
 *
 * Nothing is allocated and nothing looked up by name, so HMAC (crypto/mac.h) and whoever hashes for
 * every packet or handshake can afford them. The state is a plain value; a copy of it goes on by
 * itself. It may hold what was made from a key: its owner wipes it.
 */
#ifndef GH_CRYPTO_HASH_H
#define GH_CRYPTO_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/md5.h>
#include <openssl/sha.h>

#include "base/view.h"

/* The numbers of the registry of RFC 7427; MD5 is not in it, and is for HMAC alone. */
enum gh_hash_alg {
    GH_HASH_NONE = 0,
    GH_HASH_SHA_1 = 1,
    GH_HASH_SHA2_256 = 2,
    GH_HASH_SHA2_384 = 3,
    GH_HASH_SHA2_512 = 4,
    GH_HASH_MD5 = 0x10000,
};

enum { GH_HASH_MAX = 64, GH_HASH_BLOCK_MAX = 128 };

/* Octets of the digest and of the function's block; 0: not known. */
size_t gh_hash_len(enum gh_hash_alg alg);
size_t gh_hash_block(enum gh_hash_alg alg);

/* The digest of the parts, one after the other: gh_hash_len() octets. False: nothing is written. */
bool gh_hash(enum gh_hash_alg alg, const struct gh_view *parts, size_t n, uint8_t out[GH_HASH_MAX]);

union gh_hash_state {
    MD5_CTX md5;
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha512; /* of SHA-384 too */
};

/* Piece by piece. The caller says the same algorithm each time, and starts with init or a copy. */
bool gh_hash_init(enum gh_hash_alg alg, union gh_hash_state *s);
bool gh_hash_update(enum gh_hash_alg alg, union gh_hash_state *s, const void *data, size_t len);
bool gh_hash_final(enum gh_hash_alg alg, union gh_hash_state *s, uint8_t *out);
/* Copies only what the algorithm uses. */
void gh_hash_copy(enum gh_hash_alg alg, union gh_hash_state *to, const union gh_hash_state *from);

#endif

/*
 * Message authentication codes with precomputed keys: HMAC, AES-128-CMAC, AES-128-XCBC.
 *
 * Made for protocols that authenticate every packet: whatever depends on the key alone is computed
 * once in gh_mac_key_set(), and a MAC over scattered pieces then allocates nothing. The key owns
 * its expanded state and wipes it; a struct gh_mac on the stack borrows the key for one MAC at a
 * time, so one key serves one thread.
 *
 * Failure of the library underneath is sticky within one MAC and told by gh_mac_final().
 */
#ifndef GH_CRYPTO_MAC_H
#define GH_CRYPTO_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/cmac.h>

#include "crypto/hash.h"

enum gh_mac_alg {
    GH_MAC_NONE,
    GH_MAC_HMAC_SHA_1,
    GH_MAC_HMAC_SHA_256,
    GH_MAC_AES_128_CMAC,
    GH_MAC_HMAC_MD5,
    GH_MAC_HMAC_SHA_384,
    GH_MAC_HMAC_SHA_512,
    GH_MAC_AES_128_XCBC,
};

enum { GH_MAC_TAG_MAX = 64, GH_MAC_AES_KEY = 16 };

/* Zero-initialised is empty and valid: gh_mac_key_clear() may be called on it. */
struct gh_mac_key {
    enum gh_mac_alg alg;
    union {
        struct {
            union gh_hash_state inner, outer; /* after the padded key's block */
        } hmac;
        CMAC_CTX *cmac; /* with the key schedule and subkeys */
        struct gh_xcbc *xcbc;
    };
};

/* Octets of a full tag; 0: none. */
size_t gh_mac_tag_len(enum gh_mac_alg alg);

/* Releases what the key held before. HMAC takes any length, AES 16 octets. False: wrong length,
 * no memory, or the library refused (then the key is empty). */
bool gh_mac_key_set(struct gh_mac_key *k, enum gh_mac_alg alg, const uint8_t *key, size_t len);
/* Wipes; empty afterwards. */
void gh_mac_key_clear(struct gh_mac_key *k);

/* One MAC in progress. */
struct gh_mac {
    struct gh_mac_key *key;
    union gh_hash_state hash;
    bool bad;
};

void gh_mac_init(struct gh_mac *m, struct gh_mac_key *k);
void gh_mac_update(struct gh_mac *m, const void *data, size_t len);
/* Writes gh_mac_tag_len() octets and wipes the state. False: failed, and they are zero. */
bool gh_mac_final(struct gh_mac *m, uint8_t *tag);

#endif

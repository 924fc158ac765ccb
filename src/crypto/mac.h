/*
 * Message authentication codes with precomputed keys: HMAC-SHA-1, HMAC-SHA-256, AES-128-CMAC.
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
#include <openssl/sha.h>

enum gh_mac_alg { GH_MAC_NONE, GH_MAC_HMAC_SHA_1, GH_MAC_HMAC_SHA_256, GH_MAC_AES_128_CMAC };

enum { GH_MAC_TAG_MAX = 32, GH_MAC_AES_KEY = 16 };

/* Zero-initialised is empty and valid: gh_mac_key_clear() may be called on it. */
struct gh_mac_key {
    enum gh_mac_alg alg;
    union {
        struct {
            SHA_CTX inner, outer; /* after the padded key's block */
        } sha1;
        struct {
            SHA256_CTX inner, outer;
        } sha256;
        CMAC_CTX *cmac; /* with the key schedule and subkeys */
    };
};

/* Octets of a full tag: 20, 32 or 16. */
size_t gh_mac_tag_len(enum gh_mac_alg alg);

/* Releases what the key held before. HMAC takes any length, CMAC 16 octets. False: wrong length,
 * no memory, or the library refused (then the key is empty). */
bool gh_mac_key_set(struct gh_mac_key *k, enum gh_mac_alg alg, const uint8_t *key, size_t len);
/* Wipes; empty afterwards. */
void gh_mac_key_clear(struct gh_mac_key *k);

/* One MAC in progress. */
struct gh_mac {
    struct gh_mac_key *key;
    union {
        SHA_CTX sha1;
        SHA256_CTX sha256;
    };
    bool bad;
};

void gh_mac_init(struct gh_mac *m, struct gh_mac_key *k);
void gh_mac_update(struct gh_mac *m, const void *data, size_t len);
/* Writes gh_mac_tag_len() octets; wipes the state. False: failed, and `tag` is zero. */
bool gh_mac_final(struct gh_mac *m, uint8_t tag[GH_MAC_TAG_MAX]);

#endif

/*
 * The pseudo-random functions of IKE and the key stream made from them (RFC 7296 2.13).
 *
 * Called by IKE for SKEYSEED, the keys SK_*, KEYMAT, AUTH values and cookies. Pure, and safe in any
 * number of threads. HMAC allocates nothing; the AES functions make a cipher context each time.
 */
#ifndef GH_CRYPTO_PRF_H
#define GH_CRYPTO_PRF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"

/* The numbers of IKEv2's registry (transform type 2): a number from the wire is one after a cast,
 * and one that is not known has gh_prf_len() 0. */
enum gh_prf_alg {
    GH_PRF_NONE = 0,
    GH_PRF_HMAC_MD5 = 1,
    GH_PRF_HMAC_SHA1 = 2,
    GH_PRF_AES128_XCBC = 4,
    GH_PRF_HMAC_SHA2_256 = 5,
    GH_PRF_HMAC_SHA2_384 = 6,
    GH_PRF_HMAC_SHA2_512 = 7,
    GH_PRF_AES128_CMAC = 8,
};

enum { GH_PRF_MAX = 64, GH_PRF_ROUNDS = 255 };

/* Octets of the output, which is also the preferred key length; 0: not known. */
size_t gh_prf_len(enum gh_prf_alg alg);
/* Octets that the key has wherever both sides make it up: of AES-XCBC and AES-CMAC it is fixed, so
 * that SKEYSEED = prf(first 8 octets of Ni | first 8 of Nr, g^ir) (RFC 7296 2.14). 0: any length,
 * all of the nonces. */
size_t gh_prf_fixed_key(enum gh_prf_alg alg);

/* prf(key, parts one after the other): gh_prf_len() octets. The key may have any length (RFC 4434
 * and 4615 say what AES makes of it). False: nothing is written. */
bool gh_prf(enum gh_prf_alg alg, struct gh_view key, const struct gh_view *parts, size_t n,
            uint8_t out[GH_PRF_MAX]);

/* prf+(key, parts): the first len octets, at most 255 outputs long. False: `out` is wiped. */
bool gh_prf_plus(enum gh_prf_alg alg, struct gh_view key, const struct gh_view *parts, size_t n,
                 uint8_t *out, size_t len);

#endif

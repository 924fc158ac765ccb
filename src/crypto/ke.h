/*
 * Key exchange: Diffie-Hellman over MODP, ECP and Montgomery curves, and ML-KEM.
 *
 * The randomness is the caller's: the same seed gives the same key pair, so that a simulation can
 * be repeated. A seed is used once, for one exchange. Public values and shared secrets are as they
 * stand in IKE (RFC 7296 3.4, 5903, 6954, 8031, ML-KEM's draft): fixed lengths, leading zeros kept.
 * ML-KEM too is made from the seed alone.
 *
 * What a peer sent is checked as RFC 6989 and 8031 ask: length, 1 < y < p-1, on the curve, no
 * all-zero secret. Groups are prepared at their first use and kept for the life of the process;
 * this is safe in any number of threads. A struct gh_ke has one owner, and one thread at a time.
 */
#ifndef GH_CRYPTO_KE_H
#define GH_CRYPTO_KE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/view.h"

/* The numbers of IKEv2's registry (transform type 4; ADDKE1-7 too). */
enum gh_ke_group {
    GH_KE_NONE = 0,
    GH_KE_MODP_768 = 1,
    GH_KE_MODP_1024 = 2,
    GH_KE_MODP_1536 = 5,
    GH_KE_MODP_2048 = 14,
    GH_KE_MODP_3072 = 15,
    GH_KE_MODP_4096 = 16,
    GH_KE_MODP_6144 = 17,
    GH_KE_MODP_8192 = 18,
    GH_KE_ECP_256 = 19,
    GH_KE_ECP_384 = 20,
    GH_KE_ECP_521 = 21,
    GH_KE_BRAINPOOL_256 = 28,
    GH_KE_BRAINPOOL_384 = 29,
    GH_KE_BRAINPOOL_512 = 30,
    GH_KE_X25519 = 31,
    GH_KE_X448 = 32,
    GH_KE_ML_KEM_512 = 35,
    GH_KE_ML_KEM_768 = 36,
    GH_KE_ML_KEM_1024 = 37,
};

enum { GH_KE_PUBLIC_MAX = 1568, GH_KE_SEED_MAX = 96 };

/* One of the groups above. */
bool gh_ke_known(unsigned group);
/* Known, and the running OpenSSL has it (ML-KEM: 3.5 and later). */
bool gh_ke_available(unsigned group);
/* Octets of the public value; the responder's of ML-KEM is the ciphertext. 0: not known. */
size_t gh_ke_public_len(unsigned group, bool responder);
/* Octets of randomness that either side needs. 0: not known. */
size_t gh_ke_seed_len(unsigned group);

struct gh_ke;

/* The initiator's key pair. NULL: not available, a seed of wrong length, or no memory. */
struct gh_ke *gh_ke_new(unsigned group, struct gh_view seed);
/* Wipes. NULL is fine. */
void gh_ke_free(struct gh_ke *ke);
unsigned gh_ke_group(const struct gh_ke *ke);
/* What goes into our KE payload; borrowed from `ke`. */
struct gh_view gh_ke_public(const struct gh_ke *ke);
/* The secret, from what the responder answered; replaces what `out` held. False: the peer's value
 * is refused (or the library failed), and `out` is untouched. */
bool gh_ke_shared(struct gh_ke *ke, struct gh_view peer_public, struct gh_secret *out);

/* The responder's whole part: our public value, gh_ke_public_len(group, true) octets, and the
 * secret. False: as above, and nothing is written. */
bool gh_ke_answer(unsigned group, struct gh_view seed, struct gh_view peer_public,
                  uint8_t public_value[GH_KE_PUBLIC_MAX], struct gh_secret *out);

#endif

/*
 * AUTH: how one side proves who it is. Signatures (methods 1, 9 to 11, 14), pre-shared keys (2) and
 * no proof at all (13, RFC 7619).
 *
 * `octets` are always the whole of InitiatorSignedOctets or ResponderSignedOctets (RFC 7296 2.15,
 * with RFC 9242's additions where it was used).
 */
#ifndef GH_PKI_AUTH_H
#define GH_PKI_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"
#include "crypto/prf.h"
#include "pki/error.h"
#include "pki/privkey.h"
#include "pki/pubkey.h"
#include "wire/wr.h"

/* IANA's "IKEv2 Authentication Method". */
enum gh_auth_method {
    GH_AUTH_RSA = 1,
    GH_AUTH_PSK = 2,
    GH_AUTH_ECDSA_256 = 9,
    GH_AUTH_ECDSA_384 = 10,
    GH_AUTH_ECDSA_521 = 11,
    GH_AUTH_NULL = 13,
    GH_AUTH_DIGITAL = 14
};

/* IANA's "IKEv2 Hash Algorithms", as SIGNATURE_HASH_ALGORITHMS lists them. */
enum gh_sig_hash {
    GH_SIG_SHA1 = 1,
    GH_SIG_SHA2_256 = 2,
    GH_SIG_SHA2_384 = 3,
    GH_SIG_SHA2_512 = 4,
    GH_SIG_IDENTITY = 5 /* RFC 8420: Ed25519 and Ed448 */
};

/* Sets of methods and hashes are masks. */
#define GH_BIT(value) (1u << (value))
#define GH_SIG_DEFAULT                                                                             \
    (GH_BIT(GH_SIG_SHA2_256) | GH_BIT(GH_SIG_SHA2_384) | GH_BIT(GH_SIG_SHA2_512) |                 \
     GH_BIT(GH_SIG_IDENTITY))
#define GH_AUTH_SIGNATURES                                                                         \
    (GH_BIT(GH_AUTH_RSA) | GH_BIT(GH_AUTH_ECDSA_256) | GH_BIT(GH_AUTH_ECDSA_384) |                 \
     GH_BIT(GH_AUTH_ECDSA_521) | GH_BIT(GH_AUTH_DIGITAL))

enum {
    GH_AUTH_DATA_MAX = 2 * 1024 + 128, /* of a signature: RSA of 16384 bits and its algorithm */
    GH_AUTH_BODY_MAX = 4 + GH_AUTH_DATA_MAX,
    GH_RSA_BITS_MIN = 2048
};

/* The octets of a SIGNATURE_HASH_ALGORITHMS notification ↔ a set; unknown hashes are left out. */
unsigned gh_sig_hashes_parse(struct gh_view data);
void gh_sig_hashes_put(struct gh_wr *w, unsigned hashes);

/* How to sign. */
struct gh_sign_params {
    uint8_t method, hash;
    bool pss;
};
const char *gh_auth_method_name(uint8_t method);
const char *gh_sig_hash_name(uint8_t hash);

/* How a key is to sign for a peer. peer_hashes: what it listed; 0: it sent no list (then the
 * digital signature method is out). our_hashes: what we allow ourselves. False: there is no way,
 * and the reason. */
bool gh_auth_choose(enum gh_key_type type, unsigned bits, bool pss, unsigned peer_hashes,
                    unsigned our_hashes, struct gh_sign_params *out, struct gh_pki_error *e);

/* Writes the AUTH payload's body (method, reserved, data). out holds GH_AUTH_BODY_MAX. */
bool gh_auth_sign(const struct gh_privkey *k, const struct gh_sign_params *params,
                  struct gh_view octets, uint8_t *out, size_t *len, struct gh_pki_error *e);

/* What we take from a peer. */
struct gh_auth_accept {
    unsigned methods;    /* GH_BIT(GH_AUTH_…) */
    unsigned hashes;     /* of the digital signature method: what we listed to the peer */
    unsigned rsa_hashes; /* of method 1, whose hash is not negotiated and SHA-1 by default */
    unsigned rsa_bits;   /* least of an RSA key; 0: GH_RSA_BITS_MIN */
};
/* Signatures only; GH_AUTH_PSK and GH_AUTH_NULL are compared with gh_auth_equal(). */
bool gh_auth_verify(const struct gh_pubkey *k, const struct gh_auth_accept *accept,
                    struct gh_view body, struct gh_view octets, struct gh_pki_error *e);

/* prf(prf(secret, "Key Pad for IKEv2"), octets): gh_prf_len(prf) octets. With SK_pi or SK_pr for
 * the secret it is NULL authentication's, and EAP's without a key; with the MSK EAP's with one. */
bool gh_auth_psk(enum gh_prf_alg prf, struct gh_view secret, struct gh_view octets,
                 uint8_t out[64]);
/* Is the peer's AUTH body this method and this value? In constant time. */
bool gh_auth_equal(struct gh_view body, uint8_t method, struct gh_view value);

#endif

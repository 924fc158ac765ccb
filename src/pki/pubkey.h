/*
 * Public keys: of certificates, and raw ones (RFC 7670), which are a SubjectPublicKeyInfo alone.
 *
 * Opaque over OpenSSL's keys; whoever made one frees it.
 */
#ifndef GH_PKI_PUBKEY_H
#define GH_PKI_PUBKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"
#include "pki/error.h"

enum { GH_SPKI_HASH = 20 }; /* SHA-1, as CERTREQ names an authority */

enum gh_key_type {
    GH_KEY_NONE,
    GH_KEY_RSA,
    GH_KEY_RSA_PSS, /* may sign by RSASSA-PSS only */
    GH_KEY_ECDSA_P256,
    GH_KEY_ECDSA_P384,
    GH_KEY_ECDSA_P521,
    GH_KEY_ECDSA_OTHER, /* another named curve, Brainpool's: for the digital signature method */
    GH_KEY_ED25519,
    GH_KEY_ED448
};

struct gh_pubkey;

/* From a SubjectPublicKeyInfo in DER that fills the view. NULL: not one, or of a kind that signs
 * nothing in IKE. */
struct gh_pubkey *gh_pubkey_parse(struct gh_view spki, struct gh_pki_error *e);
void gh_pubkey_free(struct gh_pubkey *k); /* NULL is fine */

enum gh_key_type gh_pubkey_type(const struct gh_pubkey *k);
unsigned gh_pubkey_bits(const struct gh_pubkey *k);
struct gh_view gh_pubkey_spki(const struct gh_pubkey *k);
const uint8_t *gh_pubkey_hash(const struct gh_pubkey *k); /* GH_SPKI_HASH octets */
/* That a raw key is the one which the configuration names. */
bool gh_pubkey_equal(const struct gh_pubkey *a, const struct gh_pubkey *b);

/* "RSA", "ECDSA P-256" … */
const char *gh_key_type_name(enum gh_key_type t);

#endif

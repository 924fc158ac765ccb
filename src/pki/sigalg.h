/*
 * The AlgorithmIdentifiers of the digital signature method (RFC 7427): DER ↔ scheme and hash.
 */
#ifndef GH_PKI_SIGALG_H
#define GH_PKI_SIGALG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

enum gh_sig_scheme {
    GH_SCHEME_RSA_PKCS1,
    GH_SCHEME_RSA_PSS,
    GH_SCHEME_ECDSA,
    GH_SCHEME_ED25519,
    GH_SCHEME_ED448
};

struct gh_sigalg {
    enum gh_sig_scheme scheme;
    uint8_t hash;  /* enum gh_sig_hash */
    unsigned salt; /* octets, of PSS */
};

/* What we send: the encoding that each algorithm's specification prefers. Empty: there is none. */
struct gh_view gh_sigalg_der(enum gh_sig_scheme scheme, uint8_t hash);
/* What a peer sent: other encodings of the same too (parameters NULL or absent, defaults written
 * out). False: unknown, or parameters that make no sense. */
bool gh_sigalg_parse(struct gh_view der, struct gh_sigalg *out);

#endif

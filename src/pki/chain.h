/*
 * Chains by the search for issuers: subject = issuer, authority key identifier = subject key
 * identifier if both are there, key usage allows signing if present, and the signature verifies.
 *
 * For what we know ourselves: which CAs stand above a certificate of ours. Whether a peer is to be
 * believed is trust.h's question.
 */
#ifndef GH_PKI_CHAIN_H
#define GH_PKI_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "pki/cert.h"

enum { GH_CHAIN_CAS = 7, GH_CHAIN_MAX = 1 + GH_CHAIN_CAS };

/* The end entity first, each issued by the next. Holds references. Zero-initialised is empty. */
struct gh_chain {
    struct gh_cert *certs[GH_CHAIN_MAX];
    size_t count;
};

void gh_chain_clear(struct gh_chain *c);
bool gh_chain_has(const struct gh_chain *c, const struct gh_cert *cert);

/* Did `issuer` issue it? */
bool gh_cert_issued_by(const struct gh_cert *c, const struct gh_cert *issuer);

/* From `leaf` upwards through `known`, as far as it goes: it may be the leaf alone. True: it ends
 * in a self-signed certificate. */
bool gh_chain_build(struct gh_cert *leaf, struct gh_cert *const *known, size_t count,
                    struct gh_chain *out);

#endif

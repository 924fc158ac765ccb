/*
 * A trust-anchor profile: up to eight CAs, one of which must stand in a peer's chain.
 *
 * An anchor need not be self-signed. The chain starts at the first certificate that the peer sent;
 * the others it sent, and CAs that we know but do not trust by themselves, help to reach an anchor.
 * The verdict comes with the chain that was verified, leaf first, so that its revocation can be
 * looked at.
 */
#ifndef GH_PKI_TRUST_H
#define GH_PKI_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/cert.h"
#include "pki/chain.h"
#include "wire/wr.h"

enum { GH_TRUST_ANCHORS = 8, GH_TRUST_KNOWN = 128, GH_PEER_CERTS = 16 };

struct gh_trust;

/* name: what messages call it. NULL: no memory. */
struct gh_trust *gh_trust_new(const char *name);
void gh_trust_free(struct gh_trust *t);

/* An anchor; takes a reference of its own. Refused: the ninth, the same again, what
 * gh_cert_may_issue() refuses (validity is left to each verification: a CA that expires later fails
 * then). */
bool gh_trust_add(struct gh_trust *t, struct gh_cert *ca, struct gh_pki_error *e);
/* A CA that may stand between a peer and an anchor; takes a reference of its own. */
bool gh_trust_know(struct gh_trust *t, struct gh_cert *ca, struct gh_pki_error *e);
size_t gh_trust_count(const struct gh_trust *t);
const struct gh_cert *gh_trust_anchor(const struct gh_trust *t, size_t i);

/* sent[0]: whose key signed AUTH. Verifies the chain and gh_cert_may_sign() at `now`, an argument
 * and never the system's clock. `chain` (to be cleared) is set if it is good; NULL is fine. */
bool gh_trust_verify(const struct gh_trust *t, struct gh_cert *const *sent, size_t count,
                     int64_t now, struct gh_chain *chain, struct gh_pki_error *e);

/* The CERTREQ payload's body that asks for a certificate under these anchors. */
void gh_trust_put_certreq(const struct gh_trust *t, struct gh_wr *w);

#endif

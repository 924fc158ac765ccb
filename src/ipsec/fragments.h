/*
 * The ports of fragments: what a datagram's first fragment says of it holds for its later ones
 * (RFC 4301 7.3, 7.4). Told by their ID, within a scope of the caller's.
 *
 * A table of fixed size: when its places are taken, the oldest goes. Time is a parameter. A later
 * fragment that comes before its first one is not known.
 */
#ifndef IPSEC_FRAGMENTS_H
#define IPSEC_FRAGMENTS_H

#include "base/siphash.h"
#include "ipsec/selector.h"

/* FRAGMENTS_MS: longer than a network keeps the fragments of a datagram apart, shorter than a
 * sender's IDs come round again. */
enum { IPSEC_FRAGMENTS_SETS = 256, IPSEC_FRAGMENTS_WAYS = 4, IPSEC_FRAGMENTS_MS = 15000 };

/* Who sees the same fragments: a place's policies, or an SA. */
enum ipsec_fragments_scope { IPSEC_FRAGMENTS_PLACE, IPSEC_FRAGMENTS_SA };

struct ipsec_fragments;

/* ms: how long a first fragment counts. NULL: no memory. */
struct ipsec_fragments *ipsec_fragments_new(const struct gh_hash_seed *seed, uint64_t ms);
void ipsec_fragments_free(struct ipsec_fragments *t); /* NULL is fine */

/* f: of a first fragment whose ports can be seen; others are not kept. */
void ipsec_fragments_keep(struct ipsec_fragments *t, uint64_t now_ms,
                          enum ipsec_fragments_scope scope, uint64_t number,
                          const struct ipsec_flow *f);
/* f: of a later fragment. *out is then the same with the ports and the protocol of its first one.
 * False: that is not known, or this one could lie over its header (RFC 1858 3, RFC 4301 7.2). */
bool ipsec_fragments_find(const struct ipsec_fragments *t, uint64_t now_ms,
                          enum ipsec_fragments_scope scope, uint64_t number,
                          const struct ipsec_flow *f, struct ipsec_flow *out);

/* A later fragment could lie over what selectors and filters look at in the first one. */
bool ipsec_fragment_overlaps(const struct ipsec_flow *f);

#endif

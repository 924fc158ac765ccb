/*
 * What this kernel's IPsec has, found out by trying: SAs are added in a network namespace made for
 * it, so that nobody hears of them.
 *
 * Called once at the start, by the process that may make namespaces; it must have one thread. It
 * may make the kernel load modules.
 */
#ifndef GH_PLATFORM_XFRM_PROBE_H
#define GH_PLATFORM_XFRM_PROBE_H

#include "platform/xfrm_message.h"

struct gh_xfrm_support {
    bool esp[2], ah[2], encapsulation[2]; /* over IPv4, over IPv6; the latter: UDP around ESP */
    bool interfaces;                      /* gh_xfrm_tie.if_id */
    uint32_t window;                      /* the largest replay window */
    uint32_t enc, integ;                  /* bit n: algorithm n of crypto/cipher.h, in ESP */
};

/* 0, or a negative errno, of which `why` says more: EPROTONOSUPPORT without XFRM or without ESP,
 * and all of *out is false then. */
int gh_xfrm_probe(struct gh_xfrm_support *out, struct gh_xfrm_why *why);

/* True if SAs with these algorithms can be given to the kernel. */
bool gh_xfrm_has(const struct gh_xfrm_support *s, enum ipsec_protocol protocol, enum gh_enc_alg enc,
                 enum gh_integ_alg integ);

#endif

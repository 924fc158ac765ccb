/*
 * Selectors of the core, which are ranges, as selectors of XFRM, which are prefixes and masks of
 * ports. Pure; for xfrm_sa.c, xfrm_policy.c and xfrm.c.
 */
#ifndef GH_PLATFORM_XFRM_SELECT_H
#define GH_PLATFORM_XFRM_SELECT_H

#include "platform/xfrm_message.h"

enum { GH_XFRM_EXPANDED = 256 };

/* All that together are `s`, of packets in direction `dir` (XFRM_POLICY_OUT, …). Their number; 0:
 * the kernel cannot, or they would be more than GH_XFRM_EXPANDED. */
size_t gh_xfrm_expand(const struct ipsec_selector *s, uint8_t dir,
                      struct xfrm_selector out[GH_XFRM_EXPANDED], struct gh_xfrm_why *why);

void gh_xfrm_address(const struct gh_addr *a, xfrm_address_t *out);
/* No address, if the family is neither IPv4 nor IPv6. */
struct gh_addr gh_xfrm_address_of(const xfrm_address_t *a, uint16_t family);
uint16_t gh_xfrm_family(const struct gh_addr *a);

#endif

/*
 * Algorithms as Linux calls them: one attribute of an XFRM message each. Pure; for xfrm_sa.c.
 */
#ifndef GH_PLATFORM_XFRM_ALGS_H
#define GH_PLATFORM_XFRM_ALGS_H

#include "platform/xfrm_message.h"

/* Writes the attributes, keys included. False: Linux has no such algorithm for this protocol, or
 * the keys do not have its length. */
bool gh_xfrm_put_algs(struct gh_wr *w, enum ipsec_protocol protocol,
                      const struct ipsec_crypt_algs *algs, struct gh_xfrm_why *why);

#endif

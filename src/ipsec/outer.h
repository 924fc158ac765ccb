/*
 * The header of a tunnel (RFC 4301 5.1.2). Pure.
 */
#ifndef IPSEC_OUTER_H
#define IPSEC_OUTER_H

#include "ipsec/work.h"

/* The addresses' length is the version. */
size_t ipsec_outer_len(const struct gh_addr *local);
/* Writes it at `at`, by the SA's rules, around the packet of w->layout; `total` octets, header
 * included. False: more than it can say. */
bool ipsec_outer_put(const struct ipsec_work *w, uint8_t *at, size_t total, uint8_t protocol);

#endif

/*
 * Explicit congestion notification across a tunnel (RFC 6040). A field is two bits. Pure.
 */
#ifndef IPSEC_ECN_H
#define IPSEC_ECN_H

#include <stdbool.h>
#include <stdint.h>

enum ipsec_ecn { IPSEC_NOT_ECT = 0, IPSEC_ECT_1 = 1, IPSEC_ECT_0 = 2, IPSEC_CE = 3 };

/* The outer field. normal: as the inner one (4.1); else the compatibility mode, for a peer whose
 * decapsulation does not know ECN. */
static inline uint8_t ipsec_ecn_outer(uint8_t inner, bool normal)
{
    return normal ? inner : IPSEC_NOT_ECT;
}

/* The inner field after decapsulation (4.2, figure 4). False: the packet must be dropped. */
bool ipsec_ecn_inner(uint8_t inner, uint8_t outer, uint8_t *result);

#endif

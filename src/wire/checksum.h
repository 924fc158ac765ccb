/*
 * The Internet checksum (RFC 1071) of IPv4, TCP and ICMP.
 *
 * A sum is a plain number: the 16-bit words added up. Sums of pieces may be added to one another
 * (each piece but the last of even length), a word `v` that changes is taken out by adding
 * (uint16_t)~v, and gh_sum_fold() makes the checksum of it at the end. Pure.
 */
#ifndef GH_WIRE_CHECKSUM_H
#define GH_WIRE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* `start` plus the sum of the octets. Adds less than 65536 to it, whatever the length. */
uint32_t gh_sum(const void *data, size_t len, uint32_t start);

/* The pseudo-header of IPv4 (RFC 9293 3.1) and IPv6 (RFC 8200 8.1), by the addresses' length. */
uint32_t gh_sum_pseudo(const struct gh_addr *src, const struct gh_addr *dst, uint8_t protocol,
                       uint32_t l4_len);

/* The checksum field's value, in host byte order; 0 for a range that includes its right checksum.
 */
uint16_t gh_sum_fold(uint32_t sum);

#endif

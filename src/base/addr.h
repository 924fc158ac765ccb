/*
 * IP addresses and prefixes as values. Text goes in and out here and nowhere else.
 */
#ifndef GH_BASE_ADDR_H
#define GH_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GH_ADDR_TEXT = 48, GH_PREFIX_TEXT = 56 };

struct gh_addr {
    uint8_t octets[16]; /* network byte order; the first `len` count, the rest is zero */
    uint8_t len;        /* 4, 16, or 0: no address */
};

struct gh_prefix {
    struct gh_addr addr; /* host bits are zero */
    uint8_t bits;        /* 0 … 32 or 128 */
};

bool gh_addr_parse(const char *text, struct gh_addr *out);
const char *gh_addr_format(const struct gh_addr *a, char buf[GH_ADDR_TEXT]);
bool gh_addr_equal(const struct gh_addr *a, const struct gh_addr *b);
/* From raw octets of a packet: len is 4 or 16. */
struct gh_addr gh_addr_from(const uint8_t *octets, uint8_t len);
/* As an IPv6 socket writes it: an IPv4-mapped address is IPv4. */
struct gh_addr gh_addr_from_v6(const uint8_t v6[16]);
bool gh_addr_is_mapped(const uint8_t v6[16]);
/* 0.0.0.0 or ::, or no address. */
bool gh_addr_is_any(const struct gh_addr *a);
/* How many leading bits two addresses of one IP version have in common. */
unsigned gh_addr_common_bits(const struct gh_addr *a, const struct gh_addr *b);
bool gh_bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits);
/* Nothing is set beyond the first `bits`. */
bool gh_host_bits_clear(const uint8_t *addr, size_t len, unsigned bits);

/* "192.0.2.0/24" or an address alone (a host prefix). False also when host bits are set. */
bool gh_prefix_parse(const char *text, struct gh_prefix *out);
const char *gh_prefix_format(const struct gh_prefix *p, char buf[GH_PREFIX_TEXT]);
/* Below, equal to or above 0: an order of IP version, address and length, so that what is in a
 * prefix follows it, and what follows it is in it until something is not. */
int gh_prefix_compare(const struct gh_prefix *a, const struct gh_prefix *b);
bool gh_prefix_equal(const struct gh_prefix *a, const struct gh_prefix *b);
bool gh_prefix_contains(const struct gh_prefix *p, const struct gh_addr *a);
bool gh_prefix_overlaps(const struct gh_prefix *a, const struct gh_prefix *b);
/* True for a prefix that names exactly one address. */
bool gh_prefix_is_host(const struct gh_prefix *p);

#endif

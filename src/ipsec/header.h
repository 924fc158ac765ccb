/*
 * IP headers around IPsec: how a packet is laid out, and what changes in its header.
 *
 * Called by ESP and AH. Pure; positions are offsets into the packet.
 */
#ifndef IPSEC_HEADER_H
#define IPSEC_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum {
    IPSEC_PROTO_IPV4 = 4,
    IPSEC_PROTO_UDP = 17,
    IPSEC_PROTO_IPV6 = 41,
    IPSEC_PROTO_ESP = 50,
    IPSEC_PROTO_AH = 51,
    IPSEC_PROTO_NONE = 59
};

enum { IPSEC_IPV4_HEADER = 20, IPSEC_IPV6_HEADER = 40, IPSEC_UDP_HEADER = 8 };

struct ipsec_layout {
    uint8_t version;
    uint8_t ds; /* DSCP and ECN, as one octet */
    bool df;    /* must not be fragmented on its way; IPv6 never is */
    bool fragment;
    bool source_routed; /* has not come to its last destination yet */
    size_t total_len;
    /* Where ESP or AH goes in transport mode (RFC 4303 3.1.1): behind the headers for hops on the
     * way; and the octet that names what is there now. */
    size_t insert_at, insert_next_at;
    /* The first that is no extension header (AH counts as none), and the octet that names it. */
    size_t l4_at, l4_next_at;
    struct gh_addr src, dst;
};

/* A whole packet; octets behind its total length do not count. False: malformed. */
bool ipsec_layout_read(const uint8_t *packet, size_t len, struct ipsec_layout *out);

/* After octets went in or out behind the header: its length and what follows, and the checksum.
 * False: the length does not fit. */
bool ipsec_header_fix(uint8_t *packet, size_t total, size_t next_at, uint8_t next);
/* Of an IPv4 header, options included. */
void ipsec_header_set_checksum(uint8_t *header);
/* DSCP and ECN of a header; the IPv4 checksum follows. */
void ipsec_header_set_ds(uint8_t *packet, uint8_t ds);

#endif

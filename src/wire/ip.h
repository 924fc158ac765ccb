/*
 * What a packet says of itself: IPv4 and IPv6 headers, TCP headers, and the packet inside an ICMP
 * error.
 *
 * Called by the TCP-AO engine for each packet and by the capture reader. Pure; owns nothing: the
 * results are numbers and copies of addresses, positions are offsets into the caller's bytes. No
 * checksum is verified here: a packet that comes from, or goes to, a network card with checksum
 * offload often carries a partial one.
 */
#ifndef GH_WIRE_IP_H
#define GH_WIRE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum gh_ip_result {
    GH_IP_OK,
    GH_IP_CUT,       /* the headers are whole, but fewer octets are here than they promise */
    GH_IP_MALFORMED, /* not to be trusted: nothing in the result counts */
    GH_IP_NOT_ERROR  /* gh_icmp_embedded() only: a message that carries no packet */
};

enum gh_ip_protocol { GH_IP_ICMP = 1, GH_IP_TCP = 6, GH_IP_ICMPV6 = 58 };

struct gh_ip_packet {
    uint8_t version;  /* 4 or 6 */
    uint8_t protocol; /* of what follows the headers; 50 (ESP), 59 (none) and 135 (mobility, a
                         protocol to RFC 4301 4.4.1.1) end the IPv6 chain */
    bool fragment;    /* a part of a datagram; an IPv6 "atomic fragment" is none */
    uint16_t fragment_offset; /* octets; only at 0 do the L4 ports follow */
    uint32_t fragment_id;     /* IPv4: always there; IPv6: of a fragment header */
    struct gh_addr src, dst;
    size_t header_len; /* with IPv4 options or IPv6 extension headers: L4 starts here */
    size_t l4_len;     /* octets of L4 that are here (padding after the packet does not count) */
    size_t total_len;  /* as the header says; header_len + l4_len unless the packet is CUT */
};

/* OK, CUT or MALFORMED. `data` starts at the IP header; octets after the packet are ignored. */
enum gh_ip_result gh_ip_parse(const uint8_t *data, size_t len, struct gh_ip_packet *out);

enum gh_tcp_flag {
    GH_TCP_FIN = 0x01,
    GH_TCP_SYN = 0x02,
    GH_TCP_RST = 0x04,
    GH_TCP_PSH = 0x08,
    GH_TCP_ACK = 0x10,
    GH_TCP_URG = 0x20
};

struct gh_tcp_segment {
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint8_t flags;
    uint16_t window;
    uint16_t checksum;
    size_t header_len;  /* 20 … 60: the payload starts here */
    size_t payload_len; /* octets that are here */
};

/* OK, or MALFORMED: shorter than its header or a data offset below 5. */
enum gh_ip_result gh_tcp_parse(const uint8_t *data, size_t len, struct gh_tcp_segment *out);

/* The packet that an ICMP error is about, as far as routers must quote it (RFC 792: 8 octets of
 * L4). Its source is whoever sent the quoted packet. */
struct gh_icmp_error {
    uint8_t type, code;
    uint32_t mtu; /* of "fragmentation needed" and "packet too big"; otherwise 0 */
    uint8_t protocol;
    struct gh_addr src, dst;
    uint16_t src_port, dst_port; /* ports and seq: of a first fragment or a whole TCP packet, */
    uint32_t seq;                /* otherwise zero */
};

/* A type of ICMP that quotes a packet (RFC 792, RFC 4443). */
bool gh_icmp_is_error(uint8_t version, uint8_t type);

/* `data` is the L4 part of a packet whose protocol is GH_IP_ICMP or GH_IP_ICMPV6; `version` that of
 * its IP header. OK, NOT_ERROR (echo, neighbour discovery …) or MALFORMED. */
enum gh_ip_result gh_icmp_embedded(uint8_t version, const uint8_t *data, size_t len,
                                   struct gh_icmp_error *out);

#endif

/*
 * ICMP errors that quote a packet of a tunnel or an SA, so that it can be told what became of it
 * (RFC 4301 8.2, RFC 2473 8, RFC 2003 4). They are not authenticated: what is believed of them is
 * for the caller to decide; tunnel_quote_fits() sorts out who has not even seen the packet. Pure.
 */
#ifndef TUNNEL_QUOTE_H
#define TUNNEL_QUOTE_H

#include "base/addr.h"
#include "tunnel/result.h"

#include <stddef.h>
#include <stdint.h>

enum tunnel_quote_kind {
    TUNNEL_QUOTE_TOO_BIG,
    TUNNEL_QUOTE_UNREACHABLE,
    TUNNEL_QUOTE_TIME_EXCEEDED,
    TUNNEL_QUOTE_PARAMETER,
    TUNNEL_QUOTE_OTHER
};

struct tunnel_quote {
    enum tunnel_quote_kind kind;
    uint8_t version, type, code;
    uint32_t mtu;                 /* TOO_BIG: as it says; IPv4 0: a router from before RFC 1191 */
    struct gh_addr from;          /* who says so */
    struct gh_addr local, remote; /* source and destination of the quoted packet */
    uint8_t protocol;             /* of the quoted packet: 50, 51, 17, 47, 4, 41 … */
    size_t total_len;             /* of the quoted packet, as its header says */
    uint16_t local_port, remote_port; /* UDP */
    bool has_spi;                     /* ESP and AH, also in UDP (if it is; IKE there has SPI 0) */
    uint32_t spi, seq;
    bool has_seq;
    bool has_gre_key;
    uint32_t gre_key;
};

/* A whole ICMP packet with its IP header. OK, MALFORMED, NOT_QUOTED, or ICMP_CHECKSUM. */
enum tunnel_result tunnel_quote_read(const uint8_t *packet, size_t len, struct tunnel_quote *out);

/* An outgoing SA. */
struct tunnel_quote_sa {
    struct gh_addr local, remote;
    uint8_t protocol;     /* 50 or 51 */
    uint16_t remote_port; /* UDP encapsulation, or 0 */
    uint32_t spi;
    uint64_t seq; /* the last that was used */
};

/* The quoted packet may be one of the last `window` that the SA sent: who is not on the path
 * cannot know which they are. */
bool tunnel_quote_fits(const struct tunnel_quote *q, const struct tunnel_quote_sa *sa,
                       uint32_t window);

#endif

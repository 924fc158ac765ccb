/*
 * Selectors (RFC 4301 4.4.1.1): which packets a policy or an SA is for; and what they are compared
 * with, the flow of a packet.
 *
 * Local is the protected side: the source of what goes out, the destination of what comes in. A
 * port is the number of TCP, UDP, SCTP, DCCP and UDP-Lite. ICMP's type and code (type in the high
 * octet) stand in place of the port on the side of whoever sends; the port of the other side is
 * then not looked at (4.4.1.3, examples C and D). 0 … 65535 is ANY, also for packets without ports;
 * 65535 … 0 is OPAQUE: only packets whose ports cannot be seen. IKE's selectors (src/ike/ts.h) say
 * the same in the same numbers. The type of a Mobility Header stands as ICMP's does, in the high
 * octet, the low one 0. Other IPv6 extension headers are stepped over.
 */
#ifndef IPSEC_SELECTOR_H
#define IPSEC_SELECTOR_H

#include "base/addr.h"

enum ipsec_way { IPSEC_OUT, IPSEC_IN }; /* towards, or from, the unprotected side */

struct ipsec_range {
    struct gh_addr start, end; /* inclusive */
    uint16_t start_port, end_port;
};

struct ipsec_selector {
    struct ipsec_range local, remote;
    uint8_t protocol; /* 0: any */
};

struct ipsec_flow {
    struct gh_addr local, remote;
    uint16_t local_port, remote_port;
    uint8_t protocol;
    bool ports;               /* they can be seen: no later fragment, no truncated header */
    bool one_sided;           /* ICMP, mobility: only the sender's side has a "port" */
    bool fragment;            /* of either kind */
    uint16_t fragment_offset; /* octets */
    uint32_t fragment_id;     /* of a fragment */
    enum ipsec_way way;
};

/* A selector for all packets between two prefixes of the same IP version. */
struct ipsec_selector ipsec_selector_between(const struct gh_prefix *local,
                                             const struct gh_prefix *remote);
/* Ranges that begin before they end, both sides of the same IP version. */
bool ipsec_selector_valid(const struct ipsec_selector *s);
bool ipsec_selector_equal(const struct ipsec_selector *a, const struct ipsec_selector *b);
bool ipsec_flow_equal(const struct ipsec_flow *a, const struct ipsec_flow *b);
/* Both sides: only packets whose ports cannot be seen, on one side at least. */
bool ipsec_selector_is_opaque(const struct ipsec_selector *s);
bool ipsec_selector_matches(const struct ipsec_selector *s, const struct ipsec_flow *f);

/* Reads a whole IP packet. *len is cut to the length that its header says. False: malformed, or
 * fewer octets than promised. */
bool ipsec_flow_of(const uint8_t *packet, size_t *len, enum ipsec_way way, struct ipsec_flow *f);
/* It is an ICMP error, of which its type can be seen. */
bool ipsec_flow_is_error(const struct ipsec_flow *f);
/* The flow of the packet that an ICMP error is about, which went the other way (RFC 4301 6.2). `f`
 * is the error's own. False: no ICMP error, or what it quotes is not well-formed. */
bool ipsec_flow_quoted(const uint8_t *packet, size_t len, const struct ipsec_flow *f,
                       struct ipsec_flow *quoted);

#endif

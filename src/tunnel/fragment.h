/*
 * Fragments: what a packet says of being one, and cutting a packet into them (RFC 791 3.2, RFC 8200
 * 4.5). Both before a tunnel's headers go on (IPv4 only: routers fragment no IPv6) and after, where
 * the tunnel's entry is the source. Pure.
 */
#ifndef TUNNEL_FRAGMENT_H
#define TUNNEL_FRAGMENT_H

#include "base/addr.h"
#include "ipsec/packet.h"
#include "tunnel/result.h"

enum { TUNNEL_FRAGMENT_HEADER = 8, TUNNEL_FRAGMENT_NONE = 59 };

struct tunnel_fragment {
    uint8_t version;
    uint8_t ds;       /* DSCP and ECN, as one octet */
    uint8_t ttl;      /* or hop limit */
    bool is_fragment; /* a part of a datagram */
    bool atomic;      /* IPv6: a Fragment header, yet the whole datagram (RFC 6946) */
    bool df, more;
    uint8_t protocol;         /* IPv4: what is in the datagram; IPv6: behind the Fragment header */
    uint32_t id;              /* IPv4: 16 bits */
    uint32_t offset;          /* octets */
    size_t header_len;        /* IPv4: the header; IPv6: the headers before the Fragment header */
    size_t next_at;           /* IPv6: the octet that names the Fragment header */
    size_t data_at, data_len; /* this part of the datagram */
    size_t total_len;         /* of the packet, as its header says */
    struct gh_addr src, dst;
};

/* OK, also for what is no fragment; or MALFORMED. Octets behind the packet do not count. */
enum tunnel_result tunnel_fragment_read(const uint8_t *packet, size_t len,
                                        struct tunnel_fragment *out);
/* Of a packet that an ICMP error quotes, of which the end may be missing; data_len is what is
 * there. */
enum tunnel_result tunnel_fragment_read_quoted(const uint8_t *packet, size_t len,
                                               struct tunnel_fragment *out);

/* A whole IPv4 header: the packet may be fragmented from here on. With an identification of ours,
 * since the sender of an atomic datagram need not have set one (RFC 6864 4.1); a fragment keeps the
 * one that it shares with the others. Of IPv6, nothing changes. */
void tunnel_clear_df(uint8_t *packet, uint16_t id);

/* Cutting, fragment by fragment; borrows the packet. */
struct tunnel_cut {
    const uint8_t *packet;
    struct tunnel_fragment whole;
    size_t data_at, data_len, per_fragment, done;
    uint32_t id;
    uint8_t next; /* IPv6: of the first header behind the cut */
    size_t next_at;
};

/* No fragment will be larger than `mtu`, and all but the last as large as it allows. id: of the
 * fragments of an IPv6 packet, not used lately between its addresses; IPv4 keeps its own. OK,
 * MALFORMED, or TOO_BIG: DF, an IPv6 packet that has a Fragment header, or an MTU that leaves no
 * room for data. */
enum tunnel_result tunnel_cut_begin(struct tunnel_cut *c, const uint8_t *packet, size_t len,
                                    size_t mtu, uint32_t id);
/* More to come. */
static inline bool tunnel_cut_more(const struct tunnel_cut *c)
{
    return c->done < c->data_len;
}
/* The next fragment, to out->mem + out->at; the packet must not lie there. OK or NO_ROOM. */
enum tunnel_result tunnel_cut_next(struct tunnel_cut *c, struct ipsec_packet *out);

#endif

/*
 * How large packets may be: `ip-mtu` before a tunnel's headers go on, `encapsulated-ip-mtu` after,
 * and what the path takes (pmtu.h). Pure.
 */
#ifndef TUNNEL_MTU_H
#define TUNNEL_MTU_H

#include "ipsec/packet.h"
#include "tunnel/result.h"

enum { TUNNEL_MTU_MIN = 512, TUNNEL_MTU_MAX = 9000, TUNNEL_IPV6_MTU_MIN = 1280 };

/* IPv6 packets larger than ip-mtu. */
enum tunnel_mtu_ipv6 {
    /* RFC 8200 5, RFC 2473 7.1: what has more than 1280 octets is dropped, and its sender told so;
     * the rest goes whole, and may be fragmented outside. */
    TUNNEL_MTU_IPV6_DROP,
    /* As some routers were documented: what has less than 1280 octets is dropped, larger goes
     * whole. */
    TUNNEL_MTU_IPV6_WHOLE
};

struct tunnel_mtu {
    uint16_t ip_mtu;              /* 512 to 9000; 0: none */
    uint16_t encapsulated_ip_mtu; /* 512 to 9000; 0: none */
    bool clear_df;                /* IPv4 packets that are larger are fragmented in spite of DF */
    enum tunnel_mtu_ipv6 ipv6;
};

bool tunnel_mtu_valid(const struct tunnel_mtu *m);
/* ip-mtu and so many octets of headers are more than encapsulated-ip-mtu: every full packet will be
 * fragmented after encapsulation. Worth a warning. */
bool tunnel_mtu_conflict(const struct tunnel_mtu *m, size_t overhead);

/* A packet that is to go into a tunnel. path: what it may have so that with its headers it fits the
 * path; 0: not known. ip_id: for a packet whose DF is cleared. OK; TO_FRAGMENT (tunnel_cut_begin()
 * by p->mtu); TOO_BIG (tunnel_icmp_too_big() with p->mtu); MALFORMED. */
enum tunnel_result tunnel_mtu_before(const struct tunnel_mtu *m, uint16_t path, uint16_t ip_id,
                                     struct ipsec_packet *p);
/* What came out of a tunnel's entry; path: what the path takes, 0: not known. OK, or TO_FRAGMENT:
 * DF has been cleared, for it would be fragmented by its own source. */
enum tunnel_result tunnel_mtu_after(const struct tunnel_mtu *m, uint16_t path, uint16_t ip_id,
                                    struct ipsec_packet *p);

#endif

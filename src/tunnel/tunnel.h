/*
 * IP tunnels: GRE (RFC 2784, RFC 2890) and IP in IP (RFC 2003, RFC 4213, RFC 2473), IPv4 and IPv6
 * inside and outside in any mix. Packets are changed in place (ipsec/packet.h).
 *
 *   going out                                 coming in
 *   tunnel_mtu_before(), tunnel_cut_begin()   tunnel_table_find() (table.h)
 *   tunnel_encapsulate()                      of a fragment: tunnel_reassemble(), and find again
 *   tunnel_mtu_after(), tunnel_cut_begin()    tunnel_decapsulate()
 *
 * Pure: no clock, no randomness, no allocation. A tunnel is for one thread. Not here: forwarding
 * (the TTL of what is inside is the forwarder's, and so is its route), and whether a remote address
 * can be reached.
 */
#ifndef TUNNEL_TUNNEL_H
#define TUNNEL_TUNNEL_H

#include "base/addr.h"
#include "ipsec/packet.h"
#include "tunnel/gre.h"
#include "tunnel/mtu.h"
#include "tunnel/result.h"

enum { TUNNEL_DESTS_MAX = 16, TUNNEL_TTL = 255 };
/* Headers that tunnel_encapsulate() may put in front: IPv6, destination options, GRE. */
enum { TUNNEL_HEADROOM = 40 + 8 + TUNNEL_GRE_HEADER_MAX };

enum tunnel_kind { TUNNEL_GRE, TUNNEL_IP_IP };

/* DF of an IPv4 header outside; what is inside in IPv6 counts as having it (RFC 4213 3.2). */
enum tunnel_df { TUNNEL_DF_COPY, TUNNEL_DF_SET, TUNNEL_DF_CLEAR };

struct tunnel_params {
    uint64_t id; /* the caller's name for it; unique in its table */
    enum tunnel_kind kind;
    uint32_t place;         /* of the packets outside: a VRF or namespace, by a number */
    uint32_t private_place; /* of those inside */
    struct gh_addr local, remote;
    struct gh_addr backup; /* the remote address if the first cannot be reached; or none */
    struct gh_addr dests[TUNNEL_DESTS_MAX]; /* next hops that stand for the tunnel */
    size_t dest_count;

    /* GRE. */
    bool has_send_key, has_receive_key;
    uint32_t send_key, receive_key;
    bool ignore_key; /* without a key to receive: a packet that has one is ours too, and counted */
    bool send_checksum;
    bool send_sequence;
    bool check_sequence; /* what comes out of sequence is dropped (RFC 2890 2.2); not buffered */

    /* The header outside. */
    uint8_t ttl;   /* or hop limit; 0: TUNNEL_TTL */
    bool set_dscp; /* false: the inner DSCP is copied */
    uint8_t dscp;
    bool no_ecn; /* the other end does not know ECN: RFC 6040's compatibility mode */
    enum tunnel_df df;
    bool has_encapsulation_limit; /* IPv6 outside (RFC 2473 4.1.1) */
    uint8_t encapsulation_limit;

    bool reassembly; /* of what comes in; else its fragments are dropped */
    struct tunnel_mtu mtu;
    uint16_t mss; /* TCP's, both ways; 0: not touched */
};

struct tunnel_counts {
    uint64_t packets, octets; /* that went through; octets of the packets inside */
    uint64_t results[TUNNEL_RESULT_COUNT];
};

enum tunnel_reach { TUNNEL_REACH_PRIMARY, TUNNEL_REACH_BACKUP, TUNNEL_REACH_NONE };

struct tunnel {
    struct tunnel_params p;
    enum tunnel_reach reach;                   /* begins with the primary remote address */
    uint32_t switches;                         /* of `reach` */
    uint32_t sent_sequence, received_sequence; /* GRE: the last ones */
    struct tunnel_counts out, in;
    uint64_t key_ignored, sequence_ignored;
};

/* Addresses of one version and not each other's, keys only with GRE, MTUs and numbers in their
 * ranges, no dest twice. */
bool tunnel_params_valid(const struct tunnel_params *p);
void tunnel_init(struct tunnel *t, const struct tunnel_params *p);

/* Which remote address it has now. True: another one than before. */
bool tunnel_set_reach(struct tunnel *t, bool primary, bool backup);
/* NULL: neither can be reached. */
const struct gh_addr *tunnel_remote(const struct tunnel *t);
/* All dests lie in subnets of the private interface; else the tunnel is to stay down. */
bool tunnel_dests_within(const struct tunnel_params *p, const struct gh_prefix *subnets,
                         size_t count);
/* Octets that encapsulation adds (without what RFC 2473's option of the packet inside may need). */
size_t tunnel_overhead(const struct tunnel_params *p);

/* ip_id: of the IPv4 header outside, if it may be fragmented. OK: the packet is the outer one, in
 * the tunnel's place. ENCAPSULATION_LIMIT: *pointer is what tunnel_icmp_parameter() points at. Else
 * why it was dropped. Counted in t->out. */
enum tunnel_result tunnel_encapsulate(struct tunnel *t, uint16_t ip_id, struct ipsec_packet *p,
                                      uint32_t *pointer);

/* The tunnel was found for the packet by tunnel_table_find(). OK: the packet is the inner one, in
 * the private place. KEEPALIVE: the packet is what the other end wants back, as it is, in the
 * tunnel's place; or empty: it is the answer to ours. Else why it was dropped. Counted in t->in. */
enum tunnel_result tunnel_decapsulate(struct tunnel *t, struct ipsec_packet *p);

/* A keepalive of ours: a packet to us in a packet to the other end, at p->at. IPv4 only, without a
 * sequence number, as Cisco's. */
enum tunnel_result tunnel_keepalive(struct tunnel *t, struct ipsec_packet *p);

/* For what drops a tunnel's packets outside of these functions: reassembly, sizes. */
void tunnel_count(struct tunnel_counts *c, enum tunnel_result result);

#endif

/*
 * Security associations (RFC 4301 4.4.2): what is agreed for one direction, and how far it has got.
 *
 * Made by whoever keys it (IKE, or an operator by hand) through ipsec.h; used by ESP and AH.
 */
#ifndef IPSEC_SA_H
#define IPSEC_SA_H

#include "ipsec/crypt.h"
#include "ipsec/header.h"
#include "ipsec/replay.h"
#include "ipsec/selector.h"

enum ipsec_protocol { IPSEC_ESP = IPSEC_PROTO_ESP, IPSEC_AH = IPSEC_PROTO_AH };
enum ipsec_mode { IPSEC_TUNNEL, IPSEC_TRANSPORT };
/* The outer DF bit in IPv4 (RFC 4301 5.1.2.1, 8.1). COPY: of IPv6 inside, set. */
enum ipsec_df { IPSEC_DF_COPY, IPSEC_DF_SET, IPSEC_DF_CLEAR };

/* Octets (of IP packets, as they are before protection) and packets; 0: no limit. Time is the
 * keyer's. Soft: an event, once. Hard: an event, and nothing passes any more. */
struct ipsec_lifetime {
    uint64_t soft_octets, hard_octets, soft_packets, hard_packets;
};

enum { IPSEC_TTL = 64 };

/* How the outer header of a tunnel comes about (RFC 4301 5.1.2, RFC 6040). */
struct ipsec_tunnel {
    enum ipsec_df df;
    uint8_t ttl;        /* TTL or hop limit; 0: IPSEC_TTL */
    bool set_dscp;      /* false: the outer DSCP is the inner one */
    uint8_t dscp;       /* 0 to 63: else this */
    bool no_ecn;        /* outer ECN field 0: the peer's decapsulation does not know ECN */
    bool dscp_to_inner; /* comes in: the inner DSCP becomes the outer one (5.1.2.2 note 9) */
};

struct ipsec_sa_params {
    uint64_t id;  /* the caller's name for it; not 0, unique in the engine */
    uint32_t spi; /* above 255 (RFC 4303 2.1); of what comes in, unique for its protocol */
    enum ipsec_protocol protocol;
    enum ipsec_mode mode;
    enum ipsec_way way;
    uint32_t place;                   /* the SPD of the protected side */
    uint32_t policy;                  /* OUT: the policy that it was made for; of an SA that only
                                         others go into (`outer`), one that there is not */
    struct gh_addr local, remote;     /* of the outer header (transport mode: of the only one) */
    uint16_t local_port, remote_port; /* UDP encapsulation; 0, 0: none. ESP only */
    struct ipsec_crypt_algs algs;     /* AH: GH_ENC_NULL, or GH_ENC_NULL_AES_GMAC */
    /* IN: the source of what is not encapsulated is not looked at (MOBIKE: the peer may send from
     * its new address before it has said so). An encapsulated SA lets its peer move anyhow. */
    bool any_source;
    bool esn;
    uint32_t window; /* IN: as in replay.h; with ESN not 0 */
    /* IN: an ICMP error that a selector of any protocol lets in need not quote a packet of the SA's
     * (RFC 4301 6.2). */
    bool icmp_header;
    /* Both ends have agreed (NON_FIRST_FRAGMENTS_ALSO, RFC 7296 1.3.1): later fragments go by the
     * ports of their first one (RFC 4301 7.3). */
    bool fragments_also;
    const struct ipsec_selector *selectors; /* copied; all of them are negotiated ones */
    size_t selector_count;                  /* 1 to IPSEC_SELECTORS_MAX */
    struct ipsec_tunnel tunnel;
    /* OUT, tunnel mode: inner packets are filled up to so many octets (traffic flow
     * confidentiality, RFC 4303 2.7), as far as `mtu` and ipsec_aside.longer allow. 0: not at all.
     * Not with AH. */
    uint16_t tfc;
    uint16_t mtu; /* OUT: what the path takes (less what `outer` adds), outer header included; 0:
                     not known */
    struct ipsec_lifetime lifetime;
    uint64_t used_octets, used_packets; /* of it, by earlier instances */
    /* AH around ESP (RFC 4301 4.5). OUT: the id of the transport-mode SA that what this one made
     * goes into. IN: the id of the one that it must have come through. 0: none. */
    uint64_t outer;
    /* Not 0: an earlier instance may have used the sequence numbers up to this. */
    uint64_t last_seq;
};

enum { IPSEC_SELECTORS_MAX = 256 };

/* OUT: packets that the caller wants to see before they are protected (IPSEC_ASIDE). */
struct ipsec_aside {
    uint16_t longer; /* than so many octets; 0: none for its length */
    bool syn;        /* those that open a TCP connection */
    bool fragments;  /* that transport mode does not protect */
};

struct ipsec_sa_counts {
    uint64_t packets, octets; /* protected, or opened and allowed; octets of IP packets inside */
    uint64_t results[IPSEC_RESULT_COUNT];
};

/* For src/ipsec; others only read what ipsec_get_sa() gives: seq or replay.top, counts, last use.
 */
struct ipsec_sa {
    struct ipsec_sa *next_by_id, *next_by_spi;
    struct ipsec_sa_params p; /* keys are gone from it; selectors are ours */
    struct ipsec_aside aside;
    struct ipsec_crypt_key *key;
    size_t iv_len, icv_len, block; /* iv_len: of what is in the packet */
    bool aead, random_iv, implicit_iv;
    uint64_t seq;   /* OUT: the last that was used */
    uint64_t order; /* OUT: its place among the SAs of its selectors, the newest first */
    struct ipsec_replay replay;
    uint64_t last_used_ms; /* 0: never */
    bool told_soft, told_hard, told_seq, told_moved;
    struct ipsec_sa_counts counts; /* last: of what is refused, a good packet needs nothing */
};

/* NULL: the parameters do not go together, the algorithms are not available, or no memory. */
struct ipsec_sa *ipsec_sa_new(struct ipsec_crypt *crypt, const struct ipsec_sa_params *params);
/* Wipes. NULL is fine. */
void ipsec_sa_free(struct ipsec_sa *sa);

/* Begins to fetch an SA that is about to be used: with many tunnels, none is in the cache, and
 * others of the batch are looked up meanwhile. */
static inline void ipsec_sa_prefetch(const struct ipsec_sa *sa)
{
    for (size_t at = 0; at < offsetof(struct ipsec_sa, counts) + 64; at += 64)
        __builtin_prefetch((const char *)sa + at, 1);
}

/* What the SA points to, once the SA itself is there. */
static inline void ipsec_sa_prefetch_parts(const struct ipsec_sa *sa)
{
    __builtin_prefetch(sa->key);
    __builtin_prefetch(sa->p.selectors);
    if (sa->replay.seen != NULL)
        __builtin_prefetch(&sa->replay.seen[sa->replay.top / 64 & sa->replay.mask], 1);
}

/* The addresses and ports go together. */
bool ipsec_sa_addresses_fit(const struct ipsec_sa_params *p);
/* The last sequence number that this SA may use. */
uint64_t ipsec_sa_last_seq(const struct ipsec_sa *sa);
/* The largest packet that protected still fits into `mtu`, if in transport mode it has neither
 * options nor extension headers; 0: none does. */
size_t ipsec_sa_payload_max(const struct ipsec_sa *sa, size_t mtu);

#endif

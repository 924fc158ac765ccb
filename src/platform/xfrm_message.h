/*
 * The messages of Linux's IPsec (XFRM, over netlink) as bytes: pure, for xfrm.c, its tests and
 * fuzzing. SAs and policies of the core (src/ipsec) go in, messages come out; what the kernel sends
 * comes in, typed values come out.
 *
 * What the kernel cannot do that the core can is refused when the message is written, and the
 * reason says it: nothing is quietly done otherwise. Where the kernel is only laxer or counts
 * differently it is accepted:
 *   - the source address of what comes in is never looked at, as with `any_source`;
 *   - octets of lifetimes and counters are without the IP header in transport mode;
 *   - `mtu` is not given, the kernel finds it out itself; `outer` is the order of a policy's
 *     templates.
 *
 * Ours is what has a reqid (SAs, templates) or an index (policies) of our range; nothing else is
 * ever touched or told of.
 */
#ifndef GH_PLATFORM_XFRM_MESSAGE_H
#define GH_PLATFORM_XFRM_MESSAGE_H

#include <linux/netlink.h>
#include <linux/xfrm.h>

#include "ipsec/ipsec.h"
#include "platform/netlink.h"

/* What makes SAs and policies ours. */
enum { GH_XFRM_REQIDS = 1 << 24, GH_XFRM_POLICIES = 1 << 21 };
#define GH_XFRM_REQID 0x47000000u
#define GH_XFRM_INDEX 0x47000000u

/* n < GH_XFRM_REQIDS. */
static inline uint32_t gh_xfrm_reqid(uint32_t n)
{
    return GH_XFRM_REQID | (n & (GH_XFRM_REQIDS - 1));
}
static inline bool gh_xfrm_reqid_is_ours(uint32_t reqid)
{
    return (reqid & ~(GH_XFRM_REQIDS - 1u)) == GH_XFRM_REQID;
}
/* The n-th policy of ours; dir: XFRM_POLICY_IN, … */
static inline uint32_t gh_xfrm_index(uint32_t n, uint8_t dir)
{
    return GH_XFRM_INDEX | (n & (GH_XFRM_POLICIES - 1)) << 3 | dir;
}
static inline bool gh_xfrm_index_is_ours(uint32_t index)
{
    return (index & 0xff000000u) == GH_XFRM_INDEX;
}

/* What ties SAs and policies together, for which the core has no word: its `place` is an xfrm
 * interface or a mark here. All 0 but reqid is fine. */
struct gh_xfrm_tie {
    uint32_t reqid;           /* gh_xfrm_reqid(): the same in a policy and the SAs for it */
    uint32_t if_id;           /* of an xfrm interface */
    uint32_t mark, mark_mask; /* of packets */
};

struct gh_xfrm_sa {
    const struct ipsec_sa_params *params;
    struct gh_xfrm_tie tie;
    uint64_t soft_seconds, hard_seconds; /* from when it is added; 0: no limit */
    uint32_t acquire;                    /* of gh_xfrm_event that it answers, or 0 */
    uint32_t set_mark, set_mark_mask;    /* OUT: of protected packets, for their routing */
};

/* Who protects what a policy protects. Of a tunnel both addresses; len 0 in transport mode: those
 * of the packet. */
struct gh_xfrm_template {
    enum ipsec_protocol protocol;
    enum ipsec_mode mode;
    struct gh_addr local, remote;
};

enum { GH_XFRM_TEMPLATES = 2 };

/* One entry of the SPD. What comes in has policies for what is for this host and for what is
 * forwarded (XFRM_POLICY_IN and _FWD). */
struct gh_xfrm_policy {
    const struct ipsec_policy *policy;
    struct gh_xfrm_tie tie;
    uint32_t priority; /* the lowest counts */
    /* PROTECT: 1, or 2: AH around ESP, from the inside out. Else 0. */
    struct gh_xfrm_template templates[GH_XFRM_TEMPLATES];
    size_t template_count;
};

/* Why not: a clause without a full stop. */
enum { GH_XFRM_WHY = 160 };
struct gh_xfrm_why {
    char text[GH_XFRM_WHY];
};
/* Always false, so that a refusal is one line. */
bool gh_xfrm_refuse(struct gh_xfrm_why *why, const char *text);

/* ---- Out: xfrm_sa.c, xfrm_policy.c ---------------------------------------------------------- */

/* Octets of a message, at most. It has keys in it: gh_wipe() it. */
enum { GH_XFRM_MESSAGE = 2048 };

/* type: XFRM_MSG_NEWSA or XFRM_MSG_UPDSA. False: refused, or no room in `w`. */
bool gh_xfrm_put_sa(struct gh_wr *w, uint16_t type, uint32_t seq, const struct gh_xfrm_sa *sa,
                    struct gh_xfrm_why *why);

/* Which SA, as the kernel finds it. */
struct gh_xfrm_sa_id {
    uint32_t spi;
    uint8_t protocol;
    struct gh_addr dst;
    uint32_t mark, mark_mask;
};
struct gh_xfrm_sa_id gh_xfrm_sa_id_of(const struct gh_xfrm_sa *sa);
/* type: XFRM_MSG_GETSA or XFRM_MSG_DELSA. */
void gh_xfrm_put_sa_id(struct gh_wr *w, uint16_t type, uint32_t seq,
                       const struct gh_xfrm_sa_id *id);
/* type: XFRM_MSG_GETSA or XFRM_MSG_GETPOLICY, all there are. */
void gh_xfrm_put_dump(struct gh_wr *w, uint16_t type, uint32_t seq);

/* type: XFRM_MSG_NEWPOLICY or XFRM_MSG_UPDPOLICY; one of those that gh_xfrm_expand() gave. */
bool gh_xfrm_put_policy(struct gh_wr *w, uint16_t type, uint32_t seq,
                        const struct gh_xfrm_policy *policy, const struct xfrm_selector *selector,
                        uint32_t index, struct gh_xfrm_why *why);
/* Which policy: by its index, or with index 0 by its selector. */
struct gh_xfrm_policy_id {
    struct xfrm_selector selector;
    uint32_t index;
    uint8_t dir;
    uint32_t if_id, mark, mark_mask;
};
/* type: XFRM_MSG_GETPOLICY or XFRM_MSG_DELPOLICY. */
void gh_xfrm_put_policy_id(struct gh_wr *w, uint16_t type, uint32_t seq,
                           const struct gh_xfrm_policy_id *id);

/* Where the other end of an outgoing SA, and this one, are now; ports as in ipsec_sa_params. */
struct gh_xfrm_move {
    struct gh_addr local, remote;
    uint16_t local_port, remote_port;
};
/* Sequence numbers that a moved SA leaves out, for what may have left after it was read. */
enum { GH_XFRM_LEFT_OUT = 1 << 16 };
/* xfrm_move.c: the SA that the kernel told of (XFRM_MSG_NEWSA, with its keys), to be added anew at
 * its new place, with what is left of its lifetimes. now: seconds since 1970. */
bool gh_xfrm_put_moved(struct gh_wr *w, uint32_t seq, const struct gh_nl_message *sa,
                       const struct gh_xfrm_move *to, uint64_t now, struct gh_xfrm_why *why);

/* ---- In: xfrm_read.c ------------------------------------------------------------------------ */

/* What the kernel knows of an SA. No keys. */
struct gh_xfrm_sa_info {
    struct gh_xfrm_sa_id id;
    struct gh_addr src;
    uint32_t reqid, if_id;
    enum ipsec_mode mode;
    bool esn;
    uint32_t window;
    uint64_t sent_seq, received_seq; /* the highest */
    struct ipsec_sa_counts counts;   /* packets, octets; results OLD, REPLAY and ICV */
    uint64_t added, last_used;       /* seconds since 1970; 0: never, or the kernel does not say */
    uint16_t src_port, dst_port;     /* of UDP encapsulation */
    /* SPI 0: it is no SA but a packet that wants one, for as long as the kernel waits for it. */
    struct ipsec_flow flow;
};
/* False: malformed, no NEWSA, or of a kind that the core does not know. */
bool gh_xfrm_parse_sa(const struct gh_nl_message *m, struct gh_xfrm_sa_info *out);

struct gh_xfrm_policy_info {
    struct gh_xfrm_policy_id id;
    uint32_t priority, reqid; /* of its first template; 0: none */
    enum ipsec_action action;
};
bool gh_xfrm_parse_policy(const struct gh_nl_message *m, struct gh_xfrm_policy_info *out);

enum gh_xfrm_event_kind {
    GH_XFRM_ACQUIRE, /* a packet wants SAs: tie, flow, acquire, priority of its policy. Once for all
                        flows that want SAs with these ends and this reqid; again, when it was not
                        answered for a while (net.core.xfrm_acq_expires) */
    GH_XFRM_SOFT,    /* id, src, tie: the SA reached a soft lifetime */
    GH_XFRM_HARD,    /* … a hard one, and the kernel has removed it */
    GH_XFRM_MOVED, /* … an authentic packet came from `from` (RFC 3948); again for each change */
    GH_XFRM_LOST   /* events were lost: look at all SAs */
};
struct gh_xfrm_event {
    enum gh_xfrm_event_kind kind;
    struct gh_xfrm_sa_id id;
    struct gh_addr src;
    struct gh_xfrm_tie tie;
    struct ipsec_flow flow;
    uint32_t acquire, priority;
    struct gh_addr from;
    uint16_t from_port;
};
/* False: malformed, no event, or not ours. */
bool gh_xfrm_parse_event(const struct gh_nl_message *m, struct gh_xfrm_event *out);

#endif

/*
 * What `esp`, which keeps Child SAs, and `xfrm`, which gives them to the kernel, tell each other
 * (frame.h: PLANE_…), as octets. Pure.
 */
#ifndef GH_DAEMON_PLANE_MESSAGES_H
#define GH_DAEMON_PLANE_MESSAGES_H

#include "daemon/esp_messages.h"
#include "ipsec/ipsec.h"

/* XFRM_SOCKET: what the parent opens in a namespace. */
enum gh_plane_socket {
    GH_PLANE_ASK,   /* netlink: requests */
    GH_PLANE_HEARD, /* netlink: events */
    GH_PLANE_STAT,  /* /proc/net/xfrm_stat */
    GH_PLANE_SOCKETS
};

/* PLANE_SA, PLANE_MOVE: one direction of a child. */
struct gh_plane_sa {
    uint64_t id; /* of esp_children.c */
    enum ipsec_way way;
    uint32_t tie; /* gh_xfrm_reqid() of it: the same in the child's policies */
    bool there;   /* an earlier instance gave it to the kernel: it is not added again */
    struct gh_esp_child child; /* keys: of this way; the other is empty */
};
void gh_plane_put_sa(struct gh_wr *w, const struct gh_plane_sa *sa);
bool gh_plane_take_sa(struct gh_rd *r, struct gh_plane_sa *out);

/* PLANE_POLICIES: the namespace (a text), then u32 how many of these. */
struct gh_plane_policy {
    uint32_t number; /* of `esp`: who is told of, if it is refused */
    uint32_t tie;
    /* PROTECT; PASS, in clear; DISCARD: nothing passes, also where there is no address to ask for
     * SAs. Of the latter two, the tie and what follows up to the selectors do not count. */
    enum ipsec_action action;
    bool out, in; /* which way */
    enum ipsec_protocol protocol;
    enum ipsec_mode mode;
    struct gh_addr local, remote; /* of a tunnel; the local one may be 0.0.0.0 or :: */
    struct ike_ts_list ts_local, ts_remote;
};
void gh_plane_put_policy(struct gh_wr *w, const struct gh_plane_policy *p);
bool gh_plane_take_policy(struct gh_rd *r, struct gh_plane_policy *out); /* the next one */

/* PLANE_USED: all since its beginning. */
struct gh_plane_used {
    uint64_t id, packets, octets, sequence;
    uint64_t old, replay, icv; /* dropped */
    uint64_t last_used;        /* seconds since 1970; 0: never */
    bool incoming;
};
void gh_plane_put_used(struct gh_wr *w, const struct gh_plane_used *u);
bool gh_plane_take_used(struct gh_rd *r, struct gh_plane_used *out);

/* PLANE_WANTED */
struct gh_plane_wanted {
    uint32_t tie;
    struct ipsec_flow flow; /* addresses, protocol, ports */
};
void gh_plane_put_wanted(struct gh_wr *w, const struct gh_plane_wanted *x);
bool gh_plane_take_wanted(struct gh_rd *r, struct gh_plane_wanted *out);

/* PLANE_MOVED */
struct gh_plane_moved {
    uint64_t id;
    struct gh_addr from;
    uint16_t from_port;
};
void gh_plane_put_moved(struct gh_wr *w, const struct gh_plane_moved *m);
bool gh_plane_take_moved(struct gh_rd *r, struct gh_plane_moved *out);

/* PLANE_REFUSED */
struct gh_plane_refused {
    uint64_t id;     /* an SA; 0: a policy, then: */
    uint32_t number; /* gh_plane_policy.number */
    char why[200];
};
void gh_plane_put_refused(struct gh_wr *w, const struct gh_plane_refused *x);
bool gh_plane_take_refused(struct gh_rd *r, struct gh_plane_refused *out);

/* PLANE_COUNTS: [enum ipsec_way][enum ipsec_result] */
struct gh_plane_counts {
    uint64_t counts[2][IPSEC_RESULT_COUNT];
};
void gh_plane_put_counts(struct gh_wr *w, const struct gh_plane_counts *x);
bool gh_plane_take_counts(struct gh_rd *r, struct gh_plane_counts *out);

#endif

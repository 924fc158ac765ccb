/* Addresses that change (RFC 4555): mobike.c. An IKE SA has its state. */
#ifndef IKE2_MOBIKE_H
#define IKE2_MOBIKE_H

#include "ike/v2/priv.h"

enum { IKE2_COOKIE2 = 16 };

/* Of an IKE SA whose both ends have MOBIKE. */
struct ike2_mobile {
    bool first;  /* we began the first IKE SA: where it runs is ours to decide */
    bool again;  /* moved once more while the peer was being told */
    bool moved;  /* `was_…` is where Child SAs still are */
    bool marked; /* was_local's marker */
    struct ike2_endpoint was_local, was_remote;
    struct gh_addr others[IKE2_ADDRESSES]; /* the peer's */
    uint8_t other_count, tried;            /* of them, since an answer came */
    uint8_t tried_own;                     /* of our others, when all of the peer's were */
    struct gh_addr told[IKE2_ADDRESSES];   /* what the peer knows of ours */
    uint8_t told_count;
    struct gh_addr told_from;
    unsigned refusals;            /* UNEXPECTED_NAT_DETECTED, one after the other */
    uint8_t cookie[IKE2_COOKIE2]; /* of the task under way */
    struct ike2_endpoint asked;   /* where it went */
    uint8_t seen[20];             /* NAT_DETECTION_DESTINATION_IP of the peer's last answer */
    bool has_seen;
    uint32_t updated; /* Message ID of the peer's newest word on addresses */
};

/* Our addresses or routes changed: is the IKE SA still where it should be? */
void ike2_mobike_look(struct ike2 *c, struct ike2_sa *sa);
/* We follow, and the other end finds out what is wrong: it is given time (RFC 4555 3.11). */
bool ike2_mobike_is_patient(const struct ike2_sa *sa, const struct ike2_task *t);
bool ike2_mobike_move(struct ike2 *c, struct ike2_sa *sa, const struct ike2_endpoint *local);
/* In IKE_AUTH. */
void ike2_mobike_put(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_mobike_take(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* False: the addresses of the message at hand are not those that the peer meant. */
bool ike2_mobike_no_nat(const struct ike2 *c, const struct ike2_sa *sa,
                        const struct ike_payloads *in);
void ike2_mobike_inherit(struct ike2 *c, struct ike2_sa *sa, const struct ike2_sa *old);
/* `sa` has the children of `old` by now. */
void ike2_mobike_inherited(struct ike2 *c, const struct ike2_sa *old, struct ike2_sa *sa);
void ike2_mobike_request(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                         struct ike_out *o);
void ike2_mobike_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind,
                          const struct ike_payloads *in);
void ike2_mobike_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                       struct ike_out *o);
/* No answer where the SA runs: true if there is another way to try. */
bool ike2_mobike_other_way(struct ike2 *c, struct ike2_sa *sa);
/* The peer's request came again, from another address than it is being asked at: ask it there. */
bool ike2_mobike_wonders(const struct ike2_sa *sa);
void ike2_mobike_try(struct ike2 *c, struct ike2_sa *sa);
/* The users of the Child SAs hear of the addresses. */
void ike2_children_moved(struct ike2 *c, struct ike2_sa *sa);

#endif

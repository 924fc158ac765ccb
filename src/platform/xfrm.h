/*
 * The kernel as data plane of IPsec (XFRM), where it has ESP and AH: the SAs and policies of the
 * core (src/ipsec), carried by the kernel itself.
 *
 * Called by the process that has CAP_NET_ADMIN in the namespace; what can be given is said in
 * xfrm_message.h, whether this kernel has it in xfrm_probe.h. Blocks for as long as the kernel
 * needs for an answer. What other programs have installed is never changed, and never told of.
 *
 * How to use it: gh_xfrm_flush() what an earlier instance left, or gh_xfrm_set_policies() and
 * gh_xfrm_each_sa() to carry it on; then policies, of which those without SAs tell
 * GH_XFRM_ACQUIRE; then SAs of the same reqid. A rekeyed SA is added and takes over what goes out,
 * if it is a second younger; the old one goes when the peer has stopped to use it. A forwarding
 * gateway whose selectors are "everything" wants an xfrm interface (if_id): else what it forwards
 * from its own networks meets the policy for what comes in.
 */
#ifndef GH_PLATFORM_XFRM_H
#define GH_PLATFORM_XFRM_H

#include "platform/xfrm_message.h"

struct gh_xfrm {
    int ask;   /* -1: not open */
    int heard; /* readable: call gh_xfrm_hear() */
    uint32_t seq, next_policy;
};

/* netns: as in platform/netns.h. 0, or a negative errno (then nothing is open): EPROTONOSUPPORT
 * without XFRM, EPERM without the capability. */
int gh_xfrm_open(const char *netns, struct gh_xfrm *out);
/* The same with sockets that another process has opened so; false: the kernel does not answer by
 * them. They are taken in any case. */
bool gh_xfrm_take(int ask, int heard, struct gh_xfrm *out);
void gh_xfrm_close(struct gh_xfrm *x); /* SAs and policies stay; one that is not open is fine */

/* ---- SAs ------------------------------------------------------------------------------------ */

/* The keys are copied into the kernel and no farther. False, and why: the kernel cannot or does not
 * want to. */
bool gh_xfrm_add_sa(struct gh_xfrm *x, const struct gh_xfrm_sa *sa, struct gh_xfrm_why *why);
/* New lifetimes, and ports of UDP encapsulation, of an SA that is there; all else stays. */
bool gh_xfrm_update_sa(struct gh_xfrm *x, const struct gh_xfrm_sa *sa, struct gh_xfrm_why *why);
/* An outgoing tunnel-mode SA goes to, or leaves from, another address (a NAT that changed, MOBIKE):
 * it is removed and added anew, and what it counted begins again. Packets sent meanwhile ask for an
 * SA (GH_XFRM_ACQUIRE). Its policy wants new templates: gh_xfrm_add_policy(). An incoming SA stays
 * as it is when its peer moves; if our own address changes, it wants rekeying. For new ports alone,
 * gh_xfrm_update_sa() is enough. False, and why: it is as it was, or gone (then gh_xfrm_get_sa()
 * does not find it). */
bool gh_xfrm_move_sa(struct gh_xfrm *x, const struct gh_xfrm_sa_id *id,
                     const struct gh_xfrm_move *to, struct gh_xfrm_why *why);
/* False: not there, or not ours. */
bool gh_xfrm_remove_sa(struct gh_xfrm *x, const struct gh_xfrm_sa_id *id);
bool gh_xfrm_get_sa(struct gh_xfrm *x, const struct gh_xfrm_sa_id *id, struct gh_xfrm_sa_info *out);

typedef void (*gh_xfrm_sa_fn)(void *ctx, const struct gh_xfrm_sa_info *sa);
/* All of ours; fn must not ask anything. 0, or a negative errno. */
int gh_xfrm_each_sa(struct gh_xfrm *x, gh_xfrm_sa_fn fn, void *ctx);

/* ---- Policies ------------------------------------------------------------------------------- */

/* Adds it, or replaces one of ours of the same selectors, directions and tie. False: not all of it
 * could be; what is new of it is gone again, what was to be replaced is there, old or new. */
bool gh_xfrm_add_policy(struct gh_xfrm *x, const struct gh_xfrm_policy *policy,
                        struct gh_xfrm_why *why);
/* Is there one of ours for just these packets, as they leave and as they come? */
bool gh_xfrm_has_policy(struct gh_xfrm *x, const struct ipsec_selector *selector);
void gh_xfrm_remove_policy(struct gh_xfrm *x, const struct gh_xfrm_policy *policy);
/* These, and no others of ours. Of the same selectors the first counts. What is new is there before
 * what is old goes. False: not all could be; nothing old is gone. */
bool gh_xfrm_set_policies(struct gh_xfrm *x, const struct gh_xfrm_policy *list, size_t count,
                          struct gh_xfrm_why *why);

typedef void (*gh_xfrm_policy_fn)(void *ctx, const struct gh_xfrm_policy_info *policy);
int gh_xfrm_each_policy(struct gh_xfrm *x, gh_xfrm_policy_fn fn, void *ctx);

/* Removes all SAs of ours. 0, or a negative errno. */
int gh_xfrm_flush_sas(struct gh_xfrm *x);
/* Removes all SAs and policies of ours. 0, or a negative errno. */
int gh_xfrm_flush(struct gh_xfrm *x);

/* ---- Events and sockets --------------------------------------------------------------------- */

typedef void (*gh_xfrm_event_fn)(void *ctx, const struct gh_xfrm_event *event);
/* Those that have come; does not block. */
void gh_xfrm_hear(const struct gh_xfrm *x, gh_xfrm_event_fn fn, void *ctx);

/* What this UDP socket sends and receives passes whatever policies say: IKE's own. */
bool gh_xfrm_bypass_socket(int fd);
/* What comes to this UDP socket as ESP (RFC 3948) is the kernel's. */
bool gh_xfrm_encapsulate_socket(int fd);

#endif

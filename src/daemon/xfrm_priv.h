/*
 * Inside of the `xfrm` process: what its files share. xfrm.c has its life, and the messages of the
 * parent's and of `esp`; each other file one kind of them, or of what the kernel tells.
 */
#ifndef GH_DAEMON_XFRM_PRIV_H
#define GH_DAEMON_XFRM_PRIV_H

#include <uv.h>

#include "daemon/channel.h"
#include "daemon/esp_messages.h"
#include "daemon/plane_messages.h"
#include "daemon/xfrm_sas.h"
#include "platform/xfrm.h"

enum { XFRM_PLACES_MAX = 1024 };

/* A network namespace. */
struct xfrm_place {
    char netns[GH_ESP_NETNS];
    int sockets[GH_PLANE_SOCKETS]; /* arrived and not taken yet, or -1 */
    bool open;                     /* xfrm and poll are */
    bool given;                    /* policies, since PLANE_BEGIN */
    size_t policies;               /* the kernel's, when they were given */
    struct gh_xfrm xfrm;
    int stat; /* -1: this kernel does not count */
    uv_poll_t *poll;
};

struct xfrm {
    uv_loop_t loop;
    uv_timer_t timer;
    struct gh_channel *parent, *esp; /* esp NULL: it is away */
    struct xfrm_place *places[XFRM_PLACES_MAX];
    size_t place_count;
    struct gh_kernel_sas sas;
    bool whole;    /* all was said that there is to be */
    uint32_t look; /* a number for each at all SAs */
    struct gh_plane_counts counts;
};

/* Owned by the poll of a place. */
struct xfrm_hearing {
    struct xfrm *x;
    uint32_t place;
};

/* ---- xfrm_events.c: what `esp` is told ---- */
void xfrm_tell(struct xfrm *x, enum gh_message type, const struct gh_wr *w);
/* The kernel does not have this SA; with id 0, the policy of this number. */
void xfrm_refuse(struct xfrm *x, uint64_t id, uint32_t number, const char *why);
/* A packet met no SA by a policy of this reqid. */
void xfrm_want(struct xfrm *x, uint32_t reqid, const struct ipsec_flow *flow);
/* The kernel has events; poll->data: struct xfrm_hearing. */
void xfrm_hear(uv_poll_t *poll, int status, int events);

/* ---- xfrm_look.c ---- */
void xfrm_look(uv_timer_t *timer); /* once a second; timer->data: struct xfrm */
/* For gh_xfrm_each_policy(); ctx: size_t. */
void xfrm_count_policy(void *ctx, const struct gh_xfrm_policy_info *policy);

/* ---- xfrm_install.c: SAs, as `esp` says ---- */
void xfrm_take_over(struct xfrm *x, const struct gh_plane_sa *sa);
void xfrm_move(struct xfrm *x, const struct gh_plane_sa *sa);
void xfrm_remove(struct xfrm *x, uint64_t id);
/* What is ours in the kernel and nobody's any more goes. */
void xfrm_sweep(struct xfrm *x, uint32_t place);

/* ---- xfrm_policies.c ---- */
/* Those of one namespace, all anew. False: malformed, or no memory. */
bool xfrm_set_policies(struct xfrm *x, struct gh_rd *body);

/* ---- xfrm_places.c ---- */
uint32_t xfrm_find_place(const struct xfrm *x, const char *netns); /* UINT32_MAX: unknown */
/* Messages of the parent's. */
bool xfrm_take_socket(struct xfrm *x, struct gh_rd *body, int fd);
bool xfrm_leave_place(struct xfrm *x, struct gh_rd *body);

#endif

/* What the kernel tells of its SAs, and what `esp` is told. */
#include <stdio.h>
#include <uv.h>

#include "daemon/channel.h"
#include "daemon/plane_messages.h"
#include "daemon/xfrm_priv.h"
#include "daemon/xfrm_sas.h"
#include "platform/xfrm.h"
#include "platform/xfrm_message.h"
#include "wire/wr.h"

void xfrm_tell(struct xfrm *x, enum gh_message type, const struct gh_wr *w)
{
    if (x->esp != NULL && gh_wr_ok(w))
        gh_channel_send(x->esp, type, w->base, w->len, -1);
}

static void tell_id(struct xfrm *x, enum gh_message type, uint64_t id)
{
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u64(&w, id);
    xfrm_tell(x, type, &w);
}

void xfrm_refuse(struct xfrm *x, uint64_t id, uint32_t number, const char *why)
{
    struct gh_plane_refused r = {.id = id, .number = number};
    uint8_t body[300];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    (void)snprintf(r.why, sizeof(r.why), "%s", why);
    gh_plane_put_refused(&w, &r);
    xfrm_tell(x, GH_MESSAGE_PLANE_REFUSED, &w);
}

void xfrm_want(struct xfrm *x, uint32_t reqid, const struct ipsec_flow *flow)
{
    const struct gh_plane_wanted wanted = {.tie = reqid, .flow = *flow};
    uint8_t body[64];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_plane_put_wanted(&w, &wanted);
    xfrm_tell(x, GH_MESSAGE_PLANE_WANTED, &w);
}

static void moved(struct xfrm *x, const struct gh_kernel_sa *sa, const struct gh_xfrm_event *e)
{
    const struct gh_plane_moved m = {.id = sa->id, .from = e->from, .from_port = e->from_port};
    uint8_t body[32];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_plane_put_moved(&w, &m);
    xfrm_tell(x, GH_MESSAGE_PLANE_MOVED, &w);
}

static void on_event(void *ctx, const struct gh_xfrm_event *e)
{
    const struct xfrm_hearing *h = ctx;
    struct gh_kernel_sa *sa = gh_kernel_sas_named(&h->x->sas, h->place, &e->id);

    if (e->kind == GH_XFRM_ACQUIRE)
        xfrm_want(h->x, e->tie.reqid, &e->flow);
    if (sa == NULL)
        return;
    switch (e->kind) {
    case GH_XFRM_SOFT:
        tell_id(h->x, GH_MESSAGE_PLANE_WORN, sa->id);
        break;
    case GH_XFRM_HARD:
        tell_id(h->x, GH_MESSAGE_PLANE_ENDED, sa->id);
        gh_kernel_sas_remove(&h->x->sas, sa);
        break;
    case GH_XFRM_MOVED:
        moved(h->x, sa, e);
        break;
    case GH_XFRM_ACQUIRE:
    case GH_XFRM_LOST: /* lifetimes are `esp`'s, too; who wants an SA is found by xfrm_look() */
        break;
    }
}

void xfrm_hear(uv_poll_t *poll, int status, int events)
{
    struct xfrm_hearing *h = poll->data;

    gh_xfrm_hear(&h->x->places[h->place]->xfrm, on_event, h);
}

/* SAs as `esp` says: given to the kernel, moved, removed; and what an earlier instance left. */
#include <stdlib.h>

#include "base/log.h"
#include "daemon/esp_children.h"
#include "daemon/plane_messages.h"
#include "daemon/xfrm_priv.h"
#include "daemon/xfrm_sas.h"
#include "platform/xfrm.h"
#include "platform/xfrm_message.h"

/* Without ESN the kernel has so many packets, and stops; it is rekeyed well before. */
#define SOFT_PACKETS (UINT32_MAX - (UINT32_MAX >> 3))

/* Both as the kernel takes it; `selectors` and `params` are borrowed by *out. */
static bool plan(const struct gh_plane_sa *sa, struct ipsec_selector *selectors,
                 struct ipsec_sa_params *params, struct gh_xfrm_sa *out)
{
    if (!gh_esp_child_params(&sa->child, sa->way, selectors, params))
        return false;
    params->id = sa->id;
    if (sa->way == IPSEC_OUT && !sa->child.esn &&
        (params->lifetime.soft_packets == 0 || params->lifetime.soft_packets > SOFT_PACKETS))
        params->lifetime.soft_packets = SOFT_PACKETS;
    *out = (struct gh_xfrm_sa){.params = params,
                               .tie = {.reqid = gh_xfrm_reqid(sa->tie)},
                               .hard_seconds = sa->child.seconds};
    return true;
}

static void know(struct xfrm *x, uint32_t place, const struct gh_plane_sa *sa,
                 const struct gh_xfrm_sa *kernel)
{
    const struct gh_kernel_sa known = {.id = sa->id,
                                       .place = place,
                                       .name = gh_xfrm_sa_id_of(kernel),
                                       .way = sa->way,
                                       .mode = sa->child.mode,
                                       .local = sa->child.local,
                                       .remote = sa->child.remote,
                                       .local_port = sa->child.local_port,
                                       .remote_port = sa->child.remote_port};

    if (gh_kernel_sas_add(&x->sas, &known) == NULL)
        xfrm_refuse(x, sa->id, 0, "no memory");
}

static bool is_there(struct gh_xfrm *xfrm, const struct gh_xfrm_sa *sa, struct gh_xfrm_why *why)
{
    const struct gh_xfrm_sa_id name = gh_xfrm_sa_id_of(sa);
    struct gh_xfrm_sa_info info;

    return (gh_xfrm_get_sa(xfrm, &name, &info) && info.reqid == sa->tie.reqid) ||
           gh_xfrm_refuse(why, "it is not in the kernel any more");
}

void xfrm_take_over(struct xfrm *x, const struct gh_plane_sa *sa)
{
    struct ipsec_selector selectors[IPSEC_SELECTORS_MAX];
    struct gh_xfrm_why why = {.text = "it is malformed"};
    uint32_t place = xfrm_find_place(x, sa->child.netns);
    struct gh_kernel_sa *old = gh_kernel_sas_find(&x->sas, sa->id);
    struct ipsec_sa_params params;
    struct gh_xfrm_sa kernel;
    bool good = plan(sa, selectors, &params, &kernel);

    if (old != NULL)
        gh_kernel_sas_remove(&x->sas, old);
    if (place == UINT32_MAX || !x->places[place]->open)
        good = gh_xfrm_refuse(&why, "the kernel's IPsec is not open there");
    else if (good && sa->there)
        good = is_there(&x->places[place]->xfrm, &kernel, &why);
    else if (good)
        good = gh_xfrm_add_sa(&x->places[place]->xfrm, &kernel, &why);
    if (good)
        know(x, place, sa, &kernel);
    else
        xfrm_refuse(x, sa->id, 0, why.text);
}

/* What comes in goes to another address of ours: with what it has received so far, but without its
 * window. */
static bool move_in(struct gh_xfrm *xfrm, const struct gh_kernel_sa *old, struct gh_xfrm_sa *sa,
                    struct ipsec_sa_params *params, struct gh_xfrm_why *why)
{
    struct gh_xfrm_sa_info info;

    if (!gh_xfrm_get_sa(xfrm, &old->name, &info))
        return gh_xfrm_refuse(why, "it is not in the kernel any more");
    params->last_seq = info.received_seq;
    (void)gh_xfrm_remove_sa(xfrm, &old->name);
    return gh_xfrm_add_sa(xfrm, sa, why);
}

static bool move_one(struct gh_xfrm *xfrm, const struct gh_kernel_sa *old, struct gh_xfrm_sa *sa,
                     struct ipsec_sa_params *params, struct gh_xfrm_why *why)
{
    const struct gh_xfrm_move to = {.local = params->local,
                                    .remote = params->remote,
                                    .local_port = params->local_port,
                                    .remote_port = params->remote_port};
    bool same_local = gh_addr_equal(&old->local, &params->local);
    bool same_remote = gh_addr_equal(&old->remote, &params->remote);
    bool same_kind = (old->local_port == 0) == (params->local_port == 0);

    if (same_local && same_remote && old->local_port == params->local_port &&
        old->remote_port == params->remote_port)
        return true;
    if (same_kind && same_local && (same_remote || old->way == IPSEC_IN))
        return gh_xfrm_update_sa(xfrm, sa, why);
    if (old->mode == IPSEC_TRANSPORT)
        return gh_xfrm_refuse(why, "in transport mode its addresses are those of the packets");
    return old->way == IPSEC_IN ? move_in(xfrm, old, sa, params, why)
                                : gh_xfrm_move_sa(xfrm, &old->name, &to, why);
}

void xfrm_move(struct xfrm *x, const struct gh_plane_sa *sa)
{
    struct ipsec_selector selectors[IPSEC_SELECTORS_MAX];
    struct gh_xfrm_why why = {.text = "it is malformed"};
    struct gh_kernel_sa *old = gh_kernel_sas_find(&x->sas, sa->id);
    struct ipsec_sa_params params;
    struct gh_xfrm_sa kernel;
    uint32_t place;

    if (old == NULL)
        return;
    place = old->place;
    if (!x->places[place]->open || !plan(sa, selectors, &params, &kernel) ||
        !move_one(&x->places[place]->xfrm, old, &kernel, &params, &why)) {
        xfrm_refuse(x, sa->id, 0, why.text);
        return;
    }
    gh_kernel_sas_remove(&x->sas, old);
    know(x, place, sa, &kernel);
}

void xfrm_remove(struct xfrm *x, uint64_t id)
{
    struct gh_kernel_sa *sa = gh_kernel_sas_find(&x->sas, id);

    if (sa == NULL)
        return;
    if (x->places[sa->place]->open)
        (void)gh_xfrm_remove_sa(&x->places[sa->place]->xfrm, &sa->name); /* or it has expired */
    gh_kernel_sas_remove(&x->sas, sa);
}

struct sweep {
    const struct xfrm *x;
    uint32_t place;
    struct gh_xfrm_sa_id *list;
    size_t count;
};

static void note_stray(void *ctx, const struct gh_xfrm_sa_info *info)
{
    struct sweep *s = ctx;
    struct gh_xfrm_sa_id *list;

    if (info->id.spi == 0 || gh_kernel_sas_named(&s->x->sas, s->place, &info->id) != NULL)
        return;
    list = reallocarray(s->list, s->count + 1, sizeof(*list));
    if (list == NULL)
        return;
    s->list = list;
    list[s->count++] = info->id;
}

void xfrm_sweep(struct xfrm *x, uint32_t place)
{
    struct sweep s = {.x = x, .place = place};
    struct xfrm_place *p = x->places[place];
    struct gh_xfrm_why why;

    if (!p->open || !x->whole)
        return;
    (void)gh_xfrm_each_sa(&p->xfrm, note_stray, &s); /* what is left expires */
    for (size_t i = 0; i < s.count; i++)
        (void)gh_xfrm_remove_sa(&p->xfrm, &s.list[i]);
    if (s.count > 0)
        gh_notice("%zu SAs of an earlier instance are gone from the kernel", s.count);
    free(s.list);
    if (!p->given && !gh_xfrm_set_policies(&p->xfrm, NULL, 0, &why))
        gh_warning("policies of an earlier instance: %s", why.text);
}

/* Once a second: what the kernel has counted, and whether what is ours is there still. */
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "daemon/channel.h"
#include "daemon/plane_messages.h"
#include "daemon/xfrm_priv.h"
#include "daemon/xfrm_sas.h"
#include "platform/xfrm.h"
#include "platform/xfrm_message.h"
#include "platform/xfrm_stat.h"
#include "wire/wr.h"

struct counting {
    struct xfrm *x;
    uint32_t place;
};

static void count_sa(void *ctx, const struct gh_xfrm_sa_info *info)
{
    const struct counting *c = ctx;
    struct gh_kernel_sa *sa = gh_kernel_sas_named(&c->x->sas, c->place, &info->id);
    const uint64_t *results = info->counts.results;
    uint64_t sum =
        info->counts.packets + results[IPSEC_OLD] + results[IPSEC_REPLAY] + results[IPSEC_ICV];
    uint8_t body[80];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (info->id.spi == 0) /* the kernel says so once, when perhaps nobody could do anything */
        xfrm_want(c->x, info->reqid, &info->flow);
    if (sa != NULL)
        sa->seen = c->x->look;
    if (sa == NULL || sum == sa->told)
        return;
    sa->told = sum;
    gh_plane_put_used(&w, &(struct gh_plane_used){
                              .id = sa->id,
                              .packets = info->counts.packets,
                              .octets = info->counts.octets,
                              .sequence = sa->way == IPSEC_IN ? info->received_seq : info->sent_seq,
                              .old = results[IPSEC_OLD],
                              .replay = results[IPSEC_REPLAY],
                              .icv = results[IPSEC_ICV],
                              .last_used = info->last_used,
                              .incoming = sa->way == IPSEC_IN});
    xfrm_tell(c->x, GH_MESSAGE_PLANE_USED, &w);
}

static void count_drops(struct xfrm *x)
{
    struct gh_plane_counts all = {0};
    uint8_t body[sizeof(all)];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    for (size_t i = 0; i < x->place_count; i++) {
        struct gh_xfrm_stat stat;

        if (!x->places[i]->open || x->places[i]->stat < 0 ||
            !gh_xfrm_stat_again(x->places[i]->stat, &stat))
            continue;
        for (int way = IPSEC_OUT; way <= IPSEC_IN; way++)
            for (int k = 0; k < IPSEC_RESULT_COUNT; k++)
                all.counts[way][k] += stat.counts[way][k];
    }
    if (memcmp(&all, &x->counts, sizeof(all)) == 0)
        return;
    x->counts = all;
    gh_plane_put_counts(&w, &all);
    xfrm_tell(x, GH_MESSAGE_PLANE_COUNTS, &w);
}

/* Somebody removed it. */
static void look_for_lost(struct xfrm *x, uint32_t place)
{
    struct gh_kernel_sa *next, *sa = gh_kernel_sas_next(&x->sas, NULL);

    for (; sa != NULL; sa = next) {
        struct gh_xfrm_sa_info info;

        next = gh_kernel_sas_next(&x->sas, sa);
        if (sa->place != place || sa->seen == x->look ||
            gh_xfrm_get_sa(&x->places[place]->xfrm, &sa->name, &info))
            continue;
        xfrm_refuse(x, sa->id, 0, "it is not in the kernel any more");
        gh_kernel_sas_remove(&x->sas, sa);
    }
}

void xfrm_count_policy(void *ctx, const struct gh_xfrm_policy_info *policy)
{
    ++*(size_t *)ctx;
}

/* Without policies what they protect would leave in clear: as with firewall rules, somebody who
 * takes them away finds them again. */
static void look_after_policies(struct xfrm *x, struct xfrm_place *p)
{
    size_t count = 0;

    if (!p->given || gh_xfrm_each_policy(&p->xfrm, xfrm_count_policy, &count) != 0 ||
        count == p->policies)
        return;
    gh_warning("somebody changed policies of the kernel's IPsec%s%s: they are given again",
               p->netns[0] != '\0' ? " in " : "", p->netns);
    gh_channel_send(x->esp, GH_MESSAGE_PLANE_PLACED, NULL, 0, -1);
}

void xfrm_look(uv_timer_t *timer)
{
    struct xfrm *x = timer->data;

    if (x->esp == NULL || !x->whole)
        return;
    for (size_t i = 0; i < x->place_count; i++) {
        struct counting c = {x, (uint32_t)i};

        x->look++;
        if (!x->places[i]->open)
            continue;
        if (gh_xfrm_each_sa(&x->places[i]->xfrm, count_sa, &c) == 0) /* else in a second */
            look_for_lost(x, (uint32_t)i);
        look_after_policies(x, x->places[i]);
    }
    count_drops(x);
}

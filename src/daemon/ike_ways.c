/* Our addresses and the ways to peers, as the parent tells them. */
#include <stdlib.h>

#include "config/octets.h"
#include "daemon/channel.h"
#include "daemon/ike_places.h"
#include "daemon/ike_priv.h"
#include "wire/wr.h"

bool gh_ike_get_place(struct ike *ike, struct gh_rd *body, uint16_t *zone)
{
    char *netns = gh_get_text(body, false), *vrf = gh_get_text(body, false);

    *zone = body->bad ? UINT16_MAX : gh_ike_place(ike->places, netns, vrf);
    free(netns);
    free(vrf);
    return *zone != UINT16_MAX;
}

void gh_ike_ask_way(void *ctx, const char *netns, const char *vrf, const struct gh_addr *remote)
{
    struct ike *ike = ctx;
    uint8_t body[700];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_put_text(&w, netns);
    gh_put_text(&w, vrf);
    gh_put_addr(&w, remote);
    gh_channel_send(ike->parent, GH_MESSAGE_IKE_ASK_WAY, body, w.len, -1);
}

void gh_ike_want_ways(struct ike *ike)
{
    struct gh_addr from;

    for (size_t i = 0; ike->config != NULL && i < ike->config->policy_count; i++) {
        const struct ike2_policy *p = ike->config->policies[i];

        if (p->gateway.len != 0 && (p->local.len == 0 || ike2_policy_has_tcp_ao(p)))
            for (size_t n = 0; n < ike2_gateway_count(p); n++)
                gh_ike_way(ike->places, p->zone, ike2_gateway(p, n), &from, NULL);
    }
}

static void paths_changed(struct ike *ike)
{
    if (ike->core == NULL)
        return;
    ike->now = gh_clock_now();
    gh_ike_want_ways(ike);
    ike2_paths_changed(ike->core, ike->now);
    gh_ike_notes_look(ike->notes, ike->core);
    gh_ike_settle(ike);
}

bool gh_ike_take_addresses(struct ike *ike, struct gh_rd *body)
{
    struct gh_addr *list;
    size_t count, fit = 0;
    uint16_t zone;
    bool known;

    if (!gh_ike_get_place(ike, body, &zone))
        return false;
    known = gh_get_flag(body);
    count = gh_rd_u16(body);
    list = calloc(count + 1, sizeof(*list));
    for (size_t i = 0; list != NULL && !body->bad && i < count; i++) {
        bool is_fit = gh_get_flag(body);

        list[i] = list[fit]; /* those that are fit first */
        gh_get_addr(body, true, &list[is_fit ? fit : i]);
        fit += is_fit;
    }
    if (list != NULL && !body->bad)
        gh_ike_place_addresses(ike->places, zone, known ? list : NULL, count, fit);
    free(list);
    if (list == NULL || body->bad)
        return false;
    if (gh_ike_places_settled(ike->places))
        paths_changed(ike);
    return true;
}

bool gh_ike_take_way(struct ike *ike, struct gh_rd *body)
{
    struct gh_addr remote, local;
    uint16_t zone;
    int error;

    if (!gh_ike_get_place(ike, body, &zone))
        return false;
    gh_get_addr(body, true, &remote);
    error = (int)gh_rd_u32(body);
    gh_get_addr(body, false, &local);
    if (body->bad)
        return false;
    if (gh_ike_way_answered(ike->places, zone, &remote, local.len != 0 ? &local : NULL, error))
        paths_changed(ike);
    return true;
}

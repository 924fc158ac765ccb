/* What the core asks for (struct ike2_ops), where it is neither a datagram nor an event. */
#include <stdio.h>

#include "daemon/esp_messages.h"
#include "daemon/ike_desk.h"
#include "daemon/ike_gatekeeper.h"
#include "daemon/ike_ipsec.h"
#include "daemon/ike_places.h"
#include "daemon/ike_priv.h"
#include "daemon/randomness.h"

void gh_ike_random(void *ctx, void *out, size_t len)
{
    struct ike *ike = ctx;

    gh_random_take(&ike->random, out, len);
}

static bool core_ask(void *ctx, const struct gh_keeper_request *r)
{
    struct ike *ike = ctx;

    return gh_ike_desk_ask(ike->desk, ike, r);
}

static bool core_child_install(void *ctx, const struct ike2_child_view *c)
{
    struct ike *ike = ctx;
    uint16_t zone = c->policy->private_zone > 0 ? c->policy->private_zone : c->local.zone;

    if (c->mode == IKE2_TCP_AO)
        return gk_child_installed(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, c);
    gh_ike_log_child_keys(ike, c);
    return gh_ike_ipsec_install(ike->ipsec, c, gh_ike_place_netns(ike->places, zone),
                                gh_ike_place_vrf(ike->places, zone));
}

static void core_child_remove(void *ctx, uint32_t id, enum ike2_removal why)
{
    struct ike *ike = ctx;

    if (!gk_child_removed(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, id, why))
        gh_ike_ipsec_remove(ike->ipsec, id, why);
}

static bool core_child_spi(void *ctx, const struct ike2_spi_wish *w, uint8_t *spi, size_t len)
{
    const struct ike2_child_policy *p = w->child;
    struct ike *ike = ctx;

    if (p->mode == IKE2_TCP_AO)
        return gk_child_spi(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, p->name, spi);
    do
        gh_ike_random(ctx, spi, len);
    while (spi[0] == 0 && spi[1] == 0 && spi[2] == 0); /* 0 … 255 are reserved */
    gh_esp_mark_spi(spi, p->kernel, gh_ike_ipsec_slot(ike->ipsec, w, ike->now.mono_ms));
    return true;
}

static enum ike2_way core_source(void *ctx, uint16_t zone, const struct gh_addr *remote,
                                 struct gh_addr *out)
{
    struct ike *ike = ctx;

    return gh_ike_way(ike->places, zone, remote, out, NULL);
}

static const struct gh_addr *core_addresses(void *ctx, uint16_t zone, size_t *count, size_t *fit)
{
    struct ike *ike = ctx;

    return gh_ike_place_list(ike->places, zone, count, fit);
}

static void core_child_update(void *ctx, const struct ike2_child_view *c)
{
    struct ike *ike = ctx;
    char here[GH_ADDR_TEXT], there[GH_ADDR_TEXT], text[2 * GH_ADDR_TEXT + 80];
    const struct ike2_event e = {.kind = IKE2_EVENT_CHILD_MOVED,
                                 .policy = c->policy->name,
                                 .sa = c->sa,
                                 .child = c->id,
                                 .remote = &c->remote,
                                 .text = text};

    snprintf(text, sizeof(text), "from %s port %u to %s port %u%s",
             gh_addr_format(&c->local.addr, here), c->local.port,
             gh_addr_format(&c->remote.addr, there), c->remote.port,
             c->udp_encapsulation ? ", in UDP" : "");
    gh_ike_ipsec_update(ike->ipsec, c);
    gh_ike_event(ctx, &e);
}

struct ike2_ops gh_ike_core_ops(struct ike *ike)
{
    return (struct ike2_ops){.ctx = ike,
                             .random = gh_ike_random,
                             .send = gh_ike_send,
                             .ask = core_ask,
                             .child_install = core_child_install,
                             .child_update = core_child_update,
                             .child_remove = core_child_remove,
                             .child_spi = core_child_spi,
                             .event = gh_ike_event,
                             .source = core_source,
                             .addresses = core_addresses,
                             .reads = gh_ike_reads};
}

/*
 * The devices of tunnels: made where the configuration wants them, with its addresses and MTU, and
 * handed to `esp`, which they outlive; or the kernel's own (parent_devices.c). And whether the host
 * has a route to a tunnel's other end.
 *
 * What a routing daemon or the operator adds to a device stays as long as the device does: until
 * the tunnel is gone from the configuration, or is to be elsewhere.
 */
#include "daemon/parent_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/alloc.h"
#include "config/ike.h"
#include "config/octets.h"
#include "daemon/esp_messages.h"
#include "daemon/esp_net.h"
#include "daemon/esp_raw.h"
#include "ipsec/header.h"
#include "platform/tun.h"
#include "tunnel/gre.h"
#include "wire/wr.h"

enum { BODY = 101 };

/* ---- What `esp` is told --------------------------------------------------------------------- */

static void tell_device(const struct gh_parent *p, const struct gh_parent_tunnel *t)
{
    uint8_t body[BODY];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_put_text(&w, t->name);
    gh_wr_u8(&w, t->datagrams);
    if (gh_parent_worker_channel(p, 0) != NULL && gh_wr_ok(&w) && t->fd >= 0)
        gh_channel_send(gh_parent_worker_channel(p, 0), GH_MESSAGE_TUNNEL_DEVICE, body, w.len,
                        t->fd);
}

static void tell_gone(const struct gh_parent *p, const struct gh_parent_tunnel *t)
{
    uint8_t body[BODY];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_put_text(&w, t->name);
    if (gh_parent_worker_channel(p, 0) != NULL && gh_wr_ok(&w))
        gh_channel_send(gh_parent_worker_channel(p, 0), GH_MESSAGE_TUNNEL_GONE, body, w.len, -1);
}

static void tell_reach(const struct gh_parent *p, const struct gh_parent_tunnel *t)
{
    struct gh_esp_reach reach = {.primary = t->primary, .backup = t->backup};
    uint8_t body[BODY];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    (void)snprintf(reach.tunnel, sizeof(reach.tunnel), "%s", t->name);
    gh_esp_put_reach(&w, &reach);
    if (!t->kernel.wanted && gh_parent_worker_channel(p, 0) != NULL && gh_wr_ok(&w))
        gh_channel_send(gh_parent_worker_channel(p, 0), GH_MESSAGE_TUNNEL_REACH, body, w.len, -1);
}

void gh_parent_tunnels_tell(struct gh_parent *p)
{
    for (size_t i = 0; i < p->esp.tunnel_count; i++) {
        tell_device(p, &p->esp.tunnels[i]);
        tell_reach(p, &p->esp.tunnels[i]);
    }
}

bool gh_parent_tunnels_carry(const struct gh_ike_config *c, const struct ike2_policy *peer,
                             const struct ike2_child_policy *child)
{
    bool any = false;

    for (size_t i = 0; i < c->tunnel_count; i++)
        any |= !c->tunnels[i].kernel && gh_config_text_equal(c->tunnels[i].peer, peer->name);
    for (size_t i = 0; any && i < child->remote.count; i++) {
        uint8_t protocol = child->remote.ts[i].protocol;

        any = protocol == TUNNEL_PROTO_GRE || protocol == IPSEC_PROTO_IPV4 ||
              protocol == IPSEC_PROTO_IPV6;
    }
    return any;
}

/* ---- Reach ---------------------------------------------------------------------------------- */

static const struct gh_tunnel *configured(const struct gh_parent *p, const char *name)
{
    const struct gh_ike_config *c = p->config->ike;

    for (size_t i = 0; c != NULL && i < c->tunnel_count; i++)
        if (strcmp(c->tunnels[i].name, name) == 0)
            return &c->tunnels[i];
    return NULL;
}

/* NULL: not open. */
static const struct gh_parent_place *outer_place(const struct gh_parent *p,
                                                 const struct gh_tunnel *t)
{
    const struct gh_ike_zone *zone = t->zone > 0 ? &p->config->ike->zones[t->zone - 1] : NULL;

    for (size_t i = 0; i < p->ike.place_count; i++)
        if (gh_config_text_equal(p->ike.places[i]->netns, zone != NULL ? zone->netns : NULL) &&
            gh_config_text_equal(p->ike.places[i]->vrf, zone != NULL ? zone->vrf : NULL))
            return p->ike.places[i];
    return NULL;
}

static bool has_route(const struct gh_parent_place *place, const struct gh_addr *to)
{
    struct gh_addr from;

    return to->len != 0 && place != NULL && place->paths.ask >= 0 &&
           gh_paths_source(&place->paths, to, &from) == 0;
}

/* For the log and for monitors. */
static void announce(struct gh_parent *p, const struct gh_parent_tunnel *t)
{
    char text[200];

    (void)snprintf(text, sizeof(text), "tunnel %s: %s", t->name,
                   t->primary  ? "goes to its remote address"
                   : t->backup ? "no route to its remote address: goes to the backup"
                               : "no route to its other end");
    gh_notice("%s", text);
    gh_parent_publish(p, "tunnel-reach", text);
}

void gh_parent_tunnels_reach(struct gh_parent *p)
{
    for (size_t i = 0; i < p->esp.tunnel_count; i++) {
        struct gh_parent_tunnel *t = &p->esp.tunnels[i];
        const struct gh_tunnel *want = configured(p, t->name);
        bool primary, backup;

        if (want == NULL)
            continue;
        primary = has_route(outer_place(p, want), &want->p.remote);
        backup = has_route(outer_place(p, want), &want->p.backup);
        if (primary == t->primary && backup == t->backup)
            continue;
        t->primary = primary;
        t->backup = backup;
        tell_reach(p, t);
        announce(p, t);
    }
}

bool gh_parent_tunnels_want(const struct gh_parent *p, const struct gh_parent_place *place,
                            int kind)
{
    const struct gh_ike_config *c = p->config->ike;
    uint8_t protocol;
    bool v6;

    if (kind <= GH_ESP_ICMP6 || !gh_esp_raw_kind(kind, &v6, &protocol))
        return true;
    for (size_t i = 0; c != NULL && i < c->tunnel_count; i++) {
        const struct gh_tunnel *t = &c->tunnels[i];

        if (t->peer == NULL && !t->kernel && outer_place(p, t) == place &&
            (t->p.local.len == 16) == v6 &&
            (t->p.kind == TUNNEL_GRE) == (protocol == TUNNEL_PROTO_GRE))
            return true;
    }
    return false;
}

/* ---- Devices -------------------------------------------------------------------------------- */

static bool is_same(const struct gh_parent *p, const struct gh_parent_tunnel *t,
                    const struct gh_tunnel *want)
{
    return gh_parent_device_is_same(p, &t->kernel, want) && strcmp(t->name, want->name) == 0 &&
           strcmp(t->device, want->device) == 0 && gh_config_text_equal(t->netns, want->netns) &&
           gh_config_text_equal(t->vrf, want->vrf);
}

static void close_device(struct gh_parent *p, struct gh_parent_tunnel *t)
{
    if (t->kernel.wanted)
        gh_parent_device_close(p, t);
    if (t->fd < 0)
        return;
    close(t->fd);
    t->fd = -1;
    tell_gone(p, t);
}

static void drop(struct gh_parent *p, size_t at)
{
    struct gh_parent_tunnel *t = &p->esp.tunnels[at];

    close_device(p, t);
    gh_parent_device_clear(&t->kernel);
    free(t->name);
    free(t->device);
    free(t->netns);
    free(t->vrf);
    *t = p->esp.tunnels[--p->esp.tunnel_count];
}

static char *copy(const char *text)
{
    return text != NULL ? gh_config_strdup(text) : NULL;
}

static struct gh_parent_tunnel *entry_of(struct gh_parent *p, const struct gh_tunnel *want)
{
    struct gh_parent_tunnel *t;

    for (size_t i = 0; i < p->esp.tunnel_count; i++)
        if (is_same(p, &p->esp.tunnels[i], want))
            return &p->esp.tunnels[i];
    p->esp.tunnels = gh_config_grow(p->esp.tunnels, p->esp.tunnel_count, sizeof(*p->esp.tunnels));
    t = &p->esp.tunnels[p->esp.tunnel_count++];
    *t = (struct gh_parent_tunnel){.name = gh_config_strdup(want->name),
                                   .device = gh_config_strdup(want->device),
                                   .netns = copy(want->netns),
                                   .vrf = copy(want->vrf),
                                   .fd = -1};
    gh_parent_device_init(p, &t->kernel, want);
    return t;
}

static bool has_address(const struct gh_prefix *list, size_t count, const struct gh_prefix *a)
{
    for (size_t i = 0; i < count; i++)
        if (gh_prefix_equal(&list[i], a))
            return true;
    return false;
}

static void set_addresses(struct gh_parent_tunnel *t, const struct gh_tunnel *want)
{
    char text[GH_PREFIX_TEXT];

    for (size_t i = 0; i < t->address_count; i++)
        if (!has_address(want->addresses, want->address_count, &t->addresses[i]))
            (void)gh_tun_address(t->netns, t->ifindex, &t->addresses[i], false);
    for (size_t i = 0; i < want->address_count; i++) {
        int result = has_address(t->addresses, t->address_count, &want->addresses[i])
                         ? 0
                         : gh_tun_address(t->netns, t->ifindex, &want->addresses[i], true);

        if (result != 0)
            gh_error("tunnel %s: the address %s: %s", t->name,
                     gh_prefix_format(&want->addresses[i], text), strerror(-result));
    }
    memcpy(t->addresses, want->addresses, sizeof(t->addresses));
    t->address_count = want->address_count;
}

/* IPv6 wants 1280 of a link. */
static uint32_t mtu_of(const struct gh_tunnel *want)
{
    uint16_t mtu = gh_tunnel_device_mtu(want);

    return mtu < TUNNEL_IPV6_MTU_MIN ? TUNNEL_IPV6_MTU_MIN : mtu;
}

static void open_device(struct gh_parent *p, struct gh_parent_tunnel *t,
                        const struct gh_tunnel *want)
{
    int result = gh_tun_open(t->netns, t->vrf, t->device, mtu_of(want), &t->ifindex, &t->datagrams);

    if (result < 0) {
        if (t->error != -result)
            gh_error("tunnel %s: the device %s: %s", t->name, t->device, strerror(-result));
        t->error = -result;
        return;
    }
    t->fd = result;
    t->error = 0;
    t->mtu = mtu_of(want);
    t->address_count = 0;
    t->generation = 0;
    tell_device(p, t);
}

static bool has_device(struct gh_parent *p, struct gh_parent_tunnel *t,
                       const struct gh_tunnel *want)
{
    if (t->fd < 0)
        open_device(p, t, want);
    return t->fd >= 0;
}

static void tend(struct gh_parent *p, struct gh_parent_tunnel *t, const struct gh_tunnel *want)
{
    struct gh_netns_id id = {.inode = 0};
    bool known = gh_netns_identify(t->netns, &id) == 0;
    int result = 0;

    if ((t->fd >= 0 || t->kernel.made) && (!known || !gh_netns_same(&id, &t->id)))
        close_device(p, t); /* it was of a namespace, not of its name */
    t->id = id;
    if (!(t->kernel.wanted ? gh_parent_device_tend(p, t, want) : has_device(p, t, want)) ||
        t->generation == p->generation)
        return;
    t->generation = p->generation;
    if (!t->kernel.wanted && t->mtu != mtu_of(want))
        result = gh_tun_set_mtu(t->netns, t->ifindex, mtu_of(want));
    if (result != 0)
        gh_error("tunnel %s: its MTU: %s", t->name, strerror(-result));
    else
        t->mtu = mtu_of(want);
    set_addresses(t, want);
}

static const struct gh_ike_config *in_force(const struct gh_parent *p)
{
    return p->ike.peers > 0 && !p->stopping ? p->config->ike : NULL;
}

void gh_parent_tunnels_drop(struct gh_parent *p)
{
    const struct gh_ike_config *c = in_force(p);

    for (size_t i = p->esp.tunnel_count; i-- > 0;) {
        const struct gh_tunnel *want = c != NULL ? configured(p, p->esp.tunnels[i].name) : NULL;

        if (want == NULL || !is_same(p, &p->esp.tunnels[i], want))
            drop(p, i);
    }
}

void gh_parent_tunnels_tend(struct gh_parent *p)
{
    const struct gh_ike_config *c = in_force(p);

    gh_parent_tunnels_drop(p);
    for (size_t i = 0; c != NULL && i < c->tunnel_count; i++)
        tend(p, entry_of(p, &c->tunnels[i]), &c->tunnels[i]);
    gh_parent_tunnels_reach(p);
}

/*
 * IPsec in the parent: in each place of IKE's a tunnel device for each slot, sockets for what is
 * protected, and routes into the devices; at a private side devices and routes alone. The processes
 * are parent_workers.c's.
 *
 * Descriptors outlive the processes: packets wait, and the next instance carries on.
 *
 * A route to a device goes with it. Beside each stands one to nowhere that counts less: while no
 * daemon is there, what was to be protected does not leave by another way instead. As firewall
 * rules do, it stays when the daemon ends; the next one takes away what it does not want.
 */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/range.h"
#include "base/log.h"
#include "config/alloc.h"
#include "config/ike_slots.h"
#include "config/octets.h"
#include "control/control.h"
#include "daemon/esp_capture.h"
#include "daemon/esp_net.h"
#include "daemon/esp_routes.h"
#include "daemon/esp_raw.h"
#include "daemon/esp_show.h"
#include "daemon/noted_namespaces.h"
#include "ike/v2/core.h"
#include "platform/ip_rules.h"
#include "platform/raw.h"
#include "platform/routes.h"
#include "platform/tun.h"
#include "platform/udp.h"
#include "platform/unprotected.h"
#include "wire/wr.h"

enum { PLACE_BODY = 600 };
#define TUN_NAME "gh-ipsec%d"

/* ---- What `esp` is told --------------------------------------------------------------------- */

static struct gh_wr begin(const struct gh_parent_place *place, uint8_t *body)
{
    struct gh_wr w = gh_wr_make(body, PLACE_BODY);

    gh_put_text(&w, place->netns);
    gh_put_text(&w, place->vrf);
    return w;
}

static void tell_socket(struct gh_parent *p, const struct gh_parent_place *place, size_t slot,
                        int kind)
{
    const struct gh_esp_share *share = &place->esp.shares[slot];
    struct gh_channel *channel = gh_parent_worker_channel(p, slot);
    uint8_t body[PLACE_BODY];
    struct gh_wr w = begin(place, body);

    gh_wr_u8(&w, (uint64_t)kind);
    gh_wr_u8(&w, kind == GH_ESP_TUN && share->datagrams);
    if (channel != NULL && gh_wr_ok(&w) && share->sockets[kind] >= 0)
        gh_channel_send(channel, GH_MESSAGE_ESP_SOCKET, body, w.len, share->sockets[kind]);
}

void gh_parent_esp_tell_sockets(struct gh_parent *p, size_t slot)
{
    for (size_t i = 0; i < p->ike.place_count; i++)
        for (int kind = 0; kind < GH_ESP_SOCKETS; kind++)
            tell_socket(p, p->ike.places[i], slot, kind);
}

static void tell_gone(struct gh_parent *p, const struct gh_parent_place *place)
{
    uint8_t body[PLACE_BODY];
    struct gh_wr w = begin(place, body);

    for (size_t slot = 0; gh_wr_ok(&w) && slot < GH_SLOTS; slot++)
        if (gh_parent_worker_channel(p, slot) != NULL)
            gh_channel_send(gh_parent_worker_channel(p, slot), GH_MESSAGE_ESP_PLACE_GONE, body,
                            w.len, -1);
}

/* ---- Routes --------------------------------------------------------------------------------- */

static void report(const struct gh_esp_route *r, int result)
{
    char text[GH_PREFIX_TEXT];

    if (result != 0 && result != r->error)
        gh_error("the route to %s: %s", gh_prefix_format(&r->to, text), strerror(-result));
}

/* True: nothing is left of it. */
static bool change_route(const struct gh_parent_place *place, struct gh_esp_route *r)
{
    const struct gh_route closed = {.table = r->table, .to = r->to};
    struct gh_route open = {.table = r->table,
                            .to = r->to,
                            .ifindex = r->ifindex,
                            .metric = r->metric,
                            .source = r->source};
    int fd = place->esp.routes_fd, result = 0;

    if (r->open && (!r->wanted || r->stale))
        gh_route_remove(fd, &open);
    r->open &= !r->stale;
    r->stale = false;
    if (!r->wanted) {
        if (r->closed)
            gh_route_remove(fd, &closed);
        return true;
    }
    if (!r->closed)
        result = gh_route_add(fd, &closed);
    r->closed = result == 0;
    if (r->closed && !r->open) {
        r->ifindex = open.ifindex = place->esp.shares[r->slot].ifindex;
        result = gh_route_add(fd, &open);
        r->open = result == 0;
    }
    report(r, result);
    r->error = result;
    return false;
}

void gh_parent_esp_change_route(struct gh_parent_place *place, struct gh_esp_route *r)
{
    if ((!r->wanted || !r->open || r->stale) && change_route(place, r))
        gh_esp_routes_remove(&place->esp.routes, r);
}

/* A prefix that goes to another table is in both for a while, so that nothing of it leaves by
 * another way. */
void gh_parent_esp_change_routes(struct gh_parent_place *place)
{
    struct gh_esp_place *e = &place->esp;

    for (size_t i = 0; i < e->routes.count; i++)
        if (e->routes.list[i].wanted)
            gh_parent_esp_change_route(place, &e->routes.list[i]);
    gh_esp_rules_follow(place);
    for (size_t i = e->routes.count; i-- > 0;)
        if (!e->routes.list[i].wanted)
            gh_parent_esp_change_route(place, &e->routes.list[i]);
}

/* Of an earlier instance: what is not wanted any more goes with the next change. */
static void adopt(void *ctx, uint32_t table, const struct gh_prefix *to)
{
    struct gh_esp_place *e = ctx;

    if (table != e->table && !gh_esp_route_is_detour(e, table, to))
        return;
    gh_esp_routes_make(&e->routes, table, to)->closed = true;
}

static void open_routes(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_esp_place *e = &place->esp;
    int fd = gh_routes_open(place->netns), result = fd;

    if (fd >= 0 && place->vrf != NULL)
        result = gh_routes_vrf_table(fd, place->vrf, &e->table);
    if (result >= 0)
        result = gh_routes_each(fd, adopt, e);
    if (result >= 0) {
        e->routes_fd = fd;
        e->rules_due = true;
        gh_note_namespace(p->options->run_directory, place->netns);
        return;
    }
    if (fd >= 0)
        close(fd);
    if (e->routes_error != result)
        gh_error("routes for IPsec: %s", strerror(-result));
    e->routes_error = result;
}

static void remove_one(void *ctx, uint32_t table, const struct gh_prefix *to)
{
    gh_route_remove(*(int *)ctx, &(struct gh_route){.table = table, .to = *to});
}

static bool remove_from(void *ctx, const char *netns)
{
    char said[GH_RULES_SAID];
    int fd, result;

    gh_parent_devices_remove(ctx, netns);
    gh_parent_xfrm_remove(netns);
    fd = result = gh_routes_open(netns);
    if (fd >= 0) {
        gh_unprotected_remove(netns, said); /* without nft there is nothing */
        result = gh_ip_rules_remove(fd);
        if (result == 0)
            result = gh_routes_each(fd, remove_one, &fd);
        close(fd);
    }
    if (result < 0)
        gh_error("routes in namespace %s: %s", netns[0] != '\0' ? netns : "(own)",
                 strerror(-result));
    return result >= 0;
}

bool gh_parent_esp_remove_routes(const char *run_directory)
{
    bool good = gh_noted_namespaces(run_directory, remove_from, (void *)(uintptr_t)run_directory);

    if (good)
        gh_noted_namespaces_forget(run_directory);
    return good;
}

/* ---- Places --------------------------------------------------------------------------------- */

/* The kernel goes by the order in which they were opened. */
static int open_udp(const struct gh_parent_place *place, size_t slot, int kind, uid_t owner)
{
    const bool v6 = kind == GH_ESP_UDP6;

    for (size_t i = 0; i < slot; i++)
        if (place->esp.shares[i].sockets[kind] < 0)
            return -place->esp.shares[i].errors[kind];
    for (size_t i = 0; i < GH_IKE_SOCKETS; i++) {
        const struct gh_ike_socket *s = &place->sockets[i];

        if (s->port == IKE2_PORT_NAT_T && s->v6 == v6)
            return s->fd >= 0 ? gh_udp_open_esp(s->fd, (unsigned)slot, place->netns, place->vrf, v6,
                                                s->port, owner)
                              : -s->error;
    }
    return -ENOENT;
}

static int open_ipsec(const struct gh_parent_place *place, int kind)
{
    const bool v6 = kind == GH_ESP_ESP6 || kind == GH_ESP_AH6,
               ah = kind == GH_ESP_AH4 || kind == GH_ESP_AH6;

    return gh_raw_open(place->netns, place->vrf, v6, ah ? IPPROTO_AH : IPPROTO_ESP, ah);
}

static int open_one(const struct gh_parent *p, struct gh_parent_place *place, size_t slot, int kind)
{
    struct gh_esp_share *share = &place->esp.shares[slot];
    bool v6;
    uint8_t protocol;

    if (kind > GH_ESP_ICMP6 && gh_esp_raw_kind(kind, &v6, &protocol))
        return gh_raw_open(place->netns, place->vrf, v6, protocol, false);
    switch (kind) {
    case GH_ESP_TUN:
        return gh_tun_open(place->netns, place->vrf, TUN_NAME, IKE2_IP_MTU, &share->ifindex,
                           &share->datagrams);
    case GH_ESP_ICMP4:
    case GH_ESP_ICMP6:
        return gh_raw_open_icmp(place->netns, place->vrf, kind == GH_ESP_ICMP6);
    case GH_ESP_UDP4:
    case GH_ESP_UDP6:
        return open_udp(place, slot, kind, p->ao.uid);
    default:
        return open_ipsec(place, kind);
    }
}

static int open_filtered(const struct gh_parent *p, struct gh_parent_place *place, size_t slot,
                         int kind)
{
    int result, fd = open_one(p, place, slot, kind);

    if (fd < 0 || kind == GH_ESP_TUN || gh_parent_filter_socket(p, place, slot, kind, fd))
        return fd;
    result = -errno;
    close(fd);
    return result;
}

static void open_sockets(struct gh_parent *p, struct gh_parent_place *place, size_t slot)
{
    static const char *const names[] = {"the tunnel device",
                                        "port 4500 for ESP in IPv4",
                                        "port 4500 for ESP in IPv6",
                                        "ESP over IPv4",
                                        "ESP over IPv6",
                                        "AH over IPv4",
                                        "AH over IPv6",
                                        "ICMP errors",
                                        "ICMPv6 errors",
                                        "GRE over IPv4",
                                        "GRE over IPv6",
                                        "IPv4 in IPv4",
                                        "IPv6 in IPv4",
                                        "IPv4 in IPv6",
                                        "IPv6 in IPv6"};

    for (int kind = 0; kind < GH_ESP_SOCKETS; kind++) {
        struct gh_esp_share *share = &place->esp.shares[slot];
        int result;

        /* Tunnels are the first slot's. */
        if (share->sockets[kind] >= 0 || (slot > 0 && kind > GH_ESP_ICMP6) ||
            !gh_parent_tunnels_want(p, place, kind) || (place->is_private && kind != GH_ESP_TUN))
            continue;
        result = open_filtered(p, place, slot, kind);
        if (result >= 0) {
            share->sockets[kind] = result;
            tell_socket(p, place, slot, kind);
        } else if (share->errors[kind] != -result) {
            gh_error("%s: %s", names[kind], strerror(-result));
        }
        share->errors[kind] = result < 0 ? -result : 0;
    }
}

static void init_share(struct gh_esp_share *share)
{
    *share = (struct gh_esp_share){.ifindex = 0};
    for (int kind = 0; kind < GH_ESP_SOCKETS; kind++)
        share->sockets[kind] = -1;
}

/* Was something open? */
static bool close_share(struct gh_esp_share *share)
{
    bool any = false;

    for (int kind = 0; kind < GH_ESP_SOCKETS; kind++) {
        any |= share->sockets[kind] >= 0;
        if (share->sockets[kind] >= 0)
            close(share->sockets[kind]);
    }
    init_share(share);
    return any;
}

void gh_parent_esp_init_place(struct gh_parent_place *place)
{
    place->esp.routes_fd = -1;
    gh_parent_xfrm_init_place(place);
    for (size_t slot = 0; slot < GH_SLOTS; slot++)
        init_share(&place->esp.shares[slot]);
}

bool gh_parent_esp_shares(const struct gh_parent_place *place, bool v6)
{
    return place->esp.shares[0].sockets[v6 ? GH_ESP_UDP6 : GH_ESP_UDP4] >= 0;
}

bool gh_parent_esp_shares_all(const struct gh_parent *p, const struct gh_parent_place *place,
                              bool v6)
{
    for (size_t slot = 0; slot < p->esp.slot_count; slot++)
        if (place->esp.shares[slot].sockets[v6 ? GH_ESP_UDP6 : GH_ESP_UDP4] < 0)
            return false;
    return p->esp.slot_count > 0;
}

static bool has_devices(const struct gh_parent *p, const struct gh_esp_place *e)
{
    for (size_t slot = 0; slot < p->esp.slot_count; slot++)
        if (e->shares[slot].sockets[GH_ESP_TUN] < 0)
            return false;
    return true;
}

bool gh_parent_esp_has_routes(const struct gh_parent *p, const struct gh_parent_place *place)
{
    return has_devices(p, &place->esp) && place->esp.routes_fd >= 0;
}

void gh_parent_esp_close_place(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_esp_place *e = &place->esp;
    bool any = false;

    gh_parent_xfrm_close_place(p, place);
    for (size_t i = 0; i < e->routes.count; i++)
        e->routes.list[i].wanted = false;
    e->rules_due = true;
    if (e->routes_fd >= 0) {
        gh_parent_esp_change_routes(place);
        close(e->routes_fd);
    }
    for (size_t slot = GH_SLOTS; slot-- > 0;)
        any |= close_share(&e->shares[slot]);
    if (any) {
        tell_gone(p, place);
        gh_parent_esp_clear_leave(p, place);
    }
    gh_esp_routes_free(&e->routes);
    *e = (struct gh_esp_place){.routes_fd = -1};
    gh_parent_esp_init_place(place);
}

void gh_parent_esp_tend_place(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_esp_place *e = &place->esp;

    if (!p->esp.wanted) {
        gh_parent_esp_close_place(p, place);
        gh_parent_xfrm_tend_place(p, place);
        return;
    }
    for (size_t slot = 0; slot < p->esp.slot_count; slot++)
        open_sockets(p, place, slot);
    gh_parent_xfrm_tend_place(p, place);
    if (e->routes_fd < 0)
        open_routes(p, place);
    if (!gh_parent_esp_has_routes(p, place))
        return;
    if (e->generation != p->generation) {
        gh_parent_esp_set_mtu(p, place);
        gh_parent_esp_want_routes(p, place);
        gh_parent_esp_clear_follow(p, place);
        e->rules_due = true;
        e->generation = p->generation;
    }
    gh_parent_esp_change_routes(place);
}

/* ---- The plan in force ---------------------------------------------------------------------- */

static bool has_children(const struct gh_parent *p)
{
    const struct gh_ike_config *c = p->config->ike;

    if (p->ike.peers > 0 && c->tunnel_count > 0)
        return true;
    for (size_t i = 0; p->ike.peers > 0 && i < c->policy_count; i++)
        if (gh_ike_has_ipsec(c->policies[i]))
            return true;
    return false;
}

void gh_parent_esp_apply(struct gh_parent *p)
{
    bool before = p->esp.wanted;

    gh_parent_tunnels_drop(p);
    p->esp.wanted = has_children(p);
    if (p->esp.wanted && !before)
        gh_parent_workers_init(p);
    gh_parent_xfrm_apply(p);
    gh_parent_workers_apply(p);
}

void gh_parent_esp_stop(struct gh_parent *p)
{
    gh_parent_tunnels_drop(p);
    gh_parent_workers_stop(p);
    gh_parent_xfrm_stop(p);
}

bool gh_parent_esp_runs(const struct gh_parent *p)
{
    return gh_parent_workers_run(p) || gh_child_is_there(&p->xfrm.xfrm);
}

bool gh_parent_esp_request(struct gh_parent *p, uint32_t client, const json_t *request,
                           const char *line, size_t len)
{
    bool capture = gh_esp_capture_is_op(gh_control_op(request));

    if (strcmp(gh_control_op(request), "show-ipsec-unprotected") == 0) {
        gh_control_server_answer_json(p->control, client, GH_ANSWERER_PARENT,
                                      gh_parent_esp_clear_show(p));
        return true;
    }
    if (strcmp(gh_control_op(request), "show-ipsec-group") == 0) {
        gh_control_server_answer_json(p->control, client, GH_ANSWERER_PARENT,
                                      gh_parent_workers_show(p));
        return true;
    }
    if (strcmp(gh_control_op(request), "show-tunnel-kernel") == 0) {
        gh_control_server_answer_json(
            p->control, client, GH_ANSWERER_PARENT,
            gh_parent_devices_show(p, json_string_value(json_object_get(request, "name"))));
        return true;
    }
    if (!capture && !gh_esp_is_op(gh_control_op(request)))
        return false;
    if (capture && !gh_control_server_is_root(p->control, client)) {
        gh_control_server_answer_json(
            p->control, client, GH_ANSWERER_PARENT,
            gh_control_refusal("try sudo", "packets are shown to root alone"));
        return true;
    }
    if (!p->esp.wanted)
        gh_control_server_answer_json(
            p->control, client, GH_ANSWERER_PARENT,
            gh_control_refusal("give an IKE peer one, then `gatectl reload`",
                               "no IKE peer has a child of IPsec"));
    else
        gh_parent_forward(p, gh_parent_worker_for(p, request), client, GH_ANSWERER_ESP, line, len);
    return true;
}

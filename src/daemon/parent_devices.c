/*
 * The kernel's own devices of tunnels (`dataplane`, parent_tunnel_planes.c): made and changed as
 * the configuration in force wants them, and taken away when the daemon is stopped. Those that a
 * killed one left go when the next one starts.
 *
 * A protected one is up only when the kernel has policies for all of its packets, so that none
 * leaves or comes in clear; and it goes before they do.
 */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/alloc.h"
#include "config/tunnel_cover.h"
#include "daemon/noted_namespaces.h"
#include "daemon/tunnel_show.h"
#include "platform/xfrm.h"

/* ---- Names ---------------------------------------------------------------------------------- */

/* What the aliases of all begin with. */
static bool write_alias(const char *run_directory, const char *tunnel,
                        char out[GH_TUNNEL_ALIAS + 1])
{
    int n = snprintf(out, GH_TUNNEL_ALIAS + 1, "gatehouse %s tunnel %s", run_directory, tunnel);

    return n > 0 && n <= GH_TUNNEL_ALIAS;
}

static const struct gh_ike_zone *zone_of(const struct gh_parent *p, const struct gh_tunnel *want)
{
    return want->zone > 0 ? &p->config->ike->zones[want->zone - 1] : NULL;
}

static char *copy(const char *text)
{
    return text != NULL ? gh_config_strdup(text) : NULL;
}

void gh_parent_device_init(const struct gh_parent *p, struct gh_parent_device *d,
                           const struct gh_tunnel *want)
{
    const struct gh_ike_zone *zone = zone_of(p, want);

    *d = (struct gh_parent_device){.wanted = want->kernel,
                                   .outer_netns = copy(zone != NULL ? zone->netns : NULL),
                                   .outer_vrf = copy(zone != NULL ? zone->vrf : NULL),
                                   .is_protected = want->peer != NULL,
                                   .p = want->p};
}

void gh_parent_device_clear(struct gh_parent_device *d)
{
    free(d->outer_netns);
    free(d->outer_vrf);
}

/* What lets packets into it in clear or keeps them out does not change under it. */
bool gh_parent_device_is_same(const struct gh_parent *p, const struct gh_parent_device *d,
                              const struct gh_tunnel *want)
{
    const struct gh_ike_zone *zone = zone_of(p, want);

    if (!d->wanted || !want->kernel)
        return d->wanted == want->kernel;
    return d->is_protected == (want->peer != NULL) && d->p.kind == want->p.kind &&
           gh_addr_equal(&d->p.local, &want->p.local) &&
           gh_addr_equal(&d->p.remote, &want->p.remote) &&
           gh_config_text_equal(d->outer_netns, zone != NULL ? zone->netns : NULL) &&
           gh_config_text_equal(d->outer_vrf, zone != NULL ? zone->vrf : NULL);
}

/* ---- One device ----------------------------------------------------------------------------- */

static struct gh_tunnel_device plan(const struct gh_parent_tunnel *t, const char *alias)
{
    return (struct gh_tunnel_device){.name = t->device,
                                     .alias = alias,
                                     .netns = t->netns,
                                     .vrf = t->vrf,
                                     .outer_netns = t->kernel.outer_netns,
                                     .outer_vrf = t->kernel.outer_vrf,
                                     .p = &t->kernel.p,
                                     .mtu = t->kernel.p.mtu.ip_mtu};
}

/* Is there still what we have made, under its name? */
static bool is_there(const struct gh_parent *p, const struct gh_parent_tunnel *t,
                     struct gh_tunnel_device_state *s)
{
    char alias[GH_TUNNEL_ALIAS + 1];

    return t->kernel.made && write_alias(p->options->run_directory, t->name, alias) &&
           gh_tunnel_device_look(t->netns, t->device, s) == 0 && s->ifindex == t->ifindex &&
           strcmp(s->alias, alias) == 0;
}

static void report(struct gh_parent_tunnel *t, const char *what, int result)
{
    if (t->error != -result)
        gh_error("tunnel %s: %s %s: %s", t->name, what, t->device, strerror(-result));
    t->error = -result;
}

static bool make(const struct gh_parent *p, struct gh_parent_tunnel *t)
{
    char alias[GH_TUNNEL_ALIAS + 1];
    const struct gh_tunnel_device d = plan(t, alias);
    int result = write_alias(p->options->run_directory, t->name, alias) ? 0 : -ENAMETOOLONG;

    gh_note_namespace(p->options->run_directory, t->netns);
    gh_note_namespace(p->options->run_directory, t->kernel.outer_netns);
    if (result == 0)
        result = gh_tunnel_device_make(&d, &t->ifindex);
    t->kernel.made = result == 0;
    t->kernel.up = false;
    t->address_count = 0;
    t->generation = 0;
    if (!t->kernel.made)
        report(t, "the kernel's device", result);
    return t->kernel.made;
}

/* A policy of ours for each of its packets: of a child, or one that discards. */
static bool is_guarded(const struct gh_parent_tunnel *t)
{
    const struct tunnel_params *p = &t->kernel.p;
    const struct gh_prefix local = {p->local, (uint8_t)(8 * p->local.len)},
                           remote = {p->remote, (uint8_t)(8 * p->remote.len)};
    struct ipsec_selector s = ipsec_selector_between(&local, &remote);
    uint8_t protocols[2];
    size_t count = gh_tunnel_protocols(p->kind, protocols);
    struct gh_xfrm x;
    bool good = true;

    if (gh_xfrm_open(t->kernel.outer_netns, &x) != 0)
        return false;
    for (size_t i = 0; good && i < count; i++) {
        s.protocol = protocols[i];
        good = gh_xfrm_has_policy(&x, &s);
    }
    gh_xfrm_close(&x);
    return good;
}

void gh_parent_device_close(const struct gh_parent *p, struct gh_parent_tunnel *t)
{
    struct gh_tunnel_device_state s;

    if (is_there(p, t, &s))
        gh_tunnel_device_remove(t->netns, t->ifindex);
    t->kernel.made = t->kernel.up = false;
}

/* False: it is to be made anew. */
static bool change(const struct gh_parent *p, struct gh_parent_tunnel *t,
                   const struct gh_tunnel *want)
{
    struct tunnel_params before = t->kernel.p;
    struct gh_tunnel_device d;

    t->kernel.p = want->p;
    if (memcmp(&before, &want->p, sizeof(before)) == 0)
        return true;
    d = plan(t, NULL);
    return gh_tunnel_device_change(&d, t->ifindex) == 0;
}

bool gh_parent_device_tend(const struct gh_parent *p, struct gh_parent_tunnel *t,
                           const struct gh_tunnel *want)
{
    struct gh_tunnel_device_state s;
    struct gh_netns_id outer = {.inode = 0};
    int result;

    if (t->kernel.made && !is_there(p, t, &s))
        t->kernel.made = false; /* somebody took it away, or its namespace went */
    (void)gh_netns_identify(t->kernel.outer_netns, &outer);
    if (t->kernel.made && !gh_netns_same(&outer, &t->kernel.outer))
        gh_parent_device_close(p, t); /* it sends in a namespace, not in its name */
    t->kernel.outer = outer;
    if (t->kernel.made && !change(p, t, want))
        gh_parent_device_close(p, t);
    t->kernel.p = want->p;
    if (!t->kernel.made && !make(p, t))
        return false;
    if (!t->kernel.up && (!t->kernel.is_protected || is_guarded(t))) {
        result = gh_tunnel_device_up(t->netns, t->ifindex);
        t->kernel.up = result == 0;
        if (result != 0)
            report(t, "up with the device", result);
        else
            t->error = 0;
    }
    return t->kernel.up;
}

/* ---- Those of an earlier instance ----------------------------------------------------------- */

bool gh_parent_devices_remove(void *run_directory, const char *netns)
{
    char alias[GH_TUNNEL_ALIAS + 1];

    if (write_alias(run_directory, "", alias))
        gh_tunnel_devices_remove(netns, alias);
    return true;
}

/* ---- What `show tunnel` has of them --------------------------------------------------------- */

static const char *state_of(const struct gh_parent_tunnel *t, bool there,
                            const struct gh_tunnel_device_state *s)
{
    if (!there)
        return "absent";
    if (!t->kernel.up)
        return "waiting";
    if (!s->up)
        return "down";
    return t->primary ? "up" : "no-route";
}

static const char *why_of(const struct gh_parent_tunnel *t, bool there)
{
    if (!there)
        return t->error != 0 ? strerror(t->error) : "somebody took the device away";
    return t->kernel.up ? NULL : "the kernel does not have the policies for its packets yet";
}

static json_t *show_one(const struct gh_parent *p, const struct gh_parent_tunnel *t,
                        const struct gh_tunnel *want)
{
    const struct gh_ike_zone *zone = zone_of(p, want);
    struct gh_tunnel_device_state s = {.ifindex = 0};
    const bool there = is_there(p, t, &s);
    const char *why = why_of(t, there);
    const struct gh_tunnel_shown shown = {.name = t->name,
                                          .device = t->device,
                                          .dataplane = "kernel",
                                          .state = state_of(t, there, &s),
                                          .netns = zone != NULL ? zone->netns : NULL,
                                          .vrf = zone != NULL ? zone->vrf : NULL,
                                          .peer = want->peer,
                                          .p = &want->p,
                                          .remote = t->primary ? &want->p.remote : NULL,
                                          .dests = want->p.dests,
                                          .dest_count = want->p.dest_count,
                                          .reassembly_ms = want->reassembly_ms,
                                          .ip_mtu = there ? s.mtu : want->p.mtu.ip_mtu};
    const struct gh_tunnel_drop in[] = {{"gre-checksum", s.rx_checksum},
                                        {"gre-sequence", s.rx_sequence},
                                        {"ecn", s.rx_ecn},
                                        {"malformed", s.rx_malformed},
                                        {"dropped", s.rx_dropped}},
                                out[] = {{"loop", s.tx_loop},
                                         {"no-way", s.tx_no_way},
                                         {"dropped", s.tx_dropped}};
    json_t *object = gh_tunnel_show(&shown);

    json_object_set_new(object, "why", why != NULL ? json_string(why) : json_null());
    json_object_set_new(object, "switches", json_integer(0));
    json_object_set_new(
        object, "in",
        gh_tunnel_show_way(s.rx_packets, s.rx_octets, in, sizeof(in) / sizeof(in[0])));
    json_object_set_new(
        object, "out",
        gh_tunnel_show_way(s.tx_packets, s.tx_octets, out, sizeof(out) / sizeof(out[0])));
    json_object_set_new(object, "counts", json_object());
    return object;
}

/* In the order of the configuration; of those that are not the kernel's, why. */
json_t *gh_parent_devices_show(const struct gh_parent *p, const char *name)
{
    const struct gh_ike_config *c = p->esp.wanted ? p->config->ike : NULL;
    json_t *tunnels = json_array(), *others = json_object();

    for (size_t i = 0; c != NULL && i < c->tunnel_count; i++) {
        const struct gh_tunnel *want = &c->tunnels[i];

        if (name != NULL && strcmp(name, want->name) != 0)
            continue;
        if (want->not_kernel != NULL)
            json_object_set_new(others, want->name, json_string(want->not_kernel));
        for (size_t k = 0; want->kernel && k < p->esp.tunnel_count; k++)
            if (strcmp(p->esp.tunnels[k].name, want->name) == 0)
                json_array_append_new(tunnels, show_one(p, &p->esp.tunnels[k], want));
    }
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "tunnels", tunnels, "not_kernel", others);
}

#include <string.h>

#include "base/log.h"
#include "base/range.h"
#include "config/alloc.h"
#include "config/ike.h"
#include "daemon/esp_messages.h"
#include "daemon/esp_routes.h"
#include "daemon/parent_priv.h"
#include "platform/ip_rules.h"

/* ---- Routes --------------------------------------------------------------------------------- */

static struct gh_prefix host(const struct gh_addr *a)
{
    return (struct gh_prefix){.addr = *a, .bits = (uint8_t)(8 * a->len)};
}

/* What a selector of the peer's side has for routes. Transport mode goes to the peer alone. */
static size_t prefixes_of(const struct ike2_policy *policy, const struct ike2_child_policy *child,
                          const struct ike_ts *remote, struct gh_prefix out[GH_RANGE_PREFIXES])
{
    size_t count = gh_range_prefixes(&remote->start, &remote->end, out);

    if (child->mode == IKE2_TUNNEL)
        return count;
    for (size_t i = 0; i < count; i++) {
        if (gh_prefix_contains(&out[i], &policy->gateway)) {
            out[0] = host(&policy->gateway);
            return 1;
        }
    }
    return 0;
}

static bool overlap(const struct gh_prefix *to, const struct gh_prefix *where)
{
    return where->bits > 0 && gh_prefix_overlaps(to, where);
}

/* It is there, or may come there by MOBIKE or a redirection that is bounded. */
static bool holds_peer(const struct ike2_policy *policy, const struct gh_prefix *to)
{
    for (size_t i = 0; i < ike2_gateway_count(policy); i++)
        if (gh_prefix_contains(to, ike2_gateway(policy, i)))
            return true;
    return to->bits == 0 || overlap(to, &policy->remote) ||
           (policy->mobike && overlap(to, &policy->moves_to)) ||
           (policy->redirects && overlap(to, &policy->follows_to));
}

/* Where our side is one address, this host itself is what is protected: it sends from there. */
static struct gh_addr source_of(const struct ike2_child_policy *child, uint8_t len)
{
    struct gh_addr found = {.len = 0};

    for (size_t i = 0; i < child->local.count; i++) {
        const struct ike_ts *ts = &child->local.ts[i];

        if (ts->start.len != len)
            continue;
        if (!gh_addr_equal(&ts->start, &ts->end) ||
            (found.len != 0 && !gh_addr_equal(&found, &ts->start)))
            return (struct gh_addr){.len = 0};
        found = ts->start;
    }
    return found;
}

/* False: there can be none, and the log says why. At a private side no peer is: IKE and ESP do not
 * leave from there. */
static bool table_for(const struct gh_parent_place *place, const struct gh_prefix *to,
                      bool with_peer, const char *whose, uint32_t *table)
{
    char text[GH_PREFIX_TEXT];

    with_peer = with_peer && !place->is_private;
    *table = with_peer ? (uint32_t)GH_DETOUR_TABLE + to->bits : place->esp.table;
    if (!with_peer || place->vrf == NULL)
        return true;
    gh_warning("%s: no route to %s: the peer itself is there, and in a VRF its packets cannot be "
               "told from those that the tunnel is for",
               whose, gh_prefix_format(to, text));
    return false;
}

static struct gh_esp_route *find(struct gh_esp_place *e, uint32_t table, const struct gh_prefix *to)
{
    for (size_t i = 0; i < e->route_count; i++)
        if (e->routes[i].table == table && gh_prefix_equal(&e->routes[i].to, to))
            return &e->routes[i];
    return NULL;
}

static struct gh_esp_route *make(struct gh_esp_place *e, uint32_t table, const struct gh_prefix *to)
{
    struct gh_esp_route *r = find(e, table, to);

    if (r != NULL)
        return r;
    e->routes = gh_config_grow(e->routes, e->route_count, sizeof(*e->routes));
    r = &e->routes[e->route_count++];
    *r = (struct gh_esp_route){.to = *to, .table = table};
    return r;
}

static void shape(struct gh_esp_route *r, uint8_t slot, const struct gh_addr *source,
                  uint16_t metric)
{
    r->stale |=
        r->open && (!gh_addr_equal(&r->source, source) || r->metric != metric || r->slot != slot);
    r->slot = slot;
    r->source = *source;
    r->metric = metric;
}

/* ---- Of the configuration ------------------------------------------------------------------- */

static void want_child(struct gh_parent_place *place, const struct ike2_policy *policy,
                       const struct ike2_child_policy *child)
{
    struct gh_prefix prefixes[GH_RANGE_PREFIXES];
    uint32_t table;

    if (child->mode == IKE2_TRANSPORT && policy->gateway.len == 0)
        gh_warning("%s: no route for the child %s, whose mode is transport: the peer's address is "
                   "not known; reverse-route = yes makes one when it is",
                   policy->name, child->name);
    for (size_t i = 0; i < child->remote.count; i++) {
        size_t count = prefixes_of(policy, child, &child->remote.ts[i], prefixes);

        for (size_t k = 0; k < count; k++) {
            const struct gh_addr source = source_of(child, prefixes[k].addr.len);
            struct gh_esp_route *r;

            if (!table_for(place, &prefixes[k], holds_peer(policy, &prefixes[k]), policy->name,
                           &table))
                continue;
            r = make(&place->esp, table, &prefixes[k]);
            r->configured = true;
            shape(r, child->slot, &source, 0);
        }
    }
}

bool gh_parent_esp_is_protected_in(const struct gh_parent_place *place,
                                   const struct gh_ike_config *c, const struct ike2_policy *policy)
{
    const struct gh_ike_zone *zone = gh_ike_private_zone(c, policy);

    return gh_config_text_equal(place->netns, zone != NULL ? zone->netns : NULL) &&
           gh_config_text_equal(place->vrf, zone != NULL ? zone->vrf : NULL);
}

bool gh_parent_esp_each_child(const struct gh_parent *p, struct gh_parent_place *place,
                              bool (*fn)(void *ctx, struct gh_parent_place *place,
                                         const struct ike2_policy *policy,
                                         const struct ike2_child_policy *child),
                              void *ctx)
{
    const struct gh_ike_config *c = p->config->ike;

    for (size_t i = 0; p->esp.wanted && i < c->policy_count; i++) {
        const struct ike2_policy *policy = c->policies[i];

        for (size_t k = 0;
             gh_parent_esp_is_protected_in(place, c, policy) && k < policy->child_count; k++)
            if (policy->children[k].mode != IKE2_TCP_AO && !policy->children[k].kernel &&
                !gh_parent_tunnels_carry(c, policy, &policy->children[k]) &&
                fn(ctx, place, policy, &policy->children[k]))
                return true;
    }
    return false;
}

static bool want(void *ctx, struct gh_parent_place *place, const struct ike2_policy *policy,
                 const struct ike2_child_policy *child)
{
    if (!child->reverse_route)
        want_child(place, policy, child);
    return false;
}

/* ---- What was negotiated -------------------------------------------------------------------- */

/* By the process of a slot. */
struct claim {
    struct gh_prefix to;
    size_t slot;
};

/* What the configuration does not let a peer have, it does not get from `esp` either. */
static bool may_have(void *ctx, struct gh_parent_place *place, const struct ike2_policy *policy,
                     const struct ike2_child_policy *child)
{
    const struct claim *x = ctx;
    const struct gh_prefix *to = &x->to;
    struct gh_prefix list[GH_RANGE_PREFIXES];

    for (size_t i = 0; child->reverse_route && child->slot == x->slot && i < child->remote.count;
         i++) {
        const struct ike_ts *ts = &child->remote.ts[i];
        size_t count = gh_range_prefixes(&ts->start, &ts->end, list);

        for (size_t k = 0; k < count; k++)
            if (list[k].bits <= to->bits && gh_prefix_contains(&list[k], &to->addr))
                return true;
    }
    return false;
}

static bool is_wanted(const struct gh_parent *p, struct gh_parent_place *place,
                      struct gh_esp_route *r)
{
    struct claim claim = {.to = r->to, .slot = r->slot};

    return r->configured || (r->negotiated && gh_parent_esp_each_child(p, place, may_have, &claim));
}

void gh_parent_esp_want_routes(const struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_esp_place *e = &place->esp;

    for (size_t i = 0; i < e->route_count; i++)
        e->routes[i].configured = false;
    gh_parent_esp_each_child(p, place, want, NULL);
    for (size_t i = 0; i < e->route_count; i++)
        e->routes[i].wanted = is_wanted(p, place, &e->routes[i]);
    e->rules_due = place->vrf == NULL;
}

static void settle(const struct gh_parent *p, struct gh_parent_place *place)
{
    if (gh_parent_esp_has_routes(p, place))
        gh_parent_esp_change_routes(place);
}

static void come(const struct gh_parent *p, struct gh_parent_place *place, size_t slot,
                 const struct gh_esp_route_wish *x)
{
    struct claim claim = {.to = x->to, .slot = slot};
    const struct gh_prefix to = x->to;
    char text[GH_PREFIX_TEXT];
    struct gh_esp_route *r;
    uint32_t table;

    if (!gh_parent_esp_each_child(p, place, may_have, &claim)) {
        gh_warning("no route to %s, which was negotiated: no child with reverse routes has it",
                   gh_prefix_format(&to, text));
        return;
    }
    if (!table_for(place, &to, x->holds_peer, "reverse routes", &table))
        return;
    r = make(&place->esp, table, &to);
    if (!r->configured)
        shape(r, (uint8_t)slot, &x->source, x->metric);
    r->negotiated = r->known = r->wanted = true;
    place->esp.rules_due |= x->holds_peer;
}

static void go(struct gh_esp_place *e, size_t slot, const struct gh_prefix *to)
{
    for (size_t i = 0; i < e->route_count; i++) {
        struct gh_esp_route *r = &e->routes[i];

        if (r->negotiated && r->slot == slot && gh_prefix_equal(&r->to, to)) {
            r->negotiated = false;
            r->wanted = r->configured;
            e->rules_due |= gh_esp_route_is_detour(r->table, to);
        }
    }
}

bool gh_parent_esp_route(struct gh_parent *p, size_t slot, struct gh_rd *body)
{
    char netns[GH_ESP_NETNS], vrf[GH_ESP_VRF];
    struct gh_esp_route_wish wish;

    if (!gh_esp_take_route(body, netns, vrf, &wish))
        return false;
    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_parent_place *place = p->ike.places[i];

        if (!gh_config_text_equal(place->netns, netns[0] != '\0' ? netns : NULL) ||
            !gh_config_text_equal(place->vrf, vrf[0] != '\0' ? vrf : NULL))
            continue;
        if (wish.up)
            come(p, place, slot, &wish);
        else
            go(&place->esp, slot, &wish.to);
        settle(p, place);
    }
    return true;
}

void gh_parent_esp_routes_forget(struct gh_parent *p, size_t slot)
{
    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_esp_place *e = &p->ike.places[i]->esp;

        for (size_t k = 0; k < e->route_count; k++)
            if (e->routes[k].slot == slot)
                e->routes[k].known = false;
    }
}

void gh_parent_esp_routes_told(struct gh_parent *p, size_t slot)
{
    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_esp_place *e = &p->ike.places[i]->esp;

        for (size_t k = 0; k < e->route_count; k++) {
            struct gh_esp_route *r = &e->routes[k];

            if (r->slot != slot)
                continue;
            r->negotiated = r->negotiated && r->known;
            r->wanted = r->configured || (r->wanted && r->negotiated);
        }
        e->rules_due = p->ike.places[i]->vrf == NULL;
        settle(p, p->ike.places[i]);
    }
}

/* ---- Rules ---------------------------------------------------------------------------------- */

bool gh_esp_route_is_detour(uint32_t table, const struct gh_prefix *to)
{
    return table == (uint32_t)GH_DETOUR_TABLE + to->bits;
}

void gh_esp_rules_follow(struct gh_parent_place *place)
{
    struct gh_ip_rule rules[GH_IP_RULES_MAX];
    struct gh_esp_place *e = &place->esp;
    struct gh_detours d;
    int result;

    if (!e->rules_due)
        return;
    memset(&d, 0, sizeof(d));
    for (size_t i = 0; i < e->route_count; i++) {
        const struct gh_prefix *to = &e->routes[i].to;

        if (e->routes[i].wanted && gh_esp_route_is_detour(e->routes[i].table, to))
            (to->addr.len == 4 ? d.v4 : d.v6)[to->bits] = true;
    }
    result = gh_ip_rules_set(e->routes_fd, rules, gh_ip_rules_plan(&d, rules));
    if (result != 0 && result != e->rules_error)
        gh_error("rules for routing into tunnels: %s", strerror(-result));
    e->rules_due = result != 0;
    e->rules_error = result;
}

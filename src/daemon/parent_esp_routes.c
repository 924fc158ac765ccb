#include <string.h>

#include "base/log.h"
#include "base/range.h"
#include "config/alloc.h"
#include "config/ike.h"
#include "config/ike_slots.h"
#include "daemon/esp_messages.h"
#include "daemon/esp_routes.h"
#include "daemon/parent_esp_spd.h"
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
 * leave from there. What policy lets out in clear is led past the route as they are. */
static bool table_for(const struct gh_parent *p, const struct gh_parent_place *place,
                      const struct gh_prefix *to, bool with_peer, const char *whose,
                      uint32_t *table)
{
    char text[GH_PREFIX_TEXT];
    bool by_rules;

    with_peer = with_peer && !place->is_private;
    by_rules = with_peer || gh_parent_spd_lets_out(p, place, to);
    *table = by_rules ? gh_ip_rules_tables(place->esp.table) + to->bits : place->esp.table;
    if (!by_rules || gh_ip_rules_tables(place->esp.table) != 0)
        return true;
    gh_warning(
        "%s: no route to %s: what goes past it needs rules, and the VRF's table has a number "
        "above %d",
        whose, gh_prefix_format(to, text), (int)GH_DETOUR_VRF_MAX);
    return false;
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

static void want_child(const struct gh_parent *p, struct gh_parent_place *place,
                       const struct ike2_policy *policy, const struct ike2_child_policy *child)
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

            if (!table_for(p, place, &prefixes[k], holds_peer(policy, &prefixes[k]), policy->name,
                           &table))
                continue;
            r = gh_esp_routes_make(&place->esp.routes, table, &prefixes[k]);
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
        want_child(ctx, place, policy, child);
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

    for (size_t i = 0;
         child->reverse_route && gh_ike_is_in_slot(policy, x->slot) && i < child->remote.count;
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

/* What was negotiated stands in the table where the configuration of now has it. */
static void settle_table(const struct gh_parent *p, struct gh_parent_place *place, size_t at)
{
    const struct gh_esp_route was = place->esp.routes.list[at];
    struct gh_esp_route *r;
    uint32_t table;

    if (!table_for(p, place, &was.to, was.holds_peer, "reverse routes", &table) ||
        table == was.table)
        return;
    r = gh_esp_routes_make(&place->esp.routes, table, &was.to);
    if (!r->configured)
        shape(r, was.slot, &was.source, was.metric);
    r->negotiated = true;
    r->known = was.known;
    r->holds_peer = was.holds_peer;
    place->esp.routes.list[at].negotiated = false;
}

void gh_parent_esp_want_routes(const struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_esp_place *e = &place->esp;

    for (size_t i = 0; i < e->routes.count; i++)
        e->routes.list[i].configured = false;
    gh_parent_esp_each_child(p, place, want, (void *)(uintptr_t)p);
    for (size_t i = e->routes.count; i-- > 0;)
        if (e->routes.list[i].negotiated)
            settle_table(p, place, i);
    for (size_t i = 0; i < e->routes.count; i++)
        e->routes.list[i].wanted = is_wanted(p, place, &e->routes.list[i]);
    e->rules_due = true;
}

/* The others are as they were: of thousands, each has a message of its own. */
static void settle(const struct gh_parent *p, struct gh_parent_place *place, struct gh_esp_route *r)
{
    if (!gh_parent_esp_has_routes(p, place))
        return;
    gh_parent_esp_change_route(place, r);
    gh_esp_rules_follow(place);
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
    if (!table_for(p, place, &to, x->holds_peer, "reverse routes", &table))
        return;
    r = gh_esp_routes_make(&place->esp.routes, table, &to);
    if (!r->configured)
        shape(r, (uint8_t)slot, &x->source, x->metric);
    r->negotiated = r->known = r->wanted = true;
    r->holds_peer = x->holds_peer;
    place->esp.rules_due |= x->holds_peer;
    settle(p, place, r);
}

/* It may have held the peer when it came, or not. */
static void go(const struct gh_parent *p, struct gh_parent_place *place, size_t slot,
               const struct gh_prefix *to)
{
    const uint32_t tables[] = {place->esp.table, gh_ip_rules_tables(place->esp.table) + to->bits};

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct gh_esp_route *r = gh_esp_routes_find(&place->esp.routes, tables[i], to);

        if (r == NULL || !r->negotiated || r->slot != slot)
            continue;
        r->negotiated = false;
        r->wanted = r->configured;
        place->esp.rules_due |= gh_esp_route_is_detour(&place->esp, r->table, to);
        settle(p, place, r);
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
            go(p, place, slot, &wish.to);
    }
    return true;
}

void gh_parent_esp_routes_forget(struct gh_parent *p, size_t slot)
{
    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_esp_place *e = &p->ike.places[i]->esp;

        for (size_t k = 0; k < e->routes.count; k++)
            if (e->routes.list[k].slot == slot)
                e->routes.list[k].known = false;
    }
}

void gh_parent_esp_routes_told(struct gh_parent *p, size_t slot)
{
    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_esp_place *e = &p->ike.places[i]->esp;

        for (size_t k = 0; k < e->routes.count; k++) {
            struct gh_esp_route *r = &e->routes.list[k];

            if (r->slot != slot)
                continue;
            r->negotiated = r->negotiated && r->known;
            r->wanted = r->configured || (r->wanted && r->negotiated);
        }
        e->rules_due = true;
        if (gh_parent_esp_has_routes(p, p->ike.places[i]))
            gh_parent_esp_change_routes(p->ike.places[i]);
    }
}

/* ---- Rules ---------------------------------------------------------------------------------- */

bool gh_esp_route_is_detour(const struct gh_esp_place *e, uint32_t table,
                            const struct gh_prefix *to)
{
    uint32_t tables = gh_ip_rules_tables(e->table);

    return tables != 0 && table == tables + to->bits;
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
    d.vrf = place->vrf;
    d.table = e->table;
    for (size_t i = 0; i < e->routes.count; i++) {
        const struct gh_esp_route *r = &e->routes.list[i];
        const struct gh_prefix *to = &r->to;

        if (r->wanted && gh_esp_route_is_detour(e, r->table, to))
            (to->addr.len == 4 ? d.v4 : d.v6)[to->bits] = true;
    }
    result = gh_ip_rules_set(e->routes_fd, place->vrf, rules, gh_ip_rules_plan(&d, rules));
    if (result != 0 && result != e->rules_error)
        gh_error("rules for routing into tunnels: %s", strerror(-result));
    e->rules_due = result != 0;
    e->rules_error = result;
}

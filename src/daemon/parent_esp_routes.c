#include <string.h>

#include "base/log.h"
#include "daemon/esp_routes.h"
#include "daemon/parent_priv.h"
#include "platform/ip_rules.h"

/* ---- Routes --------------------------------------------------------------------------------- */

static struct gh_prefix host(const struct gh_addr *a)
{
    return (struct gh_prefix){.addr = *a, .bits = (uint8_t)(8 * a->len)};
}

size_t gh_esp_route_prefixes(const struct ike2_policy *policy,
                             const struct ike2_child_policy *child, const struct ike_ts *remote,
                             struct gh_prefix out[GH_RANGE_PREFIXES])
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

static bool holds_peer(const struct ike2_policy *policy, const struct gh_prefix *to)
{
    return to->bits == 0 || gh_prefix_contains(to, &policy->gateway) ||
           (policy->remote.bits > 0 && gh_prefix_overlaps(to, &policy->remote));
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

bool gh_esp_route_plan(const struct ike2_policy *policy, const struct ike2_child_policy *child,
                       const struct gh_prefix *to, const struct gh_parent_place *place,
                       struct gh_esp_route *out)
{
    char text[GH_PREFIX_TEXT];

    *out = (struct gh_esp_route){
        .to = *to, .table = place->esp.table, .source = source_of(child, to->addr.len)};
    if (!holds_peer(policy, to))
        return true;
    if (place->vrf != NULL) {
        gh_warning("%s: no route to %s for the child %s: the peer itself is there, and in a VRF "
                   "its packets cannot be told from those that the tunnel is for",
                   policy->name, gh_prefix_format(to, text), child->name);
        return false;
    }
    out->table = GH_DETOUR_TABLE + to->bits;
    return true;
}

bool gh_esp_route_is_detour(uint32_t table, const struct gh_prefix *to)
{
    return table == (uint32_t)GH_DETOUR_TABLE + to->bits;
}

/* ---- Rules ---------------------------------------------------------------------------------- */

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

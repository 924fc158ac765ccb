/*
 * Where the parent leads what a child of IPsec is to carry: which routes, in which tables, and the
 * rules that choose these.
 *
 * IKE and ESP themselves go to the peer. A route to a prefix that holds it stands in a table that
 * their packets are led past (platform/ip_rules.h).
 */
#ifndef GH_DAEMON_ESP_ROUTES_H
#define GH_DAEMON_ESP_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"
#include "ike/v2/policy.h"

struct gh_esp_route;
struct gh_parent_place;

/* What a selector of the peer's side has for routes. Transport mode goes to the peer alone. */
size_t gh_esp_route_prefixes(const struct ike2_policy *policy,
                             const struct ike2_child_policy *child, const struct ike_ts *remote,
                             struct gh_prefix out[GH_RANGE_PREFIXES]);
/* False: there can be none, and the log says why. */
bool gh_esp_route_plan(const struct ike2_policy *policy, const struct ike2_child_policy *child,
                       const struct gh_prefix *to, const struct gh_parent_place *place,
                       struct gh_esp_route *out);
bool gh_esp_route_is_detour(uint32_t table, const struct gh_prefix *to);
/* Makes the rules of the namespace as its routes are, if that is due. */
void gh_esp_rules_follow(struct gh_parent_place *place);

#endif

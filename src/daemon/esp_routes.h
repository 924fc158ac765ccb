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

#include "base/addr.h"

struct gh_esp_place;
struct gh_parent_place;

/* Does it stand in a table of its own, past which the tunnel's own packets are led? */
bool gh_esp_route_is_detour(const struct gh_esp_place *e, uint32_t table,
                            const struct gh_prefix *to);
/* Makes the rules of the namespace as its routes are, if that is due. */
void gh_esp_rules_follow(struct gh_parent_place *place);

#endif

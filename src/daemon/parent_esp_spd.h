/*
 * `ipsec-policy` in the parent: what of it concerns a place's routes and firewall rules. For
 * parent_esp*.c.
 */
#ifndef GH_DAEMON_PARENT_ESP_SPD_H
#define GH_DAEMON_PARENT_ESP_SPD_H

#include <jansson.h>

#include "base/addr.h"
#include "platform/clear_entries.h"

struct gh_parent;
struct gh_parent_place;

/* Something on its way to this prefix may leave in clear, and so must find the way that it would
 * have without the route into the tunnel device. */
bool gh_parent_spd_lets_out(const struct gh_parent *p, const struct gh_parent_place *place,
                            const struct gh_prefix *to);

/* Rules for the place; `selectors` has those of all. Both are to be freed. NULL: there are none. */
struct gh_clear_entry *gh_parent_spd_rules(const struct gh_parent *p,
                                           const struct gh_parent_place *place, size_t *count,
                                           struct ipsec_selector **selectors);

/* Adds to `list` what the rules of the place counted: {name, netns, vrf, out, in}, of packets;
 * counters: packets by gh_clear_counter(). */
void gh_parent_spd_show(const struct gh_parent *p, const struct gh_parent_place *place,
                        const json_t *counters, json_t *list);

#endif

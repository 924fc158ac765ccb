/*
 * Reverse routes: into the device to what a peer has negotiated, for as long as it has a Child SA
 * for that. Which ones there are is decided here; the parent sets them. Pure.
 *
 * Each child lays claim to what its selectors say of the peer's side. A tunnel is a peer and the
 * identity that it proved. Of what one tunnel claims, the larger prefix has the route and what lies
 * in it none. What another tunnel has is refused, unless both may overlap: then the longer prefix
 * wins, as in any routing table, and of one prefix the SA that was made last. There is no default
 * route by negotiation.
 */
#ifndef GH_DAEMON_ESP_REVERSE_H
#define GH_DAEMON_ESP_REVERSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/esp_messages.h"

enum {
    GH_ESP_REVERSE_PREFIXES = 64, /* of one child */
    GH_ESP_REVERSE_MAX = 65536    /* prefixes of all */
};

struct gh_esp_reverse;

struct gh_esp_reverse_ops {
    /* A route that was not there, or was another; or, not `up`, is to go. */
    void (*route)(void *ctx, uint32_t place, const struct gh_esp_route_wish *wish);
};

struct gh_esp_reverse *gh_esp_reverse_new(const struct gh_esp_reverse_ops *ops, void *ctx);
void gh_esp_reverse_free(struct gh_esp_reverse *r); /* NULL is fine */

/* `owner`: any number for the child, until it is released. False: refused, and `why` says it; then
 * nothing was claimed. A child without reverse routes claims nothing. */
enum { GH_ESP_REVERSE_WHY = 160 };
bool gh_esp_reverse_claim(struct gh_esp_reverse *r, uint32_t owner, uint32_t place,
                          const struct gh_esp_child *d, char why[GH_ESP_REVERSE_WHY]);
/* With the same child as it was claimed for; what was not claimed does not matter. */
void gh_esp_reverse_release(struct gh_esp_reverse *r, uint32_t owner, uint32_t place,
                            const struct gh_esp_child *d);

#endif

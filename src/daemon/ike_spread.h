/*
 * Which slot each client has, of peers whose clients are spread over several (config/ike_slots.h).
 *
 * The invariant: all children of one client are in one slot, and no two tunnels in different slots
 * have claims that meet. So the routes to a client's networks lead into one device, that of its
 * slot, and what one `esp` refuses of the tunnels that it knows is all that is to be refused, as if
 * there were one process.
 *
 * A client is a tunnel of esp_messages.h, a peer of the configuration and the identity that it
 * proved. It is in the slot where it has a child; without one, where it was not long ago; else
 * where fewest are. So it stays through rekeying, reauthentication, resumption and moves, and when
 * `ike` is another: each `esp` says which children it holds of an `ike` that has ended. A child
 * that meets another tunnel's claims is refused here (esp_claims.h), whichever slots they are in.
 *
 * Only children with reverse routes count, of peers that are spread or not. Pure. Owned by
 * ike_ipsec.c.
 */
#ifndef GH_DAEMON_IKE_SPREAD_H
#define GH_DAEMON_IKE_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "config/ike.h"
#include "daemon/esp_messages.h"

enum { GH_SPREAD_KEEP_MS = 60000 }; /* so long a client without a child has its slot */

struct gh_ike_spread;

struct gh_ike_spread *gh_ike_spread_new(void); /* NULL: no memory */
void gh_ike_spread_free(struct gh_ike_spread *s);

/* How many peers each slot has that are not spread. */
void gh_ike_spread_configure(struct gh_ike_spread *s, struct ike2_policy *const *policies,
                             size_t count);

/* For a new child, which gets an SPI of that slot, one of first … last. replaces: the child that it
 * is to rekey; 0: none. ready: bit n: the process of slot n is there. */
uint8_t gh_ike_spread_choose(struct gh_ike_spread *s, const uint8_t tunnel[GH_ESP_TUNNEL],
                             uint32_t replaces, uint8_t first, uint8_t last, uint32_t ready,
                             uint64_t now_ms);

/* A child of ours comes, in this slot. False: it is refused, and `why` says it. */
bool gh_ike_spread_come(struct gh_ike_spread *s, uint8_t slot, const struct gh_esp_child *d,
                        char why[GH_ESP_WHY]);
/* What has not come does not matter. */
void gh_ike_spread_go(struct gh_ike_spread *s, uint32_t id, uint64_t now_ms);

/* CHILD_HELD and CHILD_LEFT of a slot's process: children that no `ike` has. owner: its number.
 * False: the client came back before this was heard, and is in another slot. */
bool gh_ike_spread_held(struct gh_ike_spread *s, uint8_t slot, uint32_t owner,
                        const struct gh_esp_child *d);
void gh_ike_spread_left(struct gh_ike_spread *s, uint8_t slot, uint32_t owner, uint64_t now_ms);
/* That process is another, which says anew what it holds. */
void gh_ike_spread_forget_held(struct gh_ike_spread *s, uint8_t slot, uint64_t now_ms);

/* Clients that have their slot from here, with those that had a child not long ago. */
size_t gh_ike_spread_count(struct gh_ike_spread *s, uint8_t slot, uint64_t now_ms);

#endif

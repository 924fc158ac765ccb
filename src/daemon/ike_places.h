/*
 * The places where IKE peers are, and the ways from there: what the `ike` process knows of
 * namespaces, VRFs, addresses and routes, none of which it may look at.
 *
 * The parent says by name what each place has (addresses()) and answers where a datagram to an
 * address would leave (way()); it says so once more when something changed, and all ways of the
 * place are asked for anew. Pure; ike.c is between this, the parent and the core.
 */
#ifndef GH_DAEMON_IKE_PLACES_H
#define GH_DAEMON_IKE_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ike/v2/core.h"

enum { GH_IKE_WAYS_MAX = 65536 };

struct gh_ike_places;

struct gh_ike_places_ops {
    /* Has the parent asked. */
    void (*ask)(void *ctx, const char *netns, const char *vrf, const struct gh_addr *remote);
};

/* Number 0 is the daemon's own namespace, without VRF. NULL: no memory. */
struct gh_ike_places *gh_ike_places_new(const struct gh_ike_places_ops *ops, void *ctx);
void gh_ike_places_free(struct gh_ike_places *p); /* NULL is fine */

/* The number of a place, which it has from then on. 65535: no memory, or too many. */
uint16_t gh_ike_place(struct gh_ike_places *p, const char *netns, const char *vrf);
/* NULL: the daemon's own, none. */
const char *gh_ike_place_netns(const struct gh_ike_places *p, uint16_t place);
const char *gh_ike_place_vrf(const struct gh_ike_places *p, uint16_t place);

/* What the place has from now on (copied), first those that peers may know; list NULL: not known.
 * Its ways are asked for anew, but for those that nobody wanted to know since the last time. */
void gh_ike_place_addresses(struct gh_ike_places *p, uint16_t place, const struct gh_addr *list,
                            size_t count, size_t fit);
/* NULL: not known. */
const struct gh_addr *gh_ike_place_list(const struct gh_ike_places *p, uint16_t place,
                                        size_t *count, size_t *fit);

/* From where to an address. What is not known is asked for. *error, which may be NULL: an errno,
 * why there is none. */
enum ike2_way gh_ike_way(struct gh_ike_places *p, uint16_t place, const struct gh_addr *remote,
                         struct gh_addr *out, int *error);
/* The parent's answer; local NULL: none, and why. True: no answer is missing any more, so that the
 * core may be told that ways changed. */
bool gh_ike_way_answered(struct gh_ike_places *p, uint16_t place, const struct gh_addr *remote,
                         const struct gh_addr *local, int error);
/* True once after each addresses(): if no answer is missing, the core is to be told. */
bool gh_ike_places_settled(struct gh_ike_places *p);

#endif

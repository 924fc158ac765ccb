/*
 * Routes of Gatehouse's own: of a protocol number that nobody else has, so that they are told from
 * the operator's and a routing daemon's. The parent sets them.
 */
#ifndef GH_PLATFORM_ROUTES_H
#define GH_PLATFORM_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum { GH_ROUTE_PROTOCOL = 171 };

/* A socket for the two below, which speaks to one namespace; or a negative errno. */
int gh_routes_open(const char *netns);
/* To a device, or, with ifindex 0, to nowhere: where the device is gone, "unreachable" is the
 * answer, for it counts less than any other route. table: 0 is the main one. 0, or a negative
 * errno. */
int gh_route_add(int fd, uint32_t table, const struct gh_prefix *to, uint32_t ifindex);
int gh_route_remove(int fd, uint32_t table, const struct gh_prefix *to, uint32_t ifindex);

/* Those to nowhere that are there, of this or an earlier instance: fn() is called with each once
 * all are read, and may remove it. 0, or a negative errno. */
int gh_routes_each(int fd, void (*fn)(void *ctx, uint32_t table, const struct gh_prefix *to),
                   void *ctx);
/* The table of a VRF device. 0, or a negative errno: ENODEV, it is none. */
int gh_routes_vrf_table(int fd, const char *vrf, uint32_t *table);

/* Pure, for tests: one RTM_NEWROUTE. False: no route to nowhere of ours. */
struct gh_nl_message;
bool gh_routes_parse(const struct gh_nl_message *m, uint32_t *table, struct gh_prefix *to);

#endif

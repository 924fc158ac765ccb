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

enum { GH_ROUTE_PROTOCOL = 171 }; /* of routes, and of rules that choose a table */

/* A socket for the two below, which speaks to one namespace; or a negative errno. */
int gh_routes_open(const char *netns);

struct gh_route {
    uint32_t table; /* 0: the main one */
    struct gh_prefix to;
    /* The device; 0: to nowhere. Where the device is gone, "unreachable" is the answer, for it
     * counts less than any other route. */
    uint32_t ifindex;
    uint32_t metric;       /* of one to a device; 0: the kernel's own */
    struct gh_addr source; /* what this host sends from, if it has that address; len 0: any */
};

/* 0, or a negative errno. */
int gh_route_add(int fd, const struct gh_route *r);
int gh_route_remove(int fd, const struct gh_route *r);

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

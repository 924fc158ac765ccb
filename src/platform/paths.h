/*
 * Where this host would send from, and what addresses it has: asked of the kernel's routing.
 *
 * The parent keeps one of these for each place where IKE peers are, and tells the `ike` process,
 * which may not ask itself. Answers hold until gh_paths_heard() says that something changed.
 */
#ifndef GH_PLATFORM_PATHS_H
#define GH_PLATFORM_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct gh_paths {
    int ask;   /* -1: not open */
    int heard; /* becomes readable when something changed */
    uint32_t vrf;
};

/* netns: as in platform/netns.h; vrf: the name of a VRF device there, or NULL. 0, or a negative
 * errno (then nothing is open): ENODEV if there is no such VRF. */
int gh_paths_open(const char *netns, const char *vrf, struct gh_paths *out);
void gh_paths_close(struct gh_paths *p); /* one that is not open is fine */
/* Throws away what was heard. True: addresses, routes, rules or interfaces may have changed. */
bool gh_paths_heard(const struct gh_paths *p);

/* Is the VRF, if there was one, still the same? */
bool gh_paths_is_there(const struct gh_paths *p, const char *vrf);

/* The address from which a datagram to `remote` would leave. 0, or a negative errno, such as
 * ENETUNREACH. */
int gh_paths_source(const struct gh_paths *p, const struct gh_addr *remote, struct gh_addr *out);

enum { GH_PATHS_ADDRESSES = 4096 };
struct gh_paths_address {
    struct gh_addr addr;
    bool fit; /* for a peer to know: global, neither deprecated nor temporary */
};
/* The addresses of interfaces that are up and in the VRF (of none, without), but for tentative
 * ones. 0, or a negative errno: E2BIG if there are more. */
int gh_paths_addresses(const struct gh_paths *p, struct gh_paths_address list[GH_PATHS_ADDRESSES],
                       size_t *count);

enum { GH_PATHS_VRFS = 1000, GH_PATHS_NAME = 16 };
/* The VRFs of its namespace, by the numbers of their devices, and the names of what is in any. */
struct gh_paths_vrfs {
    uint32_t devices[GH_PATHS_VRFS];
    size_t count;
    char (*members)[GH_PATHS_NAME]; /* owned */
    size_t member_count;
};
/* 0, or a negative errno (then *out is empty). */
int gh_paths_read_vrfs(const struct gh_paths *p, struct gh_paths_vrfs *out);
bool gh_paths_same_vrfs(const struct gh_paths_vrfs *a, const struct gh_paths_vrfs *b);
void gh_paths_free_vrfs(struct gh_paths_vrfs *v);

/* Pure, for tests: the source in an answer to RTM_GETROUTE; 1: it is no such answer. */
int gh_paths_parse_source(const uint8_t *data, size_t len, struct gh_addr *out);
/* Pure: one RTM_NEWADDR. False: no address that can be used. */
struct gh_nl_message;
bool gh_paths_parse_address(const struct gh_nl_message *m, struct gh_paths_address *out,
                            uint32_t *ifindex);

#endif

/*
 * The network namespaces of programs' sockets, as `ao` knows them: which zone of the parent's each
 * is, and which of its interfaces are VRF devices. Owned by ao_sockets.c. Pure.
 */
#ifndef GH_DAEMON_AO_ZONES_H
#define GH_DAEMON_AO_ZONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GH_NO_ZONE = 65535, GH_AO_ZONE_NAME = 512, GH_ZONE_VRFS = 64, GH_ZONE_COUNTERS = 5 };

struct gh_ao_zone {
    uint16_t index;
    char name[GH_AO_ZONE_NAME]; /* the same in every instance: as the engine tells zones apart */
    uint32_t vrfs[GH_ZONE_VRFS];
    size_t vrf_count;
    bool flows_changed;    /* the parent is to be told */
    bool flows_failed;     /* it could not be told, or could not install their rules */
    uint64_t strict_until; /* monotonic ms: somebody reads the counters of the namespace */
    bool strict;           /* as the parent was told */
    struct {
        uint64_t now[GH_ZONE_COUNTERS], before[GH_ZONE_COUNTERS];
        uint64_t changed_ns; /* monotonic; 0: not known */
    } counted;               /* as long as somebody reads them */
};

struct gh_ao_netns {
    uint64_t cookie;
    uint16_t zone; /* GH_NO_ZONE: the parent has none for it */
};

struct gh_ao_zones {
    struct gh_ao_zone **list;
    size_t count;
    struct gh_ao_netns *netns;
    size_t netns_count;
};

struct gh_ao_zone *gh_ao_zone(const struct gh_ao_zones *z, uint16_t index); /* or NULL */
/* Makes it if need be. NULL: no memory. */
struct gh_ao_zone *gh_ao_zone_get(struct gh_ao_zones *z, uint16_t index);
void gh_ao_zone_forget(struct gh_ao_zones *z, uint16_t index);
void gh_ao_zone_set_vrf(struct gh_ao_zone *z, uint32_t ifindex, bool vrf);
bool gh_ao_zone_is_vrf(const struct gh_ao_zone *z, uint32_t ifindex);

/* What a zone counts changed at this time. */
void gh_ao_zone_count(struct gh_ao_zone *z, const uint64_t values[GH_ZONE_COUNTERS], uint64_t ns);
/* What it had counted at this time: with how it was before the last change it goes that far back.
 */
const uint64_t *gh_ao_zone_counted(const struct gh_ao_zone *z, uint64_t ns);

/* Which zone a namespace is. False: the parent was not asked yet. */
bool gh_ao_netns_find(const struct gh_ao_zones *z, uint64_t cookie, uint16_t *zone);
void gh_ao_netns_set(struct gh_ao_zones *z, uint64_t cookie, uint16_t zone);
/* Forgets which namespaces have no zone: a new configuration may have made one. */
void gh_ao_netns_forget_missing(struct gh_ao_zones *z);

#endif

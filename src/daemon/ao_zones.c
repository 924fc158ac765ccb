#include "daemon/ao_zones.h"

#include <stdlib.h>
#include <string.h>

enum { NETNS_MAX = 4096 };

struct gh_ao_zone *gh_ao_zone(const struct gh_ao_zones *z, uint16_t index)
{
    for (size_t i = 0; i < z->count; i++)
        if (z->list[i]->index == index)
            return z->list[i];
    return NULL;
}

struct gh_ao_zone *gh_ao_zone_get(struct gh_ao_zones *z, uint16_t index)
{
    struct gh_ao_zone *zone = gh_ao_zone(z, index), **list;

    if (zone != NULL)
        return zone;
    list = realloc(z->list, (z->count + 1) * sizeof(struct gh_ao_zone *));
    if (list == NULL)
        return NULL;
    z->list = list;
    zone = calloc(1, sizeof(*zone));
    if (zone == NULL)
        return NULL;
    zone->index = index;
    z->list[z->count++] = zone;
    return zone;
}

static void keep_netns(struct gh_ao_zones *z, uint16_t without)
{
    size_t kept = 0;

    for (size_t i = 0; i < z->netns_count; i++)
        if (z->netns[i].zone != without)
            z->netns[kept++] = z->netns[i];
    z->netns_count = kept;
}

void gh_ao_zone_forget(struct gh_ao_zones *z, uint16_t index)
{
    for (size_t i = 0; i < z->count; i++) {
        if (z->list[i]->index == index) {
            free(z->list[i]);
            z->list[i] = z->list[--z->count];
            break;
        }
    }
    keep_netns(z, index);
}

void gh_ao_zone_set_vrf(struct gh_ao_zone *z, uint32_t ifindex, bool vrf)
{
    size_t i = 0;

    while (i < z->vrf_count && z->vrfs[i] != ifindex)
        i++;
    if (!vrf && i < z->vrf_count)
        z->vrfs[i] = z->vrfs[--z->vrf_count];
    else if (vrf && i == z->vrf_count && i < GH_ZONE_VRFS)
        z->vrfs[z->vrf_count++] = ifindex;
}

bool gh_ao_zone_is_vrf(const struct gh_ao_zone *z, uint32_t ifindex)
{
    for (size_t i = 0; i < z->vrf_count; i++)
        if (z->vrfs[i] == ifindex)
            return true;
    return false;
}

static struct gh_ao_netns *netns_of(const struct gh_ao_zones *z, uint64_t cookie)
{
    for (size_t i = 0; i < z->netns_count; i++)
        if (z->netns[i].cookie == cookie)
            return &z->netns[i];
    return NULL;
}

bool gh_ao_netns_find(const struct gh_ao_zones *z, uint64_t cookie, uint16_t *zone)
{
    const struct gh_ao_netns *n = netns_of(z, cookie);

    if (n != NULL)
        *zone = n->zone;
    return n != NULL;
}

/* Cookie 0 is that of a kernel which does not tell: nothing is remembered then. */
void gh_ao_netns_set(struct gh_ao_zones *z, uint64_t cookie, uint16_t zone)
{
    struct gh_ao_netns *n = netns_of(z, cookie), *list;

    if (n != NULL) {
        n->zone = zone;
        return;
    }
    if (z->netns_count >= NETNS_MAX)
        gh_ao_netns_forget_missing(z);
    list = cookie != 0 && z->netns_count < NETNS_MAX
               ? realloc(z->netns, (z->netns_count + 1) * sizeof(*list))
               : NULL;
    if (list == NULL)
        return;
    z->netns = list;
    z->netns[z->netns_count++] = (struct gh_ao_netns){.cookie = cookie, .zone = zone};
}

void gh_ao_netns_forget_missing(struct gh_ao_zones *z)
{
    keep_netns(z, GH_NO_ZONE);
}

void gh_ao_zone_count(struct gh_ao_zone *z, const uint64_t values[GH_ZONE_COUNTERS], uint64_t ns)
{
    if (memcmp(z->counted.now, values, sizeof(z->counted.now)) == 0)
        return;
    memcpy(z->counted.before, z->counted.now, sizeof(z->counted.before));
    memcpy(z->counted.now, values, sizeof(z->counted.now));
    z->counted.changed_ns = ns;
}

const uint64_t *gh_ao_zone_counted(const struct gh_ao_zone *z, uint64_t ns)
{
    return ns < z->counted.changed_ns ? z->counted.before : z->counted.now;
}

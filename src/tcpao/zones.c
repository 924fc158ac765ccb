/* Network namespaces in which sockets have keys of their own: what is counted there, and whether
 * the option is refused where nobody expects it. */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

struct ao_zone *ao_zone_look(const struct ao_engine *e, uint16_t zone)
{
    return zone < e->zone_room ? e->zones[zone] : NULL;
}

static bool make_room(struct ao_engine *e, uint16_t zone)
{
    size_t room = e->zone_room == 0 ? 8 : e->zone_room;
    struct ao_zone **zones;

    if (zone < e->zone_room)
        return true;
    while (room <= zone)
        room *= 2;
    zones = realloc(e->zones, room * sizeof(struct ao_zone *));
    if (zones == NULL)
        return false;
    memset(zones + e->zone_room, 0, (room - e->zone_room) * sizeof(struct ao_zone *));
    e->zones = zones;
    e->zone_room = room;
    return true;
}

struct ao_zone *ao_zone_get(struct ao_engine *e, uint16_t zone)
{
    if (!make_room(e, zone))
        return NULL;
    if (e->zones[zone] == NULL)
        e->zones[zone] = calloc(1, sizeof(struct ao_zone));
    return e->zones[zone];
}

void ao_zones_free(struct ao_engine *e)
{
    for (size_t i = 0; i < e->zone_room; i++)
        free(e->zones[i]);
    free(e->zones);
}

/* Without memory to remember where, everywhere. */
void ao_engine_set_strict(struct ao_engine *e, uint16_t zone, bool strict)
{
    struct ao_zone *z = strict ? ao_zone_get(e, zone) : ao_zone_look(e, zone);

    if (z != NULL)
        z->strict = strict;
    else if (strict)
        e->strict_everywhere = true;
}

bool ao_zone_is_strict(const struct ao_engine *e, uint16_t zone)
{
    const struct ao_zone *z = ao_zone_look(e, zone);

    return e->strict_everywhere || (z != NULL && z->strict);
}

/* Each zone that has a name goes to the number that its flows have now; whoever stands there goes
 * to its own place in turn. */
void ao_zones_renumber(struct ao_engine *e)
{
    uint16_t to;

    for (size_t i = 0; i < e->zone_room; i++) {
        for (size_t moves = 0; moves < e->zone_room; moves++) {
            struct ao_zone *z = e->zones[i];

            if (z == NULL || !z->named || !ao_flows_zone(e, z->id, &to) || to == i ||
                !make_room(e, to))
                break;
            e->zones[i] = e->zones[to];
            e->zones[to] = z;
        }
    }
}

const uint64_t *ao_engine_zone_counters(const struct ao_engine *e, uint16_t zone)
{
    const struct ao_zone *z = ao_zone_look(e, zone);

    return z != NULL ? z->counters : NULL;
}

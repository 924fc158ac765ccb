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

static struct ao_zone **place_named(struct ao_engine *e, uint64_t id)
{
    for (size_t i = 0; i < e->zone_room; i++) {
        if (e->zones[i] != NULL && e->zones[i]->named && e->zones[i]->id == id)
            return &e->zones[i];
    }
    return NULL;
}

bool ao_zone_name(struct ao_engine *e, uint16_t zone, uint64_t id)
{
    struct ao_zone **from, *z = ao_zone_look(e, zone);

    if (z != NULL && z->named && z->id == id)
        return true;
    if (!make_room(e, zone))
        return false;
    from = place_named(e, id);
    if (from != NULL) {
        e->zones[zone] = *from;
        *from = z;
        return true;
    }
    z = ao_zone_get(e, zone);
    if (z == NULL)
        return false;
    if (z->named) /* another namespace had the number: its counters are not this one's */
        memset(z->counters, 0, sizeof(z->counters));
    z->named = true;
    z->id = id;
    return true;
}

const uint64_t *ao_engine_zone_counters(const struct ao_engine *e, uint16_t zone)
{
    const struct ao_zone *z = ao_zone_look(e, zone);

    return z != NULL ? z->counters : NULL;
}

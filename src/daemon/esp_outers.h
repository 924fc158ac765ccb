/*
 * Which place's sockets the packets of each place leave by: a peer's private side, a place with a
 * device and routes alone, has those of the place where the peer is; all others have their own.
 *
 * What is about packets on their way (path MTUs, ICMP errors) is known by the outer place, what is
 * about protected ones (SPD, SAs, devices) by the private one. `esp` owns it, and sets it by each
 * configuration; esp_net and esp_path look.
 */
#ifndef GH_DAEMON_ESP_OUTERS_H
#define GH_DAEMON_ESP_OUTERS_H

#include <stdbool.h>
#include <stdint.h>

/* What the configuration may have, and as many of earlier ones: numbers are for good. */
enum { GH_ESP_PLACES_MAX = 2048 };

/* Zero-initialised: no place has another's. */
struct gh_esp_outers {
    uint16_t other[GH_ESP_PLACES_MAX]; /* its number, + 1; 0: its own */
};

static inline uint32_t gh_esp_outer(const struct gh_esp_outers *o, uint32_t place)
{
    return place < GH_ESP_PLACES_MAX && o->other[place] != 0 ? o->other[place] - 1u : place;
}

static inline bool gh_esp_outer_is_other(const struct gh_esp_outers *o, uint32_t place)
{
    return gh_esp_outer(o, place) != place;
}

/* outer: `place` itself, if it has its own. Stays for what the next configuration does not name:
 * its device is gone, but SAs may be there. False: no such places. */
static inline bool gh_esp_outers_set(struct gh_esp_outers *o, uint32_t place, uint32_t outer)
{
    if (place >= GH_ESP_PLACES_MAX || outer >= GH_ESP_PLACES_MAX)
        return false;
    o->other[place] = outer != place ? (uint16_t)(outer + 1) : 0;
    return true;
}

#endif

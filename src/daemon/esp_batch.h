/*
 * The packets that the `esp` process has in hand: each with room around it for what IPsec adds, in
 * one piece of memory that fits into a processor's cache and is used again and again.
 */
#ifndef GH_DAEMON_ESP_BATCH_H
#define GH_DAEMON_ESP_BATCH_H

#include "ipsec/packet.h"

enum {
    GH_ESP_PACKETS = 128,
    /* Before a packet: a tunnel's headers, and what AH around ESP adds. */
    GH_ESP_HEAD = 2 * IPSEC_HEADROOM + 64,
    GH_ESP_TAIL = 2 * IPSEC_TAILROOM,
    GH_ESP_PACKET_MAX = 65535,
    GH_ESP_BATCH_MEMORY = 512 * 1024
};

struct gh_esp_batch {
    struct ipsec_packet packets[GH_ESP_PACKETS];
    size_t count, used;
    size_t fill; /* a packet may be filled up to so many octets (gh_esp_net_fill()) */
    uint8_t mem[GH_ESP_BATCH_MEMORY];
};

/* Adds a packet of `len` octets, which the caller writes at what is returned. NULL: it is full; one
 * that is empty takes any packet. */
uint8_t *gh_esp_batch_add(struct gh_esp_batch *b, size_t len, uint32_t place);
/* For so many packets more, as far as their number goes. */
static inline bool gh_esp_batch_has_room(const struct gh_esp_batch *b, size_t packets)
{
    return packets <= GH_ESP_PACKETS - b->count;
}

static inline void gh_esp_batch_clear(struct gh_esp_batch *b)
{
    b->count = b->used = 0;
}

#endif

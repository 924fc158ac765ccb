#include "daemon/esp_batch.h"

enum { LINE = 64 }; /* of the cache */

uint8_t *gh_esp_batch_add(struct gh_esp_batch *b, size_t len, uint32_t place)
{
    size_t most = len > b->fill ? len : b->fill;
    size_t cap = (GH_ESP_HEAD + most + GH_ESP_TAIL + LINE - 1) / LINE * LINE;
    struct ipsec_packet *p;

    if (b->count == GH_ESP_PACKETS || len > GH_ESP_PACKET_MAX || cap > sizeof(b->mem) - b->used)
        return NULL;
    p = &b->packets[b->count++];
    *p = (struct ipsec_packet){
        .mem = b->mem + b->used, .cap = cap, .at = GH_ESP_HEAD, .len = len, .place = place};
    b->used += cap;
    return ipsec_packet_data(p);
}

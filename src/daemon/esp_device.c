/* The devices of places: their packets through the engine, and what it opened to them. */
#include "daemon/esp_net_priv.h"

#include <string.h>

#include "base/clock.h"

/* ---- From a device -------------------------------------------------------------------------- */

void gh_esp_device_through(void *ctx, uint32_t place)
{
    struct gh_esp_net *n = ctx;
    struct gh_esp_batch *b = &n->batch;

    ipsec_out(n->engine, gh_clock_now().mono_ms, b->packets, b->count);
    n->ops->passed(n->ctx, IPSEC_OUT, b->packets, b->count);
    gh_esp_send(n, place);
    gh_esp_batch_clear(b);
}

void gh_esp_from_device(struct gh_esp_net *n, struct gh_esp_entry *e)
{
    gh_esp_vnet_read(&n->reader, e->fd, e->place);
    n->counts[GH_ESP_NET_FROM_DEVICE] += n->reader.packets;
    n->counts[GH_ESP_NET_DEVICE_FAILED] += n->reader.failed;
    n->reader.packets = n->reader.failed = 0;
}

void gh_esp_net_fill(struct gh_esp_net *n, size_t octets)
{
    if (n->batch.fill < octets)
        n->batch.fill = octets;
}

void gh_esp_net_again(struct gh_esp_net *n, uint32_t place, const uint8_t *packet, size_t len)
{
    uint8_t *at = gh_esp_batch_add(&n->batch, len, place);

    if (at == NULL)
        return;
    memcpy(at, packet, len);
    gh_esp_device_through(n, place);
}

/* ---- To a device ---------------------------------------------------------------------------- */

static void write_packets(struct gh_esp_net *n, uint32_t place, size_t count)
{
    const struct gh_esp_entry *e = gh_esp_entry(n, place, GH_ESP_TUN);
    size_t taken;

    if (e == NULL) {
        n->counts[GH_ESP_NET_NO_SOCKET] += count;
        return;
    }
    taken = gh_esp_vnet_write(&n->writer, e->fd, e->datagrams, count);
    n->counts[GH_ESP_NET_TO_DEVICE] += taken;
    n->counts[GH_ESP_NET_DEVICE_FAILED] += count - taken;
}

void gh_esp_to_devices(struct gh_esp_net *n)
{
    uint32_t place = 0;
    size_t count = 0;

    for (size_t i = 0; i < n->batch.count; i++) {
        struct ipsec_packet *p = &n->batch.packets[i];

        if (p->result != IPSEC_OK)
            continue;
        if (count > 0 && p->place != place) {
            write_packets(n, place, count);
            count = 0;
        }
        place = p->place;
        n->writer.packets[count++] =
            (struct offload_packet){.data = ipsec_packet_data(p), .len = p->len};
    }
    if (count > 0)
        write_packets(n, place, count);
}

void gh_esp_net_deliver(struct gh_esp_net *n, struct ipsec_packet *p)
{
    n->writer.packets[0] = (struct offload_packet){.data = ipsec_packet_data(p), .len = p->len};
    write_packets(n, p->place, 1);
}

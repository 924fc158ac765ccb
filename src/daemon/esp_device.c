#include "daemon/esp_net_priv.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "offload/split.h"

_Static_assert(GH_ESP_VNET == sizeof(struct virtio_net_hdr), "what the kernel puts there");
_Static_assert((int)GH_ESP_PACKETS <= (int)OFFLOAD_MERGE_MAX, "a batch is merged at once");

enum { READS = 16 }; /* then the other sockets have a turn */

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* ---- From a device -------------------------------------------------------------------------- */

static void through(struct gh_esp_net *n, uint32_t place)
{
    struct gh_esp_batch *b = &n->batch;

    if (b->count == 0)
        return;
    ipsec_out(n->engine, gh_clock_now().mono_ms, b->packets, b->count);
    n->ops->passed(n->ctx, IPSEC_OUT, b->packets, b->count);
    gh_esp_send(n, place);
    gh_esp_batch_clear(b);
}

static uint8_t *add(struct gh_esp_net *n, size_t len, uint32_t place)
{
    uint8_t *at = gh_esp_batch_add(&n->batch, len, place);

    n->counts[GH_ESP_NET_FROM_DEVICE]++;
    if (at != NULL)
        return at;
    through(n, place);
    return gh_esp_batch_add(&n->batch, len, place);
}

/* False: of a kind that we did not ask for. */
static bool read_note(const uint8_t *at, struct offload_note *note)
{
    struct virtio_net_hdr h;

    memcpy(&h, at, sizeof(h));
    *note = (struct offload_note){.checksum_due = (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0,
                                  .header_len = h.hdr_len,
                                  .size = h.gso_size,
                                  .sum_start = h.csum_start,
                                  .sum_offset = h.csum_offset};
    switch (h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
        note->cut = OFFLOAD_WHOLE;
        return true;
    case VIRTIO_NET_HDR_GSO_TCPV4:
        note->cut = OFFLOAD_TCP4;
        return true;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        note->cut = OFFLOAD_TCP6;
        return true;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
        note->cut = OFFLOAD_UDP;
        return true;
    default:
        return false;
    }
}

static bool take_whole(struct gh_esp_net *n, const struct offload_note *note, uint8_t *packet,
                       size_t len, uint32_t place)
{
    if (!offload_complete(note, packet, len))
        return false;
    memcpy(add(n, len, place), packet, len);
    return true;
}

static bool take(struct gh_esp_net *n, uint8_t *packet, size_t len, uint32_t place)
{
    struct offload_note note;
    struct offload_split split;

    if (!read_note(packet - GH_ESP_VNET, &note))
        return false;
    if (note.cut == OFFLOAD_WHOLE)
        return take_whole(n, &note, packet, len, place);
    if (!offload_split(&split, &note, packet, len))
        return false;
    if (!gh_esp_batch_has_room(&n->batch, split.count)) /* a train is not cut in two */
        through(n, place);
    for (size_t i = 0; i < split.count; i++)
        offload_segment(&split, i, add(n, offload_segment_len(&split, i), place));
    return true;
}

void gh_esp_from_device(struct gh_esp_net *n, struct gh_esp_entry *e)
{
    int reads = 0;

    while (reads < READS) {
        ssize_t len = read(e->fd, n->super, sizeof(n->super));

        if (len < 0 && errno == EINTR)
            continue;
        if (len <= GH_ESP_VNET)
            break;
        reads++;
        if (!take(n, n->super + GH_ESP_VNET, (size_t)len - GH_ESP_VNET, e->place))
            n->counts[GH_ESP_NET_DEVICE_FAILED]++;
    }
    through(n, e->place);
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
    through(n, place);
}

/* ---- To a device ---------------------------------------------------------------------------- */

static struct virtio_net_hdr header_of(const struct offload_note *note)
{
    struct virtio_net_hdr h = {.flags = note->checksum_due    ? VIRTIO_NET_HDR_F_NEEDS_CSUM
                                        : note->checksum_good ? VIRTIO_NET_HDR_F_DATA_VALID
                                                              : 0,
                               .gso_type = note->cut == OFFLOAD_TCP4   ? VIRTIO_NET_HDR_GSO_TCPV4
                                           : note->cut == OFFLOAD_TCP6 ? VIRTIO_NET_HDR_GSO_TCPV6
                                           : note->cut == OFFLOAD_UDP  ? VIRTIO_NET_HDR_GSO_UDP_L4
                                                                       : VIRTIO_NET_HDR_GSO_NONE};

    if (note->checksum_due) {
        h.hdr_len = note->header_len;
        h.gso_size = note->size;
        h.csum_start = note->sum_start;
        h.csum_offset = note->sum_offset;
    }
    return h;
}

static void write_group(struct gh_esp_net *n, int fd, const struct offload_group *g)
{
    struct virtio_net_hdr header = header_of(&g->note);
    size_t count = 1;
    ssize_t len;

    n->parts[0] = (struct iovec){.iov_base = &header, .iov_len = sizeof(header)};
    for (size_t i = g->first; i != OFFLOAD_MERGE_MAX; i = n->merging[i].next) {
        const struct offload_packet *p = &n->merging[i];

        n->parts[count++] =
            (struct iovec){.iov_base = p->data + p->skip, .iov_len = p->len - p->skip};
    }
    do
        len = writev(fd, n->parts, (int)count);
    while (len < 0 && errno == EINTR);
    n->counts[len >= 0 ? GH_ESP_NET_TO_DEVICE : GH_ESP_NET_DEVICE_FAILED] += g->count;
}

static void write_packets(struct gh_esp_net *n, uint32_t place, size_t count)
{
    const struct gh_esp_entry *e = gh_esp_entry(n, place, GH_ESP_TUN);
    size_t groups;

    if (e == NULL) {
        n->counts[GH_ESP_NET_NO_SOCKET] += count;
        return;
    }
    groups = offload_merge(n->merging, count, e->datagrams, n->groups);
    for (size_t i = 0; i < groups; i++)
        write_group(n, e->fd, &n->groups[i]);
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
        n->merging[count++] = (struct offload_packet){.data = ipsec_packet_data(p), .len = p->len};
    }
    if (count > 0)
        write_packets(n, place, count);
}

void gh_esp_net_deliver(struct gh_esp_net *n, struct ipsec_packet *p)
{
    n->merging[0] = (struct offload_packet){.data = ipsec_packet_data(p), .len = p->len};
    write_packets(n, p->place, 1);
}

#include "daemon/esp_vnet.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <unistd.h>

#include "offload/split.h"

_Static_assert(GH_ESP_VNET == sizeof(struct virtio_net_hdr), "what the kernel puts there");
_Static_assert((int)GH_ESP_PACKETS <= (int)OFFLOAD_MERGE_MAX, "a batch is merged at once");

enum { READS = 16 }; /* then others have a turn */

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* ---- From a device -------------------------------------------------------------------------- */

static void through(struct gh_esp_vnet_reader *r, uint32_t which)
{
    if (r->batch->count > 0)
        r->through(r->ctx, which);
}

static uint8_t *add(struct gh_esp_vnet_reader *r, size_t len, uint32_t which)
{
    uint8_t *at = gh_esp_batch_add(r->batch, len, which);

    r->packets++;
    if (at != NULL)
        return at;
    through(r, which);
    return gh_esp_batch_add(r->batch, len, which);
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

static bool take_whole(struct gh_esp_vnet_reader *r, const struct offload_note *note, size_t len,
                       uint32_t which)
{
    uint8_t *packet = r->super + GH_ESP_VNET;

    if (!offload_complete(note, packet, len))
        return false;
    memcpy(add(r, len, which), packet, len);
    return true;
}

static bool take(struct gh_esp_vnet_reader *r, size_t len, uint32_t which)
{
    struct offload_note note;
    struct offload_split split;

    if (!read_note(r->super, &note))
        return false;
    if (note.cut == OFFLOAD_WHOLE)
        return take_whole(r, &note, len, which);
    if (!offload_split(&split, &note, r->super + GH_ESP_VNET, len))
        return false;
    if (!gh_esp_batch_has_room(r->batch, split.count)) /* a train is not cut in two */
        through(r, which);
    for (size_t i = 0; i < split.count; i++)
        offload_segment(&split, i, add(r, offload_segment_len(&split, i), which));
    return true;
}

void gh_esp_vnet_read(struct gh_esp_vnet_reader *r, int fd, uint32_t which)
{
    int reads = 0;

    while (reads < READS) {
        ssize_t len = read(fd, r->super, sizeof(r->super));

        if (len < 0 && errno == EINTR)
            continue;
        if (len <= GH_ESP_VNET)
            break;
        reads++;
        if (!take(r, (size_t)len - GH_ESP_VNET, which))
            r->failed++;
    }
    through(r, which);
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

static bool write_group(struct gh_esp_vnet_writer *w, int fd, const struct offload_group *g)
{
    struct virtio_net_hdr header = header_of(&g->note);
    size_t count = 1;
    ssize_t len;

    w->parts[0] = (struct iovec){.iov_base = &header, .iov_len = sizeof(header)};
    for (size_t i = g->first; i != OFFLOAD_MERGE_MAX; i = w->packets[i].next) {
        const struct offload_packet *p = &w->packets[i];

        w->parts[count++] =
            (struct iovec){.iov_base = p->data + p->skip, .iov_len = p->len - p->skip};
    }
    do
        len = writev(fd, w->parts, (int)count);
    while (len < 0 && errno == EINTR);
    return len >= 0;
}

size_t gh_esp_vnet_write(struct gh_esp_vnet_writer *w, int fd, bool datagrams, size_t count)
{
    size_t groups = offload_merge(w->packets, count, datagrams, w->groups), taken = 0;

    for (size_t i = 0; i < groups; i++)
        if (write_group(w, fd, &w->groups[i]))
            taken += w->groups[i].count;
    return taken;
}

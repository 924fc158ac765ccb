/*
 * Reading and writing a tunnel device (platform/tun.h) with virtio's header before each packet: a
 * stretch of a stream that the kernel left whole becomes packets of a batch, and packets that
 * belong together leave with one call. Of esp_net.h for the devices of places, of esp_devices.h
 * for those of tunnels.
 */
#ifndef GH_DAEMON_ESP_VNET_H
#define GH_DAEMON_ESP_VNET_H

#include <sys/uio.h>

#include "daemon/esp_batch.h"
#include "offload/merge.h"

enum { GH_ESP_VNET = 10 /* octets of struct virtio_net_hdr, before each packet of a device */ };

/* The packets go to `batch`. */
struct gh_esp_vnet_reader {
    struct gh_esp_batch *batch;
    /* Something is in the batch, and it is full or nothing more is there: what is in it goes on,
     * and it is empty afterwards. which: the place of its packets, as read. */
    void (*through)(void *ctx, uint32_t which);
    void *ctx;
    uint64_t packets, failed; /* put into it; what could not be made sense of */
    uint8_t super[GH_ESP_VNET + GH_ESP_PACKET_MAX]; /* what a device gives us at a time */
};

struct gh_esp_vnet_writer {
    struct offload_packet packets[GH_ESP_PACKETS]; /* the caller's: data and len */
    struct offload_group groups[GH_ESP_PACKETS];
    struct iovec parts[GH_ESP_PACKETS + 1];
};

/* Reads what is there, but not for ever. */
void gh_esp_vnet_read(struct gh_esp_vnet_reader *r, int fd, uint32_t which);
/* Writes w->packets, in which it changes what they begin with. datagrams: the device takes those
 * that are put together. How many it took. */
size_t gh_esp_vnet_write(struct gh_esp_vnet_writer *w, int fd, bool datagrams, size_t count);

#endif

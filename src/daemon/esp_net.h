/*
 * Packets in the `esp` process: from tunnel devices through the engine to the network, and back.
 *
 * A place is a namespace and VRF, as for IKE, by its number of esp_names.h; it has one tunnel
 * device, whose packets its part of the SPD is for, and sockets for ESP, AH and ESP in UDP; a
 * peer's private side has the device alone (esp_outers.h). The parent opens them and they outlive
 * this process: what comes while it is away waits. Packets go in batches, a batch being what is
 * there.
 */
#ifndef GH_DAEMON_ESP_NET_H
#define GH_DAEMON_ESP_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/esp_outers.h"
#include "ipsec/ipsec.h"

enum gh_esp_socket {
    GH_ESP_TUN,  /* a tunnel device with virtio's header before each packet */
    GH_ESP_UDP4, /* port 4500 without what is IKE's (platform/udp.h) */
    GH_ESP_UDP6,
    GH_ESP_ESP4, /* raw sockets; those of AH write their own IP header */
    GH_ESP_ESP6,
    GH_ESP_AH4,
    GH_ESP_AH6,
    GH_ESP_ICMP4, /* errors about what left: esp_raw.h, and so are those below */
    GH_ESP_ICMP6,
    GH_ESP_GRE4, /* where a tunnel is to be without protection */
    GH_ESP_GRE6,
    GH_ESP_4_IN_4,
    GH_ESP_6_IN_4,
    GH_ESP_4_IN_6,
    GH_ESP_6_IN_6,
    GH_ESP_SOCKETS
};

/* What happens beside the engine, which counts what it drops. */
#define GH_ESP_NET_COUNTS(X)                                                                       \
    X(RECEIVED, "received") /* from the network */                                                 \
    X(SENT, "sent")         /* to the network */                                                   \
    X(FROM_DEVICE, "from-device")                                                                  \
    X(TO_DEVICE, "to-device")                                                                      \
    X(SEND_FAILED, "send-failed")                                                                  \
    X(DEVICE_FAILED, "device-failed")                                                              \
    X(NO_SOCKET, "no-socket")                                                                      \
    X(TRUNCATED, "datagram-truncated")                                                             \
    X(NO_ADDRESS, "no-address")                                                                    \
    X(REASSEMBLED, "reassembled") /* by the kernel, of fragments */                                \
    X(FRAGMENTS, "fragments-refused")                                                              \
    X(SHORT, "too-short")    /* for ESP and for IKE: what keeps a NAT's mapping */                 \
    X(STRAY, "ike-messages") /* that came in one piece with ESP, and went on to `ike` */

enum gh_esp_net_count {
#define X(name, text) GH_ESP_NET_##name,
    GH_ESP_NET_COUNTS(X)
#undef X
        GH_ESP_NET_COUNT
};
const char *gh_esp_net_count_name(enum gh_esp_net_count count);

struct gh_esp_net;

/* A datagram of IKE's that came in one piece with ESP's. */
struct gh_esp_net_stray {
    uint32_t place;
    struct gh_addr local, remote;
    uint16_t port; /* the remote one */
    const uint8_t *data;
    size_t len;
};

struct gh_esp_net_ops {
    void (*stray)(void *ctx, const struct gh_esp_net_stray *x);
    /* It is longer than the interface takes, and the kernel was not to cut it. */
    void (*too_long)(void *ctx, uint32_t place, const uint8_t *packet, size_t len);
    /* A batch is here, but nobody looked at it yet: what others said before it came, counts. */
    void (*arrived)(void *ctx);
    /* A batch went through the engine, and has not left: of what is OK afterwards, all does. */
    void (*passed)(void *ctx, enum ipsec_way way, struct ipsec_packet *packets, size_t count);
};

/* outers: borrowed. NULL: no memory. */
struct gh_esp_net *gh_esp_net_new(uv_loop_t *loop, struct ipsec *engine,
                                  const struct gh_esp_outers *outers,
                                  const struct gh_esp_net_ops *ops, void *ctx);
/* Takes the socket, in the place of the one that was there. datagrams: of a device, it takes those
 * that are put together (platform/tun.h). False: no memory, or no such place. */
bool gh_esp_net_open(struct gh_esp_net *n, uint32_t place, enum gh_esp_socket kind, int fd,
                     bool datagrams);
void gh_esp_net_leave(struct gh_esp_net *n, uint32_t place); /* closes all of it */
/* What comes in fragments is dropped from now on, or not any more. */
void gh_esp_net_drop_fragments(struct gh_esp_net *n, bool drop);
/* From here on packets are read: there are policies and SAs. */
void gh_esp_net_start(struct gh_esp_net *n);
/* Packets from devices may be filled up to so many octets from now on: there is room for it. */
void gh_esp_net_fill(struct gh_esp_net *n, size_t octets);
/* A packet that came from the device of a place, and had no SA then, goes through the engine again;
 * not from within the calls of `ops`. */
void gh_esp_net_again(struct gh_esp_net *n, uint32_t place, const uint8_t *packet, size_t len);
/* Packets beside the batches, in any buffers and of one place, at most GH_ESP_PACKETS: of those
 * that are OK, all go to the network, with all their headers. */
void gh_esp_net_send(struct gh_esp_net *n, struct ipsec_packet *packets, size_t count);
/* One packet beside the batches: to the device of its place. */
void gh_esp_net_deliver(struct gh_esp_net *n, struct ipsec_packet *p);
const uint64_t *gh_esp_net_counts(const struct gh_esp_net *n); /* [GH_ESP_NET_COUNT] */

#endif

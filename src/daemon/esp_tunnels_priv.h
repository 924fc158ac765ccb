/*
 * What esp_tunnels.c has, for it and for esp_tunnels_show.c.
 */
#ifndef GH_DAEMON_ESP_TUNNELS_PRIV_H
#define GH_DAEMON_ESP_TUNNELS_PRIV_H

#include "daemon/esp_batch.h"
#include "daemon/esp_tunnels.h"
#include "tunnel/limit.h"
#include "tunnel/pmtu.h"
#include "tunnel/rate.h"
#include "tunnel/reassembly.h"
#include "tunnel/table.h"

/* Beside struct tunnel_counts. */
#define GH_TUNNEL_COUNTS(X)                                                                        \
    X(NO_SA, "no-sa")                 /* there is no SA of its peer's yet */                       \
    X(NOT_PROTECTED, "not-protected") /* came clear, or by or for an SA of somebody else */        \
    X(DEVICE_FAILED, "device-failed")                                                              \
    X(CUT, "fragmented")                                                                           \
    X(CUT_AFTER, "fragmented-after")                                                               \
    X(REASSEMBLED, "reassembled")                                                                  \
    X(TOLD, "too-big-told")                                                                        \
    X(NOT_TOLD, "icmp-limited")                                                                    \
    X(LEARNED, "mtu-learned")                                                                      \
    X(ICMP_FORGED, "icmp-unknown")

enum gh_tunnel_count {
#define X(name, text) GH_TUNNEL_##name,
    GH_TUNNEL_COUNTS(X)
#undef X
        GH_TUNNEL_COUNT
};

/* Beside struct tunnel, by its number. */
struct gh_esp_tunnel {
    char *peer, *device;
    uint32_t reassembly_ms;
    struct gh_addr dests[TUNNEL_DESTS_MAX];
    size_t dest_count;
    uint16_t too_big_messages;
    struct tunnel_rate rate;
    struct tunnel_reassembly *reassembly; /* NULL: no fragment has come yet */
    bool heard, primary, backup;          /* what the parent said of routes */
    uint64_t counts[GH_TUNNEL_COUNT];
};

struct gh_esp_tunnels {
    struct gh_esp_tunnels_setup setup;
    struct tunnel_table *table;
    struct gh_esp_tunnel *list;
    size_t count;
    struct tunnel_pmtu *mtus; /* of what is outside */
    struct scratches *scratches;
    /* Of the tunnel whose packets are looked at now: those that leave together, with their outer
     * headers, and those that its device is given together. */
    struct ipsec_packet leaving[GH_ESP_PACKETS], arrived[GH_ESP_PACKETS];
    size_t leaving_count, arrived_count;
    const struct tunnel *arrived_of;
    uint64_t now_ms;
    uint64_t unclear[TUNNEL_RESULT_COUNT]; /* of no one tunnel */
};

/* The longest packet that goes into it whole. */
uint16_t gh_esp_tunnel_limit(const struct gh_esp_tunnels *x, const struct tunnel *t,
                             uint64_t now_ms);

#endif

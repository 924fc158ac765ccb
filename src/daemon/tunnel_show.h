/*
 * What `show tunnel` answers of one tunnel, whoever carries it: `esp` (esp_tunnels_show.c) or a
 * device of the kernel's (parent_devices.c). Pure.
 */
#ifndef GH_DAEMON_TUNNEL_SHOW_H
#define GH_DAEMON_TUNNEL_SHOW_H

#include <jansson.h>

#include "tunnel/tunnel.h"

struct gh_tunnel_shown {
    const char *name, *device;
    const char *dataplane; /* "user" or "kernel" */
    const char *state;
    const char *netns, *vrf; /* where its packets leave; NULL is "" */
    const char *peer;        /* NULL: nobody */
    const struct tunnel_params *p;
    const struct gh_addr *remote; /* where it goes to now; NULL: there is no way */
    const struct gh_addr *dests;
    size_t dest_count;
    uint32_t reassembly_ms, ip_mtu;
};

/* To it belong "why", "switches", "in", "out" and "counts", too. */
json_t *gh_tunnel_show(const struct gh_tunnel_shown *s);

struct gh_tunnel_drop {
    const char *name;
    uint64_t count; /* 0: not shown */
};
json_t *gh_tunnel_show_way(uint64_t packets, uint64_t octets, const struct gh_tunnel_drop *drops,
                           size_t count);

#endif

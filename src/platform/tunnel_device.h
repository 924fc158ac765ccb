/*
 * The kernel's own devices for GRE and IP in IP, as a tunnel of the configuration wants them: made,
 * changed, looked at, taken away. The parent calls it; what it cannot have is said in
 * config/kernel_plane.h.
 *
 * A device begins where its packets leave and is then moved to where it is wanted; it goes with
 * either namespace. An alias tells those of ours from others', also after the daemon was killed.
 */
#ifndef GH_PLATFORM_TUNNEL_DEVICE_H
#define GH_PLATFORM_TUNNEL_DEVICE_H

#include "platform/netlink.h"
#include "tunnel/tunnel.h"

enum { GH_TUNNEL_ALIAS = 255, GH_TUNNEL_DEVICE_KINDS = 4 };

/* The kernel's name for what these parameters want. */
const char *gh_tunnel_device_kind(const struct tunnel_params *p);

/* Which kinds this kernel has, tried in a namespace of its own. */
struct gh_tunnel_kinds {
    bool has[GH_TUNNEL_DEVICE_KINDS];
};
/* 0, or a negative errno: it could not be tried. */
int gh_tunnel_device_probe(struct gh_tunnel_kinds *out);
bool gh_tunnel_device_has(const struct gh_tunnel_kinds *k, const struct tunnel_params *p);

/* Borrowed names: as in platform/netns.h; VRFs are devices there, or NULL. */
struct gh_tunnel_device {
    const char *name, *alias;
    const char *netns, *vrf;
    const char *outer_netns, *outer_vrf;
    const struct tunnel_params *p;
    uint32_t mtu;
};

/* Made, but not up. 0, or a negative errno. */
int gh_tunnel_device_make(const struct gh_tunnel_device *d, uint32_t *ifindex);
/* The same one with other parameters, as far as the kernel changes them: not its kind and places.
 * 0, or a negative errno: then it is to be made anew. */
int gh_tunnel_device_change(const struct gh_tunnel_device *d, uint32_t ifindex);
/* Up, and with multicast. 0, or a negative errno. */
int gh_tunnel_device_up(const char *netns, uint32_t ifindex);
void gh_tunnel_device_remove(const char *netns, uint32_t ifindex);
/* All in a namespace whose alias begins so, and what is left of one that was not finished. */
void gh_tunnel_devices_remove(const char *netns, const char *alias);

/* What came by it and left; drops by reason. */
struct gh_tunnel_device_state {
    uint32_t ifindex, mtu;
    bool up;
    char name[16], alias[GH_TUNNEL_ALIAS + 1];
    uint64_t rx_packets, rx_octets, tx_packets, tx_octets;
    uint64_t rx_checksum, rx_sequence, rx_ecn, rx_malformed, rx_dropped;
    uint64_t tx_loop, tx_no_way, tx_dropped;
};
/* 0, or a negative errno: ENODEV, there is none of this name. */
int gh_tunnel_device_look(const char *netns, const char *name, struct gh_tunnel_device_state *out);

/* Pure, for tests. One RTM_NEWLINK of ifindex, or 0 for a new one called `name`. link: the device
 * that packets leave by, or 0. */
void gh_tunnel_device_put(struct gh_wr *w, const struct gh_tunnel_device *d, const char *name,
                          uint32_t ifindex, uint32_t link);
/* False: no link. */
bool gh_tunnel_device_parse(const struct gh_nl_message *m, struct gh_tunnel_device_state *out);

#endif

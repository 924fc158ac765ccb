/*
 * Tunnel devices: what the kernel routes into one, a process of ours reads, and the other way
 * round. The parent makes them; one is there as long as somebody has its descriptor.
 */
#ifndef GH_PLATFORM_TUN_H
#define GH_PLATFORM_TUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/* Makes a device of layer 3, named by `name` ("gh%d": with the first number that is free), with
 * this MTU and up. Before each packet is virtio's header (struct virtio_net_hdr). Checksums and the
 * cutting of TCP's segments are left to who reads it, and if *datagrams (since Linux 6.2) that of
 * UDP's, too. netns: as in platform/netns.h. vrf: the VRF device that it belongs to, or NULL. The
 * descriptor, which does not block, or a negative errno. */
int gh_tun_open(const char *netns, const char *vrf, const char *name, uint32_t mtu,
                uint32_t *ifindex, bool *datagrams);
/* Of such a device. 0, or a negative errno. */
int gh_tun_set_mtu(const char *netns, uint32_t ifindex, uint32_t mtu);

enum { GH_TUN_NAME = 16 };
/* What it is called there. False: it is not. */
bool gh_tun_name(const char *netns, uint32_t ifindex, char name[GH_TUN_NAME]);

/* An address of it, host part included, is set or taken away. 0, or a negative errno. */
int gh_tun_address(const char *netns, uint32_t ifindex, const struct gh_prefix *address, bool set);

#endif

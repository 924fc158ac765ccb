/*
 * What of all that would come to a socket is for it (classic BPF): by the slot in the SPI (spi.h),
 * and by the VRF where it came.
 *
 * A socket that is bound to no VRF hears of those of its namespace, too: raw ones by default
 * (net.ipv4.raw_l3mdev_accept), others if somebody wants it (udp_l3mdev_accept). The parent, which
 * opens the sockets, calls it.
 */
#ifndef GH_PLATFORM_SOCKET_FILTER_H
#define GH_PLATFORM_SOCKET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GH_FILTER_VRFS = 1000 };

struct gh_socket_filter {
    const uint32_t *vrfs; /* their devices: nothing that came there; at most GH_FILTER_VRFS count */
    size_t vrf_count;
    /* A raw socket of ESP or AH: what belongs to this slot, to the first one also what is nobody's;
     * what is the kernel's plane's, only if not `kernels`, and to the first one. */
    bool by_spi;
    bool v6;
    uint8_t protocol;
    unsigned slot, slots;
    bool kernels;
};

/* In place of the one that is there. False: that stays, and errno. */
bool gh_socket_filter_set(int fd, const struct gh_socket_filter *f);

#endif

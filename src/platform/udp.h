/*
 * A UDP socket for IKE, opened where a gateway lives. The parent calls it: ports below 1024 and
 * other namespaces need privilege.
 */
#ifndef GH_PLATFORM_UDP_H
#define GH_PLATFORM_UDP_H

#include <stdbool.h>
#include <stdint.h>

/* netns: as in platform/netns.h. Bound to all addresses of one family; each datagram tells the
 * local address that it came to. The descriptor, or a negative errno. */
int gh_udp_open(const char *netns, bool v6, uint16_t port);

#endif

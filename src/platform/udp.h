/*
 * A UDP socket for IKE, opened where a gateway lives. The parent calls it: ports below 1024 and
 * other namespaces need privilege.
 */
#ifndef GH_PLATFORM_UDP_H
#define GH_PLATFORM_UDP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* netns: as in platform/netns.h; vrf: the name of a VRF device there, or NULL. Bound to all
 * addresses of one family in one place; each datagram tells the local address that it came to, and
 * each that is sent may say from which it goes. It belongs to `owner`, as far as the system lets us
 * give it away. The descriptor, or a negative errno. */
int gh_udp_open(const char *netns, const char *vrf, bool v6, uint16_t port, uid_t owner);

/* While this is on, another socket of the same owner that also has it can be bound to the same port
 * in another VRF. It is off when gh_udp_open() returns, for nobody else shall take the port: turn
 * it on for the others of a namespace as long as one is opened. */
void gh_udp_share(int fd, bool on);

/* Port 4500 has a socket more for each slot (spi.h): `ike`, opened by gh_udp_open(), keeps what
 * begins with the non-ESP marker, is shorter than that or a NAT keepalive; all else the kernel
 * gives to those that this opens, by their SPIs, which also tell the traffic class of each datagram
 * (RFC 3948). They are to be opened in the order of their slots. Each goes on without the others'
 * processes. From here on all are shared (gh_udp_share()) for good, for the kernel asks each time:
 * that is why they have an owner whom nobody else is. The descriptor, or a negative errno. */
int gh_udp_open_esp(int ike, unsigned slot, const char *netns, const char *vrf, bool v6,
                    uint16_t port, uid_t owner);

/* One more, after those, `slots` of which are for ESP: what has an SPI of the kernel's plane, the
 * highest bit of which is set, comes to it, and the kernel opens it (RFC 3948). */
int gh_udp_open_kernel(unsigned slots, const char *netns, const char *vrf, bool v6, uint16_t port,
                       uid_t owner);

#endif

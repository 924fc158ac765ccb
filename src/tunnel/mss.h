/*
 * TCP MSS adjustment: what a host behind us announces in its SYN is lowered to what the tunnel
 * takes, so that no path MTU discovery is needed. Never raised, and not put in where it is absent.
 * The checksum follows incrementally (RFC 1624), so that one that was wrong stays wrong. Pure.
 */
#ifndef TUNNEL_MSS_H
#define TUNNEL_MSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For packets of `mtu` octets without IP options or extension headers (RFC 6691 2); 0: none. */
uint16_t tunnel_mss_for(uint8_t version, uint16_t mtu);
/* True: the packet is a SYN, or SYN-ACK, whose MSS was lowered to `mss`. */
bool tunnel_mss_lower(uint8_t *packet, size_t len, uint16_t mss);

#endif

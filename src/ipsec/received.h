/*
 * What sockets give without its headers gets them back, so that ipsec_in() sees the packet as it
 * was on the wire: UDP sockets give the data alone, raw IPv6 sockets what follows the headers.
 *
 * Called by whoever reads the sockets. Pure.
 */
#ifndef IPSEC_RECEIVED_H
#define IPSEC_RECEIVED_H

#include "base/addr.h"
#include "ipsec/packet.h"

struct ipsec_received {
    struct gh_addr src, dst;     /* of the same IP version */
    uint16_t src_port, dst_port; /* of a datagram; 0, 0: what was given is ESP or AH */
    uint8_t protocol;            /* without ports: which of them */
    uint8_t ds; /* DSCP and ECN, as the socket told (IP_RECVTOS, IPV6_RECVTCLASS) */
};

/* Puts IP and UDP header in front of packet->len octets at packet->at. AH covers headers as they
 * were sent: over IPv6 without extension headers these are the same, over IPv4 read them from the
 * socket. False: no room, or too long. */
bool ipsec_received(struct ipsec_packet *p, const struct ipsec_received *r);

#endif

/*
 * UDP around ESP (RFC 3948). Pure.
 */
#ifndef IPSEC_UDP_H
#define IPSEC_UDP_H

#include "ipsec/header.h"

enum ipsec_udp {
    IPSEC_UDP_ESP,
    IPSEC_UDP_IKE,       /* behind the non-ESP marker: four octets of zero */
    IPSEC_UDP_KEEPALIVE, /* one octet, 0xff */
    IPSEC_UDP_BAD
};

/* What a datagram to the port is: `udp` points to the UDP header, `len` octets are here. Its
 * checksum is not looked at (2.1: zero means nothing; the ICV covers all). */
enum ipsec_udp ipsec_udp_kind(const uint8_t *udp, size_t len, uint16_t *src_port,
                              uint16_t *dst_port);
/* Writes a header with a checksum of zero (2.1) in front of `len` - 8 octets. */
void ipsec_udp_write(uint8_t *at, uint16_t src_port, uint16_t dst_port, size_t len);
/* Over IPv6, zero is not allowed (RFC 8200 8.1). An outer header without extension headers. */
void ipsec_udp_set_checksum(uint8_t *packet, size_t len);
/* What a transport-mode packet carried through a NAT: TCP's and UDP's checksum is computed anew
 * over the addresses that the packet has now (3.1.2). The ICV has shown that nobody changed it. */
void ipsec_udp_fix_inner(uint8_t *l4, size_t len, uint8_t protocol,
                         const struct ipsec_layout *outer);

#endif

/*
 * ICMP errors of ours: a packet was too large for the tunnel (ICMPv4 "fragmentation needed",
 * RFC 1191 4; ICMPv6 "packet too big", RFC 4443 3.2), nested too deeply (RFC 2473 4.1.1), or not
 * let through (RFC 4301 5.1.1). Pure; rate.h limits them.
 */
#ifndef TUNNEL_ICMP_H
#define TUNNEL_ICMP_H

#include "base/addr.h"
#include "ipsec/packet.h"
#include "tunnel/result.h"

/* The error about `packet`, at out->mem + out->at; the packet must not lie there. from: our address
 * on the side where the packet came from, of its IP version. OK; NO_ICMP: about such a packet none
 * is sent (RFC 1122 3.2.2, RFC 4443 2.4 (e): an ICMP error, a later fragment, no unicast
 * addresses); MALFORMED, NO_ROOM (an error has up to 1280 octets). */
enum tunnel_result tunnel_icmp_too_big(const struct ipsec_packet *packet, uint16_t mtu,
                                       const struct gh_addr *from, struct ipsec_packet *out);
/* ICMPv6 "parameter problem", code 0, that points at the octet `pointer` of an IPv6 packet. */
enum tunnel_result tunnel_icmp_parameter(const struct ipsec_packet *packet, uint32_t pointer,
                                         const struct gh_addr *from, struct ipsec_packet *out);

/* "Destination unreachable": communication is prohibited, or the host is not to be reached. */
enum tunnel_unreachable { TUNNEL_PROHIBITED, TUNNEL_NO_HOST };
enum tunnel_result tunnel_icmp_unreachable(const struct ipsec_packet *packet,
                                           enum tunnel_unreachable why, const struct gh_addr *from,
                                           struct ipsec_packet *out);

/* Nobody sends from it: multicast, loopback, broadcast; of IPv6 also what stands for an IPv4
 * address (RFC 4213 3.6). Unspecified is allowed: duplicate address detection uses it. */
bool tunnel_source_valid(const struct gh_addr *a);

#endif

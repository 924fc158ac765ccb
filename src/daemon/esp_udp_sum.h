/*
 * The UDP checksum of ESP in UDP over IPv6: the kernel computes it for whole datagrams only, and
 * some peers take no datagram without one. For what leaves in fragments.
 */
#ifndef GH_DAEMON_ESP_UDP_SUM_H
#define GH_DAEMON_ESP_UDP_SUM_H

#include "ipsec/packet.h"

/* What is neither IPv6 nor UDP stays as it is. */
void gh_esp_udp_sum(struct ipsec_packet *p);

#endif

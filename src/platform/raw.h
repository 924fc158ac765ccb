/*
 * Raw sockets for ESP and AH. The parent opens them, for that needs privilege.
 */
#ifndef GH_PLATFORM_RAW_H
#define GH_PLATFORM_RAW_H

#include <stdbool.h>
#include <stdint.h>

/* For one IP protocol in one place, as gh_udp_open(). What is sent has its IP header, if `headers`,
 * and must fit into the interface; else the kernel writes it, without DF, and fragments by the
 * interface. What comes has
 * it in IPv4, and in IPv6 tells the addresses, traffic class and hop limit. The descriptor,
 * which does not block, or a negative errno. */
int gh_raw_open(const char *netns, const char *vrf, bool v6, uint8_t protocol, bool headers);

/* Likewise, for ICMP errors that may be about packets of ours: unreachable destinations, and in
 * IPv6 what was too big. */
int gh_raw_open_icmp(const char *netns, const char *vrf, bool v6);

#endif

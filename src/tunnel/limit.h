/*
 * The Tunnel Encapsulation Limit (RFC 2473 4.1.1): how many more tunnels a packet may enter. Pure.
 */
#ifndef TUNNEL_LIMIT_H
#define TUNNEL_LIMIT_H

#include "wire/wr.h"

enum { TUNNEL_LIMIT_HEADER = 8, TUNNEL_PROTO_DEST_OPTIONS = 60 };

/* Where the limit of an IPv6 packet that enters a tunnel stands; 0: it has none. */
size_t tunnel_limit_find(const uint8_t *packet, size_t len);
/* A Destination Options header with this limit alone. */
void tunnel_limit_put(struct gh_wr *w, uint8_t next, uint8_t limit);

#endif

/*
 * The GRE header (RFC 2784) with key and sequence number (RFC 2890), and keepalives as Cisco's
 * routers send them. Pure.
 */
#ifndef TUNNEL_GRE_H
#define TUNNEL_GRE_H

#include "tunnel/result.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { TUNNEL_PROTO_GRE = 47, TUNNEL_GRE_HEADER_MAX = 16 };
enum {
    TUNNEL_ETHERTYPE_KEEPALIVE = 0,
    TUNNEL_ETHERTYPE_IPV4 = 0x0800,
    TUNNEL_ETHERTYPE_IPV6 = 0x86dd
};

struct tunnel_gre {
    uint16_t protocol; /* an Ethernet type */
    bool has_checksum, has_key, has_sequence;
    uint32_t key, sequence;
};

size_t tunnel_gre_len(const struct tunnel_gre *g);
/* A header; OK, GRE_VERSION, GRE_ROUTING, GRE_RESERVED or MALFORMED. The checksum is not looked at.
 */
enum tunnel_result tunnel_gre_read(struct gh_rd *r, struct tunnel_gre *out);
/* Over header and payload: right, or absent. */
bool tunnel_gre_checksum_right(const uint8_t *gre, size_t len, const struct tunnel_gre *g);
/* The header in front of a payload that is there already; len is of both. */
void tunnel_gre_put(struct gh_wr *w, const struct tunnel_gre *g, size_t len);

#endif

/*
 * MACs and traffic keys over precomputed state: what conn.c and the stateless functions of
 * tcpao.h share. Private to libtcpao.
 */
#ifndef GH_TCPAO_SEGMENT_H
#define GH_TCPAO_SEGMENT_H

#include "crypto/mac.h"
#include "tcpao.h"

/* One segment as the MAC sees it; borrows everything. */
struct tcpao_segment {
    const struct tcpao_endpoint *src, *dst;
    uint32_t sne;
    const uint8_t *hdr; /* with the AO option that `option` describes */
    size_t hdr_len;
    const struct tcpao_option *option;
    const uint8_t *payload;
    size_t payload_len;
};

enum gh_mac_alg tcpao_mac_alg(enum tcpao_alg alg);

/* KDF of RFC 5926 into a key that is ready for MACs; the caller clears it. */
enum tcpao_result tcpao_traffic_key(struct gh_mac_key *key, const struct tcpao_mkt *mkt,
                                    const struct tcpao_endpoint *src,
                                    const struct tcpao_endpoint *dst, uint32_t src_isn,
                                    uint32_t dst_isn);

/* RFC 5925 5.1. Writes the untruncated MAC. MALFORMED: endpoints of two families, or a segment
 * longer than its pseudo-header can say. */
enum tcpao_result tcpao_mac_over(struct gh_mac_key *key, bool options_covered,
                                 const struct tcpao_segment *s, uint8_t mac[TCPAO_MAC_MAX]);

/* RFC 5926 3.1.1.2 step 1: the AES key of a master key of any length (16 octets are used as they
 * are). False: the cryptographic library failed. */
bool tcpao_condense(const uint8_t *secret, size_t len, uint8_t key[GH_MAC_AES_KEY]);

#endif

/*
 * The few fields of a TCP header that TCP-AO needs (RFC 9293 3.1). Private to libtcpao.
 */
#ifndef GH_TCPAO_HEADER_H
#define GH_TCPAO_HEADER_H

#include "tcpao.h"

enum {
    TCP_DATA_OFFSET = 12, /* octet: data offset in the upper four bits */
    TCP_CHECKSUM = 16,    /* octet */
    TCP_FLAG_SYN = 0x02,
    TCP_FLAG_RST = 0x04,
    TCP_FLAG_ACK = 0x10
};

struct tcp_fields {
    uint32_t seq, ack;
    uint8_t flags;
};

/* False: the length is not 20 … 60 in steps of 4, or the data offset says something else. */
bool tcp_fields_read(const uint8_t *hdr, size_t hdr_len, struct tcp_fields *out);

/*
 * Copies a header that tcpao_option_find() accepted and appends an AO option with zero MAC, padded
 * with NOPs; sets data offset, zeroes the checksum. `ao` (keyid, rnext and mac_len set) gets its
 * offset. NO_SPACE: it does not fit, not even without the header's own trailing padding.
 */
enum tcpao_result tcpao_option_append(const uint8_t *hdr, size_t hdr_len, struct tcpao_option *ao,
                                      uint8_t out[TCPAO_TCP_HEADER_MAX], size_t *out_len);

#endif

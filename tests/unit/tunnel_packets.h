/*
 * IP packets for the tests of src/tunnel.
 */
#ifndef GH_TESTS_UNIT_TUNNEL_PACKETS_H
#define GH_TESTS_UNIT_TUNNEL_PACKETS_H

#include "hex.h"

#include <stdlib.h>
#include <string.h>

#include "ipsec/header.h"
#include "tunnel/result.h"
#include "ipsec/packet.h"
#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/wr.h"

enum { ROOM = 70000, HEAD = 400 };

struct buffer {
    uint8_t mem[ROOM];
    struct ipsec_packet p;
};

static inline struct gh_addr addr(const char *text)
{
    struct gh_addr a;

    assert_true(gh_addr_parse(text, &a));
    return a;
}

static inline struct ipsec_packet *empty(struct buffer *b)
{
    b->p = (struct ipsec_packet){.mem = b->mem, .cap = ROOM, .at = HEAD};
    return &b->p;
}

static inline uint8_t *octets_of(struct buffer *b)
{
    return b->mem + b->p.at;
}

/* With `len` octets of data in it: 0, 1, 2 …, each of `protocol`. */
static inline void make(struct buffer *b, const char *src, const char *dst, uint8_t protocol,
                        size_t len)
{
    struct gh_addr s = addr(src), d = addr(dst);
    struct gh_wr w = gh_wr_make(b->mem + HEAD, ROOM - HEAD);

    empty(b);
    if (s.len == 4) {
        gh_wr_u16(&w, 0x4500);
        gh_wr_u16(&w, 20 + len);
        gh_wr_u32(&w, 0x12340000);
        gh_wr_u8(&w, 64);
        gh_wr_u8(&w, protocol);
        gh_wr_u16(&w, 0);
    } else {
        gh_wr_u32(&w, 0x60000000);
        gh_wr_u16(&w, len);
        gh_wr_u8(&w, protocol);
        gh_wr_u8(&w, 64);
    }
    gh_wr_bytes(&w, s.octets, s.len);
    gh_wr_bytes(&w, d.octets, d.len);
    if (s.len == 4)
        ipsec_header_set_checksum(b->mem + HEAD);
    for (size_t i = 0; i < len; i++)
        gh_wr_u8(&w, (i + (i >> 8) * 7) & 0xff);
    assert_true(gh_wr_ok(&w));
    b->p.len = w.len;
}

static inline void set_df(struct buffer *b)
{
    octets_of(b)[6] |= 0x40;
    ipsec_header_set_checksum(octets_of(b));
}

static inline void set_ds(struct buffer *b, uint8_t ds)
{
    ipsec_header_set_ds(octets_of(b), ds);
}

static inline uint8_t ds_of(struct buffer *b)
{
    const uint8_t *p = octets_of(b);

    return p[0] >> 4 == 4 ? p[1] : (uint8_t)(p[0] << 4 | p[1] >> 4);
}

/* Well-formed, and an IPv4 header's checksum right. */
static inline void assert_well_formed(struct buffer *b)
{
    struct gh_ip_packet ip;

    assert_int_equal(gh_ip_parse(octets_of(b), b->p.len, &ip), GH_IP_OK);
    assert_int_equal(ip.total_len, b->p.len);
    if (ip.version == 4)
        assert_int_equal(gh_sum_fold(gh_sum(octets_of(b), ip.header_len, 0)), 0);
}

static inline void assert_same_packet(struct buffer *a, struct buffer *b)
{
    assert_int_equal(a->p.len, b->p.len);
    assert_memory_equal(octets_of(a), octets_of(b), a->p.len);
}

static inline void copy(struct buffer *to, struct buffer *from)
{
    memcpy(to->mem, from->mem, ROOM);
    to->p = from->p;
    to->p.mem = to->mem;
}

#define assert_result(r, wanted)                                                                   \
    assert_string_equal(tunnel_result_name(r), tunnel_result_name(wanted))

#endif

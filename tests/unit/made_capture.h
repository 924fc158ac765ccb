/*
 * Captures made in memory for tests: pcap files of segments that libtcpao's stateless functions
 * signed, with every mistake that a sender can make.
 */
#ifndef GH_TESTS_UNIT_MADE_CAPTURE_H
#define GH_TESTS_UNIT_MADE_CAPTURE_H

#include <string.h>

#include "base/addr.h"
#include "tcpao.h"
#include "wire/ip.h"
#include "wire/wr.h"

enum { MADE_MAX = 1 << 16, MADE_TIME = 1800000000 };

struct made_capture {
    uint8_t mem[MADE_MAX];
    struct gh_wr w;
    uint32_t time; /* of the next frame; each takes a second */
    uint32_t snaplen;
};

/* One segment and how its MAC is made. The kdf_ fields are what the sender believes; made_segment()
 * gives honest ones. */
struct made_segment {
    struct tcpao_endpoint src, dst;
    uint32_t seq, ack;
    uint8_t flags;
    uint8_t keyid, rnext;
    enum tcpao_alg alg;
    uint8_t mac_len;
    bool covered, no_option, two_options, spoil;
    const char *secret;
    size_t secret_len;
    struct tcpao_endpoint kdf_src, kdf_dst;
    uint32_t kdf_src_isn, kdf_dst_isn, sne;
    const char *payload;
};

static inline struct tcpao_endpoint made_end(const char *address, uint16_t port)
{
    struct tcpao_endpoint e = {.port = port};
    struct gh_addr a;

    assert_true(gh_addr_parse(address, &a));
    memcpy(e.addr, a.octets, sizeof(e.addr));
    e.addr_len = a.len;
    return e;
}

/* hmac-sha-1-96, secret "secret", options covered. */
static inline struct made_segment made_segment(struct tcpao_endpoint src, struct tcpao_endpoint dst,
                                               uint32_t src_isn, uint32_t dst_isn, uint8_t flags)
{
    struct made_segment s = {.src = src,
                             .dst = dst,
                             .flags = flags,
                             .alg = TCPAO_HMAC_SHA_1,
                             .mac_len = 12,
                             .covered = true,
                             .secret = "secret",
                             .secret_len = 6,
                             .kdf_src = src,
                             .kdf_dst = dst,
                             .kdf_src_isn = src_isn,
                             .kdf_dst_isn = dst_isn,
                             .payload = ""};

    s.seq = src_isn + ((flags & GH_TCP_SYN) == 0);
    s.ack = (flags & GH_TCP_ACK) != 0 ? dst_isn + 1 : 0;
    return s;
}

/* The TCP header, with an MSS option in a SYN and the signed AO option; its length. */
static inline size_t made_header(const struct made_segment *s, uint8_t out[TCPAO_TCP_HEADER_MAX])
{
    struct gh_wr w = gh_wr_make(out, TCPAO_TCP_HEADER_MAX);
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX], mac[TCPAO_MAC_MAX], hdr[TCPAO_TCP_HEADER_MAX];
    size_t offset;

    gh_wr_u16(&w, s->src.port);
    gh_wr_u16(&w, s->dst.port);
    gh_wr_u32(&w, s->seq);
    gh_wr_u32(&w, s->ack);
    gh_wr_u8(&w, 0);
    gh_wr_u8(&w, s->flags);
    gh_wr_u16(&w, 4096);
    gh_wr_u32(&w, 0xbad00000); /* checksum offload's leavings, urgent pointer */
    if ((s->flags & GH_TCP_SYN) != 0)
        gh_wr_u32(&w, 0x020405b4);
    offset = w.len;
    for (int i = 0; !s->no_option && i <= s->two_options; i++) {
        gh_wr_u8(&w, TCPAO_OPTION_KIND);
        gh_wr_u8(&w, TCPAO_OPTION_HEADER + s->mac_len);
        gh_wr_u8(&w, s->keyid);
        gh_wr_u8(&w, s->rnext);
        gh_wr_zero(&w, s->mac_len);
    }
    while (w.len % 4 != 0)
        gh_wr_u8(&w, 1);
    gh_wr_put_u8(&w, 12, w.len / 4 << 4);
    assert_true(gh_wr_ok(&w));
    if (s->no_option || s->two_options)
        return w.len;

    /* A NAT changes the ports after the MAC was made. */
    memcpy(hdr, out, w.len);
    hdr[0] = (uint8_t)(s->kdf_src.port >> 8);
    hdr[1] = (uint8_t)s->kdf_src.port;
    hdr[2] = (uint8_t)(s->kdf_dst.port >> 8);
    hdr[3] = (uint8_t)s->kdf_dst.port;
    assert_int_equal(tcpao_kdf(s->alg, (const uint8_t *)s->secret, s->secret_len, &s->kdf_src,
                               &s->kdf_dst, s->kdf_src_isn,
                               s->flags == GH_TCP_SYN ? 0 : s->kdf_dst_isn, key),
                     TCPAO_OK);
    assert_int_equal(tcpao_segment_mac(s->alg, key, s->covered, s->mac_len, &s->kdf_src,
                                       &s->kdf_dst, s->sne, hdr, w.len, (const uint8_t *)s->payload,
                                       strlen(s->payload), mac),
                     TCPAO_OK);
    memcpy(out + offset + TCPAO_OPTION_HEADER, mac, s->mac_len);
    out[offset + TCPAO_OPTION_HEADER] ^= s->spoil;
    return w.len;
}

/* The IP packet. */
static inline void made_packet(struct gh_wr *w, const struct made_segment *s)
{
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    size_t hdr_len = made_header(s, hdr), l4_len = hdr_len + strlen(s->payload);

    if (s->src.addr_len == 4) {
        gh_wr_u16(w, 0x4500);
        gh_wr_u16(w, 20 + l4_len);
        gh_wr_u32(w, 0x00014000);
        gh_wr_u32(w, 64 << 24 | GH_IP_TCP << 16);
    } else {
        gh_wr_u32(w, 0x60000000);
        gh_wr_u16(w, l4_len);
        gh_wr_u8(w, GH_IP_TCP);
        gh_wr_u8(w, 64);
    }
    gh_wr_bytes(w, s->src.addr, s->src.addr_len);
    gh_wr_bytes(w, s->dst.addr, s->dst.addr_len);
    gh_wr_bytes(w, hdr, hdr_len);
    gh_wr_bytes(w, s->payload, strlen(s->payload));
}

static inline void made_begin(struct made_capture *m, uint32_t link_type)
{
    m->w = gh_wr_make(m->mem, sizeof(m->mem));
    m->time = MADE_TIME;
    m->snaplen = 65535;
    gh_wr_u32(&m->w, 0xa1b2c3d4);
    gh_wr_u32(&m->w, 0x00020004);
    gh_wr_zero(&m->w, 8);
    gh_wr_u32(&m->w, 65535);
    gh_wr_u32(&m->w, link_type);
}

/* A frame of any octets. */
static inline void made_frame(struct made_capture *m, const uint8_t *frame, size_t len)
{
    size_t kept = len < m->snaplen ? len : m->snaplen;

    gh_wr_u32(&m->w, m->time++);
    gh_wr_u32(&m->w, 250000);
    gh_wr_u32(&m->w, kept);
    gh_wr_u32(&m->w, len);
    gh_wr_bytes(&m->w, frame, kept);
    assert_true(gh_wr_ok(&m->w));
}

/* A raw IP frame (link type 101). */
static inline void made_add(struct made_capture *m, const struct made_segment *s)
{
    uint8_t packet[2048];
    struct gh_wr w = gh_wr_make(packet, sizeof(packet));

    made_packet(&w, s);
    assert_true(gh_wr_ok(&w));
    made_frame(m, packet, w.len);
}

enum { MADE_RAW = 101 };

#endif

/*
 * Two ends of a protected connection for tests: keys, segments, and sending one to the other.
 */
#ifndef GH_TESTS_UNIT_AO_ENDS_H
#define GH_TESTS_UNIT_AO_ENDS_H

#include "unit.h"

#include <string.h>

#include "tcpao.h"

enum { SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10, FIN = 0x01 };

#define ALWAYS                                                                                     \
    (struct tcpao_lifetime)                                                                        \
    {                                                                                              \
        TCPAO_TIME_MIN, TCPAO_TIME_MAX                                                             \
    }

static const struct tcpao_endpoint end_a = {.addr = {192, 0, 2, 1}, .addr_len = 4, .port = 179};
static const struct tcpao_endpoint end_b = {.addr = {192, 0, 2, 2}, .addr_len = 4, .port = 50000};

/* A key whose ids are its number in both directions, valid always. */
static inline struct tcpao_mkt key_of(uint32_t number)
{
    static uint8_t secrets[256][8];
    uint8_t *secret = secrets[number & 0xff];

    memcpy(secret, "secret00", 8);
    secret[6] = (uint8_t)('0' + number / 16);
    secret[7] = (uint8_t)('0' + number % 16);
    return (struct tcpao_mkt){.number = number,
                              .send_id = (uint8_t)number,
                              .recv_id = (uint8_t)number,
                              .alg = TCPAO_HMAC_SHA_1,
                              .mac_len = 12,
                              .options_covered = true,
                              .send = ALWAYS,
                              .accept = ALWAYS,
                              .secret = secret,
                              .secret_len = 8};
}

static inline struct tcpao_mkt key_during(uint32_t number, int64_t from, int64_t until)
{
    struct tcpao_mkt mkt = key_of(number);

    mkt.send = mkt.accept = (struct tcpao_lifetime){from, until};
    return mkt;
}

static inline struct tcpao_chain *chain_of(uint32_t tolerance, const struct tcpao_mkt *keys,
                                           size_t count)
{
    struct tcpao_chain *c = tcpao_chain_new(tolerance);

    assert_non_null(c);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(tcpao_chain_add(c, &keys[i], NULL), TCPAO_CHAIN_OK);
    return c;
}

/* The connection owns the only reference to the chain. */
static inline struct tcpao_conn *conn_of(struct tcpao_chain *chain, bool a)
{
    struct tcpao_conn *c = tcpao_conn_new(chain, a ? &end_a : &end_b, a ? &end_b : &end_a);

    assert_non_null(c);
    tcpao_chain_put(chain);
    return c;
}

/* One segment as a stack makes it, or as it is on the wire. */
struct seg {
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    size_t hdr_len;
    uint8_t payload[32];
    size_t payload_len;
    uint32_t seq;
    uint8_t flags;
};

static inline void put32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* options: a multiple of four octets. The checksum is junk that must not matter. */
static inline struct seg seg_with(uint32_t seq, uint32_t ack, uint8_t flags, const char *payload,
                                  const uint8_t *options, size_t options_len)
{
    struct seg s = {.hdr = {0, 179, 0xc3, 0x50}, .hdr_len = 20 + options_len, .seq = seq};

    s.flags = flags;
    put32(s.hdr + 4, seq);
    put32(s.hdr + 8, flags & ACK ? ack : 0);
    s.hdr[12] = (uint8_t)(s.hdr_len / 4 << 4);
    s.hdr[13] = flags;
    s.hdr[16] = 0xbe;
    s.hdr[17] = 0xef;
    if (options_len > 0)
        memcpy(s.hdr + 20, options, options_len);
    s.payload_len = strlen(payload);
    memcpy(s.payload, payload, s.payload_len);
    return s;
}

static inline struct seg seg_of(uint32_t seq, uint32_t ack, uint8_t flags, const char *payload)
{
    return seg_with(seq, ack, flags, payload, NULL, 0);
}

static inline enum tcpao_result sign(struct tcpao_conn *c, int64_t now, const struct seg *in,
                                     struct seg *out)
{
    const struct seg bare = *in; /* `out` may be the same */

    *out = bare;
    return tcpao_conn_sign(c, now, bare.hdr, bare.hdr_len, bare.payload, bare.payload_len, out->hdr,
                           &out->hdr_len);
}

static inline enum tcpao_result verify(struct tcpao_conn *c, int64_t now, const struct seg *s,
                                       struct tcpao_seen *seen)
{
    struct tcpao_seen mine;

    return tcpao_conn_verify(c, now, s->hdr, s->hdr_len, s->payload, s->payload_len,
                             seen != NULL ? seen : &mine);
}

/* Verifies as a stack's engine would: a SYN is told to the connection. */
static inline enum tcpao_result receive(struct tcpao_conn *c, int64_t now, const struct seg *s)
{
    struct tcpao_seen seen;
    enum tcpao_result r = verify(c, now, s, &seen);

    if (r == TCPAO_OK && (s->flags & (SYN | ACK)) == SYN)
        tcpao_conn_accept_syn(c, now, s->seq, &seen);
    return r;
}

/* Signed at one end, accepted at the other. */
static inline void pass(struct tcpao_conn *from, struct tcpao_conn *to, int64_t now, struct seg s)
{
    struct seg wire;

    assert_int_equal(sign(from, now, &s, &wire), TCPAO_OK);
    assert_int_equal(receive(to, now, &wire), TCPAO_OK);
}

static inline struct tcpao_conn_state state_of(const struct tcpao_conn *c)
{
    struct tcpao_conn_state st;

    tcpao_conn_export(c, &st);
    return st;
}

static inline void assert_unchanged(const struct tcpao_conn *c, const struct tcpao_conn_state *was)
{
    const struct tcpao_conn_state is = state_of(c);

    assert_int_equal(is.local_isn_known, was->local_isn_known);
    assert_int_equal(is.remote_isn_known, was->remote_isn_known);
    assert_int_equal(is.local_isn, was->local_isn);
    assert_int_equal(is.remote_isn, was->remote_isn);
    assert_true(is.snd.highest == was->snd.highest);
    assert_true(is.rcv.highest == was->rcv.highest);
    assert_int_equal(is.current_known, was->current_known);
    assert_int_equal(is.rnext_known, was->rnext_known);
    assert_int_equal(is.current_key, was->current_key);
    assert_int_equal(is.rnext_key, was->rnext_key);
    assert_int_equal(is.last_recv_known, was->last_recv_known);
    assert_int_equal(is.last_recv_key, was->last_recv_key);
    assert_int_equal(is.last_keyid, was->last_keyid);
    assert_int_equal(is.last_rnext, was->last_rnext);
    assert_true(is.last_recv_since == was->last_recv_since);
}

/* b opens to a: afterwards each has sent one more octet than its ISN (the SYN). */
static inline void open_from_b(struct tcpao_conn *a, struct tcpao_conn *b, int64_t now,
                               uint32_t isn_a, uint32_t isn_b)
{
    pass(b, a, now, seg_of(isn_b, 0, SYN, ""));
    pass(a, b, now, seg_of(isn_a, isn_b + 1, SYN | ACK, ""));
    pass(b, a, now, seg_of(isn_b + 1, isn_a + 1, ACK, ""));
}

#endif

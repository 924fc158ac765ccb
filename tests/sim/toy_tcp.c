#include "sim/toy_tcp.h"

#include <string.h>

#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/rd.h"
#include "wire/wr.h"

static uint8_t octet_at(uint32_t seq)
{
    return (uint8_t)(seq * 2654435761u >> 24);
}

static struct gh_addr addr_of(const struct tcpao_endpoint *end)
{
    return gh_addr_from(end->addr, end->addr_len);
}

static void put_ip(struct gh_wr *w, const struct toy *t, size_t l4_len)
{
    if (t->me.addr_len == 4) {
        gh_wr_u16(w, 0x4500);
        gh_wr_u16(w, 20 + l4_len);
        gh_wr_u32(w, 0x00004000);
        gh_wr_u16(w, 64 << 8 | GH_IP_TCP);
        gh_wr_u16(w, 0);
        gh_wr_bytes(w, t->me.addr, 4);
        gh_wr_bytes(w, t->peer.addr, 4);
        gh_wr_put_u16(w, 10, gh_sum_fold(gh_sum(w->base, 20, 0)));
    } else {
        gh_wr_u32(w, 0x60000000);
        gh_wr_u16(w, l4_len);
        gh_wr_u16(w, GH_IP_TCP << 8 | 64);
        gh_wr_bytes(w, t->me.addr, 16);
        gh_wr_bytes(w, t->peer.addr, 16);
    }
}

static void put_options(struct gh_wr *w, const struct toy *t, uint8_t flags, uint32_t stamp)
{
    if (flags & GH_TCP_SYN) {
        gh_wr_u32(w, 0x020405b4); /* MSS 1460 */
        gh_wr_u32(w, 0x0402080a); /* SACK permitted, timestamps */
        gh_wr_u32(w, stamp);
        gh_wr_u32(w, 0);
        gh_wr_u32(w, 0x01030307);
    } else if (t->stamps) {
        gh_wr_u32(w, 0x0101080a);
        gh_wr_u32(w, stamp);
        gh_wr_u32(w, 0);
    }
}

void toy_emit(struct toy *t, uint8_t flags, uint32_t seq, uint32_t payload)
{
    static uint8_t packet[TOY_PACKET_MAX];
    struct gh_wr w = gh_wr_make(packet, sizeof(packet));
    size_t options = flags & GH_TCP_SYN ? 20 : t->stamps ? 12 : 0, l4 = 20 + options + payload, at;
    struct gh_addr me = addr_of(&t->me), peer = addr_of(&t->peer);

    put_ip(&w, t, l4);
    at = w.len;
    gh_wr_u16(&w, t->me.port);
    gh_wr_u16(&w, t->peer.port);
    gh_wr_u32(&w, seq);
    gh_wr_u32(&w, flags & GH_TCP_ACK ? t->rcv_nxt : 0);
    gh_wr_u16(&w, (20 + options) / 4 << 12 | flags);
    gh_wr_u16(&w, 0xffff);
    gh_wr_u32(&w, 0);
    put_options(&w, t, flags, seq);
    for (uint32_t i = 0; i < payload; i++)
        gh_wr_u8(&w, octet_at(seq + i));
    gh_wr_put_u16(
        &w, at + 16,
        gh_sum_fold(gh_sum(packet + at, l4, gh_sum_pseudo(&me, &peer, GH_IP_TCP, (uint32_t)l4))));
    if (gh_wr_ok(&w))
        t->send(t->ctx, packet, w.len);
}

static void ack(struct toy *t)
{
    toy_emit(t, GH_TCP_ACK, t->snd_nxt, 0);
}

void toy_connect(struct toy *t, uint64_t now_ms)
{
    t->snd_una = t->iss;
    t->snd_nxt = t->iss + 1;
    t->state = TOY_SYN_SENT;
    t->rto_at = now_ms + TOY_RTO_MS;
    toy_emit(t, GH_TCP_SYN, t->iss, 0);
}

void toy_write(struct toy *t, uint64_t now_ms, uint32_t len)
{
    while (len > 0) {
        uint32_t n = len < t->segment ? len : t->segment;

        toy_emit(t, GH_TCP_ACK | GH_TCP_PSH, t->snd_nxt, n);
        t->snd_nxt += n;
        len -= n;
    }
    t->rto_at = now_ms + TOY_RTO_MS;
}

void toy_timer(struct toy *t, uint64_t now_ms)
{
    if (t->rto_at == 0 || now_ms < t->rto_at)
        return;
    t->rto_at = now_ms + TOY_RTO_MS;
    if (t->state == TOY_SYN_SENT) {
        toy_emit(t, GH_TCP_SYN, t->iss, 0);
    } else if (t->state == TOY_SYN_RECEIVED) {
        toy_emit(t, GH_TCP_SYN | GH_TCP_ACK, t->iss, 0);
    } else {
        for (uint32_t seq = t->snd_una; seq != t->snd_nxt;) {
            uint32_t n = t->snd_nxt - seq < t->segment ? t->snd_nxt - seq : t->segment;

            toy_emit(t, GH_TCP_ACK | GH_TCP_PSH, seq, n);
            seq += n;
        }
    }
    if (t->snd_una == t->snd_nxt)
        t->rto_at = 0;
}

static void take_ack(struct toy *t, uint64_t now_ms, uint32_t acked)
{
    if ((int32_t)(acked - t->snd_una) <= 0 || (int32_t)(acked - t->snd_nxt) > 0)
        return;
    t->snd_una = acked;
    t->rto_at = t->snd_una == t->snd_nxt ? 0 : now_ms + TOY_RTO_MS;
    if (t->state == TOY_SYN_RECEIVED)
        t->state = TOY_ESTABLISHED;
}

static void take_data(struct toy *t, uint32_t seq, const uint8_t *data, size_t len)
{
    if (len == 0)
        return;
    for (size_t i = 0; i < len; i++)
        t->broken += data[i] != octet_at(seq + (uint32_t)i);
    if (seq == t->rcv_nxt) {
        t->rcv_nxt += (uint32_t)len;
        t->received += len;
    }
    ack(t);
}

/* What the peer's SYN offers, wherever its options stand. */
static void take_options(struct toy *t, const uint8_t *hdr, size_t len)
{
    struct gh_rd r = gh_rd_make(hdr + 20, len - 20);

    t->peer_mss = 536;
    t->stamps = false;
    while (gh_rd_left(&r) > 0) {
        uint8_t kind = gh_rd_u8(&r), n;

        if (kind == 1)
            continue;
        n = gh_rd_u8(&r);
        t->stamps |= kind == 8;
        if (kind == 2)
            t->peer_mss = gh_rd_u16(&r);
        else
            gh_rd_skip(&r, n < 2 ? SIZE_MAX : n - 2u);
    }
}

static void take_syn(struct toy *t, uint64_t now_ms, const struct gh_tcp_segment *s,
                     const uint8_t *hdr)
{
    bool has_ack = (s->flags & GH_TCP_ACK) != 0;

    t->irs = s->seq;
    t->rcv_nxt = s->seq + 1;
    take_options(t, hdr, s->header_len);
    if (has_ack && s->ack == t->iss + 1 && t->state != TOY_LISTEN) {
        t->snd_una = s->ack;
        t->rto_at = t->snd_una == t->snd_nxt ? 0 : t->rto_at;
        t->state = TOY_ESTABLISHED;
        ack(t);
        return;
    }
    if (t->state == TOY_LISTEN || t->state == TOY_SYN_SENT) { /* also simultaneous open */
        t->state = TOY_SYN_RECEIVED;
        t->snd_una = t->iss;
        t->snd_nxt = t->iss + 1;
        t->rto_at = now_ms + TOY_RTO_MS;
    }
    if (t->state == TOY_SYN_RECEIVED)
        toy_emit(t, GH_TCP_SYN | GH_TCP_ACK, t->iss, 0);
    else
        ack(t);
}

void toy_input(struct toy *t, uint64_t now_ms, const uint8_t *packet, size_t len)
{
    struct gh_ip_packet ip;
    struct gh_tcp_segment s;
    const uint8_t *l4;

    if (gh_ip_parse(packet, len, &ip) != GH_IP_OK ||
        gh_tcp_parse(packet + ip.header_len, ip.l4_len, &s) != GH_IP_OK) {
        t->broken++;
        return;
    }
    l4 = packet + ip.header_len;
    if (gh_sum_fold(gh_sum(l4, ip.l4_len,
                           gh_sum_pseudo(&ip.src, &ip.dst, GH_IP_TCP, (uint32_t)ip.l4_len))) != 0 ||
        (ip.version == 4 && gh_sum_fold(gh_sum(packet, ip.header_len, 0)) != 0)) {
        t->broken++;
        return;
    }
    if (s.flags & GH_TCP_RST) {
        t->resets++;
        t->state = TOY_CLOSED;
    } else if (t->state == TOY_CLOSED) {
        return;
    } else if (s.flags & GH_TCP_SYN) {
        if (t->state == TOY_LISTEN)
            t->peer.port = s.src_port;
        take_syn(t, now_ms, &s, l4);
    } else if (t->state != TOY_LISTEN && t->state != TOY_SYN_SENT) {
        take_ack(t, now_ms, s.ack);
        take_data(t, s.seq, l4 + s.header_len, s.payload_len);
    }
}

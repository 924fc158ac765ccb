/* Segments of one packet from the kernel, and packets put together for it. */
#include "unit.h"

#include <string.h>

#include "../offload_check.h"
#include "base/view.h"
#include "wire/checksum.h"
#include "wire/wr.h"

enum { SIZE = 1000, FLAGS_AT = 13, UDP = 17, CWR = 0x80, ECE = 0x40 };

/* What a packet is made of; the payload begins with `salt`. */
struct made {
    bool v6, udp, df;
    uint8_t tos, ttl, flags;
    uint16_t id, src_port, dst_port, window, urgent;
    uint32_t seq, ack;
    size_t options, payload; /* of TCP */
    uint8_t salt, last_address;
};

static const struct made plain = {.df = true,
                                  .ttl = 64,
                                  .flags = GH_TCP_ACK,
                                  .id = 0xfffe,
                                  .src_port = 1000,
                                  .dst_port = 179,
                                  .window = 500,
                                  .seq = 0xfffffc00,
                                  .ack = 7,
                                  .options = 12,
                                  .payload = SIZE,
                                  .last_address = 2};

static void put_ip(struct gh_wr *w, const struct made *m, size_t l4_len)
{
    size_t start = w->len;

    if (m->v6) {
        gh_wr_u32(w, 6u << 28 | (uint32_t)m->tos << 20 | 0x12345);
        gh_wr_u16(w, l4_len);
        gh_wr_u8(w, m->udp ? UDP : GH_IP_TCP);
        gh_wr_u8(w, m->ttl);
        for (int i = 0; i < 2; i++) {
            gh_wr_u64(w, 0xfd00000000000000ull);
            gh_wr_u64(w, i == 0 ? 1 : m->last_address);
        }
        return;
    }
    gh_wr_u8(w, 0x45);
    gh_wr_u8(w, m->tos);
    gh_wr_u16(w, 20 + l4_len);
    gh_wr_u16(w, m->id);
    gh_wr_u16(w, m->df ? 0x4000 : 0);
    gh_wr_u8(w, m->ttl);
    gh_wr_u8(w, m->udp ? UDP : GH_IP_TCP);
    gh_wr_u16(w, 0);
    gh_wr_u32(w, 0x0a010001);
    gh_wr_u32(w, 0x0a020000u + m->last_address);
    gh_wr_put_u16(w, start + 10, gh_sum_fold(gh_sum(w->base + start, 20, 0)));
}

static uint32_t pseudo(const uint8_t *ip, bool udp, size_t l4_len)
{
    size_t at = ip[0] >> 4 == 6 ? 8 : 12, len = ip[0] >> 4 == 6 ? 16 : 4;
    struct gh_addr src = gh_addr_from(ip + at, len), dst = gh_addr_from(ip + at + len, len);

    return gh_sum_pseudo(&src, &dst, udp ? UDP : GH_IP_TCP, (uint32_t)l4_len);
}

static size_t make(const struct made *m, uint8_t *out)
{
    struct gh_wr w = gh_wr_make(out, OFFLOAD_CHECK_PACKET);
    size_t l4, header = m->udp ? 8 : 20 + m->options;

    put_ip(&w, m, header + m->payload);
    l4 = w.len;
    gh_wr_u16(&w, m->src_port);
    gh_wr_u16(&w, m->dst_port);
    if (m->udp) {
        gh_wr_u16(&w, header + m->payload);
        gh_wr_u16(&w, 0);
    } else {
        gh_wr_u32(&w, m->seq);
        gh_wr_u32(&w, m->ack);
        gh_wr_u8(&w, header / 4 << 4);
        gh_wr_u8(&w, m->flags);
        gh_wr_u16(&w, m->window);
        gh_wr_u16(&w, 0);
        gh_wr_u16(&w, m->urgent);
        for (size_t i = 0; i < m->options; i++)
            gh_wr_u8(&w, 1);
    }
    for (size_t i = 0; i < m->payload; i++)
        gh_wr_u8(&w, (m->salt + i * 7) & 255);
    assert_true(gh_wr_ok(&w));
    gh_wr_put_u16(&w, l4 + (m->udp ? 6 : 16),
                  gh_sum_fold(gh_sum(out + l4, w.len - l4, pseudo(out, m->udp, w.len - l4))));
    return w.len;
}

/* ---- Segments ------------------------------------------------------------------------------- */

static void check_segment(const uint8_t *segment, size_t len, bool udp)
{
    struct gh_ip_packet ip;

    assert_int_equal(gh_ip_parse(segment, len, &ip), GH_IP_OK);
    assert_int_equal(ip.total_len, len);
    if (ip.version == 4)
        assert_int_equal(gh_sum_fold(gh_sum(segment, ip.header_len, 0)), 0);
    assert_int_equal(
        gh_sum_fold(gh_sum(segment + ip.header_len, ip.l4_len, pseudo(segment, udp, ip.l4_len))),
        0);
}

static void split_one(bool v6, bool udp, size_t payload)
{
    static uint8_t packet[OFFLOAD_CHECK_PACKET], out[OFFLOAD_CHECK_PACKET];
    const size_t size = 1348;
    struct made m = plain;
    struct offload_note note = {.cut = udp  ? OFFLOAD_UDP
                                       : v6 ? OFFLOAD_TCP6
                                            : OFFLOAD_TCP4,
                                .checksum_due = true,
                                .size = (uint16_t)size};
    struct offload_split s;
    size_t len, done = 0;

    m.v6 = v6;
    m.udp = udp;
    m.payload = payload;
    m.flags = GH_TCP_ACK | GH_TCP_PSH | GH_TCP_FIN | CWR;
    len = make(&m, packet);
    assert_true(offload_split(&s, &note, packet, len));
    assert_int_equal(s.count, payload == 0 ? 1 : (payload + size - 1) / size);
    for (size_t i = 0; i < s.count; i++) {
        size_t n = offload_segment_len(&s, i);
        bool last = i + 1 == s.count;

        offload_segment(&s, i, out);
        check_segment(out, n, udp);
        assert_int_equal(n, s.header + (last ? payload - i * size : size));
        assert_memory_equal(out + s.header, packet + s.header + done, n - s.header);
        if (!v6)
            assert_int_equal(out[4] << 8 | out[5], (m.id + i) & 0xffff);
        if (!udp) {
            struct gh_tcp_segment tcp;

            assert_int_equal(gh_tcp_parse(out + s.ip, n - s.ip, &tcp), GH_IP_OK);
            assert_int_equal(tcp.seq, (uint32_t)(m.seq + done));
            assert_int_equal(out[s.ip + FLAGS_AT], GH_TCP_ACK | (i == 0 ? CWR : 0) |
                                                       (last ? GH_TCP_PSH | GH_TCP_FIN : 0));
        }
        done += n - s.header;
    }
    assert_int_equal(done, payload);
}

static void test_segments(void **state)
{
    static const size_t payloads[] = {0, 1, 1347, 1348, 1349, 2696, 30001, 65400};

    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++)
        for (int v6 = 0; v6 < 2; v6++)
            for (int udp = 0; udp < 2; udp++)
                split_one(v6, udp, payloads[i]);
}

static void test_notes_that_lie(void **state)
{
    static uint8_t packet[OFFLOAD_CHECK_PACKET];
    struct offload_note note = {.cut = OFFLOAD_TCP4, .size = 100};
    struct offload_split s;
    struct made m = plain;
    size_t len = make(&m, packet);

    assert_true(offload_split(&s, &note, packet, len));
    assert_false(offload_split(&s, &note, packet, len - 1));
    assert_false(offload_split(&s, &note, packet, len + 1));
    assert_false(offload_split(&s, &note, packet, 39));
    note.size = 0;
    assert_false(offload_split(&s, &note, packet, len));
    note.size = 100;
    for (int cut = OFFLOAD_WHOLE; cut <= OFFLOAD_UDP; cut++) {
        note.cut = (enum offload_cut)cut;
        assert_int_equal(offload_split(&s, &note, packet, len), cut == OFFLOAD_TCP4);
    }
    note.cut = OFFLOAD_TCP4;
    packet[6] = 0x20; /* a fragment */
    assert_false(offload_split(&s, &note, packet, len));
}

static void test_checksum_due(void **state)
{
    static uint8_t packet[OFFLOAD_CHECK_PACKET], right[OFFLOAD_CHECK_PACKET];

    for (int udp = 0; udp < 2; udp++) {
        struct made m = plain;
        struct offload_note note = {.checksum_due = true, .sum_start = 20};
        size_t len, at;

        m.udp = udp;
        len = make(&m, packet);
        memcpy(right, packet, len);
        note.sum_offset = udp ? OFFLOAD_UDP_SUM : OFFLOAD_TCP_SUM;
        at = 20 + note.sum_offset;
        gh_wr_put_u16(&(struct gh_wr){.base = packet, .cap = len, .len = len}, at,
                      (uint16_t)~gh_sum_fold(pseudo(packet, udp, len - 20)));
        assert_true(offload_complete(&note, packet, len));
        assert_memory_equal(packet, right, len);
        assert_false(offload_complete(&note, packet, at + 1));
        note.sum_start = (uint16_t)len;
        assert_false(offload_complete(&note, packet, len));
        note.checksum_due = false;
        assert_true(offload_complete(&note, packet, len));
    }
}

/* ---- Groups --------------------------------------------------------------------------------- */

static struct offload_check check;
static uint8_t memory[OFFLOAD_MERGE_MAX][2100];

static void add(size_t i, const struct made *m)
{
    check.packets[i] = (struct offload_packet){.data = memory[i], .len = make(m, memory[i])};
}

/* The packet after this one. */
static struct made after(const struct made *m)
{
    struct made next = *m;

    next.seq += (uint32_t)m->payload;
    next.id++;
    next.salt += 11;
    return next;
}

static size_t groups_of_two(const struct made *a, const struct made *b)
{
    add(0, a);
    add(1, b);
    return offload_check_merge(&check, 2, true);
}

static void test_stream_is_one_group(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        for (int udp = 0; udp < 2; udp++) {
            struct made m = plain;

            m.v6 = v6;
            m.udp = udp;
            for (size_t i = 0; i < 40; i++) {
                if (i == 39)
                    m.payload = 17;
                add(i, &m);
                m = after(&m);
            }
            assert_int_equal(offload_check_merge(&check, 40, true), 1);
            assert_int_equal(check.groups[0].count, 40);
            assert_int_equal(check.groups[0].note.size, SIZE);
            assert_true(check.groups[0].note.checksum_due);
        }
    }
}

static void test_datagrams_only_if_wanted(void **state)
{
    struct made a = plain, b;

    a.udp = true;
    b = after(&a);
    add(0, &a);
    add(1, &b);
    assert_int_equal(offload_check_merge(&check, 2, false), 2);
}

static void test_push_and_short_end_a_group(void **state)
{
    struct made a = plain, b, c;

    b = after(&a);
    b.flags |= GH_TCP_PSH;
    c = after(&b);
    c.flags = GH_TCP_ACK;
    add(0, &a);
    add(1, &b);
    add(2, &c);
    assert_int_equal(offload_check_merge(&check, 3, true), 2);
    assert_int_equal(check.groups[0].count, 2);
    b.flags = GH_TCP_ACK;
    b.payload = SIZE - 1;
    c = after(&b);
    add(0, &a);
    add(1, &b);
    add(2, &c);
    assert_int_equal(offload_check_merge(&check, 3, true), 2);
    assert_int_equal(check.groups[0].count, 2);
}

static void test_what_differs_is_apart(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct made a = plain, b;

        a.v6 = v6;
        b = after(&a);
        assert_int_equal(groups_of_two(&a, &b), 1);
#define APART(field, value)                                                                        \
    do {                                                                                           \
        b = after(&a);                                                                             \
        b.field = value;                                                                           \
        assert_int_equal(groups_of_two(&a, &b), 2);                                                \
    } while (0)
        APART(seq, a.seq);
        APART(seq, a.seq + SIZE + 1);
        APART(ack, 8);
        APART(window, 501);
        APART(urgent, 1);
        APART(options, 8);
        APART(payload, SIZE + 1);
        APART(payload, 0);
        APART(src_port, 1001);
        APART(dst_port, 180);
        APART(last_address, 3);
        APART(tos, 3);
        APART(ttl, 63);
        APART(udp, true);
        APART(v6, !v6);
        for (int bit = 0; bit < 8; bit++)
            if (bit != 3) /* PSH */
                APART(flags, (uint8_t)(GH_TCP_ACK ^ 1 << bit));
        if (!v6)
            APART(df, false);
#undef APART
    }
}

static void test_identification_counts_without_df(void **state)
{
    struct made a = plain, b;

    a.df = false;
    b = after(&a);
    assert_int_equal(groups_of_two(&a, &b), 1);
    b.id++;
    assert_int_equal(groups_of_two(&a, &b), 2);
    a.df = b.df = true;
    assert_int_equal(groups_of_two(&a, &b), 1);
}

static void test_damaged_is_apart(void **state)
{
    struct made a = plain, b = after(&a);

    for (size_t at = 0; at < 20 + 32 + 4; at++) {
        add(0, &a);
        add(1, &b);
        memory[1][at] ^= 0x10;
        assert_int_equal(offload_check_merge(&check, 2, true), 2);
    }
}

/* A segment that does not fit ends its flow's group, and no other's. */
static void test_nobody_overtakes(void **state)
{
    struct made a = plain, other = plain, b, c;

    other.src_port = 2000;
    b = after(&a);
    b.flags |= GH_TCP_URG;
    c = after(&b);
    c.flags = GH_TCP_ACK;
    add(0, &a);
    add(1, &other);
    add(2, &b);
    add(3, &c);
    other = after(&other);
    add(4, &other);
    assert_int_equal(offload_check_merge(&check, 5, true), 4);
    assert_int_equal(check.groups[1].count, 2);
}

static uint32_t dice(uint32_t *state, uint32_t sides)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 8) % sides;
}

/* Streams mixed at random, with all that goes wrong on a way. */
static void test_mixed_streams(void **state)
{
    uint32_t seed = 4711;
    size_t packets = 0, groups = 0;

    for (int round = 0; round < 300; round++) {
        struct made flows[6];

        for (size_t f = 0; f < 6; f++) {
            flows[f] = plain;
            flows[f].v6 = f & 1;
            flows[f].udp = f == 4 || f == 5;
            flows[f].df = f != 2;
            flows[f].src_port = (uint16_t)(1000 + f);
        }
        for (size_t i = 0; i < OFFLOAD_MERGE_MAX; i++) {
            struct made *m = &flows[dice(&seed, 6)], sent;

            sent = *m;
            if (dice(&seed, 20) == 0)
                sent.payload = dice(&seed, 1900);
            if (dice(&seed, 20) == 0)
                sent.flags = (uint8_t)dice(&seed, 256);
            if (dice(&seed, 30) == 0)
                sent.ack += 100;
            add(i, &sent);
            if (dice(&seed, 30) == 0)
                memory[i][dice(&seed, 60)] ^= (uint8_t)dice(&seed, 256);
            if (dice(&seed, 30) != 0)
                *m = after(&sent);
            m->flags = GH_TCP_ACK;
            m->payload = SIZE;
        }
        packets += OFFLOAD_MERGE_MAX;
        groups += offload_check_merge(&check, OFFLOAD_MERGE_MAX, true);
    }
    assert_true(groups < packets / 2); /* it does put together */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_notes_that_lie),
        cmocka_unit_test(test_checksum_due),
        cmocka_unit_test(test_stream_is_one_group),
        cmocka_unit_test(test_datagrams_only_if_wanted),
        cmocka_unit_test(test_push_and_short_end_a_group),
        cmocka_unit_test(test_what_differs_is_apart),
        cmocka_unit_test(test_identification_counts_without_df),
        cmocka_unit_test(test_damaged_is_apart),
        cmocka_unit_test(test_nobody_overtakes),
        cmocka_unit_test(test_mixed_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

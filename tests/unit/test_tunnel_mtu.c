/*
 * Sizes: MTUs before and after encapsulation, ICMP errors made and heard, learned path MTUs, MSS.
 */
#include "tunnel_packets.h"

#include "tunnel/fragment.h"
#include "tunnel/icmp.h"
#include "tunnel/mss.h"
#include "tunnel/mtu.h"
#include "tunnel/pmtu.h"
#include "tunnel/rate.h"

enum { TCP = 6, UDP = 17, GRE = 47, ESP = 50, AH = 51 };

static struct buffer packet, error, other;
static const struct gh_hash_seed seed = {{3, 4}};

static void before_encapsulation(void **state)
{
    struct tunnel_mtu m = {.ip_mtu = 1400};

    make(&packet, "10.0.0.1", "10.0.0.2", UDP, 1380);
    assert_result(tunnel_mtu_before(&m, 0, 7, &packet.p), TUNNEL_OK);
    assert_result(tunnel_mtu_before(&m, 1399, 7, &packet.p), TUNNEL_TO_FRAGMENT);
    assert_int_equal(packet.p.mtu, 1399);
    make(&packet, "10.0.0.1", "10.0.0.2", UDP, 1381);
    assert_result(tunnel_mtu_before(&m, 1450, 7, &packet.p), TUNNEL_TO_FRAGMENT);
    assert_int_equal(packet.p.mtu, 1400);
    set_df(&packet);
    assert_result(tunnel_mtu_before(&m, 1300, 7, &packet.p), TUNNEL_TOO_BIG);
    assert_int_equal(packet.p.mtu, 1300);
    m.clear_df = true;
    assert_result(tunnel_mtu_before(&m, 0, 7, &packet.p), TUNNEL_TO_FRAGMENT);
    assert_well_formed(&packet);
    assert_int_equal(octets_of(&packet)[6] & 0x40, 0);
    assert_int_equal(octets_of(&packet)[5], 7);
    /* Octets behind the packet do not count, and without rules nothing does. */
    make(&packet, "10.0.0.1", "10.0.0.2", UDP, 1380);
    packet.p.len += 9;
    assert_result(tunnel_mtu_before(&m, 0, 7, &packet.p), TUNNEL_OK);
    m = (struct tunnel_mtu){0};
    assert_result(tunnel_mtu_before(&m, 0, 7, &packet.p), TUNNEL_OK);
    packet.p.len = 1395;
    m.ip_mtu = 600;
    assert_result(tunnel_mtu_before(&m, 0, 7, &packet.p), TUNNEL_MALFORMED);
}

/* Documents contradict one another: both rules are to be had. */
static void ipv6_before_encapsulation(void **state)
{
    static const struct {
        enum tunnel_mtu_ipv6 rule;
        uint16_t ip_mtu;
        size_t len;
        enum tunnel_result result;
        uint16_t mtu;
    } cases[] = {{TUNNEL_MTU_IPV6_DROP, 1400, 1400, TUNNEL_OK, 0},
                 {TUNNEL_MTU_IPV6_DROP, 1400, 1401, TUNNEL_TOO_BIG, 1400},
                 {TUNNEL_MTU_IPV6_DROP, 1000, 1280, TUNNEL_OK, 0},
                 {TUNNEL_MTU_IPV6_DROP, 1000, 1281, TUNNEL_TOO_BIG, 1280},
                 {TUNNEL_MTU_IPV6_WHOLE, 1400, 1401, TUNNEL_OK, 0},
                 {TUNNEL_MTU_IPV6_WHOLE, 1000, 1280, TUNNEL_OK, 0},
                 {TUNNEL_MTU_IPV6_WHOLE, 1000, 1279, TUNNEL_TOO_BIG, 1000},
                 {TUNNEL_MTU_IPV6_WHOLE, 1000, 1000, TUNNEL_OK, 0}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tunnel_mtu m = {.ip_mtu = cases[i].ip_mtu, .ipv6 = cases[i].rule};

        make(&packet, "2001:db8::1", "2001:db8::2", UDP, cases[i].len - 40);
        assert_result(tunnel_mtu_before(&m, 0, 7, &packet.p), cases[i].result);
        if (cases[i].result == TUNNEL_TOO_BIG)
            assert_int_equal(packet.p.mtu, cases[i].mtu);
    }
}

static void after_encapsulation(void **state)
{
    const struct tunnel_mtu m = {.encapsulated_ip_mtu = 1480};

    make(&packet, "192.0.2.1", "192.0.2.2", ESP, 1460);
    assert_result(tunnel_mtu_after(&m, 1500, 7, &packet.p), TUNNEL_OK);
    assert_result(tunnel_mtu_after(&m, 1400, 7, &packet.p), TUNNEL_TO_FRAGMENT);
    make(&packet, "192.0.2.1", "192.0.2.2", ESP, 1461);
    set_df(&packet);
    assert_result(tunnel_mtu_after(&m, 0, 0x1717, &packet.p), TUNNEL_TO_FRAGMENT);
    assert_int_equal(packet.p.mtu, 1480);
    assert_well_formed(&packet);
    assert_int_equal(octets_of(&packet)[6], 0);
    assert_int_equal(octets_of(&packet)[4], 0x17);
    make(&packet, "2001:db8::1", "2001:db8::2", ESP, 1441);
    assert_result(tunnel_mtu_after(&m, 0, 7, &packet.p), TUNNEL_TO_FRAGMENT);

    assert_true(tunnel_mtu_valid(&(struct tunnel_mtu){0}));
    assert_true(tunnel_mtu_valid(&(struct tunnel_mtu){.ip_mtu = 512, .encapsulated_ip_mtu = 9000}));
    assert_false(tunnel_mtu_valid(&(struct tunnel_mtu){.ip_mtu = 511}));
    assert_false(tunnel_mtu_valid(&(struct tunnel_mtu){.encapsulated_ip_mtu = 9001}));
    assert_true(
        tunnel_mtu_conflict(&(struct tunnel_mtu){.ip_mtu = 1400, .encapsulated_ip_mtu = 1450}, 51));
    assert_false(
        tunnel_mtu_conflict(&(struct tunnel_mtu){.ip_mtu = 1400, .encapsulated_ip_mtu = 1450}, 50));
    assert_false(tunnel_mtu_conflict(&(struct tunnel_mtu){.ip_mtu = 1400}, 50));
}

static void rates(void **state)
{
    struct tunnel_rate r;
    uint32_t taken = 0;

    assert_false(tunnel_rate_set(&r, 9, 0, 0));
    assert_false(tunnel_rate_set(&r, 1001, 0, 0));
    assert_false(tunnel_rate_set(&r, 0, 61, 0));
    assert_true(tunnel_rate_set(&r, 0, 0, 5000));
    assert_int_equal(r.messages, 100);
    assert_int_equal(r.seconds, 10);
    while (tunnel_rate_take(&r, 5000))
        taken++;
    assert_int_equal(taken, 100);
    assert_false(tunnel_rate_take(&r, 5099));
    assert_true(tunnel_rate_take(&r, 5100));
    assert_false(tunnel_rate_take(&r, 5100));
    for (uint64_t now = 5100; now < 65100; now++)
        taken += tunnel_rate_take(&r, now);
    assert_in_range(taken, 699, 700);
    for (taken = 0; tunnel_rate_take(&r, UINT64_MAX); taken++)
        ;
    assert_int_equal(taken, 100);
}

/* What we send can be heard by what we hear with. */
static void too_big_there_and_back(void **state)
{
    struct tunnel_quote q;
    struct gh_addr us;

    for (int v = 4; v <= 6; v += 2)
        for (size_t len = 8; len < 3000; len += 61) {
            make(&packet, v == 4 ? "192.0.2.1" : "2001:db8::1",
                 v == 4 ? "192.0.2.2" : "2001:db8::2", ESP, len);
            us = addr(v == 4 ? "192.0.2.254" : "2001:db8::fe");
            packet.p.place = 3;
            assert_result(tunnel_icmp_too_big(&packet.p, 1300, &us, empty(&error)), TUNNEL_OK);
            assert_well_formed(&error);
            assert_int_equal(error.p.place, 3);
            assert_true(error.p.len <= (v == 4 ? 576 : 1280));
            assert_true(error.p.len == (v == 4 ? 576 : 1280) ||
                        error.p.len == packet.p.len + (v == 4 ? 28 : 48));
            assert_result(tunnel_quote_read(octets_of(&error), error.p.len, &q), TUNNEL_OK);
            assert_int_equal(q.kind, TUNNEL_QUOTE_TOO_BIG);
            assert_int_equal(q.mtu, 1300);
            assert_true(gh_addr_equal(&q.from, &us));
            assert_int_equal(q.total_len, packet.p.len);
            assert_int_equal(q.protocol, ESP);
            assert_true(q.has_spi && q.has_seq);
            assert_int_equal(q.spi, 0x00010203);
            assert_int_equal(q.seq, 0x04050607);
            error.mem[error.p.at + error.p.len - 1] ^= 1;
            assert_result(tunnel_quote_read(octets_of(&error), error.p.len, &q),
                          TUNNEL_ICMP_CHECKSUM);
        }
}

/* RFC 1122 3.2.2, RFC 4443 2.4 (e). */
static void no_error_about(void **state)
{
    static const char *const sources[][2] = {
        {"224.0.0.5", "10.0.0.1"},  {"255.255.255.255", "10.0.0.1"},
        {"127.0.0.1", "10.0.0.1"},  {"0.0.0.0", "10.0.0.1"},
        {"10.0.0.1", "224.0.0.5"},  {"10.0.0.1", "255.255.255.255"},
        {"ff02::1", "2001:db8::1"}, {"::", "2001:db8::1"},
        {"::1", "2001:db8::1"},     {"::10.0.0.1", "2001:db8::1"}};
    struct gh_addr v4 = addr("10.0.0.254"), v6 = addr("2001:db8::fe");

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        make(&packet, sources[i][0], sources[i][1], UDP, 100);
        assert_result(tunnel_icmp_too_big(&packet.p, 1300, i < 6 ? &v4 : &v6, empty(&error)),
                      TUNNEL_NO_ICMP);
    }
    make(&packet, "2001:db8::1", "ff0e::1", UDP, 100); /* the exception */
    assert_result(tunnel_icmp_too_big(&packet.p, 1300, &v6, empty(&error)), TUNNEL_OK);
    assert_result(tunnel_icmp_parameter(&packet.p, 40, &v6, empty(&error)), TUNNEL_NO_ICMP);
    assert_result(tunnel_icmp_too_big(&packet.p, 1300, &v4, empty(&error)), TUNNEL_NO_ICMP);
    make(&packet, "10.0.0.1", "10.0.0.2", 1, 100);
    assert_result(tunnel_icmp_parameter(&packet.p, 40, &v4, empty(&error)), TUNNEL_NO_ICMP);
    for (int type = 0; type < 256; type++) {
        make(&packet, "10.0.0.1", "10.0.0.2", 1, 100);
        octets_of(&packet)[20] = (uint8_t)type;
        assert_int_equal(tunnel_icmp_too_big(&packet.p, 1300, &v4, empty(&error)) == TUNNEL_OK,
                         type == 0 || type == 8 || (type >= 13 && type <= 18));
        make(&packet, "2001:db8::1", "2001:db8::2", 58, 100);
        octets_of(&packet)[40] = (uint8_t)type;
        assert_int_equal(tunnel_icmp_too_big(&packet.p, 1300, &v6, empty(&error)) == TUNNEL_OK,
                         type >= 128);
    }
    make(&packet, "10.0.0.1", "10.0.0.2", UDP, 100);
    octets_of(&packet)[6] = 0x20; /* the first fragment: yes */
    assert_result(tunnel_icmp_too_big(&packet.p, 1300, &v4, empty(&error)), TUNNEL_OK);
    octets_of(&packet)[7] = 8;
    assert_result(tunnel_icmp_too_big(&packet.p, 1300, &v4, empty(&error)), TUNNEL_NO_ICMP);
    empty(&error)->cap = HEAD + 100;
    make(&packet, "10.0.0.1", "10.0.0.2", UDP, 100);
    assert_result(tunnel_icmp_too_big(&packet.p, 1300, &v4, &error.p), TUNNEL_NO_ROOM);
    packet.p.len--;
    assert_result(tunnel_icmp_too_big(&packet.p, 1300, &v4, empty(&error)), TUNNEL_MALFORMED);
}

static void parameter_problem(void **state)
{
    struct gh_addr us = addr("2001:db8::fe");
    struct tunnel_quote q;

    make(&packet, "2001:db8::1", "2001:db8::2", UDP, 100);
    assert_result(tunnel_icmp_parameter(&packet.p, 42, &us, empty(&error)), TUNNEL_OK);
    assert_int_equal(octets_of(&error)[47], 42);
    assert_result(tunnel_quote_read(octets_of(&error), error.p.len, &q), TUNNEL_OK);
    assert_int_equal(q.kind, TUNNEL_QUOTE_PARAMETER);
    assert_int_equal(q.mtu, 0);
}

/* An error with `quoted` octets of the packet, checksum right. */
static void make_error(uint8_t type, uint8_t code, uint32_t rest, size_t quoted)
{
    bool v4 = octets_of(&packet)[0] >> 4 == 4;
    size_t header = v4 ? 20 : 40;
    struct gh_addr src = addr(v4 ? "198.51.100.1" : "2001:db8:f::1"),
                   dst = addr(v4 ? "192.0.2.1" : "2001:db8::1");
    struct gh_wr w;

    make(&error, v4 ? "198.51.100.1" : "2001:db8:f::1", v4 ? "192.0.2.1" : "2001:db8::1",
         v4 ? 1 : 58, 8 + quoted);
    w = gh_wr_make(octets_of(&error) + header, 8 + quoted);
    gh_wr_u8(&w, type);
    gh_wr_u8(&w, code);
    gh_wr_u16(&w, 0);
    gh_wr_u32(&w, rest);
    gh_wr_bytes(&w, octets_of(&packet), quoted);
    gh_wr_put_u16(&w, 2,
                  gh_sum_fold(gh_sum(w.base, w.len,
                                     v4 ? 0 : gh_sum_pseudo(&src, &dst, 58, (uint32_t)w.len))));
    assert_true(gh_wr_ok(&w));
}

static enum tunnel_result hear(struct tunnel_quote *q)
{
    return tunnel_quote_read(octets_of(&error), error.p.len, q);
}

static void quotes(void **state)
{
    struct tunnel_quote q;
    uint8_t *inside;

    /* ESP, and of it less and less. */
    make(&packet, "192.0.2.1", "192.0.2.2", ESP, 1400);
    make_error(3, 4, 1300, 28);
    assert_result(hear(&q), TUNNEL_OK);
    assert_true(q.has_spi && q.has_seq && q.mtu == 1300 && q.total_len == 1420);
    make_error(3, 4, 1300, 27);
    assert_result(hear(&q), TUNNEL_OK);
    assert_true(q.has_spi && !q.has_seq);
    make_error(3, 4, 1300, 23);
    assert_result(hear(&q), TUNNEL_OK);
    assert_false(q.has_spi);
    make_error(3, 4, 1300, 19);
    assert_result(hear(&q), TUNNEL_MALFORMED);

    /* AH, UDP, GRE. */
    make(&packet, "2001:db8::1", "2001:db8::2", AH, 100);
    make_error(1, 0, 0, 140);
    assert_result(hear(&q), TUNNEL_OK);
    assert_int_equal(q.kind, TUNNEL_QUOTE_UNREACHABLE);
    assert_int_equal(q.spi, 0x04050607);
    assert_int_equal(q.seq, 0x08090a0b);
    make(&packet, "192.0.2.1", "192.0.2.2", UDP, 100);
    make_error(11, 0, 0, 36);
    assert_result(hear(&q), TUNNEL_OK);
    assert_int_equal(q.kind, TUNNEL_QUOTE_TIME_EXCEEDED);
    assert_int_equal(q.local_port, 0x0001);
    assert_int_equal(q.remote_port, 0x0203);
    assert_int_equal(q.spi, 0x08090a0b);
    make(&packet, "192.0.2.1", "192.0.2.2", GRE, 100);
    inside = octets_of(&packet) + 20;
    memcpy(inside, (uint8_t[]){0x20, 0, 8, 0, 0xca, 0xfe, 0xba, 0xbe}, 8);
    make_error(3, 3, 0, 28);
    assert_result(hear(&q), TUNNEL_OK);
    assert_true(q.has_gre_key);
    assert_int_equal(q.gre_key, 0xcafebabe);
    inside[0] = 0x40;
    make_error(3, 3, 0, 28);
    assert_result(hear(&q), TUNNEL_OK);
    assert_false(q.has_gre_key);

    /* A later fragment: nothing is known of what is in it. */
    make(&packet, "192.0.2.1", "192.0.2.2", ESP, 100);
    octets_of(&packet)[7] = 9;
    make_error(3, 4, 1300, 28);
    assert_result(hear(&q), TUNNEL_OK);
    assert_false(q.has_spi);

    /* What is no error, and another version inside. */
    make_error(8, 0, 0, 28);
    assert_result(hear(&q), TUNNEL_NOT_QUOTED);
    make_error(4, 0, 0, 28);
    assert_result(hear(&q), TUNNEL_OK);
    assert_int_equal(q.kind, TUNNEL_QUOTE_OTHER);
    assert_result(tunnel_quote_read(octets_of(&packet), packet.p.len, &q), TUNNEL_NOT_QUOTED);
    make(&packet, "2001:db8::1", "2001:db8::2", ESP, 100);
    make_error(128, 0, 0, 48);
    assert_result(hear(&q), TUNNEL_NOT_QUOTED);
    octets_of(&packet)[0] = 0x45;
    make_error(3, 4, 1300, 48);
    octets_of(&packet)[0] = 0x60;
    memcpy(octets_of(&error) + 28, octets_of(&packet), 48);
    assert_result(hear(&q), TUNNEL_ICMP_CHECKSUM);
}

static void who_has_seen_the_packet(void **state)
{
    struct tunnel_quote_sa sa = {.local = addr("192.0.2.1"),
                                 .remote = addr("192.0.2.2"),
                                 .protocol = ESP,
                                 .spi = 0x00010203,
                                 .seq = 0x04050607 + 99};
    struct tunnel_quote q;

    make(&packet, "192.0.2.1", "192.0.2.2", ESP, 1400);
    make_error(3, 4, 1300, 28);
    assert_result(hear(&q), TUNNEL_OK);
    assert_true(tunnel_quote_fits(&q, &sa, 100));
    assert_false(tunnel_quote_fits(&q, &sa, 99));
    sa.seq = 0x04050606; /* not sent yet */
    assert_false(tunnel_quote_fits(&q, &sa, 100));
    sa.seq = UINT64_C(0x704050607);
    assert_true(tunnel_quote_fits(&q, &sa, 100));
    sa.spi++;
    assert_false(tunnel_quote_fits(&q, &sa, 100));
    sa.spi--;
    sa.remote_port = 4500;
    assert_false(tunnel_quote_fits(&q, &sa, 100));
    sa.remote_port = 0;
    sa.remote = addr("192.0.2.3");
    assert_false(tunnel_quote_fits(&q, &sa, 100));
    sa.remote = addr("192.0.2.2");
    sa.protocol = AH;
    assert_false(tunnel_quote_fits(&q, &sa, 100));
    sa.protocol = ESP;
    make_error(3, 4, 1300, 24);
    assert_result(hear(&q), TUNNEL_OK);
    assert_false(tunnel_quote_fits(&q, &sa, 100));
}

static struct tunnel_quote too_big(const char *local, const char *remote, uint32_t mtu, size_t len)
{
    struct tunnel_quote q = {.kind = TUNNEL_QUOTE_TOO_BIG,
                             .local = addr(local),
                             .remote = addr(remote),
                             .mtu = mtu,
                             .total_len = len};

    q.version = q.local.len == 4 ? 4 : 6;
    return q;
}

static struct tunnel_path path_of(const struct tunnel_quote *q)
{
    return (struct tunnel_path){.place = 1, .local = q->local, .remote = q->remote};
}

static void count_aged(void *arg, const struct tunnel_path *path)
{
    ++*(size_t *)arg;
}

static void count_paths(void *arg, const struct tunnel_path *path, uint16_t mtu, uint64_t until)
{
    assert_int_not_equal(mtu, 0);
    ++*(size_t *)arg;
}

static void path_mtus(void **state)
{
    struct tunnel_pmtu *t = tunnel_pmtu_new(&(struct tunnel_pmtu_setup){0}, &seed);
    struct tunnel_quote q = too_big("192.0.2.1", "192.0.2.2", 1400, 1500);
    struct tunnel_path path = path_of(&q), elsewhere = path;
    uint16_t mtu;
    size_t aged = 0;
    bool lower;

    assert_non_null(t);
    assert_int_equal(tunnel_pmtu_deadline(t), UINT64_MAX);
    assert_int_equal(tunnel_pmtu_get(t, 0, &path), 0);
    assert_result(tunnel_pmtu_learn(t, 1000, 1, &q, &mtu, &lower), TUNNEL_OK);
    assert_true(lower && mtu == 1400);
    assert_int_equal(tunnel_pmtu_get(t, 1000, &path), 1400);
    elsewhere.place = 2;
    assert_int_equal(tunnel_pmtu_get(t, 1000, &elsewhere), 0);
    q.mtu = 1450; /* not raised */
    assert_result(tunnel_pmtu_learn(t, 1000, 1, &q, &mtu, &lower), TUNNEL_MTU_IGNORED);
    q.mtu = 1500; /* nor what the packet had */
    assert_result(tunnel_pmtu_learn(t, 1000, 1, &q, &mtu, &lower), TUNNEL_MTU_IGNORED);
    q.mtu = 1400;
    assert_result(tunnel_pmtu_learn(t, 2000, 1, &q, &mtu, &lower), TUNNEL_OK);
    assert_false(lower);
    q.mtu = 67;
    assert_result(tunnel_pmtu_learn(t, 2000, 1, &q, &mtu, &lower), TUNNEL_MTU_IGNORED);
    q.mtu = 100; /* the floor */
    assert_result(tunnel_pmtu_learn(t, 3000, 1, &q, &mtu, &lower), TUNNEL_OK);
    assert_int_equal(mtu, 576);
    q.kind = TUNNEL_QUOTE_UNREACHABLE;
    assert_result(tunnel_pmtu_learn(t, 3000, 1, &q, &mtu, &lower), TUNNEL_MTU_IGNORED);
    /* Ages. */
    assert_int_equal(tunnel_pmtu_deadline(t), 903000);
    assert_int_equal(tunnel_pmtu_get(t, 902999, &path), 576);
    assert_int_equal(tunnel_pmtu_get(t, 903000, &path), 0);
    tunnel_pmtu_tick(t, 902999, count_aged, &aged);
    assert_int_equal(aged, 0);
    tunnel_pmtu_tick(t, 903000, count_aged, &aged);
    assert_int_equal(aged, 1);
    /* RFC 8201 4: less than 1280 is no news. */
    q = too_big("2001:db8::1", "2001:db8::2", 1279, 1500);
    assert_result(tunnel_pmtu_learn(t, 1000, 1, &q, &mtu, &lower), TUNNEL_MTU_IGNORED);
    q.mtu = 1280;
    assert_result(tunnel_pmtu_learn(t, 1000, 1, &q, &mtu, &lower), TUNNEL_OK);
    assert_int_equal(mtu, 1280);
    /* Old, and not yet ticked: higher is news again. */
    q.mtu = 1300;
    assert_result(tunnel_pmtu_learn(t, 901000, 1, &q, &mtu, &lower), TUNNEL_OK);
    assert_true(lower && mtu == 1300);
    tunnel_pmtu_free(t);
}

/* RFC 1191 7.1. */
static void plateaus(void **state)
{
    static const struct {
        size_t len;
        uint16_t mtu;
    } cases[] = {{65535, 32000}, {32000, 17914}, {1500, 1492}, {1492, 1006},
                 {1006, 508},    {508, 296},     {297, 296},   {100, 68}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tunnel_pmtu *t =
            tunnel_pmtu_new(&(struct tunnel_pmtu_setup){.floor = 68, .age_s = 3600}, &seed);
        struct tunnel_quote q = too_big("192.0.2.1", "192.0.2.2", 0, cases[i].len);
        uint16_t mtu = 0;
        bool lower;

        assert_non_null(t);
        assert_result(tunnel_pmtu_learn(t, 0, 0, &q, &mtu, &lower), TUNNEL_OK);
        assert_int_equal(mtu, cases[i].mtu);
        q.total_len = 68;
        assert_result(tunnel_pmtu_learn(t, 0, 0, &q, &mtu, &lower), TUNNEL_MTU_IGNORED);
        tunnel_pmtu_free(t);
    }
}

static void many_paths(void **state)
{
    struct tunnel_pmtu *t = tunnel_pmtu_new(&(struct tunnel_pmtu_setup){.paths = 20}, &seed);
    uint16_t mtu;
    size_t n = 0;
    bool lower;

    assert_non_null(t);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 50; i++) {
            struct tunnel_quote q = too_big("192.0.2.1", "192.0.2.2", 1400, 1500);

            q.remote.octets[3] = (uint8_t)i;
            assert_result(tunnel_pmtu_learn(t, round * 50 + i, 1, &q, &mtu, &lower), TUNNEL_OK);
        }
    tunnel_pmtu_each(t, count_paths, &n);
    assert_int_equal(n, 20);
    for (unsigned i = 0; i < 50; i++) {
        struct tunnel_quote q = too_big("192.0.2.1", "192.0.2.2", 1400, 1500);
        struct tunnel_path path = path_of(&q);

        path.remote.octets[3] = (uint8_t)i;
        assert_int_equal(tunnel_pmtu_get(t, 150, &path), i < 30 ? 0 : 1400);
    }
    n = 0;
    tunnel_pmtu_tick(t, UINT64_MAX, count_aged, &n);
    assert_int_equal(n, 20);
    tunnel_pmtu_free(t);
    assert_null(tunnel_pmtu_new(&(struct tunnel_pmtu_setup){.age_s = 899}, &seed));
    assert_null(tunnel_pmtu_new(&(struct tunnel_pmtu_setup){.age_s = 3601}, &seed));
    assert_null(tunnel_pmtu_new(&(struct tunnel_pmtu_setup){.floor = 67}, &seed));
}

/* A TCP segment with these options, checksum right. */
static void make_tcp(bool v4, uint8_t flags, const uint8_t *options, size_t n)
{
    size_t header = v4 ? 20 : 40;
    struct gh_addr src = addr(v4 ? "10.0.0.1" : "2001:db8::1"),
                   dst = addr(v4 ? "10.0.0.2" : "2001:db8::2");
    struct gh_wr w;

    make(&packet, v4 ? "10.0.0.1" : "2001:db8::1", v4 ? "10.0.0.2" : "2001:db8::2", TCP,
         20 + n + 7);
    w = gh_wr_make(octets_of(&packet) + header + 12, 8 + n);
    gh_wr_u8(&w, (20 + n) / 4 << 4);
    gh_wr_u8(&w, flags);
    gh_wr_u16(&w, 0xffff);
    gh_wr_u32(&w, 0);
    gh_wr_bytes(&w, options, n);
    w = gh_wr_make(octets_of(&packet) + header + 16, 2);
    gh_wr_u16(&w, gh_sum_fold(gh_sum(octets_of(&packet) + header, 20 + n + 7,
                                     gh_sum_pseudo(&src, &dst, TCP, (uint32_t)(20 + n + 7)))));
}

static bool tcp_checksum_right(bool v4)
{
    struct gh_ip_packet ip;

    assert_int_equal(gh_ip_parse(octets_of(&packet), packet.p.len, &ip), GH_IP_OK);
    return gh_sum_fold(gh_sum(octets_of(&packet) + ip.header_len, ip.l4_len,
                              gh_sum_pseudo(&ip.src, &ip.dst, TCP, (uint32_t)ip.l4_len))) == 0;
}

static void mss(void **state)
{
    static const uint8_t even[] = {1, 1, 2, 4, 5, 0xb4, 3, 3, 7, 0, 0, 0}; /* 1460 */
    static const uint8_t odd[] = {1, 2, 4, 5, 0xb4, 1, 4, 2};
    static const uint8_t absent[] = {1, 1, 4, 2};
    static const uint8_t behind_the_end[] = {0, 0, 0, 0, 2, 4, 5, 0xb4};
    static const uint8_t cut[] = {1, 1, 2, 4};
    static const uint8_t wrong_length[] = {2, 3, 5, 1};

    for (int v4 = 0; v4 < 2; v4++) {
        size_t header = v4 ? 20 : 40;

        for (unsigned to = 0; to < 1460; to += 7) {
            make_tcp(v4, 0x02, even, sizeof(even));
            assert_true(tcp_checksum_right(v4));
            assert_true(tunnel_mss_lower(octets_of(&packet), packet.p.len, (uint16_t)to));
            assert_int_equal(octets_of(&packet)[header + 24] << 8 | octets_of(&packet)[header + 25],
                             to);
            assert_true(tcp_checksum_right(v4));
            make_tcp(v4, 0x12, odd, sizeof(odd));
            assert_true(tunnel_mss_lower(octets_of(&packet), packet.p.len, (uint16_t)to));
            assert_int_equal(octets_of(&packet)[header + 23] << 8 | octets_of(&packet)[header + 24],
                             to);
            assert_true(tcp_checksum_right(v4));
        }
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 1460)); /* lowered */
        make_tcp(v4, 0x02, even, sizeof(even));
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 1460));
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 1461));
        /* A checksum that was wrong stays wrong. */
        octets_of(&packet)[header + 16] ^= 1;
        assert_true(tunnel_mss_lower(octets_of(&packet), packet.p.len, 1000));
        assert_false(tcp_checksum_right(v4));
        make_tcp(v4, 0x10, even, sizeof(even)); /* no SYN */
        copy(&other, &packet);
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 500));
        assert_same_packet(&packet, &other);
        make_tcp(v4, 0x02, absent, sizeof(absent));
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 500));
        make_tcp(v4, 0x02, behind_the_end, sizeof(behind_the_end));
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 500));
        make_tcp(v4, 0x02, cut, sizeof(cut));
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 500));
        make_tcp(v4, 0x02, wrong_length, sizeof(wrong_length));
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 500));
        make_tcp(v4, 0x02, even, sizeof(even));
        assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len - 1, 500));
    }
    make_tcp(true, 0x02, even, sizeof(even));
    octets_of(&packet)[7] = 1; /* a later fragment */
    assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 500));
    make(&packet, "10.0.0.1", "10.0.0.2", UDP, 100);
    assert_false(tunnel_mss_lower(octets_of(&packet), packet.p.len, 0));
    assert_int_equal(tunnel_mss_for(4, 1400), 1360);
    assert_int_equal(tunnel_mss_for(6, 1400), 1340);
    assert_int_equal(tunnel_mss_for(6, 60), 0);
}

static void sources(void **state)
{
    static const char *const bad[] = {"224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
                                      "127.1.2.3", "ff02::1",   "::1",       "::192.0.2.1"};
    static const char *const good[] = {"10.0.0.1", "0.0.0.0", "2001:db8::1", "fe80::1", "::"};
    struct gh_addr mapped = addr("::192.0.2.1");

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct gh_addr a = addr(bad[i]);

        assert_false(tunnel_source_valid(&a));
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct gh_addr a = addr(good[i]);

        assert_true(tunnel_source_valid(&a));
    }
    mapped.octets[10] = mapped.octets[11] = 0xff;
    assert_false(tunnel_source_valid(&mapped));
}

static void texts(void **state)
{
    assert_string_equal(tunnel_result_name(TUNNEL_OK), "ok");
    assert_string_equal(tunnel_result_name(TUNNEL_RESULT_COUNT), "?");
    assert_string_equal(tunnel_result_text(TUNNEL_RESULT_COUNT), "?");
    for (int i = 0; i < TUNNEL_RESULT_COUNT; i++)
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(tunnel_result_name(i), tunnel_result_name(k));
            assert_string_not_equal(tunnel_result_text(i), tunnel_result_text(k));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_encapsulation),
        cmocka_unit_test(ipv6_before_encapsulation),
        cmocka_unit_test(after_encapsulation),
        cmocka_unit_test(rates),
        cmocka_unit_test(too_big_there_and_back),
        cmocka_unit_test(no_error_about),
        cmocka_unit_test(parameter_problem),
        cmocka_unit_test(quotes),
        cmocka_unit_test(who_has_seen_the_packet),
        cmocka_unit_test(path_mtus),
        cmocka_unit_test(plateaus),
        cmocka_unit_test(many_paths),
        cmocka_unit_test(mss),
        cmocka_unit_test(sources),
        cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Tunnels: GRE and IP in IP, IPv4 and IPv6 inside and outside, and the table that finds them.
 */
#include "tunnel_packets.h"

#include "tunnel/fragment.h"
#include "tunnel/icmp.h"
#include "tunnel/limit.h"
#include "tunnel/reassembly.h"
#include "tunnel/table.h"

enum { TCP = 6, UDP = 17, MAX = 40 };

static struct buffer packet, before, other;
static const struct gh_hash_seed seed = {{5, 6}};

static struct tunnel_params params(enum tunnel_kind kind, int outer)
{
    return (struct tunnel_params){.id = 1,
                                  .kind = kind,
                                  .place = 10,
                                  .private_place = 20,
                                  .local = addr(outer == 4 ? "192.0.2.1" : "2001:db8::1"),
                                  .remote = addr(outer == 4 ? "192.0.2.2" : "2001:db8::2")};
}

/* The other end of it. */
static struct tunnel_params turned(struct tunnel_params p)
{
    struct gh_addr local = p.local;
    uint32_t key = p.send_key;
    bool has = p.has_send_key;

    p.local = p.remote;
    p.remote = local;
    p.has_send_key = p.has_receive_key;
    p.send_key = p.receive_key;
    p.has_receive_key = has;
    p.receive_key = key;
    return p;
}

static void make_inner(int version, size_t len)
{
    make(&packet, version == 4 ? "10.0.0.1" : "2001:db8:a::1",
         version == 4 ? "10.0.0.2" : "2001:db8:b::1", UDP, len);
    packet.p.place = 20;
    copy(&before, &packet);
}

static enum tunnel_result in(struct tunnel *t)
{
    uint32_t pointer = 0;

    return tunnel_encapsulate(t, 0x5566, &packet.p, &pointer);
}

static struct tunnel_table *table_of(struct tunnel_params p)
{
    struct tunnel_table *t = tunnel_table_new(MAX, &seed);

    assert_non_null(t);
    assert_int_equal(tunnel_table_add(t, &p), TUNNEL_ADDED);
    return t;
}

/* Found by the table, as a shell does. */
static enum tunnel_result out(struct tunnel_table *table)
{
    struct tunnel *t;
    enum tunnel_result result = tunnel_table_find(table, &packet.p, &t);

    return result == TUNNEL_OK ? tunnel_decapsulate(t, &packet.p) : result;
}

static void all_there_and_back(void **state)
{
    for (int options = 0; options < 32; options++)
        for (int outer = 4; outer <= 6; outer += 2)
            for (int inner = 4; inner <= 6; inner += 2)
                for (size_t len = 0; len < 1500; len += 37) {
                    struct tunnel_params p = params(options & 1 ? TUNNEL_GRE : TUNNEL_IP_IP, outer);
                    struct tunnel_table *table;
                    struct tunnel a;

                    if (options & 1) {
                        p.has_send_key = options & 2;
                        p.send_key = 77;
                        p.send_checksum = options & 4;
                        p.send_sequence = options & 8;
                    } else if (options & 14) {
                        continue;
                    }
                    p.has_encapsulation_limit = outer == 6 && options & 16;
                    p.encapsulation_limit = 4;
                    table = table_of(turned(p));
                    tunnel_init(&a, &p);
                    make_inner(inner, len);
                    assert_true(tunnel_params_valid(&p));
                    assert_result(in(&a), TUNNEL_OK);
                    assert_well_formed(&packet);
                    assert_int_equal(packet.p.len, before.p.len + tunnel_overhead(&p));
                    assert_true(tunnel_overhead(&p) <= TUNNEL_HEADROOM);
                    assert_int_equal(packet.p.place, 10);
                    assert_result(out(table), TUNNEL_OK);
                    assert_same_packet(&packet, &before);
                    assert_int_equal(packet.p.place, 20);
                    assert_int_equal(tunnel_table_get(table, 1)->in.octets, before.p.len);
                    assert_int_equal(a.out.packets, 1);
                    tunnel_table_free(table);
                }
}

/* The octets that RFC 2784 2.1, RFC 2890 2 and RFC 2003 3.1 draw. */
static void headers(void **state)
{
    struct tunnel_params p = params(TUNNEL_GRE, 4);
    struct octets gre = hex("4500 003c 5566 0000 ff2f"), rest = hex("c0000201 c0000202"
                                                                    "b000 0800 7c5f 0000"
                                                                    "cafebabe 00000000");
    struct tunnel t;

    p.has_send_key = p.send_checksum = p.send_sequence = true;
    p.send_key = 0xcafebabe;
    tunnel_init(&t, &p);
    make_inner(4, 4);
    assert_result(in(&t), TUNNEL_OK);
    assert_memory_equal(octets_of(&packet), gre.p, gre.len);
    /* The checksum, by itself. */
    assert_int_equal(gh_sum_fold(gh_sum(octets_of(&packet) + 20, packet.p.len - 20, 0)), 0);
    memcpy(rest.p + 12, octets_of(&packet) + 24, 2);
    assert_memory_equal(octets_of(&packet) + 12, rest.p, rest.len);
    make_inner(4, 4);
    assert_result(in(&t), TUNNEL_OK);
    assert_int_equal(octets_of(&packet)[35], 1); /* the next number */

    p = params(TUNNEL_IP_IP, 6);
    p.ttl = 9;
    p.set_dscp = true;
    p.dscp = 46;
    tunnel_init(&t, &p);
    make_inner(6, 4);
    assert_result(in(&t), TUNNEL_OK);
    assert_memory_equal(octets_of(&packet), hex("6b800000 002c 29 09").p, 8);
    make_inner(4, 4);
    assert_result(in(&t), TUNNEL_OK);
    assert_int_equal(octets_of(&packet)[6], 4);
}

static void df_and_ds(void **state)
{
    static const struct {
        enum tunnel_df rule;
        bool inner, outer;
    } cases[] = {{TUNNEL_DF_COPY, false, false},
                 {TUNNEL_DF_COPY, true, true},
                 {TUNNEL_DF_SET, false, true},
                 {TUNNEL_DF_CLEAR, true, false}};
    struct tunnel t;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tunnel_params p = params(TUNNEL_GRE, 4);

        p.df = cases[i].rule;
        tunnel_init(&t, &p);
        make_inner(4, 100);
        set_ds(&packet, 0x2a);
        if (cases[i].inner)
            set_df(&packet);
        assert_result(in(&t), TUNNEL_OK);
        assert_int_equal(octets_of(&packet)[6], cases[i].outer ? 0x40 : 0);
        assert_int_equal(octets_of(&packet)[5], cases[i].outer ? 0 : 0x66);
        assert_int_equal(ds_of(&packet), 0x2a);
        p.no_ecn = true;
        tunnel_init(&t, &p);
        make_inner(4, 100);
        set_ds(&packet, 0x2b);
        assert_result(in(&t), TUNNEL_OK);
        assert_int_equal(ds_of(&packet), 0x28);
    }
}

/* RFC 6040 4.2, figure 4, through each kind of tunnel. */
static void congestion(void **state)
{
    enum { DROP = 9 };
    static const uint8_t figure[4][4] = {/* by outer: 0, ECT(1), ECT(0), CE */
                                         {0, 0, 0, DROP},
                                         {1, 1, 1, 3},
                                         {2, 1, 2, 3},
                                         {3, 3, 3, 3}};

    for (int kind = TUNNEL_GRE; kind <= TUNNEL_IP_IP; kind++)
        for (int outer = 4; outer <= 6; outer += 2)
            for (int inner = 4; inner <= 6; inner += 2)
                for (int i = 0; i < 16; i++) {
                    struct tunnel_params p = params(kind, outer);
                    struct tunnel_table *table = table_of(turned(p));
                    uint8_t wanted = figure[i >> 2][i & 3];
                    struct tunnel t;

                    tunnel_init(&t, &p);
                    make_inner(inner, 50);
                    set_ds(&packet, (uint8_t)(0x48 | i >> 2));
                    assert_result(in(&t), TUNNEL_OK);
                    set_ds(&packet, (uint8_t)(0x28 | (i & 3)));
                    assert_result(out(table), wanted == DROP ? TUNNEL_ECN : TUNNEL_OK);
                    if (wanted != DROP) {
                        assert_int_equal(ds_of(&packet), 0x48 | wanted);
                        assert_well_formed(&packet);
                    }
                    tunnel_table_free(table);
                }
}

/* GRE from the other end, with these flags and protocol, and something behind. */
static void make_gre(const char *flags, const char *protocol, const char *more)
{
    struct octets f = hex(flags), type = hex(protocol), m = hex(more);
    struct gh_wr w;

    make(&other, "10.0.0.1", "10.0.0.2", UDP, 40);
    make(&packet, "192.0.2.2", "192.0.2.1", TUNNEL_PROTO_GRE, 4 + m.len + other.p.len);
    packet.p.place = 10;
    w = gh_wr_make(octets_of(&packet) + 20, packet.p.len - 20);
    gh_wr_bytes(&w, f.p, 2);
    gh_wr_bytes(&w, type.p, 2);
    gh_wr_bytes(&w, m.p, m.len);
    gh_wr_bytes(&w, octets_of(&other), other.p.len);
    assert_true(gh_wr_ok(&w));
}

static void gre_refused(void **state)
{
    struct tunnel_table *table = table_of(params(TUNNEL_GRE, 4));

    make_gre("0000", "0800", "");
    assert_result(out(table), TUNNEL_OK);
    assert_same_packet(&packet, &other);
    make_gre("0001", "880b", ""); /* PPTP */
    assert_result(out(table), TUNNEL_GRE_VERSION);
    make_gre("4000", "0800", "0000 0000");
    assert_result(out(table), TUNNEL_GRE_ROUTING);
    make_gre("0800", "0800", "");
    assert_result(out(table), TUNNEL_GRE_RESERVED);
    make_gre("0400", "0800", "");
    assert_result(out(table), TUNNEL_GRE_RESERVED);
    make_gre("03f8", "0800", ""); /* bits 6 to 12 MUST be ignored */
    assert_result(out(table), TUNNEL_OK);
    make_gre("8000", "0800", "1234 0000");
    assert_result(out(table), TUNNEL_GRE_CHECKSUM);
    make_gre("0000", "6558", "");
    assert_result(out(table), TUNNEL_PROTOCOL);
    make_gre("0000", "86dd", "");
    assert_result(out(table), TUNNEL_INNER);
    make_gre("2000", "0800", "00000007"); /* a key where none is expected */
    assert_result(out(table), TUNNEL_NO_TUNNEL);
    make_gre("1000", "0800", "00000007"); /* a number */
    assert_result(out(table), TUNNEL_OK);
    assert_int_equal(tunnel_table_get(table, 1)->sequence_ignored, 1);
    assert_int_equal(tunnel_table_get(table, 1)->in.results[TUNNEL_GRE_CHECKSUM], 1);
    for (size_t len = 0; len < 24; len++) {
        make_gre("3000", "0800", "");
        packet.p.len = len < 20 ? len : packet.p.len;
        if (len >= 20)
            assert_true(ipsec_header_fix(octets_of(&packet), len, 9, TUNNEL_PROTO_GRE));
        assert_result(out(table), TUNNEL_MALFORMED);
    }
    tunnel_table_free(table);
}

static void keys(void **state)
{
    struct tunnel_table *table = tunnel_table_new(MAX, &seed);
    struct tunnel_params p = params(TUNNEL_GRE, 4);
    struct tunnel *t;

    assert_non_null(table);
    for (uint32_t id = 1; id <= 3; id++) {
        p.id = id;
        p.has_receive_key = p.has_send_key = id < 3;
        p.receive_key = id * 100;
        p.send_key = id * 1000;
        assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADDED);
    }
    for (uint32_t key = 100; key <= 200; key += 100) {
        make_gre("2000", "0800", key == 100 ? "00000064" : "000000c8");
        assert_result(tunnel_table_find(table, &packet.p, &t), TUNNEL_OK);
        assert_int_equal(t->p.id, key / 100);
    }
    make_gre("2000", "0800", "00000065");
    assert_result(tunnel_table_find(table, &packet.p, &t), TUNNEL_NO_TUNNEL);
    assert_null(t);
    make_gre("0000", "0800", "");
    assert_result(tunnel_table_find(table, &packet.p, &t), TUNNEL_OK);
    assert_int_equal(t->p.id, 3);
    assert_true(tunnel_table_remove(table, 3));
    assert_result(tunnel_table_find(table, &packet.p, &t), TUNNEL_NO_TUNNEL);
    p.ignore_key = true;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADDED);
    make_gre("2000", "0800", "00000065");
    assert_result(out(table), TUNNEL_OK);
    assert_int_equal(tunnel_table_get(table, 3)->key_ignored, 1);
    /* By the key that is sent. */
    assert_int_equal(
        tunnel_table_quoted(table, 10, &p.local, &p.remote, TUNNEL_PROTO_GRE, &(uint32_t){2000})
            ->p.id,
        2);
    assert_null(
        tunnel_table_quoted(table, 10, &p.local, &p.remote, TUNNEL_PROTO_GRE, &(uint32_t){3000}));
    assert_non_null(tunnel_table_quoted(table, 10, &p.local, &p.remote, TUNNEL_PROTO_GRE, NULL));
    assert_null(tunnel_table_quoted(table, 10, &p.local, &p.remote, 4, NULL));
    assert_null(tunnel_table_quoted(table, 10, &p.local, &p.remote, 50, NULL));
    tunnel_table_free(table);
}

static enum tunnel_result sequence(struct tunnel_table *table, uint32_t n)
{
    char text[9];

    snprintf(text, sizeof(text), "%08x", n);
    make_gre("1000", "0800", text);
    return out(table);
}

/* RFC 2890 2.2. */
static void sequence_numbers(void **state)
{
    struct tunnel_params p = params(TUNNEL_GRE, 4);
    struct tunnel_table *table;

    p.check_sequence = true;
    table = table_of(p);
    assert_result(sequence(table, 0), TUNNEL_OK);
    assert_result(sequence(table, 0), TUNNEL_GRE_SEQUENCE);
    assert_result(sequence(table, 1), TUNNEL_OK);
    assert_result(sequence(table, 5), TUNNEL_OK);
    assert_result(sequence(table, 4), TUNNEL_GRE_SEQUENCE);
    assert_result(sequence(table, 5 + 0x80000001), TUNNEL_GRE_SEQUENCE);
    assert_result(sequence(table, 5 + 0x80000000), TUNNEL_OK);
    assert_result(sequence(table, 0xffffffff), TUNNEL_OK);
    make_gre("0000", "0800", ""); /* without one: always */
    assert_result(out(table), TUNNEL_OK);
    assert_result(sequence(table, 0), TUNNEL_OK);
    /* What fails does not count. */
    make_gre("1000", "86dd", "00000010");
    assert_result(out(table), TUNNEL_INNER);
    assert_result(sequence(table, 1), TUNNEL_OK);
    tunnel_table_free(table);
}

static void keepalives(void **state)
{
    struct tunnel_params p = params(TUNNEL_GRE, 4), q;
    struct tunnel_table *there, *here;
    struct tunnel *t;

    p.has_send_key = p.has_receive_key = true;
    p.send_key = 1;
    p.receive_key = 2;
    q = turned(p);
    here = table_of(p);
    there = table_of(q);
    t = tunnel_table_get(here, 1);
    empty(&packet);
    assert_result(tunnel_keepalive(t, &packet.p), TUNNEL_KEEPALIVE);
    assert_well_formed(&packet);
    assert_int_equal(packet.p.len, 20 + 8 + 20 + 8);
    assert_result(out(there), TUNNEL_KEEPALIVE);
    assert_well_formed(&packet);
    assert_int_equal(packet.p.len, 28);
    assert_int_equal(packet.p.place, 10);
    assert_result(out(here), TUNNEL_KEEPALIVE);
    assert_int_equal(packet.p.len, 0);
    /* For someone else: an ordinary packet, which the forwarder may look at. */
    empty(&packet);
    assert_result(tunnel_keepalive(t, &packet.p), TUNNEL_KEEPALIVE);
    octets_of(&packet)[28 + 19] = 99;
    assert_result(out(there), TUNNEL_OK);
    tunnel_table_free(here);
    tunnel_table_free(there);
    p = params(TUNNEL_IP_IP, 4);
    here = table_of(p);
    empty(&packet);
    assert_result(tunnel_keepalive(tunnel_table_get(here, 1), &packet.p), TUNNEL_PROTOCOL);
    tunnel_table_free(here);
}

/* A SYN's MSS is lowered in both directions. */
static void mss(void **state)
{
    static const uint8_t syn[] = {0,    1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,
                                  0x60, 2, 0, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4};
    struct tunnel_params p = params(TUNNEL_GRE, 4);
    struct tunnel_table *table;
    struct tunnel t;

    for (int there = 0; there < 2; there++) {
        p.mss = there ? 1234 : 0;
        tunnel_init(&t, &p);
        p.mss = there ? 0 : 1234;
        table = table_of(turned(p));
        make(&packet, "10.0.0.1", "10.0.0.2", TCP, sizeof(syn));
        memcpy(octets_of(&packet) + 20, syn, sizeof(syn));
        assert_result(in(&t), TUNNEL_OK);
        assert_result(out(table), TUNNEL_OK);
        assert_int_equal(octets_of(&packet)[42] << 8 | octets_of(&packet)[43], 1234);
        tunnel_table_free(table);
    }
}

static void loops(void **state)
{
    struct tunnel_params p = params(TUNNEL_IP_IP, 4);
    struct tunnel t;

    tunnel_init(&t, &p);
    make(&packet, "10.0.0.1", "192.0.2.2", UDP, 50);
    assert_result(in(&t), TUNNEL_OK); /* another place: it only looks so */
    p.private_place = p.place;
    tunnel_init(&t, &p);
    make(&packet, "10.0.0.1", "192.0.2.2", UDP, 50);
    assert_result(in(&t), TUNNEL_LOOP);
    make(&packet, "192.0.2.2", "10.0.0.1", UDP, 50);
    assert_result(in(&t), TUNNEL_LOOP);
    assert_int_equal(t.out.results[TUNNEL_LOOP], 2);
    assert_int_equal(t.out.packets, 0);
    make_inner(4, 50);
    assert_result(in(&t), TUNNEL_OK);
}

/* RFC 2473 4.1.1: of tunnels in tunnels. */
static void encapsulation_limits(void **state)
{
    struct tunnel_params p = params(TUNNEL_IP_IP, 6);
    struct gh_addr us = addr("2001:db8::fe");
    uint32_t pointer = 0;
    struct tunnel t;

    p.has_encapsulation_limit = true;
    p.encapsulation_limit = 1;
    tunnel_init(&t, &p);
    make_inner(6, 50);
    assert_result(in(&t), TUNNEL_OK);
    assert_int_equal(tunnel_limit_find(octets_of(&packet), packet.p.len), 44);
    assert_int_equal(octets_of(&packet)[44], 1);
    /* Another tunnel: one less, also where none is configured. */
    p.has_encapsulation_limit = false;
    p.local = addr("2001:db8:1::1");
    p.remote = addr("2001:db8:1::2");
    tunnel_init(&t, &p);
    assert_result(in(&t), TUNNEL_OK);
    assert_int_equal(octets_of(&packet)[44], 0);
    copy(&before, &packet);
    assert_result(tunnel_encapsulate(&t, 0, &packet.p, &pointer), TUNNEL_ENCAPSULATION_LIMIT);
    assert_int_equal(pointer, 44);
    assert_same_packet(&packet, &before);
    assert_result(tunnel_icmp_parameter(&packet.p, pointer, &us, empty(&other)), TUNNEL_OK);
    /* Without any, none is added; IPv4 outside has no place for it. */
    make_inner(6, 50);
    assert_result(in(&t), TUNNEL_OK);
    assert_int_equal(tunnel_limit_find(octets_of(&packet), packet.p.len), 0);
}

static void not_put_in(void **state)
{
    struct tunnel_params p = params(TUNNEL_GRE, 4);
    struct tunnel t;

    tunnel_init(&t, &p);
    make_inner(4, 50);
    packet.p.len--;
    assert_result(in(&t), TUNNEL_MALFORMED);
    make_inner(4, 50);
    memmove(packet.mem + 23, octets_of(&packet), packet.p.len);
    packet.p.at = 23; /* one too few */
    assert_result(in(&t), TUNNEL_NO_ROOM);
    assert_int_equal(packet.p.at, 23);
    make_inner(4, 65535 - 20 - 23);
    assert_result(in(&t), TUNNEL_NO_ROOM); /* more than an IP packet can be */
    assert_same_packet(&packet, &before);
    make_inner(4, 65535 - 20 - 24);
    assert_result(in(&t), TUNNEL_OK);
    make_inner(4, 50);
    octets_of(&packet)[8] = 0; /* RFC 2003 3.1 */
    assert_result(in(&t), TUNNEL_TTL_EXPIRED);
    make_inner(6, 50);
    octets_of(&packet)[7] = 0;
    assert_result(in(&t), TUNNEL_TTL_EXPIRED);
    /* What is behind the packet does not go in. */
    make_inner(4, 50);
    packet.p.len += 9;
    assert_result(in(&t), TUNNEL_OK);
    assert_int_equal(packet.p.len, before.p.len + 24);
}

static void not_taken_out(void **state)
{
    struct tunnel_params p = params(TUNNEL_IP_IP, 4);
    struct tunnel_table *table = table_of(turned(p));
    struct tunnel t;

    tunnel_init(&t, &p);
    make_inner(4, 50);
    assert_result(in(&t), TUNNEL_OK);
    copy(&before, &packet);
    packet.p.place = 11;
    assert_result(out(table), TUNNEL_NO_TUNNEL);
    copy(&packet, &before);
    octets_of(&packet)[15]++; /* another source */
    assert_result(out(table), TUNNEL_NO_TUNNEL);
    copy(&packet, &before);
    octets_of(&packet)[9] = 41;
    assert_result(out(table), TUNNEL_INNER);
    copy(&packet, &before);
    octets_of(&packet)[9] = 47;
    octets_of(&packet)[20] = octets_of(&packet)[21] = 0; /* a GRE header without meaning */
    assert_result(out(table), TUNNEL_NO_TUNNEL);
    copy(&packet, &before);
    octets_of(&packet)[9] = 50;
    assert_result(out(table), TUNNEL_NO_TUNNEL);
    copy(&packet, &before);
    octets_of(&packet)[20 + 12] = 127;
    assert_result(out(table), TUNNEL_INNER_SOURCE);
    copy(&packet, &before);
    octets_of(&packet)[20 + 8] = 0;
    assert_result(out(table), TUNNEL_TTL_EXPIRED);
    copy(&packet, &before);
    octets_of(&packet)[23]++; /* longer than what is there */
    assert_result(out(table), TUNNEL_INNER);
    copy(&packet, &before);
    octets_of(&packet)[6] = 0x20;
    assert_result(out(table), TUNNEL_REASSEMBLY_OFF);
    tunnel_table_get(table, 1)->p.reassembly = true;
    copy(&packet, &before);
    octets_of(&packet)[6] = 0x20;
    {
        struct tunnel *found;

        assert_result(tunnel_table_find(table, &packet.p, &found), TUNNEL_OK);
        assert_int_equal(found->p.id, 1);
        octets_of(&packet)[9] = 50; /* not its fragments */
        assert_result(tunnel_table_find(table, &packet.p, &found), TUNNEL_NO_TUNNEL);
        octets_of(&packet)[9] = 4;
        octets_of(&packet)[15]++;
        assert_result(tunnel_table_find(table, &packet.p, &found), TUNNEL_NO_TUNNEL);
    }
    packet.p.len = 19;
    assert_result(out(table), TUNNEL_MALFORMED);
    tunnel_table_free(table);
}

/* A tunnel whose packets are cut outside, and put together at the other end. */
static void in_fragments(void **state)
{
    static struct buffer part;

    for (int kind = TUNNEL_GRE; kind <= TUNNEL_IP_IP; kind++)
        for (int outer = 4; outer <= 6; outer += 2)
            for (int limit = 0; limit < 2; limit++) {
                struct tunnel_params p = params(kind, outer);
                struct tunnel_reassembly *r =
                    tunnel_reassembly_new(&(struct tunnel_reassembly_limits){0}, &seed);
                struct tunnel_table *table;
                struct tunnel t, *found;
                struct tunnel_cut c;
                enum tunnel_result result = TUNNEL_KEPT;

                assert_non_null(r);
                p.mtu.encapsulated_ip_mtu = 600;
                p.reassembly = true;
                p.has_encapsulation_limit = outer == 6 && limit;
                table = table_of(turned(p));
                tunnel_init(&t, &p);
                make_inner(6, 1300);
                assert_result(in(&t), TUNNEL_OK);
                assert_result(tunnel_mtu_after(&p.mtu, 0, 1, &packet.p), TUNNEL_TO_FRAGMENT);
                copy(&other, &packet);
                assert_result(tunnel_cut_begin(&c, octets_of(&other), other.p.len, packet.p.mtu, 9),
                              TUNNEL_OK);
                while (tunnel_cut_more(&c)) {
                    assert_result(result, TUNNEL_KEPT);
                    assert_result(tunnel_cut_next(&c, empty(&part)), TUNNEL_OK);
                    part.p.place = 10;
                    assert_result(tunnel_table_find(table, &part.p, &found), TUNNEL_OK);
                    result = tunnel_reassemble(r, 1, &part.p, empty(&packet));
                }
                assert_result(result, TUNNEL_OK);
                assert_result(out(table), TUNNEL_OK);
                assert_same_packet(&packet, &before);
                tunnel_table_free(table);
                tunnel_reassembly_free(r);
            }
}

static void backup_remote(void **state)
{
    struct tunnel_params p = params(TUNNEL_GRE, 4);
    struct tunnel_table *table;
    struct tunnel *t;

    p.backup = addr("192.0.2.3");
    table = table_of(p);
    t = tunnel_table_get(table, 1);
    assert_true(gh_addr_equal(tunnel_remote(t), &p.remote));
    assert_false(tunnel_set_reach(t, true, true));
    t->received_sequence = 7;
    assert_true(tunnel_set_reach(t, false, true));
    assert_int_equal(t->received_sequence, UINT32_MAX);
    make_inner(4, 50);
    assert_result(in(t), TUNNEL_OK);
    assert_int_equal(octets_of(&packet)[19], 3);
    assert_true(tunnel_set_reach(t, false, false));
    make_inner(4, 50);
    assert_result(in(t), TUNNEL_DOWN);
    empty(&packet);
    assert_result(tunnel_keepalive(t, &packet.p), TUNNEL_DOWN);
    assert_true(tunnel_set_reach(t, true, false));
    assert_int_equal(t->switches, 3);
    /* What comes from either is taken. */
    make_gre("0000", "0800", "");
    assert_result(out(table), TUNNEL_OK);
    make_gre("0000", "0800", "");
    octets_of(&packet)[15] = 3;
    assert_result(out(table), TUNNEL_OK);
    make_gre("0000", "0800", "");
    octets_of(&packet)[15] = 4;
    assert_result(out(table), TUNNEL_NO_TUNNEL);
    tunnel_table_free(table);
    p.backup.len = 0;
    table = table_of(p);
    assert_true(tunnel_set_reach(tunnel_table_get(table, 1), false, true));
    assert_null(tunnel_remote(tunnel_table_get(table, 1)));
    tunnel_table_free(table);
}

static void dests(void **state)
{
    struct tunnel_table *table = tunnel_table_new(MAX, &seed);
    struct tunnel_params p = params(TUNNEL_GRE, 4);
    struct gh_prefix subnets[2];

    assert_non_null(table);
    assert_true(gh_prefix_parse("10.1.0.0/24", &subnets[0]));
    assert_true(gh_prefix_parse("2001:db8:1::/64", &subnets[1]));
    p.dests[0] = addr("10.1.0.2");
    p.dests[1] = addr("2001:db8:1::2");
    p.dest_count = 2;
    assert_true(tunnel_dests_within(&p, subnets, 2));
    assert_false(tunnel_dests_within(&p, subnets, 1));
    p.dests[2] = addr("10.1.1.2");
    p.dest_count = 3;
    assert_false(tunnel_dests_within(&p, subnets, 2));
    for (size_t i = 0; i < TUNNEL_DESTS_MAX; i++) {
        p.dests[i] = addr("10.1.0.0");
        p.dests[i].octets[3] = (uint8_t)(i + 1);
    }
    p.dest_count = TUNNEL_DESTS_MAX;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADDED);
    for (size_t i = 0; i < TUNNEL_DESTS_MAX; i++)
        assert_int_equal(tunnel_table_by_dest(table, 20, &p.dests[i])->p.id, 1);
    assert_null(tunnel_table_by_dest(table, 10, &p.dests[0]));
    p.id = 2;
    p.remote = addr("192.0.2.9");
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADD_DEST);
    p.private_place = 21;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADDED);
    p.dest_count = TUNNEL_DESTS_MAX + 1;
    assert_false(tunnel_params_valid(&p));
    p.dest_count = TUNNEL_DESTS_MAX;
    p.dests[15] = p.dests[3];
    assert_false(tunnel_params_valid(&p));
    p.dests[15] = addr("224.0.0.1");
    assert_false(tunnel_params_valid(&p));
    assert_true(tunnel_table_remove(table, 1));
    assert_false(tunnel_table_remove(table, 1));
    assert_null(tunnel_table_by_dest(table, 20, &p.dests[0]));
    assert_non_null(tunnel_table_by_dest(table, 21, &p.dests[0]));
    tunnel_table_free(table);
}

static void refused(void **state)
{
    struct tunnel_params good = params(TUNNEL_GRE, 4), p;

#define REFUSED(change)                                                                            \
    p = good;                                                                                      \
    change;                                                                                        \
    assert_false(tunnel_params_valid(&p))
    assert_true(tunnel_params_valid(&good));
    REFUSED(p.remote = p.local);
    REFUSED(p.remote = addr("2001:db8::1"));
    REFUSED(p.remote = addr("0.0.0.0"));
    REFUSED(p.remote = addr("224.0.0.1"));
    REFUSED(p.remote.len = 0);
    REFUSED(p.local.len = 0);
    REFUSED(p.local = addr("127.0.0.1"));
    REFUSED(p.backup = p.remote);
    REFUSED(p.backup = p.local);
    REFUSED(p.backup = addr("2001:db8::1"));
    REFUSED(p.dscp = 64);
    REFUSED(p.mtu.ip_mtu = 511);
    REFUSED(p.has_encapsulation_limit = true);
    REFUSED(p.has_receive_key = p.ignore_key = true);
    good = params(TUNNEL_IP_IP, 4);
    REFUSED(p.has_send_key = true);
    REFUSED(p.has_receive_key = true);
    REFUSED(p.send_checksum = true);
    REFUSED(p.send_sequence = true);
    REFUSED(p.check_sequence = true);
    REFUSED(p.ignore_key = true);
#undef REFUSED
}

static void count_tunnels(void *arg, struct tunnel *t)
{
    assert_int_equal(t->p.id, ++*(uint64_t *)arg);
}

static void a_full_table(void **state)
{
    struct tunnel_table *table = tunnel_table_new(MAX, &seed);
    struct tunnel_params p = params(TUNNEL_GRE, 4);
    uint64_t n = 0;

    assert_non_null(table);
    for (uint64_t id = 1; id <= MAX; id++) {
        p.id = id;
        p.remote.octets[2] = 3;
        p.remote.octets[3] = (uint8_t)id;
        assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADDED);
    }
    p.id = MAX + 1;
    p.remote.octets[3]++;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADD_FULL);
    tunnel_table_each(table, count_tunnels, &n);
    assert_int_equal(n, MAX);
    assert_true(tunnel_table_remove(table, 20));
    p.id = 21;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADD_ID);
    p.id = MAX + 1;
    p.remote.octets[3] = 21;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADD_SAME);
    p.backup = p.remote; /* nor as the backup of another */
    p.remote.octets[3] = 99;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADD_SAME);
    p.has_receive_key = true;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADDED);
    p.dscp = 64;
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADD_INVALID);
    assert_int_equal(tunnel_table_count(table), MAX);
    for (uint64_t id = 1; id <= MAX + 1; id++)
        assert_int_equal(tunnel_table_remove(table, id), id != 20);
    assert_int_equal(tunnel_table_count(table), 0);
    tunnel_table_free(table);
    tunnel_table_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_there_and_back),
        cmocka_unit_test(headers),
        cmocka_unit_test(df_and_ds),
        cmocka_unit_test(congestion),
        cmocka_unit_test(gre_refused),
        cmocka_unit_test(keys),
        cmocka_unit_test(sequence_numbers),
        cmocka_unit_test(keepalives),
        cmocka_unit_test(mss),
        cmocka_unit_test(loops),
        cmocka_unit_test(encapsulation_limits),
        cmocka_unit_test(not_put_in),
        cmocka_unit_test(not_taken_out),
        cmocka_unit_test(in_fragments),
        cmocka_unit_test(backup_remote),
        cmocka_unit_test(dests),
        cmocka_unit_test(refused),
        cmocka_unit_test(a_full_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

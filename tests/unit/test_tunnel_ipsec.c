/*
 * Tunnels and IPsec together, as the process that has the packets calls them: fragments before and
 * after ESP, a path MTU that an ICMP error tells of, and GRE in transport mode.
 */
#include "ipsec_pair.h"

#include "tunnel/fragment.h"
#include "tunnel/icmp.h"
#include "tunnel/mtu.h"
#include "tunnel/pmtu.h"
#include "tunnel/reassembly.h"
#include "tunnel/table.h"

enum { PLACE = 0, WINDOW = 1000 };

static const struct gh_hash_seed seed = {{13, 14}};
static struct buffer one, two, part, whole;

static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}};
static const char *const hosts[2][2] = {{"10.0.0.1", "10.0.0.2"},
                                        {"2001:db8:a::1", "2001:db8:b::1"}};

static void begin(struct pair *x, int outer)
{
    pair_plan(x, algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE), ends[outer][0], ends[outer][1]);
}

static struct ipsec_packet *empty(struct buffer *b)
{
    b->p = (struct ipsec_packet){.mem = b->mem, .cap = BUFFER, .at = HEAD};
    return &b->p;
}

static struct tunnel_reassembly *new_reassembly(void)
{
    struct tunnel_reassembly *r =
        tunnel_reassembly_new(&(struct tunnel_reassembly_limits){0}, &seed);

    assert_non_null(r);
    return r;
}

/* What the engine wants fragmented first: each fragment goes through the SA, and none is larger
 * than the path takes. */
static void before_esp(void **state)
{
    for (int outer = 0; outer < 2; outer++) {
        struct tunnel_reassembly *r = new_reassembly();
        enum tunnel_result result = TUNNEL_KEPT;
        struct tunnel_cut c;
        struct pair x;

        begin(&x, outer);
        x.out.mtu = 700;
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[0][0], hosts[0][1], 1480, 0, false);
        assert_int_equal(send_one(&x, &one), IPSEC_TO_FRAGMENT);
        assert_int_equal(tunnel_cut_begin(&c, octets_of(&one), one.p.len, one.p.mtu, 0), TUNNEL_OK);
        while (tunnel_cut_more(&c)) {
            assert_int_equal(tunnel_cut_next(&c, empty(&part)), TUNNEL_OK);
            assert_int_equal(send_one(&x, &part), IPSEC_OK);
            assert_true(part.p.len <= 700);
            assert_int_equal(receive_one(&x, &part), IPSEC_OK);
            result = tunnel_reassemble(r, 1, &part.p, empty(&whole)); /* the host does so */
        }
        assert_int_equal(result, TUNNEL_OK);
        assert_int_equal(whole.p.len, one.p.len);
        assert_memory_equal(octets_of(&whole), octets_of(&one), one.p.len);
        tunnel_reassembly_free(r);
        pair_down(&x);
    }
}

/* encapsulated-ip-mtu: what ESP made is cut, and put together before the other engine sees it. */
static void after_esp(void **state)
{
    const struct tunnel_mtu m = {.encapsulated_ip_mtu = 600};

    for (int i = 0; i < 4; i++) {
        struct tunnel_reassembly *r = new_reassembly();
        enum tunnel_result result = TUNNEL_KEPT;
        struct tunnel_cut c;
        struct octets want;
        struct pair x;

        begin(&x, i & 1);
        x.out.tunnel.df = IPSEC_DF_SET;
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[i >> 1][0], hosts[i >> 1][1], 1200, 0, true);
        want = octets_now(&one);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        assert_int_equal(tunnel_mtu_after(&m, 0, 4711, &one.p), TUNNEL_TO_FRAGMENT);
        assert_int_equal(tunnel_cut_begin(&c, octets_of(&one), one.p.len, one.p.mtu, 4711),
                         TUNNEL_OK);
        while (tunnel_cut_more(&c)) {
            assert_int_equal(tunnel_cut_next(&c, empty(&part)), TUNNEL_OK);
            assert_true(part.p.len <= 600);
            result = tunnel_reassemble(r, 1, &part.p, empty(&whole));
        }
        assert_int_equal(receive_one(&x, &part), IPSEC_FRAGMENT); /* not by itself */
        assert_int_equal(result, TUNNEL_OK);
        assert_int_equal(receive_one(&x, &whole), IPSEC_OK);
        assert_packet(&whole, &want);
        tunnel_reassembly_free(r);
        pair_down(&x);
    }
}

static struct tunnel_quote_sa sent_by(const struct ipsec_sa *sa)
{
    return (struct tunnel_quote_sa){.local = sa->p.local,
                                    .remote = sa->p.remote,
                                    .protocol = (uint8_t)sa->p.protocol,
                                    .remote_port = sa->p.remote_port,
                                    .spi = sa->p.spi,
                                    .seq = sa->seq};
}

/* RFC 4301 8.2.1: a router on the path cannot take a packet of an SA; who sent what was inside
 * hears of it with the next. */
static void a_narrow_path(void **state)
{
    for (int outer = 0; outer < 2; outer++) {
        struct tunnel_pmtu *paths = tunnel_pmtu_new(&(struct tunnel_pmtu_setup){0}, &seed);
        struct gh_addr router = addr(outer == 0 ? "198.51.100.1" : "2001:db8:f::1");
        struct gh_addr us = addr("10.0.0.254");
        struct tunnel_quote_sa sa;
        struct tunnel_quote q;
        uint16_t mtu;
        struct pair x;
        bool lower;

        assert_non_null(paths);
        begin(&x, outer);
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[0][0], hosts[0][1], 1400, 0, true);
        copy_buffer(&two, &one);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        assert_int_equal(tunnel_icmp_too_big(&one.p, 1400, &router, empty(&part)), TUNNEL_OK);

        assert_int_equal(tunnel_quote_read(octets_of(&part), part.p.len, &q), TUNNEL_OK);
        sa = sent_by(ipsec_get_sa(x.a, OUT_ID));
        assert_true(tunnel_quote_fits(&q, &sa, WINDOW));
        sa.seq = 0; /* nothing was sent yet */
        assert_false(tunnel_quote_fits(&q, &sa, WINDOW));
        assert_int_equal(tunnel_pmtu_learn(paths, 1, PLACE, &q, &mtu, &lower), TUNNEL_OK);
        assert_true(lower);
        assert_true(ipsec_set_sa_mtu(x.a, OUT_ID, mtu));

        assert_int_equal(send_one(&x, &two), IPSEC_TOO_BIG);
        assert_int_equal(tunnel_icmp_too_big(&two.p, two.p.mtu, &us, empty(&part)), TUNNEL_OK);
        assert_int_equal(tunnel_quote_read(octets_of(&part), part.p.len, &q), TUNNEL_OK);
        assert_int_equal(q.mtu, ipsec_sa_payload_max(ipsec_get_sa(x.a, OUT_ID), 1400));
        make_packet(&one, hosts[0][0], hosts[0][1], q.mtu - 20, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        assert_true(one.p.len <= 1400);
        tunnel_pmtu_free(paths);
        pair_down(&x);
    }
}

/* A tunnel's own packets in transport mode: its headers are ESP's payload. */
static void gre_in_transport_mode(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct tunnel_params p = {.id = 1,
                                  .kind = TUNNEL_GRE,
                                  .private_place = 1,
                                  .local = addr(ends[i & 1][0]),
                                  .remote = addr(ends[i & 1][1]),
                                  .has_send_key = true,
                                  .send_key = 5};
        struct tunnel_params back = {.id = 1,
                                     .kind = TUNNEL_GRE,
                                     .private_place = 1,
                                     .local = p.remote,
                                     .remote = p.local,
                                     .has_receive_key = true,
                                     .receive_key = 5};
        struct tunnel_table *table = tunnel_table_new(1, &seed);
        struct tunnel t, *found;
        struct octets want;
        uint32_t pointer;
        struct pair x;

        assert_non_null(table);
        assert_int_equal(tunnel_table_add(table, &back), TUNNEL_ADDED);
        tunnel_init(&t, &p);
        begin(&x, i & 1);
        x.out.mode = x.in.mode = IPSEC_TRANSPORT;
        pair_up(&x, NULL, NULL);
        make_packet(&one, hosts[i >> 1][0], hosts[i >> 1][1], 700, 0, true);
        want = octets_now(&one);
        assert_int_equal(tunnel_encapsulate(&t, 1, &one.p, &pointer), TUNNEL_OK);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        assert_int_equal(tunnel_table_find(table, &one.p, &found), TUNNEL_NO_TUNNEL); /* ESP */
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        assert_int_equal(tunnel_table_find(table, &one.p, &found), TUNNEL_OK);
        assert_int_equal(tunnel_decapsulate(found, &one.p), TUNNEL_OK);
        assert_packet(&one, &want);
        assert_int_equal(one.p.place, 1);
        tunnel_table_free(table);
        pair_down(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_esp),
        cmocka_unit_test(after_esp),
        cmocka_unit_test(a_narrow_path),
        cmocka_unit_test(gre_in_transport_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

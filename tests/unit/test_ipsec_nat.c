/*
 * ESP in UDP (RFC 3948): what comes to the port, checksums, and a peer that moves.
 */
#include "ipsec_pair.h"

#include "ipsec/received.h"

static struct buffer one, two;

static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}};

static void plan(struct pair *x, enum ipsec_mode mode, int outside)
{
    pair_plan(x, algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE), ends[outside][0],
              ends[outside][1]);
    x->out.mode = x->in.mode = mode;
    x->out.local_port = x->in.remote_port = 10500;
    x->out.remote_port = x->in.local_port = 4500;
}

static void the_udp_header(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        size_t header = v6 ? 40 : 20;
        struct gh_addr src = addr(ends[v6][0]), dst = addr(ends[v6][1]);
        struct pair x;
        const uint8_t *udp;

        plan(&x, IPSEC_TUNNEL, v6);
        pair_up(&x, NULL, NULL);
        make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        udp = octets_of(&one) + header;
        assert_int_equal(octets_of(&one)[v6 ? 6 : 9], 17);
        assert_int_equal(udp[0] << 8 | udp[1], 10500);
        assert_int_equal(udp[2] << 8 | udp[3], 4500);
        assert_int_equal(udp[4] << 8 | udp[5], one.p.len - header);
        if (v6) /* RFC 8200 8.1: there must be one */
            assert_int_equal(
                gh_sum_fold(gh_sum(udp, one.p.len - header,
                                   gh_sum_pseudo(&src, &dst, 17, (uint32_t)(one.p.len - header)))),
                0);
        else
            assert_int_equal(udp[6] | udp[7], 0);
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        pair_down(&x);
    }
}

/* 2.1: the receiver must not depend on a checksum of zero. That of IPv6 may have been made wrong by
 * a NAT; the ICV covers all that counts. */
static void the_checksum_is_not_looked_at(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct pair x;
        uint8_t *udp;

        plan(&x, IPSEC_TUNNEL, v6);
        pair_up(&x, NULL, NULL);
        make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        udp = octets_of(&one) + (v6 ? 40 : 20);
        udp[6] ^= 0x12;
        udp[7] ^= 0x34;
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        pair_down(&x);
    }
}

static enum ipsec_result datagram(struct pair *x, const char *content)
{
    struct octets data = hex(content);

    make_packet(&one, ends[0][0], ends[0][1], 8 + data.len, 0, true);
    memcpy(one.mem + HEAD + 28, data.p, data.len);
    return receive_one(x, &one);
}

static void what_comes_to_the_port(void **state)
{
    struct pair x;

    plan(&x, IPSEC_TUNNEL, 0);
    pair_up(&x, NULL, NULL);
    assert_int_equal(datagram(&x, "ff"), IPSEC_KEEPALIVE);
    assert_int_equal(datagram(&x, "fe"), IPSEC_MALFORMED);
    assert_int_equal(datagram(&x, ""), IPSEC_MALFORMED);
    assert_int_equal(datagram(&x, "ffffff"), IPSEC_MALFORMED);
    assert_int_equal(datagram(&x, "00000000 0102030405060708"), IPSEC_IKE);
    assert_int_equal(datagram(&x, "00009999 00000001 0102030405060708"), IPSEC_UNKNOWN_SPI);
    assert_int_equal(datagram(&x, "00001000"), IPSEC_TRUNCATED);
    assert_int_equal(datagram(&x, "00001000 00000001 0102030405060708"), IPSEC_TRUNCATED);
    make_packet(&one, ends[0][0], ends[0][1], 40, 0, true);
    one.mem[HEAD + 25] = 39; /* UDP's length and IP's are not the same */
    assert_int_equal(receive_one(&x, &one), IPSEC_MALFORMED);
    pair_down(&x);
}

/* RFC 7296 2.23: either form is taken. */
static void without_encapsulation_too(void **state)
{
    struct pair x;

    plan(&x, IPSEC_TUNNEL, 0);
    x.out.local_port = x.out.remote_port = 0;
    pair_up(&x, NULL, NULL);
    make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    pair_down(&x);

    plan(&x, IPSEC_TUNNEL, 0);
    x.in.local_port = x.in.remote_port = 0;
    pair_up(&x, NULL, NULL);
    make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    one.p.encapsulated = true;
    ipsec_in(x.b, 1, &one.p, 1);
    assert_int_equal(one.p.result, IPSEC_OK);
    /* But not on another port, where it is UDP like any other. */
    make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_CLEAR);
    pair_down(&x);
}

/* The peer is told of once, after an authentic packet, never by a forged one. */
static void a_peer_that_moves(void **state)
{
    struct gh_addr local = addr(ends[0][1]), moved = addr("192.0.2.99");
    struct pair x;

    plan(&x, IPSEC_TUNNEL, 0);
    pair_up(&x, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0, true);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        octets_of(&one)[15] = 99; /* 192.0.2.99 */
        octets_of(&one)[21] ^= 1; /* another port */
        copy_buffer(&two, &one);
        octets_of(&two)[60] ^= 1;
        assert_int_equal(receive_one(&x, &two), IPSEC_ICV);
        assert_int_equal(x.b_hears.count, i > 0);
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        assert_int_equal(x.b_hears.count, 1);
    }
    assert_int_equal(x.b_hears.events[0].kind, IPSEC_MOVED);
    assert_int_equal(x.b_hears.events[0].sa, IN_ID);
    assert_true(gh_addr_equal(&x.b_hears.events[0].from, &moved));
    assert_int_equal(x.b_hears.events[0].from_port, 10500 ^ 1);
    assert_true(ipsec_move_sa(x.b, IN_ID, &local, 4500, &moved, 10500 ^ 1));
    make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0, true);
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    octets_of(&one)[15] = 99;
    octets_of(&one)[21] ^= 1;
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_int_equal(x.b_hears.count, 1);
    make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0, true); /* and back again */
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_int_equal(x.b_hears.count, 2);
    pair_down(&x);
}

/* Transport mode through a NAT: the checksum is of the addresses that the sender saw; the receiver
 * makes it right for those that it sees (3.1.2). */
static void checksums_behind_a_nat(void **state)
{
    struct gh_addr src = addr("192.0.2.99"), dst = addr(ends[0][1]);
    const uint8_t *l4;
    struct pair x;

    for (int tcp = 0; tcp < 2; tcp++) {
        plan(&x, IPSEC_TRANSPORT, 0);
        x.in.remote = src; /* as IKE saw it */
        pair_up(&x, NULL, NULL);
        make_packet(&one, ends[0][0], ends[0][1], 40, 0, true);
        if (tcp) {
            one.mem[HEAD + 9] = 6;
            ipsec_header_set_checksum(one.mem + HEAD);
        }
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        octets_of(&one)[15] = 99;
        ipsec_header_set_checksum(octets_of(&one));
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        l4 = octets_of(&one) + 20;
        assert_int_equal(octets_of(&one)[9], tcp ? 6 : 17);
        assert_int_equal(gh_sum_fold(gh_sum(octets_of(&one), 20, 0)), 0);
        assert_int_equal(gh_sum_fold(gh_sum(l4, 40, gh_sum_pseudo(&src, &dst, tcp ? 6 : 17, 40))),
                         0);
        pair_down(&x);
    }
    /* A UDP checksum of zero stays one. */
    plan(&x, IPSEC_TRANSPORT, 0);
    pair_up(&x, NULL, NULL);
    make_packet(&one, ends[0][0], ends[0][1], 40, 0, true);
    one.mem[HEAD + 26] = one.mem[HEAD + 27] = 0;
    assert_int_equal(send_one(&x, &one), IPSEC_OK);
    assert_int_equal(receive_one(&x, &one), IPSEC_OK);
    assert_int_equal(octets_of(&one)[26] | octets_of(&one)[27], 0);
    pair_down(&x);
}

/* What a UDP socket gives, or a raw one, with its headers back. */
static void without_headers(void **state)
{
    for (int i = 0; i < 8; i++) {
        bool v6 = i & 1, udp = i & 2, ah = !udp && (i & 4);
        size_t headers = (v6 ? 40 : 20) + (udp ? 8 : 0);
        struct ipsec_received r = {.src = addr(ends[v6][0]),
                                   .dst = addr(ends[v6][1]),
                                   .protocol = ah ? 51 : 50,
                                   .ds = 0x28};
        struct octets sent;
        struct pair x;

        plan(&x, IPSEC_TUNNEL, v6);
        if (udp) {
            r.src_port = 10500;
            r.dst_port = 4500;
        } else {
            x.out.local_port = x.out.remote_port = x.in.local_port = x.in.remote_port = 0;
        }
        if (ah) {
            x.out.protocol = x.in.protocol = IPSEC_AH;
            x.out.algs = x.in.algs = algs_of(GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA1_96);
            x.out.tunnel.df = IPSEC_DF_SET; /* its IPv4 ID is 0, as in a header that is made up */
        }
        pair_up(&x, NULL, NULL);
        make_packet(&one, "10.0.0.1", "10.0.0.2", 30, 0x28, true);
        sent = octets_now(&one);
        assert_int_equal(send_one(&x, &one), IPSEC_OK);
        ipsec_packet_pull(&one.p, headers);
        memset(one.mem, 0, one.p.at);
        assert_true(ipsec_received(&one.p, &r));
        assert_int_equal(receive_one(&x, &one), IPSEC_OK);
        assert_packet(&one, &sent);

        one.p.at = headers - 1;
        assert_false(ipsec_received(&one.p, &r));
        one.p.at = headers;
        one.p.len = 65536 - headers;
        assert_false(ipsec_received(&one.p, &r));
        r.dst.len = 0;
        one.p.len = 40;
        assert_false(ipsec_received(&one.p, &r));
        pair_down(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_udp_header),         cmocka_unit_test(the_checksum_is_not_looked_at),
        cmocka_unit_test(what_comes_to_the_port), cmocka_unit_test(without_encapsulation_too),
        cmocka_unit_test(a_peer_that_moves),      cmocka_unit_test(checksums_behind_a_nat),
        cmocka_unit_test(without_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

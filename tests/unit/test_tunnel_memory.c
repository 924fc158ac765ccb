/*
 * Tunnels without memory: what cannot be made is refused and nothing changed. And packets, which
 * allocate nothing at all but for fragments that are kept.
 */
#include "failing_memory.h"
#include "tunnel_packets.h"

#include "tunnel/icmp.h"
#include "tunnel/pmtu.h"
#include "tunnel/reassembly.h"
#include "tunnel/table.h"

enum { UDP = 17 };

static struct buffer packet, part, whole;
static const struct gh_hash_seed seed = {{11, 12}};

static struct tunnel_params params(void)
{
    return (struct tunnel_params){.id = 1,
                                  .kind = TUNNEL_GRE,
                                  .private_place = 1,
                                  .local = addr("192.0.2.1"),
                                  .remote = addr("192.0.2.2"),
                                  .send_checksum = true,
                                  .mss = 1000,
                                  .mtu = {.ip_mtu = 1400, .encapsulated_ip_mtu = 600}};
}

static void packets_allocate_nothing(void **state)
{
    struct tunnel_table *table = tunnel_table_new(4, &seed);
    struct tunnel_pmtu *pmtu = tunnel_pmtu_new(&(struct tunnel_pmtu_setup){0}, &seed);
    struct tunnel_reassembly *r =
        tunnel_reassembly_new(&(struct tunnel_reassembly_limits){0}, &seed);
    struct tunnel_params p = params();
    struct gh_addr us = addr("192.0.2.7");
    struct tunnel *t, *found;
    struct tunnel_quote q;
    struct tunnel_cut c;
    size_t begin;
    uint32_t pointer;
    uint16_t mtu;
    bool lower;

    assert_non_null(table);
    assert_non_null(pmtu);
    assert_non_null(r);
    assert_int_equal(tunnel_table_add(table, &p), TUNNEL_ADDED);
    t = tunnel_table_get(table, 1);
    begin = allocations;
    make(&packet, "10.0.0.1", "10.0.0.2", UDP, 1300);
    assert_result(tunnel_mtu_before(&p.mtu, 0, 1, &packet.p), TUNNEL_OK);
    assert_result(tunnel_encapsulate(t, 1, &packet.p, &pointer), TUNNEL_OK);
    assert_result(tunnel_mtu_after(&p.mtu, 0, 1, &packet.p), TUNNEL_TO_FRAGMENT);
    assert_result(tunnel_cut_begin(&c, octets_of(&packet), packet.p.len, 600, 1), TUNNEL_OK);
    while (tunnel_cut_more(&c))
        assert_result(tunnel_cut_next(&c, empty(&part)), TUNNEL_OK);
    assert_result(tunnel_icmp_too_big(&packet.p, 600, &us, empty(&part)), TUNNEL_OK);
    assert_result(tunnel_quote_read(octets_of(&part), part.p.len, &q), TUNNEL_OK);
    assert_result(tunnel_pmtu_learn(pmtu, 1, 0, &q, &mtu, &lower), TUNNEL_OK);
    assert_result(tunnel_reassemble(r, 1, &packet.p, empty(&whole)), TUNNEL_OK);
    make(&packet, "192.0.2.2", "192.0.2.1", TUNNEL_PROTO_GRE, 32);
    memcpy(octets_of(&packet) + 20, (uint8_t[]){0, 0, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0}, 12);
    octets_of(&packet)[20 + 4 + 8] = 64;
    octets_of(&packet)[20 + 4 + 12] = 10;
    assert_result(tunnel_table_find(table, &packet.p, &found), TUNNEL_OK);
    assert_result(tunnel_decapsulate(found, &packet.p), TUNNEL_OK);
    assert_int_equal(allocations, begin);
    /* The one thing that does. */
    make(&packet, "192.0.2.2", "192.0.2.1", UDP, 64);
    octets_of(&packet)[6] = 0x20;
    assert_result(tunnel_reassemble(r, 1, &packet.p, empty(&whole)), TUNNEL_KEPT);
    assert_int_equal(allocations, begin + 2);
    tunnel_table_free(table);
    tunnel_pmtu_free(pmtu);
    tunnel_reassembly_free(r);
}

static void all_or_none(void **state)
{
    struct tunnel_params p = params();
    int n;

    for (n = 0;; n++) {
        struct tunnel_table *t;
        enum tunnel_added added = TUNNEL_ADD_NO_MEMORY;

        countdown = n;
        t = tunnel_table_new(4, &seed);
        if (t != NULL)
            added = tunnel_table_add(t, &p);
        countdown = -1;
        if (t != NULL)
            assert_int_equal(tunnel_table_count(t), added == TUNNEL_ADDED);
        tunnel_table_free(t);
        if (added == TUNNEL_ADDED)
            break;
        assert_int_equal(added, TUNNEL_ADD_NO_MEMORY);
    }
    assert_int_equal(n, 3);
    for (n = 0;; n++) {
        struct tunnel_pmtu *t;

        countdown = n;
        t = tunnel_pmtu_new(&(struct tunnel_pmtu_setup){0}, &seed);
        countdown = -1;
        tunnel_pmtu_free(t);
        if (t != NULL)
            break;
    }
    assert_int_equal(n, 3);
    for (n = 0;; n++) {
        struct tunnel_reassembly *r;

        countdown = n;
        r = tunnel_reassembly_new(&(struct tunnel_reassembly_limits){0}, &seed);
        countdown = -1;
        tunnel_reassembly_free(r);
        if (r != NULL)
            break;
    }
    assert_int_equal(n, 2);
    tunnel_reassembly_free(NULL);
    tunnel_pmtu_free(NULL);
}

static void fragments_without_memory(void **state)
{
    struct tunnel_reassembly *r =
        tunnel_reassembly_new(&(struct tunnel_reassembly_limits){0}, &seed);
    struct tunnel_cut c;
    size_t n = 0;

    assert_non_null(r);
    make(&packet, "192.0.2.2", "192.0.2.1", UDP, 1200);
    assert_result(tunnel_cut_begin(&c, octets_of(&packet), packet.p.len, 600, 1), TUNNEL_OK);
    while (tunnel_cut_more(&c)) {
        enum tunnel_result result = TUNNEL_FRAGMENT_NO_MEMORY;

        assert_result(tunnel_cut_next(&c, empty(&part)), TUNNEL_OK);
        for (int fail = 0; result == TUNNEL_FRAGMENT_NO_MEMORY; fail++) {
            uint32_t before = tunnel_reassembly_datagrams(r);
            size_t octets = tunnel_reassembly_octets(r);

            countdown = fail;
            result = tunnel_reassemble(r, 1, &part.p, empty(&whole));
            countdown = -1;
            if (result != TUNNEL_FRAGMENT_NO_MEMORY)
                break;
            assert_int_equal(tunnel_reassembly_datagrams(r), before);
            assert_int_equal(tunnel_reassembly_octets(r), octets);
            n++;
        }
        assert_result(result, tunnel_cut_more(&c) ? TUNNEL_KEPT : TUNNEL_OK);
    }
    assert_int_equal(n, 4); /* the datagram and its three pieces */
    assert_same_packet(&packet, &whole);
    assert_int_equal(tunnel_reassembly_octets(r), 0);
    tunnel_reassembly_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_allocate_nothing),
        cmocka_unit_test(all_or_none),
        cmocka_unit_test(fragments_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

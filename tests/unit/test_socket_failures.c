/*
 * Sockets with keys of their own when memory fails: what was in force stays in force, whole.
 * Allocations of the engine and of libtcpao fail one after the other, by the linker's --wrap.
 */
#include "ao_ends.h"
#include "failing_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "tcpao/engine.h"

static const struct gh_now now = {.wall = 1000, .mono_ms = 1000};

static struct ao_engine *new_engine(void)
{
    const struct ao_engine_settings settings = {.max_connections = 4};
    struct ao_engine *e = ao_engine_new(&settings);

    assert_non_null(e);
    return e;
}

static struct ao_socket_flow flow(const char *name, uint8_t last_octet, struct tcpao_chain *chain)
{
    return (struct ao_socket_flow){.zone_name = "red",
                                   .zone = 9,
                                   .name = name,
                                   .peer = {.addr = {{192, 0, 2, last_octet}, 4}, .bits = 32},
                                   .local_port = 179,
                                   .chain = chain};
}

/* Names of all flows in force, each with its number of keys. */
static void spell(void *ctx, const struct ao_session_view *v)
{
    size_t n = strlen(ctx);

    snprintf((char *)ctx + n, 200 - n, "%s=%zu ", v->policy->name, v->key_count);
}

static const char *in_force(const struct ao_engine *e)
{
    static char text[200];

    text[0] = '\0';
    ao_engine_each_session(e, spell, text);
    return text;
}

static void flows_are_replaced_as_a_whole_or_not(void **state)
{
    const struct tcpao_mkt keys[] = {key_of(1), key_of(2)};
    struct tcpao_chain *one = chain_of(0, keys, 1), *two = chain_of(0, keys, 2);
    struct ao_engine *e = new_engine();
    const struct ao_socket_flow old[] = {flow("a", 1, one), flow("b", 2, one), flow("c", 3, one)};
    const struct ao_socket_flow fresh[] = {flow("b", 2, one), flow("c2", 3, two),
                                           flow("d", 4, two)};
    bool done = false;
    int failed = 0;

    assert_true(ao_engine_set_socket(e, now, 1, old, 3));
    assert_string_equal(in_force(e), "a=1 b=1 c=1 ");
    while (!done) {
        countdown = failed;
        done = ao_engine_set_socket(e, now, 1, fresh, 3);
        countdown = -1;
        if (!done)
            assert_string_equal(in_force(e), "a=1 b=1 c=1 ");
        failed += !done;
    }
    assert_true(failed > 5);
    assert_string_equal(in_force(e), "d=2 b=1 c2=2 ");
    tcpao_chain_put(one);
    tcpao_chain_put(two);
    ao_engine_free(e);
}

static struct ao_adoption adoption(void)
{
    return (struct ao_adoption){.zone = 9,
                                .local = end_a,
                                .remote = end_b,
                                .state = AO_STATE_ESTABLISHED,
                                .manual = true,
                                .conn = {.local_isn_known = true,
                                         .remote_isn_known = true,
                                         .local_isn = 1,
                                         .remote_isn = 2,
                                         .current_known = true,
                                         .current_key = 2}};
}

static void a_connection_is_adopted_and_changed_or_not(void **state)
{
    const struct tcpao_mkt keys[] = {key_of(1), key_of(2), key_of(3)};
    struct tcpao_chain *two = chain_of(0, keys, 2), *three = chain_of(0, keys, 3);
    struct ao_engine *e = new_engine();
    const struct ao_socket_flow f = flow("a", 2, two);
    struct ao_adoption a = adoption();
    const struct ao_keys_change change = {.chain = three,
                                          .set_current = true,
                                          .current_key = 3,
                                          .set_accept_icmp = true,
                                          .accept_icmp = true};
    struct ao_connection_keys k;
    int failed = 0;

    a.chain = two;
    assert_true(ao_engine_set_socket(e, now, 1, &f, 1));
    for (;;) {
        enum ao_adopt_result r;

        countdown = failed;
        r = ao_engine_adopt(e, now, &a);
        countdown = -1;
        if (r == AO_ADOPTED)
            break;
        assert_int_equal(r, AO_ADOPT_FULL);
        assert_false(ao_engine_get_keys(e, 9, &end_a, &end_b, &k));
        failed++;
    }
    assert_true(failed > 5);
    failed = 0;
    for (;;) {
        bool done;

        countdown = failed;
        done = ao_engine_change_keys(e, now, 9, &end_a, &end_b, &change);
        countdown = -1;
        assert_true(ao_engine_get_keys(e, 9, &end_a, &end_b, &k));
        assert_int_equal(k.key_count, done ? 3 : 2);
        assert_int_equal(tcpao_chain_count(k.chain), k.key_count);
        assert_int_equal(k.conn.current_key, done ? 3 : 2);
        assert_int_equal(k.accept_icmp, done);
        if (done)
            break;
        failed++;
    }
    assert_true(failed > 3);
    tcpao_chain_put(two);
    tcpao_chain_put(three);
    ao_engine_free(e);
}

/* Where there is no memory to remember which zone is strict, all are. */
static void strictness_fails_closed(void **state)
{
    struct ao_engine *e = new_engine();
    uint8_t packet[64] = {0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6};
    const struct ao_packet p = {.way = AO_IN, .zone = 3, .mtu = 1500, .data = packet, .len = 60};
    struct ao_result r;

    memcpy(packet + 12, end_b.addr, 4);
    memcpy(packet + 16, end_a.addr, 4);
    memcpy(packet + 20, (uint8_t[]){1, 2, 0, 179, 0, 0, 0, 0, 0, 0, 0, 0, 10 << 4, 2}, 14);
    memcpy(packet + 40, (uint8_t[]){29, 16}, 2);
    packet[56] = packet[57] = packet[58] = packet[59] = 1;
    ao_engine_packet(e, now, &p, &r);
    assert_int_equal(r.verdict, AO_PASS);
    countdown = 0;
    ao_engine_set_strict(e, 3, true);
    countdown = -1;
    ao_engine_packet(e, now, &p, &r);
    assert_int_equal(r.verdict, AO_DROP);
    assert_int_equal(r.counter, AO_COUNT_UNEXPECTED_AO);
    ao_engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows_are_replaced_as_a_whole_or_not),
        cmocka_unit_test(a_connection_is_adopted_and_changed_or_not),
        cmocka_unit_test(strictness_fails_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

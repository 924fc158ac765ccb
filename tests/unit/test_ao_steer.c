/* Which rules many sockets' flows become. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "daemon/ao_steer.h"

static struct emu_flow flow(const char *peer, uint16_t local_port, uint16_t remote_port)
{
    struct emu_flow f = {.local_port = local_port, .remote_port = remote_port};

    assert_true(gh_prefix_parse(peer, &f.peer));
    return f;
}

static void connecting_again_changes_nothing(void **state)
{
    struct emu_flow first = flow("192.0.2.2", 40000, 179), again = flow("192.0.2.2", 40001, 179);
    struct gh_steer s = {.list = NULL};

    assert_true(gh_addr_parse("192.0.2.1", &again.local));
    gh_steer_add(&s, &again);
    gh_steer_add(&s, &first);
    assert_true(gh_steer_finish(&s));
    assert_int_equal(s.count, 1);
    assert_int_equal(s.list[0].kind, GH_FLOW_QUEUE);
    assert_int_equal(s.list[0].local_port, 0);
    assert_int_equal(s.list[0].remote_port, 179);
    assert_int_equal(s.list[0].local.len, 0);
    assert_int_equal(s.list[0].peer.bits, 32);
    gh_steer_clear(&s);
}

static void a_listener_keeps_its_address(void **state)
{
    struct emu_flow f = flow("2001:db8::/32", 179, 0);
    struct gh_steer s = {.list = NULL};

    assert_true(gh_addr_parse("2001:db8::1", &f.local));
    gh_steer_add(&s, &f);
    assert_true(gh_steer_finish(&s));
    assert_int_equal(s.count, 1);
    assert_int_equal(s.list[0].local.len, 16);
    assert_int_equal(s.list[0].local_port, 179);
    gh_steer_clear(&s);
}

static void add_peers(struct gh_steer *s, unsigned count, uint16_t local_port, uint16_t remote_port)
{
    for (unsigned i = 0; i < count; i++) {
        char peer[32];
        struct emu_flow f;

        snprintf(peer, sizeof(peer), "192.0.2.%u", i);
        f = flow(peer, local_port, remote_port);
        gh_steer_add(s, &f);
    }
}

static void many_peers_of_one_service_are_one_rule(void **state)
{
    struct gh_steer s = {.list = NULL};
    struct emu_flow other = flow("2001:db8::2", 179, 0);

    add_peers(&s, GH_STEER_PEERS, 646, 0);
    add_peers(&s, GH_STEER_PEERS + 1, 179, 0);
    add_peers(&s, 200, 40000, 179);
    gh_steer_add(&s, &other);
    assert_true(gh_steer_finish(&s));
    assert_int_equal(s.count, GH_STEER_PEERS + 3);
    for (size_t i = 0; i < s.count; i++) {
        const struct gh_socket_flow *f = &s.list[i];

        if (f->peer.addr.len == 16 || f->local_port == 646)
            assert_int_equal(f->peer.bits, f->peer.addr.len * 8);
        else
            assert_int_equal(f->peer.bits, 0);
    }
    gh_steer_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(connecting_again_changes_nothing),
                                       cmocka_unit_test(a_listener_keeps_its_address),
                                       cmocka_unit_test(many_peers_of_one_service_are_one_rule)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

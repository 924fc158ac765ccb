/* Lockout, by its rows: threshold and window, what is dropped, what counts, resets, NAT, by hand.
 */
#include "unit.h"

#include <stdlib.h>

#include "ike/lockout.h"

enum { MINUTE = 60000 };

static const uint64_t start = 123456;

static struct gh_addr addr(const char *text)
{
    struct gh_addr a;

    assert_true(gh_addr_parse(text, &a));
    return a;
}

static struct gh_lockout *make(struct gh_lockout_settings s)
{
    struct gh_lockout *l = gh_lockout_new(&s);

    assert_non_null(l);
    return l;
}

static void defaults_and_ranges(void **state)
{
    struct gh_lockout_settings s = gh_lockout_defaults();

    assert_int_equal(s.attempts, 3);
    assert_int_equal(s.duration, 5);
    assert_int_equal(s.block, 10);
    assert_int_equal(s.max_ports, 16);
    gh_lockout_free(make(s));
    for (unsigned i = 0; i < 8; i++) {
        static const unsigned bad[] = {0, 65, 0, 61, 1441, 1441, 0, 32001};

        s = gh_lockout_defaults();
        *(i < 2 ? &s.attempts : i < 4 ? &s.duration : i < 6 ? &s.block : &s.max_ports) = bad[i];
        assert_null(gh_lockout_new(&s));
    }
}

/* N70, N71 */
static void the_third_failure_blocks_the_port(void **state)
{
    struct gh_lockout *l = make(gh_lockout_defaults());
    struct gh_addr a = addr("192.0.2.1"), b = addr("192.0.2.2");

    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 500), GH_LOCKOUT_COUNTED);
    assert_int_equal(gh_lockout_failed(l, start + 1, 0, &a, 500), GH_LOCKOUT_COUNTED);
    assert_false(gh_lockout_blocked(l, start + 1, 0, &a, 500));
    assert_int_equal(gh_lockout_failed(l, start + 2, 0, &a, 500), GH_LOCKOUT_PORT_BLOCKED);
    assert_true(gh_lockout_blocked(l, start + 2, 0, &a, 500));
    assert_false(gh_lockout_blocked(l, start + 2, 0, &a, 4500));
    assert_false(gh_lockout_blocked(l, start + 2, 0, &b, 500));
    assert_false(gh_lockout_blocked(l, start + 2, 1, &a, 500)); /* in another network */
    /* Ten minutes from the third, and failures that were on their way do not lengthen it. */
    assert_int_equal(gh_lockout_failed(l, start + 9 * MINUTE, 0, &a, 500), GH_LOCKOUT_COUNTED);
    assert_true(gh_lockout_blocked(l, start + 1 + 10 * MINUTE, 0, &a, 500));
    assert_false(gh_lockout_blocked(l, start + 2 + 10 * MINUTE, 0, &a, 500));
    gh_lockout_free(l);
}

static void one_attempt_and_64(void **state)
{
    struct gh_lockout_settings s = gh_lockout_defaults();
    struct gh_addr a = addr("2001:db8::1");
    struct gh_lockout *l;

    s.attempts = 1;
    l = make(s);
    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 500), GH_LOCKOUT_PORT_BLOCKED);
    gh_lockout_free(l);
    s.attempts = 64;
    l = make(s);
    for (unsigned i = 1; i < 64; i++)
        assert_int_equal(gh_lockout_failed(l, start, 0, &a, 500), GH_LOCKOUT_COUNTED);
    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 500), GH_LOCKOUT_PORT_BLOCKED);
    gh_lockout_free(l);
}

static void an_infinite_block_waits_for_a_hand(void **state)
{
    struct gh_lockout_settings s = gh_lockout_defaults();
    struct gh_addr a = addr("192.0.2.1");
    struct gh_lockout *l;

    s.attempts = 1;
    s.block = 0;
    l = make(s);
    gh_lockout_failed(l, start, 0, &a, 500);
    assert_true(gh_lockout_blocked(l, start + (uint64_t)1000 * 1440 * MINUTE, 0, &a, 500));
    assert_int_equal(gh_lockout_clear(l, &a, 500), 1);
    assert_false(gh_lockout_blocked(l, start, 0, &a, 500));
    gh_lockout_free(l);
}

/* N72, N73 */
static void what_counts(void **state)
{
    /* HASH_I, AUTH, CHAIN, ACCESS_REJECT, OTHER */
    static const bool counts[][5] = {
        [GH_LOCKOUT_V1_PSK] = {1, 0, 0, 0, 0}, [GH_LOCKOUT_V1_PSK_XAUTH] = {1, 0, 0, 1, 0},
        [GH_LOCKOUT_PSK] = {0, 1, 0, 0, 0},    [GH_LOCKOUT_PSK_RADIUS] = {0, 1, 0, 1, 0},
        [GH_LOCKOUT_CERT] = {0, 1, 1, 0, 0},   [GH_LOCKOUT_CERT_RADIUS] = {0, 1, 1, 1, 0},
        [GH_LOCKOUT_EAP] = {0, 0, 0, 1, 0},
    };

    for (unsigned m = 0; m <= GH_LOCKOUT_EAP; m++)
        for (unsigned f = 0; f <= GH_LOCKOUT_OTHER; f++)
            assert_int_equal(gh_lockout_counts(m, f), counts[m][f]);
}

/* N74 */
static void success_resets(void **state)
{
    struct gh_lockout *l = make(gh_lockout_defaults());
    struct gh_addr a = addr("192.0.2.1");

    gh_lockout_failed(l, start, 0, &a, 500);
    gh_lockout_failed(l, start, 0, &a, 500);
    gh_lockout_succeeded(l, start, 0, &a, 500);
    gh_lockout_failed(l, start, 0, &a, 500);
    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 500), GH_LOCKOUT_COUNTED);
    /* Of another port it is another's success. */
    gh_lockout_succeeded(l, start, 0, &a, 501);
    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 500), GH_LOCKOUT_PORT_BLOCKED);
    /* Once blocked, a success that was on its way does not free it. */
    gh_lockout_succeeded(l, start, 0, &a, 500);
    assert_true(gh_lockout_blocked(l, start, 0, &a, 500));
    gh_lockout_free(l);
}

static void the_end_of_the_duration_resets(void **state)
{
    struct gh_lockout *l = make(gh_lockout_defaults());
    struct gh_addr a = addr("192.0.2.1");

    gh_lockout_failed(l, start, 0, &a, 500);
    gh_lockout_failed(l, start + 5 * MINUTE - 1, 0, &a, 500);
    /* The timer began at the first. */
    assert_int_equal(gh_lockout_failed(l, start + 5 * MINUTE, 0, &a, 500), GH_LOCKOUT_COUNTED);
    assert_int_equal(gh_lockout_failed(l, start + 6 * MINUTE, 0, &a, 500), GH_LOCKOUT_COUNTED);
    assert_int_equal(gh_lockout_failed(l, start + 7 * MINUTE, 0, &a, 500), GH_LOCKOUT_PORT_BLOCKED);
    gh_lockout_free(l);
}

static void the_end_of_the_block_resets(void **state)
{
    struct gh_lockout *l = make(gh_lockout_defaults());
    struct gh_addr a = addr("192.0.2.1");

    for (unsigned i = 0; i < 3; i++)
        gh_lockout_failed(l, start, 0, &a, 500);
    assert_int_equal(gh_lockout_failed(l, start + 10 * MINUTE, 0, &a, 500), GH_LOCKOUT_COUNTED);
    assert_int_equal(gh_lockout_failed(l, start + 10 * MINUTE, 0, &a, 500), GH_LOCKOUT_COUNTED);
    assert_int_equal(gh_lockout_failed(l, start + 10 * MINUTE, 0, &a, 500),
                     GH_LOCKOUT_PORT_BLOCKED);
    gh_lockout_free(l);
}

/* N75 */
static void too_many_ports_block_the_address(void **state)
{
    struct gh_lockout *l = make(gh_lockout_defaults());
    struct gh_addr a = addr("192.0.2.1"), b = addr("192.0.2.2");

    for (uint16_t port = 1; port <= 16; port++)
        assert_int_equal(gh_lockout_failed(l, start, 0, &a, port), GH_LOCKOUT_COUNTED);
    assert_false(gh_lockout_blocked(l, start, 0, &a, 9999));
    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 17), GH_LOCKOUT_ADDR_BLOCKED);
    assert_true(gh_lockout_blocked(l, start, 0, &a, 9999));
    assert_false(gh_lockout_blocked(l, start, 0, &b, 1));
    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 18), GH_LOCKOUT_COUNTED);
    assert_true(gh_lockout_blocked(l, start + 10 * MINUTE - 1, 0, &a, 1));
    assert_false(gh_lockout_blocked(l, start + 10 * MINUTE, 0, &a, 1));
    assert_int_equal(gh_lockout_failed(l, start + 10 * MINUTE, 0, &a, 17), GH_LOCKOUT_COUNTED);
    gh_lockout_free(l);
}

static void ports_whose_time_is_over_are_no_ports(void **state)
{
    struct gh_lockout *l = make(gh_lockout_defaults());
    struct gh_addr a = addr("192.0.2.1");

    for (uint16_t port = 1; port <= 16; port++)
        gh_lockout_failed(l, start, 0, &a, port);
    assert_int_equal(gh_lockout_failed(l, start + 5 * MINUTE, 0, &a, 17), GH_LOCKOUT_COUNTED);
    assert_false(gh_lockout_blocked(l, start + 5 * MINUTE, 0, &a, 1));
    gh_lockout_free(l);
}

/* N76 */
static void count_one(void *ctx, const struct gh_lockout_client *c)
{
    struct gh_lockout_client *out = ctx;

    *out = *c;
    out->failures += 100; /* was here */
}

static void cleared_by_hand(void **state)
{
    struct gh_lockout_settings s = gh_lockout_defaults();
    struct gh_addr a = addr("192.0.2.1"), b = addr("2001:db8::2");
    struct gh_lockout_client shown = {.port = 0};
    struct gh_lockout *l;

    s.attempts = 1;
    s.max_ports = 2;
    l = make(s);
    gh_lockout_failed(l, start, 0, &a, 1);
    gh_lockout_failed(l, start, 0, &a, 2);
    gh_lockout_failed(l, start, 0, &b, 3);
    assert_int_equal(gh_lockout_clear(l, &a, 3), 0);
    assert_int_equal(gh_lockout_clear(l, &a, 1), 1);
    assert_false(gh_lockout_blocked(l, start, 0, &a, 1));
    assert_true(gh_lockout_blocked(l, start, 0, &a, 2));
    assert_int_equal(gh_lockout_clear(l, &a, 0), 1);
    assert_false(gh_lockout_blocked(l, start, 0, &a, 2));
    gh_lockout_each(l, start, count_one, &shown);
    assert_int_equal(shown.port, 3);
    assert_true(shown.blocked);
    assert_true(shown.until == start + 10 * MINUTE);
    for (uint16_t port = 1; port <= 3; port++)
        gh_lockout_failed(l, start, 0, &a, port);
    assert_true(gh_lockout_blocked(l, start, 0, &a, 77));
    assert_int_equal(gh_lockout_clear(l, NULL, 0), 2); /* the address as one, and b's port */
    assert_false(gh_lockout_blocked(l, start, 0, &a, 77));
    assert_false(gh_lockout_blocked(l, start, 0, &b, 3));
    gh_lockout_free(l);
}

/* Counts and blocks that run do not notice, but for what comes next. */
static void other_settings_count_from_now_on(void **state)
{
    struct gh_lockout_settings s = gh_lockout_defaults();
    struct gh_lockout *l = make(s);
    struct gh_addr a = addr("192.0.2.1");

    s.seed = 77;
    for (unsigned i = 0; i < 3; i++)
        gh_lockout_failed(l, start, 0, &a, 1);
    gh_lockout_failed(l, start, 0, &a, 2);
    s.attempts = 2;
    s.block = 1440;
    s.max_ports = 1;
    assert_true(gh_lockout_configure(l, &s));
    assert_true(gh_lockout_blocked(l, start + 10 * MINUTE - 1, 0, &a, 1));
    assert_false(gh_lockout_blocked(l, start + 10 * MINUTE, 0, &a, 1)); /* as it was said then */
    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 2), GH_LOCKOUT_PORT_BLOCKED);
    assert_true(gh_lockout_blocked(l, start + 1440 * MINUTE - 1, 0, &a, 2));
    assert_int_equal(gh_lockout_failed(l, start, 0, &a, 3), GH_LOCKOUT_ADDR_BLOCKED);
    s.attempts = 0;
    s.block = 1;
    assert_false(gh_lockout_configure(l, &s));
    assert_true(gh_lockout_blocked(l, start + 1000 * MINUTE, 0, &a, 4));
    gh_lockout_free(l);
}

static void the_table_is_bounded(void **state)
{
    struct gh_lockout_settings s = gh_lockout_defaults();
    struct gh_addr blocked = addr("192.0.2.1"), a = addr("10.0.0.0");
    struct gh_lockout *l;
    size_t n;

    s.clients = 100;
    l = make(s);
    for (unsigned i = 0; i < 3; i++)
        gh_lockout_failed(l, start, 0, &blocked, 500);
    for (unsigned i = 0; i < 5000; i++) {
        a.octets[2] = (uint8_t)(i >> 8);
        a.octets[3] = (uint8_t)i;
        gh_lockout_failed(l, start + i, 0, &a, 500);
    }
    assert_true(gh_lockout_blocked(l, start + 5000, 0, &blocked, 500)); /* a flood frees nobody */
    n = gh_lockout_clear(l, NULL, 0);
    assert_int_equal(n, 100);
    gh_lockout_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_and_ranges),
        cmocka_unit_test(the_third_failure_blocks_the_port),
        cmocka_unit_test(one_attempt_and_64),
        cmocka_unit_test(an_infinite_block_waits_for_a_hand),
        cmocka_unit_test(what_counts),
        cmocka_unit_test(success_resets),
        cmocka_unit_test(the_end_of_the_duration_resets),
        cmocka_unit_test(the_end_of_the_block_resets),
        cmocka_unit_test(too_many_ports_block_the_address),
        cmocka_unit_test(ports_whose_time_is_over_are_no_ports),
        cmocka_unit_test(cleared_by_hand),
        cmocka_unit_test(other_settings_count_from_now_on),
        cmocka_unit_test(the_table_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Selectors of many peers of one child: which overlap, whose they are then, and for how long. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp_overlap.h"
#include "esp_child.h"

enum { POLICY = 3 };

static char why[GH_ESP_WHY];

static struct gh_esp_child child_of(char tunnel, const char *first, const char *second)
{
    struct gh_esp_child c = esp_child(1);

    memset(c.tunnel, tunnel, sizeof(c.tunnel));
    snprintf(c.who, sizeof(c.who), "%c.example.net at 192.0.2.%d", tunnel, tunnel);
    c.ts_remote.ts[0] = esp_child_ts(first);
    if (second != NULL)
        c.ts_remote.ts[c.ts_remote.count++] = esp_child_ts(second);
    return c;
}

static bool claim(struct gh_esp_overlap *o, uint32_t owner, const struct gh_esp_child *c)
{
    why[0] = '\0';
    return gh_esp_overlap_claim(o, owner, POLICY, c, why);
}

static bool claims(struct gh_esp_overlap *o, uint32_t owner, char tunnel, const char *first,
                   const char *second)
{
    const struct gh_esp_child c = child_of(tunnel, first, second);

    return claim(o, owner, &c);
}

/* Whoever came first has it; within it, around it, the same. */
static void the_second_is_refused(void **state)
{
    static const char *const overlapping[] = {"10.2.0.0/24",  "10.2.0.0/16",   "10.2.0.128/25",
                                              "10.2.0.77/32", "0.0.0.0/0",     "10.0.0.0/8",
                                              "10.2.0.0/25",  "10.2.0.255/32", "10.2.0.0/32"};
    static const char *const apart[] = {"10.2.1.0/24", "10.1.255.0/24", "2001:db8::/32",
                                        "10.3.0.0/16", "192.168.0.0/16"};
    struct gh_esp_overlap *o = gh_esp_overlap_new();
    uint32_t owner = 10;

    assert_true(claims(o, 1, 'a', "10.9.0.0/24", "10.2.0.0/24"));
    for (size_t i = 0; i < sizeof(overlapping) / sizeof(overlapping[0]); i++) {
        assert_false(claims(o, owner, 'b', overlapping[i], NULL));
        assert_false(claims(o, owner, 'b', "172.16.0.0/24", overlapping[i]));
        gh_esp_overlap_release(o, owner); /* it has none */
    }
    for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++)
        assert_true(claims(o, owner++, 'b', apart[i], NULL));
    assert_true(claims(o, owner++, 'c', "172.16.0.0/24", NULL)); /* nobody was given it */
    gh_esp_overlap_free(o);
}

static void both_are_named(void **state)
{
    struct gh_esp_overlap *o = gh_esp_overlap_new();

    assert_true(claims(o, 1, 'a', "10.2.0.0/16", NULL));
    assert_false(claims(o, 2, 'b', "10.2.1.0/24", NULL));
    assert_string_equal(why, "10.2.1.0/24 of b.example.net at 192.0.2.98 overlaps "
                             "10.2.0.0/16 of a.example.net at 192.0.2.97");
    gh_esp_overlap_free(o);
}

static void a_tunnel_may_overlap_itself(void **state)
{
    struct gh_esp_overlap *o = gh_esp_overlap_new();

    assert_true(claims(o, 1, 'a', "10.2.0.0/24", "10.2.0.0/16"));
    assert_true(claims(o, 2, 'a', "10.2.0.0/24", NULL)); /* rekeyed, or come back */
    gh_esp_overlap_release(o, 1);
    assert_true(claims(o, 3, 'b', "10.2.1.0/24", NULL));
    assert_false(claims(o, 4, 'b', "10.2.0.0/24", NULL));
    gh_esp_overlap_release(o, 2);
    assert_true(claims(o, 4, 'b', "10.2.0.0/24", NULL));
    gh_esp_overlap_free(o);
}

/* Who has no identity is told by its address, and may have moved when it rekeys. */
static void a_successor_overlaps_what_it_replaces(void **state)
{
    struct gh_esp_overlap *o = gh_esp_overlap_new();
    struct gh_esp_child a = child_of('a', "10.2.0.0/24", NULL),
                        b = child_of('b', "10.2.0.0/24", NULL);

    a.id = 70;
    b.id = 71;
    assert_true(claim(o, 1, &a));
    b.replaces = 69;
    assert_false(claim(o, 2, &b));
    b.replaces = 70;
    assert_true(claim(o, 2, &b));
    gh_esp_overlap_free(o);
}

static void children_of_other_names_are_apart(void **state)
{
    struct gh_esp_overlap *o = gh_esp_overlap_new();
    const struct gh_esp_child b = child_of('b', "10.2.0.0/24", NULL);

    assert_true(claims(o, 1, 'a', "10.2.0.0/24", NULL));
    assert_true(gh_esp_overlap_claim(o, 2, POLICY + 1, &b, why));
    assert_true(gh_esp_overlap_claim(o, 3, POLICY - 1, &b, why));
    assert_false(claim(o, 4, &b));
    gh_esp_overlap_free(o);
}

static void if_both_allow_it(void **state)
{
    struct gh_esp_overlap *o = gh_esp_overlap_new();
    struct gh_esp_child c = child_of('a', "10.2.0.0/24", NULL);

    c.overlap = true;
    assert_true(claim(o, 1, &c));
    assert_false(claims(o, 2, 'b', "10.2.0.0/24", NULL));
    memset(c.tunnel, 'b', sizeof(c.tunnel));
    assert_true(claim(o, 2, &c));
    gh_esp_overlap_free(o);
}

static void other_local_sides_protocols_and_ports(void **state)
{
    struct gh_esp_overlap *o = gh_esp_overlap_new();
    struct gh_esp_child a = child_of('a', "10.2.0.0/24", NULL),
                        b = child_of('b', "10.2.0.0/24", NULL);

    a.ts_remote.ts[0].protocol = b.ts_remote.ts[0].protocol = 17;
    a.ts_remote.ts[0].start_port = a.ts_remote.ts[0].end_port = 1000;
    assert_true(claim(o, 1, &a));
    assert_false(claim(o, 2, &b));
    b.ts_remote.ts[0].protocol = 0;
    assert_false(claim(o, 2, &b));
    b.ts_local.ts[0].protocol = 6; /* of both sides of b it is TCP */
    assert_true(claim(o, 2, &b));
    b.ts_local.ts[0].protocol = 0;
    b.ts_remote.ts[0].protocol = 17;
    b.ts_remote.ts[0].start_port = 999;
    b.ts_remote.ts[0].end_port = 1000;
    assert_false(claim(o, 2, &b));
    b.ts_remote.ts[0].end_port = 999;
    assert_true(claim(o, 2, &b));
    b.ts_remote.ts[0].start_port = UINT16_MAX; /* OPAQUE: what has no ports that can be seen */
    b.ts_remote.ts[0].end_port = 0;
    assert_true(claim(o, 2, &b));
    gh_esp_overlap_release(o, 1);
    a.ts_remote.ts[0].start_port = 0;
    a.ts_remote.ts[0].end_port = UINT16_MAX;
    assert_false(claim(o, 1, &a));
    a.ts_local.ts[0] = esp_child_ts("10.1.1.0/24");
    assert_true(claim(o, 1, &a));
    gh_esp_overlap_free(o);
}

/* RFC 3948 5.2: wide selectors of two peers in transport mode are each peer's own. */
static void transport_mode_is_for_the_peer_alone(void **state)
{
    struct gh_esp_overlap *o = gh_esp_overlap_new();
    struct gh_esp_child a = child_of('a', "0.0.0.0/0", NULL), b = child_of('b', "0.0.0.0/0", NULL);

    a.mode = b.mode = IPSEC_TRANSPORT;
    assert_true(gh_addr_parse("192.0.2.9", &b.remote));
    assert_true(claim(o, 1, &a));
    assert_true(claim(o, 2, &b));
    memset(b.tunnel, 'c', sizeof(b.tunnel)); /* two behind one address */
    assert_false(claim(o, 3, &b));
    gh_esp_overlap_free(o);
}

/* Many random ranges, against comparing all pairs. */
static void against_all_pairs(void **state)
{
    enum { OWNERS = 64, TURNS = 4000 };
    struct gh_esp_overlap *o = gh_esp_overlap_new();
    struct gh_esp_child model[OWNERS];
    bool there[OWNERS] = {false};
    uint32_t seed = 7;

    for (int turn = 0; turn < TURNS; turn++) {
        uint32_t owner, start, end;
        struct gh_esp_child c;
        bool meets = false;

        seed = seed * 1103515245 + 12345;
        owner = seed >> 8 & 63;
        if (there[owner]) {
            gh_esp_overlap_release(o, owner);
            there[owner] = false;
            continue;
        }
        c = child_of((char)('a' + (seed >> 16) % 5), "10.2.0.0/16", NULL);
        start = seed >> 4 & 0x3ff;
        end = start + (seed >> 20 & 0x1f);
        c.ts_remote.ts[0].start.octets[2] = (uint8_t)(start >> 8);
        c.ts_remote.ts[0].start.octets[3] = (uint8_t)start;
        c.ts_remote.ts[0].end.octets[2] = (uint8_t)(end >> 8);
        c.ts_remote.ts[0].end.octets[3] = (uint8_t)end;
        for (int i = 0; i < OWNERS; i++)
            meets |=
                there[i] && model[i].tunnel[0] != c.tunnel[0] &&
                memcmp(model[i].ts_remote.ts[0].start.octets, c.ts_remote.ts[0].end.octets, 4) <=
                    0 &&
                memcmp(c.ts_remote.ts[0].start.octets, model[i].ts_remote.ts[0].end.octets, 4) <= 0;
        assert_int_equal(claim(o, owner, &c), !meets);
        there[owner] = !meets;
        model[owner] = c;
    }
    gh_esp_overlap_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_is_refused),
        cmocka_unit_test(both_are_named),
        cmocka_unit_test(a_tunnel_may_overlap_itself),
        cmocka_unit_test(a_successor_overlaps_what_it_replaces),
        cmocka_unit_test(children_of_other_names_are_apart),
        cmocka_unit_test(if_both_allow_it),
        cmocka_unit_test(other_local_sides_protocols_and_ports),
        cmocka_unit_test(transport_mode_is_for_the_peer_alone),
        cmocka_unit_test(against_all_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

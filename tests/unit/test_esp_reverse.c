/* Reverse routes: which there are of what is claimed, and whose claims are refused. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp_reverse.h"
#include "esp_child.h"

/* What the parent would have: "PREFIX metric[!]" in the order of their coming; !: holds the peer.
 */
struct table {
    struct gh_esp_reverse *r;
    struct {
        uint32_t place;
        struct gh_esp_route_wish wish;
    } list[64];
    size_t count;
};

static void on_route(void *ctx, uint32_t place, const struct gh_esp_route_wish *wish)
{
    struct table *t = ctx;
    size_t i = 0;

    while (i < t->count &&
           !(t->list[i].place == place && t->list[i].wish.holds_peer == wish->holds_peer &&
             gh_prefix_equal(&t->list[i].wish.to, &wish->to)))
        i++;
    if (wish->up) {
        assert_int_equal(i, t->count); /* it was not there */
        assert_true(t->count < 64);
        t->list[t->count].place = place;
        t->list[t->count++].wish = *wish;
        return;
    }
    assert_true(i < t->count); /* it was there */
    memmove(&t->list[i], &t->list[i + 1], (t->count - i - 1) * sizeof(t->list[0]));
    t->count--;
}

static struct table *table_new(void)
{
    static const struct gh_esp_reverse_ops ops = {.route = on_route};
    struct table *t = calloc(1, sizeof(*t));

    t->r = gh_esp_reverse_new(&ops, t);
    return t;
}

static void table_free(struct table *t)
{
    gh_esp_reverse_free(t->r);
    free(t);
}

static void assert_routes(const struct table *t, const char *want)
{
    char all[1000] = "", text[GH_PREFIX_TEXT];

    for (size_t i = 0; i < t->count; i++)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s %u%s", i > 0 ? ", " : "",
                 gh_prefix_format(&t->list[i].wish.to, text), t->list[i].wish.metric,
                 t->list[i].wish.holds_peer ? "!" : "");
    assert_string_equal(all, want);
}

static struct gh_esp_child child_of(char tunnel, const char *first, const char *second)
{
    struct gh_esp_child c = esp_child(1);

    c.reverse = true;
    memset(c.tunnel, tunnel, sizeof(c.tunnel));
    c.ts_remote.ts[0] = esp_child_ts(first);
    if (second != NULL)
        c.ts_remote.ts[c.ts_remote.count++] = esp_child_ts(second);
    return c;
}

static bool claim(struct table *t, uint32_t owner, const struct gh_esp_child *c)
{
    char why[GH_ESP_REVERSE_WHY];

    return gh_esp_reverse_claim(t->r, owner, 0, c, why);
}

static void give_up(struct table *t, uint32_t owner, const struct gh_esp_child *c)
{
    gh_esp_reverse_release(t->r, owner, 0, c);
}

/* The larger of one tunnel has the route; what is in it has its own again when that goes. */
static void the_larger_of_one_tunnel(void **state)
{
    struct gh_esp_child small = child_of('a', "10.2.1.0/24", "192.168.0.0/24");
    struct gh_esp_child large = child_of('a', "10.2.0.0/16", NULL);
    struct table *t = table_new();

    assert_true(claim(t, 1, &small));
    assert_routes(t, "10.2.1.0/24 0, 192.168.0.0/24 0");
    assert_true(claim(t, 2, &large));
    assert_routes(t, "192.168.0.0/24 0, 10.2.0.0/16 0");
    give_up(t, 2, &large);
    assert_routes(t, "192.168.0.0/24 0, 10.2.1.0/24 0");
    assert_true(claim(t, 2, &large));
    give_up(t, 1, &small);
    assert_routes(t, "10.2.0.0/16 0");
    give_up(t, 2, &large);
    assert_routes(t, "");
    table_free(t);
}

/* A rekeyed child has the same: nothing changes, whichever goes first. */
static void two_of_one_prefix(void **state)
{
    struct gh_esp_child c = child_of('a', "10.2.0.0/16", NULL);
    struct table *t = table_new();

    assert_true(claim(t, 1, &c) && claim(t, 2, &c));
    give_up(t, 1, &c);
    give_up(t, 1, &c);
    assert_routes(t, "10.2.0.0/16 0");
    assert_true(claim(t, 3, &c));
    give_up(t, 3, &c);
    assert_routes(t, "10.2.0.0/16 0");
    give_up(t, 2, &c);
    assert_routes(t, "");
    table_free(t);
}

static void another_tunnels_is_refused(void **state)
{
    static const char *const others[] = {"10.2.0.0/16", "10.0.0.0/8", "10.2.1.0/24", "10.2.0.0",
                                         "10.2.255.255"};
    struct gh_esp_child mine = child_of('a', "10.2.0.0/16", NULL);
    struct gh_esp_child free_one = child_of('b', "10.3.0.0/16", NULL);
    struct table *t = table_new();
    char why[GH_ESP_REVERSE_WHY];

    assert_true(claim(t, 1, &mine));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct gh_esp_child c = child_of('b', "172.16.0.0/12", others[i]);

        assert_false(gh_esp_reverse_claim(t->r, 2, 0, &c, why));
        assert_non_null(strstr(why, "the route to 10.2.0.0/16 is another tunnel's"));
        give_up(t, 2, &c); /* as the caller does */
        assert_routes(t, "10.2.0.0/16 0");
        c.overlap = true; /* both must allow it */
        assert_false(claim(t, 2, &c));
        /* In another place it is no matter. */
        assert_true(gh_esp_reverse_claim(t->r, 2, 1, &c, why));
        gh_esp_reverse_release(t->r, 2, 1, &c);
    }
    assert_true(claim(t, 2, &free_one));
    assert_routes(t, "10.2.0.0/16 0, 10.3.0.0/16 0");
    table_free(t);
}

static void both_allow(void **state)
{
    struct gh_esp_child a = child_of('a', "10.2.0.0/16", NULL);
    struct gh_esp_child b = child_of('b', "10.2.0.0/16", "10.2.1.0/24");
    struct table *t = table_new();

    a.overlap = b.overlap = true;
    a.metric = 5;
    b.metric = 6;
    assert_true(claim(t, 1, &a));
    assert_routes(t, "10.2.0.0/16 5");
    assert_true(claim(t, 2, &b)); /* its own larger one covers the other */
    assert_routes(t, "10.2.0.0/16 6");
    give_up(t, 2, &b);
    assert_routes(t, "10.2.0.0/16 5");
    b.ts_remote.ts[0] = b.ts_remote.ts[--b.ts_remote.count];
    assert_true(claim(t, 2, &b)); /* a larger one of another tunnel does not */
    assert_routes(t, "10.2.0.0/16 5, 10.2.1.0/24 6");
    table_free(t);
}

static void what_has_no_route(void **state)
{
    struct gh_esp_child c = child_of('a', "0.0.0.0/0", "::/0"),
                        off = child_of('a', "10.0.0.0/8", NULL);
    struct table *t = table_new();

    off.reverse = false;
    assert_true(claim(t, 1, &c) && claim(t, 2, &off));
    assert_routes(t, "");
    table_free(t);
}

static void to_the_peer_itself(void **state)
{
    struct gh_esp_child c = child_of('a', "192.0.2.0/24", NULL), transport = c;
    struct table *t = table_new();

    transport.mode = IPSEC_TRANSPORT;
    assert_true(claim(t, 1, &c));
    assert_routes(t, "192.0.2.0/24 0!");
    give_up(t, 1, &c);
    assert_true(claim(t, 1, &transport));
    assert_routes(t, "192.0.2.2 0!");
    give_up(t, 1, &transport);
    assert_routes(t, "");
    table_free(t);
}

static void ours_is_one_address(void **state)
{
    struct gh_esp_child c = child_of('a', "10.2.0.0/16", NULL);
    struct table *t = table_new();
    char text[GH_ADDR_TEXT];

    c.ts_local.ts[0] = esp_child_ts("10.1.0.1");
    assert_true(claim(t, 1, &c));
    assert_string_equal(gh_addr_format(&t->list[0].wish.source, text), "10.1.0.1");
    table_free(t);
}

static void too_many(void **state)
{
    struct gh_esp_child c = child_of('a', "10.2.0.0/16", NULL);
    struct table *t = table_new();
    char why[GH_ESP_REVERSE_WHY];

    assert_true(gh_addr_parse("::1", &c.ts_remote.ts[0].start) &&
                gh_addr_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", &c.ts_remote.ts[0].end));
    assert_false(gh_esp_reverse_claim(t->r, 1, 0, &c, why));
    assert_non_null(strstr(why, "more than 64 prefixes"));
    table_free(t);
    gh_esp_reverse_free(NULL);
}

/* Whatever comes and goes: the routes are what the claims that are left say, computed anew. */
static void whatever_comes_and_goes(void **state)
{
    enum { OWNERS = 12, STEPS = 4000 };
    struct gh_esp_child children[OWNERS];
    bool there[OWNERS] = {false};
    struct table *t = table_new();
    uint32_t random = 1;

    for (int step = 0; step < STEPS; step++) {
        struct table *fresh = table_new();
        uint32_t i;

        random = random * 1664525 + 1013904223;
        i = (random >> 8) % OWNERS;
        if (there[i]) {
            give_up(t, i, &children[i]);
            there[i] = false;
        } else {
            char text[32];

            snprintf(text, sizeof(text), "10.%u.0.0/%u", (random >> 16) % 4 << 4,
                     12 + ((random >> 20) % 3) * 2);
            children[i] = child_of((char)('a' + i % 3), text, NULL);
            there[i] = claim(t, i, &children[i]);
        }
        for (uint32_t k = 0; k < OWNERS; k++)
            if (there[k])
                assert_true(claim(fresh, k, &children[k]));
        assert_int_equal(t->count, fresh->count);
        for (size_t k = 0; k < t->count; k++) {
            size_t m = 0;

            while (m < fresh->count &&
                   !gh_prefix_equal(&t->list[k].wish.to, &fresh->list[m].wish.to))
                m++;
            assert_true(m < fresh->count);
        }
        table_free(fresh);
    }
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_larger_of_one_tunnel),   cmocka_unit_test(two_of_one_prefix),
        cmocka_unit_test(another_tunnels_is_refused), cmocka_unit_test(both_allow),
        cmocka_unit_test(what_has_no_route),          cmocka_unit_test(to_the_peer_itself),
        cmocka_unit_test(ours_is_one_address),        cmocka_unit_test(too_many),
        cmocka_unit_test(whatever_comes_and_goes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

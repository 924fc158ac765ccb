/* Which slot each client gets, of peers whose clients are spread: evenly, all of a client in one,
 * and what overlaps is refused wherever it is, as if there were one process. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp_claims.h"
#include "daemon/ike_spread.h"
#include "esp_child.h"

enum { SLOTS = 4, LAST = SLOTS - 1, ALL = (1 << SLOTS) - 1 };

static const uint8_t *name_of(uint32_t client)
{
    static uint8_t name[GH_ESP_TUNNEL];

    memset(name, 0, sizeof(name));
    for (size_t i = 0; i < 4; i++) /* as even as those of a hash */
        name[i] = name[8 + i] = (uint8_t)((client * UINT32_C(2654435761)) >> 8 * i);
    return name;
}

/* A child of a client that has asked for this network. */
static struct gh_esp_child child_of(uint32_t id, uint32_t client, const char *network)
{
    struct gh_esp_child d = esp_child(id);

    memcpy(d.tunnel, name_of(client), sizeof(d.tunnel));
    d.reverse = true;
    d.ts_remote.ts[0] = esp_child_ts(network);
    snprintf(d.who, sizeof(d.who), "client %u", client);
    return d;
}

static struct gh_ike_spread *start(void)
{
    struct gh_ike_spread *s = gh_ike_spread_new();

    assert_non_null(s);
    return s;
}

static uint8_t ask(struct gh_ike_spread *s, uint32_t client, uint64_t now_ms)
{
    return gh_ike_spread_choose(s, name_of(client), 0, 0, LAST, ALL, now_ms);
}

/* A client comes with its first child. -1: refused. */
static int come(struct gh_ike_spread *s, uint32_t id, uint32_t client, const char *network,
                uint64_t now_ms)
{
    const uint8_t slot = ask(s, client, now_ms);
    struct gh_esp_child d = child_of(id, client, network);
    char why[GH_ESP_WHY];

    return gh_ike_spread_come(s, slot, &d, why) ? slot : -1;
}

static void a_thousand_are_even(void **state)
{
    struct gh_ike_spread *s = start();
    unsigned count[SLOTS] = {0};
    char network[32];

    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(network, sizeof(network), "10.%u.%u.0/24", i / 250, i % 250);
        count[come(s, i + 1, i, network, 5)]++;
    }
    for (size_t i = 0; i < SLOTS; i++) {
        assert_int_equal(count[i], 250);
        assert_int_equal(gh_ike_spread_count(s, (uint8_t)i, 5), 250);
    }
    /* Half of them go, all of one slot first: who comes then fills it up. */
    for (uint32_t i = 0; i < 1000; i++)
        if (i % SLOTS == 2)
            gh_ike_spread_go(s, i + 1, 10);
    assert_int_equal(gh_ike_spread_count(s, 2, 10), 250); /* they may come back */
    assert_int_equal(ask(s, 1000, 10 + GH_SPREAD_KEEP_MS), 2);
    assert_int_equal(gh_ike_spread_count(s, 2, 10 + GH_SPREAD_KEEP_MS), 1);
    gh_ike_spread_free(s);
}

static void a_client_stays(void **state)
{
    struct gh_ike_spread *s = start();
    const int slot = come(s, 1, 7, "10.7.0.0/16", 0);
    struct gh_esp_child d;
    char why[GH_ESP_WHY];

    assert_int_equal(slot, 0);
    assert_int_equal(come(s, 2, 8, "10.8.0.0/16", 0), 1);
    assert_int_equal(ask(s, 7, 0), slot); /* another child of it */
    /* New keys, also under another name: without an identity that is its address. */
    assert_int_equal(gh_ike_spread_choose(s, name_of(99), 2, 0, LAST, ALL, 0), 1);
    d = child_of(3, 7, "10.7.0.0/16");
    assert_true(gh_ike_spread_come(s, (uint8_t)slot, &d, why));
    gh_ike_spread_go(s, 1, 0);
    assert_int_equal(ask(s, 7, 1000000), slot);
    gh_ike_spread_go(s, 3, 1000000);
    /* Back soon, it is where it was; that process is away: where there is one. */
    assert_int_equal(ask(s, 7, 1000000 + GH_SPREAD_KEEP_MS - 1), slot);
    assert_int_equal(ask(s, 7, 999999), slot); /* a clock that was read a little earlier */
    assert_int_equal(gh_ike_spread_choose(s, name_of(7), 0, 0, LAST, ALL & ~3u, 1000000), 2);
    assert_int_equal(gh_ike_spread_choose(s, name_of(6), 0, 1, 1, 0, 1000000), 1); /* none is */
    gh_ike_spread_go(s, 77, 0);
    gh_ike_spread_free(s);
}

static void what_took_too_long(void **state)
{
    struct gh_ike_spread *s = start();
    struct gh_esp_child one = child_of(1, 7, "10.7.0.0/24"), two = child_of(2, 7, "10.7.1.0/24");
    char why[GH_ESP_WHY];

    assert_true(gh_ike_spread_come(s, 3, &one, why)); /* chosen long ago */
    assert_int_equal(ask(s, 7, 0), 3);
    assert_false(gh_ike_spread_come(s, 2, &two, why));
    assert_non_null(strstr(why, "another process"));
    gh_ike_spread_go(s, 1, 0);
    assert_true(gh_ike_spread_come(s, 2, &two, why));
    assert_int_equal(gh_ike_spread_count(s, 2, 0), 1);
    gh_ike_spread_free(s);
}

static void what_overlaps_is_refused_in_any_slot(void **state)
{
    struct gh_ike_spread *s = start();
    struct gh_esp_child d = child_of(3, 2, "10.2.1.128/25");
    char why[GH_ESP_WHY];

    assert_int_equal(come(s, 1, 1, "10.2.0.0/16", 0), 0);
    assert_int_equal(come(s, 2, 2, "10.3.0.0/16", 0), 1);
    assert_false(gh_ike_spread_come(s, 1, &d, why));
    assert_string_equal(why, "10.2.1.128/25: the route to 10.2.0.0/16 is another tunnel's");
    gh_ike_spread_go(s, 1, 0);
    assert_true(gh_ike_spread_come(s, 1, &d, why));
    d = child_of(4, 3, "10.2.0.0/16");
    assert_false(gh_ike_spread_come(s, 2, &d, why));
    d.reverse = false; /* not ours to say */
    assert_true(gh_ike_spread_come(s, 2, &d, why));
    gh_ike_spread_free(s);
}

/* `ike` is another: what the processes hold says where clients are. */
static void who_is_held_comes_back_to_it(void **state)
{
    struct gh_ike_spread *s = start();
    struct gh_esp_child one = child_of(1, 1, "10.1.0.0/16"), two = child_of(1, 2, "10.2.0.0/16"),
                        other = child_of(9, 3, "10.2.0.0/24");
    char why[GH_ESP_WHY];

    assert_true(gh_ike_spread_held(s, 2, 0, &one));
    assert_true(gh_ike_spread_held(s, 3, 0, &two)); /* numbers are each process's own */
    assert_true(gh_ike_spread_held(s, 3, 0, &two));
    assert_int_equal(ask(s, 2, 0), 3);
    assert_int_equal(gh_ike_spread_count(s, 3, 0), 1);
    assert_false(gh_ike_spread_come(s, 0, &other, why));
    assert_int_equal(come(s, 1, 2, "10.2.0.0/16", 0), 3);
    gh_ike_spread_left(s, 3, 0, 0);
    gh_ike_spread_left(s, 3, 0, 0);
    assert_false(gh_ike_spread_come(s, 0, &other, why));
    gh_ike_spread_go(s, 1, 0);
    assert_true(gh_ike_spread_come(s, 0, &other, why));
    gh_ike_spread_forget_held(s, 2, 0); /* killed; the next one says it again */
    assert_true(gh_ike_spread_held(s, 2, 5, &one));
    assert_int_equal(ask(s, 1, 2 * GH_SPREAD_KEEP_MS), 2);
    /* Said too late: its client is back, elsewhere. */
    gh_ike_spread_go(s, 1, 2 * GH_SPREAD_KEEP_MS);
    assert_int_equal(come(s, 4, 4, "10.4.0.0/16", 2 * GH_SPREAD_KEEP_MS), 0);
    one = child_of(1, 4, "10.4.0.0/16");
    assert_false(gh_ike_spread_held(s, 1, 0, &one));
    assert_true(gh_ike_spread_held(s, 0, 0, &one));
    gh_ike_spread_free(s);
}

static void static_peers_count(void **state)
{
    struct ike2_child_policy child = {.mode = IKE2_TUNNEL, .slot = 0}, many = {.last_slot = LAST};
    struct ike2_policy a = {.children = &child, .child_count = 1},
                       b = {.children = &many, .child_count = 1}, *list[] = {&a, &b, &a};
    struct gh_ike_spread *s = start();

    gh_ike_spread_configure(s, list, 3);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(ask(s, i, 0), i % 3 + 1);
    for (uint32_t i = 6; i < 10; i++)
        assert_int_equal(ask(s, i, 0), i - 6);
    gh_ike_spread_free(s);
}

/* ---- All at once ---------------------------------------------------------------------------- */

enum { CLIENTS = 64, CHILDREN = 300, STEPS = 20000 };

static uint32_t draw(uint32_t below)
{
    static uint32_t x = 1;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x % below;
}

static void no_route(void *ctx, uint32_t place, const struct gh_esp_route_wish *wish)
{
}

/* Whatever comes and goes: it is refused if and only if one process would refuse it, no slot's
 * process refuses more, and each client is in one slot. */
static void as_if_there_were_one_process(void **state)
{
    static const struct gh_esp_reverse_ops ops = {.route = no_route};
    struct gh_esp_claims one, of[SLOTS];
    struct gh_ike_spread *s = start();
    struct {
        bool there;
        uint32_t client;
        uint8_t slot;
        struct gh_esp_child d;
    } *list = calloc(CHILDREN, sizeof(*list));
    unsigned refused = 0, taken = 0;

    assert_true(gh_esp_claims_init(&one, &ops, NULL));
    for (size_t i = 0; i < SLOTS; i++)
        assert_true(gh_esp_claims_init(&of[i], &ops, NULL));
    for (uint64_t now = 0; now < STEPS; now++) {
        const uint32_t at = draw(CHILDREN), client = draw(CLIENTS);
        char why[GH_ESP_WHY], same[GH_ESP_WHY], network[32];
        bool good;

        if (list[at].there) {
            gh_ike_spread_go(s, list[at].d.id, now * 100);
            gh_esp_claims_release(&one, at, 0, &list[at].d);
            gh_esp_claims_release(&of[list[at].slot], at, 0, &list[at].d);
            list[at].there = false;
            continue;
        }
        if (draw(8) == 0)
            snprintf(network, sizeof(network), "10.%u.0.0/16", draw(24) + client);
        else
            snprintf(network, sizeof(network), "10.%u.%u.0/%u", draw(24) + client, 16 * draw(16),
                     20 + draw(5));
        list[at].client = client;
        list[at].d = child_of((uint32_t)now + 1, client, network);
        list[at].slot = ask(s, client, now * 100);
        good = gh_ike_spread_come(s, list[at].slot, &list[at].d, why);
        assert_int_equal(good, gh_esp_claims_take(&one, at, 0, 0, &list[at].d, same));
        if (!good) {
            assert_string_equal(why, same);
            refused++;
            continue;
        }
        taken++;
        list[at].there = true;
        assert_true(gh_esp_claims_take(&of[list[at].slot], at, 0, 0, &list[at].d, why));
        for (size_t i = 0; i < CHILDREN; i++)
            if (list[i].there && list[i].client == client)
                assert_int_equal(list[i].slot, list[at].slot);
    }
    assert_true(refused > STEPS / 20 && taken > STEPS / 20);
    gh_esp_claims_free(&one);
    for (size_t i = 0; i < SLOTS; i++)
        gh_esp_claims_free(&of[i]);
    gh_ike_spread_free(s);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_are_even),
        cmocka_unit_test(a_client_stays),
        cmocka_unit_test(what_took_too_long),
        cmocka_unit_test(what_overlaps_is_refused_in_any_slot),
        cmocka_unit_test(who_is_held_comes_back_to_it),
        cmocka_unit_test(static_peers_count),
        cmocka_unit_test(as_if_there_were_one_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Traffic selectors against a naive model: sets of packets, looked at packet by packet. */
#include "unit.h"

#include <string.h>

#include "ike/ts_set.h"
#include "ike_random.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { ROUNDS = 4000, SAMPLES = 60 };

/* Few values, so that selectors touch, overlap and contain each other. */
static struct ike_ts small_ts(struct ike_rng *r)
{
    bool v6 = rng_below(r, 4) == 0;
    struct gh_addr start = {.len = v6 ? 16 : 4}, end = start;
    unsigned a = rng_below(r, 8), b = rng_below(r, 8);
    struct ike_ts ts;

    start.octets[start.len - 1] = (uint8_t)(a < b ? a : b);
    end.octets[end.len - 1] = (uint8_t)(a < b ? b : a);
    ts = ike_ts_from_range(&start, &end);
    ts.protocol = (uint8_t[]){0, 0, 6, 17}[rng_below(r, 4)];
    switch (rng_below(r, 4)) {
    case 0:
        a = rng_below(r, 6);
        b = a + rng_below(r, 4);
        ts.start_port = (uint16_t)a;
        ts.end_port = (uint16_t)b;
        break;
    case 1:
        ts.start_port = 0xffff;
        ts.end_port = 0;
        break;
    default:
        break;
    }
    return ts;
}

static struct ike_ts_list small_list(struct ike_rng *r, size_t max)
{
    struct ike_ts_list list = {.count = 1 + rng_below(r, (unsigned)max)};

    for (size_t i = 0; i < list.count; i++)
        list.ts[i] = small_ts(r);
    return list;
}

static struct ike_ts_packet small_packet(struct ike_rng *r)
{
    struct ike_ts_packet p = {.addr = {.len = rng_below(r, 4) == 0 ? 16 : 4},
                              .protocol = (uint8_t[]){6, 17, 1, 0}[rng_below(r, 4)],
                              .has_port = rng_below(r, 4) != 0,
                              .port = (uint16_t)rng_below(r, 11)};

    p.addr.octets[p.addr.len - 1] = (uint8_t)rng_below(r, 9);
    return p;
}

/* The model: written from RFC 4301, with nothing of the code under test. */
static bool model_has(const struct ike_ts *ts, const struct ike_ts_packet *p)
{
    bool any = ts->start_port == 0 && ts->end_port == 65535;
    bool opaque = ts->start_port == 65535 && ts->end_port == 0;

    if (ts->start.len != p->addr.len)
        return false;
    if (memcmp(p->addr.octets, ts->start.octets, p->addr.len) < 0 ||
        memcmp(p->addr.octets, ts->end.octets, p->addr.len) > 0)
        return false;
    if (ts->protocol != 0 && ts->protocol != p->protocol)
        return false;
    if (any)
        return true;
    if (!p->has_port)
        return opaque;
    return !opaque && p->port >= ts->start_port && p->port <= ts->end_port;
}

static bool model_list_has(const struct ike_ts_list *list, const struct ike_ts_packet *p)
{
    for (size_t i = 0; i < list->count; i++)
        if (model_has(&list->ts[i], p))
            return true;
    return false;
}

static void narrowing_is_intersection(void **state)
{
    struct ike_rng rng = {4301};
    unsigned results[4] = {0};

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ike_ts_list theirs = small_list(&rng, 6), ours = small_list(&rng, 6), both = {0};
        enum ike_narrowed result = ike_ts_narrow(&theirs, &ours, &both);

        results[result]++;
        for (unsigned i = 0; i < SAMPLES; i++) {
            struct ike_ts_packet p = small_packet(&rng);
            bool in_theirs = model_list_has(&theirs, &p), in_ours = model_list_has(&ours, &p);

            assert_int_equal(ike_ts_list_has(&theirs, &p), in_theirs);
            if (result == IKE_TS_TOO_MANY)
                continue;
            assert_int_equal(model_list_has(&both, &p), in_theirs && in_ours);
            if (result == IKE_TS_WHOLE)
                assert_true(in_ours || !in_theirs);
        }
        assert_true((result == IKE_TS_NOTHING) == (both.count == 0) || result == IKE_TS_TOO_MANY);
    }
    assert_true(results[IKE_TS_NOTHING] > 10 && results[IKE_TS_NARROWED] > 10 &&
                results[IKE_TS_WHOLE] > 10);
}

static void pairs_against_the_model(void **state)
{
    struct ike_rng rng = {5};

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ike_ts a = small_ts(&rng), b = small_ts(&rng), both;
        bool meet = ike_ts_intersect(&a, &b, &both);
        bool seen_both = false, seen_outside = false;

        assert_int_equal(ike_ts_overlap(&a, &b), meet);
        /* all packets that the selectors can tell apart */
        for (unsigned v = 0; v < 2 * 9 * 4 * 12; v++) {
            struct ike_ts_packet p = {.addr = {.len = v % 2 ? 16 : 4},
                                      .protocol = (uint8_t[]){6, 17, 1, 0}[v / 18 % 4],
                                      .has_port = v / 72 != 11,
                                      .port = (uint16_t)(v / 72)};

            p.addr.octets[p.addr.len - 1] = (uint8_t)(v / 2 % 9);
            assert_int_equal(ike_ts_has(&a, &p), model_has(&a, &p));
            assert_int_equal(meet && model_has(&both, &p), model_has(&a, &p) && model_has(&b, &p));
            seen_both = seen_both || (model_has(&a, &p) && model_has(&b, &p));
            seen_outside = seen_outside || (model_has(&b, &p) && !model_has(&a, &p));
        }
        assert_int_equal(meet, seen_both);
        assert_int_equal(ike_ts_contains(&a, &b), !seen_outside);
    }
}

static void lists_contain_what_they_cover_together(void **state)
{
    struct ike_rng rng = {11};
    unsigned yes = 0, no = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ike_ts_list outer = small_list(&rng, 8), inner = small_list(&rng, 2);
        bool contains = ike_ts_list_contains(&outer, &inner), outside = false;

        for (unsigned v = 0; v < 2 * 9 * 4 * 12 && !outside; v++) {
            struct ike_ts_packet p = {.addr = {.len = v % 2 ? 16 : 4},
                                      .protocol = (uint8_t[]){6, 17, 1, 0}[v / 18 % 4],
                                      .has_port = v / 72 != 11,
                                      .port = (uint16_t)(v / 72)};

            p.addr.octets[p.addr.len - 1] = (uint8_t)(v / 2 % 9);
            outside = model_list_has(&inner, &p) && !model_list_has(&outer, &p);
        }
        assert_int_equal(contains, !outside);
        contains ? yes++ : no++;
    }
    assert_true(yes > 100 && no > 100);
}

static struct ike_ts host(unsigned last, uint16_t port)
{
    struct gh_addr a = {{192, 0, 2, (uint8_t)last}, 4};
    struct ike_ts ts = ike_ts_from_range(&a, &a);

    ts.protocol = 6;
    ts.start_port = ts.end_port = port;
    return ts;
}

static void more_than_32_are_refused(void **state)
{
    struct ike_ts_list theirs = {0}, ours = {0}, both = {.count = 5};

    for (unsigned i = 0; i < IKE_TS_MAX; i++)
        theirs.ts[theirs.count++] = ours.ts[ours.count++] = host(2 * i, 1);
    assert_int_equal(ike_ts_narrow(&theirs, &ours, &both), IKE_TS_WHOLE);
    assert_int_equal(both.count, IKE_TS_MAX);
    /* each of 8 prefixes meets each of 5 ports: 40 */
    theirs.count = ours.count = 0;
    for (unsigned i = 0; i < 8; i++) {
        theirs.ts[i] = host(2 * i, 0);
        theirs.ts[i].end_port = 0xffff;
        theirs.count++;
    }
    for (unsigned i = 0; i < 5; i++) {
        ours.ts[i] = host(0, (uint16_t)(10 * i));
        ours.ts[i].end.octets[3] = 255;
        ours.count++;
    }
    both.count = 5;
    assert_int_equal(ike_ts_narrow(&theirs, &ours, &both), IKE_TS_TOO_MANY);
    assert_int_equal(both.count, 5);
    theirs.count = 1;
    theirs.excess = 1;
    assert_int_equal(ike_ts_narrow(&theirs, &ours, &both), IKE_TS_TOO_MANY);
}

static void the_first_choice_stays_first(void **state)
{
    struct ike_ts_list theirs = {.count = 2}, ours = {.count = 1}, both;
    struct gh_prefix net = {{{198, 51, 100, 0}, 4}, 24};

    theirs.ts[0] = host(7, 80);
    theirs.ts[1] = ike_ts_from_prefix(&net);
    ours.ts[0] = ike_ts_from_prefix(&(struct gh_prefix){{{0}, 4}, 0});
    assert_int_equal(ike_ts_narrow(&theirs, &ours, &both), IKE_TS_WHOLE);
    assert_int_equal(both.count, 2);
    assert_true(ike_ts_equal(&both.ts[0], &theirs.ts[0]));
    theirs.unknown = 1;
    assert_int_equal(ike_ts_narrow(&theirs, &ours, &both), IKE_TS_NARROWED);
}

static void overlaps_in_a_list(void **state)
{
    struct ike_ts_list list = {.count = 3, .ts = {host(1, 80), host(1, 81), host(1, 80)}};
    size_t first = 9, second = 9;

    assert_true(ike_ts_list_overlap(&list, &first, &second));
    assert_int_equal(first, 0);
    assert_int_equal(second, 2);
    list.count = 2;
    assert_false(ike_ts_list_overlap(&list, &first, &second));
}

static void formats(void **state)
{
    static const struct {
        const char *start, *end;
        uint8_t protocol;
        uint16_t from, to;
        const char *text;
    } table[] = {
        {"192.0.2.0", "192.0.2.255", 0, 0, 65535, "192.0.2.0/24"},
        {"192.0.2.1", "192.0.2.1", 6, 179, 179, "192.0.2.1 tcp 179"},
        {"192.0.2.1", "192.0.2.9", 17, 0, 65535, "192.0.2.1-192.0.2.9 udp"},
        {"192.0.2.1", "192.0.2.9", 132, 80, 90, "192.0.2.1-192.0.2.9 sctp 80-90"},
        {"0.0.0.0", "255.255.255.255", 17, 65535, 0, "0.0.0.0/0 udp opaque"},
        {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 58, 0x8000, 0x8000,
         "2001:db8::/32 icmpv6 128/0"},
        {"192.0.2.0", "192.0.2.1", 1, 0x0800, 0x08ff, "192.0.2.0/31 icmp 8/0-8/255"},
        {"192.0.2.0", "192.0.2.1", 135, 0x0500, 0x0500, "192.0.2.0/31 mh 5/0"},
        {"192.0.2.0", "192.0.2.1", 47, 0, 65535, "192.0.2.0/31 47"},
    };
    char buf[IKE_TS_TEXT];

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct gh_addr start, end;
        struct ike_ts ts;

        assert_true(gh_addr_parse(table[i].start, &start) && gh_addr_parse(table[i].end, &end));
        ts = ike_ts_from_range(&start, &end);
        ts.protocol = table[i].protocol;
        ts.start_port = table[i].from;
        ts.end_port = table[i].to;
        assert_string_equal(ike_ts_format(&ts, buf), table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrowing_is_intersection),
        cmocka_unit_test(pairs_against_the_model),
        cmocka_unit_test(lists_contain_what_they_cover_together),
        cmocka_unit_test(more_than_32_are_refused),
        cmocka_unit_test(the_first_choice_stays_first),
        cmocka_unit_test(overlaps_in_a_list),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

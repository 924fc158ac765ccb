/*
 * A thousand rollovers by lifetime between two engines whose clocks disagree, over a link that
 * loses, duplicates and reorders: no segment may ever be refused, no octet lost, no reset.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

/* make soak asks for others: GATEHOUSE_SIM_SEED (from which the seeds count), …_SIM_ROLLOVERS. */
static uint64_t first_seed = 1;
static uint32_t rollover_count = 1000;

enum { PERIOD = 6 * 3600, TOLERANCE = 3600, AHEAD = 20 };

/* The keys of periods [first, first + AHEAD), as an operator would keep them. */
static struct tcpao_chain *keys_from(const struct world *w, uint32_t first, bool crossed)
{
    struct tcpao_chain *chain = tcpao_chain_new(TOLERANCE);

    assert_non_null(chain);
    for (uint32_t n = first; n < first + AHEAD; n++) {
        char secret[32];
        int64_t from = w->epoch + (int64_t)n * PERIOD;
        struct tcpao_mkt mkt;

        snprintf(secret, sizeof(secret), "the secret of period %u", n);
        if (n == 0)
            from -= PERIOD; /* both clocks are past its start, whatever their skew */
        mkt = test_key(n, (uint8_t)n, (uint8_t)(n + 100), secret, from,
                       w->epoch + (int64_t)(n + 1) * PERIOD);
        mkt.alg = n % 3 == 0   ? TCPAO_HMAC_SHA_1
                  : n % 3 == 1 ? TCPAO_AES_128_CMAC
                               : TCPAO_HMAC_SHA_256;
        mkt.mac_len = n % 2 == 0 ? 12 : 16;
        if (crossed)
            mkt = test_key_crossed(mkt);
        assert_int_equal(tcpao_chain_add(chain, &mkt, NULL), TCPAO_CHAIN_OK);
    }
    return chain;
}

/* Both ends get the next keys and lose those of two periods ago: a reload under traffic. */
static void load_keys(struct world *w, uint32_t period)
{
    uint32_t first = period > 1 ? period - 1 : 0;

    for (size_t i = 0; i < 2; i++) {
        struct tcpao_chain *chain = keys_from(w, first, i == 1);

        side_protect(&w->side[i], chain, "core", AO_REQUIRED);
        tcpao_chain_put(chain);
    }
}

static void assert_nothing_refused(const struct world *w, uint32_t period)
{
    for (size_t i = 0; i < 2; i++) {
        const struct side *s = &w->side[i];

        if (side_refused(s) != 0 || s->dropped_in != 0 || s->dropped_out != 0)
            print_message("period %u side %zu: %s\n", period, i, s->last_refusal);
        assert_int_equal(side_refused(s), 0);
        assert_int_equal(s->dropped_in, 0);
        assert_int_equal(s->dropped_out, 0);
        assert_int_equal(s->tcp.resets, 0);
        assert_int_equal(s->tcp.broken, 0);
        assert_int_equal(s->tcp.state, TOY_ESTABLISHED);
    }
}

static void current_key(void *ctx, const struct ao_connection_view *v)
{
    *(uint32_t *)ctx = v->conn.current_key;
}

static void assert_both_use(const struct world *w, uint32_t key)
{
    for (size_t i = 0; i < 2; i++) {
        uint32_t current = UINT32_MAX;

        ao_engine_each_connection(w->side[i].engine, current_key, &current);
        assert_int_equal(current, key);
    }
}

/* Random bursts both ways until the given time. */
static void talk_until(struct world *w, uint64_t until_ms)
{
    while (w->now_ms < until_ms) {
        struct side *s = &w->side[world_random(w, 2)];
        uint64_t pause = 1000 + world_random(w, 900 * 1000);

        if (s->tcp.snd_nxt - s->tcp.snd_una < 200000)
            toy_write(&s->tcp, w->now_ms, 1 + (uint32_t)world_random(w, 6000));
        world_run(w, w->now_ms + pause < until_ms ? w->now_ms + pause : until_ms);
    }
}

static void roll(uint64_t seed, bool v6, int64_t skew_a, int64_t skew_b, uint32_t rollovers)
{
    struct world *w = world_new(seed, v6);

    w->side[0].skew = skew_a;
    w->side[1].skew = skew_b;
    w->loss = 50;
    w->duplicate = 50;
    w->delay_max_ms = 900;
    w->side[0].tcp.segment = w->side[1].tcp.segment = 1400;
    load_keys(w, 0);
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, 60 * 1000);
    assert_int_equal(w->side[1].tcp.state, TOY_ESTABLISHED);

    for (uint32_t period = 0; period < rollovers; period++) {
        uint64_t end = (uint64_t)(period + 1) * PERIOD * 1000;

        if (period % 10 == 0)
            load_keys(w, period);
        talk_until(w, end - 3600 * 1000);
        assert_both_use(w, period);
        talk_until(w, end);
        assert_nothing_refused(w, period);
    }
    print_message("%u rollovers, %llu segments on the wire, octets %llu and %llu, none refused\n",
                  rollovers, (unsigned long long)w->carried,
                  (unsigned long long)w->side[0].tcp.received,
                  (unsigned long long)w->side[1].tcp.received);
    assert_true(w->side[0].events[AO_EVENT_KEY_CHANGED] >= rollovers - 1);
    assert_true(w->side[0].events[AO_EVENT_KEY_DROPPED] >= rollovers - 2);
    world_free(w);
}

static void thousand_rollovers_with_skewed_clocks(void **state)
{
    roll(first_seed, false, -1500, 1500, rollover_count);
}

static void rollovers_over_ipv6_with_the_other_clock_ahead(void **state)
{
    roll(first_seed + 1, true, 1700, -1700, rollover_count / 4);
}

static void rollovers_with_equal_clocks(void **state)
{
    roll(first_seed + 2, false, 0, 0, rollover_count / 4);
}

/* The mechanism counts, not the tolerance: with clocks further apart than it allows, keys that are
 * not valid yet are refused, and this test must be able to see that. */
static void skew_beyond_tolerance_is_refused(void **state)
{
    struct world *w = world_new(4, false);

    w->side[1].skew = -(2 * PERIOD + TOLERANCE + 1);
    load_keys(w, 0);
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, 60 * 1000);
    assert_int_equal(w->side[0].tcp.state, TOY_SYN_SENT);
    assert_true(side_count(&w->side[1], TCPAO_KEY_NOT_VALID) > 0);
    world_free(w);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousand_rollovers_with_skewed_clocks),
        cmocka_unit_test(rollovers_over_ipv6_with_the_other_clock_ahead),
        cmocka_unit_test(rollovers_with_equal_clocks),
        cmocka_unit_test(skew_beyond_tolerance_is_refused),
    };

    first_seed = setting("GATEHOUSE_SIM_SEED", first_seed);
    rollover_count = (uint32_t)setting("GATEHOUSE_SIM_ROLLOVERS", rollover_count);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

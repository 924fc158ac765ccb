/* The simulator: rollovers, gaps, the day of death, clocks that differ, ends that do not fit. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/simulate.h"

#define NOW  INT64_C(1796083200) /* 2026-12-01T00:00:00Z */
#define DAY  INT64_C(86400)
#define HOUR INT64_C(3600)

static const struct gh_config_options with_secrets;
static const struct gh_config_options no_secrets = {.skip_secrets = true};

static struct gh_config *parse(const char *text, const struct gh_config_options *options)
{
    struct gh_problems p = {0};
    struct gh_config *c = gh_config_parse("t.conf", text, strlen(text), options, &p);

    if (c == NULL) {
        gh_problems_print(&p, stderr);
        fail_msg("refused: %s", text);
    }
    gh_problems_clear(&p);
    return c;
}

static struct gh_sim simulate(const struct gh_config *a, const struct gh_config *b, int64_t days,
                              int64_t skew)
{
    struct gh_sim_setup setup = {.here = &a->chains[0],
                                 .there = b != NULL ? &b->chains[0] : NULL,
                                 .from = NOW,
                                 .to = NOW + days * DAY,
                                 .skew = skew};
    struct gh_sim sim;

    assert_true(gh_simulate(&setup, &sim));
    return sim;
}

static const struct gh_sim_step *step_at(const struct gh_sim *sim, int64_t t)
{
    const struct gh_sim_step *found = NULL;

    for (size_t i = 0; i < sim->count && sim->steps[i].time <= t; i++)
        found = &sim->steps[i];
    assert_non_null(found);
    return found;
}

static const char two_keys[] =
    "key-chain k {\n"
    "key 1 { send-id = 3 recv-id = 8 secret = one send-lifetime = 2026-01-01/2026-12-11 }\n"
    "key 2 { send-id = 1 recv-id = 2 secret = two send-lifetime = 2026-12-11/2027-01-01\n"
    "  algorithm = aes-128-cmac } }\n";

/* The keys touch without overlapping: the tolerance alone must carry any skew below it. */
static void a_rollover_loses_nothing_within_the_tolerance(void **state)
{
    static const int64_t skews[] = {0, 1, -1, 60, -60, 1800, -1800, 3500, -3500};
    struct gh_config *a = parse(two_keys, &with_secrets);

    for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
        struct gh_sim sim = simulate(a, NULL, 20, skews[i]);

        assert_int_equal(sim.refusals, 0);
        assert_int_equal(sim.resets, 0);
        assert_true(sim.dies == TCPAO_TIME_MAX);
        assert_int_equal(sim.steps[0].end[GH_SIM_HERE].send_key, 1);
        assert_int_equal(sim.steps[0].end[GH_SIM_HERE].send_id, 3);
        assert_int_equal(sim.steps[0].end[GH_SIM_THERE].send_id, 8);
        assert_int_equal(step_at(&sim, NOW + 15 * DAY)->end[GH_SIM_HERE].send_key, 2);
        assert_int_equal(step_at(&sim, NOW + 15 * DAY)->end[GH_SIM_THERE].send_id, 2);
        gh_sim_free(&sim);
    }
    gh_config_free(a);
}

/* Acceptance comes first, then the announcement, then the sending. */
static void the_order_of_a_rollover(void **state)
{
    struct gh_config *a = parse(two_keys, &with_secrets);
    struct gh_sim sim = simulate(a, NULL, 20, 600);
    const struct gh_sim_step *s = step_at(&sim, NOW + 10 * DAY - HOUR);

    assert_int_equal(s->end[GH_SIM_HERE].accept_count, 2);
    assert_int_equal(s->end[GH_SIM_HERE].send_key, 1);
    s = step_at(&sim, NOW + 10 * DAY - 600); /* the peer's clock says it is time */
    assert_int_equal(s->end[GH_SIM_THERE].rnext_key, 2);
    assert_int_equal(s->end[GH_SIM_HERE].send_key, 2); /* because the peer asked for it */
    s = step_at(&sim, NOW + 10 * DAY + HOUR);
    assert_int_equal(s->end[GH_SIM_HERE].accept_count, 1);
    assert_int_equal(s->end[GH_SIM_HERE].accepts[0], 2);
    gh_sim_free(&sim);
    gh_config_free(a);
}

static void a_skew_beyond_the_tolerance_is_seen(void **state)
{
    struct gh_config *a = parse("key-chain k { tolerance = 60\n"
                                "key 1 { send-id = 3 recv-id = 8 secret = one\n"
                                "  send-lifetime = 2026-01-01/2026-12-11 }\n"
                                "key 2 { send-id = 1 recv-id = 2 secret = two\n"
                                "  send-lifetime = 2026-12-11/infinite } }\n",
                                &with_secrets);
    struct gh_sim sim = simulate(a, NULL, 20, 50);

    assert_int_equal(sim.refusals, 0);
    gh_sim_free(&sim);
    sim = simulate(a, NULL, 20, 600);
    assert_true(sim.refusals > 0);
    assert_true(sim.dies == TCPAO_TIME_MAX); /* it comes back once both clocks have passed */
    gh_sim_free(&sim);
    gh_config_free(a);
}

static void the_day_of_death_is_the_last_keys(void **state)
{
    struct gh_config *a = parse(two_keys, &with_secrets);
    struct gh_sim sim = simulate(a, NULL, 60, 0);

    assert_int_equal(sim.dies, NOW + 31 * DAY);
    assert_int_equal(step_at(&sim, sim.dies)->end[GH_SIM_HERE].refused, TCPAO_NO_SEND_KEY);
    gh_sim_free(&sim);
    /* with the peer's clock two hours ahead it dies two hours earlier */
    sim = simulate(a, NULL, 60, 2 * HOUR);
    assert_int_equal(sim.dies, NOW + 31 * DAY - 2 * HOUR);
    gh_sim_free(&sim);
    assert_int_equal(gh_sim_last_change(&a->chains[0], NULL), NOW + 31 * DAY + HOUR);
    gh_config_free(a);
}

static void a_gap_ends_with_the_next_key(void **state)
{
    struct gh_config *a = parse(
        "key-chain k {\n"
        "key 1 { send-id = 3 recv-id = 8 secret = one send-lifetime = 2026-01-01/2026-12-11 }\n"
        "key 2 { send-id = 1 recv-id = 2 secret = two send-lifetime = 2026-12-13/infinite } }\n",
        &with_secrets);
    struct gh_sim sim = simulate(a, NULL, 60, 0);

    assert_int_equal(step_at(&sim, NOW + 9 * DAY)->status, GH_SIM_UP);
    assert_int_equal(step_at(&sim, NOW + 11 * DAY)->status, GH_SIM_DOWN);
    assert_int_equal(step_at(&sim, NOW + 13 * DAY)->status, GH_SIM_UP);
    assert_true(sim.dies == TCPAO_TIME_MAX);
    gh_sim_free(&sim);
    gh_config_free(a);
}

static void assert_refused(const char *key, const struct gh_config_options *options,
                           enum tcpao_result expected)
{
    struct gh_config *a =
        parse("key-chain k { key 1 { send-id = 3 recv-id = 8 secret = one } }\n", options);
    struct gh_config *b = parse(key, options);
    struct gh_sim sim = simulate(a, b, 2, 0);

    assert_int_equal(sim.steps[0].end[GH_SIM_HERE].refused, expected);
    assert_int_equal(sim.steps[0].status, expected == TCPAO_OK ? GH_SIM_UP : GH_SIM_DOWN);
    assert_int_equal(sim.secrets_taken_as_equal, options->skip_secrets);
    gh_sim_free(&sim);
    gh_config_free(a);
    gh_config_free(b);
}

static void ends_that_do_not_fit_never_talk(void **state)
{
    assert_refused("key-chain k { key 5 { send-id = 8 recv-id = 3 secret = one } }\n",
                   &with_secrets, TCPAO_OK);
    assert_refused("key-chain k { key 5 { send-id = 3 recv-id = 8 secret = one } }\n",
                   &with_secrets, TCPAO_UNKNOWN_KEYID);
    assert_refused("key-chain k { key 5 { send-id = 8 recv-id = 3 secret = two } }\n",
                   &with_secrets, TCPAO_BAD_MAC);
    assert_refused("key-chain k { key 5 { send-id = 8 recv-id = 3 secret = two } }\n", &no_secrets,
                   TCPAO_OK);
    assert_refused("key-chain k { key 5 { send-id = 8 recv-id = 3 secret = one mac-length = 16 } }",
                   &with_secrets, TCPAO_BAD_LENGTH);
    assert_refused("key-chain k { key 5 { send-id = 8 recv-id = 3 secret = one\n"
                   "lifetime = 2027-01-01/infinite } }\n",
                   &with_secrets, TCPAO_KEY_NOT_VALID);
}

static void the_text_names_what_matters(void **state)
{
    struct gh_config *a = parse(two_keys, &with_secrets);
    struct gh_sim sim = simulate(a, NULL, 60, 0);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    gh_sim_print(&sim, "this end", "the peer", out);
    fclose(out);
    assert_non_null(strstr(text, "2026-12-11T00:00:00Z  up       key 2 (1)"));
    assert_non_null(strstr(text, "The session dies at 2027-01-01T00:00:00Z: this end has no key"));
    free(text);
    gh_sim_free(&sim);
    gh_config_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rollover_loses_nothing_within_the_tolerance),
        cmocka_unit_test(the_order_of_a_rollover),
        cmocka_unit_test(a_skew_beyond_the_tolerance_is_seen),
        cmocka_unit_test(the_day_of_death_is_the_last_keys),
        cmocka_unit_test(a_gap_ends_with_the_next_key),
        cmocka_unit_test(ends_that_do_not_fit_never_talk),
        cmocka_unit_test(the_text_names_what_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Gatekeepers, whole: TCP-AO engines and IKE cores over links that lose, repeat and reorder. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gk_world.h"

/* make soak asks for others. */
static uint64_t first_seed = 1;
static uint32_t rekey_count = 150;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void assert_right(const struct gk_world *w)
{
    if (w->wrong[0] != '\0')
        fail_msg("at %llu ms: %s", (unsigned long long)gk_world_now(w), w->wrong);
    for (size_t i = 0; i < 2; i++) {
        const struct side *s = &w->tcp->side[i];

        if (side_refused(s) != 0 || s->tcp.resets != 0 || s->tcp.broken != 0)
            fail_msg("at %llu ms, side %zu: %llu refused (%s), %llu resets, %llu broken",
                     (unsigned long long)gk_world_now(w), i, (unsigned long long)side_refused(s),
                     s->last_refusal, (unsigned long long)s->tcp.resets,
                     (unsigned long long)s->tcp.broken);
    }
}

static void connect_now(struct gk_world *w)
{
    toy_connect(&w->tcp->side[0].tcp, gk_world_now(w));
}

static void assert_up(const struct gk_world *w)
{
    assert_right(w);
    assert_int_equal(w->tcp->side[0].tcp.state, TOY_ESTABLISHED);
    assert_int_equal(w->tcp->side[1].tcp.state, TOY_ESTABLISHED);
}

static void keep_view(void *ctx, const struct gk_view *v)
{
    *(struct gk_view *)ctx = *v;
}

static struct gk_view view_of(const struct gk_world *w, size_t i)
{
    struct gk_view v;

    gk_each(w->end[i].gk, keep_view, &v);
    return v;
}

/* The first SYN waits for the key, and goes out as it was: no second one is needed. */
static void the_first_syn_waits(void **state)
{
    struct gk_world *w = gk_world_new(1, (struct ike2_lifetime){.seconds = 3600});
    struct gk_view v;

    connect_now(w);
    gk_world_run(w, TOY_RTO_MS - 100);
    assert_up(w);
    assert_int_equal(w->tcp->side[0].held_ever, 1);
    v = view_of(w, 0);
    assert_int_equal(v.installed, 1);
    assert_int_equal(v.keys->state, GK_KEY_LIVE);
    for (int step = GK_STEP_DEMANDED; step < GK_STEP_INSTALLED; step++)
        assert_true(v.steps[step].mono_ms != 0 &&
                    v.steps[step].mono_ms <= v.steps[step + 1].mono_ms);
    gk_world_free(w);
}

/* Data both ways all the time, rekeying every few seconds. */
static void talk(struct gk_world *w, uint64_t ms)
{
    uint64_t end = gk_world_now(w) + ms;

    while (gk_world_now(w) < end && w->wrong[0] == '\0') {
        for (size_t i = 0; i < 2; i++) {
            struct toy *t = &w->tcp->side[i].tcp;

            if (t->state == TOY_ESTABLISHED && t->snd_nxt - t->snd_una < 20000)
                toy_write(t, gk_world_now(w), 1 + (uint32_t)world_random(w->tcp, 3000));
        }
        gk_world_run(w, 200);
    }
}

static void rekeying_under_traffic(void **state)
{
    struct gk_world *w = gk_world_new(2, (struct ike2_lifetime){.seconds = 20});
    struct gk_view v;

    connect_now(w);
    gk_world_run(w, 1000);
    talk(w, 200 * 1000);
    assert_up(w);
    v = view_of(w, 0);
    assert_true(v.rekeyed + view_of(w, 1).rekeyed >= 20);
    assert_true(tcpao_chain_count(w->end[0].chain) < 60); /* late segments of two minutes */
    gk_world_free(w);
}

/* RFC 5925 3.1 leaves to the key management how much goes by under one key. */
static void rekeying_by_use(void **state)
{
    const struct ike2_lifetime limits[] = {{.packets = 200}, {.octets = 100 * 1000}};

    for (size_t i = 0; i < 2; i++) {
        struct gk_world *w = gk_world_new(20 + i, limits[i]);
        uint64_t rekeyed;

        connect_now(w);
        gk_world_run(w, 60 * 1000);
        assert_int_equal(view_of(w, 0).rekeyed + view_of(w, 1).rekeyed, 0);
        talk(w, 100 * 1000);
        assert_up(w);
        rekeyed = view_of(w, 0).rekeyed + view_of(w, 1).rekeyed;
        assert_true(rekeyed >= 10);
        gk_world_run(w, 200 * 1000); /* nothing to say */
        assert_up(w);
        assert_in_range(view_of(w, 0).rekeyed + view_of(w, 1).rekeyed, rekeyed, rekeyed + 2);
        gk_world_free(w);
    }
}

static void revocation(void **state)
{
    struct gk_world *w = gk_world_new(3, (struct ike2_lifetime){.seconds = 3600});
    uint32_t old;

    connect_now(w);
    gk_world_run(w, 1000);
    talk(w, 5000);
    for (size_t i = 0; i < 2; i++) {
        old = view_of(w, i).keys->mkt.number;
        assert_true(gk_revoke(w->end[i].gk, ike_world_now(w->end[i].host),
                              w->end[i].host->policies[0]->name));
        talk(w, 20000);
        assert_up(w);
        assert_true(view_of(w, i).keys->mkt.number > old);
        assert_int_equal(view_of(w, i).keys->state, GK_KEY_LIVE);
        for (const struct gk_key *key = view_of(w, i).keys->next; key != NULL; key = key->next)
            assert_int_equal(key->state, GK_KEY_LEAVING);
    }
    gk_world_free(w);
}

/* IKE SAs come and go, by rekeying or by reauthentication; the keys of a session that they made are
 * handed on or made anew, and the connection hears nothing of it. */
static void ike_sas_come_and_go(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        struct gk_world *w = gk_world_new(5 + i, (struct ike2_lifetime){.seconds = 36000});
        bool anew = i == 1;
        uint32_t number;

        for (size_t n = 0; n < 2; n++) {
            w->end[n].host->policies[0]->lifetime.seconds = 120;
            w->end[n].host->policies[0]->reauthenticate = anew;
        }
        connect_now(w);
        gk_world_run(w, 1000);
        number = view_of(w, 0).keys->mkt.number;
        talk(w, 1200 * 1000);
        assert_up(w);
        for (size_t n = 0; n < 2; n++) {
            struct ike2_sa_view sa;

            assert_true(ike_world_sas(w->end[n].host, &sa) > 0);
            assert_true(anew ? sa.rekeys == 0 : sa.rekeys >= 9);
            assert_int_equal(view_of(w, n).keys->state, GK_KEY_LIVE);
        }
        if (anew)
            assert_true(view_of(w, 0).installed >= 9);
        else
            assert_int_equal(view_of(w, 0).keys->mkt.number, number);
        gk_world_free(w);
    }
}

/* The operator of the other end ends its IKE SA: we go on with the key that it has let go of, under
 * which it still verifies for a while, and it asks for another. */
static void the_peer_deletes_its_ike_sa(void **state)
{
    struct gk_world *w = gk_world_new(7, (struct ike2_lifetime){.seconds = 3600});
    struct ike2_sa_view sa;

    connect_now(w);
    gk_world_run(w, 1000);
    talk(w, 3000);
    assert_int_equal(ike_world_sas(w->end[1].host, &sa), 1);
    assert_true(ike2_terminate_ike(w->end[1].host->core, ike_world_now(w->end[1].host), sa.id));
    talk(w, 30 * 1000);
    assert_int_equal(w->end[0].events[GK_EVENT_ORPHANED], 1);
    assert_int_equal(ao_engine_counters(w->end[0].side->engine)[TCPAO_NO_SEND_KEY], 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(view_of(w, i).keys->state, GK_KEY_LIVE);
    assert_int_equal(w->tcp->side[0].tcp.state, TOY_ESTABLISHED);
    assert_int_equal(w->tcp->side[1].tcp.state, TOY_ESTABLISHED);
    gk_world_free(w);
}

/* Nobody can rekey the IKE SA before its end; the key's is later. */
static void the_ike_sas_lifetime_ends(void **state)
{
    struct gk_world *w = gk_world_new(8, (struct ike2_lifetime){.seconds = 3600});

    for (size_t n = 0; n < 2; n++) {
        w->end[n].host->policies[0]->lifetime.seconds = 120;
        w->end[n].host->policies[0]->retransmits = 200; /* so that silence does not end it first */
        w->end[n].host->policies[0]->liveness_ms = 0;
    }
    connect_now(w);
    gk_world_run(w, 1000);
    talk(w, 60 * 1000);
    w->end[1].host->dead = true;
    talk(w, 600 * 1000);
    assert_up(w);
    assert_int_equal(ike_world_sas(w->end[0].host, NULL), 0);
    assert_int_equal(view_of(w, 0).keys->state, GK_KEY_ORPHAN);
    w->end[1].host->dead = false;
    talk(w, 120 * 1000);
    assert_up(w);
    assert_int_equal(view_of(w, 0).keys->state, GK_KEY_LIVE);
    gk_world_free(w);
}

/* Without IKE the key lives on; when that is back there is another. */
static void ike_goes_and_comes_back(void **state)
{
    struct gk_world *w = gk_world_new(4, (struct ike2_lifetime){.seconds = 3600});

    connect_now(w);
    gk_world_run(w, 1000);
    talk(w, 3000);
    w->end[1].host->dead = true;
    assert_true(ike2_rekey_child(w->end[0].host->core, ike_world_now(w->end[0].host),
                                 view_of(w, 0).keys->child));
    talk(w, 300 * 1000);
    assert_up(w);
    assert_int_equal(view_of(w, 0).keys->state, GK_KEY_ORPHAN);
    assert_true(w->end[0].events[GK_EVENT_FAILED] > 0);
    w->end[1].host->dead = false;
    talk(w, 120 * 1000);
    assert_up(w);
    assert_int_equal(view_of(w, 0).keys->state, GK_KEY_LIVE);
    assert_int_equal(view_of(w, 1).keys->state, GK_KEY_LIVE);
    gk_world_free(w);
}

static void restarts(void **state)
{
    struct gk_world *w = gk_world_new(5, (struct ike2_lifetime){.seconds = 60});

    connect_now(w);
    gk_world_run(w, 1000);
    for (size_t i = 0; i < 8; i++) {
        talk(w, 20 * 1000);
        assert_up(w);
        if (i % 4 < 2)
            gk_world_restart_ike(w, i % 2);
        else
            gk_world_restart_engine(w, i % 2);
    }
    talk(w, 60 * 1000);
    assert_up(w);
    gk_world_free(w);
}

/* Those that had been let go of go on going, though nothing tells the new gatekeeper of them again:
 * their KeyIDs are needed. */
static void keys_on_their_way_out_survive_no_restart(void **state)
{
    struct gk_world *w = gk_world_new(9, (struct ike2_lifetime){.seconds = 3600});

    connect_now(w);
    gk_world_run(w, 1000);
    for (size_t i = 0; i < 4; i++) {
        assert_true(ike2_rekey_child(w->end[0].host->core, ike_world_now(w->end[0].host),
                                     view_of(w, 0).keys->child));
        talk(w, 10 * 1000);
    }
    assert_int_equal(tcpao_chain_count(w->end[0].chain), 5);
    gk_world_restart_ike(w, 0);
    talk(w, 300 * 1000);
    assert_up(w);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tcpao_chain_count(w->end[i].chain), 1);
        assert_int_equal(view_of(w, i).keys->state, GK_KEY_LIVE);
    }
    gk_world_free(w);
}

static void weather(uint64_t seed, uint32_t rekeys)
{
    struct gk_world *w = gk_world_new(seed, (struct ike2_lifetime){.seconds = 60});
    uint64_t rounds = 0;

    w->tcp->loss = w->ike->loss = 50;
    w->tcp->duplicate = w->ike->duplicated = 50;
    w->tcp->delay_max_ms = 300;
    w->ike->delay_most = 300;
    w->tcp->side[0].skew = (int64_t)(seed % 5) * 4000 - 8000;
    connect_now(w);
    gk_world_run(w, 60 * 1000);
    assert_up(w);
    for (uint64_t done = 0; done < rekeys; rounds++) {
        talk(w, 20 * 1000);
        assert_up(w);
        switch (world_random(w->tcp, 40)) {
        case 0:
            gk_world_restart_ike(w, world_random(w->tcp, 2));
            break;
        case 1:
            gk_world_restart_engine(w, world_random(w->tcp, 2));
            break;
        case 2:
            gk_revoke(w->end[0].gk, ike_world_now(w->end[0].host),
                      w->end[0].host->policies[0]->name);
            break;
        default:
            break;
        }
        done = w->end[0].events[GK_EVENT_INSTALLED];
        if (rounds > 10 * (uint64_t)rekeys)
            fail_msg("%llu keys in %llu rounds", (unsigned long long)done,
                     (unsigned long long)rounds);
    }
    print_message("seed %llu: %u keys, %llu segments, octets %llu and %llu, none refused\n",
                  (unsigned long long)seed, w->end[0].events[GK_EVENT_INSTALLED],
                  (unsigned long long)w->tcp->carried,
                  (unsigned long long)w->tcp->side[0].tcp.received,
                  (unsigned long long)w->tcp->side[1].tcp.received);
    gk_world_free(w);
}

static void rekeying_in_bad_weather(void **state)
{
    weather(first_seed, rekey_count);
    weather(first_seed + 1, rekey_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_syn_waits),
        cmocka_unit_test(rekeying_under_traffic),
        cmocka_unit_test(rekeying_by_use),
        cmocka_unit_test(revocation),
        cmocka_unit_test(ike_sas_come_and_go),
        cmocka_unit_test(the_peer_deletes_its_ike_sa),
        cmocka_unit_test(the_ike_sas_lifetime_ends),
        cmocka_unit_test(ike_goes_and_comes_back),
        cmocka_unit_test(restarts),
        cmocka_unit_test(keys_on_their_way_out_survive_no_restart),
        cmocka_unit_test(rekeying_in_bad_weather),
    };

    first_seed = setting("GATEHOUSE_SIM_SEED", first_seed);
    rekey_count = (uint32_t)setting("GATEHOUSE_SIM_REKEYS", rekey_count);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

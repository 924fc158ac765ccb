/* Connections that change hands in the middle of their traffic, and those that somebody else
 * carries. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

static struct tcpao_mkt key(uint32_t number, int64_t from, int64_t until)
{
    return test_key(number, (uint8_t)number, (uint8_t)(number + 100), "hand over", from, until);
}

static struct tcpao_mkt forever(uint32_t number)
{
    return key(number, TCPAO_TIME_MIN, TCPAO_TIME_MAX);
}

static struct tcpao_chain *chain_of(const struct tcpao_mkt *keys, size_t count, bool crossed)
{
    struct tcpao_chain *c = tcpao_chain_new(0);

    for (size_t i = 0; i < count; i++) {
        struct tcpao_mkt mkt = crossed ? test_key_crossed(keys[i]) : keys[i];

        assert_int_equal(tcpao_chain_add(c, &mkt, NULL), TCPAO_CHAIN_OK);
    }
    return c;
}

static void give(struct side *s, uint16_t remote_port, struct tcpao_chain *chain)
{
    struct ao_socket_flow f = {.zone_name = "",
                               .name = "socket",
                               .local_port = s->tcp.me.port,
                               .remote_port = remote_port,
                               .chain = chain};

    f.peer.addr = gh_addr_from(s->tcp.peer.addr, s->tcp.peer.addr_len);
    f.peer.bits = (uint8_t)(s->tcp.peer.addr_len * 8);
    assert_true(ao_engine_set_socket(s->engine, side_now(s), 1, &f, 1));
}

static void no_policies(struct side *s)
{
    assert_true(ao_engine_set_policies(s->engine, side_now(s), NULL, 0));
}

/* Sockets with keys of their own at both ends. */
static struct world *world_of_sockets(const struct tcpao_mkt *keys, size_t count)
{
    struct world *w = world_new(5, false);

    for (size_t i = 0; i < 2; i++) {
        struct tcpao_chain *c = chain_of(keys, count, i == 1);

        no_policies(&w->side[i]);
        give(&w->side[i], i == 0 ? 179 : 0, c);
        tcpao_chain_put(c);
    }
    return w;
}

static void talk(struct world *w, uint32_t a, uint32_t b)
{
    toy_write(&w->side[0].tcp, w->now_ms, a);
    toy_write(&w->side[1].tcp, w->now_ms, b);
    world_run(w, w->now_ms + 6000);
}

static void open_and_talk(struct world *w)
{
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, w->now_ms + 5000);
    talk(w, 5000, 3000);
    assert_int_equal(w->side[1].tcp.received, 5000);
    assert_int_equal(w->side[0].tcp.received, 3000);
}

static struct ao_adoption adoption_of(const struct side *s)
{
    struct ao_adoption a = {.local = s->tcp.me,
                            .remote = s->tcp.peer,
                            .state = AO_STATE_ESTABLISHED,
                            .active = s->tcp.me.port != 179};
    struct ao_connection_keys k;

    assert_true(ao_engine_get_keys(s->engine, 0, &s->tcp.me, &s->tcp.peer, &k));
    a.conn = k.conn;
    return a;
}

/* Another engine, with no memory of anything, in place of the side's; the old one is returned. */
static struct ao_engine *other_engine(struct side *s)
{
    const struct ao_engine_settings settings = {.max_connections = 8};
    struct ao_engine *old = s->engine;

    assert_true(ao_engine_release(old, 0, &s->tcp.me, &s->tcp.peer));
    assert_false(ao_engine_release(old, 0, &s->tcp.me, &s->tcp.peer));
    s->engine = ao_engine_new(&settings);
    assert_non_null(s->engine);
    return old;
}

static enum ao_adopt_result adopt(struct side *s, const struct ao_adoption *a)
{
    return ao_engine_adopt(s->engine, side_now(s), a);
}

static void handed_over_by_a_policy_s_engine(void **state)
{
    struct world *w = world_new(5, true);
    const struct tcpao_mkt keys[] = {key(1, TCPAO_TIME_MIN, w->epoch + 1000),
                                     key(2, w->epoch + 900, TCPAO_TIME_MAX)};
    struct tcpao_chain *c[] = {chain_of(keys, 2, false), chain_of(keys, 2, true)};
    struct ao_adoption a;
    struct ao_engine *old;

    w->loss = 50;
    w->delay_max_ms = 40;
    side_protect(&w->side[0], c[0], "core", AO_REQUIRED);
    side_protect(&w->side[1], c[1], "core", AO_REQUIRED);
    toy_connect(&w->side[0].tcp, 0);
    world_run(w, 20000);
    toy_write(&w->side[0].tcp, w->now_ms, 20000);
    toy_write(&w->side[1].tcp, w->now_ms, 20000);
    world_run(w, w->now_ms + 20); /* in the middle of it */

    a = adoption_of(&w->side[0]);
    old = other_engine(&w->side[0]);
    assert_int_equal(adopt(&w->side[0], &a), AO_ADOPT_NO_SESSION);
    side_protect(&w->side[0], c[0], "core", AO_REQUIRED);
    a.conn.current_key = 7;
    assert_int_equal(adopt(&w->side[0], &a), AO_ADOPT_NO_KEY);
    a.conn.current_key = 1;
    a.manual = true;
    assert_int_equal(adopt(&w->side[0], &a), AO_ADOPT_NO_SESSION); /* no socket's flow */
    a.manual = false;
    assert_int_equal(adopt(&w->side[0], &a), AO_ADOPTED);

    world_run(w, 200 * 1000);
    assert_int_equal(w->side[1].tcp.received, 20000);
    assert_int_equal(w->side[0].tcp.received, 20000);
    assert_int_equal(adoption_of(&w->side[0]).conn.current_key, 1);
    world_run(w, 950 * 1000);
    w->loss = 0;
    talk(w, 1000, 1000);
    talk(w, 1000, 1000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(adoption_of(&w->side[i]).conn.current_key, 2);
        assert_int_equal(w->side[i].tcp.received, 22000);
        assert_int_equal(w->side[i].tcp.resets + w->side[i].tcp.broken, 0);
        assert_int_equal(side_refused(&w->side[i]), 0);
        tcpao_chain_put(c[i]);
    }
    ao_engine_free(old);
    world_free(w);
}

/* Side 0's connection goes to another engine; `change` says what is told wrongly. */
static struct world *handed_over(uint32_t iss, void (*change)(struct tcpao_conn_state *st))
{
    const struct tcpao_mkt keys[] = {forever(1), forever(2), forever(3)};
    struct world *w = world_of_sockets(keys, 2);
    struct side *s = &w->side[0];
    struct ao_adoption a;
    struct tcpao_chain *c = chain_of(keys, 2, false);

    s->tcp.iss = iss;
    open_and_talk(w);
    a = adoption_of(s);
    a.manual = true;
    if (change != NULL)
        change(&a.conn);
    ao_engine_free(other_engine(s));
    no_policies(s);
    assert_int_equal(adopt(s, &a), AO_ADOPT_NO_SESSION);
    give(s, 179, c);
    tcpao_chain_put(c);
    a.chain = chain_of(keys, 3, false); /* its own: one more than the flow's */
    assert_int_equal(adopt(s, &a), AO_ADOPTED);
    tcpao_chain_put(a.chain);
    return w;
}

static void handed_over_with_its_own_keys(void **state)
{
    struct world *w = handed_over(1000, NULL);
    struct side *s = &w->side[0];
    struct ao_keys_change rnext = {.set_rnext = true, .rnext_key = 1};
    struct ao_connection_keys k;

    talk(w, 2000, 2000);
    assert_int_equal(w->side[1].tcp.received, 7000);
    assert_int_equal(s->tcp.received, 5000);
    assert_true(ao_engine_get_keys(s->engine, 0, &s->tcp.me, &s->tcp.peer, &k));
    assert_int_equal(k.key_count, 3);
    assert_int_equal(k.conn.current_key, 2);
    assert_true(ao_engine_change_keys(s->engine, side_now(s), 0, &s->tcp.me, &s->tcp.peer, &rnext));
    talk(w, 2000, 2000);
    talk(w, 2000, 2000);
    assert_int_equal(adoption_of(&w->side[1]).conn.current_key, 1);
    assert_int_equal(adoption_of(s).conn.current_key, 2);
    assert_int_equal(w->side[1].tcp.received, 11000);
    assert_int_equal(side_refused(s) + side_refused(&w->side[1]), 0);
    world_free(w);
}

static void sequence_numbers_wrap_after_it(void **state)
{
    struct world *w = handed_over(0xffffffff - 5500, NULL);

    assert_int_equal(adoption_of(&w->side[0]).conn.snd.highest >> 32, 0);
    talk(w, 5000, 5000);
    assert_int_equal(adoption_of(&w->side[0]).conn.snd.highest >> 32, 1);
    assert_int_equal(w->side[1].tcp.received, 10000);
    assert_int_equal(w->side[0].tcp.received, 8000);
    assert_int_equal(side_refused(&w->side[0]) + side_refused(&w->side[1]), 0);
    world_free(w);
}

static void wrong_local_isn(struct tcpao_conn_state *st)
{
    st->local_isn++;
}

static void wrong_remote_isn(struct tcpao_conn_state *st)
{
    st->remote_isn--;
}

static void wrong_send_sne(struct tcpao_conn_state *st)
{
    st->snd.highest += 1ull << 32;
}

static void wrong_receive_sne(struct tcpao_conn_state *st)
{
    st->rcv.highest += 1ull << 32;
}

/* As Linux's selftest of TCP_AO_REPAIR expects it. */
static void what_is_told_wrongly_stops_its_directions(void **state)
{
    static const struct {
        void (*change)(struct tcpao_conn_state *st);
        bool sends, receives;
    } cases[] = {{wrong_local_isn, false, false},
                 {wrong_remote_isn, false, false},
                 {wrong_send_sne, false, true},
                 {wrong_receive_sne, true, false}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w = handed_over(1000, cases[i].change);

        talk(w, 2000, 2000);
        assert_int_equal(w->side[1].tcp.received, cases[i].sends ? 7000 : 5000);
        assert_int_equal(w->side[0].tcp.received, cases[i].receives ? 5000 : 3000);
        assert_int_equal(side_count(&w->side[1], TCPAO_BAD_MAC) > 0, !cases[i].sends);
        assert_int_equal(side_count(&w->side[0], TCPAO_BAD_MAC) > 0, !cases[i].receives);
        world_free(w);
    }
}

static void an_adopted_connection_survives_a_restart(void **state)
{
    const struct tcpao_mkt mkt = forever(1);
    struct world *w = world_of_sockets(&mkt, 1);
    struct side *s = &w->side[0];
    struct tcpao_chain *c = chain_of(&mkt, 1, false);
    struct ao_adoption a;

    open_and_talk(w);
    a = adoption_of(s);
    a.manual = true;
    assert_int_equal(adopt(s, &a), AO_ADOPTED); /* replaces itself */
    side_restart(s);
    give(s, 179, c);
    assert_int_equal(adopt(s, &a), AO_ADOPT_FULL); /* what was saved comes first */
    no_policies(s);
    talk(w, 2000, 2000);
    assert_int_equal(w->side[1].tcp.received, 7000);
    assert_int_equal(s->tcp.received, 5000);
    tcpao_chain_put(c);
    world_free(w);
}

/* ---- What the kernel carries ---------------------------------------------------------------- */

static struct ao_connection_view seen;
static uint64_t seen_signed, seen_count;

static void note_connection(void *ctx, const struct ao_connection_view *v)
{
    seen = *v;
    seen_count++;
}

static void note_session(void *ctx, const struct ao_session_view *v)
{
    seen_signed = v->counters[AO_COUNT_SIGNED];
    assert_true(v->refusals[TCPAO_BAD_MAC].seen);
    assert_int_equal(v->refusals[TCPAO_BAD_MAC].remote.addr_len, 0);
    assert_int_equal(v->counters[TCPAO_BAD_MAC], 4);
}

static void look(const struct side *s)
{
    seen_count = 0;
    ao_engine_each_connection(s->engine, note_connection, NULL);
}

static bool tell(struct side *s, struct ao_foreign *f, enum ao_state state, uint64_t segments)
{
    uint64_t counters[AO_COUNTERS] = {[AO_COUNT_SIGNED] = segments, [TCPAO_OK] = segments};

    f->state = state;
    f->segments_in = f->segments_out = segments;
    f->counters = counters;
    return ao_engine_foreign(s->engine, side_now(s), f);
}

static void the_kernel_s_connections_are_shown(void **state)
{
    const struct tcpao_mkt keys[] = {forever(1), forever(2)};
    struct world *w = world_new(5, false);
    struct side *s = &w->side[0];
    struct tcpao_chain *c = chain_of(keys, 2, false);
    struct ao_foreign f = {
        .session = "peer",
        .local = s->tcp.me,
        .remote = s->tcp.peer,
        .active = true,
        .conn = {.current_known = true, .current_key = 1, .rnext_known = true, .rnext_key = 1}};

    assert_false(tell(s, &f, AO_STATE_ESTABLISHED, 1)); /* no session yet */
    side_protect(s, c, "core", AO_REQUIRED);
    assert_true(tell(s, &f, AO_STATE_CLOSED, 0)); /* nothing to forget */
    look(s);
    assert_int_equal(seen_count, 0);
    assert_true(tell(s, &f, AO_STATE_SYN_SENT, 1));
    assert_true(tell(s, &f, AO_STATE_ESTABLISHED, 5));
    assert_int_equal(s->events[AO_EVENT_CONNECTION_UP], 1);
    look(s);
    assert_int_equal(seen_count, 1);
    assert_true(seen.in_kernel && seen.active && !seen.restored);
    assert_int_equal(seen.state, AO_STATE_ESTABLISHED);
    assert_int_equal(seen.conn.current_key, 1);
    assert_int_equal(seen.segments_out, 5);

    /* Neither time nor a reload moves its keys: the kernel's backend does, and says so. */
    side_protect(s, c, "core", AO_REQUIRED);
    world_run(w, 60 * 1000);
    assert_int_equal(s->events[AO_EVENT_KEY_CHANGED], 0);
    f.conn.current_key = f.conn.rnext_key = 2;
    assert_true(tell(s, &f, AO_STATE_ESTABLISHED, 7));
    assert_int_equal(s->events[AO_EVENT_KEY_CHANGED], 1);
    assert_int_equal(s->lookups, 0);

    ao_engine_foreign_refusals(s->engine, side_now(s), "peer", TCPAO_BAD_MAC, 4);
    ao_engine_foreign_refusals(s->engine, side_now(s), "nobody", TCPAO_BAD_MAC, 4);
    assert_int_equal(s->events[AO_EVENT_SEGMENT_REFUSED], 1);
    assert_non_null(strstr(s->last_refusal, "the kernel dropped 4 incoming segments"));
    ao_engine_each_session(s->engine, note_session, NULL);
    assert_int_equal(seen_signed, 7);
    assert_int_equal(side_count(s, AO_COUNT_SIGNED), 7);

    /* No packet of it is ours to pass, in neither direction. */
    toy_connect(&s->tcp, w->now_ms);
    toy_emit(&s->tcp, 0x10, 5, 10);
    assert_int_equal(side_count(s, TCPAO_MISSING_AO), 2);
    assert_int_equal(w->carried, 0);
    s->tcp.rto_at = 0;

    assert_true(tell(s, &f, AO_STATE_CLOSED, 8));
    assert_int_equal(s->events[AO_EVENT_CONNECTION_CLOSED], 1);
    look(s);
    assert_int_equal(seen_count, 0);
    tcpao_chain_put(c);
    world_free(w);
}

static void who_is_not_spoken_of_is_forgotten_and_nothing_is_saved(void **state)
{
    const struct tcpao_mkt mkt = forever(1);
    struct world *w = world_new(5, false);
    struct side *s = &w->side[0];
    struct tcpao_chain *c = chain_of(&mkt, 1, false);
    struct ao_foreign f = {.session = "peer", .local = s->tcp.me, .remote = s->tcp.peer};

    side_protect(s, c, "core", AO_REQUIRED);
    assert_true(tell(s, &f, AO_STATE_ESTABLISHED, 1));
    world_run(w, 590 * 1000);
    assert_true(tell(s, &f, AO_STATE_ESTABLISHED, 2));
    world_run(w, 1180 * 1000);
    look(s);
    assert_int_equal(seen_count, 1);
    world_run(w, 1210 * 1000);
    look(s);
    assert_int_equal(seen_count, 0);

    assert_true(tell(s, &f, AO_STATE_ESTABLISHED, 3));
    side_restart(s);
    side_protect(s, c, "core", AO_REQUIRED);
    look(s);
    assert_int_equal(seen_count, 0);

    /* It goes with its session. */
    assert_true(tell(s, &f, AO_STATE_ESTABLISHED, 3));
    no_policies(s);
    look(s);
    assert_int_equal(seen_count, 0);
    tcpao_chain_put(c);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handed_over_by_a_policy_s_engine),
        cmocka_unit_test(handed_over_with_its_own_keys),
        cmocka_unit_test(sequence_numbers_wrap_after_it),
        cmocka_unit_test(what_is_told_wrongly_stops_its_directions),
        cmocka_unit_test(an_adopted_connection_survives_a_restart),
        cmocka_unit_test(the_kernel_s_connections_are_shown),
        cmocka_unit_test(who_is_not_spoken_of_is_forgotten_and_nothing_is_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

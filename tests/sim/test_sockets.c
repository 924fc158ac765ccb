/* Sockets with keys of their own, between two toy TCPs: whose keys a connection has, how they are
 * moved, and what of it stays apart from the policies. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"
#include "wire/checksum.h"
#include "wire/ip.h"

enum { OWNER = 77 };

static struct tcpao_mkt key(uint32_t number, uint8_t send_id, uint8_t recv_id)
{
    return test_key(number, send_id, recv_id, "own", TCPAO_TIME_MIN, TCPAO_TIME_MAX);
}

static struct tcpao_chain *chain_of(const struct tcpao_mkt *keys, size_t count)
{
    struct tcpao_chain *c = tcpao_chain_new(0);

    for (size_t i = 0; i < count; i++)
        assert_int_equal(tcpao_chain_add(c, &keys[i], NULL), TCPAO_CHAIN_OK);
    return c;
}

static struct gh_addr address(const struct tcpao_endpoint *e)
{
    return gh_addr_from(e->addr, e->addr_len);
}

static struct gh_prefix host(const struct tcpao_endpoint *e)
{
    return (struct gh_prefix){.addr = address(e), .bits = (uint8_t)(e->addr_len * 8)};
}

/* A listener's flow for the other side, or (remote_port) that of one connection to it. */
static struct ao_socket_flow flow_of(const struct side *s, uint16_t remote_port)
{
    return (struct ao_socket_flow){.owner = OWNER,
                                   .zone_name = "",
                                   .name = remote_port == 0 ? "listener" : "caller",
                                   .peer = host(&s->tcp.peer),
                                   .local_port = s->tcp.me.port,
                                   .remote_port = remote_port};
}

static void give(struct side *s, struct ao_socket_flow f, const struct tcpao_mkt *keys,
                 size_t count)
{
    f.chain = chain_of(keys, count);
    assert_true(ao_engine_set_socket(s->engine, side_now(s), f.owner, &f, 1));
    tcpao_chain_put(f.chain);
}

static void take_away(struct side *s)
{
    assert_true(ao_engine_set_socket(s->engine, side_now(s), OWNER, NULL, 0));
}

static void no_policies(struct world *w)
{
    for (size_t i = 0; i < 2; i++)
        assert_true(ao_engine_set_policies(w->side[i].engine, side_now(&w->side[i]), NULL, 0));
}

/* Side 0 connects, side 1 listens; two keys, ids crossed. */
static struct world *world_of_sockets(bool v6)
{
    const struct tcpao_mkt client[] = {key(1, 100, 200), key(2, 101, 201)};
    const struct tcpao_mkt server[] = {key(1, 201, 101), key(2, 200, 100)};
    struct world *w = world_new(3, v6);

    no_policies(w);
    give(&w->side[0], flow_of(&w->side[0], 179), client, 2);
    give(&w->side[1], flow_of(&w->side[1], 0), server, 2);
    return w;
}

static void open_and_talk(struct world *w)
{
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, w->now_ms + 5000);
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    assert_int_equal(w->side[1].tcp.state, TOY_ESTABLISHED);
    toy_write(&w->side[0].tcp, w->now_ms, 5000);
    toy_write(&w->side[1].tcp, w->now_ms, 3000);
    world_run(w, w->now_ms + 5000);
}

static void talk_more(struct world *w)
{
    uint64_t a = w->side[0].tcp.received, b = w->side[1].tcp.received;

    toy_write(&w->side[0].tcp, w->now_ms, 2000);
    world_run(w, w->now_ms + 5000);
    toy_write(&w->side[1].tcp, w->now_ms, 2000);
    world_run(w, w->now_ms + 5000);
    assert_int_equal(w->side[0].tcp.received, a + 2000);
    assert_int_equal(w->side[1].tcp.received, b + 2000);
    assert_int_equal(w->side[0].tcp.broken + w->side[1].tcp.broken, 0);
}

static void assert_nothing_refused(struct world *w)
{
    assert_int_equal(side_refused(&w->side[0]) + side_refused(&w->side[1]), 0);
}

static bool get_keys(const struct side *s, struct ao_connection_keys *out)
{
    return ao_engine_get_keys(s->engine, 0, &s->tcp.me, &s->tcp.peer, out);
}

static struct ao_connection_keys keys_of(const struct side *s)
{
    struct ao_connection_keys k;

    assert_true(get_keys(s, &k));
    return k;
}

static bool change(struct side *s, const struct ao_keys_change *c)
{
    return ao_engine_change_keys(s->engine, side_now(s), 0, &s->tcp.me, &s->tcp.peer, c);
}

static void assert_keys(const struct side *s, uint32_t current, uint32_t rnext)
{
    struct ao_connection_keys k = keys_of(s);

    assert_true(k.conn.current_known && k.conn.rnext_known);
    assert_int_equal(k.conn.current_key, current);
    assert_int_equal(k.conn.rnext_key, rnext);
}

static void both_ends_use_their_sockets_keys(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct world *w = world_of_sockets(v6);
        struct ao_connection_keys k;

        open_and_talk(w);
        talk_more(w);
        assert_nothing_refused(w);
        /* The caller's highest key; the SYN's ids chose the listener's. */
        assert_keys(&w->side[0], 2, 2);
        assert_keys(&w->side[1], 1, 1);
        k = keys_of(&w->side[1]);
        assert_int_equal(k.key_count, 2);
        assert_true(k.keys[0].good_in > 5 && k.keys[0].out > 5);
        assert_int_equal(k.keys[1].good_in + k.keys[1].bad_in + k.keys[1].out, 0);
        assert_true(k.counters[TCPAO_OK] > 5 && k.counters[AO_COUNT_SIGNED] > 5);
        assert_int_equal(ao_engine_zone_counters(w->side[1].engine, 0)[TCPAO_OK],
                         side_count(&w->side[1], TCPAO_OK));
        assert_null(ao_engine_zone_counters(w->side[1].engine, 1));
        world_free(w);
    }
}

static void keys_move_by_hand_and_by_the_peer(void **state)
{
    struct world *w = world_of_sockets(false);
    struct side *a = &w->side[0], *b = &w->side[1];

    open_and_talk(w);
    assert_true(change(a, &(struct ao_keys_change){.set_rnext = true, .rnext_key = 1}));
    talk_more(w);
    assert_keys(a, 2, 1);
    assert_keys(b, 2, 1); /* key 2 has the SendID 200 that was asked for */
    assert_true(
        change(b, &(struct ao_keys_change){
                      .set_current = true, .current_key = 1, .set_rnext = true, .rnext_key = 2}));
    assert_keys(b, 1, 2);
    talk_more(w); /* the caller still asks for 200 */
    assert_keys(b, 2, 2);
    assert_keys(a, 1, 1);
    world_run(w, w->now_ms + 3600 * 1000);
    talk_more(w);
    assert_keys(a, 1, 1);
    assert_nothing_refused(w);
    world_free(w);
}

static void a_chain_is_changed_with_its_counters(void **state)
{
    const struct tcpao_mkt client[] = {key(3, 7, 9), key(2, 101, 201)};
    const struct tcpao_mkt server[] = {key(1, 201, 101), key(9, 9, 7)};
    struct world *w = world_of_sockets(false);
    struct side *a = &w->side[0], *b = &w->side[1];
    struct ao_keys_change c = {.chain = chain_of(client, 2)};
    uint64_t out;

    open_and_talk(w);
    out = keys_of(a).keys[1].out;
    assert_true(out > 5);
    assert_true(change(a, &c));
    assert_int_equal(keys_of(a).keys[1].out, out);
    assert_int_equal(keys_of(a).keys[0].out, 0);
    assert_keys(a, 2, 2);
    tcpao_chain_put(c.chain);
    c.chain = chain_of(server, 2);
    assert_true(change(b, &c));
    tcpao_chain_put(c.chain);
    talk_more(w);
    /* All or nothing: there is no key 1 any more. */
    assert_false(
        change(a, &(struct ao_keys_change){
                      .set_rnext = true, .rnext_key = 3, .set_current = true, .current_key = 1}));
    assert_keys(a, 2, 2);
    assert_true(change(a, &(struct ao_keys_change){.set_rnext = true, .rnext_key = 3}));
    talk_more(w);
    talk_more(w);
    assert_keys(b, 9, 1);
    assert_true(keys_of(a).keys[0].good_in > 0);
    assert_nothing_refused(w);
    /* The listener's flow knows nothing of it. */
    a->tcp.state = TOY_CLOSED;
    a->tcp.iss += 99999;
    b->tcp.state = TOY_LISTEN;
    b->tcp.iss += 99999;
    a->tcp.received = b->tcp.received = 0;
    open_and_talk(w);
    assert_keys(a, 2, 2);
    assert_keys(b, 1, 1);
    world_free(w);
}

static void a_connection_outlives_its_flow(void **state)
{
    struct world *w = world_of_sockets(false);

    open_and_talk(w);
    take_away(&w->side[0]);
    take_away(&w->side[1]);
    talk_more(w);
    no_policies(w);
    talk_more(w);
    assert_keys(&w->side[0], 2, 2);
    assert_nothing_refused(w);
    /* Another socket behind the same ends has no keys: its SYN ends the old connection. */
    w->side[0].tcp.state = TOY_CLOSED;
    w->side[0].tcp.iss += 77777;
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, w->now_ms + 100);
    assert_false(get_keys(&w->side[0], &(struct ao_connection_keys){.key_count = 0}));
    assert_true(side_count(&w->side[1], TCPAO_MISSING_AO) > 0);
    world_free(w);
}

static void ends_of_what_is_over_are_anybodys(void **state)
{
    struct world *w = world_of_sockets(false);
    struct side *a = &w->side[0], *b = &w->side[1];

    open_and_talk(w);
    toy_emit(&a->tcp, GH_TCP_RST, a->tcp.snd_nxt, 0);
    world_run(w, w->now_ms + 100);
    assert_int_equal(b->tcp.resets, 1);
    take_away(a);
    b->tcp.state = TOY_LISTEN;
    a->tcp.state = TOY_CLOSED;
    a->tcp.iss += 1000000;
    toy_connect(&a->tcp, w->now_ms);
    world_run(w, w->now_ms + 1000);
    assert_int_equal(b->tcp.state, TOY_LISTEN); /* there is still a listener with keys */
    take_away(b);
    b->tcp.iss += 1000000;
    a->tcp.received = b->tcp.received = 0;
    world_run(w, w->now_ms + 5000);
    assert_int_equal(a->tcp.state, TOY_ESTABLISHED);
    talk_more(w);
    assert_false(get_keys(a, &(struct ao_connection_keys){.key_count = 0}));
    assert_false(get_keys(b, &(struct ao_connection_keys){.key_count = 0}));
    world_free(w);
}

/* A listener gets one key after another, each for another peer. */
static void a_listener_with_many_peers(void **state)
{
    enum { PEERS = 3000 };
    static struct ao_socket_flow f[PEERS];
    const struct tcpao_mkt mkt = key(1, 201, 101), second = key(2, 200, 100);
    struct world *w = world_of_sockets(false);
    struct side *b = &w->side[1];

    for (uint32_t i = 0; i < PEERS; i++) {
        f[i] = flow_of(b, 0);
        f[i].chain = chain_of(&mkt, 1);
        f[i].peer.addr.octets[1] = (uint8_t)(i >> 8);
        f[i].peer.addr.octets[2] = (uint8_t)i;
        if (i % 10 == 0)
            assert_true(ao_engine_set_socket(b->engine, side_now(b), OWNER, f, i + 1));
    }
    f[5].peer = host(&b->tcp.peer);
    assert_true(ao_engine_set_socket(b->engine, side_now(b), OWNER, f, PEERS));
    open_and_talk(w);
    /* A key that is added to a flow's own chain comes into force with the next word. */
    assert_int_equal(tcpao_chain_add(f[5].chain, &second, NULL), TCPAO_CHAIN_OK);
    assert_true(ao_engine_set_socket(b->engine, side_now(b), OWNER, f, PEERS));
    assert_int_equal(keys_of(b).key_count, 1);
    w->side[0].tcp.state = TOY_CLOSED;
    w->side[0].tcp.iss += 1000000;
    b->tcp.state = TOY_LISTEN;
    b->tcp.iss += 1000000;
    w->side[0].tcp.received = b->tcp.received = 0;
    open_and_talk(w);
    assert_int_equal(keys_of(b).key_count, 2);
    assert_true(keys_of(b).keys[0].out > 0);
    for (uint32_t i = 0; i < PEERS; i++)
        tcpao_chain_put(f[i].chain);
    assert_nothing_refused(w);
    world_free(w);
}

static unsigned seen_sessions, seen_connections;
static char seen_name[64];

static void note_session(void *ctx, const struct ao_session_view *v)
{
    seen_sessions++;
    assert_true(v->own_keys);
    assert_true(v->owner != 0);
    assert_string_equal(v->policy->chain_name, "(socket)");
    snprintf(seen_name, sizeof(seen_name), "%s %zu", v->policy->name, v->connections);
}

static void note_connection(void *ctx, const struct ao_connection_view *v)
{
    seen_connections++;
    assert_true(v->own_keys);
    assert_string_equal(v->session, "listener");
}

static void flows_are_shown_cleared_and_reset(void **state)
{
    struct world *w = world_of_sockets(false);
    struct side *b = &w->side[1];

    open_and_talk(w);
    seen_sessions = seen_connections = 0;
    ao_engine_each_session(b->engine, note_session, NULL);
    ao_engine_each_connection(b->engine, note_connection, NULL);
    assert_int_equal(seen_sessions, 1);
    assert_int_equal(seen_connections, 1);
    assert_string_equal(seen_name, "listener 1");
    assert_true(ao_engine_clear(b->engine, "listener"));
    assert_false(ao_engine_clear(b->engine, "caller"));
    assert_int_equal(ao_engine_reset(b->engine, side_now(b), "listener", NULL), 1);
    assert_int_equal(b->aborts, 1);
    toy_write(&w->side[0].tcp, w->now_ms, 10);
    world_run(w, w->now_ms + 1000);
    assert_int_equal(b->tcp.resets, 1);
    world_free(w);
}

static unsigned to_lose;

static bool lose_syn_acks(struct world *w, struct side *from, uint8_t *packet, size_t *len)
{
    return from == &w->side[0] || to_lose == 0 || to_lose-- == 0;
}

static void a_syn_that_comes_again_moves_no_key(void **state)
{
    struct world *w = world_of_sockets(false);
    struct side *b = &w->side[1];

    to_lose = 2;
    w->tap = lose_syn_acks;
    toy_connect(&w->side[0].tcp, 0);
    world_run(w, 500);
    assert_keys(b, 1, 1);
    assert_true(change(b, &(struct ao_keys_change){.set_rnext = true, .rnext_key = 2}));
    world_run(w, 10000);
    assert_int_equal(to_lose, 0);
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    assert_int_equal(b->events[AO_EVENT_CONNECTION_OPENING], 1);
    talk_more(w);
    assert_keys(b, 1, 2);
    assert_keys(&w->side[0], 1, 2);
    assert_nothing_refused(w);
    world_free(w);
}

/* ---- Who is covered ------------------------------------------------------------------------- */

static void an_unsigned_caller_is_refused(void **state)
{
    struct world *w = world_of_sockets(false);

    take_away(&w->side[0]);
    toy_connect(&w->side[0].tcp, 0);
    world_run(w, 5000);
    assert_int_equal(w->side[1].tcp.state, TOY_LISTEN);
    assert_true(ao_engine_zone_counters(w->side[1].engine, 0)[TCPAO_MISSING_AO] >= 2);
    world_free(w);
}

static void unknown_keys_and_lengths_are_refused(void **state)
{
    struct tcpao_mkt mkt = key(1, 5, 200);
    struct world *w = world_of_sockets(false);
    struct side *b = &w->side[1];

    give(&w->side[0], flow_of(&w->side[0], 179), &mkt, 1);
    toy_connect(&w->side[0].tcp, 0);
    world_run(w, 1000);
    assert_int_equal(side_count(b, TCPAO_UNKNOWN_KEYID), 1);
    mkt = key(1, 100, 200);
    mkt.mac_len = 16;
    give(&w->side[0], flow_of(&w->side[0], 179), &mkt, 1);
    w->side[0].tcp.iss++;
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, w->now_ms + 1000);
    assert_int_equal(side_count(b, TCPAO_BAD_LENGTH), 1);
    mkt.mac_len = 12;
    mkt.secret = (const uint8_t *)"oth";
    give(&w->side[0], flow_of(&w->side[0], 179), &mkt, 1);
    w->side[0].tcp.iss++;
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, w->now_ms + 1000);
    assert_int_equal(side_count(b, TCPAO_BAD_MAC), 1);
    give(b, flow_of(b, 0), NULL, 0); /* no key at all: nobody comes in */
    world_run(w, w->now_ms + 3000);
    assert_int_equal(side_count(b, TCPAO_UNKNOWN_KEYID), 2);
    assert_int_equal(b->tcp.state, TOY_LISTEN);
    world_free(w);
}

static void every_mac_length_that_fits_a_syn(void **state)
{
    for (uint8_t n = 1; n <= 16; n++) {
        struct tcpao_mkt mkt = key(1, n, n);
        struct world *w = world_new(3, false);

        no_policies(w);
        mkt.mac_len = n;
        give(&w->side[0], flow_of(&w->side[0], 179), &mkt, 1);
        give(&w->side[1], flow_of(&w->side[1], 0), &mkt, 1);
        open_and_talk(w);
        talk_more(w);
        assert_nothing_refused(w);
        assert_true(w->side[0].tcp.stamps);
        assert_int_equal(w->side[0].tcp.peer_mss, 1440); /* a longer MAC may follow */
        world_free(w);
    }
}

static void who_matches_no_flow_passes_unless_it_is_signed(void **state)
{
    const struct tcpao_mkt mkt = key(1, 1, 1);
    struct world *w = world_new(3, false);
    struct side *b = &w->side[1];
    struct ao_socket_flow f = flow_of(b, 0);

    no_policies(w);
    f.peer.addr.octets[3] ^= 64;
    give(b, f, &mkt, 1);
    open_and_talk(w);
    assert_int_equal(side_count(b, AO_COUNT_SIGNED), 0);

    give(&w->side[0], flow_of(&w->side[0], 179), &mkt, 1);
    b->tcp.state = TOY_LISTEN;
    w->side[0].tcp.iss += 1000000;
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, w->now_ms + 100);
    assert_int_equal(b->tcp.state, TOY_SYN_RECEIVED); /* Linux's stack skips the option */
    b->tcp.state = TOY_LISTEN;
    b->tcp.rto_at = 0;
    ao_engine_set_strict(b->engine, 0, true);
    world_run(w, w->now_ms + 3000);
    assert_int_equal(b->tcp.state, TOY_LISTEN);
    assert_int_equal(ao_engine_zone_counters(b->engine, 0)[AO_COUNT_UNEXPECTED_AO], 1);
    ao_engine_set_strict(b->engine, 0, false);
    world_run(w, w->now_ms + 3000);
    assert_int_equal(b->tcp.state, TOY_SYN_RECEIVED);
    world_free(w);
}

static void the_better_flow_wins_and_any_flow_before_a_policy(void **state)
{
    const struct tcpao_mkt right = key(1, 100, 200), wrong = key(1, 9, 9);
    struct world *w = world_of_sockets(false);
    struct side *b = &w->side[1];
    struct tcpao_chain *c = chain_of(&wrong, 1);
    struct ao_socket_flow f[4];

    /* For the same port: any peer, a wider prefix, this peer, this peer and this local address. */
    for (size_t i = 0; i < 4; i++) {
        f[i] = flow_of(b, 0);
        f[i].chain = c;
        f[i].name = "wrong";
    }
    f[0].peer = (struct gh_prefix){.addr = {.len = 4}};
    f[1].peer.addr.octets[3] = 0;
    f[1].peer.bits = 24;
    f[3].local = address(&b->tcp.me);
    f[3].chain = chain_of((struct tcpao_mkt[]){key(1, 200, 100), key(2, 201, 101)}, 2);
    f[3].name = "listener";
    side_protect(b, c, "core", AO_REQUIRED);
    assert_true(ao_engine_set_socket(b->engine, side_now(b), OWNER, f, 4));
    tcpao_chain_put(f[3].chain);
    open_and_talk(w);
    seen_connections = 0;
    ao_engine_each_connection(b->engine, note_connection, NULL);
    assert_int_equal(seen_connections, 1);
    side_protect(b, c, "edge", AO_REQUIRED);
    talk_more(w);
    tcpao_chain_put(c);

    /* And the flow of one connection before a listener's on the same port. */
    give(&w->side[0], flow_of(&w->side[0], 0), &wrong, 1);
    f[0] = flow_of(&w->side[0], 179);
    f[0].owner = 2;
    give(&w->side[0], f[0], &right, 1);
    w->side[0].tcp.state = TOY_CLOSED;
    w->side[0].tcp.iss += 1000000;
    b->tcp.state = TOY_LISTEN;
    b->tcp.iss += 1000000;
    open_and_talk(w);
    assert_nothing_refused(w);
    world_free(w);
}

static void policies_and_sockets_leave_each_other_alone(void **state)
{
    const struct tcpao_mkt mkt = key(1, 1, 1);
    struct tcpao_chain *c = chain_of(&mkt, 1);
    struct world *w = world_new(3, false);

    /* A connection of a policy goes on under it when sockets get keys. */
    side_protect(&w->side[0], c, "core", AO_REQUIRED);
    side_protect(&w->side[1], c, "core", AO_REQUIRED);
    open_and_talk(w);
    give(&w->side[0], flow_of(&w->side[0], 179), (struct tcpao_mkt[]){key(1, 2, 2)}, 1);
    give(&w->side[1], flow_of(&w->side[1], 0), (struct tcpao_mkt[]){key(1, 2, 2)}, 1);
    talk_more(w);
    assert_null(keys_of(&w->side[0]).keys);
    assert_false(
        change(&w->side[0], &(struct ao_keys_change){.set_current = true, .current_key = 1}));
    assert_true(change(&w->side[0],
                       &(struct ao_keys_change){.set_accept_icmp = true, .accept_icmp = true}));
    assert_true(keys_of(&w->side[0]).accept_icmp);
    side_protect(&w->side[0], c, "core", AO_REQUIRED);
    talk_more(w);
    assert_nothing_refused(w);
    /* The next life is the socket's. */
    w->side[0].tcp.state = TOY_CLOSED;
    w->side[0].tcp.iss += 1000000;
    w->side[1].tcp.state = TOY_LISTEN;
    w->side[1].tcp.iss += 1000000;
    w->side[0].tcp.received = w->side[1].tcp.received = 0;
    open_and_talk(w);
    assert_int_equal(tcpao_chain_at(keys_of(&w->side[0]).chain, 0)->send_id, 2);
    assert_int_equal(tcpao_chain_at(keys_of(&w->side[1]).chain, 0)->send_id, 2);
    assert_non_null(keys_of(&w->side[1]).keys);
    assert_nothing_refused(w);
    /* And the one after it is the policy's again. */
    take_away(&w->side[0]);
    take_away(&w->side[1]);
    w->side[0].tcp.state = TOY_CLOSED;
    w->side[0].tcp.iss += 1000000;
    w->side[1].tcp.state = TOY_LISTEN;
    w->side[1].tcp.iss += 1000000;
    open_and_talk(w);
    assert_null(keys_of(&w->side[0]).keys);
    assert_null(keys_of(&w->side[1]).keys);
    assert_nothing_refused(w);
    tcpao_chain_put(c);
    world_free(w);
}

static void md5_and_ao_never_meet(void **state)
{
    struct world *w = world_of_sockets(false);
    static uint8_t packet[64] = {0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6};
    struct ao_packet p = {.data = packet, .len = 60, .mtu = 1500};
    struct ao_result r;

    memcpy(packet + 12, w->side[0].tcp.me.addr, 4);
    memcpy(packet + 16, w->side[0].tcp.peer.addr, 4);
    memcpy(packet + 20, (uint8_t[]){0x9c, 0x40, 0, 179, 1, 2, 3, 4, 0, 0, 0, 0, 10 << 4, 2}, 14);
    memcpy(packet + 40, (uint8_t[]){19, 18}, 2);
    packet[58] = packet[59] = 1;
    for (size_t i = 0; i < 2; i++) {
        p.way = i == 0 ? AO_OUT : AO_IN;
        ao_engine_packet(w->side[i].engine, side_now(&w->side[i]), &p, &r);
        assert_int_equal(r.verdict, AO_DROP);
        assert_int_equal(r.counter, TCPAO_MD5_CLASH);
    }
    world_free(w);
}

/* ---- To itself ------------------------------------------------------------------------------- */

/* A socket that connects to its own address and port: its SYN comes in again and crosses itself. */
static struct world *self_connected(const struct tcpao_mkt *keys, size_t count)
{
    struct world *w = world_new(3, true);
    struct side *s = &w->side[0];

    no_policies(w);
    s->looped = true;
    s->tcp.peer = s->tcp.me;
    give(s, flow_of(s, s->tcp.me.port), keys, count);
    toy_connect(&s->tcp, 0);
    world_run(w, 5000);
    assert_int_equal(s->tcp.state, TOY_ESTABLISHED);
    toy_write(&s->tcp, w->now_ms, 3000);
    world_run(w, w->now_ms + 5000);
    assert_int_equal(s->tcp.received, 3000);
    return w;
}

static void assert_talks_to_itself(struct world *w)
{
    struct side *s = &w->side[0];
    uint64_t before = s->tcp.received;

    toy_write(&s->tcp, w->now_ms, 3000);
    world_run(w, w->now_ms + 5000);
    assert_int_equal(s->tcp.received, before + 3000);
    assert_int_equal(s->tcp.broken + s->tcp.resets, 0);
    assert_int_equal(side_refused(s), 0);
}

static void a_socket_may_connect_to_itself(void **state)
{
    const struct tcpao_mkt same = key(1, 100, 100), crossed[] = {key(1, 5, 7), key(2, 7, 5)};
    struct world *w = self_connected(&same, 1);
    struct tcpao_conn_state st = keys_of(&w->side[0]).conn;

    assert_talks_to_itself(w);
    assert_true(st.local_isn_known && st.remote_isn_known);
    assert_int_equal(st.local_isn, w->side[0].tcp.iss);
    assert_int_equal(st.remote_isn, w->side[0].tcp.iss);
    assert_keys(&w->side[0], 1, 1);
    world_free(w);

    /* It asks itself for the key whose RecvID is 5, which is the SendID of the other one. */
    w = self_connected(crossed, 2);
    assert_keys(&w->side[0], 1, 2);
    assert_talks_to_itself(w);
    assert_true(change(&w->side[0], &(struct ao_keys_change){.set_rnext = true, .rnext_key = 1}));
    assert_talks_to_itself(w);
    assert_talks_to_itself(w);
    assert_keys(&w->side[0], 2, 1);
    world_free(w);
}

static void sockets_may_open_at_once(void **state)
{
    const struct tcpao_mkt client[] = {key(1, 1, 2), key(2, 3, 4)};
    const struct tcpao_mkt server[] = {key(1, 2, 1), key(2, 4, 3)};
    struct world *w = world_new(3, false);
    struct ao_socket_flow a = flow_of(&w->side[0], 179), b = flow_of(&w->side[1], 40000);

    no_policies(w);
    a.current_known = a.rnext_known = b.current_known = b.rnext_known = true;
    a.current_key = a.rnext_key = 2;
    b.current_key = b.rnext_key = 1;
    give(&w->side[0], a, client, 2);
    give(&w->side[1], b, server, 2);
    toy_connect(&w->side[0].tcp, 0);
    toy_connect(&w->side[1].tcp, 0);
    world_run(w, 5000);
    talk_more(w);
    talk_more(w);
    assert_nothing_refused(w);
    /* Each keeps asking for the key that its socket chose. */
    assert_keys(&w->side[0], 1, 2);
    assert_keys(&w->side[1], 2, 1);
    world_free(w);
}

/* ---- ICMP ------------------------------------------------------------------------------------ */

/* "Host unreachable: port" about side 0's segments, as from the network. */
static enum ao_verdict port_unreachable(struct world *w)
{
    struct side *s = &w->side[0];
    uint8_t packet[56] = {0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1};
    struct ao_packet p = {.way = AO_IN, .mtu = 1500, .data = packet, .len = sizeof(packet)};
    struct ao_result r;

    memcpy(packet + 12, s->tcp.peer.addr, 4);
    memcpy(packet + 16, s->tcp.me.addr, 4);
    packet[20] = 3;
    packet[21] = 3;
    memcpy(packet + 28, (uint8_t[]){0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6}, 10);
    memcpy(packet + 40, s->tcp.me.addr, 4);
    memcpy(packet + 44, s->tcp.peer.addr, 4);
    memcpy(packet + 48, (uint8_t[]){0x9c, 0x40, 0, 179, 0, 0, 0, 0}, 8);
    ao_engine_packet(s->engine, side_now(s), &p, &r);
    return r.verdict;
}

static void each_connection_says_what_becomes_of_icmp(void **state)
{
    const struct tcpao_mkt keys[] = {key(1, 100, 200), key(2, 101, 201)};
    struct world *w = world_of_sockets(false);
    struct side *s = &w->side[0];
    struct ao_keys_change yes = {.set_accept_icmp = true, .accept_icmp = true};
    struct ao_socket_flow f = flow_of(s, 179);

    open_and_talk(w);
    assert_int_equal(port_unreachable(w), AO_REPLACE); /* it names no connection */
    assert_int_equal(keys_of(s).counters[AO_COUNT_ICMP_IGNORED], 1);
    assert_int_equal(ao_engine_zone_counters(s->engine, 0)[AO_COUNT_ICMP_IGNORED], 1);
    f.accept_icmp = true;
    give(s, f, keys, 2); /* for connections to come */
    assert_int_equal(port_unreachable(w), AO_REPLACE);
    assert_true(change(s, &yes));
    assert_int_equal(port_unreachable(w), AO_PASS);
    assert_true(keys_of(s).accept_icmp);
    s->tcp.state = TOY_CLOSED;
    s->tcp.iss += 1000000;
    w->side[1].tcp.state = TOY_LISTEN;
    w->side[1].tcp.iss += 1000000;
    open_and_talk(w);
    assert_true(keys_of(s).accept_icmp);
    world_free(w);
}

static void counters_are_set(void **state)
{
    struct world *w = world_of_sockets(false);
    uint64_t counters[AO_COUNTERS] = {[TCPAO_BAD_MAC] = 42};

    open_and_talk(w);
    assert_true(change(&w->side[0], &(struct ao_keys_change){.counters = counters}));
    assert_int_equal(keys_of(&w->side[0]).counters[TCPAO_BAD_MAC], 42);
    assert_int_equal(keys_of(&w->side[0]).counters[TCPAO_OK], 0);
    talk_more(w);
    assert_true(keys_of(&w->side[0]).counters[TCPAO_OK] > 0);
    world_free(w);
}

/* ---- A restart, many, and numbers of zones
 * ------------------------------------------------------------- */

static void thousands_of_sockets(void **state)
{
    const struct tcpao_mkt mkt = key(1, 1, 1);
    struct world *w = world_of_sockets(false);
    struct side *b = &w->side[1];
    struct ao_socket_flow f = flow_of(b, 0);

    f.chain = chain_of(&mkt, 1);
    for (uint32_t i = 0; i < 5000; i++) {
        f.owner = 1000 + i;
        f.local_port = (uint16_t)(i % 2 == 0 ? 179 : 1000 + i);
        f.peer.addr.octets[1] = (uint8_t)(i >> 8);
        f.peer.addr.octets[2] = (uint8_t)i;
        assert_true(ao_engine_set_socket(b->engine, side_now(b), f.owner, &f, 1));
    }
    tcpao_chain_put(f.chain);
    open_and_talk(w);
    assert_nothing_refused(w);
    for (uint32_t i = 0; i < 5000; i++)
        assert_true(ao_engine_set_socket(b->engine, side_now(b), 1000 + i, NULL, 0));
    seen_sessions = 0;
    ao_engine_each_session(b->engine, note_session, NULL);
    assert_int_equal(seen_sessions, 1);
    talk_more(w);
    world_free(w);
}

static void restarts_reset_nothing(void **state)
{
    const struct tcpao_mkt client[] = {key(1, 100, 200), key(2, 101, 201)};
    const struct tcpao_mkt server[] = {key(1, 201, 101), key(2, 200, 100)};
    struct world *w = world_of_sockets(false);
    struct side *a = &w->side[0], *b = &w->side[1];
    struct tcpao_chain *c = chain_of((struct tcpao_mkt[]){key(1, 9, 9)}, 1);

    open_and_talk(w);
    assert_true(change(a, &(struct ao_keys_change){.set_rnext = true, .rnext_key = 1}));
    talk_more(w);
    assert_keys(a, 2, 1);
    side_restart(a);
    side_restart(b);
    give(a, flow_of(a, 179), client, 2);
    give(b, flow_of(b, 0), server, 2);
    side_protect(a, c, "core", AO_REQUIRED); /* a policy that covers them is not theirs */
    side_protect(b, c, "core", AO_REQUIRED);
    assert_int_equal(a->events[AO_EVENT_CONNECTION_RESTORED], 1);
    assert_keys(a, 2, 1);
    assert_keys(b, 2, 1);
    talk_more(w);
    assert_true(change(a, &(struct ao_keys_change){.set_rnext = true, .rnext_key = 2}));
    talk_more(w);
    assert_keys(b, 1, 1);
    assert_nothing_refused(w);

    /* Whose socket has no keys any more is not taken over, by the policy least of all. */
    side_restart(a);
    side_protect(a, c, "core", AO_REQUIRED);
    assert_false(get_keys(a, &(struct ao_connection_keys){.key_count = 0}));
    tcpao_chain_put(c);
    world_free(w);
}

/* The world's packets come in zone 0, whatever its name has become. */
static void zones_may_be_numbered_anew(void **state)
{
    const struct tcpao_mkt mkt = key(1, 1, 1);
    struct world *w = world_new(3, false);
    struct side *a = &w->side[0], *b = &w->side[1];
    struct ao_socket_flow red = flow_of(a, 179), blue = flow_of(a, 0);
    struct ao_policy p[] = {{.name = "r", .chain_name = "c", .zone_name = "red", .port = 1},
                            {.name = "b", .chain_name = "c", .zone_name = "blue", .port = 1}};
    uint64_t signed_before;

    no_policies(w);
    red.zone_name = "red";
    blue.zone_name = "blue";
    blue.owner = 2;
    blue.zone = 5;
    give(a, red, &mkt, 1);
    give(a, blue, (struct tcpao_mkt[]){key(1, 9, 9)}, 1);
    give(b, flow_of(b, 0), &mkt, 1);
    open_and_talk(w);
    signed_before = ao_engine_zone_counters(a->engine, 0)[AO_COUNT_SIGNED];
    assert_true(signed_before > 0);

    /* The policies exchange the two numbers: connection, flow and counters of "red" go to 5. */
    p[0].zone = 5;
    p[0].chain = p[1].chain = chain_of(&mkt, 1);
    p[0].peer = p[1].peer = (struct gh_prefix){.addr = {.len = 4}};
    assert_true(ao_engine_set_policies(a->engine, side_now(a), p, 2));
    assert_false(get_keys(a, &(struct ao_connection_keys){.key_count = 0}));
    assert_int_equal(ao_engine_zone_counters(a->engine, 5)[AO_COUNT_SIGNED], signed_before);
    assert_int_equal(ao_engine_zone_counters(a->engine, 0)[AO_COUNT_SIGNED], 0);
    assert_true(ao_engine_get_keys(a->engine, 5, &a->tcp.me, &a->tcp.peer,
                                   &(struct ao_connection_keys){.key_count = 0}));

    /* And back again, by a socket's word: the connection talks on. */
    assert_true(ao_engine_set_policies(a->engine, side_now(a), NULL, 0));
    give(a, red, &mkt, 1);
    give(a, blue, (struct tcpao_mkt[]){key(1, 9, 9)}, 1);
    talk_more(w);
    seen_sessions = 0;
    ao_engine_each_session(a->engine, note_session, NULL);
    assert_int_equal(seen_sessions, 2);
    assert_true(ao_engine_zone_counters(a->engine, 0)[AO_COUNT_SIGNED] > signed_before);
    assert_nothing_refused(w);
    tcpao_chain_put(p[0].chain);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_use_their_sockets_keys),
        cmocka_unit_test(keys_move_by_hand_and_by_the_peer),
        cmocka_unit_test(a_chain_is_changed_with_its_counters),
        cmocka_unit_test(a_connection_outlives_its_flow),
        cmocka_unit_test(ends_of_what_is_over_are_anybodys),
        cmocka_unit_test(a_listener_with_many_peers),
        cmocka_unit_test(flows_are_shown_cleared_and_reset),
        cmocka_unit_test(a_syn_that_comes_again_moves_no_key),
        cmocka_unit_test(an_unsigned_caller_is_refused),
        cmocka_unit_test(unknown_keys_and_lengths_are_refused),
        cmocka_unit_test(every_mac_length_that_fits_a_syn),
        cmocka_unit_test(who_matches_no_flow_passes_unless_it_is_signed),
        cmocka_unit_test(the_better_flow_wins_and_any_flow_before_a_policy),
        cmocka_unit_test(policies_and_sockets_leave_each_other_alone),
        cmocka_unit_test(md5_and_ao_never_meet),
        cmocka_unit_test(a_socket_may_connect_to_itself),
        cmocka_unit_test(sockets_may_open_at_once),
        cmocka_unit_test(each_connection_says_what_becomes_of_icmp),
        cmocka_unit_test(counters_are_set),
        cmocka_unit_test(restarts_reset_nothing),
        cmocka_unit_test(thousands_of_sockets),
        cmocka_unit_test(zones_may_be_numbered_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

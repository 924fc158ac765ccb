/* The engine between two toy TCPs: what passes, what is refused, what survives. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"
#include "wire/checksum.h"
#include "wire/ip.h"

static struct tcpao_chain *chain_of(struct tcpao_mkt mkt)
{
    struct tcpao_chain *c = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE);

    assert_int_equal(tcpao_chain_add(c, &mkt, NULL), TCPAO_CHAIN_OK);
    return c;
}

static struct tcpao_mkt forever(const char *secret)
{
    return test_key(1, 3, 8, secret, TCPAO_TIME_MIN, TCPAO_TIME_MAX);
}

static void protect(struct side *s, struct tcpao_mkt mkt, enum ao_mode mode)
{
    struct tcpao_chain *c = chain_of(mkt);

    side_protect(s, c, "core", mode);
    tcpao_chain_put(c);
}

/* Both ends with the same key, ids crossed. */
static struct world *protected_world(bool v6, struct tcpao_mkt mkt)
{
    struct world *w = world_new(7, v6);

    protect(&w->side[0], mkt, AO_REQUIRED);
    protect(&w->side[1], test_key_crossed(mkt), AO_REQUIRED);
    return w;
}

static void open_and_talk(struct world *w)
{
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    assert_int_equal(w->side[1].tcp.state, TOY_ESTABLISHED);
    toy_write(&w->side[0].tcp, w->now_ms, 5000);
    toy_write(&w->side[1].tcp, w->now_ms, 3000);
    world_run(w, w->now_ms + 10000);
}

static void assert_talked(struct world *w, uint64_t a, uint64_t b)
{
    assert_int_equal(w->side[1].tcp.received, a);
    assert_int_equal(w->side[0].tcp.received, b);
    assert_int_equal(w->side[0].tcp.broken + w->side[1].tcp.broken, 0);
    assert_int_equal(w->side[0].tcp.resets + w->side[1].tcp.resets, 0);
}

/* ---- What passes ---------------------------------------------------------------------------- */

static uint64_t seen_ao, seen_plain;

static bool count_options(struct world *w, struct side *from, uint8_t *packet, size_t *len)
{
    struct gh_ip_packet ip;
    struct tcpao_option o;
    const uint8_t *tcp;

    assert_int_equal(gh_ip_parse(packet, *len, &ip), GH_IP_OK);
    tcp = packet + ip.header_len;
    assert_int_equal(tcpao_option_find(tcp, (size_t)(tcp[12] >> 4) * 4, &o), TCPAO_OK);
    assert_int_equal(
        gh_sum_fold(gh_sum(tcp, ip.l4_len,
                           gh_sum_pseudo(&ip.src, &ip.dst, GH_IP_TCP, (uint32_t)ip.l4_len))),
        0);
    assert_true(*len <= 1500);
    seen_ao += o.ao;
    seen_plain += !o.ao;
    return true;
}

static void talk_with(bool v6, struct tcpao_mkt mkt, unsigned mss)
{
    struct world *w = protected_world(v6, mkt);

    seen_ao = seen_plain = 0;
    w->tap = count_options;
    open_and_talk(w);
    assert_talked(w, 5000, 3000);
    assert_int_equal(side_refused(&w->side[0]) + side_refused(&w->side[1]), 0);
    assert_true(seen_ao > 10);
    assert_int_equal(seen_plain, 0);
    assert_int_equal(w->side[0].tcp.peer_mss, mss);
    assert_int_equal(w->side[1].tcp.peer_mss, mss);
    assert_int_equal(w->side[0].events[AO_EVENT_CONNECTION_UP], 1);
    assert_int_equal(w->side[1].events[AO_EVENT_CONNECTION_UP], 1);
    world_free(w);
}

static void every_segment_is_signed_and_arrives_as_it_was(void **state)
{
    struct tcpao_mkt mkt = forever("a secret of some length");

    talk_with(false, mkt, 1460 - 20);
    talk_with(true, mkt, 1440 - 20);
    mkt.options_covered = false;
    talk_with(false, mkt, 1460 - 20);
    mkt.alg = TCPAO_AES_128_CMAC;
    mkt.mac_len = 16;
    talk_with(true, mkt, 1440 - 20);
    mkt.alg = TCPAO_HMAC_SHA_256;
    mkt.options_covered = true;
    talk_with(false, mkt, 1460 - 20);
    mkt.mac_len = 32; /* the SYN has room for its MSS only */
    talk_with(false, mkt, 1460 - 36);
}

static void both_ends_may_open_at_once(void **state)
{
    struct world *w = protected_world(false, forever("simultaneous"));

    toy_connect(&w->side[0].tcp, w->now_ms);
    toy_connect(&w->side[1].tcp, w->now_ms);
    world_run(w, 10000);
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    assert_int_equal(w->side[1].tcp.state, TOY_ESTABLISHED);
    toy_write(&w->side[0].tcp, w->now_ms, 4000);
    world_run(w, 20000);
    assert_talked(w, 4000, 0);
    assert_int_equal(side_refused(&w->side[0]) + side_refused(&w->side[1]), 0);
    world_free(w);
}

static void other_traffic_passes_untouched(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    struct side *s = &w->side[0];

    s->tcp.peer.port = w->side[1].tcp.me.port = 8080;
    open_and_talk(w);
    assert_talked(w, 5000, 3000);
    assert_int_equal(side_count(s, AO_COUNT_SIGNED), 0);
    world_free(w);
}

/* ---- What is refused ------------------------------------------------------------------------ */

static void wrong_key_is_refused_with_a_reason(void **state)
{
    struct world *w = world_new(7, false);

    protect(&w->side[0], forever("right"), AO_REQUIRED);
    protect(&w->side[1], test_key_crossed(forever("wrong")), AO_REQUIRED);
    toy_connect(&w->side[0].tcp, 0);
    world_run(w, 10000);
    assert_int_equal(w->side[1].tcp.state, TOY_LISTEN);
    assert_true(side_count(&w->side[1], TCPAO_BAD_MAC) >= 3);
    assert_int_equal(w->side[1].events[AO_EVENT_SEGMENT_REFUSED], 1);
    assert_non_null(strstr(w->side[1].last_refusal, "KeyID 3 RNextKeyID 8"));
    world_free(w);
}

static void unsigned_peer_is_refused_both_ways(void **state)
{
    struct world *w = world_new(7, false);

    protect(&w->side[1], forever("x"), AO_REQUIRED);
    toy_connect(&w->side[0].tcp, 0);
    world_run(w, 10000);
    assert_int_equal(w->side[1].tcp.state, TOY_LISTEN);
    assert_true(side_count(&w->side[1], TCPAO_MISSING_AO) >= 3);

    protect(&w->side[0], forever("x"), AO_REQUIRED);
    ao_engine_set_policies(w->side[1].engine, side_now(&w->side[1]), NULL, 0);
    world_run(w, 20000);
    assert_int_equal(w->side[0].tcp.state, TOY_SYN_SENT);
    assert_true(side_count(&w->side[0], TCPAO_MISSING_AO) >= 1);
    world_free(w);
}

/* A forger on the path who knows addresses, ports and sequence numbers, but no key. */
static void forge(struct world *w, struct side *to, uint8_t flags, uint32_t seq, uint32_t payload)
{
    struct side *from = to == &w->side[0] ? &w->side[1] : &w->side[0];
    struct ao_engine *engine = from->engine;

    from->engine = NULL;
    toy_emit(&from->tcp, flags, seq, payload);
    from->engine = engine;
    world_run(w, w->now_ms + 50);
}

static void forgeries_only_count(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    struct side *victim = &w->side[0], *peer = &w->side[1];
    uint64_t missing;

    open_and_talk(w);
    missing = side_count(victim, TCPAO_MISSING_AO);
    forge(w, victim, GH_TCP_RST, peer->tcp.snd_nxt, 0);
    forge(w, victim, GH_TCP_RST | GH_TCP_ACK, peer->tcp.snd_nxt, 0);
    forge(w, victim, GH_TCP_FIN | GH_TCP_ACK, peer->tcp.snd_nxt, 0);
    forge(w, victim, GH_TCP_ACK, peer->tcp.snd_nxt, 100);
    forge(w, victim, GH_TCP_SYN, 12345, 0);
    assert_int_equal(side_count(victim, TCPAO_MISSING_AO), missing + 5);
    assert_int_equal(victim->tcp.state, TOY_ESTABLISHED);
    toy_write(&peer->tcp, w->now_ms, 2000);
    world_run(w, w->now_ms + 10000);
    assert_talked(w, 5000, 5000);
    world_free(w);
}

static uint8_t captured[2048];
static size_t captured_len;

static bool capture_data(struct world *w, struct side *from, uint8_t *packet, size_t *len)
{
    if (from == &w->side[1] && *len > 500 && *len < sizeof(captured)) {
        memcpy(captured, packet, *len);
        captured_len = *len;
    }
    return true;
}

static void every_flipped_bit_is_refused(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    uint64_t before;

    w->tap = capture_data;
    open_and_talk(w);
    assert_true(captured_len > 500);
    before = w->side[0].dropped_in;
    for (size_t bit = 20 * 8; bit < 120 * 8; bit++) {
        captured[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        if (bit / 8 != 20 + 16 && bit / 8 != 20 + 17 && bit / 8 >= 24) /* ports, checksum */
            world_inject(w, &w->side[0], captured, captured_len);
        captured[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
    }
    assert_int_equal(w->side[0].dropped_in - before, (120 - 24 - 2) * 8);
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    world_free(w);
}

static void replay_into_the_next_connection_is_refused(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    uint64_t before;

    w->tap = capture_data;
    open_and_talk(w);
    w->side[0].tcp.state = TOY_CLOSED;
    w->side[0].tcp.iss += 77777;
    w->side[1].tcp.state = TOY_LISTEN;
    w->side[1].tcp.iss += 99999;
    w->side[0].tcp.received = w->side[1].tcp.received = 0;
    w->tap = NULL;
    open_and_talk(w);
    assert_talked(w, 5000, 3000);
    before = side_count(&w->side[0], TCPAO_BAD_MAC);
    world_inject(w, &w->side[0], captured, captured_len);
    assert_int_equal(side_count(&w->side[0], TCPAO_BAD_MAC), before + 1);
    world_free(w);
}

static void replay_within_a_connection_is_counted_and_harmless(void **state)
{
    struct world *w = protected_world(false, forever("x"));

    w->tap = capture_data;
    open_and_talk(w);
    assert_int_equal(side_count(&w->side[0], AO_COUNT_REPEATED), 0);
    for (unsigned i = 0; i < 10; i++)
        world_inject(w, &w->side[0], captured, captured_len);
    assert_int_equal(side_count(&w->side[0], AO_COUNT_REPEATED), 10);
    assert_talked(w, 5000, 3000);
    world_free(w);
}

static void replayed_syn_does_not_end_a_connection(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    struct side *server = &w->side[1];

    open_and_talk(w);
    toy_emit(&w->side[0].tcp, GH_TCP_SYN, w->side[0].tcp.iss, 0);
    /* The client's own stack would never; its engine took it for a retransmission. */
    server->tcp.iss = 0x10000000;
    world_run(w, w->now_ms + 1000);
    toy_write(&server->tcp, w->now_ms, 1000);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(server->tcp.state, TOY_ESTABLISHED);
    world_free(w);
}

static void expired_chain_fails_closed(void **state)
{
    struct world *w = world_new(7, false);
    struct tcpao_mkt mkt = forever("x");
    uint64_t received;

    mkt.send.until = mkt.accept.until = w->epoch + 3600;
    protect(&w->side[0], mkt, AO_REQUIRED);
    protect(&w->side[1], test_key_crossed(mkt), AO_REQUIRED);
    open_and_talk(w);
    world_run(w, 3601 * 1000);
    received = w->side[1].tcp.received;
    toy_write(&w->side[0].tcp, w->now_ms, 1000);
    world_run(w, w->now_ms + 20000);
    assert_int_equal(w->side[1].tcp.received, received);
    assert_true(side_count(&w->side[0], TCPAO_NO_SEND_KEY) > 0);
    assert_int_equal(w->side[0].events[AO_EVENT_CHAIN_EXPIRED], 1);
    world_free(w);
}

static void warnings_come_before_expiry(void **state)
{
    static const int64_t before[] = {30 * 86400, 7 * 86400, 86400};
    struct world *w = world_new(7, false);
    struct tcpao_mkt mkt = forever("x");
    struct ao_policy p = {.name = "peer", .chain_name = "core", .port = 179, .warn_count = 3};
    uint64_t day = 86400000;

    mkt.send.until = mkt.accept.until = w->epoch + 40 * 86400;
    p.warn_before = before;
    p.chain = chain_of(mkt);
    assert_true(gh_prefix_parse("192.0.2.2", &p.peer));
    assert_true(ao_engine_set_policies(w->side[0].engine, side_now(&w->side[0]), &p, 1));
    tcpao_chain_put(p.chain);
    for (uint64_t d = 1; d <= 41; d++) {
        static const unsigned told[] = {[9] = 0, [11] = 1, [32] = 1, [34] = 2, [38] = 2, [40] = 3};

        world_run(w, d * day);
        ao_engine_tick(w->side[0].engine, side_now(&w->side[0]));
        if (d < 41 && (d == 9 || told[d] != 0))
            assert_int_equal(w->side[0].events[AO_EVENT_CHAIN_EXPIRING], told[d]);
    }
    assert_int_equal(w->side[0].events[AO_EVENT_CHAIN_EXPIRED], 1);
    world_free(w);
}

static void direction_is_enforced(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    struct tcpao_mkt mkt = test_key_crossed(forever("x"));
    struct ao_policy p = {.name = "peer", .chain_name = "core", .port = 179};

    p.chain = chain_of(mkt);
    p.direction = AO_ACTIVE; /* side 1 listens on 179, but may only open itself */
    assert_true(gh_prefix_parse("192.0.2.1", &p.peer));
    ao_engine_set_policies(w->side[1].engine, side_now(&w->side[1]), &p, 1);
    tcpao_chain_put(p.chain);
    toy_connect(&w->side[0].tcp, 0);
    world_run(w, 5000);
    assert_int_equal(w->side[1].tcp.state, TOY_LISTEN);
    assert_true(side_count(&w->side[1], AO_COUNT_REFUSED_DIRECTION) > 0);
    world_free(w);
}

/* ---- What the operator allowed -------------------------------------------------------------- */

static void allow_without_ao_lets_an_old_peer_in(void **state)
{
    struct world *w = world_new(7, false);

    protect(&w->side[1], forever("x"), AO_ALLOW_WITHOUT); /* passive side allows */
    open_and_talk(w);
    assert_talked(w, 5000, 3000);
    assert_true(side_count(&w->side[1], AO_COUNT_RECEIVED_UNSIGNED) > 0);
    world_free(w);

    w = world_new(7, false);
    protect(&w->side[0], forever("x"), AO_ALLOW_WITHOUT); /* active side allows */
    open_and_talk(w);
    assert_talked(w, 5000, 3000);
    assert_int_equal(w->side[0].events[AO_EVENT_DOWNGRADE], 1);
    world_free(w);
}

static void allow_without_ao_still_protects_who_can(void **state)
{
    struct world *w = world_new(7, false);

    protect(&w->side[0], forever("x"), AO_ALLOW_WITHOUT);
    protect(&w->side[1], test_key_crossed(forever("x")), AO_ALLOW_WITHOUT);
    open_and_talk(w);
    assert_talked(w, 5000, 3000);
    assert_int_equal(side_count(&w->side[1], AO_COUNT_RECEIVED_UNSIGNED), 0);
    forge(w, &w->side[1], GH_TCP_RST, w->side[0].tcp.snd_nxt, 0);
    assert_int_equal(w->side[1].tcp.state, TOY_ESTABLISHED);
    world_free(w);
}

static void accept_mismatch_shouts(void **state)
{
    struct world *w = world_new(7, false);

    protect(&w->side[0], forever("one"), AO_ACCEPT_MISMATCH);
    protect(&w->side[1], test_key_crossed(forever("two")), AO_ACCEPT_MISMATCH);
    open_and_talk(w);
    assert_talked(w, 5000, 3000);
    assert_true(side_count(&w->side[1], AO_COUNT_MISMATCH_ACCEPTED) > 0);
    assert_int_equal(w->side[1].events[AO_EVENT_DOWNGRADE], 1);
    world_free(w);
}

/* ---- What survives -------------------------------------------------------------------------- */

static void restarts_of_the_engine_reset_nothing(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    uint64_t octets = 5000;

    open_and_talk(w);
    for (unsigned i = 0; i < 20; i++) {
        toy_write(&w->side[0].tcp, w->now_ms, 3000);
        octets += 3000;
        side_restart(&w->side[i % 2]);
        protect(&w->side[i % 2], i % 2 == 0 ? forever("x") : test_key_crossed(forever("x")),
                AO_REQUIRED);
        world_run(w, w->now_ms + 5000);
    }
    assert_talked(w, octets, 3000);
    assert_true(w->side[0].events[AO_EVENT_CONNECTION_RESTORED] >= 10);
    assert_int_equal(side_refused(&w->side[0]) + side_refused(&w->side[1]), 0);
    world_free(w);
}

static void connection_older_than_the_engine_is_named_and_reset(void **state)
{
    struct world *w = world_new(7, false);
    struct gh_addr any = {.len = 0};

    open_and_talk(w);
    protect(&w->side[0], forever("x"), AO_REQUIRED);
    toy_write(&w->side[0].tcp, w->now_ms, 100);
    toy_write(&w->side[1].tcp, w->now_ms, 100);
    world_run(w, w->now_ms + 3000);
    assert_true(side_count(&w->side[0], AO_COUNT_NO_CONNECTION) > 0);
    assert_true(w->side[0].events[AO_EVENT_NO_HANDSHAKE] >= 1);
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    assert_int_equal(ao_engine_reset(w->side[0].engine, side_now(&w->side[0]), "peer", &any), 1);
    assert_int_equal(w->side[0].aborts, 1);
    assert_int_equal(w->side[0].aborted_port, w->side[0].tcp.me.port);
    world_run(w, w->now_ms + 5000);
    assert_int_equal(w->side[0].tcp.resets, 1);
    world_free(w);
}

static void reset_session_resets_a_protected_one(void **state)
{
    struct world *w = protected_world(false, forever("x"));

    open_and_talk(w);
    assert_int_equal(ao_engine_reset(w->side[0].engine, side_now(&w->side[0]), "peer", NULL), 1);
    assert_int_equal(w->side[0].aborts, 1);
    toy_write(&w->side[1].tcp, w->now_ms, 10);
    world_run(w, w->now_ms + 1000);
    assert_int_equal(w->side[0].tcp.resets, 1);
    assert_int_equal(w->side[0].tcp.broken, 0);
    world_free(w);
}

static void reload_with_another_chain_keeps_the_connection(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    struct tcpao_chain *other = chain_of(forever("something else"));

    open_and_talk(w);
    side_protect(&w->side[0], other, "other", AO_REQUIRED);
    tcpao_chain_put(other);
    toy_write(&w->side[0].tcp, w->now_ms, 1000);
    world_run(w, w->now_ms + 5000);
    assert_talked(w, 6000, 3000);
    world_free(w);
}

static void note_current_key(void *ctx, const struct ao_connection_view *view)
{
    *(uint32_t *)ctx = view->conn.current_key;
}

/* What a reload does to keys that are in use with `old`: both ends get `new` besides, and prefer
 * it. */
static void add_key(struct world *w, struct tcpao_mkt old, struct tcpao_mkt new)
{
    for (size_t i = 0; i < 2; i++) {
        struct tcpao_chain *c = chain_of(i == 0 ? old : test_key_crossed(old));
        struct tcpao_mkt mkt = i == 0 ? new : test_key_crossed(new);

        assert_int_equal(tcpao_chain_add(c, &mkt, NULL), TCPAO_CHAIN_OK);
        side_protect(&w->side[i], c, "core", AO_REQUIRED);
        tcpao_chain_put(c);
        w->side[i].tcp.segment = w->side[i].tcp.peer_mss - 12u; /* timestamps */
    }
    for (size_t i = 0; i < 3; i++) {
        toy_write(&w->side[0].tcp, w->now_ms, 5000);
        toy_write(&w->side[1].tcp, w->now_ms, 5000);
        world_run(w, w->now_ms + 5000);
    }
}

/* count_options asserts that no segment outgrows the link. */
static void a_key_with_a_longer_mac_may_come_later(void **state)
{
    struct tcpao_mkt old = forever("x"),
                     new = test_key(2, 4, 9, "y", TCPAO_TIME_MIN + 1, TCPAO_TIME_MAX);
    struct world *w = protected_world(false, old);

    new.mac_len = 16;
    w->tap = count_options;
    open_and_talk(w);
    add_key(w, old, new);
    assert_talked(w, 20000, 18000);
    for (size_t i = 0; i < 2; i++) {
        uint32_t current = 0;

        ao_engine_each_connection(w->side[i].engine, note_current_key, &current);
        assert_int_equal(current, 2);
    }
    world_free(w);
}

/* Which the reload warns of: `longer-mac`. */
static void a_mac_of_32_octets_has_no_room_beside_timestamps(void **state)
{
    struct tcpao_mkt old = forever("x"),
                     new = test_key(2, 4, 9, "y", TCPAO_TIME_MIN + 1, TCPAO_TIME_MAX);
    struct world *w = protected_world(false, old);

    new.alg = TCPAO_HMAC_SHA_256;
    new.mac_len = 32;
    open_and_talk(w);
    add_key(w, old, new);
    assert_true(side_count(&w->side[0], TCPAO_NO_SPACE) > 0);
    assert_true(w->side[1].tcp.received < 20000);
    assert_int_equal(w->side[1].tcp.broken, 0);
    world_free(w);
}

/* ---- Silence -------------------------------------------------------------------------------- */

static void answer(struct side *s, bool closing)
{
    ao_engine_local_gone(s->engine, side_now(s), 0, &s->tcp.me, &s->tcp.peer, closing);
}

static void note_state(void *ctx, const struct ao_connection_view *view)
{
    *(enum ao_state *)ctx = view->state;
}

/* Of the only connection. */
static enum ao_state state_at(const struct side *s)
{
    enum ao_state state = AO_STATE_SYN_SENT;

    ao_engine_each_connection(s->engine, note_state, &state);
    return state;
}

/* Until a side was asked about once more; how long it took. */
static uint64_t until_asked(struct world *w, struct side *s)
{
    unsigned before = s->lookups;
    uint64_t start = w->now_ms;

    while (s->lookups == before && w->now_ms < start + 200000)
        world_run(w, w->now_ms + 100);
    return w->now_ms - start;
}

static void silent_connections_are_asked_about(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    struct side *s = &w->side[0];
    uint64_t wait;

    open_and_talk(w);
    assert_int_equal(s->lookups, 0);
    toy_write(&w->side[1].tcp, w->now_ms, 10);
    wait = until_asked(w, s);
    assert_true(wait > 20000 && wait <= 30200);
    wait = until_asked(w, s); /* nobody answered: all stays, and it is asked again */
    assert_true(wait >= 20000 && wait <= 60000);
    assert_int_equal(state_at(s), AO_STATE_ESTABLISHED);
    for (unsigned i = 0; i < 20; i++) { /* who speaks is not asked about */
        toy_write(&w->side[1].tcp, w->now_ms, 10);
        world_run(w, w->now_ms + 10000);
    }
    assert_int_equal(s->lookups, 2);
    world_free(w);
}

/* The toy keeps sending: only the peer's segments break a silence. */
static void own_retransmissions_are_no_sign_of_life(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    struct side *s = &w->side[0];

    open_and_talk(w);
    w->loss = 1000;
    world_run(w, w->now_ms + 1037); /* the toy's timer must not meet the engine's */
    toy_write(&s->tcp, w->now_ms, 10);
    assert_true(until_asked(w, s) <= 30200);
    answer(s, true);
    assert_int_equal(state_at(s), AO_STATE_CLOSING);
    assert_int_equal(s->events[AO_EVENT_CONNECTION_CLOSED], 0);
    s->tcp.rto_at = 0; /* and now it gives up */
    assert_true(until_asked(w, s) <= 60000);
    answer(s, false);
    assert_int_equal(state_at(s), AO_STATE_CLOSED);
    assert_int_equal(s->events[AO_EVENT_CONNECTION_CLOSED], 1);
    answer(s, false);
    assert_int_equal(s->events[AO_EVENT_CONNECTION_CLOSED], 1);
    side_restart(s);
    protect(s, forever("x"), AO_REQUIRED);
    assert_int_equal(state_at(s), AO_STATE_CLOSED);
    world_free(w);
}

static void answers_that_nobody_asked_for_do_nothing(void **state)
{
    struct world *w = protected_world(true, forever("x"));
    struct side *s = &w->side[0];
    struct tcpao_endpoint other = w->side[0].tcp.me;

    open_and_talk(w);
    answer(s, false);
    assert_int_equal(state_at(s), AO_STATE_ESTABLISHED);
    until_asked(w, s);
    other.port++;
    ao_engine_local_gone(s->engine, side_now(s), 0, &other, &s->tcp.peer, false);
    ao_engine_local_gone(s->engine, side_now(s), 1, &s->tcp.me, &s->tcp.peer, false);
    assert_int_equal(state_at(s), AO_STATE_ESTABLISHED);
    /* The answer is late: the stack has spoken since. */
    toy_write(&s->tcp, w->now_ms, 10);
    answer(s, false);
    assert_int_equal(state_at(s), AO_STATE_ESTABLISHED);
    world_run(w, w->now_ms + 1000);
    assert_talked(w, 5010, 3000);
    world_free(w);
}

/* A new life on the same ports begins between question and answer; its SYN may be refused, because
 * the chain has ended meanwhile. */
static void an_answer_about_the_life_before_does_nothing(void **state)
{
    for (unsigned expired = 0; expired <= 1; expired++) {
        struct world *w = protected_world(false, forever("x"));
        struct side *s = &w->side[0];
        struct tcpao_mkt ended = forever("x");

        open_and_talk(w);
        w->loss = 1000;
        until_asked(w, s);
        ended.send.until = ended.accept.until = side_now(s).wall - 1000;
        if (expired)
            protect(s, ended, AO_REQUIRED);
        s->tcp.state = TOY_CLOSED;
        s->tcp.iss += 100000;
        toy_connect(&s->tcp, w->now_ms);
        assert_int_equal(s->dropped_out, expired);
        assert_int_equal(state_at(s), AO_STATE_SYN_SENT);
        answer(s, false);
        assert_int_equal(state_at(s), AO_STATE_SYN_SENT);
        world_free(w);
    }
}

enum { CROWD = 1000 };

static void count_lookup(void *ctx, uint16_t zone, const struct tcpao_endpoint *local,
                         const struct tcpao_endpoint *remote)
{
    uint8_t *asked = ctx;

    asked[local->port - 10000]++;
}

/* SYNs from many ports, then silence: each gets its turn, a bounded number at a time. */
static void of_a_crowd_all_are_asked_about_a_few_at_a_time(void **state)
{
    static uint8_t asked[CROWD];
    struct ao_engine_settings settings = {
        .max_connections = CROWD, .lookup = count_lookup, .event_ctx = asked};
    struct world *w = protected_world(false, forever("x"));
    struct ao_engine *old = w->side[0].engine;
    uint64_t before = 0;

    w->side[0].engine = ao_engine_new(&settings);
    protect(&w->side[0], forever("x"), AO_REQUIRED);
    w->loss = 1000;
    for (uint16_t i = 0; i < CROWD; i++) {
        w->side[0].tcp.me.port = (uint16_t)(10000 + i);
        w->side[0].tcp.state = TOY_CLOSED;
        toy_connect(&w->side[0].tcp, w->now_ms);
    }
    w->side[0].tcp.rto_at = 0;
    for (unsigned sweep = 0; sweep < 12; sweep++) {
        uint64_t sum = 0;

        world_run(w, w->now_ms + 10000);
        for (size_t i = 0; i < CROWD; i++)
            sum += asked[i];
        assert_true(sum - before <= 200);
        before = sum;
    }
    for (size_t i = 0; i < CROWD; i++)
        assert_true(asked[i] >= 1);
    ao_engine_free(old);
    world_free(w);
}

/* ---- ICMP ----------------------------------------------------------------------------------- */

/* An ICMP error about the latest data segment of side 0, sent to side 0. */
static size_t icmp_error(struct world *w, uint8_t type, uint8_t code, uint32_t word, uint32_t seq,
                         uint8_t *out)
{
    const struct toy *t = &w->side[0].tcp;
    bool v6 = t->me.addr_len == 16;
    size_t ip = v6 ? 40 : 20, quoted = ip + 8, l4 = 8 + quoted, at = ip + 8 + ip;
    struct gh_addr src = gh_addr_from(t->peer.addr, t->peer.addr_len);
    struct gh_addr dst = gh_addr_from(t->me.addr, t->me.addr_len);
    uint32_t sum = v6 ? gh_sum_pseudo(&src, &dst, GH_IP_ICMPV6, (uint32_t)l4) : 0;

    memset(out, 0, ip + l4);
    for (size_t i = 0; i < 2; i++) { /* the outer header, then the quoted one */
        uint8_t *h = out + i * (ip + 8);
        uint8_t proto = i == 1 ? GH_IP_TCP : v6 ? GH_IP_ICMPV6 : GH_IP_ICMP;
        size_t payload = i == 1 ? 20 : l4;
        const uint8_t *from = i == 1 ? t->me.addr : t->peer.addr;
        const uint8_t *to = i == 1 ? t->peer.addr : t->me.addr;

        h[0] = v6 ? 0x60 : 0x45;
        if (v6) {
            h[5] = (uint8_t)payload;
            h[6] = proto;
            memcpy(h + 8, from, 16);
            memcpy(h + 24, to, 16);
        } else {
            h[3] = (uint8_t)(20 + payload);
            h[8] = 64;
            h[9] = proto;
            memcpy(h + 12, from, 4);
            memcpy(h + 16, to, 4);
        }
    }
    out[ip] = type;
    out[ip + 1] = code;
    for (unsigned i = 0; i < 4; i++) {
        out[ip + 4 + i] = (uint8_t)(word >> (24 - 8 * i));
        out[at + 4 + i] = (uint8_t)(seq >> (24 - 8 * i));
    }
    out[at] = (uint8_t)(t->me.port >> 8);
    out[at + 1] = (uint8_t)t->me.port;
    out[at + 2] = (uint8_t)(t->peer.port >> 8);
    out[at + 3] = (uint8_t)t->peer.port;
    sum = gh_sum(out + ip, l4, sum);
    out[ip + 2] = (uint8_t)(gh_sum_fold(sum) >> 8);
    out[ip + 3] = (uint8_t)gh_sum_fold(sum);
    return ip + l4;
}

static struct ao_result give(struct world *w, const uint8_t *packet, size_t len)
{
    struct ao_packet p = {.way = AO_IN, .mtu = 1500, .data = packet, .len = len};
    struct ao_result r;

    ao_engine_packet(w->side[0].engine, side_now(&w->side[0]), &p, &r);
    return r;
}

static void icmp_hard_errors_are_ignored(void **state)
{
    uint8_t icmp[256];

    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct world *w = protected_world(v6, forever("x"));
        uint32_t seq;
        size_t len;

        open_and_talk(w);
        seq = w->side[0].tcp.snd_una - 100;
        for (uint8_t code = 0; code < 6; code++) {
            bool hard = v6 ? code == 1 || code == 4 : code >= 2 && code <= 4;

            len = icmp_error(w, v6 ? 1 : 3, code, 0, seq, icmp);
            assert_int_equal(give(w, icmp, len).verdict, hard ? AO_DROP : AO_PASS);
        }
        assert_int_equal(side_count(&w->side[0], AO_COUNT_ICMP_IGNORED), v6 ? 2 : 3);
        world_free(w);
    }
}

static void icmp_is_accepted_where_the_policy_says_so(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    struct ao_policy p = {.name = "peer", .chain_name = "core", .port = 179, .accept_icmp = true};
    uint8_t icmp[256];
    struct ao_result r;
    size_t len;

    p.chain = chain_of(forever("x"));
    assert_true(gh_prefix_parse("192.0.2.2", &p.peer));
    assert_true(ao_engine_set_policies(w->side[0].engine, side_now(&w->side[0]), &p, 1));
    tcpao_chain_put(p.chain);
    open_and_talk(w);
    len = icmp_error(w, 3, 3, 0, w->side[0].tcp.snd_una - 100, icmp);
    assert_int_equal(give(w, icmp, len).verdict, AO_PASS);
    len = icmp_error(w, 3, 4, 1400, w->side[0].tcp.snd_una - 100, icmp);
    r = give(w, icmp, len);
    assert_int_equal(r.verdict, AO_REPLACE);
    assert_int_equal(r.head[26] << 8 | r.head[27], 1400 - 20);
    assert_int_equal(side_count(&w->side[0], AO_COUNT_ICMP_IGNORED), 0);
    world_free(w);
}

static void too_big_leaves_room_for_the_option(void **state)
{
    struct world *w = protected_world(true, forever("x"));
    uint8_t icmp[256];
    struct ao_result r;
    struct gh_addr src, dst;
    size_t len;

    open_and_talk(w);
    len = icmp_error(w, 2, 0, 1400, w->side[0].tcp.snd_una - 100, icmp);
    r = give(w, icmp, len);
    assert_int_equal(r.verdict, AO_REPLACE);
    memcpy(icmp, r.head, r.head_len);
    assert_int_equal(icmp[46] << 8 | icmp[47], 1400 - 20);
    assert_true(gh_addr_parse("2001:db8::1", &dst));
    assert_true(gh_addr_parse("2001:db8::2", &src));
    assert_int_equal(
        gh_sum_fold(gh_sum(icmp + 40, len - 40,
                           gh_sum_pseudo(&src, &dst, GH_IP_ICMPV6, (uint32_t)(len - 40)))),
        0);
    /* A forger who does not know what is in flight. */
    len = icmp_error(w, 2, 0, 1280, w->side[0].tcp.snd_nxt + 5000000, icmp);
    assert_int_equal(give(w, icmp, len).verdict, AO_DROP);
    world_free(w);
}

/* ---- Hostile bytes -------------------------------------------------------------------------- */

static void broken_packets_are_counted_and_dropped(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    uint64_t passed = 0;

    w->tap = capture_data;
    open_and_talk(w);
    for (size_t len = 0; len < captured_len; len++)
        passed += give(w, captured, len).verdict != AO_DROP;
    assert_int_equal(passed, 0);
    for (size_t at = 20; at < 72; at++) {
        uint8_t packet[sizeof(captured)];

        for (unsigned v = 0; v < 256; v++) {
            memcpy(packet, captured, captured_len);
            packet[at] = (uint8_t)v;
            give(w, packet, captured_len);
        }
    }
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    world_free(w);
}

static void daemon_with_md5_is_a_clash(void **state)
{
    struct world *w = protected_world(false, forever("x"));
    uint8_t syn[80] = {0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2};
    struct ao_packet p = {.way = AO_OUT, .mtu = 1500, .data = syn, .len = 60};
    struct ao_result r;

    syn[20] = 40000 >> 8;
    syn[21] = 40000 & 0xff;
    syn[23] = 179;
    syn[32] = 10 << 4;
    syn[33] = GH_TCP_SYN;
    syn[40] = TCPAO_MD5_OPTION_KIND;
    syn[41] = 18;
    syn[58] = syn[59] = 1;
    ao_engine_packet(w->side[0].engine, side_now(&w->side[0]), &p, &r);
    assert_int_equal(r.verdict, AO_DROP);
    assert_int_equal(r.counter, TCPAO_MD5_CLASH);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_segment_is_signed_and_arrives_as_it_was),
        cmocka_unit_test(both_ends_may_open_at_once),
        cmocka_unit_test(other_traffic_passes_untouched),
        cmocka_unit_test(wrong_key_is_refused_with_a_reason),
        cmocka_unit_test(unsigned_peer_is_refused_both_ways),
        cmocka_unit_test(forgeries_only_count),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(replay_into_the_next_connection_is_refused),
        cmocka_unit_test(replay_within_a_connection_is_counted_and_harmless),
        cmocka_unit_test(replayed_syn_does_not_end_a_connection),
        cmocka_unit_test(expired_chain_fails_closed),
        cmocka_unit_test(warnings_come_before_expiry),
        cmocka_unit_test(direction_is_enforced),
        cmocka_unit_test(allow_without_ao_lets_an_old_peer_in),
        cmocka_unit_test(allow_without_ao_still_protects_who_can),
        cmocka_unit_test(accept_mismatch_shouts),
        cmocka_unit_test(restarts_of_the_engine_reset_nothing),
        cmocka_unit_test(connection_older_than_the_engine_is_named_and_reset),
        cmocka_unit_test(reset_session_resets_a_protected_one),
        cmocka_unit_test(reload_with_another_chain_keeps_the_connection),
        cmocka_unit_test(a_key_with_a_longer_mac_may_come_later),
        cmocka_unit_test(a_mac_of_32_octets_has_no_room_beside_timestamps),
        cmocka_unit_test(silent_connections_are_asked_about),
        cmocka_unit_test(own_retransmissions_are_no_sign_of_life),
        cmocka_unit_test(answers_that_nobody_asked_for_do_nothing),
        cmocka_unit_test(an_answer_about_the_life_before_does_nothing),
        cmocka_unit_test(of_a_crowd_all_are_asked_about_a_few_at_a_time),
        cmocka_unit_test(icmp_hard_errors_are_ignored),
        cmocka_unit_test(icmp_is_accepted_where_the_policy_says_so),
        cmocka_unit_test(too_big_leaves_room_for_the_option),
        cmocka_unit_test(broken_packets_are_counted_and_dropped),
        cmocka_unit_test(daemon_with_md5_is_a_clash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What an attacker, a crash in the wrong moment or a reload might slip past the engine. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"
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

static void protect_as(struct side *s, struct tcpao_mkt mkt, const char *chain, enum ao_mode mode)
{
    struct tcpao_chain *c = chain_of(mkt);

    side_protect(s, c, chain, mode);
    tcpao_chain_put(c);
}

static struct world *world_with(enum ao_mode mode)
{
    struct world *w = world_new(7, false);

    protect_as(&w->side[0], forever("x"), "core", mode);
    protect_as(&w->side[1], test_key_crossed(forever("x")), "core", mode);
    return w;
}

static void talk(struct world *w)
{
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    toy_write(&w->side[0].tcp, w->now_ms, 5000);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[1].tcp.received, 5000);
}

/* ---- A bare segment, made by hand ----------------------------------------------------------- */

struct bare {
    uint16_t src_port, dst_port;
    uint8_t flags;
    uint32_t seq, ack;
};

/* From 192.0.2.2 to 192.0.2.1, without options; turn_around() is the other way. */
static size_t segment_of(struct bare b, uint8_t out[40])
{
    static const uint8_t ip[20] = {0x45, 0, 0,   40, 0, 0, 0x40, 0, 64, 6,
                                   0,    0, 192, 0,  2, 2, 192,  0, 2,  1};
    uint8_t *t = out + 20;

    memset(out, 0, 40);
    memcpy(out, ip, sizeof(ip));
    t[0] = (uint8_t)(b.src_port >> 8);
    t[1] = (uint8_t)b.src_port;
    t[2] = (uint8_t)(b.dst_port >> 8);
    t[3] = (uint8_t)b.dst_port;
    for (unsigned i = 0; i < 4; i++) {
        t[4 + i] = (uint8_t)(b.seq >> (24 - 8 * i));
        t[8 + i] = (uint8_t)(b.ack >> (24 - 8 * i));
    }
    t[12] = 5 << 4;
    t[13] = b.flags;
    return 40;
}

static struct ao_result give(struct side *s, uint16_t zone, const uint8_t *packet, size_t len)
{
    struct ao_packet p = {.way = AO_IN, .zone = zone, .mtu = 1500, .data = packet, .len = len};
    struct ao_result r;

    ao_engine_packet(s->engine, side_now(s), &p, &r);
    return r;
}

static enum ao_verdict verdict_on(struct side *s, uint16_t zone, struct bare b)
{
    uint8_t packet[40];

    return give(s, zone, packet, segment_of(b, packet)).verdict;
}

static void turn_around(uint8_t packet[40])
{
    packet[15] = 1;
    packet[19] = 2;
}

static struct ao_result take(struct side *s, const uint8_t *packet, size_t len)
{
    struct ao_packet p = {.way = AO_OUT, .mtu = 1500, .data = packet, .len = len};
    struct ao_result r;

    ao_engine_packet(s->engine, side_now(s), &p, &r);
    return r;
}

static size_t connections_of(struct side *s);

/* ---- A policy that becomes stricter --------------------------------------------------------- */

static void unprotected_connection_ends_with_the_permission(void **state)
{
    struct world *w = world_new(7, false);

    protect_as(&w->side[1], forever("x"), "core", AO_ALLOW_WITHOUT);
    talk(w);
    protect_as(&w->side[1], forever("x"), "core", AO_REQUIRED);
    toy_write(&w->side[0].tcp, w->now_ms, 1000);
    toy_write(&w->side[1].tcp, w->now_ms, 1000);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[1].tcp.received, 5000);
    assert_int_equal(w->side[0].tcp.received, 0);
    world_free(w);
}

static void unprotected_connection_is_not_taken_over_as_required(void **state)
{
    struct world *w = world_new(7, false);

    protect_as(&w->side[1], forever("x"), "core", AO_ALLOW_WITHOUT);
    talk(w);
    side_restart(&w->side[1]);
    protect_as(&w->side[1], forever("x"), "core", AO_REQUIRED);
    assert_int_equal(w->side[1].events[AO_EVENT_CONNECTION_RESTORED], 0);
    toy_write(&w->side[0].tcp, w->now_ms, 1000);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[1].tcp.received, 5000);
    world_free(w);
}

static void connection_of_another_chain_is_not_taken_over(void **state)
{
    struct world *w = world_with(AO_REQUIRED);

    talk(w);
    side_restart(&w->side[0]);
    protect_as(&w->side[0], forever("x"), "another", AO_REQUIRED);
    assert_int_equal(connections_of(&w->side[0]), 0);
    world_free(w);
}

static void old_chain_does_not_keep_accepting_mismatches(void **state)
{
    struct world *w = world_new(7, false);

    protect_as(&w->side[0], forever("one"), "core", AO_REQUIRED);
    protect_as(&w->side[1], test_key_crossed(forever("two")), "core", AO_ACCEPT_MISMATCH);
    protect_as(&w->side[0], forever("one"), "core", AO_ACCEPT_MISMATCH);
    talk(w);
    protect_as(&w->side[1], test_key_crossed(forever("two")), "other", AO_REQUIRED);
    toy_write(&w->side[0].tcp, w->now_ms, 1000);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[1].tcp.received, 5000);
    world_free(w);
}

/* ---- Which policy --------------------------------------------------------------------------- */

/* Both policies on side 0; the first allows, the second requires. */
static void protect_two(struct side *s, const char *allowed_peer, uint16_t allowed_zone,
                        uint16_t allowed_port, const char *required_peer)
{
    struct tcpao_chain *c = chain_of(forever("x"));
    struct ao_policy p[2] = {{.name = "lax",
                              .chain_name = "core",
                              .chain = c,
                              .zone = allowed_zone,
                              .zone_name = allowed_zone != 0 ? "red" : "",
                              .port = allowed_port,
                              .mode = AO_ALLOW_WITHOUT},
                             {.name = "strict", .chain_name = "core", .chain = c, .port = 179}};

    assert_true(gh_prefix_parse(allowed_peer, &p[0].peer));
    assert_true(gh_prefix_parse(required_peer, &p[1].peer));
    assert_true(ao_engine_set_policies(s->engine, side_now(s), p, 2));
    tcpao_chain_put(c);
}

static void source_port_does_not_choose_the_policy(void **state)
{
    static const char *const required[] = {"192.0.2.2", "192.0.2.0/24"};
    const struct bare syn = {.src_port = 646, .dst_port = 179, .flags = GH_TCP_SYN, .seq = 1};
    const struct bare other = {.src_port = 646, .dst_port = 4000, .flags = GH_TCP_SYN, .seq = 1};

    for (size_t i = 0; i < 2; i++) {
        struct world *w = world_new(7, false);

        protect_two(&w->side[0], "192.0.2.2", 0, 646, required[i]);
        assert_int_equal(verdict_on(&w->side[0], 0, syn), AO_DROP);
        assert_int_equal(verdict_on(&w->side[0], 0, other), AO_PASS);
        protect_two(&w->side[0], "192.0.2.0/25", 0, 646, required[1]);
        assert_int_equal(verdict_on(&w->side[0], 0, syn), AO_DROP);
        world_free(w);
    }
}

/* Rules of an earlier instance may number the queues in another way, until they are replaced. */
static void segment_in_the_wrong_queue_is_dropped(void **state)
{
    const struct bare syn = {.src_port = 4000, .dst_port = 179, .flags = GH_TCP_SYN, .seq = 1};
    const struct bare other = {.src_port = 4000, .dst_port = 80, .flags = GH_TCP_SYN, .seq = 1};
    struct world *w = world_new(7, false);

    protect_two(&w->side[0], "198.51.100.1", 1, 646, "192.0.2.2");
    assert_int_equal(verdict_on(&w->side[0], 0, syn), AO_DROP);
    assert_int_equal(verdict_on(&w->side[0], 1, syn), AO_DROP);
    assert_int_equal(verdict_on(&w->side[0], 1, other), AO_PASS);
    world_free(w);
}

static void count_connection(void *ctx, const struct ao_connection_view *view)
{
    (*(size_t *)ctx)++;
}

static size_t connections_of(struct side *s)
{
    size_t count = 0;

    ao_engine_each_connection(s->engine, count_connection, &count);
    return count;
}

static void each_zone_has_its_own_policies(void **state)
{
    const struct bare syn = {.src_port = 4000, .dst_port = 179, .flags = GH_TCP_SYN, .seq = 1};
    static const char *const peers[] = {"192.0.2.2", "192.0.2.0/24"};

    for (size_t i = 0; i < 2; i++) {
        struct world *w = world_new(7, false);

        protect_two(&w->side[0], peers[i], 1, 179, peers[i]);
        assert_int_equal(verdict_on(&w->side[0], 0, syn), AO_DROP);
        assert_int_equal(verdict_on(&w->side[0], 1, syn), AO_PASS);
        world_free(w);
    }
}

/* A reload puts another zone first: the connection's own has another number from then on. */
static void connection_follows_its_zone(void **state)
{
    struct world *w = world_with(AO_REQUIRED);
    struct side *s = &w->side[0];
    struct tcpao_chain *c = chain_of(forever("x"));
    struct ao_policy p[2] = {
        {.name = "red", .chain_name = "core", .chain = c, .port = 179, .zone_name = "red"},
        {.name = "peer", .chain_name = "core", .chain = c, .port = 179, .zone = 1}};
    const struct bare ack = {.src_port = 179, .dst_port = 40000, .flags = GH_TCP_ACK};
    uint8_t packet[40];

    talk(w);
    for (size_t i = 0; i < 2; i++)
        assert_true(gh_prefix_parse("192.0.2.2", &p[i].peer));
    assert_true(ao_engine_set_policies(s->engine, side_now(s), p, 2));
    tcpao_chain_put(c);
    assert_int_equal(connections_of(s), 1);
    segment_of(ack, packet);
    turn_around(packet);
    packet[20] = 40000 >> 8;
    packet[21] = 40000 & 0xff;
    packet[22] = 0;
    packet[23] = 179;
    assert_int_equal(take(s, packet, 40).verdict, AO_DROP); /* zone 0 has no such connection */
    assert_int_equal(side_count(s, AO_COUNT_NO_CONNECTION), 1);
    world_free(w);
}

static void connection_of_a_zone_that_went_joins_no_other(void **state)
{
    struct world *w = world_with(AO_REQUIRED);
    struct tcpao_chain *c = chain_of(forever("x"));
    struct ao_policy p = {
        .name = "peer", .chain_name = "core", .chain = c, .port = 179, .zone_name = "red"};

    talk(w);
    assert_true(gh_prefix_parse("192.0.2.2", &p.peer));
    assert_true(ao_engine_set_policies(w->side[0].engine, side_now(&w->side[0]), &p, 1));
    tcpao_chain_put(c);
    assert_int_equal(connections_of(&w->side[0]), 0);
    world_free(w);
}

/* ---- What must not pass ---------------------------------------------------------------------- */

static void reset_of_an_unknown_connection_stays_here(void **state)
{
    struct world *w = world_with(AO_REQUIRED);
    uint8_t packet[40];
    size_t len =
        segment_of((struct bare){.src_port = 179, .dst_port = 4000, .flags = GH_TCP_RST}, packet);

    turn_around(packet);
    assert_int_equal(take(&w->side[0], packet, len).verdict, AO_DROP);
    protect_as(&w->side[0], forever("x"), "core", AO_ALLOW_WITHOUT);
    assert_int_equal(take(&w->side[0], packet, len).verdict, AO_DROP);
    world_free(w);
}

static void fragments_are_refused_whatever_they_carry(void **state)
{
    const struct bare other = {.src_port = 4000, .dst_port = 80, .flags = GH_TCP_ACK};
    struct world *w = world_with(AO_REQUIRED);
    uint8_t packet[40];
    size_t len = segment_of(other, packet);

    assert_int_equal(give(&w->side[0], 0, packet, len).verdict, AO_PASS);
    packet[6] = 0x20; /* more fragments */
    assert_int_equal(give(&w->side[0], 0, packet, len).verdict, AO_DROP);
    packet[6] = 0;
    packet[7] = 2; /* in the middle of a datagram */
    assert_int_equal(give(&w->side[0], 0, packet, len).verdict, AO_DROP);
    assert_int_equal(side_count(&w->side[0], AO_COUNT_FRAGMENT), 2);
    world_free(w);
}

/* Gives a bare segment an option that fills its last octets. */
static size_t with_option(uint8_t *packet, size_t len, uint8_t kind, uint8_t option_len)
{
    size_t padded = (option_len + 3u) / 4 * 4;

    memset(packet + len, 1, padded);
    packet[len] = kind;
    packet[len + 1] = option_len;
    packet[3] = (uint8_t)(len + padded);
    packet[32] = (uint8_t)((5 + padded / 4) << 4);
    return len + padded;
}

static void without_ao_means_without_any_authentication(void **state)
{
    const struct bare syn = {.src_port = 4000, .dst_port = 179, .flags = GH_TCP_SYN, .seq = 1};
    const struct bare ack = {.src_port = 4000, .dst_port = 179, .flags = GH_TCP_ACK, .seq = 2};
    struct world *w = world_with(AO_ALLOW_WITHOUT);
    struct side *s = &w->side[0];
    uint8_t packet[100];
    struct ao_result r;

    r = give(s, 0, packet, with_option(packet, segment_of(syn, packet), TCPAO_MD5_OPTION_KIND, 18));
    assert_int_equal(r.counter, TCPAO_MD5_CLASH);
    assert_int_equal(r.verdict, AO_DROP);
    /* A connection older than the engine, which the mode lets go on. */
    segment_of((struct bare){.src_port = 179, .dst_port = 4000, .flags = GH_TCP_ACK}, packet);
    turn_around(packet);
    assert_int_equal(take(s, packet, 40).verdict, AO_PASS);
    assert_int_equal(verdict_on(s, 0, ack), AO_PASS);
    r = give(s, 0, packet, with_option(packet, segment_of(ack, packet), TCPAO_OPTION_KIND, 16));
    assert_int_equal(r.counter, AO_COUNT_UNEXPECTED_AO);
    assert_int_equal(r.verdict, AO_DROP);
    r = give(s, 0, packet, with_option(packet, segment_of(ack, packet), TCPAO_MD5_OPTION_KIND, 18));
    assert_int_equal(r.verdict, AO_DROP);
    segment_of((struct bare){.src_port = 179, .dst_port = 4000, .flags = GH_TCP_ACK}, packet);
    turn_around(packet);
    r = take(s, packet, with_option(packet, 40, TCPAO_MD5_OPTION_KIND, 18));
    assert_int_equal(r.counter, TCPAO_MD5_CLASH);
    assert_int_equal(r.verdict, AO_DROP);
    world_free(w);
}

static void passive_session_opens_nothing(void **state)
{
    struct world *w = world_with(AO_REQUIRED);
    struct side *s = &w->side[0];
    struct ao_policy p = {
        .name = "peer", .chain_name = "core", .port = 179, .direction = AO_PASSIVE};

    p.chain = chain_of(forever("x"));
    assert_true(gh_prefix_parse("192.0.2.2", &p.peer));
    assert_true(ao_engine_set_policies(s->engine, side_now(s), &p, 1));
    tcpao_chain_put(p.chain);
    toy_connect(&s->tcp, w->now_ms);
    world_run(w, 5000);
    assert_int_equal(s->tcp.state, TOY_SYN_SENT);
    assert_true(side_count(s, AO_COUNT_REFUSED_DIRECTION) > 0);
    assert_int_equal(connections_of(s), 0);
    world_free(w);
}

/* ---- The table ------------------------------------------------------------------------------ */

static void half_open_connections_are_forgotten(void **state)
{
    struct world *w = world_with(AO_REQUIRED);
    struct side *s = &w->side[0];

    w->loss = 1000;
    toy_connect(&s->tcp, w->now_ms);
    s->tcp.state = TOY_CLOSED;
    s->tcp.rto_at = 0;
    world_run(w, 100000);
    assert_int_equal(connections_of(s), 1);
    for (unsigned i = 0; i < 10; i++)
        world_run(w, w->now_ms + 10000);
    assert_int_equal(connections_of(s), 0);
    world_free(w);
}

static void full_table_refuses_the_next(void **state)
{
    struct world *w = world_with(AO_ALLOW_WITHOUT);
    struct side *server = &w->side[1];

    for (uint16_t port = 1000; port < 1064; port++) { /* older than the engine, and established */
        uint8_t packet[40];

        segment_of((struct bare){.src_port = 179, .dst_port = port, .flags = GH_TCP_ACK}, packet);
        assert_int_equal(take(server, packet, 40).verdict, AO_PASS);
    }
    assert_int_equal(connections_of(server), 64);
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, 10000);
    assert_int_equal(server->tcp.state, TOY_LISTEN);
    assert_true(side_count(server, AO_COUNT_TABLE_FULL) > 0);
    assert_int_equal(connections_of(server), 64);
    /* Who says nothing for a day gives way. */
    w->side[0].tcp.state = TOY_CLOSED;
    w->side[0].tcp.rto_at = 0;
    world_run(w, 25 * 3600000ull);
    talk(w);
    world_free(w);
}

/* ---- Handshakes ----------------------------------------------------------------------------- */

static void blind_answer_does_not_downgrade(void **state)
{
    struct world *w = world_with(AO_ALLOW_WITHOUT);
    struct side *s = &w->side[0];
    struct bare answer = {.src_port = 179,
                          .dst_port = 40000,
                          .flags = GH_TCP_SYN | GH_TCP_ACK,
                          .seq = 99,
                          .ack = s->tcp.iss + 7};

    toy_connect(&s->tcp, w->now_ms);
    assert_int_equal(verdict_on(s, 0, answer), AO_DROP);
    assert_int_equal(s->events[AO_EVENT_DOWNGRADE], 0);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(s->tcp.state, TOY_ESTABLISHED);
    assert_int_equal(side_count(s, AO_COUNT_RECEIVED_UNSIGNED), 0);
    world_free(w);
}

static uint8_t held[200];
static size_t held_len;

/* Takes the server's first SYN-ACK off the wire. */
static bool hold_syn_ack(struct world *w, struct side *from, uint8_t *packet, size_t *len)
{
    if (from != &w->side[1] || (packet[33] & GH_TCP_SYN) == 0 || held_len != 0)
        return true;
    assert_true(*len <= sizeof(held));
    memcpy(held, packet, *len);
    held_len = *len;
    return false;
}

/* Takes a copy of the client's latest SYN. */
static bool copy_syn(struct world *w, struct side *from, uint8_t *packet, size_t *len)
{
    if (from == &w->side[0] && (packet[33] & GH_TCP_SYN) != 0) {
        assert_true(*len <= sizeof(held));
        memcpy(held, packet, *len);
        held_len = *len;
    }
    return true;
}

/* What an eavesdropper kept of an earlier connection is verified, and yet changes nothing. */
static void syn_of_an_earlier_connection_changes_nothing(void **state)
{
    struct world *w = world_with(AO_REQUIRED);

    w->tap = copy_syn;
    talk(w);
    w->tap = NULL;
    for (unsigned i = 0; i < 2; i++) {
        struct toy *t = &w->side[i].tcp;

        t->state = i == 0 ? TOY_CLOSED : TOY_LISTEN;
        t->iss += 77777;
        t->received = 0;
    }
    talk(w);
    assert_int_equal(give(&w->side[1], 0, held, held_len).verdict, AO_REPLACE);
    toy_write(&w->side[1].tcp, w->now_ms, 1000);
    toy_write(&w->side[0].tcp, w->now_ms, 1000);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[0].tcp.received, 1000);
    assert_int_equal(w->side[1].tcp.received, 6000);
    world_free(w);
}

/* A server with SYN cookies answers each copy of a SYN with another ISN. */
static void late_syn_ack_does_not_end_a_connection(void **state)
{
    struct world *w = world_with(AO_REQUIRED);

    held_len = 0;
    w->tap = hold_syn_ack;
    toy_connect(&w->side[0].tcp, w->now_ms);
    world_run(w, 1000);
    assert_true(held_len > 0);
    w->side[1].tcp.state = TOY_LISTEN;
    w->side[1].tcp.iss += 4242;
    world_run(w, 20000);
    assert_int_equal(w->side[0].tcp.state, TOY_ESTABLISHED);
    assert_int_equal(give(&w->side[0], 0, held, held_len).verdict, AO_DROP);
    toy_write(&w->side[0].tcp, w->now_ms, 5000);
    toy_write(&w->side[1].tcp, w->now_ms, 3000);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[1].tcp.received, 5000);
    assert_int_equal(w->side[0].tcp.received, 3000);
    world_free(w);
}

/* ---- ICMP ----------------------------------------------------------------------------------- */

/* Port unreachable about a segment of side 0, as far as routers must quote it. */
static size_t port_unreachable(struct world *w, uint8_t out[56])
{
    static const uint8_t outer[20] = {0x45, 0, 0,   56, 0, 0, 0,   0, 64, 1,
                                      0,    0, 192, 0,  2, 2, 192, 0, 2,  1};
    static const uint8_t inner[20] = {0x45, 0, 0,   40, 0, 0, 0,   0, 64, 6,
                                      0,    0, 192, 0,  2, 1, 192, 0, 2,  2};

    memset(out, 0, 56);
    memcpy(out, outer, 20);
    out[20] = 3;
    out[21] = 3;
    memcpy(out + 28, inner, 20);
    out[48] = 40000 >> 8;
    out[49] = 40000 & 0xff;
    out[51] = 179;
    return 56;
}

/* Linux looks neither at the quoted length, nor at its version, nor at its fragment offset. */
static void icmp_cannot_hide_what_it_quotes(void **state)
{
    struct world *w = world_with(AO_REQUIRED);
    uint8_t icmp[56];
    size_t len = port_unreachable(w, icmp);

    talk(w);
    assert_int_equal(give(&w->side[0], 0, icmp, len).verdict, AO_DROP);
    icmp[28 + 3] = 0; /* total length */
    assert_int_equal(give(&w->side[0], 0, icmp, len).verdict, AO_DROP);
    icmp[28 + 3] = 40;
    icmp[28 + 7] = 1; /* fragment offset */
    assert_int_equal(give(&w->side[0], 0, icmp, len).verdict, AO_DROP);
    icmp[28 + 7] = 0;
    icmp[28] = 0x65; /* version */
    assert_int_equal(give(&w->side[0], 0, icmp, len).verdict, AO_DROP);
    icmp[28] = 0x45;
    icmp[28 + 9] = 17; /* UDP is not our affair */
    assert_int_equal(give(&w->side[0], 0, icmp, len).verdict, AO_PASS);
    world_free(w);
}

/* ---- Crashes -------------------------------------------------------------------------------- */

static struct {
    const void *memory;
    void *copy;
    size_t len;
    unsigned restored;
} crash;

/* The process is killed when it has told of the first connection that it took over. */
static void crash_at_first(void *ctx, const struct ao_event *event)
{
    if (event->kind != AO_EVENT_CONNECTION_RESTORED)
        return;
    if (crash.restored++ == 0)
        memcpy(crash.copy, crash.memory, crash.len);
}

static struct ao_engine *engine_over(void *memory, size_t len)
{
    struct ao_engine_settings settings = {
        .max_connections = 64, .event = crash_at_first, .memory = memory, .memory_len = len};
    struct ao_engine *e = ao_engine_new(&settings);

    assert_non_null(e);
    return e;
}

static void take_over(void *memory, size_t len)
{
    struct ao_policy p = {.name = "peer", .chain_name = "core", .port = 179};
    struct ao_engine *e = engine_over(memory, len);

    crash.memory = memory;
    crash.restored = 0;
    p.chain = chain_of(forever("x"));
    assert_true(gh_prefix_parse("192.0.2.2", &p.peer));
    assert_true(
        ao_engine_set_policies(e, (struct gh_now){.wall = 1767225600, .mono_ms = 1}, &p, 1));
    tcpao_chain_put(p.chain);
    ao_engine_free(e);
}

static void a_crash_while_taking_over_loses_nothing(void **state)
{
    struct world *w = world_with(AO_REQUIRED);
    struct side *s = &w->side[0];

    talk(w);
    for (uint16_t port = 40001; port < 40003; port++) {
        s->tcp.me.port = port;
        s->tcp.state = TOY_CLOSED;
        toy_connect(&s->tcp, w->now_ms);
    }
    crash.len = s->memory_len;
    crash.copy = malloc(crash.len);
    assert_non_null(crash.copy);
    ao_engine_free(s->engine);
    s->engine = NULL;
    take_over(s->memory, s->memory_len);
    assert_int_equal(crash.restored, 3);
    take_over(crash.copy, crash.len);
    assert_int_equal(crash.restored, 3);
    free(crash.copy);
    world_free(w);
}

/* ---- Work and noise that forgeries cause ---------------------------------------------------- */

static void forgeries_on_many_sessions_are_told_in_measure(void **state)
{
    enum { SESSIONS = 1000 };
    struct world *w = world_new(7, false);
    struct side *s = &w->side[0];
    struct tcpao_chain *c = chain_of(forever("x"));
    struct ao_policy *p = calloc(SESSIONS, sizeof(*p));
    char names[SESSIONS][16];
    uint64_t told;

    assert_non_null(p);
    for (unsigned i = 0; i < SESSIONS; i++) {
        snprintf(names[i], sizeof(names[i]), "s%u", i);
        p[i] = (struct ao_policy){
            .name = names[i], .chain_name = "core", .chain = c, .port = (uint16_t)(1000 + i)};
        assert_true(gh_prefix_parse("192.0.2.2", &p[i].peer));
    }
    assert_true(ao_engine_set_policies(s->engine, side_now(s), p, SESSIONS));
    for (unsigned i = 0; i < SESSIONS; i++)
        assert_int_equal(verdict_on(s, 0,
                                    (struct bare){.src_port = 60000,
                                                  .dst_port = (uint16_t)(1000 + i),
                                                  .flags = GH_TCP_SYN}),
                         AO_DROP);
    told = s->events[AO_EVENT_SEGMENT_REFUSED];
    assert_true(told >= 16 && told <= 128);
    assert_int_equal(side_count(s, TCPAO_MISSING_AO), SESSIONS);
    free(p);
    tcpao_chain_put(c);
    world_free(w);
}

/* ---- Operators ------------------------------------------------------------------------------ */

/* It is when nothing verifies any more that one wants it. */
static void reset_session_needs_no_right_mac(void **state)
{
    struct world *w = world_with(AO_REQUIRED);
    struct side *s = &w->side[0];

    talk(w);
    protect_as(&w->side[1], test_key_crossed(forever("another")), "core", AO_REQUIRED);
    toy_write(&w->side[1].tcp, w->now_ms, 100);
    world_run(w, w->now_ms + 5000);
    assert_true(side_count(s, TCPAO_BAD_MAC) > 0);
    assert_int_equal(ao_engine_reset(s->engine, side_now(s), "peer", NULL), 1);
    world_run(w, w->now_ms + 20000);
    assert_int_equal(s->tcp.resets, 1);
    world_free(w);
}

/* A session without keepalives (hold time 0, BMP) may be silent for days. */
static void silence_does_not_end_a_connection(void **state)
{
    struct world *w = world_with(AO_REQUIRED);

    talk(w);
    world_run(w, w->now_ms + 3 * 86400000ull);
    toy_write(&w->side[0].tcp, w->now_ms, 1000);
    world_run(w, w->now_ms + 10000);
    assert_int_equal(w->side[1].tcp.received, 6000);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unprotected_connection_ends_with_the_permission),
        cmocka_unit_test(unprotected_connection_is_not_taken_over_as_required),
        cmocka_unit_test(connection_of_another_chain_is_not_taken_over),
        cmocka_unit_test(old_chain_does_not_keep_accepting_mismatches),
        cmocka_unit_test(source_port_does_not_choose_the_policy),
        cmocka_unit_test(segment_in_the_wrong_queue_is_dropped),
        cmocka_unit_test(connection_of_a_zone_that_went_joins_no_other),
        cmocka_unit_test(each_zone_has_its_own_policies),
        cmocka_unit_test(connection_follows_its_zone),
        cmocka_unit_test(reset_of_an_unknown_connection_stays_here),
        cmocka_unit_test(fragments_are_refused_whatever_they_carry),
        cmocka_unit_test(without_ao_means_without_any_authentication),
        cmocka_unit_test(passive_session_opens_nothing),
        cmocka_unit_test(half_open_connections_are_forgotten),
        cmocka_unit_test(full_table_refuses_the_next),
        cmocka_unit_test(blind_answer_does_not_downgrade),
        cmocka_unit_test(late_syn_ack_does_not_end_a_connection),
        cmocka_unit_test(syn_of_an_earlier_connection_changes_nothing),
        cmocka_unit_test(icmp_cannot_hide_what_it_quotes),
        cmocka_unit_test(a_crash_while_taking_over_loses_nothing),
        cmocka_unit_test(forgeries_on_many_sessions_are_told_in_measure),
        cmocka_unit_test(reset_session_needs_no_right_mac),
        cmocka_unit_test(silence_does_not_end_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

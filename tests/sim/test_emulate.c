/*
 * Programs that use Linux's TCP-AO socket options, emulated, between two toy TCPs: what connect()
 * and accept() make of keys, how keys move, what is counted, and how a connection is moved or
 * outlives the process that carries it.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulate/emulate.h"
#include "sim/world.h"
#include "unit/emulate_values.h"

enum { CLIENT = 100, LISTENER = 200, CHILD = 201, KEPT = 8, KEPT_MAX = 8192 };

/* One side of the world and the emulation for its programs. */
struct host {
    struct side *side;
    struct emu *emu;
    struct {
        uint64_t cookie;
        uint8_t data[KEPT_MAX];
        size_t len;
    } kept[KEPT];
};

static bool is_vrf(void *ctx, uint16_t zone, uint32_t ifindex)
{
    return false;
}

static void keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
    struct host *h = ctx;
    size_t i = 0;

    while (i < KEPT && h->kept[i].cookie != cookie && h->kept[i].cookie != 0)
        i++;
    assert_true(i < KEPT && len <= KEPT_MAX);
    h->kept[i].cookie = cookie;
    h->kept[i].len = len;
    if (len > 0)
        memcpy(h->kept[i].data, data, len);
}

static void flows_changed(void *ctx, uint16_t zone)
{
}

static void start_emulation(struct host *h)
{
    const struct emu_settings s = {.engine = h->side->engine,
                                   .is_vrf = is_vrf,
                                   .keep = keep,
                                   .flows_changed = flows_changed,
                                   .ctx = h};

    h->emu = emu_new(&s);
    assert_non_null(h->emu);
}

/* ---- A world of two programs ---------------------------------------------------------------- */

struct stage {
    struct world *w;
    struct host client, server;
};

static struct emu_facts facts(const struct host *h, uint64_t cookie, enum emu_tcp_state state)
{
    const struct toy *t = &h->side->tcp;
    struct emu_facts f = {.cookie = cookie,
                          .zone_name = "",
                          .ipv6 = t->me.addr_len == 16,
                          .state = state,
                          .optmem_left = 131072,
                          .program = cookie == CLIENT ? "client[1]" : "server[2]"};

    if (state == EMU_CONNECTED) {
        f.local = t->me;
        f.remote = t->peer;
    } else {
        f.local.port = t->me.port;
    }
    return f;
}

static struct stage *stage_new(bool v6)
{
    struct stage *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->w = world_new(7, v6);
    s->client.side = &s->w->side[0];
    s->server.side = &s->w->side[1];
    for (size_t i = 0; i < 2; i++)
        assert_true(
            ao_engine_set_policies(s->w->side[i].engine, side_now(&s->w->side[i]), NULL, 0));
    start_emulation(&s->client);
    start_emulation(&s->server);
    return s;
}

static void stage_free(struct stage *s)
{
    emu_free(s->client.emu);
    emu_free(s->server.emu);
    world_free(s->w);
    free(s);
}

static const char *address(const struct tcpao_endpoint *e, char text[64])
{
    struct gh_addr a = gh_addr_from(e->addr, e->addr_len);

    return gh_addr_format(&a, text);
}

static uint8_t host_bits(const struct stage *s)
{
    return (uint8_t)(8 * s->w->side[0].tcp.me.addr_len);
}

static int set(struct host *h, const struct emu_facts *f, int option, const uint8_t *value,
               size_t len)
{
    return emu_setsockopt(h->emu, side_now(h->side), f, option, value, len);
}

/* bits: SET_CURRENT, SET_RNEXT */
static int add_for(struct host *h, const struct emu_facts *f, const char *addr, uint8_t prefix,
                   uint8_t sndid, uint8_t rcvid, uint32_t bits)
{
    uint8_t value[ADD_SIZE];

    value_add(value, addr, prefix, sndid, rcvid);
    value_u32(value, ADD_BITS, bits);
    /* Each pair of ids has its secret, the same at both ends. */
    value[ADD_KEY] = (uint8_t)(sndid ^ rcvid);
    return set(h, f, EMU_TCP_AO_ADD_KEY, value, sizeof(value));
}

static int add(struct host *h, const struct emu_facts *f, uint8_t sndid, uint8_t rcvid)
{
    char text[64];

    return add_for(h, f, address(&h->side->tcp.peer, text), (uint8_t)(8 * h->side->tcp.me.addr_len),
                   sndid, rcvid, 0);
}

static int del(struct host *h, const struct emu_facts *f, uint8_t sndid, uint8_t rcvid)
{
    uint8_t value[DEL_SIZE];
    char text[64];

    value_del(value, address(&h->side->tcp.peer, text), (uint8_t)(8 * h->side->tcp.me.addr_len),
              sndid, rcvid);
    return set(h, f, EMU_TCP_AO_DEL_KEY, value, sizeof(value));
}

static int set_info(struct host *h, const struct emu_facts *f, uint32_t bits, uint8_t current,
                    uint8_t rnext)
{
    uint8_t value[INFO_SIZE] = {0};

    value_u32(value, INFO_BITS, bits);
    value[INFO_CURRENT] = current;
    value[INFO_RNEXT] = rnext;
    return set(h, f, EMU_TCP_AO_INFO, value, sizeof(value));
}

struct info {
    uint32_t bits;
    int current, rnext;
    uint64_t good, bad, not_found, required, icmp;
};

static struct info info_of(struct host *h, const struct emu_facts *f)
{
    uint8_t v[INFO_SIZE] = {0};
    size_t len = sizeof(v), reported;
    uint32_t bits;

    assert_int_equal(emu_getsockopt(h->emu, side_now(h->side), f, EMU_TCP_AO_INFO, v, sizeof(v),
                                    &len, &reported),
                     0);
    bits = value_at32(v, INFO_BITS);
    return (struct info){.bits = bits & ~(uint32_t)(SET_CURRENT | SET_RNEXT),
                         .current = bits & SET_CURRENT ? v[INFO_CURRENT] : -1,
                         .rnext = bits & SET_RNEXT ? v[INFO_RNEXT] : -1,
                         .good = value_at64(v, INFO_COUNTERS),
                         .bad = value_at64(v, INFO_COUNTERS + 8),
                         .not_found = value_at64(v, INFO_COUNTERS + 16),
                         .required = value_at64(v, INFO_COUNTERS + 24),
                         .icmp = value_at64(v, INFO_COUNTERS + 32)};
}

/* All keys into `keys`, room for 16. Returns how many there are. */
static uint32_t keys_of(struct host *h, const struct emu_facts *f, uint8_t keys[16 * GET_SIZE])
{
    size_t len = GET_SIZE, reported;

    memset(keys, 0, 16 * GET_SIZE);
    value_u16(keys, GET_BITS, GET_ALL);
    value_u32(keys, GET_NKEYS, 16);
    assert_int_equal(emu_getsockopt(h->emu, side_now(h->side), f, EMU_TCP_AO_GET_KEYS, keys,
                                    16 * GET_SIZE, &len, &reported),
                     0);
    return value_at32(keys, GET_NKEYS);
}

static uint64_t good_of_key(struct host *h, const struct emu_facts *f, uint8_t sndid)
{
    uint8_t keys[16 * GET_SIZE];
    uint32_t n = keys_of(h, f, keys);

    for (uint32_t i = 0; i < n; i++)
        if (keys[i * GET_SIZE + GET_SNDID] == sndid)
            return value_at64(keys + i * GET_SIZE, GET_GOOD);
    fail_msg("no key with SendID %u", sndid);
    return 0;
}

static void listen_on(struct stage *s)
{
    struct emu_facts f = facts(&s->server, LISTENER, EMU_CLOSED);
    bool bind_first;

    assert_int_equal(emu_listen(s->server.emu, side_now(s->server.side), &f, &bind_first), 0);
    assert_false(bind_first);
}

static int try_connect(struct stage *s)
{
    struct emu_facts f = facts(&s->client, CLIENT, EMU_CLOSED);
    bool bind_first;
    int error = emu_connect(s->client.emu, side_now(s->client.side), &f, &s->client.side->tcp.peer,
                            &bind_first);

    if (error == 0) {
        toy_connect(&s->client.side->tcp, s->w->now_ms);
        world_run(s->w, s->w->now_ms + 5000);
    }
    return error;
}

static void talk(struct stage *s)
{
    for (size_t i = 0; i < 2; i++) {
        struct toy *from = &s->w->side[i].tcp, *to = &s->w->side[1 - i].tcp;
        uint64_t before = to->received;

        toy_write(from, s->w->now_ms, 2000);
        world_run(s->w, s->w->now_ms + 5000);
        assert_int_equal(to->received, before + 2000);
    }
    assert_int_equal(s->w->side[0].tcp.broken + s->w->side[1].tcp.broken, 0);
}

static void connect_and_talk(struct stage *s)
{
    assert_int_equal(try_connect(s), 0);
    assert_int_equal(s->client.side->tcp.state, TOY_ESTABLISHED);
    assert_int_equal(s->server.side->tcp.state, TOY_ESTABLISHED);
    talk(s);
}

/* Client and server with keys (1, 101), (2, 102), (3, 103), added in this order; the listener has
 * one for another peer besides. Connected. */
static struct stage *connected(bool v6)
{
    struct stage *s = stage_new(v6);
    struct emu_facts c = facts(&s->client, CLIENT, EMU_CLOSED);
    struct emu_facts l = facts(&s->server, LISTENER, EMU_CLOSED);

    for (uint8_t i = 1; i <= 3; i++) {
        assert_int_equal(add(&s->client, &c, i, 100 + i), 0);
        assert_int_equal(add(&s->server, &l, 100 + i, i), 0);
    }
    assert_int_equal(
        add_for(&s->client, &c, v6 ? "2001:db8:ffff::9" : "198.51.100.9", host_bits(s), 9, 109, 0),
        0);
    assert_int_equal(
        add_for(&s->server, &l, v6 ? "2001:db8:ffff::9" : "198.51.100.9", host_bits(s), 109, 9, 0),
        0);
    listen_on(s);
    connect_and_talk(s);
    return s;
}

#define EACH_FAMILY(v6) for (int v6 = 0; v6 < 2; v6++)

/* ---- connect() and accept() ----------------------------------------------------------------- */

static void both_ends_keep_the_keys_that_match(void **state)
{
    EACH_FAMILY(v6)
    {
        struct stage *s = connected(v6);
        struct emu_facts c = facts(&s->client, CLIENT, EMU_CONNECTED);
        struct emu_facts l = facts(&s->server, LISTENER, EMU_LISTEN);
        struct emu_facts a = facts(&s->server, CHILD, EMU_CONNECTED);
        uint8_t keys[16 * GET_SIZE];

        assert_int_equal(keys_of(&s->client, &c, keys), 3);
        assert_int_equal(keys[GET_SNDID], 3); /* the one added last comes first */
        assert_true(emu_knows(s->server.emu, &a));
        assert_int_equal(keys_of(&s->server, &a, keys), 3);
        assert_int_equal(keys[GET_SNDID], 101); /* children's lists are turned around */
        assert_int_equal(keys[2 * GET_SIZE + GET_SNDID], 103);
        assert_int_equal(keys_of(&s->server, &l, keys), 4);

        /* The client chose its last; the SYN's ids chose the child's. */
        assert_int_equal(info_of(&s->client, &c).current, 3);
        assert_int_equal(info_of(&s->client, &c).rnext, 103);
        assert_int_equal(info_of(&s->server, &a).current, 103);
        assert_int_equal(info_of(&s->server, &a).rnext, 3);
        assert_int_equal(info_of(&s->server, &l).current, -1);
        stage_free(s);
    }
}

static void what_was_set_before_connect_is_used(void **state)
{
    struct stage *s = stage_new(false);
    struct emu_facts c = facts(&s->client, CLIENT, EMU_CLOSED);
    struct emu_facts l = facts(&s->server, LISTENER, EMU_CLOSED);
    struct emu_facts a;

    for (uint8_t i = 1; i <= 3; i++) {
        assert_int_equal(add(&s->client, &c, i, 100 + i), 0);
        assert_int_equal(add(&s->server, &l, 100 + i, i), 0);
    }
    assert_int_equal(set_info(&s->client, &c, SET_CURRENT | SET_RNEXT, 1, 102), 0);
    listen_on(s);
    connect_and_talk(s);
    a = facts(&s->server, CHILD, EMU_CONNECTED);
    c = facts(&s->client, CLIENT, EMU_CONNECTED);
    assert_int_equal(info_of(&s->client, &c).current, 1);
    assert_int_equal(info_of(&s->client, &c).rnext, 102);
    assert_int_equal(info_of(&s->server, &a).current, 102);
    assert_int_equal(info_of(&s->server, &a).rnext, 1);
    stage_free(s);
}

static void a_child_inherits_flags_and_prefixes(void **state)
{
    struct stage *s = stage_new(false);
    struct emu_facts c = facts(&s->client, CLIENT, EMU_CLOSED);
    struct emu_facts l = facts(&s->server, LISTENER, EMU_CLOSED);
    uint8_t keys[16 * GET_SIZE];
    struct emu_facts a;

    assert_int_equal(add(&s->client, &c, 1, 101), 0);
    assert_int_equal(add_for(&s->server, &l, "192.0.2.0", 24, 101, 1, 0), 0);
    assert_int_equal(add_for(&s->server, &l, "any4", 0, 102, 2, 0), 0);
    assert_int_equal(set_info(&s->server, &l, INFO_AO_REQUIRED | INFO_ACCEPT_ICMPS, 0, 0), 0);
    listen_on(s);
    connect_and_talk(s);
    a = facts(&s->server, CHILD, EMU_CONNECTED);
    assert_int_equal(info_of(&s->server, &a).bits, INFO_AO_REQUIRED | INFO_ACCEPT_ICMPS);
    assert_int_equal(keys_of(&s->server, &a, keys), 2);
    assert_int_equal(keys[GET_PREFIX], 24);
    assert_int_equal(keys[4 + 3], 0); /* 192.0.2.0 */
    assert_int_equal(keys[4], 192);
    assert_int_equal(keys[GET_SIZE + GET_PREFIX], 0);
    stage_free(s);
}

static void nothing_leaves_without_a_key_for_the_peer(void **state)
{
    struct stage *s = stage_new(false);
    struct emu_facts c = facts(&s->client, CLIENT, EMU_CLOSED);

    assert_int_equal(add_for(&s->client, &c, "198.51.100.9", 32, 1, 101, 0), 0);
    assert_int_equal(try_connect(s), EKEYREJECTED);
    assert_int_equal(s->w->carried, 0);
    stage_free(s);
}

/* ---- Refusals and their counters ------------------------------------------------------------ */

static void refused_syns_are_counted_on_the_listener(void **state)
{
    static const struct {
        uint8_t sndid, rcvid, secret;
        bool good, bad, not_found;
    } list[] = {
        {1, 101, 1 ^ 101, true, false, false},
        {1, 101, 77, false, true, false},      /* another secret */
        {2, 101, 77, false, false, true},      /* a KeyID that is not known */
        {1, 102, 1 ^ 101, true, false, false}, /* an RNextKeyID that is not: a good SYN */
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct stage *s = stage_new(false);
        struct emu_facts c = facts(&s->client, CLIENT, EMU_CLOSED);
        struct emu_facts l = facts(&s->server, LISTENER, EMU_CLOSED);
        uint8_t value[ADD_SIZE];
        uint64_t zone[5];
        struct info info;
        char text[64];

        assert_int_equal(add(&s->server, &l, 101, 1), 0);
        value_add(value, address(&s->client.side->tcp.peer, text), 32, list[i].sndid,
                  list[i].rcvid);
        value[ADD_KEY] = list[i].secret;
        assert_int_equal(set(&s->client, &c, EMU_TCP_AO_ADD_KEY, value, sizeof(value)), 0);
        listen_on(s);
        assert_int_equal(try_connect(s), 0);
        assert_int_equal(s->client.side->tcp.state, i == 0 ? TOY_ESTABLISHED : TOY_SYN_SENT);
        l = facts(&s->server, LISTENER, EMU_LISTEN);
        info = info_of(&s->server, &l);
        assert_int_equal(info.good > 0, list[i].good);
        assert_int_equal(info.bad > 0, list[i].bad);
        assert_int_equal(info.not_found > 0, list[i].not_found);
        assert_int_equal(info.required, 0);
        assert_int_equal(good_of_key(&s->server, &l, 101) > 0, list[i].good);
        emu_counters(s->server.emu, 0, zone);
        assert_int_equal(zone[0], info.good);
        assert_int_equal(zone[1], info.bad);
        assert_int_equal(zone[2], info.not_found);
        stage_free(s);
    }
}

static void unsigned_syns_are_counted_as_required(void **state)
{
    enum { KEY_FOR_PEER, REQUIRED, REQUIRED_WHILE_IT_LISTENS, END };

    for (int how = KEY_FOR_PEER; how < END; how++) {
        struct stage *s = stage_new(false);
        struct emu_facts l = facts(&s->server, LISTENER, EMU_CLOSED);
        struct info info;

        /* A key for the peer; or one for another, and ao_required. */
        if (how == KEY_FOR_PEER)
            assert_int_equal(add(&s->server, &l, 101, 1), 0);
        else
            assert_int_equal(add_for(&s->server, &l, "198.51.100.9", 32, 1, 1, 0), 0);
        if (how == REQUIRED)
            assert_int_equal(set_info(&s->server, &l, INFO_AO_REQUIRED, 0, 0), 0);
        listen_on(s);
        l = facts(&s->server, LISTENER, EMU_LISTEN);
        if (how == REQUIRED_WHILE_IT_LISTENS)
            assert_int_equal(set_info(&s->server, &l, INFO_AO_REQUIRED, 0, 0), 0);
        assert_int_equal(try_connect(s), 0);
        assert_int_equal(s->client.side->tcp.state, TOY_SYN_SENT);
        l = facts(&s->server, LISTENER, EMU_LISTEN);
        info = info_of(&s->server, &l);
        assert_true(info.required > 0);
        assert_int_equal(info.good + info.bad + info.not_found, 0);
        stage_free(s);
    }
}

static void a_listeners_key_for_others_leaves_this_peer_alone(void **state)
{
    struct stage *s = stage_new(false);
    struct emu_facts l = facts(&s->server, LISTENER, EMU_CLOSED);

    assert_int_equal(add_for(&s->server, &l, "198.51.100.9", 32, 1, 1, 0), 0);
    listen_on(s);
    connect_and_talk(s); /* neither end signs */
    l = facts(&s->server, LISTENER, EMU_LISTEN);
    assert_int_equal(info_of(&s->server, &l).required, 0);
    stage_free(s);
}

static void a_listener_without_a_key_for_a_signing_peer_counts_it(void **state)
{
    struct stage *s = stage_new(false);
    struct emu_facts c = facts(&s->client, CLIENT, EMU_CLOSED);
    struct emu_facts l = facts(&s->server, LISTENER, EMU_CLOSED);
    uint64_t zone[5];

    assert_int_equal(add(&s->client, &c, 1, 101), 0);
    assert_int_equal(add_for(&s->server, &l, "198.51.100.9", 32, 101, 1, 0), 0);
    listen_on(s);
    assert_int_equal(try_connect(s), 0);
    assert_int_equal(s->client.side->tcp.state, TOY_SYN_SENT);
    l = facts(&s->server, LISTENER, EMU_LISTEN);
    assert_true(info_of(&s->server, &l).not_found > 0);
    emu_counters(s->server.emu, 0, zone);
    assert_int_equal(zone[2], info_of(&s->server, &l).not_found);
    assert_int_equal(zone[0] + zone[1] + zone[3], 0);
    stage_free(s);
}

static void counters_go_on_when_keys_change(void **state)
{
    struct stage *s = connected(false);
    struct emu_facts l = facts(&s->server, LISTENER, EMU_LISTEN);
    struct emu_facts c = facts(&s->client, CLIENT, EMU_CONNECTED);
    uint8_t value[INFO_SIZE] = {0};
    uint64_t listener = info_of(&s->server, &l).good, client = info_of(&s->client, &c).good;
    uint64_t key = good_of_key(&s->server, &l, 103);

    assert_true(listener > 0 && client > 0 && key > 0);
    assert_int_equal(add(&s->server, &l, 104, 4), 0);
    assert_int_equal(add(&s->client, &c, 4, 104), 0);
    assert_int_equal(info_of(&s->server, &l).good, listener);
    assert_int_equal(info_of(&s->client, &c).good, client);
    assert_int_equal(good_of_key(&s->server, &l, 103), key);
    /* All keys of a peer go: so does its flow, but not what it counted. */
    for (uint8_t i = 1; i <= 4; i++)
        assert_int_equal(del(&s->server, &l, 100 + i, i), 0);
    assert_int_equal(info_of(&s->server, &l).good, listener);
    talk(s);
    assert_true(info_of(&s->client, &c).good > client);

    value_u32(value, INFO_BITS, INFO_SET_COUNTERS);
    value_u64(value, INFO_COUNTERS, 5);
    assert_int_equal(set(&s->client, &c, EMU_TCP_AO_INFO, value, sizeof(value)), 0);
    assert_int_equal(info_of(&s->client, &c).good, 5);
    talk(s);
    assert_in_range(info_of(&s->client, &c).good, 6, 50);
    stage_free(s);
}

/* ---- Keys of a connection ------------------------------------------------------------------- */

static void the_peer_follows_rnext(void **state)
{
    EACH_FAMILY(v6)
    {
        struct stage *s = connected(v6);
        struct emu_facts c = facts(&s->client, CLIENT, EMU_CONNECTED);
        struct emu_facts a = facts(&s->server, CHILD, EMU_CONNECTED);

        for (uint8_t i = 1; i <= 3; i++) {
            uint64_t before = good_of_key(&s->client, &c, i);

            assert_int_equal(set_info(&s->client, &c, SET_RNEXT, 0, 100 + i), 0);
            talk(s);
            assert_int_equal(info_of(&s->client, &c).rnext, 100 + i);
            assert_int_equal(info_of(&s->server, &a).current, 100 + i);
            assert_true(good_of_key(&s->client, &c, i) > before);
        }
        /* What is current here the peer's announcements undo. */
        assert_int_equal(set_info(&s->client, &c, SET_CURRENT, 1, 0), 0);
        assert_int_equal(info_of(&s->client, &c).current, 1);
        talk(s);
        assert_int_equal(info_of(&s->client, &c).current, 3);
        assert_int_equal(info_of(&s->client, &c).bad + info_of(&s->server, &a).bad, 0);
        stage_free(s);
    }
}

static void keys_come_and_go_on_a_connection(void **state)
{
    struct stage *s = connected(false);
    struct emu_facts c = facts(&s->client, CLIENT, EMU_CONNECTED);
    struct emu_facts a = facts(&s->server, CHILD, EMU_CONNECTED);
    uint8_t keys[16 * GET_SIZE];

    assert_int_equal(del(&s->client, &c, 3, 103), EBUSY);
    assert_int_equal(add_for(&s->client, &c, "198.51.100.9", 32, 4, 104, 0), EINVAL);
    assert_int_equal(add(&s->client, &c, 3, 104), EEXIST);
    assert_int_equal(add(&s->client, &c, 4, 104), 0);
    assert_int_equal(add(&s->server, &a, 104, 4), 0);
    assert_int_equal(keys_of(&s->client, &c, keys), 4);
    assert_int_equal(keys[GET_SNDID], 4);
    assert_int_equal(info_of(&s->client, &c).current, 3);
    assert_int_equal(set_info(&s->client, &c, SET_RNEXT, 0, 104), 0);
    assert_int_equal(set_info(&s->server, &a, SET_RNEXT, 0, 4), 0);
    talk(s);
    assert_int_equal(info_of(&s->client, &c).current, 4);
    assert_int_equal(info_of(&s->server, &a).current, 104);
    for (uint8_t i = 1; i <= 3; i++) {
        assert_int_equal(del(&s->client, &c, i, 100 + i), 0);
        assert_int_equal(del(&s->server, &a, 100 + i, i), 0);
    }
    assert_int_equal(del(&s->client, &c, 4, 104), EBUSY);
    talk(s);
    assert_int_equal(keys_of(&s->server, &a, keys), 1);
    /* The listener's keys are its own. */
    struct emu_facts l = facts(&s->server, LISTENER, EMU_LISTEN);

    assert_int_equal(keys_of(&s->server, &l, keys), 4);
    stage_free(s);
}

static int flow_count;

static void count_flow(void *ctx, const struct emu_flow *flow)
{
    flow_count++;
}

static void a_child_outlives_its_listener_and_its_keys(void **state)
{
    for (int how = 0; how < 2; how++) {
        struct stage *s = stage_new(false);
        struct emu_facts c = facts(&s->client, CLIENT, EMU_CLOSED);
        struct emu_facts l = facts(&s->server, LISTENER, EMU_CLOSED);
        uint8_t keys[16 * GET_SIZE], value[DEL_SIZE];
        struct emu_facts a;

        assert_int_equal(add(&s->client, &c, 1, 101), 0);
        assert_int_equal(add_for(&s->server, &l, "192.0.2.0", 24, 101, 1, 0), 0);
        listen_on(s);
        connect_and_talk(s);
        l = facts(&s->server, LISTENER, EMU_LISTEN);
        value_del(value, "192.0.2.0", 24, 101, 1);
        if (how == 0)
            assert_int_equal(set(&s->server, &l, EMU_TCP_AO_DEL_KEY, value, sizeof(value)), 0);
        else
            emu_gone(s->server.emu, side_now(s->server.side), LISTENER);
        /* The child speaks for the first time, and knows for whom its key was. */
        a = facts(&s->server, CHILD, EMU_CONNECTED);
        assert_int_equal(keys_of(&s->server, &a, keys), 1);
        assert_int_equal(keys[GET_PREFIX], 24);
        talk(s);
        assert_int_equal(set(&s->server, &a, EMU_TCP_AO_DEL_KEY, value, sizeof(value)), EBUSY);
        /* The firewall goes on sending its segments here. */
        flow_count = 0;
        emu_each_flow(s->server.emu, 0, count_flow, NULL);
        assert_int_equal(flow_count, 1);
        stage_free(s);
    }
}

static void a_closed_sockets_connection_answers_late_segments(void **state)
{
    struct stage *s = connected(false);

    emu_gone(s->client.emu, side_now(s->client.side), CLIENT);
    talk(s);
    stage_free(s);
}

/* ---- Repair and restarts -------------------------------------------------------------------- */

static struct emu_facts repaired(const struct host *h, uint64_t cookie)
{
    struct emu_facts f = facts(h, cookie, EMU_CONNECTED);

    f.repair = true;
    f.snd_una = h->side->tcp.snd_una;
    f.rcv_nxt = h->side->tcp.rcv_nxt;
    return f;
}

static void image_of(struct host *h, const struct emu_facts *f, uint8_t image[REPAIR_SIZE])
{
    size_t len = REPAIR_SIZE, reported;

    memset(image, 0, REPAIR_SIZE);
    assert_int_equal(emu_getsockopt(h->emu, side_now(h->side), f, EMU_TCP_AO_REPAIR, image,
                                    REPAIR_SIZE, &len, &reported),
                     0);
    assert_int_equal(len, REPAIR_SIZE);
}

static void move_client(struct stage *s, int spoiled, bool late)
{
    struct emu_facts f = repaired(&s->client, CLIENT);
    uint8_t image[REPAIR_SIZE];
    char text[64];

    image_of(&s->client, &f, image);
    assert_int_equal(image[3], (uint8_t)s->client.side->tcp.iss); /* network order */
    if (!late) {
        emu_gone(s->client.emu, side_now(s->client.side), CLIENT);
        assert_false(emu_knows(s->client.emu, &f)); /* closed under repair: it vanished */
    }
    if (spoiled >= 0)
        image[spoiled]++;
    f = repaired(&s->client, CLIENT + 1);
    assert_int_equal(add_for(&s->client, &f, address(&f.remote, text), host_bits(s), 3, 103,
                             SET_CURRENT | SET_RNEXT),
                     0);
    assert_int_equal(set(&s->client, &f, EMU_TCP_AO_REPAIR, image, sizeof(image)), 0);
    f.repair = false;
    emu_note(s->client.emu, side_now(s->client.side), &f);
    if (late) /* its end is told when another socket has its place */
        emu_gone(s->client.emu, side_now(s->client.side), CLIENT);
}

static void a_connection_can_be_moved_to_another_socket(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct stage *s = connected(i & 1);
        struct emu_facts f = facts(&s->client, CLIENT + 1, EMU_CONNECTED);

        move_client(s, -1, i & 2);
        assert_int_equal(info_of(&s->client, &f).good, 0);
        talk(s);
        assert_true(info_of(&s->client, &f).good > 0);
        assert_true(good_of_key(&s->client, &f, 3) > 0);
        assert_int_equal(info_of(&s->client, &f).bad, 0);
        assert_int_equal(info_of(&s->client, &f).current, 3);
        stage_free(s);
    }
}

static void a_wrong_image_breaks_the_connection(void **state)
{
    static const struct {
        size_t octet;
        bool client_good, server_good;
    } list[] = {
        {3, false, false}, /* snt_isn: the keys of both directions */
        {7, false, false}, /* rcv_isn */
        {8, true, false},  /* snd_sne, host order: its lowest octet */
        {12, false, true}, /* rcv_sne */
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct stage *s = connected(false);
        struct emu_facts f = facts(&s->client, CLIENT + 1, EMU_CONNECTED);
        struct emu_facts a = facts(&s->server, CHILD, EMU_CONNECTED);
        uint64_t server_bad = info_of(&s->server, &a).bad;
        size_t octet = list[i].octet;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        octet += octet >= 8 ? 3 : 0;
#endif
        move_client(s, (int)octet, false);
        toy_write(&s->client.side->tcp, s->w->now_ms, 1000);
        toy_write(&s->server.side->tcp, s->w->now_ms, 1000);
        world_run(s->w, s->w->now_ms + 20000);
        assert_int_equal(info_of(&s->client, &f).bad == 0, list[i].client_good);
        assert_int_equal(info_of(&s->server, &a).bad == server_bad, list[i].server_good);
        stage_free(s);
    }
}

/* An SNE that counted on is told with the next image. */
static void extensions_are_kept_and_told(void **state)
{
    struct stage *s = connected(false);
    struct emu_facts f;
    uint8_t image[REPAIR_SIZE];

    f = repaired(&s->client, CLIENT);
    image_of(&s->client, &f, image);
    value_u32(image, 8, 7);
    value_u32(image, 12, 8);
    assert_int_equal(set(&s->client, &f, EMU_TCP_AO_REPAIR, image, sizeof(image)), 0);
    memset(image, 0, sizeof(image));
    image_of(&s->client, &f, image);
    assert_int_equal(value_at32(image, 8), 7);
    assert_int_equal(value_at32(image, 12), 8);
    stage_free(s);
}

static void restart(struct host *h)
{
    emu_free(h->emu);
    side_restart(h->side);
    start_emulation(h);
    for (size_t i = 0; i < KEPT; i++)
        if (h->kept[i].len > 0)
            assert_true(emu_restore(h->emu, side_now(h->side), h->kept[i].cookie, h->kept[i].data,
                                    h->kept[i].len));
    assert_true(ao_engine_set_policies(h->side->engine, side_now(h->side), NULL, 0));
}

static void connections_outlive_the_process(void **state)
{
    struct stage *s = connected(false);
    struct emu_facts c = facts(&s->client, CLIENT, EMU_CONNECTED);
    struct emu_facts a = facts(&s->server, CHILD, EMU_CONNECTED);
    uint8_t before[16 * GET_SIZE], after[16 * GET_SIZE];

    emu_note(s->server.emu, side_now(s->server.side), &a);
    assert_int_equal(set_info(&s->client, &c, SET_RNEXT, 0, 101), 0);
    talk(s);
    assert_int_equal(keys_of(&s->server, &a, before), 3);
    for (int i = 0; i < 2; i++) {
        restart(&s->client);
        restart(&s->server);
        talk(s);
        assert_int_equal(info_of(&s->client, &c).rnext, 101);
        assert_int_equal(info_of(&s->server, &a).current, 101);
        assert_int_equal(keys_of(&s->server, &a, after), 3);
        for (size_t k = 0; k < 3; k++)
            assert_memory_equal(after + k * GET_SIZE + GET_SNDID, before + k * GET_SIZE + GET_SNDID,
                                6);
    }
    assert_int_equal(add(&s->client, &c, 5, 105), 0);
    assert_int_equal(add(&s->server, &a, 105, 5), 0);
    assert_int_equal(set_info(&s->client, &c, SET_RNEXT, 0, 105), 0);
    talk(s);
    assert_int_equal(info_of(&s->server, &a).current, 105);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_keep_the_keys_that_match),
        cmocka_unit_test(what_was_set_before_connect_is_used),
        cmocka_unit_test(a_child_inherits_flags_and_prefixes),
        cmocka_unit_test(nothing_leaves_without_a_key_for_the_peer),
        cmocka_unit_test(refused_syns_are_counted_on_the_listener),
        cmocka_unit_test(unsigned_syns_are_counted_as_required),
        cmocka_unit_test(a_listeners_key_for_others_leaves_this_peer_alone),
        cmocka_unit_test(a_listener_without_a_key_for_a_signing_peer_counts_it),
        cmocka_unit_test(counters_go_on_when_keys_change),
        cmocka_unit_test(the_peer_follows_rnext),
        cmocka_unit_test(keys_come_and_go_on_a_connection),
        cmocka_unit_test(a_child_outlives_its_listener_and_its_keys),
        cmocka_unit_test(a_closed_sockets_connection_answers_late_segments),
        cmocka_unit_test(a_connection_can_be_moved_to_another_socket),
        cmocka_unit_test(a_wrong_image_breaks_the_connection),
        cmocka_unit_test(extensions_are_kept_and_told),
        cmocka_unit_test(connections_outlive_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

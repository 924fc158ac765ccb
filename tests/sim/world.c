#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORLD_CONNECTIONS = 64 };

uint64_t world_random(struct world *w, uint64_t below)
{
    uint64_t z = w->random += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) % below;
}

struct gh_now side_now(const struct side *s)
{
    return (struct gh_now){.wall = s->world->epoch + (int64_t)(s->world->now_ms / 1000) + s->skew,
                           .mono_ms = s->world->now_ms + 1};
}

static bool earlier(const struct flight *a, const struct flight *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void heap_push(struct world *w, struct flight f)
{
    size_t i = w->heap_len++;

    if (w->heap_len > w->heap_cap) {
        w->heap_cap = w->heap_cap * 2 + 64;
        w->heap = realloc(w->heap, w->heap_cap * sizeof(*w->heap));
        if (w->heap == NULL)
            abort();
    }
    for (; i > 0 && earlier(&f, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = f;
}

static struct flight heap_pop(struct world *w)
{
    struct flight top = w->heap[0], last = w->heap[--w->heap_len];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= w->heap_len)
            break;
        if (child + 1 < w->heap_len && earlier(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!earlier(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static void fly(struct world *w, struct side *to, const uint8_t *packet, size_t len)
{
    uint64_t spread = w->delay_max_ms - w->delay_min_ms + 1;
    struct flight f = {.at_ms = w->now_ms + w->delay_min_ms + world_random(w, spread),
                       .order = w->order++,
                       .to = to,
                       .packet = malloc(len > 0 ? len : 1),
                       .len = len};

    if (f.packet == NULL)
        abort();
    memcpy(f.packet, packet, len);
    heap_push(w, f);
}

static void onto_the_wire(struct side *from, uint8_t *packet, size_t len)
{
    struct world *w = from->world;
    struct side *to = from == &w->side[0] ? &w->side[1] : &w->side[0];

    if (from->looped)
        to = from;
    if (w->tap != NULL && !w->tap(w, from, packet, &len))
        return;
    w->carried++;
    if (world_random(w, 1000) < w->loss)
        return;
    fly(w, to, packet, len);
    if (world_random(w, 1000) < w->duplicate)
        fly(w, to, packet, len);
}

static void hold(struct side *s, enum ao_way way, const uint8_t *data, size_t len)
{
    if (s->held_count == WORLD_HELD) {
        free(s->held[0].packet);
        memmove(&s->held[0], &s->held[1], (WORLD_HELD - 1) * sizeof(s->held[0]));
        s->held_count--;
    }
    s->held[s->held_count].packet = malloc(len);
    if (s->held[s->held_count].packet == NULL)
        abort();
    memcpy(s->held[s->held_count].packet, data, len);
    s->held[s->held_count].len = len;
    s->held[s->held_count].way = way;
    s->held_count++;
    s->held_ever++;
    if (way == AO_OUT && s->need != NULL)
        s->need(s);
}

/* One packet through a side's engine; false: dropped, or kept for later. */
static bool through_engine(struct side *s, enum ao_way way, const uint8_t *data, size_t len,
                           uint8_t *out, size_t *out_len)
{
    struct ao_packet packet = {.way = way, .mtu = 1500, .data = data, .len = len};
    struct ao_result result = {.verdict = AO_PASS};

    if (s->engine != NULL)
        ao_engine_packet(s->engine, side_now(s), &packet, &result);
    if (result.verdict == AO_HOLD)
        hold(s, way, data, len);
    if (result.verdict == AO_DROP || result.verdict == AO_HOLD)
        return false;
    if (result.verdict == AO_PASS) {
        memcpy(out, data, len);
        *out_len = len;
        return true;
    }
    memcpy(out, result.head, result.head_len);
    memcpy(out + result.head_len, data + result.tail, len - result.tail);
    *out_len = result.head_len + len - result.tail;
    return true;
}

static void toy_sends(void *ctx, const uint8_t *packet, size_t len)
{
    struct side *s = ctx;
    static uint8_t out[TOY_PACKET_MAX + 64];
    size_t out_len;

    if (through_engine(s, AO_OUT, packet, len, out, &out_len))
        onto_the_wire(s, out, out_len);
    else
        s->dropped_out++;
}

void world_inject(struct world *w, struct side *to, const uint8_t *packet, size_t len)
{
    uint8_t *out = malloc(len + 64);
    size_t out_len;

    if (out == NULL)
        abort();
    if (through_engine(to, AO_IN, packet, len, out, &out_len))
        toy_input(&to->tcp, w->now_ms, out, out_len);
    else
        to->dropped_in++;
    free(out);
}

void side_release(struct side *s)
{
    size_t count = s->held_count;

    s->held_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t *packet = s->held[i].packet;

        if (s->held[i].way == AO_OUT)
            toy_sends(s, packet, s->held[i].len);
        else
            world_inject(s->world, s, packet, s->held[i].len);
        free(packet);
    }
}

static void tick(struct side *s)
{
    if (s->engine != NULL && ao_engine_next_deadline(s->engine, side_now(s)) <= side_now(s).mono_ms)
        ao_engine_tick(s->engine, side_now(s));
    toy_timer(&s->tcp, s->world->now_ms);
}

static uint64_t next_event(const struct world *w, uint64_t until)
{
    uint64_t next = until;

    if (w->heap_len > 0 && w->heap[0].at_ms < next)
        next = w->heap[0].at_ms;
    for (size_t i = 0; i < 2; i++) {
        if (w->side[i].tcp.rto_at != 0 && w->side[i].tcp.rto_at < next)
            next = w->side[i].tcp.rto_at;
    }
    return next;
}

void world_run(struct world *w, uint64_t until_ms)
{
    while (w->now_ms < until_ms) {
        uint64_t next = next_event(w, until_ms);

        w->now_ms = next > w->now_ms ? next : w->now_ms;
        while (w->heap_len > 0 && w->heap[0].at_ms <= w->now_ms) {
            struct flight f = heap_pop(w);

            world_inject(w, f.to, f.packet, f.len);
            free(f.packet);
        }
        tick(&w->side[0]);
        tick(&w->side[1]);
    }
}

static void on_event(void *ctx, const struct ao_event *event)
{
    struct side *s = ctx;

    s->events[event->kind]++;
    if (event->kind == AO_EVENT_SEGMENT_REFUSED || event->kind == AO_EVENT_NO_HANDSHAKE)
        snprintf(s->last_refusal, sizeof(s->last_refusal), "%s", event->text);
}

static void on_abort(void *ctx, uint16_t zone, const struct tcpao_endpoint *local,
                     const struct tcpao_endpoint *remote)
{
    struct side *s = ctx;

    s->aborts++;
    s->aborted_port = local->port;
}

static void on_lookup(void *ctx, uint16_t zone, const struct tcpao_endpoint *local,
                      const struct tcpao_endpoint *remote)
{
    struct side *s = ctx;

    s->lookups++;
}

static void start_engine(struct side *s)
{
    struct ao_engine_settings settings = {.max_connections = WORLD_CONNECTIONS,
                                          .event = on_event,
                                          .abort = on_abort,
                                          .lookup = on_lookup,
                                          .event_ctx = s,
                                          .memory = s->memory,
                                          .memory_len = s->memory_len};

    s->engine = ao_engine_new(&settings);
    if (s->engine == NULL)
        abort();
}

void side_restart(struct side *s)
{
    ao_engine_free(s->engine);
    start_engine(s);
}

static void protect(struct side *s, struct ao_policy p)
{
    p.peer.addr = gh_addr_from(s->tcp.peer.addr, s->tcp.peer.addr_len);
    p.peer.bits = (uint8_t)(p.peer.addr.len * 8);
    if (!ao_engine_set_policies(s->engine, side_now(s), &p, 1))
        abort();
}

void side_protect(struct side *s, struct tcpao_chain *chain, const char *chain_name,
                  enum ao_mode mode)
{
    protect(
        s,
        (struct ao_policy){
            .name = "peer", .chain_name = chain_name, .chain = chain, .port = 179, .mode = mode});
}

void side_protect_negotiated(struct side *s, struct tcpao_chain *chain, const char *chain_name)
{
    protect(s, (struct ao_policy){.name = "peer",
                                  .chain_name = chain_name,
                                  .chain = chain,
                                  .port = 179,
                                  .negotiated = true});
}

uint64_t side_count(const struct side *s, unsigned counter)
{
    return ao_engine_counters(s->engine)[counter];
}

uint64_t side_refused(const struct side *s)
{
    const uint64_t *c = ao_engine_counters(s->engine);
    uint64_t sum = 0;

    for (unsigned i = TCPAO_OK + 1; i < TCPAO_RESULT_COUNT; i++)
        sum += c[i];
    return sum + c[AO_COUNT_NO_CONNECTION] + c[AO_COUNT_UNEXPECTED_AO] + c[AO_COUNT_TABLE_FULL] +
           c[AO_COUNT_NOT_TCP] + c[AO_COUNT_FRAGMENT] + c[AO_COUNT_REFUSED_DIRECTION];
}

static struct tcpao_endpoint endpoint(bool v6, unsigned host, uint16_t port)
{
    struct gh_addr a;
    char text[32];
    struct tcpao_endpoint e = {.port = port};

    snprintf(text, sizeof(text), v6 ? "2001:db8::%u" : "192.0.2.%u", host);
    if (!gh_addr_parse(text, &a))
        abort();
    memcpy(e.addr, a.octets, a.len);
    e.addr_len = a.len;
    return e;
}

struct world *world_new(uint64_t seed, bool v6)
{
    struct world *w = calloc(1, sizeof(*w));

    if (w == NULL)
        abort();
    w->random = seed;
    w->epoch = 1767225600; /* 2026-01-01T00:00:00Z */
    w->delay_min_ms = w->delay_max_ms = 5;
    for (unsigned i = 0; i < 2; i++) {
        struct side *s = &w->side[i];

        s->world = w;
        s->memory_len = ao_engine_memory_size(WORLD_CONNECTIONS);
        s->memory = calloc(1, s->memory_len);
        s->tcp = (struct toy){.me = endpoint(v6, i + 1, i == 0 ? 40000 : 179),
                              .peer = endpoint(v6, 2 - i, i == 0 ? 179 : 40000),
                              .iss = i == 0 ? 0xfffffe00 : 0x10000000,
                              .segment = 1000,
                              .state = i == 0 ? TOY_CLOSED : TOY_LISTEN,
                              .send = toy_sends,
                              .ctx = s};
        start_engine(s);
    }
    return w;
}

void world_free(struct world *w)
{
    for (size_t i = 0; i < w->heap_len; i++)
        free(w->heap[i].packet);
    free(w->heap);
    for (size_t i = 0; i < 2; i++) {
        ao_engine_free(w->side[i].engine);
        free(w->side[i].memory);
        for (size_t k = 0; k < w->side[i].held_count; k++)
            free(w->side[i].held[k].packet);
    }
    free(w);
}

struct tcpao_mkt test_key(uint32_t number, uint8_t send_id, uint8_t recv_id, const char *secret,
                          int64_t from, int64_t until)
{
    return (struct tcpao_mkt){.number = number,
                              .send_id = send_id,
                              .recv_id = recv_id,
                              .alg = TCPAO_HMAC_SHA_1,
                              .mac_len = 12,
                              .options_covered = true,
                              .send = {from, until},
                              .accept = {from, until},
                              .secret = (const uint8_t *)secret,
                              .secret_len = strlen(secret)};
}

struct tcpao_mkt test_key_crossed(struct tcpao_mkt mkt)
{
    uint8_t id = mkt.send_id;

    mkt.send_id = mkt.recv_id;
    mkt.recv_id = id;
    return mkt;
}

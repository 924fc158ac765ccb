/*
 * Two routers and the link between them, in one process, under a virtual clock: on each side a toy
 * TCP, below it an engine, between them a link that loses, duplicates, delays and so reorders.
 * Deterministic: the same seed gives the same run.
 */
#ifndef GH_TESTS_WORLD_H
#define GH_TESTS_WORLD_H

#include "sim/toy_tcp.h"
#include "tcpao/engine.h"

struct world;

enum { WORLD_HELD = 8 };

struct side {
    struct world *world;
    struct ao_engine *engine; /* NULL: a router without one */
    struct toy tcp;
    bool looped;                      /* what it sends comes back to itself */
    int64_t skew;                     /* seconds that this side's wall clock is ahead */
    uint64_t dropped_out, dropped_in; /* by the engine */
    uint64_t events[AO_EVENT_COUNT];
    unsigned aborts; /* that the engine asked for; this shell cannot */
    uint16_t aborted_port;
    unsigned lookups; /* silent connections that the engine asked about; tests answer */
    char last_refusal[400];
    /* SYNs that wait for a key; the oldest makes room. */
    struct {
        enum ao_way way;
        uint8_t *packet;
        size_t len;
    } held[WORLD_HELD];
    size_t held_count;
    uint64_t held_ever;
    void (*need)(struct side *s); /* NULL: nobody makes keys */
    void *need_ctx;
    void *memory; /* what survives a restart */
    size_t memory_len;
};

struct flight { /* a packet under way */
    uint64_t at_ms, order;
    struct side *to;
    uint8_t *packet;
    size_t len;
};

struct world {
    uint64_t now_ms;
    int64_t epoch; /* wall time at now_ms == 0 */
    uint64_t random, order;
    unsigned loss, duplicate; /* per mille */
    unsigned delay_min_ms, delay_max_ms;
    struct side side[2];
    struct flight *heap;
    size_t heap_len, heap_cap;
    uint64_t carried;
    /* May change or swallow a packet on the wire: return false to lose it. NULL: none. */
    bool (*tap)(struct world *w, struct side *from, uint8_t *packet, size_t *len);
};

/* v6: addresses 2001:db8::1/2, else 192.0.2.1/2. Both engines are made, without policies. */
struct world *world_new(uint64_t seed, bool v6);
void world_free(struct world *w);
uint64_t world_random(struct world *w, uint64_t below);
struct gh_now side_now(const struct side *s);
/* One policy on a side's engine: its peer is the other side, port 179. */
void side_protect(struct side *s, struct tcpao_chain *chain, const char *chain_name,
                  enum ao_mode mode);
/* The same with keys that are negotiated. */
void side_protect_negotiated(struct side *s, struct tcpao_chain *chain, const char *chain_name);
/* A key is there: what waited for it goes on. */
void side_release(struct side *s);
/* Ends the engine's process and starts the next one over the same memory. */
void side_restart(struct side *s);
uint64_t side_count(const struct side *s, unsigned counter);
/* Everything that is counted as refused, from malformed packets to wrong MACs. */
uint64_t side_refused(const struct side *s);
/* Delivers and fires timers until the given time. */
void world_run(struct world *w, uint64_t until_ms);
/* A packet straight to a side's engine from the network, as an attacker would. */
void world_inject(struct world *w, struct side *to, const uint8_t *packet, size_t len);

/* A key for tests: hmac-sha-1-96, options covered, accept as send. */
struct tcpao_mkt test_key(uint32_t number, uint8_t send_id, uint8_t recv_id, const char *secret,
                          int64_t from, int64_t until);
/* The peer's view of it: ids crossed. */
struct tcpao_mkt test_key_crossed(struct tcpao_mkt mkt);

#endif

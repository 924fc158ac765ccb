/*
 * A world of IKEv2 hosts in one process: a network with loss, duplication, reordering and NATs, a
 * keeper for each, a virtual clock, one seed. The same seed gives the same run.
 *
 * After each step (one datagram, one keeper's answer, one tick) `after` sees the host that was
 * concerned: ike_check.h puts its invariants there.
 */
#ifndef IKE_WORLD_H
#define IKE_WORLD_H

#include "ike/notify_data.h"
#include "ike/v2/core.h"
#include "keeper/store.h"

enum { WORLD_KEY = 128, WORLD_TAP = 64, WORLD_DATAGRAM = 4096 };

/* A Child SA as it was installed. */
struct world_child {
    bool used;
    uint32_t id, replaces;
    uint64_t sa;
    uint8_t spi_in[4], spi_out[4];
    uint8_t key_in[WORLD_KEY], key_out[WORLD_KEY];
    size_t key_in_len, key_out_len;
    struct ike_ts_list local, remote;
    char policy[IKE2_NAME + 1], wanted[IKE2_NAME + 1];
    uint32_t seconds, sa_seconds; /* lifetimes */
    enum ike2_mode mode;
    struct ike_tcp_ao tcp_ao;
    bool fragments_also;
    struct ike2_endpoint peer;
    uint64_t since;   /* the host's time */
    bool accompanied; /* there was another of the same kind beside it */
};

/* What was told in the present step that makes the end of SAs plausible. */
enum world_cause {
    WORLD_PEER_DEAD = 1, /* no answer any more */
    WORLD_PEER_ANEW = 2, /* INITIAL_CONTACT */
    WORLD_NOT_FOUND = 4  /* the peer knows the Child SA no more */
};

struct ike_host {
    struct ike_world *world;
    struct ike2 *core;
    struct gh_keeper_store *keeper;
    struct gh_addr addr;
    struct gh_addr second;  /* another one of the host; len 0: none */
    bool knows_paths;       /* of its next life: the core asks what is here and in `way` */
    enum ike2_way way;      /* from `addr` to anywhere */
    struct gh_addr list[2]; /* what it was answered */
    struct ike2_policy **policies;
    size_t policy_count;
    struct world_child *child; /* `used` ones among child_room */
    size_t child_room, child_count;
    uint64_t deadline;   /* of the core, in the world's time */
    uint64_t mono_ahead; /* its clocks differ from the world's */
    int64_t wall_ahead;
    struct ike2_settings settings; /* of its next life */
    unsigned lives, causes;
    uint64_t steps;
    bool commanded; /* an operator ended SAs of it or of a peer of it */
    unsigned installed, removed, updated, events[IKE2_EVENT_COUNT];
    struct ike2_endpoint child_local, child_remote; /* of the last child_update */
    bool child_udp;
    unsigned asked[GH_KEEPER_LIST + 1]; /* the keeper, by kind */
    char last[IKE2_EVENT_COUNT][256];   /* the last words of each kind */
    bool unread;                        /* nobody reads the words of its events */
    char key_line[1024];                /* the last of the key log */
    /* Who is to install Child SAs beside the records; NULL: nobody. */
    bool (*installs)(struct ike_host *h, const struct ike2_child_view *v);
    void (*removes)(struct ike_host *h, uint32_t id, enum ike2_removal why);
    bool (*spi)(struct ike_host *h, const struct ike2_child_policy *p, uint8_t *spi, size_t len);
    void (*hears)(struct ike_host *h, const struct ike2_event *e);
    void *hooks_ctx;
    bool dead;                 /* hears and says nothing */
    bool refuses;              /* to install Child SAs */
    struct ike2_datagram said; /* the last datagram; without its octets */
    uint8_t said_octets[2048]; /* their beginning */
    unsigned said_count;
    unsigned keepalives; /* sent, to no effect in this world */
    bool nat_is_static;  /* its NAT forwards port 4500, too, as it is */
    bool behind_nat;     /* others see it at nat_addr, nat_port */
    struct gh_addr nat_addr;
    uint16_t nat_port;
};

struct ike_world {
    uint64_t seed;
    struct gh_now now;
    struct ike_host *hosts;
    size_t host_count;
    unsigned loss, duplicated;        /* of a thousand datagrams */
    unsigned delay_least, delay_most; /* milliseconds */
    size_t datagram_max;              /* what the path takes; 0: anything */
    struct world_event **events;      /* datagrams and answers: a heap by time, then by age */
    size_t event_count, event_room;
    uint64_t event_seq;
    uint64_t carried, lost, exchanges, too_long, steps, injected, mutated;
    unsigned most_under_way;  /* requests of one SA at a time */
    uint64_t overtaken;       /* steps after which a request was answered before an older one */
    bool verbose;             /* events are printed */
    uint64_t lost_with_cause; /* Child SAs */
    char wrong[400];          /* the first broken invariant; empty: none */
    void (*after)(struct ike_world *w, struct ike_host *h);
    /* Another datagram in the place of one that is sent; false: as it is. May inject more. */
    bool (*meddle)(struct ike_world *w, struct ike_host *from, const struct ike2_datagram *d);
    /* Changes what a host sends: at most WORLD_DATAGRAM octets, the length comes back. NULL:
     * nobody. */
    size_t (*tamper)(struct ike_world *w, const struct ike_host *from, uint8_t *octets, size_t len);
    /* The wire as an attacker on the path hears it. */
    struct world_event *tap[WORLD_TAP];
    size_t tapped;
    unsigned attack; /* of a thousand datagrams: followed by a forged one */
    /* Sees what leaves a host, and may change it; false: it is lost. NULL: nobody looks. */
    bool (*filter)(void *ctx, struct ike_host *from, struct ike2_datagram *d);
    void *filter_ctx;
};

struct ike_world *ike_world_new(uint64_t seed, size_t hosts);
void ike_world_free(struct ike_world *w);
/* Below `bound`. */
uint32_t ike_world_random(struct ike_world *w, uint32_t bound);

/* A policy of host i for host j, with a pre-shared key of both and one child "net". */
struct ike2_policy *ike_world_policy(struct ike_world *w, size_t i, size_t j);
/* Hands a host's policies to its core. */
void ike_world_configure(struct ike_world *w, size_t i);
/* A new core in the place of the old one, which forgot everything. */
void ike_world_restart(struct ike_world *w, size_t i);

/* A datagram that nobody in this world sent: `d` as its receiver sees it, at once. */
void ike_world_push(struct ike_world *w, size_t to, const struct ike2_datagram *d);
/* What the host takes for the time. */
struct gh_now ike_world_now(const struct ike_host *h);
/* A datagram on the wire, as it arrives: neither lost nor repeated. */
void ike_world_inject(struct ike_world *w, const struct ike2_endpoint *from,
                      const struct ike2_endpoint *to, bool marker, struct gh_view octets);
/* The host that an address leads to; NULL: nobody. */
struct ike_host *ike_world_host_at(struct ike_world *w, const struct ike2_endpoint *e);
/* Adds a child between sub-prefix k of both hosts' nets to host i's policy for j. */
struct ike2_child_policy *ike_world_child(struct ike2_policy *p, size_t i, size_t j, size_t k);
/* To the first of the proposals. */
void ike_world_add_transform(struct ike_proposals *proposals, uint8_t type, uint16_t id);
/* Notes a broken invariant; the first one stands. */
void ike_world_broken(struct ike_world *w, const struct ike_host *h, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Runs for this long, or until nothing moves but timers beyond it. */
void ike_world_run(struct ike_world *w, uint64_t ms);

/* Hands a host octets that nobody in this world sent, from `from`'s address. */
void ike_world_hand(struct ike_world *w, const struct ike_host *from, struct ike_host *to,
                    const uint8_t *octets, size_t len);

/* The established IKE SAs of a host; `one` gets the last of them. */
size_t ike_world_sas(const struct ike_host *h, struct ike2_sa_view *one);
size_t ike_world_children(const struct ike_host *h);
/* Each Child SA of i with j is one of j with i, with the same keys the other way round, and no
 * other is left. NULL, or what is wrong. */
const char *ike_world_agree(const struct ike_host *a, const struct ike_host *b);
/* The host's Child SA that is the other end of one of the peer's. */
/* Keys and selectors of one are the other's the other way round. NULL, or what differs. */
const char *ike_world_mirrors(const struct world_child *x, const struct world_child *y);
const struct world_child *ike_world_match(const struct ike_host *h, const struct world_child *c);

#endif

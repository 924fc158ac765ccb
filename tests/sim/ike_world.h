/*
 * A world of IKEv2 hosts in one process: a network with loss, duplication, reordering and NATs, a
 * keeper for each, a virtual clock, one seed. The same seed gives the same run.
 */
#ifndef IKE_WORLD_H
#define IKE_WORLD_H

#include "ike/v2/core.h"
#include "keeper/store.h"

enum { WORLD_KEY = 128, WORLD_CHILDREN = 64 };

/* A Child SA as it was installed. */
struct world_child {
    bool used;
    uint32_t id, replaces;
    uint64_t sa;
    uint8_t spi_in[4], spi_out[4];
    uint8_t key_in[WORLD_KEY], key_out[WORLD_KEY];
    size_t key_in_len, key_out_len;
    struct ike_ts_list local, remote;
};

struct ike_host {
    struct ike_world *world;
    struct ike2 *core;
    struct gh_keeper_store *keeper;
    struct ike2_settings settings; /* of its cores, from the next restart on */
    struct gh_addr addr;
    struct gh_addr second; /* another one of the host; len 0: none */
    struct ike2_policy **policies;
    size_t policy_count;
    struct world_child child[WORLD_CHILDREN];
    unsigned installed, removed, updated, events[IKE2_EVENT_COUNT];
    struct ike2_endpoint child_local, child_remote; /* of the last child_update */
    bool child_udp;
    unsigned asked[GH_KEEPER_LIST + 1]; /* the keeper, by kind */
    char last[IKE2_EVENT_COUNT][256];   /* the last words of each kind */
    char key_line[1024];                /* the last of the key log */
    bool dead;                          /* hears and says nothing */
    bool behind_nat;                    /* others see it at nat_addr, nat_port */
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
    struct world_packet *packets;     /* by time */
    struct world_answer *answers;
    uint64_t carried, lost, exchanges, too_long;
    bool verbose; /* events are printed */
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
void ike_world_inject(struct ike_world *w, size_t to, const struct ike2_datagram *d);

/* Runs for this long, or until nothing moves but timers beyond it. */
void ike_world_run(struct ike_world *w, uint64_t ms);

/* The established IKE SAs of a host; `one` gets the last of them. */
size_t ike_world_sas(const struct ike_host *h, struct ike2_sa_view *one);
size_t ike_world_children(const struct ike_host *h);
/* Each Child SA of i with j is one of j with i, with the same keys the other way round, and no
 * other is left. NULL, or what is wrong. */
const char *ike_world_agree(const struct ike_host *a, const struct ike_host *b);

#endif

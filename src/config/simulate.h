/*
 * The future of a session: both ends' clocks are played through every instant at which a key of
 * either end begins or ends, and two real TCP-AO connections exchange signed segments there.
 *
 * Nothing about key selection is written again here: the connections are libtcpao's. Pure; called
 * by `gatectl key-chain simulate` and the tests.
 */
#ifndef GH_CONFIG_SIMULATE_H
#define GH_CONFIG_SIMULATE_H

#include "config/config.h"

enum { GH_SIM_HERE, GH_SIM_THERE };

struct gh_sim_setup {
    const struct gh_key_chain *here;
    const struct gh_key_chain *there; /* NULL: a peer with the same keys, ids crossed */
    int64_t from, to;                 /* here's clock */
    int64_t skew;                     /* seconds by which there's clock is ahead */
    int64_t hold;                     /* seconds of silence that end a session; 0: 180, BGP's */
};

enum gh_sim_status {
    GH_SIM_UP,    /* segments pass in both directions */
    GH_SIM_RESET, /* the old connection was lost, a new one came up */
    GH_SIM_WAITS, /* segments are refused, but not for as long as the session takes to give up */
    GH_SIM_DOWN   /* no connection is possible */
};

/* One end after a change. */
struct gh_sim_end {
    bool sends;           /* there is a key to send with */
    uint32_t send_key;    /* its number */
    uint8_t send_id;      /* KeyID of its segments */
    bool announces;       /* there is a key that it wants to receive */
    uint32_t rnext_key;   /* its number */
    uint8_t rnext_id;     /* RNextKeyID of its segments */
    uint8_t accepts[256]; /* recv-ids that it accepts, ascending */
    size_t accept_count;
    enum tcpao_result refused; /* why its segments do not arrive; TCPAO_OK: they do */
};

struct gh_sim_step {
    int64_t time;
    enum gh_sim_status status;
    struct gh_sim_end end[2];
};

struct gh_sim {
    int64_t from, to, skew;
    struct gh_sim_step *steps; /* only those at which something changes; the first is at `from` */
    size_t count;
    size_t resets;   /* connections lost though keys were left */
    size_t refusals; /* instants at which a segment was refused */
    int64_t dies;    /* from here on the session is down to the end; TCPAO_TIME_MAX: it is not */
    bool secrets_taken_as_equal; /* some were not loaded */
};

/* The last instant at which a key of either end begins or ends, or TCPAO_TIME_MIN. */
int64_t gh_sim_last_change(const struct gh_key_chain *here, const struct gh_key_chain *there);

/* False: no memory. */
bool gh_simulate(const struct gh_sim_setup *setup, struct gh_sim *out);
void gh_sim_free(struct gh_sim *sim);

const char *gh_sim_status_name(enum gh_sim_status s); /* "up", "reset", "waits", "down" */

/* simulate_print.c: a timeline and what it means, for people and for programs. */
void gh_sim_print(const struct gh_sim *sim, const char *here, const char *there, FILE *out);
struct json_t;
struct json_t *gh_sim_json(const struct gh_sim *sim);

#endif

/*
 * The TCP connections of a capture: who their ends are, their ISNs, how far each end has come.
 *
 * One connection is one life of a pair of sockets: a new handshake on the same addresses and ports
 * starts another. The verifier owns the table. A handshake that did not verify must not disturb a
 * life that did (it may be forged), hence `proven`. Pure.
 */
#ifndef GH_CAPTURE_FLOW_H
#define GH_CAPTURE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/match.h"
#include "capture/segment.h"
#include "tcpao.h"

/* One end of a connection, as a sender. */
struct cap_side {
    bool isn_known;
    uint32_t isn;
    struct tcpao_sne sne; /* valid with isn_known; moved by good segments */
    uint64_t next;        /* extended sequence number after the latest good octet */
    bool fin;
    bool key_known; /* the key of its latest good segment */
    uint32_t key;
    bool outside_known; /* it has used this key outside its lifetime, and that was said */
    uint32_t outside_key;
    unsigned key_changes;
    uint64_t key_frame; /* frame of the first segment under `key` */
};

struct cap_connection {
    unsigned number;              /* from 1, in order of appearance */
    struct tcpao_endpoint end[2]; /* 0: the sender of the first segment seen */
    struct cap_side side[2];
    bool proven; /* at least one segment of this life verified */
    bool closed; /* RST, or FIN of both */
    bool signed_any;
    struct cap_matches matches; /* best first; the one that verified moves to the front */
    uint64_t verdicts[CAP_VERDICT_COUNT];
    unsigned diagnosed;
    uint64_t first_frame;
    struct cap_connection *next_in_bucket, *next;
};

struct cap_flows;

struct cap_flows *cap_flows_new(void); /* NULL: no memory */
void cap_flows_free(struct cap_flows *f);

/* The latest life between these ends, or NULL. */
struct cap_connection *cap_flows_find(const struct cap_flows *f, const struct tcpao_endpoint *src,
                                      const struct tcpao_endpoint *dst);
/* A new life. NULL: no memory. */
struct cap_connection *cap_flows_add(struct cap_flows *f, const struct tcpao_endpoint *src,
                                     const struct tcpao_endpoint *dst);
/* All lives in order of appearance: the first, then `next`. */
const struct cap_connection *cap_flows_first(const struct cap_flows *f);

/* 0 or 1: which end this is. */
int cap_side_of(const struct cap_connection *c, const struct tcpao_endpoint *e);

/* Does this SYN or SYN-ACK, sent by side `from`, belong to this life? */
bool cap_handshake_fits(const struct cap_connection *c, int from, const struct gh_tcp_segment *tcp);
/* Takes the ISNs out of it. */
void cap_handshake_learn(struct cap_connection *c, int from, const struct gh_tcp_segment *tcp);

#endif

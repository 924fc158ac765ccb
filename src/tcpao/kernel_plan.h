/*
 * What must change on a socket whose keys the kernel holds, so that it follows its key chain.
 *
 * The kernel knows no lifetimes: a key on a socket is accepted, and the peer may ask for it. So the
 * steps do what conn_keys.c does inside the engine, by the same rules: a key is put on the socket
 * when its accept lifetime, widened by the tolerance, begins; rnext is moved to the preferred key;
 * current is the peer's to move until its own send lifetime is over; a key goes when the widened
 * accept lifetime ends, or earlier when both directions have left it (conn_key_retired()).
 *
 * Where nothing may be sent or accepted any more, a lock takes the place: a random key that nobody
 * else has. A socket of a session so always has a key for its peer, and the kernel refuses what is
 * not signed; and a connection, whose last key the kernel would not give up, stands still.
 *
 * Pure; ao_kernel.c of the daemon carries the steps out.
 */
#ifndef GH_TCPAO_KERNEL_PLAN_H
#define GH_TCPAO_KERNEL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpao.h"

/* A key of one session on the socket, as the kernel tells it. */
struct ao_kernel_key {
    uint8_t send_id, recv_id;
    bool known; /* it is the chain's key `number` (ids, algorithm, secret); else it has to go */
    uint32_t number;
    bool lock;
    bool current, rnext;
};

enum ao_kernel_role {
    AO_KERNEL_LISTENER,  /* no current and rnext key */
    AO_KERNEL_CONNECTION /* from before connect(), or from accept(), to its end */
};

enum ao_kernel_step_kind { AO_KERNEL_ADD, AO_KERNEL_ADD_LOCK, AO_KERNEL_MOVE, AO_KERNEL_DELETE };

struct ao_kernel_step {
    enum ao_kernel_step_kind kind;
    const struct tcpao_mkt *mkt; /* ADD; borrowed from the chain */
    uint8_t send_id, recv_id;    /* ADD_LOCK, DELETE; MOVE: SendID of current, RecvID of rnext */
};

/* Each key comes and goes at most once; the rest is room for locks and moves. */
enum {
    AO_KERNEL_KEYS_MAX = 256, /* there are no more ids */
    AO_KERNEL_STEPS_MAX = AO_KERNEL_KEYS_MAX + TCPAO_CHAIN_KEYS_MAX + 8
};

struct ao_kernel_plan {
    struct ao_kernel_step steps[AO_KERNEL_STEPS_MAX]; /* to be done in this order */
    size_t count;
    bool locked;                /* nothing may be sent (a listener: nothing accepted) */
    struct tcpao_conn_state st; /* keys as they are after the steps */
};

/*
 * `st` tells which key the peer uses (last_recv_*); its current and rnext are not looked at. Of a
 * connection that has not received anything, or of a listener, it is zero.
 */
void ao_kernel_plan(const struct tcpao_chain *chain, int64_t now, enum ao_kernel_role role,
                    const struct ao_kernel_key *keys, size_t count,
                    const struct tcpao_conn_state *st, struct ao_kernel_plan *out);

/* The next instant after `now` at which another plan may come out although the socket and its peer
 * change nothing. TCPAO_TIME_MAX: none. */
int64_t ao_kernel_next_change(const struct tcpao_chain *chain, int64_t now,
                              const struct tcpao_conn_state *st);

#endif

/*
 * The engine's end of the gatekeeper: the chains of sessions whose keys are negotiated, and the
 * talk with the gatekeeper in the `ike` process, which comes and goes.
 *
 * Keys outlive the gatekeeper: while it is away they go on to their hard lifetimes, and the next
 * one is told of them. Owned by the `ao` process.
 */
#ifndef GH_DAEMON_AO_GATEKEEPER_H
#define GH_DAEMON_AO_GATEKEEPER_H

#include <stdbool.h>
#include <uv.h>

#include "base/clock.h"
#include "tcpao/engine.h"

struct gh_ao_gatekeeper;

struct gh_ao_gatekeeper_ops {
    /* The chain of a session has changed: what waits for a key may be able to go. */
    void (*keys_changed)(void *ctx, const char *session);
};

/* NULL: no memory. */
struct gh_ao_gatekeeper *gh_ao_gatekeeper_new(uv_loop_t *loop,
                                              const struct gh_ao_gatekeeper_ops *ops, void *ctx);
void gh_ao_gatekeeper_free(struct gh_ao_gatekeeper *g);

/* The chain of a session with negotiated keys, made if need be; borrowed. `fallback`: the key chain
 * whose keys are in it while the gatekeeper says so; NULL: none. NULL: no memory. */
struct tcpao_chain *gh_ao_gatekeeper_chain(struct gh_ao_gatekeeper *g, const char *session,
                                           struct tcpao_chain *fallback);
/* Those that were not asked for since the last call are forgotten, with their keys. */
void gh_ao_gatekeeper_sweep(struct gh_ao_gatekeeper *g);

/* The socket to a gatekeeper that has just begun; is told of all there is. */
void gh_ao_gatekeeper_open(struct gh_ao_gatekeeper *g, struct gh_now now, const struct ao_engine *e,
                           int fd);
void gh_ao_gatekeeper_needed(struct gh_ao_gatekeeper *g, const char *session);
/* A SYN of the peer's came, and there is no key for it. To ask IKE is the peer's business; but
 * where there is a chain to fall back on, the peer may be on it already, and IKE's silence matters
 * here. */
void gh_ao_gatekeeper_called(struct gh_ao_gatekeeper *g, const char *session);
void gh_ao_gatekeeper_signed(struct gh_ao_gatekeeper *g, const char *session);
/* Connections of such sessions are the gatekeeper's business. */
void gh_ao_gatekeeper_event(struct gh_ao_gatekeeper *g, const struct ao_event *event);
/* At least once a second: keys that nobody uses, and lifetimes. */
void gh_ao_gatekeeper_tick(struct gh_ao_gatekeeper *g, struct gh_now now,
                           const struct ao_engine *e);

#endif

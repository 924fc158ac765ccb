/*
 * The gatekeeper in the `ike` process: the pure core (src/gatekeeper) between the IKE core's
 * callbacks and the engine's process at the other end of a socket.
 *
 * What it wants of the IKE core waits until that is not in the midst of something:
 * gh_ike_gatekeeper_settle(), after each call of the core. Owned by the `ike` process.
 */
#ifndef GH_DAEMON_IKE_GATEKEEPER_H
#define GH_DAEMON_IKE_GATEKEEPER_H

#include <stdbool.h>
#include <uv.h>

#include "gatekeeper/gatekeeper.h"

struct gh_ike_gatekeeper;

struct gh_ike_gatekeeper_ops {
    void (*random)(void *ctx, void *out, size_t len);
    void (*event)(void *ctx, const struct gk_event *e);
    /* The engine has said something: time to settle. */
    void (*stirred)(void *ctx);
};

struct gh_ike_gatekeeper *gh_ike_gatekeeper_new(uv_loop_t *loop,
                                                const struct gh_ike_gatekeeper_ops *ops, void *ctx);
void gh_ike_gatekeeper_free(struct gh_ike_gatekeeper *g);

/* The socket to the engine. */
void gh_ike_gatekeeper_open(struct gh_ike_gatekeeper *g, int fd);
bool gh_ike_gatekeeper_is_open(const struct gh_ike_gatekeeper *g);
/* The core itself, for callbacks of the IKE core and for showing. Borrowed. */
struct gk *gh_ike_gatekeeper_core(struct gh_ike_gatekeeper *g);

/* Time, and what it wants of the IKE core. */
void gh_ike_gatekeeper_settle(struct gh_ike_gatekeeper *g, struct gh_now now, struct ike2 *core);
uint64_t gh_ike_gatekeeper_next_deadline(const struct gh_ike_gatekeeper *g);

#endif

/*
 * The desk where `ike` asks the keeper: requests go out together, answers come back in any order.
 *
 * The desk's socket may be gone for a while (the keeper starts again); requests wait, and all that
 * have no answer are sent again when there is a new one. A request that went down with several
 * desks is refused here: it may be what breaks them. The keeper asks processes that have a token in
 * the same way.
 */
#ifndef GH_DAEMON_IKE_DESK_H
#define GH_DAEMON_IKE_DESK_H

#include <stdbool.h>
#include <uv.h>

#include "keeper/request.h"

enum { GH_DESK_WAITING_MAX = 8192, GH_DESK_TRIES = 5 };

struct gh_ike_desk;

struct gh_ike_desk_ops {
    /* `a` has the id that the asker gave; `asker` is what came with the request. The callee may
     * ask again. */
    void (*answer)(void *asker, const struct gh_keeper_answer *a);
    /* The socket is gone. */
    void (*lost)(void *ctx);
};

/* NULL: no memory. */
struct gh_ike_desk *gh_ike_desk_new(uv_loop_t *loop, const struct gh_ike_desk_ops *ops, void *ctx);
void gh_ike_desk_free(struct gh_ike_desk *d); /* wipes; NULL is fine */

/* Takes the socket, in place of the one before. */
void gh_ike_desk_open(struct gh_ike_desk *d, int fd);
bool gh_ike_desk_is_open(const struct gh_ike_desk *d);
size_t gh_ike_desk_waiting(const struct gh_ike_desk *d);

/* Leaves with gh_ike_desk_flush(). False: a request that cannot be, too many wait, or no memory. */
bool gh_ike_desk_ask(struct gh_ike_desk *d, void *asker, const struct gh_keeper_request *r);
void gh_ike_desk_flush(struct gh_ike_desk *d);
/* Its answers are not wanted any more. */
void gh_ike_desk_forget(struct gh_ike_desk *d, const void *asker);

#endif

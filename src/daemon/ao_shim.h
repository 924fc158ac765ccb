/*
 * The preload library's connections (src/shim/protocol.h): requests in, answers out, one at a time
 * for each connection.
 *
 * The parent has let them in; ao_requests.c decides what is answered, at once or when the parent
 * has done its part. Owned here: the connections, and of each the request under way with its
 * socket.
 */
#ifndef GH_DAEMON_AO_SHIM_H
#define GH_DAEMON_AO_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "shim/protocol.h"

enum { GH_SHIM_NAME = 40 };

struct gh_shim_request {
    enum gh_shim_op op;
    int option;
    uint32_t room;
    int fd;        /* the socket, or -1 */
    uint8_t *body; /* may hold a key: wiped with the request */
    size_t len;
    const char *program; /* "bird[812]" */
    uint32_t pid;
    uint32_t id; /* of the connection, for whoever answers later */
};

struct gh_shim_server;

/* Called with each request; its answer is gh_shim_answer(), now or later. */
typedef void (*gh_shim_request_fn)(void *ctx, const struct gh_shim_request *r);

struct gh_shim_server *gh_shim_server_new(uv_loop_t *loop, gh_shim_request_fn fn, void *ctx);
/* From now on requests are read. */
void gh_shim_server_start(struct gh_shim_server *s);
/* Takes the socket of a new connection. */
void gh_shim_server_add(struct gh_shim_server *s, int fd, uint32_t pid, uint32_t uid);
/* The request that waits on a connection; NULL: its program is gone. */
const struct gh_shim_request *gh_shim_waiting(struct gh_shim_server *s, uint32_t id);
/* Ends the request: closes its socket, wipes it, and sends the answer. `reported` is what
 * getsockopt() says of the length. The body is the caller's. Nothing happens if the program is
 * gone. */
void gh_shim_answer(struct gh_shim_server *s, uint32_t id, enum gh_shim_action action, int error,
                    const uint8_t *body, size_t len, size_t reported);

#endif

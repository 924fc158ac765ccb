/*
 * The control socket: gatectl and other clients, one JSON object a line each way.
 *
 * The parent owns it. It answers some requests itself and forwards the others to `ao`; answers come
 * back by the client's number, which is never used twice.
 */
#ifndef GH_DAEMON_CONTROL_SERVER_H
#define GH_DAEMON_CONTROL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include <jansson.h>

struct gh_control_server;

/* A whole line that parses as a request. The callee answers with gh_control_server_answer(), at
 * once or later. */
typedef void (*gh_request_fn)(void *ctx, uint32_t client, const json_t *request, const char *line,
                              size_t len);

/* Listens at `path` (mode 0660, of that group), replacing what a dead daemon left there. NULL:
 * it cannot, and the log says why. */
struct gh_control_server *gh_control_server_new(uv_loop_t *loop, const char *path, gid_t group,
                                                gh_request_fn fn, void *ctx);
void gh_control_server_close(struct gh_control_server *s); /* NULL is fine */

/* Sends a line, newline included. A client that has gone is no error. */
void gh_control_server_answer(struct gh_control_server *s, uint32_t client, const char *line,
                              size_t len);
void gh_control_server_answer_json(struct gh_control_server *s, uint32_t client, json_t *answer);
/* From now on this client gets the lines of gh_control_server_publish(). */
void gh_control_server_subscribe(struct gh_control_server *s, uint32_t client);
void gh_control_server_publish(struct gh_control_server *s, const char *line, size_t len);
/* Answers all who still wait for `ao`. */
void gh_control_server_refuse_waiting(struct gh_control_server *s, const char *why);

#endif

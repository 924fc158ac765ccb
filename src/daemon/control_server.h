/*
 * The control socket: gatectl and other clients, one JSON object a line each way.
 *
 * The parent owns it. It answers some requests itself and forwards the others to `ao` or `ike`;
 * answers come back by the client's number, which is never used twice.
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

/* Who owes a client an answer. */
enum gh_answerer {
    GH_ANSWERER_PARENT,
    GH_ANSWERER_AO,
    GH_ANSWERER_IKE,
    GH_ANSWERER_ESP,
    GH_ANSWERERS
};

/* A whole line that parses as a request. The callee answers it at once with
 * gh_control_server_answer_json(), or says who will with gh_control_server_owed(). */
typedef void (*gh_request_fn)(void *ctx, uint32_t client, const json_t *request, const char *line,
                              size_t len);

/* Listens at `path` (mode 0660, of that group), replacing what a dead daemon left there. NULL:
 * it cannot, and the log says why. */
struct gh_control_server *gh_control_server_new(uv_loop_t *loop, const char *path, gid_t group,
                                                gh_request_fn fn, void *ctx);
void gh_control_server_close(struct gh_control_server *s); /* NULL is fine */

/* Does this client run as root? Others are of the socket's group. */
bool gh_control_server_is_root(const struct gh_control_server *s, uint32_t client);

/* A request that was just handed over: `from` answers it, later. */
void gh_control_server_owed(struct gh_control_server *s, uint32_t client, enum gh_answerer from);
/* Sends a line, newline included. A client that has gone is no error; an answer that `from` does
 * not owe is dropped. */
void gh_control_server_answer(struct gh_control_server *s, uint32_t client, enum gh_answerer from,
                              const char *line, size_t len);
void gh_control_server_answer_json(struct gh_control_server *s, uint32_t client,
                                   enum gh_answerer from, json_t *answer);
/* From now on this client gets the lines of gh_control_server_publish(). */
void gh_control_server_subscribe(struct gh_control_server *s, uint32_t client);
bool gh_control_server_has_monitors(const struct gh_control_server *s);
void gh_control_server_publish(struct gh_control_server *s, const char *line, size_t len);
/* Answers all who still wait for one of them. */
void gh_control_server_refuse_waiting(struct gh_control_server *s, enum gh_answerer from,
                                      const char *why);

#endif

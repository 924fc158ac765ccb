/*
 * The control protocol: what gatectl asks and what the daemon answers.
 *
 * One JSON object per line each way over a stream socket; docs/control-protocol.md is the stable
 * description. The `ao` process answers what concerns sessions, keys and counters by
 * gh_control_handle(); the parent answers `reload` and `monitor` itself and forwards the rest.
 * Pure: no I/O, no clock. Answers never hold a secret.
 */
#ifndef GH_CONTROL_CONTROL_H
#define GH_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/clock.h"
#include "control/carrier.h"

struct ao_engine;
struct ao_event;
struct gh_config;
struct gh_session;

#define GH_CONTROL_SOCKET "/run/gatehouse/control.sock"

enum { GH_CONTROL_LINE_MAX = 4096 }; /* octets of a request, without its newline */

/* What the answering process knows; all borrowed. */
struct gh_control_view {
    const struct gh_config *config;
    struct ao_engine *engine;
    const char *version;
    struct gh_now started; /* when this process began */
    /* NULL: the engine carries all. */
    enum gh_carrier (*carrier)(void *ctx, const struct gh_session *session);
    void *carrier_ctx;
};

/* Parses one line (len octets, newline or not). NULL: not a request; then *refusal is the answer
 * to send (NULL only without memory). The caller owns either. */
json_t *gh_control_parse(const char *line, size_t len, json_t **refusal);

/* The request's "op", or NULL. Borrowed from the request. */
const char *gh_control_op(const json_t *request);

/* Answers one request: a new object with "ok". NULL only without memory. */
json_t *gh_control_handle(const struct gh_control_view *view, struct gh_now now,
                          const json_t *request);

/* {"ok":false,"error":…,"remedy":…}; remedy may be NULL. */
json_t *gh_control_refusal(const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What `monitor` clients are sent. */
json_t *gh_control_event(const struct ao_event *event);

/* One line with its newline, to be freed with free(). NULL: no memory. */
char *gh_control_line(const json_t *object, size_t *len);

#endif

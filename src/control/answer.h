/*
 * The pieces that answers are made of, shared by the files of src/control. Not for others.
 */
#ifndef GH_CONTROL_ANSWER_H
#define GH_CONTROL_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "config/config.h"
#include "control/control.h"
#include "tcpao/engine.h"

/* ---- Values (json.c): new references; a set with NULL leaves the field out ------------------ */

json_t *gh_json_text(const char *text); /* null for NULL; octets that are not UTF-8 become '?' */
json_t *gh_json_time(int64_t wall);
json_t *gh_json_past(int64_t wall); /* null for 0: it never happened */
json_t *gh_json_endpoint(const struct tcpao_endpoint *e);
json_t *gh_json_prefix(const struct gh_prefix *p);
/* {"name": n, …}; zero ones are left out unless `all`. */
json_t *gh_json_counters(const uint64_t *counters, bool all);
json_t *gh_json_key_counters(const struct ao_session_view *v);
/* {"kind":…,"text":…} */
json_t *gh_json_warning(const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

bool gh_counter_is_drop(unsigned counter);

/* ---- What a request is about (target.c) ----------------------------------------------------- */

/* All sessions and sockets, those of one name, or those that cover a peer's address. */
struct gh_target {
    const char *name; /* NULL: any */
    bool is_socket;   /* only sockets with keys of their own are meant, no session */
    bool has_peer;
    struct gh_addr peer;
};

/* From "name" (a session's or a socket's name or else an address) and "peer" (an address). False:
 * *refusal. */
bool gh_target_parse(const struct gh_control_view *view, const json_t *request, bool needed,
                     struct gh_target *out, json_t **refusal);
bool gh_target_covers(const struct gh_target *t, const struct gh_session *s);
bool gh_target_covers_socket(const struct gh_target *t, const struct ao_policy *flow);
/* The names of the sockets that it covers: the keys of a new object. */
json_t *gh_target_sockets(const struct ao_engine *engine, const struct gh_target *t);
bool gh_target_is_remote(const struct gh_target *t, const struct tcpao_endpoint *remote);

/* Who carries it, by the view's word. */
enum gh_carrier gh_carrier_of(const struct gh_control_view *view, const struct gh_session *s);

/* ---- Answers: one function an op ------------------------------------------------------------ */

enum { GH_SOCKET_KEY = 260 };

/* Objects by session name, or by gh_socket_key() of a socket's; "connections" filled. */
json_t *gh_sessions_collect(const struct gh_control_view *view, struct gh_now now,
                            const struct gh_target *target, bool detail);
void gh_socket_key(const char *name, char key[GH_SOCKET_KEY]);
/* One flow's part of what its socket looks like. */
void gh_socket_add(json_t *sessions, const struct ao_session_view *v, bool detail);
json_t *gh_last_event_json(int64_t wall, const char *text);
json_t *gh_last_refusal_json(const struct ao_session_view *v);
json_t *gh_session_from_config(const struct gh_config *config, const struct gh_session *s);
json_t *gh_connection_json(const struct ao_connection_view *c, struct gh_now now, bool detail);
/* A chain that answers questions about time only: it needs no secret and holds none. NULL: no
 * memory. */
struct tcpao_chain *gh_key_chain_timetable(const struct gh_key_chain *c);
/* "expiring", "expired", … of a chain: appended to an array. */
void gh_chain_warnings(const struct gh_key_chain *chain, int64_t now, json_t *warnings);

json_t *gh_show_key_chain(const struct gh_control_view *view, struct gh_now now,
                          const json_t *request);
json_t *gh_show_key_table(const struct gh_control_view *view, struct gh_now now,
                          const json_t *request);
json_t *gh_show_session(const struct gh_control_view *view, struct gh_now now,
                        const json_t *request);
json_t *gh_show_counters(const struct gh_control_view *view, struct gh_now now,
                         const json_t *request);
json_t *gh_show_status(const struct gh_control_view *view, struct gh_now now,
                       const json_t *request);
json_t *gh_show_configuration(const struct gh_control_view *view, struct gh_now now,
                              const json_t *request);
/* handover.c */
json_t *gh_export_connections(const struct gh_control_view *view, struct gh_now now,
                              const json_t *request);
json_t *gh_adopt_connection(const struct gh_control_view *view, struct gh_now now,
                            const json_t *request);
/* One of the explanations: of a session, or of an IKE peer. */
struct gh_explanation;
json_t *gh_explanation_json(const char *name, const struct gh_explanation *x);
json_t *gh_show_explanation(const struct gh_control_view *view, struct gh_now now,
                            const json_t *request);

#endif

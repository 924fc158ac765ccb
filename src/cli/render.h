/*
 * Answers as text: what gatectl prints without --json, made from the very JSON that --json prints.
 */
#ifndef GH_CLI_RENDER_H
#define GH_CLI_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "control/format.h"

struct cli_render {
    FILE *out;
    int width;   /* wrap long texts at this column; 0: never */
    bool detail; /* blocks instead of a table */
};

/* The renderer of an op's answer, or NULL: just "ok". */
typedef void (*cli_render_fn)(const struct cli_render *r, const json_t *answer);
cli_render_fn cli_renderer(const char *op);

/* {"ok":false}: the error, its remedy and its list of problems. */
void cli_render_refusal(const json_t *answer, FILE *err);
/* One line. */
void cli_render_event(const json_t *event, FILE *out);

void cli_render_key_chain(const struct cli_render *r, const json_t *answer);
void cli_render_key_table(const struct cli_render *r, const json_t *answer);
void cli_render_session(const struct cli_render *r, const json_t *answer);
void cli_render_counters(const struct cli_render *r, const json_t *answer);
void cli_render_status(const struct cli_render *r, const json_t *answer);
void cli_render_processes(const struct cli_render *r, const json_t *answer);
void cli_render_ike_peer(const struct cli_render *r, const json_t *answer);
void cli_render_ike_sa(const struct cli_render *r, const json_t *answer);
void cli_render_ike_child(const struct cli_render *r, const json_t *answer);
void cli_render_ike_statistics(const struct cli_render *r, const json_t *answer);
void cli_render_ipsec_sa(const struct cli_render *r, const json_t *answer);
void cli_render_ipsec_counters(const struct cli_render *r, const json_t *answer);
void cli_render_ipsec_unprotected(const struct cli_render *r, const json_t *answer);
void cli_render_tunnels(const struct cli_render *r, const json_t *answer);
void cli_render_ipsec_groups(const struct cli_render *r, const json_t *answer);
void cli_render_ipsec_tunnel(const struct cli_render *r, const json_t *answer);
void cli_render_ipsec_gateway(const struct cli_render *r, const json_t *answer);
void cli_render_ipsec_policy(const struct cli_render *r, const json_t *answer);
void cli_render_gatekeeper(const struct cli_render *r, const json_t *answer);
void cli_render_ike_lockout(const struct cli_render *r, const json_t *answer);
void cli_render_explanation(const struct cli_render *r, const json_t *answer);

/* ---- Fields, by default empty: an answer of another version must not crash gatectl ---------- */

const char *cli_string(const json_t *value);                     /* "" when it is no string */
const char *cli_text(const json_t *object, const char *field);   /* "" when missing or null */
json_int_t cli_integer(const json_t *object, const char *field); /* 0 when missing or null */
bool cli_true(const json_t *object, const char *field);
bool cli_has(const json_t *object, const char *field); /* there and not null */
/* "a b c" of a list of texts, as far as it fits. */
const char *cli_joined(const json_t *list, char *buf, size_t size);
/* How long, of a field in seconds; "-": it is not there. */
const char *cli_span(const json_t *object, const char *field, char buf[GH_SPAN_TEXT]);
/* "warnings" of an object, one a line. */
void cli_render_warnings(const struct cli_render *r, const json_t *object, const char *first);

/* "keys" of a session: good, bad, out. */
void cli_render_key_counters(const struct cli_render *r, const json_t *keys);

#endif

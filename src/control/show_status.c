/* show-status, show-counters, show-configuration. */
#include "control/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Counters ------------------------------------------------------------------------------- */

struct counters_ctx {
    const struct gh_config *config;
    const struct gh_target *target;
    json_t *sessions;
};

static bool is_target(const struct counters_ctx *c, const struct ao_session_view *v)
{
    const char *name = v->policy->name;

    if (v->own_keys)
        return gh_target_covers_socket(c->target, v->policy);
    for (size_t i = 0; i < c->config->session_count; i++) {
        if (strcmp(c->config->sessions[i].name, name) == 0)
            return gh_target_covers(c->target, &c->config->sessions[i]);
    }
    return false;
}

static json_int_t dropped(const uint64_t *counters)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < AO_COUNTERS; i++)
        sum += gh_counter_is_drop(i) ? counters[i] : 0;
    return (json_int_t)sum;
}

static void add_counters(void *ctx, const struct ao_session_view *v)
{
    struct counters_ctx *c = ctx;

    if (is_target(c, v))
        json_array_append_new(c->sessions,
                              json_pack("{s:o, s:b, s:o, s:o, s:I, s:o}", "name",
                                        gh_json_text(v->policy->name), "own_keys", v->own_keys,
                                        "key_chain", gh_json_text(v->policy->chain_name),
                                        "counters", gh_json_counters(v->counters, true), "dropped",
                                        dropped(v->counters), "keys", gh_json_key_counters(v)));
}

json_t *gh_show_counters(const struct gh_control_view *view, struct gh_now now,
                         const json_t *request)
{
    const uint64_t *total = ao_engine_counters(view->engine);
    struct gh_target target;
    struct counters_ctx ctx = {.config = view->config, .target = &target};
    json_t *refusal, *meanings;

    (void)now;
    if (!gh_target_parse(view, request, false, &target, &refusal))
        return refusal;
    ctx.sessions = json_array();
    ao_engine_each_session(view->engine, add_counters, &ctx);
    meanings = json_object();
    for (unsigned i = 0; i < AO_COUNTERS; i++)
        json_object_set_new(meanings, ao_counter_name(i), json_string(ao_counter_text(i)));
    return json_pack("{s:b, s:o, s:I, s:o, s:o}", "ok", 1, "total", gh_json_counters(total, true),
                     "dropped", dropped(total), "sessions", ctx.sessions, "meanings", meanings);
}

/* ---- Status --------------------------------------------------------------------------------- */

struct tally {
    json_int_t up, opening, down, sockets;
    json_int_t connections, established, unprotected, mismatched, restored;
};

static void tally_connection(struct tally *t, const json_t *c)
{
    const json_t *auth = json_object_get(c, "authentication");
    const char *state = json_string_value(json_object_get(c, "state"));

    t->connections++;
    t->established += strcmp(state, "established") == 0;
    t->restored += json_is_true(json_object_get(c, "restored"));
    if (strcmp(state, ao_state_name(AO_STATE_CLOSING)) == 0 ||
        strcmp(state, ao_state_name(AO_STATE_CLOSED)) == 0)
        return; /* it remains for a while, but what it was is no danger any more */
    t->unprotected += strcmp(json_string_value(json_object_get(auth, "type")), "none") == 0;
    t->mismatched += json_is_true(json_object_get(c, "mismatched"));
}

static void tally_session(struct tally *t, json_t *session, json_t *warnings)
{
    const char *state = json_string_value(json_object_get(session, "state"));
    json_t *item;
    size_t i;

    if (json_is_true(json_object_get(session, "own_keys"))) {
        t->sockets++;
    } else {
        t->up += strcmp(state, "up") == 0;
        t->opening += strcmp(state, "opening") == 0;
        t->down += strcmp(state, "down") == 0;
    }
    json_array_foreach(json_object_get(session, "connections"), i, item) tally_connection(t, item);
    json_array_foreach(json_object_get(session, "warnings"), i, item)
    {
        json_object_set(item, "session", json_object_get(session, "name"));
        json_array_append(warnings, item);
    }
    if (!json_is_true(json_object_get(session, "loaded")))
        json_array_append_new(
            warnings, gh_json_warning("not-loaded", "session %s is configured but not in force",
                                      json_string_value(json_object_get(session, "name"))));
}

json_t *gh_show_status(const struct gh_control_view *view, struct gh_now now, const json_t *request)
{
    static const struct gh_target everything;
    const struct gh_config *config = view->config;
    json_t *sessions = gh_sessions_collect(view, now, &everything, false), *session;
    json_t *warnings = json_array(), *answer;
    struct tally t = {0};
    const char *name;

    (void)request;
    json_object_foreach(sessions, name, session) tally_session(&t, session, warnings);
    json_decref(sessions);
    for (size_t i = 0; i < config->chain_count; i++)
        gh_chain_warnings(&config->chains[i], now.wall, warnings);
    answer = json_pack("{s:b, s:s, s:o, s:I, s:o, s:I}", "ok", 1, "version", view->version,
                       "started", gh_json_time(view->started.wall), "uptime",
                       (json_int_t)((now.mono_ms - view->started.mono_ms) / 1000), "configuration",
                       gh_json_text(config->path), "key_chains", (json_int_t)config->chain_count);
    json_object_set_new(answer, "sessions",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "configured",
                                  (json_int_t)config->session_count, "up", t.up, "opening",
                                  t.opening, "down", t.down, "sockets", t.sockets));
    json_object_set_new(answer, "connections",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "total", t.connections,
                                  "established", t.established, "unprotected", t.unprotected,
                                  "mismatched", t.mismatched, "restored", t.restored));
    json_object_set_new(answer, "warnings", warnings);
    return answer;
}

/* ---- Configuration -------------------------------------------------------------------------- */

json_t *gh_show_configuration(const struct gh_control_view *view, struct gh_now now,
                              const json_t *request)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    json_t *answer;

    (void)now;
    (void)request;
    if (out == NULL)
        return NULL;
    gh_config_print(view->config, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    answer = json_pack("{s:b, s:o, s:o}", "ok", 1, "path", gh_json_text(view->config->path), "text",
                       gh_json_text(text));
    free(text);
    return answer;
}

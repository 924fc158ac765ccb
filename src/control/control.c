#include "control/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/answer.h"

json_t *gh_control_refusal(const char *remedy, const char *fmt, ...)
{
    char error[768];
    va_list ap;
    json_t *answer;

    va_start(ap, fmt);
    vsnprintf(error, sizeof(error), fmt, ap);
    va_end(ap);
    answer = json_pack("{s:b, s:o}", "ok", 0, "error", gh_json_text(error));
    if (remedy != NULL)
        json_object_set_new(answer, "remedy", gh_json_text(remedy));
    return answer;
}

json_t *gh_control_parse(const char *line, size_t len, json_t **refusal)
{
    json_error_t error;
    json_t *request;

    *refusal = NULL;
    if (len > GH_CONTROL_LINE_MAX) {
        *refusal = gh_control_refusal(NULL, "a request longer than %d octets", GH_CONTROL_LINE_MAX);
        return NULL;
    }
    request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
    if (request == NULL) {
        *refusal = gh_control_refusal("send one JSON object per line", "not JSON: %s", error.text);
        return NULL;
    }
    if (gh_control_op(request) == NULL) {
        *refusal =
            gh_control_refusal("send {\"op\":\"show-status\"}", "not an object with an \"op\"");
        json_decref(request);
        return NULL;
    }
    return request;
}

const char *gh_control_op(const json_t *request)
{
    return json_string_value(json_object_get(request, "op"));
}

char *gh_control_line(const json_t *object, size_t *len)
{
    size_t n = json_dumpb(object, NULL, 0, JSON_COMPACT);
    char *line = n > 0 ? malloc(n + 1) : NULL;

    if (line == NULL || json_dumpb(object, line, n, JSON_COMPACT) != n) {
        free(line);
        return NULL;
    }
    line[n] = '\n';
    *len = n + 1;
    return line;
}

static json_t *reset_session(const struct gh_control_view *view, struct gh_now now,
                             const json_t *request)
{
    struct gh_target target;
    json_t *refusal, *sockets, *ignored;
    const char *name;
    size_t count = 0;

    if (!gh_target_parse(view, request, true, &target, &refusal))
        return refusal;
    for (size_t i = 0; i < view->config->session_count; i++) {
        const struct gh_session *s = &view->config->sessions[i];

        if (gh_target_covers(&target, s))
            count +=
                ao_engine_reset(view->engine, now, s->name, target.has_peer ? &target.peer : NULL);
    }
    sockets = gh_target_sockets(view->engine, &target);
    json_object_foreach(sockets, name, ignored) count +=
        ao_engine_reset(view->engine, now, name, target.has_peer ? &target.peer : NULL);
    json_decref(sockets);
    return json_pack("{s:b, s:I}", "ok", 1, "reset", (json_int_t)count);
}

static json_t *clear(const struct gh_control_view *view, struct gh_now now, const json_t *request)
{
    struct gh_target target;
    json_t *refusal, *sockets, *ignored;
    const char *name;

    if (!gh_target_parse(view, request, false, &target, &refusal))
        return refusal;
    if (target.name == NULL && !target.has_peer)
        ao_engine_clear(view->engine, NULL);
    for (size_t i = 0; i < view->config->session_count; i++) {
        const struct gh_session *s = &view->config->sessions[i];

        if ((target.name != NULL || target.has_peer) && gh_target_covers(&target, s))
            ao_engine_clear(view->engine, s->name);
    }
    sockets = gh_target_sockets(view->engine, &target);
    json_object_foreach(sockets, name, ignored) ao_engine_clear(view->engine, name);
    json_decref(sockets);
    return json_pack("{s:b}", "ok", 1);
}

static const struct {
    const char *op;
    json_t *(*answer)(const struct gh_control_view *view, struct gh_now now, const json_t *request);
} ops[] = {
    {"show-status", gh_show_status},
    {"show-key-chain", gh_show_key_chain},
    {"show-key-table", gh_show_key_table},
    {"show-session", gh_show_session},
    {"show-counters", gh_show_counters},
    {"show-configuration", gh_show_configuration},
    {"explain", gh_show_explanation},
    {"reset-session", reset_session},
    {"clear", clear},
    {"export-connections", gh_export_connections},
    {"adopt-connection", gh_adopt_connection},
};

json_t *gh_control_handle(const struct gh_control_view *view, struct gh_now now,
                          const json_t *request)
{
    const char *op = gh_control_op(request);

    for (size_t i = 0; op != NULL && i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(op, ops[i].op) == 0)
            return ops[i].answer(view, now, request);
    }
    return gh_control_refusal("gatectl and the daemon may be of different versions",
                              "unknown op \"%.100s\"", op != NULL ? op : "");
}

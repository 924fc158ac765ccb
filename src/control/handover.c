/*
 * Hand-over: the connections of sessions as values that another engine (a standby, a successor
 * without the state file) goes on from. ISNs, SNEs and key numbers; no secret.
 */
#include "control/answer.h"

#include <string.h>

#include "control/format.h"

enum { FORMAT = 1 };

/* ---- Out ------------------------------------------------------------------------------------ */

struct exported {
    const struct gh_control_view *view;
    const struct gh_target *target;
    json_t *list;
};

static json_t *number_or_null(bool known, uint32_t number)
{
    return known ? json_integer((json_int_t)number) : json_null();
}

static json_t *connection_out(const struct ao_connection_view *c)
{
    const struct tcpao_conn_state *s = &c->conn;
    json_t *o =
        json_pack("{s:o, s:o, s:o, s:s, s:s}", "session", gh_json_text(c->session), "local",
                  gh_json_endpoint(&c->local), "remote", gh_json_endpoint(&c->remote), "type",
                  c->active ? "active" : "passive", "state", ao_state_name(c->state));

    json_object_set_new(o, "local_isn", json_integer((json_int_t)s->local_isn));
    json_object_set_new(o, "remote_isn", json_integer((json_int_t)s->remote_isn));
    json_object_set_new(o, "send_sne", json_integer((json_int_t)(s->snd.highest >> 32)));
    json_object_set_new(o, "send_highest", json_integer((json_int_t)(uint32_t)s->snd.highest));
    json_object_set_new(o, "receive_sne", json_integer((json_int_t)(s->rcv.highest >> 32)));
    json_object_set_new(o, "receive_highest", json_integer((json_int_t)(uint32_t)s->rcv.highest));
    json_object_set_new(o, "current_key", number_or_null(s->current_known, s->current_key));
    json_object_set_new(o, "rnext_key", number_or_null(s->rnext_known, s->rnext_key));
    json_object_set_new(o, "last_received_key",
                        number_or_null(s->last_recv_known, s->last_recv_key));
    return o;
}

static bool covers(const struct exported *e, const struct ao_connection_view *c)
{
    const struct gh_config *config = e->view->config;

    for (size_t i = 0; i < config->session_count; i++)
        if (strcmp(config->sessions[i].name, c->session) == 0)
            return gh_target_covers(e->target, &config->sessions[i]) &&
                   gh_target_is_remote(e->target, &c->remote);
    return false;
}

static void add(void *ctx, const struct ao_connection_view *c)
{
    struct exported *e = ctx;

    /* What has no option has nothing to hand over, and the kernel's stays with the kernel. */
    if ((c->state == AO_STATE_ESTABLISHED || c->state == AO_STATE_CLOSING) && !c->without_ao &&
        !c->own_keys && !c->in_kernel && covers(e, c))
        json_array_append_new(e->list, connection_out(c));
}

json_t *gh_export_connections(const struct gh_control_view *view, struct gh_now now,
                              const json_t *request)
{
    struct gh_target target;
    struct exported e = {.view = view, .target = &target};
    json_t *refusal;

    if (!gh_target_parse(view, request, false, &target, &refusal))
        return refusal;
    e.list = json_array();
    ao_engine_each_connection(view->engine, add, &e);
    return json_pack("{s:b, s:i, s:o, s:o}", "ok", 1, "format", FORMAT, "time",
                     gh_json_time(now.wall), "connections", e.list);
}

/* ---- In ------------------------------------------------------------------------------------- */

/* Reads the fields of one connection; the first that is wrong is remembered. */
struct fields {
    const json_t *object;
    const char *wrong;
};

static uint32_t number(struct fields *f, const char *name)
{
    const json_t *v = json_object_get(f->object, name);
    json_int_t n = json_integer_value(v);

    if ((!json_is_integer(v) || n < 0 || n > UINT32_MAX) && f->wrong == NULL)
        f->wrong = name;
    return (uint32_t)n;
}

static bool number_if_known(struct fields *f, const char *name, uint32_t *out)
{
    const json_t *v = json_object_get(f->object, name);

    if (v == NULL || json_is_null(v))
        return false;
    *out = number(f, name);
    return true;
}

static struct tcpao_endpoint endpoint(struct fields *f, const char *name)
{
    const char *text = json_string_value(json_object_get(f->object, name));
    struct tcpao_endpoint end = {.addr_len = 0};

    if ((text == NULL || !gh_endpoint_parse(text, &end)) && f->wrong == NULL)
        f->wrong = name;
    return end;
}

static const char *choice(struct fields *f, const char *name, const char *first, const char *second)
{
    const char *text = json_string_value(json_object_get(f->object, name));

    if (text != NULL && (strcmp(text, first) == 0 || strcmp(text, second) == 0))
        return text;
    if (f->wrong == NULL)
        f->wrong = name;
    return first;
}

static struct ao_adoption connection_in(struct fields *f)
{
    struct ao_adoption a = {.local = endpoint(f, "local"), .remote = endpoint(f, "remote")};
    struct tcpao_conn_state *s = &a.conn;

    a.active = strcmp(choice(f, "type", "active", "passive"), "active") == 0;
    a.state = strcmp(choice(f, "state", "established", "closing"), "closing") == 0
                  ? AO_STATE_CLOSING
                  : AO_STATE_ESTABLISHED;
    s->local_isn_known = s->remote_isn_known = true;
    s->local_isn = number(f, "local_isn");
    s->remote_isn = number(f, "remote_isn");
    s->snd.highest = (uint64_t)number(f, "send_sne") << 32 | number(f, "send_highest");
    s->rcv.highest = (uint64_t)number(f, "receive_sne") << 32 | number(f, "receive_highest");
    s->current_known = number_if_known(f, "current_key", &s->current_key);
    s->rnext_known = number_if_known(f, "rnext_key", &s->rnext_key);
    s->last_recv_known = number_if_known(f, "last_received_key", &s->last_recv_key);
    return a;
}

struct zone_search {
    const char *session;
    bool found;
    uint16_t zone;
};

static void find_zone(void *ctx, const struct ao_session_view *v)
{
    struct zone_search *z = ctx;

    if (strcmp(v->policy->name, z->session) == 0) {
        z->found = true;
        z->zone = v->policy->zone;
    }
}

static json_t *adopt_answer(enum ao_adopt_result r, const char *session)
{
    switch (r) {
    case AO_ADOPTED:
        return json_pack("{s:b}", "ok", 1);
    case AO_ADOPT_NO_SESSION:
        return gh_control_refusal("compare the two configurations",
                                  "session %.300s does not cover this connection", session);
    case AO_ADOPT_NO_KEY:
        return gh_control_refusal("give both engines the same key chain, with the same key numbers",
                                  "the key chain of session %.300s lacks a key that the "
                                  "connection uses",
                                  session);
    case AO_ADOPT_FULL:
        break;
    }
    return gh_control_refusal("raise max-connections", "there is no room for another connection");
}

json_t *gh_adopt_connection(const struct gh_control_view *view, struct gh_now now,
                            const json_t *request)
{
    struct fields f = {.object = json_object_get(request, "connection")};
    struct zone_search zone = {.session = json_string_value(json_object_get(f.object, "session"))};
    struct ao_adoption a = connection_in(&f);

    if (f.wrong != NULL)
        return gh_control_refusal("pass on what `gatectl connections export` wrote",
                                  "the connection's \"%s\" is missing or wrong", f.wrong);
    if (zone.session != NULL)
        ao_engine_each_session(view->engine, find_zone, &zone);
    if (!zone.found)
        return gh_control_refusal("compare the two configurations",
                                  "no session is named \"%.300s\"",
                                  zone.session != NULL ? zone.session : "");
    a.zone = zone.zone;
    a.conn.last_recv_since = now.wall;
    return adopt_answer(ao_engine_adopt(view->engine, now, &a), zone.session);
}

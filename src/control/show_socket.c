/*
 * Sockets with keys of their own among the sessions: one object for all flows of one name, which is
 * how a listener with many peers looks to its operator.
 */
#include "control/answer.h"

#include <stdio.h>
#include <string.h>

/* No session of the configuration can have such a name. */
void gh_socket_key(const char *name, char key[GH_SOCKET_KEY])
{
    snprintf(key, GH_SOCKET_KEY, "\n%.*s", GH_SOCKET_KEY - 2, name);
}

bool gh_target_covers_socket(const struct gh_target *t, const struct ao_policy *flow)
{
    if (t->name != NULL && strcmp(t->name, flow->name) != 0)
        return false;
    return !t->has_peer || gh_prefix_contains(&flow->peer, &t->peer);
}

struct names {
    json_t *list; /* an object: names are its keys */
    const struct gh_target *target;
};

static void add_name(void *ctx, const struct ao_session_view *v)
{
    const struct names *n = ctx;

    if (v->own_keys && gh_target_covers_socket(n->target, v->policy))
        json_object_set_new_nocheck(n->list, v->policy->name, json_true());
}

json_t *gh_target_sockets(const struct ao_engine *engine, const struct gh_target *t)
{
    struct names n = {.list = json_object(), .target = t};

    ao_engine_each_session(engine, add_name, &n);
    return n.list;
}

static json_t *new_socket(const struct ao_session_view *v)
{
    const struct ao_policy *p = v->policy;
    json_t *o = json_pack("{s:o, s:n, s:s, s:b, s:b, s:o, s:o, s:o, s:i, s:s, s:s, s:b, s:o, s:o}",
                          "name", gh_json_text(p->name), "description", "state", "down", "loaded",
                          1, "own_keys", 1, "peer", gh_json_prefix(&p->peer), "peers", json_array(),
                          "local", gh_json_prefix(&p->local), "port", p->port, "direction", "both",
                          "mode", "required", "accept_icmp", p->accept_icmp, "zone",
                          gh_json_text(p->zone_name), "key_chain", gh_json_text(p->chain_name));

    json_object_set_new(o, "packets_in", json_integer(0));
    json_object_set_new(o, "packets_out", json_integer(0));
    json_object_set_new(o, "counters", json_object());
    json_object_set_new(o, "last_in", json_null());
    json_object_set_new(o, "last_out", json_null());
    json_object_set_new(o, "last_event", json_null());
    json_object_set_new(o, "last_refusal", json_null());
    json_object_set_new(o, "warnings", json_array());
    json_object_set_new(o, "connections", json_array());
    return o;
}

static void add_number(json_t *o, const char *field, json_int_t more)
{
    json_int_t sum = json_integer_value(json_object_get(o, field)) + more;

    json_object_set_new(o, field, json_integer(sum));
}

static void add_counters(json_t *sum, json_t *counters)
{
    const char *name;
    json_t *value;

    json_object_foreach(counters, name, value) add_number(sum, name, json_integer_value(value));
    json_decref(counters);
}

/* The later of two with a "time"; times of one form sort as text. */
static void keep_latest(json_t *o, const char *field, json_t *candidate)
{
    const char *was = json_string_value(json_object_get(json_object_get(o, field), "time"));
    const char *is = json_string_value(json_object_get(candidate, "time"));

    if (is != NULL && (was == NULL || strcmp(is, was) > 0))
        json_object_set(o, field, candidate);
    json_decref(candidate);
}

static void keep_latest_time(json_t *o, const char *field, json_t *candidate)
{
    const char *was = json_string_value(json_object_get(o, field));
    const char *is = json_string_value(candidate);

    if (is != NULL && (was == NULL || strcmp(is, was) > 0))
        json_object_set(o, field, candidate);
    json_decref(candidate);
}

void gh_socket_add(json_t *sessions, const struct ao_session_view *v, bool detail)
{
    char key[GH_SOCKET_KEY];
    json_t *o, *peers;

    gh_socket_key(v->policy->name, key);
    o = json_object_get(sessions, key);
    if (o == NULL) {
        o = new_socket(v);
        json_object_set_new_nocheck(sessions, key, o);
        if (detail)
            json_object_set_new(o, "keys", gh_json_key_counters(v));
    } else { /* numbers of keys are each flow's own */
        json_object_set_new(o, "peer", json_null());
        json_object_del(o, "keys");
    }
    peers = json_object_get(o, "peers");
    json_array_append_new(peers, gh_json_prefix(&v->policy->peer));
    add_number(o, "packets_in", (json_int_t)v->packets_in);
    add_number(o, "packets_out", (json_int_t)v->packets_out);
    add_counters(json_object_get(o, "counters"), gh_json_counters(v->counters, detail));
    keep_latest_time(o, "last_in", gh_json_past(v->last_in_wall));
    keep_latest_time(o, "last_out", gh_json_past(v->last_out_wall));
    keep_latest(o, "last_event", gh_last_event_json(v->last_event_wall, v->last_event));
    keep_latest(o, "last_refusal", gh_last_refusal_json(v));
}

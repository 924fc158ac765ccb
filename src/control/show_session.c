/* show-session: what Cisco's and Junos' session shows carry (features C34, J21, J23), and more. */
#include "control/answer.h"

#include <string.h>

#include "control/format.h"
#include "control/outlook.h"

static void mode_warning(const struct gh_session *s, json_t *warnings)
{
    if (s->mode == GH_ALLOW_WITHOUT_AO)
        json_array_append_new(
            warnings,
            gh_json_warning("allow-without-ao",
                            "session %s is in mode allow-without-ao: a connection without TCP-AO "
                            "is let through, so anybody can forge one",
                            s->name));
    else if (s->mode == GH_ACCEPT_MISMATCH)
        json_array_append_new(
            warnings, gh_json_warning("accept-mismatch",
                                      "session %s is in mode accept-mismatch: wrong MACs are let "
                                      "through, so TCP-AO protects nothing",
                                      s->name));
}

json_t *gh_session_from_config(const struct gh_config *config, const struct gh_session *s)
{
    const struct gh_key_chain *chain = gh_config_chain(config, s);
    json_t *warnings = json_array();
    json_t *o =
        json_pack("{s:o, s:o, s:s, s:b, s:o, s:o, s:i}", "name", gh_json_text(s->name),
                  "description", gh_json_text(s->description), "state", "down", "loaded", 0, "peer",
                  gh_json_prefix(&s->peer), "local", gh_json_prefix(&s->local), "port", s->port);

    json_object_set_new(o, "direction", json_string(gh_config_direction_name(s->direction)));
    json_object_set_new(o, "mode", json_string(gh_config_mode_name(s->mode)));
    json_object_set_new(o, "accept_icmp", json_boolean(s->accept_icmp));
    json_object_set_new(o, "netns", gh_json_text(s->netns));
    json_object_set_new(o, "vrf", gh_json_text(s->vrf));
    json_object_set_new(o, "key_chain", chain != NULL ? gh_json_text(chain->name) : json_null());
    json_object_set_new(o, "ike_peer", gh_json_text(s->ike_peer));
    json_object_set_new(o, "fallback", json_boolean(s->fallback));
    json_object_set_new(o, "own_keys", json_false());
    mode_warning(s, warnings);
    json_object_set_new(o, "warnings", warnings);
    json_object_set_new(o, "connections", json_array());
    return o;
}

json_t *gh_last_event_json(int64_t wall, const char *text)
{
    if (wall == 0 || text == NULL)
        return json_null();
    return json_pack("{s:o, s:o}", "time", gh_json_time(wall), "text", gh_json_text(text));
}

static json_t *refusal_json(unsigned reason, const struct ao_refusal *r)
{
    char flags[GH_FLAGS_TEXT];
    json_t *o = json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:s}", "reason", ao_counter_name(reason),
                          "meaning", ao_counter_text(reason), "time", gh_json_time(r->wall), "way",
                          r->way == AO_IN ? "in" : "out", "local", gh_json_endpoint(&r->local),
                          "remote", gh_json_endpoint(&r->remote), "tcp_flags",
                          gh_tcp_flags_format(r->tcp_flags, flags));

    if (r->option.ao) {
        json_object_set_new(o, "keyid", json_integer(r->option.keyid));
        json_object_set_new(o, "rnextkeyid", json_integer(r->option.rnext));
        json_object_set_new(o, "mac_length", json_integer(r->option.mac_len));
    }
    if (r->diagnosis[0] != '\0')
        json_object_set_new(o, "diagnosis", gh_json_text(r->diagnosis));
    return o;
}

json_t *gh_last_refusal_json(const struct ao_session_view *v)
{
    const struct ao_refusal *latest = NULL;
    unsigned reason = 0;

    for (unsigned i = 0; i < AO_COUNTERS; i++) {
        const struct ao_refusal *r = &v->refusals[i];

        if (r->seen && (latest == NULL || r->wall > latest->wall)) {
            latest = r;
            reason = i;
        }
    }
    return latest != NULL ? refusal_json(reason, latest) : json_null();
}

struct collection {
    json_t *sessions;
    const struct gh_target *target;
    struct gh_now now;
    bool detail;
};

static void add_view(void *ctx, const struct ao_session_view *v)
{
    const struct collection *c = ctx;
    json_t *o = json_object_get(c->sessions, v->policy->name);

    if (v->own_keys && gh_target_covers_socket(c->target, v->policy))
        gh_socket_add(c->sessions, v, c->detail);
    if (v->own_keys || o == NULL)
        return;
    json_object_set_new(o, "loaded", json_true());
    json_object_set_new(o, "packets_in", json_integer((json_int_t)v->packets_in));
    json_object_set_new(o, "packets_out", json_integer((json_int_t)v->packets_out));
    json_object_set_new(o, "last_in", gh_json_past(v->last_in_wall));
    json_object_set_new(o, "last_out", gh_json_past(v->last_out_wall));
    json_object_set_new(o, "last_event", gh_last_event_json(v->last_event_wall, v->last_event));
    json_object_set_new(o, "last_refusal", gh_last_refusal_json(v));
    json_object_set_new(o, "counters", gh_json_counters(v->counters, c->detail));
    if (c->detail)
        json_object_set_new(o, "keys", gh_json_key_counters(v));
}

/* A session is as good as its best connection. */
static void raise_state(json_t *session, enum ao_state state)
{
    const char *was = json_string_value(json_object_get(session, "state"));

    if (state == AO_STATE_ESTABLISHED)
        json_object_set_new(session, "state", json_string("up"));
    else if ((state == AO_STATE_SYN_SENT || state == AO_STATE_SYN_RECEIVED) &&
             (was == NULL || strcmp(was, "up") != 0))
        json_object_set_new(session, "state", json_string("opening"));
}

static void connection_warnings(const struct ao_connection_view *c, json_t *warnings)
{
    char remote[GH_ENDPOINT_TEXT];

    if (c->state == AO_STATE_CLOSING || c->state == AO_STATE_CLOSED)
        return;
    gh_endpoint_format(&c->remote, remote);
    if (c->without_ao)
        json_array_append_new(warnings, gh_json_warning("unprotected",
                                                        "the connection with %s of session %s "
                                                        "runs WITHOUT TCP-AO",
                                                        remote, c->session));
    if (c->mismatched)
        json_array_append_new(warnings, gh_json_warning("mismatched",
                                                        "wrong MACs of %s were let through in "
                                                        "session %s",
                                                        remote, c->session));
}

static void add_connection(void *ctx, const struct ao_connection_view *c)
{
    const struct collection *all = ctx;
    char key[GH_SOCKET_KEY];
    json_t *o;

    if (c->own_keys)
        gh_socket_key(c->session, key);
    o = json_object_get(all->sessions, c->own_keys ? key : c->session);
    if (o == NULL || !gh_target_is_remote(all->target, &c->remote))
        return;
    raise_state(o, c->state);
    json_array_append_new(json_object_get(o, "connections"),
                          gh_connection_json(c, all->now, all->detail));
    connection_warnings(c, json_object_get(o, "warnings"));
}

json_t *gh_sessions_collect(const struct gh_control_view *view, struct gh_now now,
                            const struct gh_target *target, bool detail)
{
    const struct gh_config *config = view->config;
    struct collection c = {
        .sessions = json_object(), .target = target, .now = now, .detail = detail};

    for (size_t i = 0; i < config->session_count; i++) {
        const struct gh_session *s = &config->sessions[i];

        if (gh_target_covers(target, s)) {
            json_t *o = gh_session_from_config(config, s);

            json_object_set_new(o, "backend", json_string(gh_config_backend_name(s->backend)));
            json_object_set_new(o, "backend_in_use",
                                json_string(gh_carrier_name(gh_carrier_of(view, s))));
            json_object_set_new(c.sessions, s->name, o);
        }
    }
    ao_engine_each_session(view->engine, add_view, &c);
    ao_engine_each_connection(view->engine, add_connection, &c);
    return c.sessions;
}

json_t *gh_show_session(const struct gh_control_view *view, struct gh_now now,
                        const json_t *request)
{
    struct gh_target target;
    json_t *refusal, *sessions, *array, *session;
    const char *name;

    if (!gh_target_parse(view, request, false, &target, &refusal))
        return refusal;
    sessions =
        gh_sessions_collect(view, now, &target, json_is_true(json_object_get(request, "detail")));
    array = json_array();
    json_object_foreach(sessions, name, session) json_array_append(array, session);
    json_decref(sessions);
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "time", gh_json_time(now.wall), "sessions", array);
}

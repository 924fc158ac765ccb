/* What the gatekeeper shows, tells and does: `show gatekeeper`, `gatekeeper revoke`. */
#include <stdio.h>
#include <string.h>

#include "control/ike_parts.h"

json_t *gh_gatekeeper_event_json(const struct gk_event *e, struct gh_now now)
{
    char name[40];
    json_t *object;

    snprintf(name, sizeof(name), "gatekeeper-%s", gk_event_name(e->kind));
    object = json_pack("{s:s, s:o, s:o, s:o}", "event", name, "time", gh_json_time(now.wall),
                       "session", gh_json_text(e->session), "text", gh_json_text(e->text));
    if (e->key != 0)
        json_object_set_new(object, "key", json_integer((json_int_t)e->key));
    return object;
}

/* ---- Shown ------------------------------------------------------------------------------------
 */

static json_t *steps_json(const struct gk_view *v)
{
    json_t *list = json_array();

    for (int step = 0; step < GK_STEP_COUNT; step++) {
        const struct gh_now *at = &v->steps[step];

        json_array_append_new(
            list,
            json_pack("{s:i, s:s, s:s, s:o, s:o}", "step", step + 1, "name",
                      gk_step_name((enum gk_step)step), "meaning", gk_step_text((enum gk_step)step),
                      "time", at->mono_ms != 0 ? gh_json_time(at->wall) : json_null(), "ms",
                      at->mono_ms != 0 ? json_integer((json_int_t)at->mono_ms) : json_null()));
    }
    return list;
}

static json_t *left_json(uint64_t at, struct gh_now now)
{
    if (at == 0)
        return json_null();
    return json_integer(at > now.mono_ms ? (json_int_t)((at - now.mono_ms) / 1000) : 0);
}

static json_t *key_json(const struct gk_key *key, struct gh_now now)
{
    return json_pack("{s:I, s:s, s:i, s:i, s:s, s:b, s:s, s:I, s:o, s:o, s:I, s:I}", "number",
                     (json_int_t)key->mkt.number, "state", gk_key_state_name(key->state), "send_id",
                     key->mkt.send_id, "recv_id", key->mkt.recv_id, "algorithm",
                     tcpao_alg_name(key->mkt.alg, key->mkt.mac_len), "options_covered",
                     key->mkt.options_covered, "initiator", key->initiator ? "we" : "peer", "child",
                     (json_int_t)key->child, "since", gh_json_past(key->since.wall), "seconds_left",
                     left_json(key->expire_at, now), "segments", (json_int_t)key->segments,
                     "octets", (json_int_t)key->octets);
}

/* Its name, that of its IKE peer, or the address of the other end. */
static bool is_meant(const struct gk_policy *p, const char *name)
{
    char remote[GH_ADDR_TEXT];

    return strcmp(name, p->name) == 0 || strcmp(name, p->ike) == 0 ||
           strcmp(name, gh_addr_format(&p->remote, remote)) == 0;
}

struct listing {
    const struct gh_ike_view *view;
    const char *name; /* NULL: all */
    struct gh_now now;
    json_t *list;
};

static void add_session(void *ctx, const struct gk_view *v)
{
    struct listing *l = ctx;
    const struct gk_policy *p = v->policy;
    char local[GH_ADDR_TEXT], remote[GH_ADDR_TEXT];
    json_t *keys, *object;

    if (l->name != NULL && !is_meant(p, l->name))
        return;
    keys = json_array();
    for (const struct gk_key *key = v->keys; key != NULL; key = key->next)
        json_array_append_new(keys, key_json(key, l->now));
    object = json_pack(
        "{s:o, s:o, s:s, s:s, s:i, s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "name",
        gh_json_text(p->name), "ike_peer", gh_json_text(p->ike), "local",
        gh_addr_format(&p->local, local), "remote", gh_addr_format(&p->remote, remote), "port",
        p->port, "state",
        v->keys != NULL && v->keys->state != GK_KEY_LEAVING ? "keyed"
        : v->negotiating                                    ? "negotiating"
                                                            : "no key",
        "fallback", v->fallback, "connections", (int)v->connections, "installed",
        (json_int_t)v->installed, "rekeyed", (json_int_t)v->rekeyed, "revoked",
        (json_int_t)v->revoked, "failed", (json_int_t)v->failed, "last_failure_time",
        gh_json_past(v->failed_at), "last_failure", gh_json_text(v->failure), "steps",
        steps_json(v), "keys", keys);
    json_array_append_new(l->list, object);
}

json_t *gh_ike_show_gatekeeper(const struct gh_ike_view *view, struct gh_now now,
                               const json_t *request)
{
    struct listing l = {.view = view,
                        .name = json_string_value(json_object_get(request, "name")),
                        .now = now,
                        .list = json_array()};

    gk_each(view->gatekeeper, add_session, &l);
    if (l.name != NULL && json_array_size(l.list) == 0) {
        json_decref(l.list);
        return gh_control_refusal("`gatectl show gatekeeper` lists them",
                                  "no session with negotiated keys has this name, IKE peer or "
                                  "address: \"%.200s\"",
                                  l.name);
    }
    return json_pack("{s:b, s:b, s:o}", "ok", true, "engine", view->engine, "sessions", l.list);
}

/* ---- Done -------------------------------------------------------------------------------------
 */

struct peer_of {
    const char *name;
    const char *ike;
};

static void find_peer(void *ctx, const struct gk_view *v)
{
    struct peer_of *p = ctx;

    if (is_meant(v->policy, p->name))
        p->ike = v->policy->ike;
}

json_t *gh_ike_revoke(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    struct peer_of p = {.name = json_string_value(json_object_get(request, "name"))};

    if (p.name == NULL)
        return gh_control_refusal("say which: \"name\"", "an IKE peer or a session is needed");
    gk_each(view->gatekeeper, find_peer, &p);
    if (p.ike == NULL)
        return gh_control_refusal("`gatectl show gatekeeper` lists them",
                                  "no session with negotiated keys has this name, IKE peer or "
                                  "address: \"%.200s\"",
                                  p.name);
    gk_revoke(view->gatekeeper, now, p.ike);
    return json_pack("{s:b, s:o}", "ok", true, "ike_peer", gh_json_text(p.ike));
}

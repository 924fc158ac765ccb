/* show-ike-peer, show-ike-sa, show-ike-child, show-ike-lockout. */
#include "control/ike_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"
#include "pki/identity.h"

enum { HEX = 2 * 16 + 1 };

static json_t *hex_json(const uint8_t *octets, size_t len)
{
    char text[HEX] = "";

    for (size_t i = 0; i < len && 2 * i + 2 < sizeof(text); i++)
        snprintf(text + 2 * i, 3, "%02x", octets[i]);
    return json_string(text);
}

/* Seconds until a moment of the monotonic clock, negative when it is over; null: there is none. */
static json_t *in_json(uint64_t moment, struct gh_now now)
{
    if (moment == 0)
        return json_null();
    return json_integer(((json_int_t)moment - (json_int_t)now.mono_ms) / 1000);
}

/* ---- Peers ---------------------------------------------------------------------------------- */

static const char *const auth_names[] = {[IKE2_AUTH_PSK] = "psk",
                                         [IKE2_AUTH_CERT] = "certificate",
                                         [IKE2_AUTH_RAW_KEY] = "raw-key",
                                         [IKE2_AUTH_NULL] = "null"};

static json_t *auths_json(unsigned auths)
{
    json_t *list = json_array();

    for (unsigned i = 0; i <= IKE2_AUTH_NULL; i++)
        if ((auths & 1U << i) != 0)
            json_array_append_new(list, json_string(auth_names[i]));
    return list;
}

static json_t *addr_json(const struct gh_addr *a)
{
    char text[GH_ADDR_TEXT];

    return a->len != 0 ? json_string(gh_addr_format(a, text)) : json_null();
}

static json_t *children_names(const struct ike2_policy *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->child_count; i++)
        json_array_append_new(list, gh_json_text(p->children[i].name));
    return list;
}

json_t *gh_ike_failure_json(const struct gh_ike_note *note)
{
    enum ike2_count reason;
    const struct gh_ike_failure *f = gh_ike_note_latest(note, 1, &reason);

    if (f == NULL)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:I}", "reason", ike2_count_name(reason), "time",
                     gh_json_time(f->when), "text", gh_json_text(f->text), "count",
                     (json_int_t)f->count);
}

static json_t *extensions_json(const struct ike2_policy *p)
{
    static const char *const moments[] = {
        [IKE2_REDIRECT_NEVER] = NULL, [IKE2_REDIRECT_INIT] = "init", [IKE2_REDIRECT_AUTH] = "auth"};
    const char *moment = moments[p->redirect_at];

    return json_pack(
        "{s:b, s:b, s:b, s:b, s:b, s:o, s:o, s:i}", "childless", p->childless, "crash_tokens",
        p->crash_tokens, "mobike", p->mobike, "resumption", p->resumption, "follow_redirect",
        p->redirects, "redirect_to", addr_json(&p->redirect_to), "redirect_at",
        moment != NULL ? json_string(moment) : json_null(), "puzzle_limit", (int)p->puzzle_bits);
}

static void put_private(const struct gh_ike_view *view, const struct ike2_policy *p, json_t *o)
{
    struct gh_ike_place_view side = {.netns = NULL};

    if (p->private_zone > 0 && view->places != NULL)
        side = view->places->place(view->places->ctx, p->private_zone);
    json_object_set_new(o, "private_netns", gh_json_text(side.netns));
    json_object_set_new(o, "private_vrf", gh_json_text(side.vrf));
}

static json_t *peer_json(const struct gh_ike_view *view, const struct ike2_policy *p)
{
    const struct gh_ike_note *note = gh_ike_notes_find(view->notes, p->name);
    struct gh_ike_tally t = gh_ike_tally_of(view, p->name);
    enum ike2_way way;
    struct gh_addr from;
    int error;
    json_t *o = json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:i, s:b, s:s, s:o}", "name", gh_json_text(p->name), "state",
        t.up > 0        ? "up"
        : t.opening > 0 ? "opening"
                        : "down",
        "local", addr_json(&p->local), "gateway", addr_json(&p->gateway), "remote",
        p->remote.bits > 0 ? gh_json_prefix(&p->remote) : json_string("any"), "port", (int)p->port,
        "responder_only", p->responder_only || p->gateway.len == 0, "local_auth",
        auth_names[p->local_auth], "remote_auth", auths_json(p->remote_auths));

    gh_ike_put_place(view, p->zone, o);
    put_private(view, p, o);
    way = gh_ike_source_of(view, p, &from, &error);
    json_object_set_new(o, "source", way == IKE2_WAY_THERE ? addr_json(&from) : json_null());
    json_object_set_new(o, "source_error",
                        way == IKE2_WAY_NONE ? gh_json_text(strerror(error)) : json_null());
    json_object_set_new(o, "admin", json_string(p->stands_down ? "down" : "up"));
    json_object_set_new(o, "gateway_in_use",
                        p->gateway.len != 0 ? addr_json(ike2_gateway(p, p->gateway_now))
                                            : json_null());
    json_object_set_new(o, "configured_children", children_names(p));
    json_object_set_new(o, "extensions", extensions_json(p));
    json_object_set_new(o, "sas", json_integer((json_int_t)t.up));
    json_object_set_new(o, "children", json_integer((json_int_t)t.children));
    json_object_set_new(o, "last_up", gh_json_past(note != NULL ? note->up : 0));
    json_object_set_new(o, "last_failure", gh_ike_failure_json(note));
    return o;
}

json_t *gh_ike_show_peers(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    struct gh_ike_target target;
    json_t *refusal, *peers;

    if (!gh_ike_target_parse(view, request, false, &target, &refusal))
        return refusal;
    peers = json_array();
    for (size_t i = 0; i < view->policy_count; i++)
        if (gh_ike_target_covers(&target, view->policies[i]))
            json_array_append_new(peers, peer_json(view, view->policies[i]));
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "time", gh_json_time(now.wall), "peers", peers);
}

/* ---- SAs ------------------------------------------------------------------------------------ */

struct showing {
    const struct gh_ike_view *view;
    const struct gh_ike_target *target;
    struct gh_now now;
    bool detail;
    json_t *list;
};

static json_t *identity_json(const struct gh_identity *id)
{
    char text[GH_ID_TEXT];

    if (id == NULL || id->type == GH_ID_NONE)
        return json_null();
    return gh_json_text(gh_identity_format(id, text, sizeof(text)));
}

static void add_transform(json_t *list, const struct ike_transform *t)
{
    char text[IKE_TRANSFORM_TEXT];

    if (t->type != 0 && (t->type != IKE_T_INTEG || t->id != IKE_INTEG_NONE)) /* with an AEAD */
        json_array_append_new(list, json_string(ike_transform_text(t, text)));
}

static json_t *sa_suite_json(const struct ike2_sa_view *v)
{
    json_t *list = json_array();

    add_transform(list, &v->encr);
    add_transform(list, &v->prf);
    add_transform(list, &v->integ);
    add_transform(list, &v->ke);
    for (size_t i = 0; i < sizeof(v->addke) / sizeof(v->addke[0]); i++)
        add_transform(list, &v->addke[i]);
    return list;
}

static void put_proven(json_t *o, const struct ike2_proven *p)
{
    json_object_set_new(o, "local_auth",
                        p->local_known ? json_string(auth_names[p->local]) : json_null());
    json_object_set_new(o, "remote_auth",
                        p->remote_known ? json_string(auth_names[p->remote]) : json_null());
    json_object_set_new(o, "certificate",
                        gh_json_text(p->cert != NULL ? gh_cert_subject(p->cert) : NULL));
    json_object_set_new(o, "trust_anchor",
                        gh_json_text(p->anchor != NULL ? gh_cert_subject(p->anchor) : NULL));
}

json_t *gh_ike_sa_json(const struct ike2_sa_view *v, struct gh_now now, bool detail)
{
    bool up = v->established_ms != 0 && v->established_ms <= now.mono_ms;
    json_t *o =
        json_pack("{s:I, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:I}", "id", (json_int_t)v->id, "peer",
                  gh_json_text(v->policy != NULL ? v->policy->name : NULL), "state",
                  ike2_state_name(v->state), "role", v->initiator ? "initiator" : "responder",
                  "local", gh_ike_endpoint_json(&v->local), "remote",
                  gh_ike_endpoint_json(&v->remote), "local_id", identity_json(v->local_id),
                  "remote_id", identity_json(v->remote_id), "children", (json_int_t)v->children);

    json_object_set_new(o, "uptime",
                        up ? json_integer((json_int_t)((now.mono_ms - v->established_ms) / 1000))
                           : json_null());
    json_object_set_new(o, "rekey_in", in_json(v->rekey_ms, now));
    json_object_set_new(o, "expires_in", in_json(v->expire_ms, now));
    json_object_set_new(o, "rekeys", json_integer(v->rekeys));
    json_object_set_new(o, "suite", sa_suite_json(v));
    if (!detail)
        return o;
    json_object_set_new(o, "spi_i", hex_json(v->spi_i, sizeof(v->spi_i)));
    json_object_set_new(o, "spi_r", hex_json(v->spi_r, sizeof(v->spi_r)));
    put_proven(o, v->proven);
    json_object_set_new(o, "lifetime",
                        v->policy != NULL && v->policy->lifetime.seconds > 0
                            ? json_integer(v->policy->lifetime.seconds)
                            : json_null());
    json_object_set_new(o, "nat_local", json_boolean(v->nat_local));
    json_object_set_new(o, "nat_remote", json_boolean(v->nat_remote));
    json_object_set_new(o, "mobike", json_boolean(v->mobike));
    json_object_set_new(o, "fragmentation", json_boolean(v->fragmentation));
    json_object_set_new(o, "ppk", json_boolean(v->ppk));
    json_object_set_new(o, "peer_token", json_boolean(v->peer_token));
    json_object_set_new(o, "can_redirect", json_boolean(v->can_redirect));
    json_object_set_new(o, "next_send_id", json_integer((json_int_t)v->next_send_id));
    json_object_set_new(o, "next_receive_id", json_integer((json_int_t)v->next_receive_id));
    json_object_set_new(o, "window", json_integer(v->window));
    json_object_set_new(o, "peer_window", json_integer(v->peer_window));
    json_object_set_new(o, "messages",
                        json_pack("{s:I, s:I, s:I, s:I}", "in", (json_int_t)v->traffic.in, "out",
                                  (json_int_t)v->traffic.out, "retransmitted",
                                  (json_int_t)v->traffic.retransmitted, "bad",
                                  (json_int_t)v->traffic.bad));
    json_object_set_new(o, "liveness",
                        json_pack("{s:I, s:I, s:I, s:I}", "sent",
                                  (json_int_t)v->traffic.liveness_sent, "answered",
                                  (json_int_t)v->traffic.liveness_answered, "heard",
                                  (json_int_t)v->traffic.liveness_heard, "timeouts",
                                  (json_int_t)v->traffic.liveness_timeouts));
    return o;
}

/* ---- Child SAs ------------------------------------------------------------------------------ */

json_t *gh_ike_ts_json(const struct ike_ts_list *list)
{
    json_t *o = json_array();
    char text[IKE_TS_TEXT];

    for (size_t i = 0; list != NULL && i < list->count; i++)
        json_array_append_new(o, json_string(ike_ts_format(&list->ts[i], text)));
    return o;
}

static json_t *suite_json(const struct ike_proposal *p)
{
    json_t *list = json_array();

    for (size_t i = 0; p != NULL && i < p->count; i++)
        add_transform(list, &p->transform[i]);
    return list;
}

static const char *const mode_names[] = {
    [IKE2_TUNNEL] = "tunnel", [IKE2_TRANSPORT] = "transport", [IKE2_TCP_AO] = "tcp-ao"};

/* Not its keys. */
json_t *gh_ike_child_json(const struct ike2_child_view *c)
{
    char number[IKE_CODE_TEXT];
    json_t *o =
        json_pack("{s:I, s:I, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "id", (json_int_t)c->id,
                  "sa", (json_int_t)c->sa, "peer", gh_json_text(c->policy->name), "name",
                  gh_json_text(c->child->name), "protocol",
                  ike_code_text(ike_protocol_name(c->protocol), c->protocol, number), "mode",
                  mode_names[c->mode], "spi_in", hex_json(c->spi_in.p, c->spi_in.len), "spi_out",
                  hex_json(c->spi_out.p, c->spi_out.len), "local_ts", gh_ike_ts_json(c->ts_local),
                  "remote_ts", gh_ike_ts_json(c->ts_remote));

    json_object_set_new(o, "local", gh_ike_endpoint_json(&c->local));
    json_object_set_new(o, "remote", gh_ike_endpoint_json(&c->remote));
    json_object_set_new(o, "udp_encapsulation", json_boolean(c->udp_encapsulation));
    json_object_set_new(o, "role", json_string(c->initiator ? "initiator" : "responder"));
    json_object_set_new(o, "suite", suite_json(c->suite));
    json_object_set_new(o, "lifetime",
                        json_pack("{s:I, s:I, s:I}", "seconds", (json_int_t)c->lifetime.seconds,
                                  "octets", (json_int_t)c->lifetime.octets, "packets",
                                  (json_int_t)c->lifetime.packets));
    return o;
}

static void add_child(void *ctx, const struct ike2_child_view *c)
{
    json_array_append_new(ctx, gh_ike_child_json(c));
}

static void add_sa(void *ctx, const struct ike2_sa_view *v)
{
    struct showing *s = ctx;
    json_t *o, *children;

    if (!gh_ike_target_covers_sa(s->target, v))
        return;
    o = gh_ike_sa_json(v, s->now, s->detail);
    gh_ike_put_place(s->view, v->local.zone, o);
    if (s->detail) {
        children = json_array();
        ike2_each_child(s->view->core, v->id, add_child, children);
        json_object_set_new(o, "child_sas", children);
    }
    json_array_append_new(s->list, o);
}

json_t *gh_ike_show_sas(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    struct gh_ike_target target;
    struct showing s = {.view = view, .target = &target, .now = now};
    json_t *refusal;

    if (!gh_ike_target_parse(view, request, false, &target, &refusal))
        return refusal;
    s.detail = json_is_true(json_object_get(request, "detail"));
    s.list = json_array();
    ike2_each_sa(view->core, add_sa, &s);
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "time", gh_json_time(now.wall), "sas", s.list);
}

static void add_children(void *ctx, const struct ike2_sa_view *v)
{
    struct showing *s = ctx;

    if (gh_ike_target_covers_sa(s->target, v))
        ike2_each_child(s->view->core, v->id, add_child, s->list);
}

json_t *gh_ike_show_children(const struct gh_ike_view *view, struct gh_now now,
                             const json_t *request)
{
    struct gh_ike_target target;
    struct showing s = {.view = view, .target = &target, .now = now};
    json_t *refusal;

    if (!gh_ike_target_parse(view, request, false, &target, &refusal))
        return refusal;
    s.list = json_array();
    ike2_each_sa(view->core, add_children, &s);
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "time", gh_json_time(now.wall), "children",
                     s.list);
}

/* ---- Lockout -------------------------------------------------------------------------------- */

static void add_client(void *ctx, const struct gh_lockout_client *client)
{
    struct showing *s = ctx;
    json_t *o =
        json_pack("{s:o, s:o, s:b, s:i, s:o}", "address", addr_json(&client->addr), "port",
                  client->port != 0 ? json_integer(client->port) : json_null(), "blocked",
                  client->blocked, "failures", (int)client->failures, "ends_in",
                  client->until == UINT64_MAX ? json_null() : in_json(client->until, s->now));

    gh_ike_put_place(s->view, client->zone, o);
    json_array_append_new(s->list, o);
}

json_t *gh_ike_show_lockout(const struct gh_ike_view *view, struct gh_now now,
                            const json_t *request)
{
    const struct gh_lockout *lockout = ike2_lockout(view->core);
    struct showing s = {.view = view, .now = now, .list = json_array()};

    (void)request;
    if (lockout != NULL)
        gh_lockout_each(lockout, now.mono_ms, add_client, &s);
    return json_pack("{s:b, s:o, s:b, s:o}", "ok", 1, "time", gh_json_time(now.wall), "enabled",
                     lockout != NULL, "clients", s.list);
}

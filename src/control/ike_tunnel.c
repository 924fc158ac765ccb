/* show-ipsec-tunnel, -gateway, -clients: IPsec as IKE sees it. What the SAs carried is for the
 * IPsec engine to say. */
#include "control/ike_parts.h"

#include <string.h>

/* ---- What there is, by the peer's name ------------------------------------------------------ */

struct gathering {
    const struct gh_ike_view *view;
    const struct gh_ike_target *target;
    struct gh_now now;
    json_t *peers; /* name → array of IKE SAs with "child_sas" */
};

static void add_child(void *ctx, const struct ike2_child_view *c)
{
    if (c->mode != IKE2_TCP_AO)
        json_array_append_new(ctx, gh_ike_child_json(c));
}

static void add_sa(void *ctx, const struct ike2_sa_view *v)
{
    const struct gathering *g = ctx;
    json_t *list, *o, *children = json_array();

    if (v->policy == NULL || !gh_ike_target_covers_sa(g->target, v)) {
        json_decref(children);
        return;
    }
    list = json_object_get(g->peers, v->policy->name);
    if (list == NULL) {
        list = json_array();
        json_object_set_new_nocheck(g->peers, v->policy->name, list);
    }
    o = gh_ike_sa_json(v, g->now, true);
    ike2_each_child(g->view->core, v->id, add_child, children);
    json_object_set_new(o, "child_sas", children);
    json_array_append_new(list, o);
}

static json_t *gather(const struct gh_ike_view *view, const struct gh_ike_target *target,
                      struct gh_now now)
{
    struct gathering g = {.view = view, .target = target, .now = now, .peers = json_object()};

    ike2_each_sa(view->core, add_sa, &g);
    return g.peers;
}

static bool is_state(const json_t *sa, const char *state)
{
    const char *its = json_string_value(json_object_get(sa, "state"));

    return its != NULL && strcmp(its, state) == 0;
}

/* ---- Tunnels -------------------------------------------------------------------------------- */

/* The Child SAs of one child; *sa: the IKE SA that has one, else one that is up, else any. */
static json_t *children_of(const json_t *sas, const char *child, json_t **sa)
{
    json_t *list = json_array(), *s, *c;
    size_t i, k;
    bool has = false;

    *sa = NULL;
    json_array_foreach(sas, i, s)
    {
        size_t before = json_array_size(list);

        json_array_foreach(json_object_get(s, "child_sas"), k, c)
        {
            const char *name = json_string_value(json_object_get(c, "name"));

            if (name != NULL && strcmp(name, child) == 0)
                json_array_append(list, c);
        }
        if (json_array_size(list) > before || *sa == NULL ||
            (!has && is_state(s, "established") && !is_state(*sa, "established")))
            *sa = s;
        has = has || json_array_size(list) > before;
    }
    return list;
}

static const char *state_of(const json_t *children, const json_t *sa)
{
    if (json_array_size(children) > 0)
        return "up";
    return sa != NULL && (is_state(sa, "init") || is_state(sa, "auth")) ? "opening" : "down";
}

static json_t *without_children(const json_t *sa)
{
    json_t *o = sa != NULL ? json_copy((json_t *)(uintptr_t)sa) : json_null();

    if (sa != NULL) {
        json_object_del(o, "child_sas");
        json_object_del(o, "peer");
    }
    return o;
}

/* Why the child is not up, as far as that is known: what concerns it alone goes before. */
static json_t *last_error(const struct gh_ike_view *view, const struct ike2_policy *p,
                          const struct ike2_child_policy *c)
{
    const struct gh_ike_note *note = gh_ike_notes_find(view->notes, p->name);
    json_t *failure = gh_ike_failure_json(note);

    if (note == NULL || note->child.when == 0 || strstr(note->child.text, c->name) == NULL)
        return failure;
    json_decref(failure);
    return json_pack("{s:s, s:o, s:o, s:I}", "reason", "child-failed", "time",
                     gh_json_time(note->child.when), "text", gh_json_text(note->child.text),
                     "count", (json_int_t)note->child.count);
}

static json_t *gateway_json(const struct ike2_policy *p, size_t n)
{
    char text[GH_ADDR_TEXT];

    return n < ike2_gateway_count(p) ? json_string(gh_addr_format(ike2_gateway(p, n), text))
                                     : json_null();
}

static json_t *tunnel_json(const struct gh_ike_view *view, const struct ike2_policy *p,
                           const struct ike2_child_policy *c, const json_t *sas)
{
    bool down = p->stands_down || c->stands_down;
    json_t *sa, *children = children_of(sas, c->name, &sa);
    json_t *o = json_pack(
        "{s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:b, s:o, s:o}", "peer", gh_json_text(p->name),
        "child", gh_json_text(c->name), "mode", c->mode == IKE2_TRANSPORT ? "transport" : "tunnel",
        "state", state_of(children, sa), "admin", down ? "down" : "up", "local_ts",
        gh_ike_ts_json(&c->local), "remote_ts", gh_ike_ts_json(&c->remote), "start", c->start,
        "idle_timeout", c->idle_seconds > 0 ? json_integer(c->idle_seconds) : json_null(),
        "gateway", gateway_json(p, p->gateway_now));

    gh_ike_put_place(view, p->zone, o);
    json_object_set_new(o, "ike_sa", without_children(sa));
    json_object_set_new(o, "child_sas", children);
    json_object_set_new(o, "last_error", last_error(view, p, c));
    return o;
}

json_t *gh_ike_show_tunnels(const struct gh_ike_view *view, struct gh_now now,
                            const json_t *request)
{
    struct gh_ike_target target;
    json_t *refusal, *peers, *list;

    if (!gh_ike_target_parse(view, request, false, &target, &refusal))
        return refusal;
    peers = gather(view, &target, now);
    list = json_array();
    for (size_t i = 0; i < view->policy_count; i++) {
        const struct ike2_policy *p = view->policies[i];

        for (size_t k = 0; gh_ike_target_covers(&target, p) && k < p->child_count; k++)
            if (p->children[k].mode != IKE2_TCP_AO)
                json_array_append_new(
                    list, tunnel_json(view, p, &p->children[k], json_object_get(peers, p->name)));
    }
    json_decref(peers);
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "time", gh_json_time(now.wall), "tunnels", list);
}

/* ---- Gateways ------------------------------------------------------------------------------- */

/* Of a peer, or of all of them. */
struct tally {
    json_int_t configured, up, down, admin_down;
};

static json_t *tally_json(const struct tally *t)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "configured", t->configured, "up", t->up, "down",
                     t->down, "admin_down", t->admin_down);
}

static void count_tunnels(const struct ike2_policy *p, const json_t *sas, struct tally *own,
                          struct tally by_mode[2])
{
    for (size_t k = 0; k < p->child_count; k++) {
        const struct ike2_child_policy *c = &p->children[k];
        struct tally *two[2] = {own, &by_mode[c->mode == IKE2_TRANSPORT]};
        json_t *sa, *children;

        if (c->mode == IKE2_TCP_AO)
            continue;
        children = children_of(sas, c->name, &sa);
        for (size_t i = 0; i < 2; i++) {
            two[i]->configured++;
            if (json_array_size(children) > 0)
                two[i]->up++;
            else if (p->stands_down || c->stands_down)
                two[i]->admin_down++;
            else
                two[i]->down++;
        }
        json_decref(children);
    }
}

static json_t *gateways_json(const struct ike2_policy *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ike2_gateway_count(p); i++)
        json_array_append_new(list, json_pack("{s:o, s:s, s:b}", "address", gateway_json(p, i),
                                              "role", i == 0 ? "primary" : "backup", "in_use",
                                              i == p->gateway_now));
    return list;
}

static json_t *failures_json(const struct gh_ike_note *note)
{
    json_t *list = json_array();

    for (unsigned i = 0; note != NULL && i < IKE2_COUNT_COUNT; i++) {
        const struct gh_ike_failure *f = note->failures[i];

        if (f != NULL)
            json_array_append_new(
                list, json_pack("{s:s, s:I, s:o, s:o, s:o}", "reason", ike2_count_name(i), "count",
                                (json_int_t)f->count, "first", gh_json_time(f->first), "time",
                                gh_json_time(f->when), "text", gh_json_text(f->text)));
    }
    if (note != NULL && note->child.when != 0)
        json_array_append_new(list, json_pack("{s:s, s:I, s:o, s:o, s:o}", "reason", "child-failed",
                                              "count", (json_int_t)note->child.count, "first",
                                              gh_json_time(note->child.first), "time",
                                              gh_json_time(note->child.when), "text",
                                              gh_json_text(note->child.text)));
    return list;
}

static json_t *revert_json(const struct ike2_policy *p)
{
    if (p->backup_count == 0)
        return json_null();
    return p->revert_ms > 0 ? json_integer(p->revert_ms / 1000) : json_string("manual");
}

static json_t *peer_json(const struct gh_ike_view *view, const struct ike2_policy *p,
                         const json_t *sas, const struct tally *tunnels)
{
    const struct gh_ike_note *note = gh_ike_notes_find(view->notes, p->name);
    json_int_t up = 0, opening = 0, others = 0;
    json_t *o, *sa;
    size_t i;

    json_array_foreach(sas, i, sa)
    {
        if (is_state(sa, "established"))
            up++;
        else if (is_state(sa, "init") || is_state(sa, "auth"))
            opening++;
        else
            others++;
    }
    o = json_pack("{s:o, s:s, s:s, s:o, s:o, s:I, s:o, s:{s:I, s:I, s:I}, s:o}", "peer",
                  gh_json_text(p->name), "state",
                  up > 0        ? "up"
                  : opening > 0 ? "opening"
                                : "down",
                  "admin", p->stands_down ? "down" : "up", "gateways", gateways_json(p), "since",
                  gh_json_past(p->gateway_since), "failovers", (json_int_t)p->failovers, "revert",
                  revert_json(p), "ike_sas", "up", up, "opening", opening, "ending", others,
                  "tunnels", tally_json(tunnels));
    gh_ike_put_place(view, p->zone, o);
    json_object_set_new(o, "responder_only",
                        json_boolean(p->responder_only || p->gateway.len == 0));
    json_object_set_new(o, "last_up", gh_json_past(note != NULL ? note->up : 0));
    json_object_set_new(o, "last_down", gh_json_past(note != NULL ? note->down : 0));
    json_object_set_new(o, "failures", failures_json(note));
    return o;
}

static void count_one(void *ctx, const struct ike2_sa_view *v)
{
    ++*(json_int_t *)ctx;
}

static json_t *limits_json(const struct ike2 *core)
{
    const struct ike2_settings *s = ike2_get_settings(core);
    json_int_t sas = 0;

    ike2_each_sa(core, count_one, &sas);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "ike_sas", sas, "limit", (json_int_t)s->sas_max,
                     "high_watermark", (json_int_t)s->sas_high, "low_watermark",
                     (json_int_t)s->sas_low, "refused",
                     (json_int_t)ike2_counters(core)[IKE2_COUNT_SA_LIMIT]);
}

json_t *gh_ike_show_gateways(const struct gh_ike_view *view, struct gh_now now,
                             const json_t *request)
{
    const uint64_t *counters = ike2_counters(view->core);
    struct gh_ike_target target;
    struct tally by_mode[2] = {{0}};
    json_t *refusal, *peers, *list;

    if (!gh_ike_target_parse(view, request, false, &target, &refusal))
        return refusal;
    peers = gather(view, &target, now);
    list = json_array();
    for (size_t i = 0; i < view->policy_count; i++) {
        const struct ike2_policy *p = view->policies[i];
        const json_t *sas = json_object_get(peers, p->name);
        struct tally own = {0};

        if (!gh_ike_target_covers(&target, p))
            continue;
        count_tunnels(p, sas, &own, by_mode);
        if (own.configured > 0)
            json_array_append_new(list, peer_json(view, p, sas, &own));
    }
    json_decref(peers);
    return json_pack("{s:b, s:o, s:o, s:{s:o, s:o}, s:o, s:{s:I, s:I, s:i}}", "ok", 1, "time",
                     gh_json_time(now.wall), "gateways", list, "tunnels", "tunnel",
                     tally_json(&by_mode[0]), "transport", tally_json(&by_mode[1]), "limits",
                     limits_json(view->core), "set_ups", "ike_sas",
                     (json_int_t)counters[IKE2_COUNT_SA_UP], "child_sas",
                     (json_int_t)counters[IKE2_COUNT_CHILD_UP], "last_60_seconds",
                     (int)gh_ike_notes_rate(view->notes, now, 60));
}

/* ---- Slots ---------------------------------------------------------------------------------- */

json_t *gh_ike_show_clients(const struct gh_ike_view *view, struct gh_now now,
                            const json_t *request)
{
    json_t *list = json_array();

    for (size_t i = 0; i < view->slot_count; i++)
        json_array_append_new(list, json_integer((json_int_t)view->clients[i]));
    return json_pack("{s:b, s:o}", "ok", 1, "clients", list);
}

#include "control/ike.h"

#include <stdio.h>
#include <string.h>

#include "control/ike_parts.h"

static const struct {
    const char *op;
    gh_ike_answer_fn *answer;
} ops[] = {
    {"show-ike-peer", gh_ike_show_peers},
    {"show-ike-sa", gh_ike_show_sas},
    {"show-ike-child", gh_ike_show_children},
    {"show-ike-statistics", gh_ike_show_statistics},
    {"show-ike-lockout", gh_ike_show_lockout},
    {"show-ipsec-tunnel", gh_ike_show_tunnels},
    {"show-ipsec-gateway", gh_ike_show_gateways},
    {"show-ipsec-clients", gh_ike_show_clients},
    {"ike-initiate", gh_ike_initiate},
    {"ike-down", gh_ike_take_down},
    {"ike-up", gh_ike_bring_up},
    {"ike-revert", gh_ike_revert},
    {"ike-rekey-sa", gh_ike_rekey_sa},
    {"ike-rekey-child", gh_ike_rekey_child},
    {"ike-terminate-sa", gh_ike_terminate_sa},
    {"ike-terminate-child", gh_ike_terminate_child},
    {"ike-terminate-peer", gh_ike_terminate_peer},
    {"ike-redirect-sa", gh_ike_redirect_sa},
    {"ike-redirect-peer", gh_ike_redirect_peer},
    {"clear-ike-lockout", gh_ike_clear_lockout},
    {"show-gatekeeper", gh_ike_show_gatekeeper},
    {"gatekeeper-revoke", gh_ike_revoke},
};
enum { OPS = sizeof(ops) / sizeof(ops[0]) };

static gh_ike_answer_fn *find(const char *op)
{
    for (size_t i = 0; op != NULL && i < OPS; i++)
        if (strcmp(op, ops[i].op) == 0)
            return ops[i].answer;
    return NULL;
}

bool gh_ike_is_op(const char *op)
{
    return find(op) != NULL;
}

bool gh_ike_changes_orders(const json_t *request)
{
    const char *op = gh_control_op(request);

    return op != NULL && (strcmp(op, "ike-down") == 0 || strcmp(op, "ike-up") == 0);
}

json_t *gh_ike_handle(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    const char *op = gh_control_op(request);
    gh_ike_answer_fn *answer = find(op);

    if (op != NULL && strcmp(op, "explain") == 0)
        answer = gh_ike_explain;
    if (answer != NULL)
        return answer(view, now, request);
    return gh_control_refusal("gatectl and the daemon may be of different versions",
                              "unknown op \"%.100s\"", op != NULL ? op : "");
}

json_t *gh_ike_event_json(const struct ike2_event *e, struct gh_now now)
{
    char name[40];
    json_t *object;

    if (e->kind == IKE2_EVENT_STORY)
        return NULL;
    snprintf(name, sizeof(name), "ike-%s", ike2_event_name(e->kind));
    object = json_pack("{s:s, s:o, s:o, s:o}", "event", name, "time", gh_json_time(now.wall),
                       "session", gh_json_text(e->policy), "text", gh_json_text(e->text));
    if (e->sa != 0)
        json_object_set_new(object, "sa", json_integer((json_int_t)e->sa));
    if (e->child != 0)
        json_object_set_new(object, "child", json_integer((json_int_t)e->child));
    if (e->remote != NULL)
        json_object_set_new(object, "remote", gh_ike_endpoint_json(e->remote));
    return object;
}

/* ---- What a request is about ---------------------------------------------------------------- */

json_t *gh_ike_endpoint_json(const struct ike2_endpoint *e)
{
    struct tcpao_endpoint end = {.addr_len = e->addr.len, .port = e->port};

    memcpy(end.addr, e->addr.octets, e->addr.len);
    return e->addr.len != 0 ? gh_json_endpoint(&end) : json_null();
}

bool gh_ike_target_covers(const struct gh_ike_target *t, const struct ike2_policy *p)
{
    if (t->name != NULL)
        return strcmp(t->name, p->name) == 0;
    return t->addr.len == 0 || ike2_gateway_is(p, &t->addr) ||
           (p->remote.bits > 0 && gh_prefix_contains(&p->remote, &t->addr));
}

bool gh_ike_target_covers_sa(const struct gh_ike_target *t, const struct ike2_sa_view *v)
{
    if (t->name != NULL)
        return v->policy != NULL && strcmp(t->name, v->policy->name) == 0;
    return t->addr.len == 0 || gh_addr_equal(&t->addr, &v->remote.addr);
}

static bool refuse(json_t **refusal, json_t *why)
{
    *refusal = why;
    return false;
}

struct search {
    const struct gh_ike_target *target;
    bool found;
};

static void look_at_sa(void *ctx, const struct ike2_sa_view *v)
{
    struct search *s = ctx;

    s->found |= gh_ike_target_covers_sa(s->target, v);
}

/* A policy of the configuration, or an SA of one that is gone. */
static bool is_something(const struct gh_ike_view *view, const struct gh_ike_target *t)
{
    struct search s = {.target = t};

    for (size_t i = 0; i < view->policy_count; i++)
        if (gh_ike_target_covers(t, view->policies[i]))
            return true;
    ike2_each_sa(view->core, look_at_sa, &s);
    return s.found;
}

bool gh_ike_target_parse(const struct gh_ike_view *view, const json_t *request, bool needed,
                         struct gh_ike_target *out, json_t **refusal)
{
    const json_t *value = json_object_get(request, "name");
    const char *name = json_string_value(value);

    if (value == NULL || json_is_null(value))
        value = json_object_get(request, "peer"), name = json_string_value(value);
    *out = (struct gh_ike_target){.name = name};
    if (value != NULL && !json_is_null(value) && name == NULL)
        return refuse(refusal, gh_control_refusal(NULL, "\"name\" must be a string"));
    if (name == NULL && needed)
        return refuse(refusal, gh_control_refusal("say which: \"name\"", "an IKE peer is needed"));
    if (name == NULL || is_something(view, out))
        return true;
    if (gh_addr_parse(name, &out->addr)) {
        out->name = NULL;
        if (is_something(view, out))
            return true;
    }
    return refuse(refusal,
                  gh_control_refusal("`gatectl show ike peer` lists them",
                                     "no IKE peer is named \"%.300s\" or has this address", name));
}

/* ---- How a peer does ------------------------------------------------------------------------ */

struct counting {
    const char *policy;
    struct gh_ike_tally tally;
};

static void count_sa(void *ctx, const struct ike2_sa_view *v)
{
    struct counting *c = ctx;

    if (v->policy == NULL || strcmp(v->policy->name, c->policy) != 0)
        return;
    c->tally.children += v->children;
    if (v->state == IKE2_STATE_ESTABLISHED)
        c->tally.up++;
    else if (v->state < IKE2_STATE_ESTABLISHED)
        c->tally.opening++;
    else
        c->tally.ending++;
}

struct gh_ike_tally gh_ike_tally_of(const struct gh_ike_view *view, const char *policy)
{
    struct counting c = {.policy = policy};

    ike2_each_sa(view->core, count_sa, &c);
    return c.tally;
}

/* ---- Where a peer is ------------------------------------------------------------------------ */

enum ike2_way gh_ike_source_of(const struct gh_ike_view *view, const struct ike2_policy *p,
                               struct gh_addr *out, int *error)
{
    *error = 0;
    *out = p->local;
    if (p->local.len != 0)
        return IKE2_WAY_THERE;
    if (p->gateway.len == 0 || view->places == NULL)
        return IKE2_WAY_UNKNOWN;
    return view->places->way(view->places->ctx, p->zone, ike2_gateway(p, p->gateway_now), out,
                             error);
}

void gh_ike_put_place(const struct gh_ike_view *view, uint16_t zone, json_t *object)
{
    struct gh_ike_place_view place = {.netns = NULL};

    if (view->places != NULL)
        place = view->places->place(view->places->ctx, zone);
    json_object_set_new(object, "netns", gh_json_text(place.netns));
    json_object_set_new(object, "vrf", gh_json_text(place.vrf));
}

bool gh_ike_target_is_one(const struct gh_ike_view *view, const struct gh_ike_target *t,
                          json_t **refusal)
{
    const struct ike2_policy *first = NULL;
    char text[GH_ADDR_TEXT];

    for (size_t i = 0; t->addr.len != 0 && i < view->policy_count; i++) {
        const struct ike2_policy *p = view->policies[i];

        if (!gh_ike_target_covers(t, p))
            continue;
        if (first != NULL && first->zone != p->zone)
            return refuse(refusal,
                          gh_control_refusal("give the name of one of them",
                                             "%s is the address of \"%s\" and \"%s\", which are in "
                                             "different namespaces or VRFs",
                                             gh_addr_format(&t->addr, text), first->name, p->name));
        first = p;
    }
    return true;
}

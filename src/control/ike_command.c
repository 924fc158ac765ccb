/* What the operator has IKE do. */
#include "control/ike_parts.h"

#include <stdlib.h>
#include <string.h>

static json_t *good(void)
{
    return json_pack("{s:b}", "ok", 1);
}

/* "id": a positive integer. False: *refusal. */
static bool take_id(const json_t *request, json_int_t max, json_int_t *out, json_t **refusal)
{
    *out = json_integer_value(json_object_get(request, "id"));
    if (*out > 0 && *out <= max)
        return true;
    *refusal = gh_control_refusal("`gatectl show ike sa` and `show ike child` show them",
                                  "\"id\" must be the number of an SA");
    return false;
}

static json_t *no_such_sa(json_int_t id)
{
    return gh_control_refusal(
        "`gatectl show ike sa` lists them",
        "there is no IKE SA %" JSON_INTEGER_FORMAT ", or it is on its way already", id);
}

static json_t *no_such_child(json_int_t id)
{
    return gh_control_refusal(
        "`gatectl show ike child` lists them",
        "there is no Child SA %" JSON_INTEGER_FORMAT ", or it is on its way already", id);
}

/* ---- To begin ------------------------------------------------------------------------------- */

static const struct ike2_policy *find_policy(const struct gh_ike_view *view,
                                             const struct gh_ike_target *t)
{
    for (size_t i = 0; i < view->policy_count; i++)
        if (gh_ike_target_covers(t, view->policies[i]))
            return view->policies[i];
    return NULL;
}

static bool has_child(const struct ike2_policy *p, const char *child)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (strcmp(p->children[i].name, child) == 0)
            return true;
    return false;
}

json_t *gh_ike_initiate(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    const char *child = json_string_value(json_object_get(request, "child"));
    const struct ike2_policy *p;
    struct gh_ike_target target;
    char text[GH_ADDR_TEXT];
    struct gh_addr from;
    json_t *refusal;
    int error;

    if (!gh_ike_target_parse(view, request, true, &target, &refusal) ||
        !gh_ike_target_is_one(view, &target, &refusal))
        return refusal;
    p = find_policy(view, &target);
    if (p == NULL)
        return gh_control_refusal("`gatectl reload`, if it is in the file again",
                                  "this peer is not in the configuration any more");
    if (child != NULL && !has_child(p, child))
        return gh_control_refusal("`gatectl show ike peer` shows which it has",
                                  "the peer \"%s\" has no child \"%.300s\"", p->name, child);
    if (p->gateway.len != 0 && gh_ike_source_of(view, p, &from, &error) == IKE2_WAY_NONE)
        return gh_control_refusal("add a route, or `local`, to reach it; it is called as soon as "
                                  "there is one if its child says `start = true`",
                                  "there is no way to %s, the gateway of \"%s\": %s",
                                  gh_addr_format(ike2_gateway(p, p->gateway_now), text), p->name,
                                  strerror(error));
    if (!ike2_initiate(view->core, now, p->name, child))
        return gh_control_refusal("give it a gateway, or wait until it begins",
                                  "the peer \"%s\" cannot be called: it only answers", p->name);
    return good();
}

/* ---- One SA --------------------------------------------------------------------------------- */

json_t *gh_ike_rekey_sa(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    json_t *refusal;
    json_int_t id;

    if (!take_id(request, INT64_MAX, &id, &refusal))
        return refusal;
    return ike2_rekey_ike(view->core, now, (uint64_t)id) ? good() : no_such_sa(id);
}

json_t *gh_ike_terminate_sa(const struct gh_ike_view *view, struct gh_now now,
                            const json_t *request)
{
    json_t *refusal;
    json_int_t id;

    if (!take_id(request, INT64_MAX, &id, &refusal))
        return refusal;
    return ike2_terminate_ike(view->core, now, (uint64_t)id) ? good() : no_such_sa(id);
}

json_t *gh_ike_rekey_child(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    json_t *refusal;
    json_int_t id;

    if (!take_id(request, UINT32_MAX, &id, &refusal))
        return refusal;
    return ike2_rekey_child(view->core, now, (uint32_t)id) ? good() : no_such_child(id);
}

json_t *gh_ike_terminate_child(const struct gh_ike_view *view, struct gh_now now,
                               const json_t *request)
{
    json_t *refusal;
    json_int_t id;

    if (!take_id(request, UINT32_MAX, &id, &refusal))
        return refusal;
    return ike2_terminate_child(view->core, now, (uint32_t)id) ? good() : no_such_child(id);
}

/* "to": another gateway. False: *refusal. */
static bool take_gateway(const json_t *request, struct gh_addr *out, json_t **refusal)
{
    const char *text = json_string_value(json_object_get(request, "to"));

    if (text != NULL && gh_addr_parse(text, out) && !gh_addr_is_any(out))
        return true;
    *refusal = gh_control_refusal("write such as 192.0.2.2 or 2001:db8::2",
                                  "\"to\" must be the address of another gateway");
    return false;
}

static const char redirect_remedy[] = "`gatectl show ike sa detail` says which can be sent";

json_t *gh_ike_redirect_sa(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    struct gh_addr to;
    json_t *refusal;
    json_int_t id;

    if (!take_id(request, INT64_MAX, &id, &refusal) || !take_gateway(request, &to, &refusal))
        return refusal;
    if (ike2_redirect(view->core, now, (uint64_t)id, &to))
        return good();
    return gh_control_refusal(redirect_remedy,
                              "there is no IKE SA %" JSON_INTEGER_FORMAT
                              ", or its peer cannot be sent elsewhere, or it was us who began",
                              id);
}

/* ---- All of a peer -------------------------------------------------------------------------- */

struct gathering {
    const struct gh_ike_target *target;
    uint64_t *ids;
    size_t count, room;
    bool failed;
};

static void gather(void *ctx, const struct ike2_sa_view *v)
{
    struct gathering *g = ctx;

    if (g->failed || !gh_ike_target_covers_sa(g->target, v))
        return;
    if (g->count == g->room) {
        size_t room = g->room * 2 + 16;
        uint64_t *more = realloc(g->ids, room * sizeof(*more));

        if (more == NULL) {
            g->failed = true;
            return;
        }
        g->ids = more;
        g->room = room;
    }
    g->ids[g->count++] = v->id;
}

json_t *gh_ike_terminate_peer(const struct gh_ike_view *view, struct gh_now now,
                              const json_t *request)
{
    struct gh_ike_target target;
    struct gathering g = {.target = &target};
    json_int_t ended = 0;
    json_t *refusal;

    if (!gh_ike_target_parse(view, request, true, &target, &refusal) ||
        !gh_ike_target_is_one(view, &target, &refusal))
        return refusal;
    ike2_each_sa(view->core, gather, &g);
    for (size_t i = 0; i < g.count && !g.failed; i++)
        ended += ike2_terminate_ike(view->core, now, g.ids[i]);
    free(g.ids);
    if (g.failed)
        return gh_control_refusal(NULL, "out of memory");
    return json_pack("{s:b, s:I}", "ok", 1, "terminated", ended);
}

json_t *gh_ike_redirect_peer(const struct gh_ike_view *view, struct gh_now now,
                             const json_t *request)
{
    struct gh_ike_target target;
    struct gathering g = {.target = &target};
    json_int_t sent = 0;
    struct gh_addr to;
    json_t *refusal;

    if (!gh_ike_target_parse(view, request, true, &target, &refusal) ||
        !take_gateway(request, &to, &refusal))
        return refusal;
    ike2_each_sa(view->core, gather, &g);
    for (size_t i = 0; i < g.count && !g.failed; i++)
        sent += ike2_redirect(view->core, now, g.ids[i], &to);
    free(g.ids);
    if (g.failed)
        return gh_control_refusal(NULL, "out of memory");
    if (sent == 0)
        return gh_control_refusal(redirect_remedy, "no IKE SA of this peer can be sent elsewhere");
    return json_pack("{s:b, s:I}", "ok", 1, "redirected", sent);
}

/* ---- Lockout -------------------------------------------------------------------------------- */

json_t *gh_ike_clear_lockout(const struct gh_ike_view *view, struct gh_now now,
                             const json_t *request)
{
    const char *text = json_string_value(json_object_get(request, "name"));
    struct gh_lockout *lockout = ike2_lockout(view->core);
    struct gh_addr addr;

    (void)now;
    if (lockout == NULL)
        return gh_control_refusal(NULL, "nobody is locked out: it is not configured");
    if (text != NULL && !gh_addr_parse(text, &addr))
        return gh_control_refusal("give an IPv4 or IPv6 address", "\"%.100s\" is not an address",
                                  text);
    return json_pack("{s:b, s:I}", "ok", 1, "cleared",
                     (json_int_t)gh_lockout_clear(lockout, text != NULL ? &addr : NULL, 0));
}

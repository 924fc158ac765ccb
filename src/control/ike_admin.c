/* What the operator takes down, brings up again, and sends back to its first gateway. */
#include "control/ike_parts.h"

#include <string.h>

static const struct ike2_policy *policy_of(const struct gh_ike_view *view,
                                           const struct gh_ike_target *t)
{
    for (size_t i = 0; i < view->policy_count; i++)
        if (gh_ike_target_covers(t, view->policies[i]))
            return view->policies[i];
    return NULL;
}

/* The one peer that a request names. NULL: *refusal. */
static const struct ike2_policy *find(const struct gh_ike_view *view, const json_t *request,
                                      json_t **refusal)
{
    const struct ike2_policy *p;
    struct gh_ike_target target;

    if (!gh_ike_target_parse(view, request, true, &target, refusal) ||
        !gh_ike_target_is_one(view, &target, refusal))
        return NULL;
    p = policy_of(view, &target);
    if (p == NULL)
        *refusal = gh_control_refusal("`gatectl reload`, if it is in the file again",
                                      "this peer is not in the configuration any more");
    return p;
}

static json_t *set(const struct gh_ike_view *view, struct gh_now now, const json_t *request,
                   bool down)
{
    const char *child = json_string_value(json_object_get(request, "child"));
    json_t *refusal = NULL;
    const struct ike2_policy *p = find(view, request, &refusal);

    if (p == NULL)
        return refusal;
    if (!ike2_set_down(view->core, now, p->name, child, down))
        return gh_control_refusal("`gatectl show ike peer` shows which it has",
                                  "the peer \"%s\" has no child \"%.300s\"", p->name,
                                  child != NULL ? child : "");
    return json_pack("{s:b, s:s}", "ok", 1, "state", down ? "down" : "up");
}

json_t *gh_ike_take_down(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    return set(view, now, request, true);
}

json_t *gh_ike_bring_up(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    return set(view, now, request, false);
}

json_t *gh_ike_revert(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    json_t *refusal = NULL;
    const struct ike2_policy *p = find(view, request, &refusal);

    if (p == NULL)
        return refusal;
    if (p->backup_count == 0)
        return gh_control_refusal("give it a `backup`", "the peer \"%s\" has one gateway only",
                                  p->name);
    if (ike2_revert(view->core, now, p->name))
        return json_pack("{s:b}", "ok", 1);
    return gh_control_refusal("`gatectl show ipsec gateway` shows which is in use",
                              "the peer \"%s\" is at its first gateway, or that is being tried",
                              p->name);
}

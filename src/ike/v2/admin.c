/*
 * The administrative state of peers and of their children: what is down is neither begun nor
 * answered, and what was up of it ends.
 *
 * The configuration says it (`admin`), and the operator's orders go before that. An order stays
 * until another one, or until a configuration says otherwise in so many words: what `admin` was
 * when the order was given is kept beside it. The shell carries orders over to the next core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/v2/admin.h"
#include "ike/v2/core_priv.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "ike/v2/whose.h"

struct ike2_order {
    struct ike2_order *next;
    struct ike2_order_view v;
};

static struct ike2_child_policy *child_named(const struct ike2_policy *p, const char *name)
{
    for (size_t i = 0; p != NULL && i < p->child_count; i++)
        if (strcmp(p->children[i].name, name) == 0)
            return &p->children[i];
    return NULL;
}

/* What the configuration says of it. False: there is no such peer or child. */
static bool configured(const struct ike2 *c, const char *policy, const char *child,
                       enum ike2_admin *out)
{
    const struct ike2_policy *p = ike2_policy_named(&c->whose, policy);
    const struct ike2_child_policy *of = child[0] != '\0' ? child_named(p, child) : NULL;

    if (p == NULL || (child[0] != '\0' && of == NULL))
        return false;
    *out = of != NULL ? of->admin : p->admin;
    return true;
}

static struct ike2_order **find(struct ike2 *c, const char *policy, const char *child)
{
    struct ike2_order **at = &c->orders;

    while (*at != NULL &&
           (strcmp((*at)->v.policy, policy) != 0 || strcmp((*at)->v.child, child) != 0))
        at = &(*at)->next;
    return at;
}

static void drop(struct ike2_order **at)
{
    struct ike2_order *gone = *at;

    *at = gone->next;
    free(gone);
}

void ike2_admin_free(struct ike2 *c)
{
    while (c->orders != NULL)
        drop(&c->orders);
}

/* ---- What comes of it ----------------------------------------------------------------------- */

static bool is_down(struct ike2 *c, const char *policy, const char *child, enum ike2_admin admin)
{
    const struct ike2_order *o = *find(c, policy, child);

    return o != NULL ? o->v.down : admin == IKE2_ADMIN_DOWN;
}

static void mark(struct ike2 *c, struct ike2_policy *p)
{
    p->stands_down = is_down(c, p->name, "", p->admin);
    for (size_t i = 0; i < p->child_count; i++)
        p->children[i].stands_down = is_down(c, p->name, p->children[i].name, p->children[i].admin);
}

static void end_children(struct ike2 *c, struct ike2_sa *sa)
{
    for (struct ike2_child *child = sa->children; child != NULL; child = child->next) {
        struct ike2_task *t;

        if (!child->policy->stands_down || ike2_task_deletes(sa, child->id))
            continue;
        t = ike2_task_add(c, sa, IKE2_TASK_CHILD_DELETE);
        if (t == NULL)
            return;
        t->child = child->id;
        t->policy = child->policy;
        t->why = IKE2_REMOVED_COMMAND;
        child->going = true;
    }
    for (size_t i = 0; i < sa->policy->child_count && i < 32; i++)
        if (sa->policy->children[i].stands_down)
            sa->wanted &= ~(1u << i);
}

static void end_sa(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_task *t;

    if (sa->state < IKE2_STATE_ESTABLISHED) {
        ike2_sa_die(c, sa, IKE2_REMOVED_COMMAND);
        return;
    }
    if (sa->state == IKE2_STATE_DELETING || ike2_task_waits(sa, IKE2_TASK_IKE_DELETE))
        return;
    t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
    if (t != NULL)
        t->why = IKE2_REMOVED_COMMAND;
}

void ike2_admin_apply(struct ike2 *c)
{
    struct ike2_sa *next;

    for (size_t i = 0; i < c->whose.count; i++)
        mark(c, c->whose.policies[i]);
    for (struct ike2_sa *sa = c->sas; sa != NULL; sa = next) {
        next = sa->next;
        mark(c, sa->policy); /* it may be one that was replaced */
        if (sa->policy->stands_down)
            end_sa(c, sa);
        else
            end_children(c, sa);
        if (sa->state != IKE2_STATE_DEAD)
            ike2_settle(c, sa);
    }
}

void ike2_admin_review(struct ike2 *c)
{
    struct ike2_order **at = &c->orders;

    while (*at != NULL) {
        struct ike2_order_view *v = &(*at)->v;
        enum ike2_admin now = IKE2_ADMIN_UNSAID;
        bool there = configured(c, v->policy, v->child, &now);

        if (!there || (now != IKE2_ADMIN_UNSAID && now != v->configured)) {
            drop(at);
            continue;
        }
        v->configured = now;
        at = &(*at)->next;
    }
}

bool ike2_admin_blocks(const struct ike2_whose *w, const struct ike2_endpoint *local,
                       const struct gh_addr *remote)
{
    const struct ike2_policy *p = NULL;

    while ((p = ike2_policy_any(w, local, remote, p)) != NULL)
        if (p->stands_down)
            return true;
    return false;
}

/* ---- Orders --------------------------------------------------------------------------------- */

bool ike2_order_take(struct ike2 *c, const struct ike2_order_view *v)
{
    struct ike2_order **at = find(c, v->policy, v->child), *o = *at;

    if (o == NULL)
        o = calloc(1, sizeof(*o));
    if (o == NULL)
        return false;
    o->v = *v;
    *at = o;
    return true;
}

void ike2_each_order(const struct ike2 *c, void (*fn)(void *ctx, const struct ike2_order_view *v),
                     void *ctx)
{
    for (const struct ike2_order *o = c->orders; o != NULL; o = o->next)
        fn(ctx, &o->v);
}

bool ike2_set_down(struct ike2 *c, struct gh_now now, const char *policy, const char *child,
                   bool down)
{
    struct ike2_policy *p = ike2_policy_named(&c->whose, policy);
    struct ike2_order_view v = {.down = down};

    c->now = now;
    if (!configured(c, policy, child != NULL ? child : "", &v.configured))
        return false;
    (void)snprintf(v.policy, sizeof(v.policy), "%s", policy);
    (void)snprintf(v.child, sizeof(v.child), "%s", child != NULL ? child : "");
    if (down == (v.configured == IKE2_ADMIN_DOWN)) { /* it needs no order */
        if (*find(c, v.policy, v.child) != NULL)
            drop(find(c, v.policy, v.child));
    } else if (!ike2_order_take(c, &v)) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return false;
    }
    ike2_admin_apply(c);
    if (!down)
        ike2_begin_again(c, p);
    ike2_bury(c);
    return true;
}

/* A new set of policies in the place of the old one, and what hangs on those. */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/admin.h"
#include "ike/v2/core_priv.h"
#include "ike/v2/failover.h"
#include "ike/v2/followup.h"
#include "ike/v2/priv.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tcp_ao.h"
#include "ike/v2/whose.h"

static int by_index(const void *x, const void *y)
{
    const struct ike2_policy *a = *(struct ike2_policy *const *)x;
    const struct ike2_policy *b = *(struct ike2_policy *const *)y;

    return a->index < b->index ? -1 : a->index > b->index;
}

static struct ike2_child_policy *child_named(struct ike2_policy *p, const char *name)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (strcmp(p->children[i].name, name) == 0)
            return &p->children[i];
    return NULL;
}

/* Who the peer is by the new database, which is for those that came to us. False: nobody whom we
 * would let in. */
static bool find_client(const struct ike2_sa *sa, const struct ike2_policy *p,
                        const struct gh_client **out)
{
    *out = NULL;
    if (sa->began || p->client_db == NULL)
        return true;
    switch (gh_client_db_find(p->client_db, sa->remote_id, &sa->remote.addr, out)) {
    case GH_CLIENT_FOUND:
        return !(*out)->gets.reject;
    case GH_CLIENT_FALL_BACK:
        *out = NULL;
        return true;
    default:
        return false;
    }
}

/* Whether all that hangs on the SA has its place in the new policy, too. */
static bool fits(const struct ike2_sa *sa, struct ike2_policy *p)
{
    const struct ike2_task *lists[] = {sa->task, sa->waiting};
    const struct gh_client *client;
    bool all = sa->state >= IKE2_STATE_ESTABLISHED && sa->local.zone == p->zone &&
               find_client(sa, p, &client);

    for (const struct ike2_child *child = sa->children; all && child != NULL; child = child->next)
        all = child_named(p, child->policy->name) != NULL;
    for (size_t i = 0; i < 2; i++)
        for (const struct ike2_task *t = lists[i]; all && t != NULL; t = t->next)
            all = t->policy == NULL || child_named(p, t->policy->name) != NULL;
    return all;
}

/* What the new policy says counts from the next rekeying on. */
static void adopt(struct ike2 *c, struct ike2_sa *sa, struct ike2_policy *p)
{
    struct ike2_task *lists[] = {sa->task, sa->waiting};

    for (struct ike2_child *child = sa->children; child != NULL; child = child->next)
        child->policy = child_named(p, child->policy->name);
    for (size_t i = 0; i < 2; i++)
        for (struct ike2_task *t = lists[i]; t != NULL; t = t->next)
            t->policy = t->policy != NULL ? child_named(p, t->policy->name) : NULL;
    find_client(sa, p, &sa->client);
    ike2_pending_clear(sa); /* it was judged by the old one */
    ike2_set_policy(sa, p);
    ike2_tcp_ao_changed(c, sa);
    ike2_settle(c, sa);
}

static void take_over(struct ike2 *c, struct ike2_policy *old, struct ike2_policy *p)
{
    struct ike2_sa *next;

    for (struct ike2_sa *sa = old->sas; sa != NULL; sa = next) {
        next = sa->next_peer;
        if (fits(sa, p))
            adopt(c, sa, p);
        else if (sa->reverting) /* it would be up beside those that went over */
            ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    }
}

bool ike2_set_policies(struct ike2 *c, struct gh_now now, struct ike2_policy *const *policies,
                       size_t count)
{
    struct ike2_policy **copy = calloc(count + 1, sizeof(struct ike2_policy *));
    struct ike2_whose fresh, old = c->whose;

    if (copy == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        copy[i] = policies[i];
    if (count > 0)
        qsort(copy, count, sizeof(struct ike2_policy *), by_index);
    if (!ike2_whose_make(&fresh, copy, count)) {
        free(copy);
        return false;
    }
    c->now = now;
    c->whose = fresh;
    for (size_t i = 0; i < count; i++)
        ike2_policy_ref(copy[i]);
    for (size_t i = 0; i < old.count; i++) {
        struct ike2_policy *was = old.policies[i], *is = ike2_policy_named(&c->whose, was->name);

        if (is != was) {
            ike2_resume_forget(c, was);
            ike2_redirect_forget(c, was);
            if (is != NULL) {
                ike2_failover_keep(is, was);
                take_over(c, was, is);
            }
        }
        ike2_policy_free(was);
    }
    ike2_whose_clear(&old);
    ike2_admin_review(c);
    ike2_admin_apply(c);
    for (size_t i = 0; i < count; i++)
        ike2_begin_again(c, copy[i]);
    ike2_bury(c);
    return true;
}

/* A new set of policies in the place of the old one, and what hangs on those; whose a peer is. */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/priv.h"

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
    const struct gh_client *client;
    bool all =
        sa->state >= IKE2_STATE_ESTABLISHED && find_client(sa, p, &client) &&
        (sa->task == NULL || sa->task->policy == NULL || child_named(p, sa->task->policy->name));

    for (const struct ike2_child *child = sa->children; all && child != NULL; child = child->next)
        all = child_named(p, child->policy->name) != NULL;
    for (const struct ike2_task *t = sa->waiting; all && t != NULL; t = t->next)
        all = t->policy == NULL || child_named(p, t->policy->name) != NULL;
    return all;
}

/* What the new policy says counts from the next rekeying on. */
static void adopt(struct ike2_sa *sa, struct ike2_policy *p)
{
    for (struct ike2_child *child = sa->children; child != NULL; child = child->next)
        child->policy = child_named(p, child->policy->name);
    for (struct ike2_task *t = sa->waiting; t != NULL; t = t->next)
        t->policy = t->policy != NULL ? child_named(p, t->policy->name) : NULL;
    if (sa->task != NULL && sa->task->policy != NULL)
        sa->task->policy = child_named(p, sa->task->policy->name);
    find_client(sa, p, &sa->client);
    ike2_pending_clear(sa); /* it was judged by the old one */
    ike2_set_policy(sa, p);
}

static void take_over(struct ike2_policy *old, struct ike2_policy *p)
{
    struct ike2_sa *next;

    for (struct ike2_sa *sa = old->sas; sa != NULL; sa = next) {
        next = sa->next_peer;
        if (fits(sa, p))
            adopt(sa, p);
    }
}

bool ike2_set_policies(struct ike2 *c, struct gh_now now, struct ike2_policy *const *policies,
                       size_t count)
{
    struct ike2_policy **copy = calloc(count + 1, sizeof(struct ike2_policy *));

    if (copy == NULL)
        return false;
    c->now = now;
    for (size_t i = 0; i < count; i++)
        copy[i] = ike2_policy_ref(policies[i]);
    if (count > 0)
        qsort(copy, count, sizeof(struct ike2_policy *), by_index);
    for (size_t i = 0; i < c->policy_count; i++) {
        struct ike2_policy *old = c->policies[i];
        bool stays = false;

        for (size_t k = 0; k < count; k++)
            stays = stays || copy[k] == old;
        if (!stays) {
            ike2_resume_forget(c, old);
            ike2_redirect_forget(c, old);
        }
        for (size_t k = 0; k < count; k++)
            if (copy[k] != old && strcmp(copy[k]->name, old->name) == 0)
                take_over(old, copy[k]);
        ike2_policy_free(old);
    }
    free(c->policies);
    c->policies = copy;
    c->policy_count = count;
    for (size_t i = 0; i < count; i++)
        ike2_begin_again(c, copy[i]);
    ike2_bury(c);
    return true;
}

static bool is_for(const struct ike2_policy *p, const struct gh_addr *local,
                   const struct gh_addr *remote)
{
    return (p->local.len == 0 || gh_addr_equal(&p->local, local)) &&
           (p->remote.bits == 0 ? p->remote.addr.len == 0 || p->remote.addr.len == remote->len
                                : gh_prefix_contains(&p->remote, remote));
}

struct ike2_policy *ike2_policy_for(struct ike2 *c, const struct gh_addr *local,
                                    const struct gh_addr *remote, const struct ike2_policy *after)
{
    bool seen = after == NULL;

    for (size_t i = 0; i < c->policy_count; i++) {
        if (seen && is_for(c->policies[i], local, remote))
            return c->policies[i];
        seen = seen || c->policies[i] == after;
    }
    return NULL;
}

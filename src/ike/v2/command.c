/* What the operator, the configuration and the data plane ask for. */
#include <string.h>

#include "ike/v2/priv.h"

static struct ike2_sa *sa_of_policy(const struct ike2_policy *p)
{
    struct ike2_sa *sa = p->sas;

    while (sa != NULL && (sa->state > IKE2_STATE_ESTABLISHED ||
                          (!sa->initiator && sa->state < IKE2_STATE_ESTABLISHED)))
        sa = sa->next_peer;
    return sa;
}

static bool has_child(const struct ike2_sa *sa, const struct ike2_child_policy *p)
{
    const struct ike2_task *lists[] = {sa->task, sa->waiting};

    for (const struct ike2_child *child = sa->children; child != NULL; child = child->next)
        if (child->policy == p && !child->replaced)
            return true;
    for (size_t i = 0; i < 2; i++)
        for (const struct ike2_task *t = lists[i]; t != NULL; t = t->next)
            if (t->kind == IKE2_TASK_CHILD_NEW && t->policy == p)
                return true;
    return false;
}

static void want_child(struct ike2 *c, struct ike2_sa *sa, size_t index)
{
    const struct ike2_child_policy *p = &sa->policy->children[index];
    struct ike2_task *t;

    if (sa->state != IKE2_STATE_ESTABLISHED) {
        sa->wanted |= 1u << index;
        return;
    }
    if (has_child(sa, p))
        return;
    t = ike2_task_add(c, sa, IKE2_TASK_CHILD_NEW);
    if (t != NULL)
        t->policy = p;
}

static struct ike2_sa *begin_sa(struct ike2 *c, struct ike2_policy *p)
{
    const struct ike2_endpoint local = {.addr = p->local, .port = IKE2_PORT, .zone = p->zone};
    const struct ike2_endpoint remote = {.addr = ike2_redirect_gateway(c, p), .port = p->port};
    struct ike2_sa *sa = ike2_sa_new(c, p, true, &local, &remote);

    if (sa == NULL)
        return NULL;
    if (!ike2_sa_link(c, sa)) {
        ike2_sa_free(sa);
        return NULL;
    }
    sa->expire_at = c->now.mono_ms + ike2_begin_ms(p);
    ike2_task_add(c, sa, ike2_resume_possible(c, sa) ? IKE2_TASK_RESUME : IKE2_TASK_INIT);
    if (c->pause_ms > 0) {
        sa->task_at = c->now.mono_ms + c->pause_ms;
        sa->expire_at += c->pause_ms;
    }
    return sa;
}

void ike2_begin_anew(struct ike2 *c, struct ike2_sa *sa, const char *why)
{
    struct ike2_policy *policy = ike2_policy_ref(sa->policy);
    uint32_t wanted = sa->wanted;
    uint8_t nat_refusals = sa->nat_refusals;
    struct ike2_sa *fresh;

    if (sa->task != NULL && sa->task->policy != NULL) /* what IKE_AUTH was to make */
        wanted |= 1u << (sa->task->policy - policy->children);
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "%s", why);
    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    fresh = begin_sa(c, policy);
    if (fresh != NULL) {
        fresh->wanted = wanted;
        fresh->nat_refusals = nat_refusals;
        ike2_settle(c, fresh);
    } else {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
    }
    ike2_policy_free(policy);
}

bool ike2_initiate(struct ike2 *c, struct gh_now now, const char *policy, const char *child)
{
    struct ike2_policy *p = ike2_policy_named(&c->whose, policy);
    struct ike2_sa *sa;
    bool found = child == NULL;

    c->now = now;
    for (size_t i = 0; p != NULL && !found && i < p->child_count; i++)
        found = strcmp(p->children[i].name, child) == 0;
    if (p == NULL || !found || p->gateway.len == 0 || (p->local.len == 0 && c->ops.source == NULL))
        return false;
    sa = sa_of_policy(p);
    if (sa == NULL)
        sa = begin_sa(c, p);
    if (sa == NULL) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return false;
    }
    for (size_t i = 0; i < p->child_count; i++)
        if (child == NULL ? p->children[i].start || p->child_count == 1
                          : strcmp(p->children[i].name, child) == 0)
            want_child(c, sa, i);
    ike2_settle(c, sa);
    return true;
}

bool ike2_move(struct ike2 *c, struct gh_now now, uint64_t id, const struct ike2_endpoint *local)
{
    struct ike2_sa *sa = ike2_by_number(c, id);

    c->now = now;
    if (sa == NULL || !ike2_mobike_move(c, sa, local))
        return false;
    ike2_settle(c, sa);
    return true;
}

void ike2_paths_changed(struct ike2 *c, struct gh_now now)
{
    struct ike2_sa *next;

    c->now = now;
    c->path_changes++;
    for (struct ike2_sa *sa = c->sas; sa != NULL; sa = next) {
        next = sa->next;
        if (sa->state == IKE2_STATE_ESTABLISHED && sa->mobile != NULL)
            ike2_mobike_look(c, sa);
        else
            ike2_path_lost(c, sa);
        ike2_settle(c, sa);
    }
    for (size_t i = 0; i < c->whose.count; i++)
        ike2_begin_again(c, c->whose.policies[i]);
    ike2_bury(c);
}

void ike2_leave_zone(struct ike2 *c, struct gh_now now, uint16_t zone)
{
    struct ike2_sa *next;

    c->now = now;
    for (struct ike2_sa *sa = c->sas; sa != NULL; sa = next) {
        next = sa->next;
        if (sa->local.zone == zone)
            ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    }
    ike2_bury(c);
}

bool ike2_redirect(struct ike2 *c, struct gh_now now, uint64_t id, const struct gh_addr *to)
{
    struct ike2_sa *sa = ike2_by_number(c, id);

    c->now = now;
    if (sa == NULL || !ike2_redirect_sa(c, sa, to))
        return false;
    ike2_settle(c, sa);
    return true;
}

bool ike2_rekey_ike(struct ike2 *c, struct gh_now now, uint64_t id)
{
    struct ike2_sa *sa = ike2_by_number(c, id);

    c->now = now;
    if (sa == NULL || sa->state != IKE2_STATE_ESTABLISHED ||
        ike2_task_waits(sa, IKE2_TASK_IKE_REKEY))
        return false;
    if (ike2_task_add(c, sa, IKE2_TASK_IKE_REKEY) == NULL)
        return false;
    ike2_settle(c, sa);
    return true;
}

static bool child_task(struct ike2 *c, struct gh_now now, uint32_t id, enum ike2_task_kind kind)
{
    struct ike2_child *child = ike2_child_by_number(c, id);
    struct ike2_sa *sa = child != NULL ? child->sa : NULL;
    struct ike2_task *t;

    c->now = now;
    if (child == NULL || child->going || child->replaced || sa->state != IKE2_STATE_ESTABLISHED)
        return false;
    t = ike2_task_add(c, sa, kind);
    if (t == NULL)
        return false;
    t->child = id;
    t->policy = child->policy;
    t->why = IKE2_REMOVED_COMMAND;
    child->going = true;
    ike2_settle(c, sa);
    return true;
}

bool ike2_rekey_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return child_task(c, now, child, IKE2_TASK_CHILD_REKEY);
}

bool ike2_terminate_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return child_task(c, now, child, IKE2_TASK_CHILD_DELETE);
}

bool ike2_terminate_ike(struct ike2 *c, struct gh_now now, uint64_t id)
{
    struct ike2_sa *sa = ike2_by_number(c, id);
    struct ike2_task *t;

    c->now = now;
    if (sa == NULL || sa->state == IKE2_STATE_DELETING || ike2_task_waits(sa, IKE2_TASK_IKE_DELETE))
        return false;
    if (sa->state < IKE2_STATE_ESTABLISHED) {
        ike2_sa_die(c, sa, IKE2_REMOVED_COMMAND);
        ike2_bury(c);
        return true;
    }
    t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
    if (t == NULL)
        return false;
    t->why = IKE2_REMOVED_COMMAND;
    ike2_settle(c, sa);
    return true;
}

void ike2_child_used(struct ike2 *c, struct gh_now now, uint32_t id, uint64_t octets,
                     uint64_t packets, bool incoming)
{
    struct ike2_child *child = ike2_child_by_number(c, id);
    const struct ike2_lifetime *l;

    c->now = now;
    if (child == NULL)
        return;
    if (incoming)
        child->sa->last_in_ms = now.mono_ms;
    child->octets += octets;
    child->packets += packets;
    l = &child->policy->lifetime;
    if (!child->going && !child->replaced &&
        ((l->octets > 0 && child->octets >= l->octets - l->octets / 10) ||
         (l->packets > 0 && child->packets >= l->packets - l->packets / 10)))
        ike2_rekey_child(c, now, id);
}

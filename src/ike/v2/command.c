/* What the operator, the configuration and the data plane ask for. */
#include <stdlib.h>
#include <string.h>

#include "ike/ts_set.h"
#include "ike/v2/child.h"
#include "ike/v2/command.h"
#include "ike/v2/core_priv.h"
#include "ike/v2/mobike.h"
#include "ike/v2/paths.h"
#include "ike/v2/priv.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "ike/v2/vain.h"
#include "ike/v2/whose.h"

static struct ike2_sa *sa_of_policy(const struct ike2_policy *p)
{
    struct ike2_sa *found = NULL;

    for (struct ike2_sa *sa = p->sas; sa != NULL; sa = sa->next_peer) {
        if (sa->state == IKE2_STATE_ESTABLISHED)
            return sa;
        if (found == NULL && sa->initiator && sa->state < IKE2_STATE_ESTABLISHED)
            found = sa;
    }
    return found;
}

/* Whether what the task makes, if it makes one of these, has the packets. */
static bool makes(const struct ike2_task *t, const struct ike2_child_policy *p,
                  const struct ike2_packets *packets)
{
    if (t->policy != p || (t->kind != IKE2_TASK_CHILD_NEW && t->kind != IKE2_TASK_AUTH))
        return false;
    return t->packets == NULL || p->mode != IKE2_TCP_AO ||
           (packets != NULL && ike_ts_contains(&t->packets->local, &packets->local) &&
            ike_ts_contains(&t->packets->remote, &packets->remote));
}

static bool any_makes(const struct ike2_task *list, const struct ike2_child_policy *p,
                      const struct ike2_packets *packets)
{
    while (list != NULL && !makes(list, p, packets))
        list = list->next;
    return list != NULL;
}

static bool any_contains(const struct ike_ts *ts, size_t count, const struct ike_ts *inner)
{
    for (size_t i = 0; i < count; i++)
        if (ike_ts_contains(&ts[i], inner))
            return true;
    return false;
}

/* packets NULL: any will do. */
static bool has_child(const struct ike2_sa *sa, const struct ike2_child_policy *p,
                      const struct ike2_packets *packets)
{
    for (const struct ike2_child *child = sa->children; child != NULL; child = child->next)
        if (child->policy == p && !child->replaced &&
            (packets == NULL ||
             (any_contains(child->ts, child->local_count, &packets->local) &&
              any_contains(child->ts + child->local_count, child->remote_count, &packets->remote))))
            return true;
    return any_makes(sa->task, p, packets) || any_makes(sa->waiting, p, packets) ||
           any_makes(sa->acquired, p, packets);
}

static void want_child(struct ike2 *c, struct ike2_sa *sa, size_t index)
{
    const struct ike2_child_policy *p = &sa->policy->children[index];
    struct ike2_task *t;

    if (sa->state != IKE2_STATE_ESTABLISHED) {
        sa->wanted |= 1u << index;
        return;
    }
    if (has_child(sa, p, NULL))
        return;
    t = ike2_task_add(c, sa, IKE2_TASK_CHILD_NEW);
    if (t != NULL)
        t->policy = p;
}

struct ike2_sa *ike2_begin_at(struct ike2 *c, struct ike2_policy *p, const struct gh_addr *gateway)
{
    const struct ike2_endpoint local = {.addr = p->local, .port = IKE2_PORT, .zone = p->zone};
    const struct ike2_endpoint remote = {.addr = *gateway, .port = p->port};
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

static struct ike2_sa *begin_sa(struct ike2 *c, struct ike2_policy *p)
{
    const struct gh_addr gateway = ike2_redirect_gateway(c, p);

    return ike2_begin_at(c, p, &gateway);
}

void ike2_begin_anew(struct ike2 *c, struct ike2_sa *sa, const char *why)
{
    struct ike2_policy *policy = ike2_policy_ref(sa->policy);
    uint32_t wanted = sa->wanted;
    struct ike2_task *acquired = sa->acquired;
    uint8_t nat_refusals = sa->nat_refusals;
    struct ike2_sa *fresh;

    if (sa->task != NULL && sa->task->policy != NULL) /* what IKE_AUTH was to make */
        wanted |= 1u << (sa->task->policy - policy->children);
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "%s", why);
    sa->acquired = NULL;
    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    fresh = begin_sa(c, policy);
    if (fresh != NULL) {
        fresh->wanted = wanted;
        fresh->acquired = acquired;
        fresh->nat_refusals = nat_refusals;
        ike2_settle(c, fresh);
    } else {
        ike2_tasks_free(&acquired);
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
    }
    ike2_policy_free(policy);
}

/* The SA that is up or begins, for a policy that can begin; NULL: there is none and will be none.
 */
static struct ike2_sa *sa_to(struct ike2 *c, struct ike2_policy *p)
{
    struct ike2_sa *sa = sa_of_policy(p);

    if (p->gateway.len == 0 || p->stands_down || (p->local.len == 0 && c->ops.source == NULL))
        return NULL;
    if (sa == NULL)
        sa = begin_sa(c, p);
    if (sa == NULL)
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
    return sa;
}

static const struct ike2_child_policy *child_of(const struct ike2_policy *p, const char *name)
{
    for (size_t i = 0; p != NULL && i < p->child_count; i++)
        if (strcmp(p->children[i].name, name) == 0)
            return &p->children[i];
    return NULL;
}

/* One of them (NULL: any) is not down. */
static bool may_begin_any(const struct ike2_policy *p, const char *child)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (!p->children[i].stands_down &&
            (child == NULL || strcmp(p->children[i].name, child) == 0))
            return true;
    return false;
}

bool ike2_initiate(struct ike2 *c, struct gh_now now, const char *policy, const char *child)
{
    struct ike2_policy *p = ike2_policy_named(&c->whose, policy);
    struct ike2_sa *sa;

    c->now = now;
    if (p == NULL || (child != NULL && child_of(p, child) == NULL) ||
        (p->child_count > 0 && !may_begin_any(p, child)))
        return false;
    sa = sa_to(c, p);
    if (sa == NULL)
        return false;
    for (size_t i = 0; i < p->child_count; i++)
        if (!p->children[i].stands_down &&
            (child == NULL ? p->children[i].start || p->child_count == 1
                           : strcmp(p->children[i].name, child) == 0))
            want_child(c, sa, i);
    ike2_settle(c, sa);
    return true;
}

/* ---- Packets that met no SA ------------------------------------------------------------------ */

static struct ike2_task *acquisition(const struct ike2_child_policy *p,
                                     const struct ike2_packets *packets)
{
    struct ike2_task *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    *t = (struct ike2_task){
        .kind = IKE2_TASK_CHILD_NEW, .policy = p, .packets = malloc(sizeof(*packets))};
    if (t->packets == NULL) {
        free(t);
        return NULL;
    }
    *t->packets = *packets;
    return t;
}

static void append(struct ike2_sa *sa, struct ike2_task *t)
{
    t->next = NULL;
    if (sa->waiting_tail != NULL)
        sa->waiting_tail->next = t;
    else
        sa->waiting = t;
    sa->waiting_tail = t;
}

bool ike2_acquire(struct ike2 *c, struct gh_now now, const char *policy, const char *child,
                  const struct ike_ts *local, const struct ike_ts *remote)
{
    const struct ike2_packets packets = {.local = *local, .remote = *remote};
    struct ike2_policy *p = ike2_policy_named(&c->whose, policy);
    const struct ike2_child_policy *of = child_of(p, child);
    struct ike2_task *t;
    struct ike2_sa *sa;

    c->now = now;
    sa = of != NULL && !of->stands_down ? sa_to(c, p) : NULL;
    if (sa == NULL)
        return false;
    if (has_child(sa, of, &packets) || ike2_asked_in_vain(c, sa, of, &packets))
        return true;
    t = acquisition(of, &packets);
    if (t == NULL) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return false;
    }
    if (sa->state == IKE2_STATE_ESTABLISHED) {
        append(sa, t);
    } else {
        t->next = sa->acquired;
        sa->acquired = t;
    }
    ike2_settle(c, sa);
    return true;
}

void ike2_acquired_selectors(const struct ike2_sa *sa, const struct ike2_task *t,
                             struct ike_ts_list *local, struct ike_ts_list *remote)
{
    struct ike_ts_list *both[2] = {local, remote};

    *local = *ike2_child_local(sa, t->policy);
    *remote = *ike2_child_remote(sa, t->policy);
    for (int i = 0; t->packets != NULL && i < 2; i++) {
        struct ike_ts_list *list = both[i];

        if (t->policy->mode == IKE2_TCP_AO)
            list->count = 0;
        if (list->count == IKE_TS_MAX)
            continue; /* all of them matter more than which is first */
        memmove(list->ts + 1, list->ts, list->count * sizeof(list->ts[0]));
        list->ts[0] = i == 0 ? t->packets->local : t->packets->remote;
        list->count++;
    }
}

void ike2_acquired_first(struct ike2_sa *sa)
{
    struct ike2_task *t = sa->acquired;

    sa->acquired = t->next;
    sa->task->policy = t->policy;
    free(sa->task->packets);
    sa->task->packets = t->packets;
    t->packets = NULL;
    ike2_task_free(t);
}

void ike2_acquired_rest(struct ike2_sa *sa)
{
    while (sa->acquired != NULL) {
        struct ike2_task *t = sa->acquired;

        sa->acquired = t->next;
        append(sa, t);
    }
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

bool ike2_renew(struct ike2 *c, struct gh_now now, const char *policy)
{
    struct ike2_policy *p = ike2_policy_named(&c->whose, policy);
    struct ike2_sa *sa = p != NULL ? p->sas : NULL;

    c->now = now;
    while (sa != NULL && sa->state != IKE2_STATE_ESTABLISHED)
        sa = sa->next_peer;
    if (sa == NULL)
        return false;
    if (!ike2_reauthenticate(c, sa))
        for (struct ike2_child *child = sa->children; child != NULL; child = child->next)
            ike2_rekey_child(c, now, child->id);
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

static bool child_task(struct ike2 *c, struct gh_now now, uint32_t id, enum ike2_task_kind kind,
                       enum ike2_removal why)
{
    struct ike2_child *child = ike2_child_by_number(c, id);
    struct ike2_sa *sa = child != NULL ? child->sa : NULL;
    struct ike2_task *t;

    c->now = now;
    if (child == NULL || child->going || sa->state != IKE2_STATE_ESTABLISHED ||
        (child->replaced && why != IKE2_REMOVED_REPLACED))
        return false;
    t = ike2_task_add(c, sa, kind);
    if (t == NULL)
        return false;
    t->child = id;
    t->policy = child->policy;
    t->why = why;
    child->going = true;
    ike2_settle(c, sa);
    return true;
}

bool ike2_rekey_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return child_task(c, now, child, IKE2_TASK_CHILD_REKEY, IKE2_REMOVED_COMMAND);
}

bool ike2_terminate_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return child_task(c, now, child, IKE2_TASK_CHILD_DELETE, IKE2_REMOVED_COMMAND);
}

bool ike2_child_refused(struct ike2 *c, struct gh_now now, uint32_t id, const char *why)
{
    struct ike2_child *child = ike2_child_by_number(c, id);

    c->now = now;
    if (child != NULL)
        ike2_tell(c, child->sa, IKE2_EVENT_CHILD_FAILED, id, "%s: %s", child->policy->name, why);
    return child_task(c, now, id, IKE2_TASK_CHILD_DELETE, IKE2_REMOVED_REFUSED);
}

bool ike2_retire_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return child_task(c, now, child, IKE2_TASK_CHILD_DELETE, IKE2_REMOVED_REPLACED);
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
    if (packets > 0)
        child->idle_at = ike2_idle_at(c, child);
    child->octets += octets;
    child->packets += packets;
    l = &child->policy->lifetime;
    if (!child->going && !child->replaced &&
        ((l->octets > 0 && child->octets >= l->octets - l->octets / 10) ||
         (l->packets > 0 && child->packets >= l->packets - l->packets / 10)))
        ike2_rekey_child(c, now, id);
}

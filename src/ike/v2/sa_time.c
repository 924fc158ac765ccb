/*
 * What an IKE SA and its Child SAs do as time passes: rekeying, liveness, the end of what is old,
 * idle or silent.
 */

#include "ike/v2/child.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/failover.h"
#include "ike/v2/flight.h"
#include "ike/v2/followup.h"
#include "ike/v2/gate.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

static void least(uint64_t *due, uint64_t at)
{
    if (at != 0 && (*due == 0 || at < *due))
        *due = at;
}

uint64_t ike2_sa_due(const struct ike2_sa *sa)
{
    uint64_t due = 0;

    for (const struct ike2_task *t = sa->task; t != NULL; t = t->next)
        least(&due, t->retransmit_at);
    least(&due, sa->liveness_at);
    least(&due, sa->rekey_at);
    least(&due, sa->expire_at);
    least(&due, sa->task_at);
    for (const struct ike2_pending *p = sa->pending; p != NULL; p = p->next)
        least(&due, p->expire_at);
    least(&due, sa->puzzle_at);
    least(&due, sa->revert_at);
    for (const struct ike2_child *child = sa->children; child != NULL; child = child->next) {
        least(&due, child->going ? 0 : child->rekey_at);
        least(&due, child->expire_at);
        least(&due, child->going || child->replaced ? 0 : child->idle_at);
    }
    return due;
}

/* Silence: ask whether the peer lives; a NAT is reminded that we are there. */
static void check_silence(struct ike2 *c, struct ike2_sa *sa)
{
    uint64_t now = c->now.mono_ms, ask = 0, keep = 0;

    if (sa->state != IKE2_STATE_ESTABLISHED) {
        sa->liveness_at = 0;
        return;
    }
    if (sa->policy->liveness_ms > 0) {
        ask = sa->last_in_ms + sa->policy->liveness_ms;
        if (now >= ask) {
            if (sa->task == NULL && sa->waiting == NULL)
                ike2_task_add(c, sa, IKE2_TASK_LIVENESS);
            ask = now + sa->policy->liveness_ms;
        }
    }
    if ((sa->nat_local || (sa->policy->force_keepalive && sa->marker)) &&
        sa->policy->nat_keepalive_ms > 0) {
        keep = sa->last_out_ms + sa->policy->nat_keepalive_ms;
        if (now >= keep) {
            static const uint8_t keepalive[1] = {0xff};

            ike2_send(c, &sa->local, &sa->remote, false, gh_view_of(keepalive, 1));
            sa->last_out_ms = now;
            keep = now + sa->policy->nat_keepalive_ms;
        }
    }
    sa->liveness_at = 0;
    least(&sa->liveness_at, ask);
    least(&sa->liveness_at, keep);
}

/* A new IKE SA with the same children; this one goes when that is up. */
bool ike2_reauthenticate(struct ike2 *c, struct ike2_sa *sa)
{
    if (sa->policy->gateway.len == 0 || sa->policy->responder_only)
        return false; /* the other end's to begin */
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "reauthentication begins");
    ike2_set_state(c, sa, IKE2_STATE_REKEYED);
    sa->reauthenticated = true;
    for (const struct ike2_child *child = sa->children; child != NULL; child = child->next)
        if (!child->replaced && child->policy->mode == IKE2_TCP_AO)
            ike2_acquire(c, c->now, sa->policy->name, child->policy->name, &child->ts[0],
                         &child->ts[child->local_count]);
        else if (!child->replaced)
            ike2_initiate(c, c->now, sa->policy->name, child->policy->name);
    return true;
}

void ike2_end_reauthenticated(struct ike2 *c, struct ike2_sa *fresh)
{
    struct ike2_sa *next;

    for (struct ike2_sa *sa = fresh->policy->sas; sa != NULL; sa = next) {
        struct ike2_task *t;

        next = sa->next_peer;
        if (sa == fresh || !sa->reauthenticated)
            continue;
        t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
        if (t != NULL)
            t->why = IKE2_REMOVED_REPLACED;
        ike2_tasks_run(c, sa);
        ike2_schedule(c, sa);
    }
}

static void begin_rekeying(struct ike2 *c, struct ike2_sa *sa)
{
    sa->rekey_at = 0;
    if (sa->state != IKE2_STATE_ESTABLISHED || ike2_task_waits(sa, IKE2_TASK_IKE_REKEY))
        return;
    if (sa->policy->reauthenticate) { /* make before break */
        ike2_reauthenticate(c, sa);
        return;
    }
    ike2_task_add(c, sa, IKE2_TASK_IKE_REKEY);
}

/* Its lifetime is over, and the peer is told (RFC 7296 2.4, 2.8). */
static void end_in_order(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_task *t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);

    ike2_children_drop(c, sa, IKE2_REMOVED_EXPIRED);
    ike2_set_state(c, sa, IKE2_STATE_DELETING);
    sa->liveness_at = sa->rekey_at = 0;
    sa->expire_at = c->now.mono_ms + IKE2_DELETE_MS;
    if (t != NULL)
        t->why = IKE2_REMOVED_EXPIRED;
}

static void expired(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_policy *policy = ike2_policy_ref(sa->policy);
    enum ike2_state was = sa->state;

    if (was == IKE2_STATE_ESTABLISHED && sa->task == NULL) {
        end_in_order(c, sa);
        ike2_begin_again(c, policy);
        ike2_policy_free(policy);
        return;
    }
    if (was < IKE2_STATE_ESTABLISHED && !sa->setup->refused) /* else the reason is told */
        ike2_fail(c, sa, IKE2_COUNT_HALF_OPEN_EXPIRED,
                  sa->local.addr.len == 0 ? "no way to the peer: the system knows no address of "
                                            "ours from which it can be reached"
                                          : "not established in time");
    if (was < IKE2_STATE_ESTABLISHED && sa->initiator && ike2_failover(c, sa)) {
        ike2_policy_free(policy);
        return;
    }
    ike2_sa_die(c, sa, was == IKE2_STATE_REKEYED ? IKE2_REMOVED_REPLACED : IKE2_REMOVED_EXPIRED);
    if (was == IKE2_STATE_ESTABLISHED)
        ike2_begin_again(c, policy);
    ike2_policy_free(policy);
}

uint64_t ike2_idle_at(const struct ike2 *c, const struct ike2_child *child)
{
    uint32_t seconds = child->policy->idle_seconds;

    return seconds > 0 ? c->now.mono_ms + 1000 * (uint64_t)seconds : 0;
}

static void end_idle(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child)
{
    struct ike2_task *t = ike2_task_add(c, sa, IKE2_TASK_CHILD_DELETE);

    if (t == NULL)
        return;
    t->child = child->id;
    t->policy = child->policy;
    t->why = IKE2_REMOVED_IDLE;
    child->going = true;
    ike2_count(c, IKE2_COUNT_CHILD_IDLE);
}

static void check_children(struct ike2 *c, struct ike2_sa *sa)
{
    uint64_t now = c->now.mono_ms;
    struct ike2_child *next;

    for (struct ike2_child *child = sa->children; child != NULL; child = next) {
        next = child->next;
        if (child->expire_at != 0 && now >= child->expire_at) {
            /* RFC 7296 2.8: it is not used any more, whatever else is under way. */
            if (ike2_task_under_way(sa, IKE2_TASK_CHILD_DELETE, child->id) == NULL)
                ike2_child_disown(c, sa, child->suite.protocol, child->spi_in, child->spi_len);
            ike2_child_drop(c, sa, child, IKE2_REMOVED_EXPIRED);
        } else if (child->idle_at != 0 && now >= child->idle_at &&
                   child->policy->idle_seconds > 0 && !child->going && !child->replaced &&
                   sa->state == IKE2_STATE_ESTABLISHED) {
            end_idle(c, sa, child);
        } else if (child->rekey_at != 0 && now >= child->rekey_at && !child->going) {
            struct ike2_task *t = sa->state == IKE2_STATE_ESTABLISHED
                                      ? ike2_task_add(c, sa, IKE2_TASK_CHILD_REKEY)
                                      : NULL;

            child->rekey_at = 0;
            if (t != NULL) {
                t->child = child->id;
                t->policy = child->policy;
                child->going = true;
            }
        }
    }
}

/* One of ours may change the others, or end the SA. */
static struct ike2_task *overdue(const struct ike2 *c, const struct ike2_sa *sa)
{
    struct ike2_task *t = sa->task;

    while (t != NULL && (t->retransmit_at == 0 || c->now.mono_ms < t->retransmit_at))
        t = t->next;
    return t;
}

void ike2_sa_tick(struct ike2 *c, struct ike2_sa *sa)
{
    uint64_t now = c->now.mono_ms;

    if (sa->task_at != 0 && now >= sa->task_at)
        sa->task_at = 0;
    if (sa->expire_at != 0 && now >= sa->expire_at) {
        expired(c, sa);
        return;
    }
    for (struct ike2_task *t; (t = overdue(c, sa)) != NULL;)
        ike2_retransmit(c, sa, t);
    if (sa->state == IKE2_STATE_DEAD)
        return;
    if (sa->puzzle_at != 0 && now >= sa->puzzle_at)
        ike2_puzzle_work(c, sa);
    ike2_pending_expire(c, sa);
    if (sa->rekey_at != 0 && now >= sa->rekey_at)
        begin_rekeying(c, sa);
    if (sa->revert_at != 0 && now >= sa->revert_at)
        ike2_failover_tick(c, sa);
    check_children(c, sa);
    if (sa->liveness_at != 0 && now >= sa->liveness_at)
        check_silence(c, sa);
    ike2_tasks_run(c, sa);
}

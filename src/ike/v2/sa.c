/*
 * An IKE SA's life: one function sets its state; deadlines stand in it and are looked at together;
 * the exchanges that we begin wait in a queue until the peer's window has room.
 *
 *     init → auth → established → rekeyed → deleting → dead
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/ke.h"
#include "ike/v2/auth.h"
#include "ike/v2/child.h"
#include "ike/v2/create.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/failover.h"
#include "ike/v2/flight.h"
#include "ike/v2/followup.h"
#include "ike/v2/gate.h"
#include "ike/v2/inform.h"
#include "ike/v2/init.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/keys.h"
#include "ike/v2/mobike.h"
#include "ike/v2/paths.h"
#include "ike/v2/ppk.h"
#include "ike/v2/priv.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "ike/v2/window.h"

enum { REKEY_LEAST_MS = 10 * 1000 };

/* ---- Made and freed ------------------------------------------------------------------------- */

struct ike2_sa *ike2_sa_new(struct ike2 *c, struct ike2_policy *policy, bool initiator,
                            const struct ike2_endpoint *local, const struct ike2_endpoint *remote)
{
    struct ike2_sa *sa;

    if (c->sa_count >= c->settings.sas_max) {
        ike2_fail(c, NULL, IKE2_COUNT_SA_LIMIT,
                  "%s: no IKE SA more: there are %zu, as many as may be", policy->name,
                  c->sa_count);
        return NULL;
    }
    sa = calloc(1, sizeof(*sa));
    if (sa == NULL)
        return NULL;
    sa->setup = calloc(1, sizeof(*sa->setup));
    if (sa->setup == NULL) {
        free(sa);
        return NULL;
    }
    sa->id = c->next_id++;
    sa->policy = ike2_policy_ref(policy);
    sa->initiator = initiator;
    sa->local = *local;
    sa->local_seen = ike2_path_has(c, local->zone, &local->addr);
    sa->remote = *remote;
    sa->state = IKE2_STATE_INIT;
    sa->last_in_ms = sa->setup->begun_ms = c->now.mono_ms;
    ike2_window_begin(sa);
    ike2_new_spi(c, initiator ? sa->spi_i : sa->spi_r);
    return sa;
}

void ike2_setup_free(struct ike2_setup *s)
{
    if (s == NULL)
        return;
    gh_secret_clear(&s->request);
    gh_secret_clear(&s->response);
    gh_secret_clear(&s->certreqs);
    gh_secret_clear(&s->inner);
    ike2_ppk_clear(&s->ppk);
    ike2_resumed_free(s->resumed);
    gh_ke_free(s->ke);
    gh_wipe(s, sizeof(*s));
    free(s);
}

void ike2_task_free(struct ike2_task *t)
{
    if (t == NULL)
        return;
    if (t->their_sa != NULL)
        t->their_sa->rival_of = NULL;
    free(t->request);
    gh_ke_free(t->ke);
    ike2_followup_free(t->followup);
    free(t->packets);
    gh_wipe(t, sizeof(*t));
    free(t);
}

void ike2_tasks_free(struct ike2_task **list)
{
    while (*list != NULL) {
        struct ike2_task *t = *list;

        *list = t->next;
        ike2_task_free(t);
    }
}

static void free_tasks(struct ike2_sa *sa)
{
    ike2_tasks_free(&sa->task);
    ike2_tasks_free(&sa->waiting);
    ike2_tasks_free(&sa->acquired);
    sa->waiting_tail = NULL;
}

/* Whoever rekeys the same SA at the same time must not look at one that is gone. */
static void forget_rival(struct ike2_sa *gone)
{
    struct ike2_sa *old = gone->rival_of;

    if (old != NULL && old->task != NULL && old->task->their_sa == gone)
        old->task->their_sa = NULL;
    gone->rival_of = NULL;
}

void ike2_sa_free(struct ike2_sa *sa)
{
    forget_rival(sa);
    free_tasks(sa);
    ike2_pending_clear(sa);
    ike2_setup_free(sa->setup);
    ike2_ciphers_drop(sa);
    gh_secret_clear(&sa->sk);
    gh_secret_clear(&sa->token);
    free(sa->mobile);
    ike2_window_free(sa);
    while (sa->children != NULL) {
        struct ike2_child *child = sa->children;

        sa->children = child->next;
        free(child->ts);
        free(child);
    }
    free(sa->local_id);
    free(sa->remote_id);
    ike2_policy_free(sa->policy);
    free(sa);
}

static void half_open_add(struct ike2 *c, struct ike2_sa *sa)
{
    sa->previous_half = c->half_last;
    sa->next_half = NULL;
    if (c->half_last != NULL)
        c->half_last->next_half = sa;
    else
        c->half_first = sa;
    c->half_last = sa;
    c->half_open++;
}

static void half_open_remove(struct ike2 *c, struct ike2_sa *sa)
{
    if (sa->previous_half != NULL)
        sa->previous_half->next_half = sa->next_half;
    else
        c->half_first = sa->next_half;
    if (sa->next_half != NULL)
        sa->next_half->previous_half = sa->previous_half;
    else
        c->half_last = sa->previous_half;
    c->half_open--;
}

void ike2_set_state(struct ike2 *c, struct ike2_sa *sa, enum ike2_state state)
{
    bool half_open = !sa->initiator && state < IKE2_STATE_ESTABLISHED;

    if (half_open && !sa->half_open)
        half_open_add(c, sa);
    if (!half_open && sa->half_open)
        half_open_remove(c, sa);
    sa->half_open = half_open;
    sa->state = state;
}

bool ike2_half_open_room(struct ike2 *c)
{
    struct ike2_sa *sa = c->half_first;

    if (c->half_open < c->settings.half_open_max)
        return true;
    ike2_count(c, IKE2_COUNT_HALF_OPEN_LIMIT);
    while (sa != NULL && sa->job != IKE2_JOB_NONE)
        sa = sa->next_half;
    if (sa == NULL)
        return false;
    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    return true;
}

/* With their IKE SA. A key of TCP-AO lives on, but when the operator has ended it here
 * (docs/specs/ikev2-tcp-ao.md 11). */
static void drop_children(struct ike2 *c, struct ike2_sa *sa, enum ike2_removal why)
{
    while (sa->children != NULL) {
        bool lives_on = sa->children->policy->mode == IKE2_TCP_AO && why != IKE2_REMOVED_COMMAND &&
                        why != IKE2_REMOVED_REPLACED;

        ike2_child_drop(c, sa, sa->children, lives_on ? IKE2_REMOVED_LOST : why);
    }
}

void ike2_sa_die(struct ike2 *c, struct ike2_sa *sa, enum ike2_removal why)
{
    if (sa->state == IKE2_STATE_DEAD)
        return;
    drop_children(c, sa, why);
    if (sa->state >= IKE2_STATE_ESTABLISHED && sa->state != IKE2_STATE_REKEYED &&
        why != IKE2_REMOVED_REPLACED)
        ike2_tell(c, sa, IKE2_EVENT_SA_DOWN, 0, "%s",
                  why == IKE2_REMOVED_DELETED   ? "deleted by the peer"
                  : why == IKE2_REMOVED_COMMAND ? "ended by the operator"
                  : why == IKE2_REMOVED_EXPIRED ? "its lifetime is over"
                                                : "lost");
    if (sa->state >= IKE2_STATE_ESTABLISHED)
        ike2_resume_ended(c, sa, why);
    ike2_set_state(c, sa, IKE2_STATE_DEAD);
    sa->liveness_at = sa->rekey_at = sa->expire_at = sa->task_at = 0;
    sa->puzzle_at = sa->revert_at = 0;
    free_tasks(sa);
    ike2_pending_clear(sa);
    forget_rival(sa);
    ike2_sa_unlink(c, sa);
    sa->next_spi = c->dead;
    c->dead = sa;
}

/* ---- Established ---------------------------------------------------------------------------- */

/* Between 5 and 15 % of the lifetime are left for rekeying, and time for some retransmissions. */
uint64_t ike2_soft(struct ike2 *c, uint64_t from, uint32_t seconds)
{
    uint64_t whole = 1000 * (uint64_t)seconds, left, least = whole / 3;
    uint32_t r;

    c->ops.random(c->ops.ctx, &r, sizeof(r));
    left = (uint64_t)seconds * (50 + r % 101);
    if (least > REKEY_LEAST_MS)
        least = REKEY_LEAST_MS;
    if (left < least)
        left = least + (uint64_t)r % (least / 4 + 1);
    return from + whole - left;
}

void ike2_sa_established(struct ike2 *c, struct ike2_sa *sa)
{
    uint64_t now = c->now.mono_ms;
    uint32_t life = sa->policy->lifetime.seconds;

    ike2_set_state(c, sa, IKE2_STATE_ESTABLISHED);
    sa->established_ms = now;
    sa->rekey_at = life > 0 ? ike2_soft(c, now, life) : 0;
    sa->expire_at = life > 0 ? now + 1000 * (uint64_t)life : 0;
    sa->liveness_at = now + 1; /* also where nothing is ever heard, as after a rekeying */
    ike2_window_open(sa);
    ike2_setup_free(sa->setup);
    sa->setup = NULL;
    ike2_failover_up(c, sa);
    if (sa->mobile != NULL)
        ike2_mobike_look(c, sa); /* the way may have changed meanwhile */
}

void ike2_begin_again(struct ike2 *c, struct ike2_policy *policy)
{
    for (size_t i = 0; i < policy->child_count && policy->gateway.len != 0; i++)
        if (policy->children[i].start && !policy->responder_only)
            ike2_initiate(c, c->now, policy->name, policy->children[i].name);
}

void ike2_sa_lost(struct ike2 *c, struct ike2_sa *sa, uint32_t pause_ms)
{
    struct ike2_policy *policy = ike2_policy_ref(sa->policy);

    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    c->pause_ms = pause_ms;
    ike2_begin_again(c, policy);
    c->pause_ms = 0;
    ike2_policy_free(policy);
}

/* ---- Tasks ---------------------------------------------------------------------------------- */

static struct ike2_task *task_new(enum ike2_task_kind kind)
{
    struct ike2_task *t = calloc(1, sizeof(*t));

    if (t != NULL)
        t->kind = kind;
    return t;
}

struct ike2_task *ike2_task_add(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind)
{
    struct ike2_task *t = task_new(kind);

    if (t == NULL) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return NULL;
    }
    if (sa->waiting_tail != NULL)
        sa->waiting_tail->next = t;
    else
        sa->waiting = t;
    sa->waiting_tail = t;
    return t;
}

struct ike2_task *ike2_task_first(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind)
{
    struct ike2_task *t = task_new(kind);

    if (t == NULL) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return NULL;
    }
    t->next = sa->waiting;
    sa->waiting = t;
    if (sa->waiting_tail == NULL)
        sa->waiting_tail = t;
    return t;
}

void ike2_tasks_forget(struct ike2_sa *sa, uint32_t child)
{
    struct ike2_task **at = &sa->waiting;

    sa->waiting_tail = NULL;
    while (*at != NULL) {
        struct ike2_task *t = *at;

        if (t->child != child) {
            sa->waiting_tail = t;
            at = &t->next;
            continue;
        }
        *at = t->next;
        ike2_task_free(t);
    }
}

static void take_out(struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_task **at = &sa->task;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

void ike2_task_done(struct ike2_sa *sa, struct ike2_task *t)
{
    take_out(sa, t);
    ike2_task_free(t);
}

/* Waits for no failed one to be tried again. */
static bool is_urgent(const struct ike2_task *t)
{
    return t->kind == IKE2_TASK_IKE_DELETE || t->kind == IKE2_TASK_MOVE ||
           t->kind == IKE2_TASK_ROUTABILITY || t->kind == IKE2_TASK_ADDRESSES;
}

void ike2_task_again(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_task **at = &sa->waiting;

    take_out(sa, t);
    free(t->request);
    gh_ke_free(t->ke);
    ike2_followup_free(t->followup);
    *t = (struct ike2_task){.kind = t->kind,
                            .child = t->child,
                            .policy = t->policy,
                            .packets = t->packets,
                            .why = t->why,
                            .refused_at = t->refused_at};
    while (*at != NULL && is_urgent(*at))
        at = &(*at)->next;
    t->next = *at;
    *at = t;
    if (t->next == NULL)
        sa->waiting_tail = t;
    sa->task_at = c->now.mono_ms + IKE2_RETRY_MS;
}

bool ike2_task_is_alone(const struct ike2_task *t)
{
    switch (t->kind) {
    case IKE2_TASK_CHILD_NEW:
    case IKE2_TASK_CHILD_REKEY:
    case IKE2_TASK_CHILD_DELETE:
    case IKE2_TASK_LIVENESS:
    case IKE2_TASK_WINDOW:
    case IKE2_TASK_BEYOND:
    case IKE2_TASK_TOKEN:
    case IKE2_TASK_TICKET:
    case IKE2_TASK_REDIRECT:
    case IKE2_TASK_TCP_AO:
    case IKE2_TASK_INVALID_SPI:
        return false;
    default:
        return true;
    }
}

static bool may_begin(const struct ike2_sa *sa, const struct ike2_task *t)
{
    if ((sa->task_at != 0 || ike2_pending_holds(sa)) && !is_urgent(t))
        return false;
    return sa->task == NULL || (!ike2_task_is_alone(sa->task) && !ike2_task_is_alone(t) &&
                                ike2_window_has(sa, sa->send_id));
}

static void begin(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    switch (t->kind) {
    case IKE2_TASK_INIT:
        ike2_init_start(c, sa);
        break;
    case IKE2_TASK_RESUME:
        ike2_resume_start(c, sa);
        break;
    case IKE2_TASK_INTERMEDIATE:
        ike2_intermediate_start(c, sa);
        break;
    case IKE2_TASK_AUTH:
        ike2_auth_start(c, sa);
        break;
    case IKE2_TASK_CHILD_NEW:
    case IKE2_TASK_CHILD_REKEY:
    case IKE2_TASK_IKE_REKEY:
        ike2_create_start(c, sa, t);
        break;
    default:
        ike2_inform_start(c, sa, t);
        break;
    }
}

void ike2_tasks_run(struct ike2 *c, struct ike2_sa *sa)
{
    if (sa->local.addr.len == 0 && !ike2_path_begin(c, sa))
        return; /* ike2_paths_changed() */
    ike2_requests_go(c, sa);
    while (sa->state != IKE2_STATE_DEAD && sa->waiting != NULL && may_begin(sa, sa->waiting)) {
        struct ike2_task *t = sa->waiting, **at = &sa->task;

        sa->waiting = t->next;
        if (sa->waiting == NULL)
            sa->waiting_tail = NULL;
        t->next = NULL;
        while (*at != NULL)
            at = &(*at)->next;
        *at = t;
        begin(c, sa, t);
    }
}

/* ---- Time ----------------------------------------------------------------------------------- */

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

static const struct ike2_task *find(const struct ike2_task *list, enum ike2_task_kind kind)
{
    while (list != NULL && list->kind != kind)
        list = list->next;
    return list;
}

bool ike2_task_waits(const struct ike2_sa *sa, enum ike2_task_kind kind)
{
    return find(sa->task, kind) != NULL || find(sa->waiting, kind) != NULL;
}

struct ike2_task *ike2_task_under_way(const struct ike2_sa *sa, enum ike2_task_kind kind,
                                      uint32_t child)
{
    struct ike2_task *t = sa->task;

    while (t != NULL && (t->kind != kind || t->child != child))
        t = t->next;
    return t;
}

bool ike2_task_deletes(const struct ike2_sa *sa, uint32_t child)
{
    const struct ike2_task *t = sa->waiting;

    if (ike2_task_under_way(sa, IKE2_TASK_CHILD_DELETE, child) != NULL)
        return true;
    while (t != NULL && (t->kind != IKE2_TASK_CHILD_DELETE || t->child != child))
        t = t->next;
    return t != NULL;
}

bool ike2_task_makes_children(const struct ike2_sa *sa, bool deletes)
{
    return find(sa->task, IKE2_TASK_CHILD_NEW) != NULL ||
           find(sa->task, IKE2_TASK_CHILD_REKEY) != NULL ||
           (deletes && find(sa->task, IKE2_TASK_CHILD_DELETE) != NULL);
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

    drop_children(c, sa, IKE2_REMOVED_EXPIRED);
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

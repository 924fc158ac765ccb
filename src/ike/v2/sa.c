/*
 * An IKE SA's life: one function sets its state. What it does as time passes is in sa_time.c, the
 * exchanges that we begin are in tasks.c.
 *
 *     init → auth → established → rekeyed → deleting → dead
 */
#include <stdlib.h>

#include "crypto/ke.h"
#include "ike/v2/child.h"
#include "ike/v2/failover.h"
#include "ike/v2/followup.h"
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
    ike2_proven_clear(&sa->proven);
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

void ike2_children_drop(struct ike2 *c, struct ike2_sa *sa, enum ike2_removal why)
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
    ike2_children_drop(c, sa, why);
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

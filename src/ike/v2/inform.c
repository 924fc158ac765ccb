/* INFORMATIONAL (RFC 7296 1.4): deletion of SAs, and the question whether somebody is there. */
#include <string.h>

#include "ike/delete.h"
#include "ike/v2/child.h"
#include "ike/v2/extend.h"
#include "ike/v2/flight.h"
#include "ike/v2/inform.h"
#include "ike/v2/priv.h"
#include "ike/v2/redirect.h"
#include "ike/v2/sa.h"
#include "ike/v2/succeed.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

enum { DELETED_MAX = 64 };

/* ---- Ours ----------------------------------------------------------------------------------- */

static void put_delete(struct ike_out *o, uint8_t protocol, const uint8_t *spis, uint8_t spi_len,
                       uint16_t count)
{
    ike_delete_emit(o, &(struct ike_delete){.protocol = protocol,
                                            .spi_len = spi_len,
                                            .count = count,
                                            .spis = gh_view_of(spis, (size_t)spi_len * count)});
}

void ike2_inform_start(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_child *child = ike2_child_by_id(sa, t->child);
    struct ike_out o = ike2_inner(c);

    if (t->kind == IKE2_TASK_CHILD_DELETE) {
        if (child != NULL) {
            put_delete(&o, child->suite.protocol, child->spi_in, child->spi_len, 1);
        } else if (t->spi_len > 0) {
            put_delete(&o, t->protocol, t->spi, t->spi_len, 1);
        } else { /* the peer was faster */
            ike2_task_done(sa, t);
            return;
        }
    } else if (t->kind == IKE2_TASK_IKE_DELETE) {
        if (sa->state == IKE2_STATE_ESTABLISHED)
            ike2_set_state(c, sa, IKE2_STATE_DELETING);
        put_delete(&o, IKE_PROTO_IKE, NULL, 0, 0);
    } else {
        ike2_extend_inform(c, sa, t, &o);
        sa->traffic.liveness_sent += t->kind == IKE2_TASK_LIVENESS;
    }
    if (!ike2_request(c, sa, t, IKE_X_INFORMATIONAL, &o)) {
        ike2_fail(c, sa, IKE2_COUNT_NO_MEMORY, "INFORMATIONAL could not be made");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    }
}

void ike2_inform_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                          const struct ike_payloads *in)
{
    enum ike2_task_kind kind = t->kind;
    enum ike2_removal why = t->why;
    struct ike2_child *child = ike2_child_by_id(sa, t->child);

    sa->traffic.liveness_answered += kind == IKE2_TASK_LIVENESS;
    ike2_task_done(sa, t);
    if (kind == IKE2_TASK_CHILD_DELETE && child != NULL)
        ike2_child_drop(c, sa, child, why);
    else if (kind == IKE2_TASK_IKE_DELETE && why == IKE2_REMOVED_LOST)
        ike2_sa_lost(c, sa, 0);
    else if (kind == IKE2_TASK_IKE_DELETE)
        ike2_sa_die(c, sa, why);
    else
        ike2_extend_inform_answered(c, sa, kind, in);
}

/* ---- The peer's ----------------------------------------------------------------------------- */

static void delete_ike(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_policy *policy = ike2_policy_ref(sa->policy);
    bool was_up = sa->state == IKE2_STATE_ESTABLISHED;
    enum ike2_removal why = was_up                             ? IKE2_REMOVED_DELETED
                            : sa->state == IKE2_STATE_DELETING ? IKE2_REMOVED_COMMAND
                                                               : IKE2_REMOVED_REPLACED;
    struct ike2_sa *theirs = sa->task != NULL ? sa->task->their_sa : NULL;
    struct ike_out o = ike2_inner(c);

    ike2_respond(c, sa, IKE_X_INFORMATIONAL, &o);
    if (theirs != NULL) { /* our rekeying was late: the peer's took its place */
        ike2_inherit(c, sa, theirs);
        was_up = false;
        why = IKE2_REMOVED_REPLACED;
    }
    ike2_sa_die(c, sa, why);
    if (was_up)
        ike2_begin_again(c, policy);
    ike2_policy_free(policy);
}

/* Both ends rekey: another one stays, whichever goes first. */
static bool is_contested(const struct ike2_sa *sa, const struct ike2_child *child)
{
    const struct ike2_task *t = sa->task;

    while (t != NULL && (t->kind != IKE2_TASK_CHILD_REKEY || !t->collided ||
                         (t->child != child->id && t->their_child != child->id)))
        t = t->next;
    return t != NULL;
}

/* Who deletes what it made has lost, or cannot use it: either way ours is the one that stays. */
static void settle_contest(struct ike2_sa *sa, uint32_t gone)
{
    for (struct ike2_task *t = sa->task; t != NULL; t = t->next)
        if (t->kind == IKE2_TASK_CHILD_REKEY && t->collided && t->their_child == gone)
            t->collided = false;
}

/* What the peer made to replace another goes instead of that: it could not use it. */
static void restore_replaced(struct ike2 *c, struct ike2_sa *sa, const struct ike2_child *gone)
{
    struct ike2_child *old = ike2_child_by_id(sa, gone->replaces);

    if (gone->replaced || old == NULL || !old->replaced || ike2_task_deletes(sa, old->id))
        return;
    old->replaced = false;
    if (!old->going && old->expire_at > c->now.mono_ms + 2 * IKE2_RETRY_MS)
        old->rekey_at = c->now.mono_ms + 2 * IKE2_RETRY_MS;
}

/* It may be what a request of ours made, whose answer is not here yet. */
static void note_deleted(struct ike2_sa *sa, struct gh_view spi)
{
    for (struct ike2_task *t = sa->task; t != NULL; t = t->next) {
        if ((t->kind != IKE2_TASK_CHILD_NEW && t->kind != IKE2_TASK_CHILD_REKEY) ||
            spi.len > sizeof(t->deleted[0]))
            continue;
        memmove(t->deleted[1], t->deleted[0], sizeof(t->deleted) - sizeof(t->deleted[0]));
        memcpy(t->deleted[0], spi.p, spi.len);
        t->deleted_count += t->deleted_count < IKE2_DELETED_KEPT;
    }
}

static void delete_children(struct ike2 *c, struct ike2_sa *sa, const struct ike_delete *d,
                            struct ike_out *o)
{
    uint8_t ours[4 * DELETED_MAX];
    uint16_t count = 0;

    for (uint16_t i = 0; i < d->count && count < DELETED_MAX; i++) {
        struct gh_view spi = gh_view_of(d->spis.p + (size_t)i * d->spi_len, d->spi_len);
        struct ike2_child *child = ike2_child_by_out(sa, d->protocol, spi);
        uint32_t id;
        bool both;

        if (child == NULL) {
            note_deleted(sa, spi);
            continue;
        }
        id = child->id;
        /* Where both delete at once, neither answer has it (RFC 7296 1.4.1). */
        both = ike2_task_under_way(sa, IKE2_TASK_CHILD_DELETE, child->id) != NULL;
        if (!both)
            memcpy(ours + (size_t)d->spi_len * count++, child->spi_in, d->spi_len);
        restore_replaced(c, sa, child);
        ike2_child_drop(c, sa, child,
                        child->replaced || is_contested(sa, child) ? IKE2_REMOVED_REPLACED
                                                                   : IKE2_REMOVED_DELETED);
        settle_contest(sa, id);
    }
    if (count > 0)
        put_delete(o, d->protocol, ours, d->spi_len, count);
}

/* In the first request after IKE_AUTH: the initiator could not take our answer (RFC 7296 2.21.2).
 */
static bool is_refused(const struct ike2_sa *sa, const struct ike_payloads *in)
{
    return !sa->initiator && sa->rekeys == 0 && sa->asked_id == 2 &&
           (ike_has_notify(in, IKE_N_AUTHENTICATION_FAILED) ||
            ike_has_notify(in, IKE_N_INVALID_SYNTAX) ||
            ike_has_notify(in, IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD));
}

void ike2_inform_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    const struct ike_payload *payload;
    bool refused = is_refused(sa, in);
    struct ike_out o = ike2_inner(c);
    struct ike_delete d;

    sa->traffic.liveness_heard += in->count == 0;
    for (size_t i = 0; (payload = ike_find(in, IKE_P_DELETE, i)) != NULL; i++) {
        if (ike_delete_parse(payload->body, &d) != IKE_OK)
            continue;
        if (d.protocol == IKE_PROTO_IKE) {
            delete_ike(c, sa);
            return;
        }
        delete_children(c, sa, &d, &o);
    }
    ike2_extend_inform_heard(c, sa, in, &o);
    ike2_respond(c, sa, IKE_X_INFORMATIONAL, &o);
    if (refused) {
        ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED, "the peer does not believe us");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    ike2_redirect_heard(c, sa, in);
}

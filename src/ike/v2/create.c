/*
 * CREATE_CHILD_SA (RFC 7296 1.3): new Child SAs, rekeying of Child SAs and of the IKE SA, and what
 * happens when both ends begin the same at once (2.8.1, 2.8.2, 2.25).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ke.h"
#include "ike/ke_payload.h"
#include "ike/nonce.h"
#include "ike/proposal.h"
#include "ike/v2/addke.h"
#include "ike/v2/child.h"
#include "ike/v2/command.h"
#include "ike/v2/create.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/extend.h"
#include "ike/v2/flight.h"
#include "ike/v2/followup.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/succeed.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tcp_ao.h"
#include "ike/v2/tell.h"
#include "ike/v2/vain.h"

/* ---- Nonces decide -------------------------------------------------------------------------- */

static int compare_views(struct gh_view a, struct gh_view b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int c = memcmp(a.p, b.p, len);

    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static struct gh_view lower_of(struct gh_view a, struct gh_view b)
{
    return compare_views(a, b) < 0 ? a : b;
}

void ike2_note_collision(struct ike2 *c, struct ike2_task *t, struct gh_view ni, struct gh_view nr)
{
    struct gh_view lower = lower_of(ni, nr);

    ike2_count(c, IKE2_COUNT_COLLISIONS);
    t->collided = true;
    memcpy(t->their_nonce, lower.p, lower.len);
    t->their_nonce_len = lower.len;
}

/* Of four nonces the lowest is in ours: what we made is redundant. */
static bool we_lose(const struct ike2_task *t, struct gh_view nr)
{
    return t->collided && compare_views(lower_of(gh_view_of(t->nonce, IKE2_NONCE), nr),
                                        gh_view_of(t->their_nonce, t->their_nonce_len)) < 0;
}

/* ---- Our requests --------------------------------------------------------------------------- */

static void put_rekey(struct ike_out *o, const struct ike2_child *old)
{
    ike_notify_emit(o, &(struct ike_notify){.protocol = old->suite.protocol,
                                            .type = IKE_N_REKEY_SA,
                                            .spi = gh_view_of(old->spi_in, old->spi_len)});
}

static bool prepare(struct ike2 *c, struct ike2_task *t, const struct ike_sa *proposals)
{
    if (t->group == 0 && !t->group_retried)
        t->group = ike_ke_guess(proposals);
    c->ops.random(c->ops.ctx, t->nonce, IKE2_NONCE);
    return t->group == 0 || t->ke != NULL || ike2_make_ke(c, t->group, &t->ke);
}

static bool request_child(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    const struct ike2_child_policy *p = t->policy;
    struct ike2_child *old = ike2_child_by_id(sa, t->child);
    struct ike_ts_list local, remote;
    struct ike2_fresh mine = {.nonce = gh_view_of(t->nonce, IKE2_NONCE)};
    struct ike2_child_view v;
    const struct ike_choice_rules rules = ike2_child_rules(false);
    struct ike_proposal suite;
    struct ike_sa offer;
    struct ike_out o;

    ike2_offer(&p->proposals, rules.additional_ke, &offer);
    if (offer.count == 0 || !prepare(c, t, &offer) ||
        !ike2_child_spi(c, sa, p, t->child, t->spi, &t->spi_len))
        return false;
    ike2_acquired_selectors(sa, t, &local, &remote);
    o = ike2_inner(c);
    if (old != NULL) {
        put_rekey(&o, old);
        ike2_child_view_of(sa, old, &v, &suite, &local, &remote); /* as in use */
    }
    if (t->ke != NULL) {
        mine.group = t->group;
        mine.value = gh_ke_public(t->ke);
    }
    ike2_child_tell_wish(c, sa, p);
    ike2_child_put(&o, p, &local, &remote, t->spi, t->spi_len, &mine);
    return ike2_request(c, sa, t, IKE_X_CREATE_CHILD_SA, &o);
}

static bool request_ike(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike_sa offer;
    struct ike_out o;

    ike2_offer(&sa->policy->proposals, sa->policy->intermediate, &offer);
    if (t->group == 0 && ike_ke_retry(&offer, IKE_KE_NONE, sa->suite.ke))
        t->group = sa->suite.ke; /* if it is still one of ours */
    if (offer.count == 0 || !prepare(c, t, &offer))
        return false;
    ike2_new_spi(c, t->spi);
    t->spi_len = IKE_SPI_LEN;
    for (size_t i = 0; i < offer.count; i++) {
        offer.proposal[i].spi_len = IKE_SPI_LEN;
        memcpy(offer.proposal[i].spi, t->spi, IKE_SPI_LEN);
    }
    o = ike2_inner(c);
    ike_sa_emit(&o, &offer);
    ike_nonce_emit(&o, gh_view_of(t->nonce, IKE2_NONCE));
    ike_ke_emit(&o, &(struct ike_ke){.method = t->group, .data = gh_ke_public(t->ke)});
    return ike2_request(c, sa, t, IKE_X_CREATE_CHILD_SA, &o);
}

static void give_up(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_child *child = ike2_child_by_id(sa, t->child);

    if (child != NULL) {
        if (t->collided && ike2_child_by_id(sa, t->their_child) != NULL)
            ike2_supersede(c, child); /* the peer's stays */
        child->going = false;
        if (!child->replaced && child->expire_at > c->now.mono_ms + 2 * IKE2_RETRY_MS)
            child->rekey_at = c->now.mono_ms + IKE2_RETRY_MS;
    }
    if (t->kind == IKE2_TASK_IKE_REKEY && sa->expire_at > c->now.mono_ms + 2 * IKE2_RETRY_MS)
        sa->rekey_at = c->now.mono_ms + IKE2_RETRY_MS;
    ike2_task_done(sa, t);
}

void ike2_create_abandon(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_sa *theirs = t->their_sa;

    give_up(c, sa, t);
    if (theirs != NULL)
        ike2_inherit(c, sa, theirs);
}

void ike2_create_start(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_child *old = ike2_child_by_id(sa, t->child);
    bool good;

    if (t->kind == IKE2_TASK_CHILD_REKEY && (old == NULL || old->replaced)) {
        give_up(c, sa, t); /* the peer was faster, or time was */
        return;
    }
    if (old != NULL && ike2_pending_replaces(sa, old->id)) {
        give_up(c, sa, t); /* the peer is at it */
        return;
    }
    good = t->kind == IKE2_TASK_IKE_REKEY ? request_ike(c, sa, t) : request_child(c, sa, t);
    if (!good) {
        ike2_fail(c, sa, IKE2_COUNT_NO_MEMORY, "CREATE_CHILD_SA could not be made");
        give_up(c, sa, t);
    }
}

/* ---- Our requests' answers: Child SAs ------------------------------------------------------- */

static bool shared_secret(struct ike2_task *t, const struct ike_payloads *in, uint16_t chosen,
                          struct gh_secret *shared, char why[160])
{
    const struct ike_payload *payload = ike_find(in, IKE_P_KE, 0);
    struct ike_ke ke;

    snprintf(why, 160, "the peer's key exchange is not what was asked for");
    if (chosen == IKE_KE_NONE) /* ours was in vain (RFC 7296 3.3.6) */
        return payload == NULL;
    return t->ke != NULL && chosen == t->group && payload != NULL &&
           ike_ke_parse(payload->body, &ke) == IKE_OK && ke.method == t->group &&
           gh_ke_shared(t->ke, ke.data, shared);
}

static void delete_child(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child)
{
    struct ike2_task *t = ike2_task_first(c, sa, IKE2_TASK_CHILD_DELETE);

    child->replaced = true;
    child->going = true;
    child->rekey_at = 0;
    if (t != NULL) {
        t->child = child->id;
        t->why = IKE2_REMOVED_REPLACED;
    }
}

/* The peer's is there, ours is not needed: it goes, the old one is the peer's to delete. */
static void child_made(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                       struct ike2_child *fresh, struct gh_view nr)
{
    struct ike2_child *old = ike2_child_by_id(sa, t->child);
    struct ike2_child *theirs = t->collided ? ike2_child_by_id(sa, t->their_child) : NULL;

    if (t->kind == IKE2_TASK_CHILD_NEW && ike2_made_in_vain(c, sa, t, fresh)) {
        ike2_tell(c, sa, IKE2_EVENT_STORY, fresh->id,
                  "%s: the peer does not grant what it was asked for, and another has the rest",
                  fresh->policy->name);
        delete_child(c, sa, fresh);
    }
    if (t->kind != IKE2_TASK_CHILD_REKEY)
        return;
    if (we_lose(t, nr)) {
        ike2_tell(c, sa, IKE2_EVENT_STORY, fresh->id, "both ends rekeyed: the peer's stays");
        delete_child(c, sa, fresh);
        if (old != NULL) {
            ike2_supersede(c, old);
            old->going = false;
        }
        return;
    }
    if (theirs != NULL)
        ike2_supersede(c, theirs);
    if (old == NULL)
        return;
    if (old->policy->mode == IKE2_TCP_AO) { /* ike2_retire_child(), when nobody uses it */
        ike2_supersede(c, old);
        old->going = false;
    } else {
        delete_child(c, sa, old);
    }
}

/* Nothing is made yet that would have to be deleted (RFC 9370 2.2.4). */
static void yield(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    ike2_tell(c, sa, IKE2_EVENT_STORY, t->child, "both ends rekey: the peer goes on");
    ike2_create_abandon(c, sa, t);
}

/* The peer's deletion of what it made came before its answer, which had got lost. */
static bool was_deleted(const struct ike2_task *t, struct gh_view spi)
{
    for (size_t i = 0; i < t->deleted_count; i++)
        if (gh_view_equal(spi, gh_view_of(t->deleted[i], spi.len)))
            return true;
    return false;
}

static void child_answer(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                         const struct ike_payloads *in, uint8_t first, struct gh_view octets)
{
    struct gh_secret shared = {.data = NULL};
    struct ike2_child *fresh = NULL;
    struct ike2_suite suite;
    struct ike2_wish w;
    struct gh_view nr;
    char why[160] = "malformed";
    bool deleted = false;
    bool good = ike_nonce_parse(ike_find(in, IKE_P_NONCE, 0)->body, &nr) == IKE_OK &&
                ike2_child_confirm(c, sa, in, false, t->policy, &w, why) == 0 &&
                ike2_suite_of(&w.chosen, &suite) &&
                shared_secret(t, in, ike_proposal_id(&w.chosen, IKE_T_KE), &shared, why);

    if (good && ike2_followup_wanted(t, &suite)) {
        gh_secret_clear(&shared);
        if (we_lose(t, nr)) {
            yield(c, sa, t);
            return;
        }
        if (ike2_followup_begin(c, sa, t, &suite, in, first, octets))
            return;
        snprintf(why, sizeof(why), "its additional key exchanges cannot begin");
    } else if (good) {
        bool lost = we_lose(t, nr);

        w.more = ike2_followup_keys(t);
        w.redundant = lost;
        deleted = was_deleted(t, gh_view_of(w.chosen.spi, w.chosen.spi_len));
        snprintf(why, sizeof(why), "%s",
                 deleted ? "the peer deleted it before its answer came"
                         : "it could not be installed");
        if (!deleted)
            fresh = ike2_child_make(c, sa, &w, true, t->spi, shared.len > 0 ? &shared : NULL,
                                    gh_view_of(t->nonce, IKE2_NONCE), nr, lost ? 0 : t->child);
    }
    gh_secret_clear(&shared);
    if (fresh == NULL) {
        ike2_tell(c, sa, IKE2_EVENT_CHILD_FAILED, t->child, "%s: %s", t->policy->name, why);
        if (!deleted)
            ike2_child_disown(c, sa, ike_proposals_protocol(&t->policy->proposals), t->spi,
                              t->spi_len);
        give_up(c, sa, t);
        return;
    }
    child_made(c, sa, t, fresh, nr);
    ike2_task_done(sa, t);
}

/* ---- Our requests' answers: the IKE SA ------------------------------------------------------- */

static bool confirm_ike(const struct ike2_sa *sa, const struct ike2_task *t,
                        const struct ike_payloads *in, struct ike_proposal *chosen,
                        struct ike2_suite *suite, struct gh_view *nr)
{
    const struct ike_choice_rules rules = {.additional_ke = sa->policy->intermediate};
    struct ike_sa answer, offer;

    ike2_offer(&sa->policy->proposals, rules.additional_ke, &offer);
    return ike_sa_parse(ike_find(in, IKE_P_SA, 0)->body, &answer) == IKE_OK &&
           ike_nonce_parse(ike_find(in, IKE_P_NONCE, 0)->body, nr) == IKE_OK &&
           ike_proposal_confirm(&answer, &offer, &rules, chosen, NULL) &&
           chosen->spi_len == IKE_SPI_LEN && !ike2_spi_is_zero(chosen->spi) &&
           ike2_suite_of(chosen, suite) && suite->ke == t->group;
}

static void delete_ike(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_task *t;

    ike2_set_state(c, sa, IKE2_STATE_REKEYED);
    sa->expire_at = c->now.mono_ms + IKE2_DELETE_MS;
    t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
    if (t != NULL)
        t->why = IKE2_REMOVED_REPLACED;
}

static void ike_answer(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                       const struct ike_payloads *in, uint8_t first, struct gh_view octets)
{
    struct ike2_sa *fresh = NULL, *theirs = t->their_sa;
    struct gh_secret shared = {.data = NULL};
    char why[160] = "the peer chose what was not offered";
    struct ike_proposal chosen;
    struct ike2_suite suite;
    struct gh_view nr;
    bool lost;

    if (confirm_ike(sa, t, in, &chosen, &suite, &nr) &&
        shared_secret(t, in, suite.ke, &shared, why)) {
        const uint8_t *spi[2] = {t->spi, chosen.spi};
        bool wanted = ike2_followup_wanted(t, &suite);

        if (wanted && we_lose(t, nr)) {
            gh_secret_clear(&shared);
            yield(c, sa, t);
            return;
        }
        if (!wanted)
            fresh = ike2_make_ike(c, sa, true, spi, &suite, &shared,
                                  gh_view_of(t->nonce, IKE2_NONCE), nr, ike2_followup_keys(t));
        gh_secret_clear(&shared);
        if (wanted && ike2_followup_begin(c, sa, t, &suite, in, first, octets))
            return;
        if (wanted)
            snprintf(why, sizeof(why), "its additional key exchanges cannot begin");
    }
    if (fresh == NULL) {
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "rekeying of the IKE SA failed: %s", why);
        ike2_create_abandon(c, sa, t);
        return;
    }
    lost = theirs != NULL && we_lose(t, nr);
    if (!lost)
        ike2_extend_rekeyed_heard(c, fresh, in);
    ike2_task_done(sa, t);
    ike2_inherit(c, sa, lost ? theirs : fresh);
    if (lost) {
        delete_ike(c, fresh); /* the old one is the peer's to delete */
        ike2_tasks_run(c, fresh);
        ike2_schedule(c, fresh);
        return;
    }
    delete_ike(c, sa);
}

/* ---- Errors in answers ----------------------------------------------------------------------- */

/* TEMPORARY_FAILURE for minutes: the ends do not agree, so the IKE SA goes (RFC 7296 2.25). */
static void out_of_sync(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED,
              "the peer refuses for minutes for a moment: we begin anew");
    give_up(c, sa, t);
    t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
    if (t != NULL)
        t->why = IKE2_REMOVED_LOST;
}

/* Apart, for what it takes is large. */
static bool __attribute__((noinline))
may_retry(const struct ike2_sa *sa, const struct ike2_task *t, uint16_t group)
{
    struct ike_sa ours;

    ike_proposals_get(
        t->kind == IKE2_TASK_IKE_REKEY ? &sa->policy->proposals : &t->policy->proposals, &ours);
    return ike_ke_retry(&ours, t->group, group);
}

static void refused(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                    const struct ike_notify *n)
{
    struct ike2_child *child = ike2_child_by_id(sa, t->child);
    const char *name = ike_notify_name(n->type);
    struct ike2_sa *theirs = t->their_sa;
    char reason[IKE2_TCP_AO_REASON];
    uint16_t group;
    bool rekeys;

    if (n->type == IKE_N_TEMPORARY_FAILURE) {
        if (t->collided && theirs == NULL) { /* the peer's rekeying is done, ours is late */
            give_up(c, sa, t);
            return;
        }
        if (theirs != NULL) {
            ike2_task_done(sa, t);
            ike2_inherit(c, sa, theirs);
            return;
        }
        if (t->refused_at != 0 && c->now.mono_ms >= t->refused_at + IKE2_OUT_OF_SYNC_MS) {
            out_of_sync(c, sa, t);
            return;
        }
        if (t->refused_at == 0)
            t->refused_at = c->now.mono_ms;
        ike2_task_again(c, sa, t);
        return;
    }
    if (n->type == IKE_N_INVALID_KE_PAYLOAD && !t->group_retried &&
        ike_invalid_ke_read(n->data, &group) == IKE_OK && may_retry(sa, t, group)) {
        gh_ke_free(t->ke);
        t->ke = NULL;
        t->group = group;
        t->group_retried = true;
        ike2_create_start(c, sa, t);
        return;
    }
    if (n->type == IKE_N_CHILD_SA_NOT_FOUND && t->kind == IKE2_TASK_CHILD_REKEY) {
        struct ike2_task *again = child != NULL ? ike2_task_add(c, sa, IKE2_TASK_CHILD_NEW) : NULL;

        if (again != NULL)
            again->policy = t->policy;
        if (child != NULL)
            ike2_child_drop(c, sa, child, IKE2_REMOVED_LOST);
        ike2_task_done(sa, t);
        return;
    }
    rekeys = t->kind != IKE2_TASK_CHILD_NEW;
    if (n->type == IKE_N_TS_UNACCEPTABLE)
        ike2_ask_no_more(c, sa, t);
    if (t->kind == IKE2_TASK_IKE_REKEY)
        ike2_fail(c, sa, ike2_count_of(n->type), "rekeying of the IKE SA: the peer answers with %s",
                  name != NULL ? name : "an unknown error");
    else
        ike2_fail_child(c, sa, ike2_count_of(n->type), t->child, "%s: the peer answers with %s%s",
                        t->policy->name, name != NULL ? name : "an unknown error",
                        ike2_tcp_ao_reason(sa, t->policy, n->type, reason));
    ike2_create_abandon(c, sa, t);
    if (theirs == NULL && n->type == IKE_N_NO_ADDITIONAL_SAS && rekeys &&
        sa->state == IKE2_STATE_ESTABLISHED)
        ike2_reauthenticate(c, sa); /* RFC 7296 4: a new IKE SA instead */
}

void ike2_create_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                          const struct ike_payloads *in, uint8_t first, struct gh_view octets)
{
    /* An error stands in the place of what is needed: of all of it, or of a part. */
    bool whole = ike_find(in, IKE_P_SA, 0) != NULL && ike_find(in, IKE_P_NONCE, 0) != NULL;
    struct ike_notify n;

    if (!whole && ike_find_error(in, &n))
        refused(c, sa, t, &n);
    else if (t->kind == IKE2_TASK_IKE_REKEY)
        ike_answer(c, sa, t, in, first, octets);
    else
        child_answer(c, sa, t, in, first, octets);
}

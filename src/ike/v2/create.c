/*
 * CREATE_CHILD_SA (RFC 7296 1.3): new Child SAs, rekeying of Child SAs and of the IKE SA, and what
 * happens when both ends begin the same at once (2.8.1, 2.8.2, 2.25).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/ke_payload.h"
#include "ike/nonce.h"
#include "ike/v2/priv.h"

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

static void note_collision(struct ike2 *c, struct ike2_task *t, struct gh_view ni,
                           struct gh_view nr)
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

static void put_ke(struct ike_out *o, uint16_t group, struct gh_view value)
{
    ike_ke_emit(o, &(struct ike_ke){.method = group, .data = value});
}

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
    struct ike_ts_list local = p->local, remote = p->remote;
    struct ike2_fresh mine = {.nonce = gh_view_of(t->nonce, IKE2_NONCE)};
    struct ike2_child_view v;
    const struct ike_choice_rules rules = ike2_child_rules(false);
    struct ike_proposal suite;
    struct ike_sa offer;
    struct ike_out o;

    ike2_offer(&p->proposals, rules.additional_ke, &offer);
    if (offer.count == 0 || !prepare(c, t, &offer) || !ike2_child_spi(c, p, t->spi, &t->spi_len))
        return false;
    o = ike2_inner(c);
    if (old != NULL) {
        put_rekey(&o, old);
        ike2_child_view_of(sa, old, &v, &suite, &local, &remote); /* as in use */
    }
    if (t->ke != NULL) {
        mine.group = t->group;
        mine.value = gh_ke_public(t->ke);
    }
    ike2_child_put(&o, p, &local, &remote, t->spi, t->spi_len, &mine);
    return ike2_request(c, sa, IKE_X_CREATE_CHILD_SA, &o);
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
    put_ke(&o, t->group, gh_ke_public(t->ke));
    return ike2_request(c, sa, IKE_X_CREATE_CHILD_SA, &o);
}

static void give_up(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_child *child = ike2_child_by_id(sa, sa->task->child);

    if (child != NULL) {
        child->going = false;
        if (!child->replaced && child->expire_at > c->now.mono_ms + 2 * IKE2_RETRY_MS)
            child->rekey_at = c->now.mono_ms + IKE2_RETRY_MS;
    }
    if (sa->task->kind == IKE2_TASK_IKE_REKEY && sa->expire_at > c->now.mono_ms + 2 * IKE2_RETRY_MS)
        sa->rekey_at = c->now.mono_ms + IKE2_RETRY_MS;
    ike2_task_done(c, sa);
}

void ike2_create_abandon(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_sa *theirs = sa->task->their_sa;

    give_up(c, sa);
    if (theirs != NULL)
        ike2_inherit(c, sa, theirs);
}

void ike2_create_start(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_task *t = sa->task;
    struct ike2_child *old = ike2_child_by_id(sa, t->child);
    bool good;

    if (t->kind == IKE2_TASK_CHILD_REKEY && (old == NULL || old->replaced)) {
        give_up(c, sa); /* the peer was faster, or time was */
        return;
    }
    if (old != NULL && sa->pending != NULL && sa->pending->old == old->id) {
        give_up(c, sa); /* the peer is at it */
        return;
    }
    good = t->kind == IKE2_TASK_IKE_REKEY ? request_ike(c, sa, t) : request_child(c, sa, t);
    if (!good) {
        ike2_fail(c, sa, IKE2_COUNT_NO_MEMORY, "CREATE_CHILD_SA could not be made");
        give_up(c, sa);
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

/* Another is in its place. Its end is the peer's to ask for; ours if it does not. */
static void supersede(struct ike2 *c, struct ike2_child *child)
{
    uint64_t end = c->now.mono_ms + IKE2_DELETE_MS;

    child->replaced = true;
    child->rekey_at = 0;
    if (child->expire_at == 0 || child->expire_at > end)
        child->expire_at = end;
}

/* The peer's is there, ours is not needed: it goes, the old one is the peer's to delete. */
static void child_made(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *fresh,
                       struct gh_view nr)
{
    struct ike2_task *t = sa->task;
    struct ike2_child *old = ike2_child_by_id(sa, t->child);
    struct ike2_child *theirs = t->collided ? ike2_child_by_id(sa, t->their_child) : NULL;

    if (t->kind != IKE2_TASK_CHILD_REKEY)
        return;
    if (we_lose(t, nr)) {
        ike2_tell(c, sa, IKE2_EVENT_STORY, fresh->id, "both ends rekeyed: the peer's stays");
        delete_child(c, sa, fresh);
        if (old != NULL) {
            supersede(c, old);
            old->going = false;
        }
        return;
    }
    if (theirs != NULL)
        supersede(c, theirs);
    if (old != NULL)
        delete_child(c, sa, old);
}

/* Nothing is made yet that would have to be deleted (RFC 9370 2.2.4). */
static void yield(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_child *old = ike2_child_by_id(sa, sa->task->child);

    ike2_tell(c, sa, IKE2_EVENT_STORY, sa->task->child, "both ends rekey: the peer goes on");
    if (old != NULL && ike2_child_by_id(sa, sa->task->their_child) != NULL)
        supersede(c, old);
    ike2_create_abandon(c, sa);
}

/* The peer's deletion of what it made came before its answer, which had got lost. */
static bool was_deleted(const struct ike2_task *t, struct gh_view spi)
{
    for (size_t i = 0; i < t->deleted_count; i++)
        if (gh_view_equal(spi, gh_view_of(t->deleted[i], spi.len)))
            return true;
    return false;
}

static void child_answer(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                         uint8_t first, struct gh_view octets)
{
    struct ike2_task *t = sa->task;
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
            yield(c, sa);
            return;
        }
        if (ike2_followup_begin(c, sa, &suite, in, first, octets))
            return;
        snprintf(why, sizeof(why), "its additional key exchanges cannot begin");
    } else if (good) {
        bool lost = we_lose(t, nr);

        w.more = ike2_followup_keys(t);
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
            ike2_child_disown(c, sa, t->policy->proposals.proposal[0].protocol, t->spi, t->spi_len);
        give_up(c, sa);
        return;
    }
    child_made(c, sa, fresh, nr);
    ike2_task_done(c, sa);
}

/* ---- A new IKE SA in the place of one -------------------------------------------------------- */

static struct ike2_sa *successor(struct ike2 *c, struct ike2_sa *old, bool initiator,
                                 const uint8_t *spi_i, const uint8_t *spi_r,
                                 const struct ike2_suite *suite)
{
    struct ike2_sa *sa = ike2_sa_new(c, old->policy, initiator, &old->local, &old->remote);

    if (sa == NULL)
        return NULL;
    memcpy(sa->spi_i, spi_i, IKE_SPI_LEN);
    memcpy(sa->spi_r, spi_r, IKE_SPI_LEN);
    sa->suite = *suite;
    sa->client = old->client;
    sa->marker = old->marker;
    sa->nat_local = old->nat_local;
    sa->nat_remote = old->nat_remote;
    sa->fragmentation = old->fragmentation;
    sa->rekeys = old->rekeys + 1;
    sa->local_id = malloc(sizeof(*sa->local_id));
    sa->remote_id = malloc(sizeof(*sa->remote_id));
    if (sa->local_id == NULL || sa->remote_id == NULL) {
        ike2_sa_free(sa);
        return NULL;
    }
    *sa->local_id = *old->local_id;
    *sa->remote_id = *old->remote_id;
    ike2_extend_successor(c, sa, old);
    return sa;
}

/* All that hangs on the old one goes on with the new one; the old one waits for its deletion. */
void ike2_inherit(struct ike2 *c, struct ike2_sa *old, struct ike2_sa *sa)
{
    if (sa->state == IKE2_STATE_REKEYED)
        ike2_sa_established(c, sa); /* it waited for the outcome */
    sa->children = old->children;
    sa->child_count = old->child_count;
    old->children = NULL;
    old->child_count = 0;
    for (struct ike2_child *child = sa->children; child != NULL; child = child->next)
        child->sa = sa;
    while (old->waiting != NULL) {
        struct ike2_task *t = old->waiting;

        old->waiting = t->next;
        if (t->kind == IKE2_TASK_IKE_REKEY || t->kind == IKE2_TASK_LIVENESS) {
            ike2_task_free(t);
            continue;
        }
        t->next = NULL;
        if (sa->waiting_tail != NULL)
            sa->waiting_tail->next = t;
        else
            sa->waiting = t;
        sa->waiting_tail = t;
    }
    old->waiting_tail = NULL;
    ike2_pending_clear(old);
    ike2_mobike_inherited(c, old, sa);
    old->rekey_at = old->task_at = 0;
    old->expire_at = c->now.mono_ms + IKE2_DELETE_MS;
    ike2_set_state(c, old, IKE2_STATE_REKEYED);
    ike2_count(c, IKE2_COUNT_SA_REKEYED);
    ike2_tell(c, sa, IKE2_EVENT_SA_REKEYED, 0, "in the place of SA %llu",
              (unsigned long long)old->id);
    ike2_tasks_run(c, sa);
    ike2_schedule(c, sa);
}

static bool bring_up(struct ike2 *c, struct ike2_sa *sa)
{
    if (!ike2_sa_link(c, sa)) {
        ike2_sa_free(sa);
        return false;
    }
    ike2_log_keys(c, sa);
    ike2_sa_name(c, sa);
    ike2_sa_established(c, sa);
    ike2_schedule(c, sa);
    return true;
}

/* spi: both, the initiator's first. NULL: no memory. */
static struct ike2_sa *make_ike(struct ike2 *c, struct ike2_sa *old, bool initiator,
                                const uint8_t *spi[2], const struct ike2_suite *suite,
                                const struct gh_secret *shared, struct gh_view ni,
                                struct gh_view nr, struct gh_view more)
{
    struct ike2_sa *sa = successor(c, old, initiator, spi[0], spi[1], suite);

    if (sa != NULL && !ike2_derive_rekeyed(sa, old, shared, ni, nr, more)) {
        ike2_sa_free(sa);
        sa = NULL;
    }
    return sa != NULL && bring_up(c, sa) ? sa : NULL;
}

static bool confirm_ike(const struct ike2_sa *sa, const struct ike_payloads *in,
                        struct ike_proposal *chosen, struct ike2_suite *suite, struct gh_view *nr)
{
    const struct ike_choice_rules rules = {.additional_ke = sa->policy->intermediate};
    struct ike_sa answer, offer;

    ike2_offer(&sa->policy->proposals, rules.additional_ke, &offer);
    return ike_sa_parse(ike_find(in, IKE_P_SA, 0)->body, &answer) == IKE_OK &&
           ike_nonce_parse(ike_find(in, IKE_P_NONCE, 0)->body, nr) == IKE_OK &&
           ike_proposal_confirm(&answer, &offer, &rules, chosen, NULL) &&
           chosen->spi_len == IKE_SPI_LEN && !ike2_spi_is_zero(chosen->spi) &&
           ike2_suite_of(chosen, suite) && suite->ke == sa->task->group;
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

static void ike_answer(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                       uint8_t first, struct gh_view octets)
{
    struct ike2_task *t = sa->task;
    struct ike2_sa *fresh = NULL, *theirs = t->their_sa;
    struct gh_secret shared = {.data = NULL};
    char why[160] = "the peer chose what was not offered";
    struct ike_proposal chosen;
    struct ike2_suite suite;
    struct gh_view nr;
    bool lost;

    if (confirm_ike(sa, in, &chosen, &suite, &nr) && shared_secret(t, in, suite.ke, &shared, why)) {
        const uint8_t *spi[2] = {t->spi, chosen.spi};
        bool wanted = ike2_followup_wanted(t, &suite);

        if (wanted && we_lose(t, nr)) {
            gh_secret_clear(&shared);
            yield(c, sa);
            return;
        }
        if (!wanted)
            fresh = make_ike(c, sa, true, spi, &suite, &shared, gh_view_of(t->nonce, IKE2_NONCE),
                             nr, ike2_followup_keys(t));
        gh_secret_clear(&shared);
        if (wanted && ike2_followup_begin(c, sa, &suite, in, first, octets))
            return;
        if (wanted)
            snprintf(why, sizeof(why), "its additional key exchanges cannot begin");
    }
    if (fresh == NULL) {
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "rekeying of the IKE SA failed: %s", why);
        ike2_create_abandon(c, sa);
        return;
    }
    lost = theirs != NULL && we_lose(sa->task, nr);
    if (!lost)
        ike2_extend_rekeyed_heard(c, fresh, in);
    ike2_task_done(c, sa);
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
static void out_of_sync(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_task *t;

    ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED,
              "the peer refuses for minutes for a moment: we begin anew");
    give_up(c, sa);
    t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
    if (t != NULL)
        t->why = IKE2_REMOVED_LOST;
}

static void refused(struct ike2 *c, struct ike2_sa *sa, const struct ike_notify *n)
{
    struct ike2_task *t = sa->task;
    struct ike2_child *child = ike2_child_by_id(sa, t->child);
    const char *name = ike_notify_name(n->type);
    const struct ike_sa *proposals =
        t->kind == IKE2_TASK_IKE_REKEY ? &sa->policy->proposals : &t->policy->proposals;
    struct ike2_sa *theirs = t->their_sa;
    uint16_t group;
    bool rekeys;

    if (n->type == IKE_N_TEMPORARY_FAILURE) {
        if (t->collided && theirs == NULL) { /* the peer's rekeying is done, ours is late */
            give_up(c, sa);
            return;
        }
        if (theirs != NULL) {
            ike2_task_done(c, sa);
            ike2_inherit(c, sa, theirs);
            return;
        }
        if (t->refused_at != 0 && c->now.mono_ms >= t->refused_at + IKE2_OUT_OF_SYNC_MS) {
            out_of_sync(c, sa);
            return;
        }
        if (t->refused_at == 0)
            t->refused_at = c->now.mono_ms;
        ike2_task_again(c, sa);
        return;
    }
    if (n->type == IKE_N_INVALID_KE_PAYLOAD && !t->group_retried &&
        ike_invalid_ke_read(n->data, &group) == IKE_OK &&
        ike_ke_retry(proposals, t->group, group)) {
        gh_ke_free(t->ke);
        t->ke = NULL;
        t->group = group;
        t->group_retried = true;
        ike2_create_start(c, sa);
        return;
    }
    if (n->type == IKE_N_CHILD_SA_NOT_FOUND && t->kind == IKE2_TASK_CHILD_REKEY) {
        struct ike2_task *again = child != NULL ? ike2_task_add(c, sa, IKE2_TASK_CHILD_NEW) : NULL;

        if (again != NULL)
            again->policy = t->policy;
        if (child != NULL)
            ike2_child_drop(c, sa, child, IKE2_REMOVED_LOST);
        ike2_task_done(c, sa);
        return;
    }
    rekeys = t->kind != IKE2_TASK_CHILD_NEW;
    if (t->kind == IKE2_TASK_IKE_REKEY)
        ike2_fail(c, sa, ike2_count_of(n->type), "rekeying of the IKE SA: the peer answers with %s",
                  name != NULL ? name : "an unknown error");
    else
        ike2_fail_child(c, sa, ike2_count_of(n->type), t->child, "%s: the peer answers with %s",
                        t->policy->name, name != NULL ? name : "an unknown error");
    ike2_create_abandon(c, sa);
    if (theirs == NULL && n->type == IKE_N_NO_ADDITIONAL_SAS && rekeys &&
        sa->state == IKE2_STATE_ESTABLISHED)
        ike2_reauthenticate(c, sa); /* RFC 7296 4: a new IKE SA instead */
}

void ike2_create_response(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                          uint8_t first, struct gh_view octets)
{
    struct ike_notify n;

    if (ike_find(in, IKE_P_SA, 0) == NULL && ike_find_error(in, &n))
        refused(c, sa, &n);
    else if (sa->task->kind == IKE2_TASK_IKE_REKEY)
        ike_answer(c, sa, in, first, octets);
    else
        child_answer(c, sa, in, first, octets);
}

/* ---- The peer's requests -------------------------------------------------------------------- */

static void say(struct ike2 *c, struct ike2_sa *sa, uint16_t notify, struct gh_view data)
{
    ike2_respond_notify(c, sa, IKE_X_CREATE_CHILD_SA, notify, data);
}

/* With the SPI that was asked for (RFC 7296 3.10). */
static void say_not_found(struct ike2 *c, struct ike2_sa *sa, const struct ike_notify *rekeyed)
{
    struct ike_out o = ike2_inner(c);

    ike_notify_emit(&o, &(struct ike_notify){.protocol = rekeyed->protocol,
                                             .type = IKE_N_CHILD_SA_NOT_FOUND,
                                             .spi = rekeyed->spi});
    ike2_respond(c, sa, IKE_X_CREATE_CHILD_SA, &o);
}

static void say_group(struct ike2 *c, struct ike2_sa *sa, uint16_t group)
{
    const uint8_t wanted[2] = {(uint8_t)(group >> 8), (uint8_t)group};

    ike2_count(c, IKE2_COUNT_INVALID_KE);
    say(c, sa, IKE_N_INVALID_KE_PAYLOAD, gh_view_of(wanted, 2));
}

/* Our half of a key exchange with what the request brought. group 0: there is none. */
static uint16_t exchange_keys(struct ike2 *c, const struct ike_payloads *in, uint16_t group,
                              uint8_t public_value[GH_KE_PUBLIC_MAX], struct gh_secret *shared)
{
    const struct ike_payload *payload = ike_find(in, IKE_P_KE, 0);
    struct ike_ke ke = {.method = 0};

    if (group == 0)
        return 0;
    if (payload == NULL || ike_ke_parse(payload->body, &ke) != IKE_OK || ke.method != group)
        return IKE_N_INVALID_KE_PAYLOAD;
    return ike2_answer_ke(c, group, ke.data, public_value, shared) ? 0 : IKE_N_INVALID_SYNTAX;
}

/* We delete it, or are about to. */
static bool is_to_go(const struct ike2_sa *sa, uint32_t child)
{
    const struct ike2_task *t = sa->waiting;

    if (sa->task != NULL && sa->task->kind == IKE2_TASK_CHILD_DELETE && sa->task->child == child)
        return true;
    while (t != NULL && (t->kind != IKE2_TASK_CHILD_DELETE || t->child != child))
        t = t->next;
    return t != NULL;
}

/* The Child SA that a request wants to rekey. 0, or what to answer. */
static uint16_t find_rekeyed(struct ike2_sa *sa, const struct ike_payloads *in,
                             struct ike2_child **old, struct ike_notify *n)
{
    *old = NULL;
    if (!ike_find_notify(in, IKE_N_REKEY_SA, 0, n))
        return 0;
    *old = ike2_child_by_out(sa, n->protocol, n->spi);
    if (*old == NULL) /* it may be the one whose making the peer has answered, unheard by us */
        return sa->task != NULL && (sa->task->kind == IKE2_TASK_CHILD_NEW ||
                                    sa->task->kind == IKE2_TASK_CHILD_REKEY)
                   ? IKE_N_TEMPORARY_FAILURE
                   : IKE_N_CHILD_SA_NOT_FOUND;
    return (*old)->replaced || is_to_go(sa, (*old)->id) ||
                   (sa->task != NULL && sa->task->followup != NULL && sa->task->child == (*old)->id)
               ? IKE_N_TEMPORARY_FAILURE
               : 0;
}

static bool keep_child(struct ike2 *c, struct ike2_sa *sa, const struct ike2_wish *w,
                       const struct ike2_child *old, const uint8_t *spi, uint8_t spi_len,
                       const struct ike2_suite *suite, struct gh_secret *shared, struct gh_view ni,
                       struct gh_view nr)
{
    struct ike2_pending *p = ike2_pending_new(c, sa, suite, shared, ni, nr);

    if (p == NULL)
        return false;
    p->wish = *w;
    p->old = old != NULL ? old->id : 0;
    memcpy(p->spi, spi, spi_len);
    return true;
}

static void child_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    uint8_t public_value[GH_KE_PUBLIC_MAX], spi[4], spi_len, nonce[IKE2_NONCE];
    struct gh_view ni, nr = gh_view_of(nonce, IKE2_NONCE);
    struct gh_secret shared = {.data = NULL};
    struct ike2_child *old, *fresh = NULL;
    struct ike2_suite suite;
    struct ike2_wish w;
    struct ike_out o;
    char why[160] = "";
    struct ike_notify rekeyed = {.type = 0};
    bool later = false; /* made after additional key exchanges */
    uint16_t group = 0, notify = find_rekeyed(sa, in, &old, &rekeyed);
    bool collides = false;

    if (notify == 0 && ike_nonce_parse(ike_find(in, IKE_P_NONCE, 0)->body, &ni) != IKE_OK)
        notify = IKE_N_INVALID_SYNTAX;
    if (notify == 0)
        notify = ike2_child_judge(c, sa, in, false, old, &w, why);
    if (notify == 0) {
        group = ike_proposal_id(&w.chosen, IKE_T_KE);
        notify = exchange_keys(c, in, group, public_value, &shared);
    }
    if (notify == 0) {
        struct ike2_task *t = sa->task;

        collides =
            old != NULL && t != NULL && t->kind == IKE2_TASK_CHILD_REKEY && t->child == old->id;
        c->ops.random(c->ops.ctx, nonce, IKE2_NONCE);
        if (!ike2_suite_of(&w.chosen, &suite) || !ike2_child_spi(c, w.policy, spi, &spi_len))
            notify = IKE_N_NO_ADDITIONAL_SAS;
        else if (ike2_addke(&suite, 0) != IKE_KE_NONE)
            later = keep_child(c, sa, &w, old, spi, spi_len, &suite, &shared, ni, nr);
        else
            fresh = ike2_child_make(c, sa, &w, false, spi, group != 0 ? &shared : NULL, ni, nr,
                                    old != NULL ? old->id : 0);
        if (fresh == NULL && !later)
            notify = IKE_N_NO_ADDITIONAL_SAS;
        else if (collides)
            note_collision(c, t, ni, nr);
        if (fresh != NULL && collides)
            t->their_child = fresh->id;
    }
    gh_secret_clear(&shared);
    if (notify == IKE_N_INVALID_KE_PAYLOAD) {
        say_group(c, sa, group);
        return;
    }
    if (notify != 0) {
        if (notify != IKE_N_TEMPORARY_FAILURE && notify != IKE_N_CHILD_SA_NOT_FOUND)
            ike2_fail_child(c, sa, ike2_count_of(notify), old != NULL ? old->id : 0,
                            "refused with %s: %s", ike_notify_name(notify), why);
        if (notify == IKE_N_CHILD_SA_NOT_FOUND)
            say_not_found(c, sa, &rekeyed);
        else
            say(c, sa, notify, gh_view_of(NULL, 0));
        return;
    }
    if (old != NULL && !later) { /* its end is the peer's to ask for, or its lifetime's */
        fresh->replaces = old->id;
        if (collides)
            old->rekey_at = 0;
        else /* a rekeying that waits for its turn finds that it is late */
            supersede(c, old);
    }
    o = ike2_inner(c);
    ike2_child_put_answer(
        &o, &w, spi, spi_len,
        &(struct ike2_fresh){.nonce = nr,
                             .group = group,
                             .value = gh_view_of(public_value, gh_ke_public_len(group, true))});
    if (later)
        ike2_pending_put(sa, &o);
    ike2_respond(c, sa, IKE_X_CREATE_CHILD_SA, &o);
}

/* The peer's rekeying is over. */
static void replace_by(struct ike2 *c, struct ike2_sa *sa, struct ike2_sa *fresh)
{
    if (sa->task == NULL || sa->task->kind != IKE2_TASK_IKE_REKEY) {
        ike2_inherit(c, sa, fresh);
        return;
    }
    sa->task->their_sa = fresh;
    fresh->rival_of = sa;
    /* Until our own rekeying is answered: if that wins, the peer deletes this one, if it ever
     * hears of it. */
    ike2_set_state(c, fresh, IKE2_STATE_REKEYED);
    fresh->rekey_at = 0;
    fresh->expire_at = c->now.mono_ms + IKE2_DELETE_MS;
    ike2_schedule(c, fresh);
}

static bool keep_ike(struct ike2 *c, struct ike2_sa *sa, const uint8_t *spi[2],
                     const struct ike2_suite *suite, struct gh_secret *shared, struct gh_view ni,
                     struct gh_view nr)
{
    struct ike2_pending *p = ike2_pending_new(c, sa, suite, shared, ni, nr);

    if (p == NULL)
        return false;
    memcpy(p->peer_spi, spi[0], IKE_SPI_LEN);
    memcpy(p->spi, spi[1], IKE_SPI_LEN);
    return true;
}

static void ike_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    const struct ike_choice_rules rules = {.prefer_theirs = sa->policy->prefer_theirs,
                                           .additional_ke = sa->policy->intermediate};
    uint8_t public_value[GH_KE_PUBLIC_MAX], nonce[IKE2_NONCE], spi[IKE_SPI_LEN];
    struct gh_view ni, nr = gh_view_of(nonce, IKE2_NONCE);
    struct gh_secret shared = {.data = NULL};
    struct ike_proposal chosen;
    struct ike2_suite suite;
    const uint8_t *both[2] = {chosen.spi, spi};
    struct ike2_sa *fresh = NULL;
    struct ike_sa offer, ours;
    struct ike_out o;
    uint16_t notify;
    bool later;

    if (ike_sa_parse(ike_find(in, IKE_P_SA, 0)->body, &offer) != IKE_OK ||
        ike_nonce_parse(ike_find(in, IKE_P_NONCE, 0)->body, &ni) != IKE_OK) {
        say(c, sa, IKE_N_INVALID_SYNTAX, gh_view_of(NULL, 0));
        return;
    }
    ike2_offer(&sa->policy->proposals, rules.additional_ke, &ours);
    if (!ike_proposal_choose(&offer, &ours, &rules, &chosen, NULL) ||
        chosen.spi_len != IKE_SPI_LEN || ike2_spi_is_zero(chosen.spi) ||
        !ike2_suite_of(&chosen, &suite)) {
        ike2_fail(c, sa, IKE2_COUNT_NO_PROPOSAL, "rekeying of the IKE SA: no proposal chosen");
        say(c, sa, IKE_N_NO_PROPOSAL_CHOSEN, gh_view_of(NULL, 0));
        return;
    }
    notify = exchange_keys(c, in, suite.ke, public_value, &shared);
    if (notify != 0) {
        if (notify == IKE_N_INVALID_KE_PAYLOAD)
            say_group(c, sa, suite.ke);
        else
            say(c, sa, notify, gh_view_of(NULL, 0));
        return;
    }
    c->ops.random(c->ops.ctx, nonce, IKE2_NONCE);
    ike2_new_spi(c, spi);
    later = ike2_addke(&suite, 0) != IKE_KE_NONE;
    if (later)
        later = keep_ike(c, sa, both, &suite, &shared, ni, nr);
    else
        fresh = make_ike(c, sa, false, both, &suite, &shared, ni, nr, gh_view_of(NULL, 0));
    gh_secret_clear(&shared);
    if (fresh == NULL && !later) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        say(c, sa, IKE_N_TEMPORARY_FAILURE, gh_view_of(NULL, 0));
        return;
    }
    memcpy(chosen.spi, spi, IKE_SPI_LEN);
    o = ike2_inner(c);
    ike_sa_emit_one(&o, &chosen);
    ike_nonce_emit(&o, nr);
    put_ke(&o, suite.ke, gh_view_of(public_value, gh_ke_public_len(suite.ke, true)));
    if (later)
        ike2_pending_put(sa, &o);
    else
        ike2_extend_rekeyed(c, fresh, &o);
    ike2_respond(c, sa, IKE_X_CREATE_CHILD_SA, &o);
    if (sa->task != NULL && sa->task->kind == IKE2_TASK_IKE_REKEY)
        note_collision(c, sa->task, ni, nr);
    if (!later)
        replace_by(c, sa, fresh);
}

/* ---- After the peer's additional key exchanges ----------------------------------------------- */

static void finish_ike(struct ike2 *c, struct ike2_sa *sa, struct ike2_pending *p,
                       struct ike_out *o)
{
    const uint8_t *spi[2] = {p->peer_spi, p->spi};
    struct ike2_sa *fresh =
        make_ike(c, sa, false, spi, &p->suite, &p->shared, gh_view_of(p->ni, p->ni_len),
                 gh_view_of(p->nr, p->nr_len), ike2_view(&p->more));

    if (fresh == NULL) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_TEMPORARY_FAILURE, gh_view_of(NULL, 0));
        return;
    }
    ike2_extend_token(c, fresh);
    ike2_respond(c, sa, IKE_X_FOLLOWUP_KE, o);
    replace_by(c, sa, fresh);
}

static void finish_child(struct ike2 *c, struct ike2_sa *sa, struct ike2_pending *p,
                         struct ike_out *o)
{
    struct ike2_child *old = ike2_child_by_id(sa, p->old), *fresh;
    struct ike2_task *t = sa->task;

    if (old != NULL && is_to_go(sa, old->id)) { /* the operator's word since then */
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_TEMPORARY_FAILURE, gh_view_of(NULL, 0));
        return;
    }
    p->wish.more = ike2_view(&p->more);
    fresh =
        ike2_child_make(c, sa, &p->wish, false, p->spi, &p->shared, gh_view_of(p->ni, p->ni_len),
                        gh_view_of(p->nr, p->nr_len), old != NULL ? old->id : 0);
    if (fresh == NULL) {
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_NO_ADDITIONAL_SAS, gh_view_of(NULL, 0));
        return;
    }
    if (old != NULL) { /* whoever comes so far has won, if both began */
        fresh->replaces = old->id;
        supersede(c, old);
        if (t != NULL && t->kind == IKE2_TASK_CHILD_REKEY && t->child == old->id)
            t->their_child = fresh->id;
    }
    ike2_respond(c, sa, IKE_X_FOLLOWUP_KE, o);
}

void ike2_create_finish(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    if (sa->pending->suite.protocol == IKE_PROTO_IKE)
        finish_ike(c, sa, sa->pending, o);
    else
        finish_child(c, sa, sa->pending, o);
}

static bool is_child_task(const struct ike2_task *t)
{
    return t != NULL && (t->kind == IKE2_TASK_CHILD_NEW || t->kind == IKE2_TASK_CHILD_REKEY ||
                         t->kind == IKE2_TASK_CHILD_DELETE);
}

void ike2_create_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    bool ike = ike_child_step(in) == IKE_STEP_IKE_REKEY;
    bool busy = ike ? is_child_task(sa->task) || (sa->task != NULL && sa->task->followup != NULL)
                    : sa->task != NULL && sa->task->kind == IKE2_TASK_IKE_REKEY;

    if (sa->state != IKE2_STATE_ESTABLISHED || busy || (sa->task != NULL && sa->task->their_sa)) {
        say(c, sa, IKE_N_TEMPORARY_FAILURE, gh_view_of(NULL, 0)); /* RFC 7296 2.25 */
        return;
    }
    if (ike)
        ike_request(c, sa, in);
    else
        child_request(c, sa, in);
}

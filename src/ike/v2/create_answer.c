/* CREATE_CHILD_SA as responder (RFC 7296 1.3), and IKE_FOLLOWUP_KE's end (RFC 9370 2.2.4). */
#include <stdlib.h>
#include <string.h>

#include "crypto/ke.h"
#include "ike/admission.h"
#include "ike/ke_payload.h"
#include "ike/nonce.h"
#include "ike/proposal.h"
#include "ike/v2/addke.h"
#include "ike/v2/child.h"
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
#include "ike/v2/tell.h"

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

/* The Child SA that a request wants to rekey. 0, or what to answer. */
static uint16_t find_rekeyed(struct ike2_sa *sa, const struct ike_payloads *in,
                             struct ike2_child **old, struct ike_notify *n)
{
    const struct ike2_task *ours;

    *old = NULL;
    if (!ike_find_notify(in, IKE_N_REKEY_SA, 0, n))
        return 0;
    *old = ike2_child_by_out(sa, n->protocol, n->spi);
    if (*old == NULL) /* it may be the one whose making the peer has answered, unheard by us */
        return ike2_task_makes_children(sa, false) ? IKE_N_TEMPORARY_FAILURE
                                                   : IKE_N_CHILD_SA_NOT_FOUND;
    ours = ike2_task_under_way(sa, IKE2_TASK_CHILD_REKEY, (*old)->id);
    return (*old)->replaced || ike2_task_deletes(sa, (*old)->id) ||
                   (ours != NULL && ours->followup != NULL)
               ? IKE_N_TEMPORARY_FAILURE
               : 0;
}

static bool keep_child(struct ike2 *c, struct ike2_sa *sa, const struct ike2_wish *w,
                       const struct ike2_child *old, const uint8_t *spi, uint8_t spi_len,
                       const struct ike2_suite *suite, struct gh_secret *shared, struct gh_view ni,
                       struct gh_view nr)
{
    struct ike2_pending *p =
        ike2_pending_new(c, sa, old != NULL ? old->id : 0, suite, shared, ni, nr);

    if (p == NULL)
        return false;
    p->wish = *w;
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
        struct ike2_task *t =
            old != NULL ? ike2_task_under_way(sa, IKE2_TASK_CHILD_REKEY, old->id) : NULL;

        collides = t != NULL;
        c->ops.random(c->ops.ctx, nonce, IKE2_NONCE);
        if (!ike2_suite_of(&w.chosen, &suite) ||
            !ike2_child_spi(c, sa, w.policy, old != NULL ? old->id : 0, spi, &spi_len))
            notify = IKE_N_NO_ADDITIONAL_SAS;
        else if (ike2_addke(&suite, 0) != IKE_KE_NONE)
            later = keep_child(c, sa, &w, old, spi, spi_len, &suite, &shared, ni, nr);
        else
            fresh = ike2_child_make(c, sa, &w, false, spi, group != 0 ? &shared : NULL, ni, nr,
                                    old != NULL ? old->id : 0);
        if (fresh == NULL && !later) /* of TCP-AO: a KeyID that is taken, the next may be free */
            notify =
                w.policy->mode == IKE2_TCP_AO ? IKE_N_TEMPORARY_FAILURE : IKE_N_NO_ADDITIONAL_SAS;
        else if (collides)
            ike2_note_collision(c, t, ni, nr);
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
            ike2_supersede(c, old);
    }
    o = ike2_inner(c);
    ike2_child_put_answer(
        &o, &w, spi, spi_len,
        &(struct ike2_fresh){.nonce = nr,
                             .group = group,
                             .value = gh_view_of(public_value, gh_ke_public_len(group, true))});
    if (later)
        ike2_pending_put(sa->pending, &o);
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
    struct ike2_pending *p = ike2_pending_new(c, sa, 0, suite, shared, ni, nr);

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
        fresh = ike2_make_ike(c, sa, false, both, &suite, &shared, ni, nr, gh_view_of(NULL, 0));
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
    ike_ke_emit(
        &o, &(struct ike_ke){.method = suite.ke,
                             .data = gh_view_of(public_value, gh_ke_public_len(suite.ke, true))});
    if (later)
        ike2_pending_put(sa->pending, &o);
    else
        ike2_extend_rekeyed(c, fresh, &o);
    ike2_respond(c, sa, IKE_X_CREATE_CHILD_SA, &o);
    if (sa->task != NULL && sa->task->kind == IKE2_TASK_IKE_REKEY)
        ike2_note_collision(c, sa->task, ni, nr);
    if (!later)
        replace_by(c, sa, fresh);
}

/* ---- After the peer's additional key exchanges ----------------------------------------------- */

static void finish_ike(struct ike2 *c, struct ike2_sa *sa, struct ike2_pending *p,
                       struct ike_out *o)
{
    const uint8_t *spi[2] = {p->peer_spi, p->spi};
    struct ike2_sa *fresh =
        ike2_make_ike(c, sa, false, spi, &p->suite, &p->shared, gh_view_of(p->ni, p->ni_len),
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

    if (old != NULL && ike2_task_deletes(sa, old->id)) { /* the operator's word since then */
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
        struct ike2_task *t = ike2_task_under_way(sa, IKE2_TASK_CHILD_REKEY, old->id);

        fresh->replaces = old->id;
        ike2_supersede(c, old);
        if (t != NULL)
            t->their_child = fresh->id;
    }
    ike2_respond(c, sa, IKE_X_FOLLOWUP_KE, o);
}

void ike2_create_finish(struct ike2 *c, struct ike2_sa *sa, struct ike2_pending *p,
                        struct ike_out *o)
{
    if (p->suite.protocol == IKE_PROTO_IKE)
        finish_ike(c, sa, p, o);
    else
        finish_child(c, sa, p, o);
}

void ike2_create_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    bool ike = ike_child_step(in) == IKE_STEP_IKE_REKEY;
    bool busy =
        ike ? ike2_task_makes_children(sa, true) || (sa->task != NULL && sa->task->followup != NULL)
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

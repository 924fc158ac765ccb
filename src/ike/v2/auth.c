/*
 * IKE_AUTH (RFC 7296 1.2): identities, proofs and the first Child SA. The keeper is asked on the
 * way; the message that waits is kept until it answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/delete.h"
#include "ike/id.h"
#include "ike/proposal.h"
#include "ike/v2/addke.h"
#include "ike/v2/auth.h"
#include "ike/v2/child.h"
#include "ike/v2/command.h"
#include "ike/v2/extend.h"
#include "ike/v2/flight.h"
#include "ike/v2/gate.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/keys.h"
#include "ike/v2/mobike.h"
#include "ike/v2/ppk.h"
#include "ike/v2/priv.h"
#include "ike/v2/proof.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tcp_ao.h"
#include "ike/v2/tell.h"
#include "ike/v2/whose.h"

/* ---- Common --------------------------------------------------------------------------------- */

/* The responder has an IKE SA with us: told once, so that it does not wait for us (RFC 7296
 * 2.21.2). */
static void tell_failure(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike_out o = ike2_inner(c);

    ike_notify_emit_data(&o, IKE_N_AUTHENTICATION_FAILED, gh_view_of(NULL, 0));
    ike2_request(c, sa, sa->task, IKE_X_INFORMATIONAL, &o);
}

static void refuse(struct ike2 *c, struct ike2_sa *sa, const char *why, const char *remedy)
{
    char addr[GH_ADDR_TEXT];

    ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED, "%s is not believed: %s%s%s",
              gh_addr_format(&sa->remote.addr, addr), why, remedy[0] != '\0' ? "; " : "", remedy);
    if (!sa->initiator) {
        ike2_respond_notify(c, sa, IKE_X_AUTH, IKE_N_AUTHENTICATION_FAILED, gh_view_of(NULL, 0));
        return; /* it stays to say so again, until it expires */
    }
    tell_failure(c, sa);
    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
}

/* A client proved that it is not whom we know. Nothing else that is refused counts for its lockout:
 * what is configured at neither end, a keeper that does not answer, memory. */
static void disbelieve(struct ike2 *c, struct ike2_sa *sa, const char *why, const char *remedy)
{
    enum gh_lockout_method method =
        sa->policy->remote_auths == GH_BIT(IKE2_AUTH_PSK) ? GH_LOCKOUT_PSK : GH_LOCKOUT_CERT;
    const struct ike2_endpoint from = sa->remote;
    enum gh_lockout_verdict verdict = GH_LOCKOUT_COUNTED;
    bool counts =
        !sa->initiator && c->lockout != NULL && gh_lockout_counts(method, GH_LOCKOUT_AUTH);
    char addr[GH_ADDR_TEXT];

    refuse(c, sa, why, remedy);
    if (counts)
        verdict =
            gh_lockout_failed(c->lockout, c->now.mono_ms, sa->local.zone, &from.addr, from.port);
    gh_addr_format(&from.addr, addr);
    if (verdict == GH_LOCKOUT_PORT_BLOCKED)
        ike2_fail(c, sa, IKE2_COUNT_LOCKED_OUT, "%s port %u is locked out: it failed too often",
                  addr, from.port);
    else if (verdict == GH_LOCKOUT_ADDR_BLOCKED)
        ike2_fail(c, sa, IKE2_COUNT_LOCKED_OUT,
                  "%s is locked out with all its ports: it failed from too many of them", addr);
}

static bool is_anonymous(const struct ike_payloads *in)
{
    const struct ike_payload *auth = ike_find(in, IKE_P_AUTH, 0);

    return auth != NULL && auth->body.p[0] == GH_AUTH_NULL;
}

/* Whoever proves nothing is nobody, whatever it calls itself (RFC 7619 2.2). */
static bool take_id(struct ike2_sa *sa, const struct ike_payloads *in, uint8_t type)
{
    if (sa->remote_id == NULL)
        sa->remote_id = calloc(1, sizeof(*sa->remote_id));
    if (sa->remote_id == NULL || !gh_identity_parse(ike_find(in, type, 0)->body, sa->remote_id))
        return false;
    if (is_anonymous(in))
        *sa->remote_id = (struct gh_identity){.type = GH_ID_NULL};
    return true;
}

static bool keep_inner(struct ike2_sa *sa, uint8_t first, struct gh_view octets)
{
    sa->setup->inner_first = first;
    return gh_secret_set(&sa->setup->inner, octets.p, octets.len);
}

static bool inner_again(const struct ike2_sa *sa, struct ike_payloads *in)
{
    return ike_payloads_parse(sa->setup->inner_first, ike2_view(&sa->setup->inner), in) == IKE_OK;
}

static void put_auth(struct ike2_sa *sa, struct ike_out *o, struct gh_view value)
{
    uint8_t body[4 + GH_PRF_MAX] = {GH_AUTH_PSK};

    if (sa->policy->local_auth != IKE2_AUTH_PSK &&
        sa->setup->resumed == NULL) { /* the whole body */
        ike_out_payload(o, IKE_P_AUTH, false, value);
        return;
    }
    if (value.len > GH_PRF_MAX)
        value.len = 0;
    memcpy(body + 4, value.p, value.len);
    ike_out_payload(o, IKE_P_AUTH, false, gh_view_of(body, 4 + value.len));
    gh_wipe(body, sizeof(body));
}

static void put_id(struct ike_out *o, uint8_t payload, const struct gh_identity *id)
{
    ike_id_emit(o, payload,
                &(struct ike_id){.type = id->type, .data = gh_view_of(id->data, id->len)});
}

/* INITIAL_CONTACT: all others with this peer are of an earlier life of it; but not those that came
 * up since this one began, as where both ends begin at once. Of somebody without a name it says
 * nothing (RFC 7619 2.3). */
static void drop_others(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_sa *next;

    if (!ike_has_notify(in, IKE_N_INITIAL_CONTACT) || is_anonymous(in))
        return;
    for (struct ike2_sa *other = ike2_by_name(c, sa->remote_id, NULL); other != NULL;
         other = next) {
        next = ike2_by_name(c, sa->remote_id, other);
        if (other->id < sa->id && other->state >= IKE2_STATE_ESTABLISHED &&
            other->established_ms <= sa->setup->begun_ms && other->policy == sa->policy &&
            gh_identity_equal(other->remote_id, sa->remote_id) &&
            gh_addr_equal(&other->remote.addr, &sa->remote.addr)) {
            ike2_tell(c, other, IKE2_EVENT_STORY, 0, "the peer says that it begins anew");
            ike2_sa_die(c, other, IKE2_REMOVED_LOST);
        }
    }
}

static void up(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    /* A client that gets no address mostly ends what has just come up, and does not say why. */
    bool wants = !sa->initiator && ike_find(in, IKE_P_CP, 0) != NULL;
    char text[GH_ID_TEXT];

    ike2_sa_name(c, sa);
    ike2_count(c, IKE2_COUNT_SA_UP);
    if (c->lockout != NULL)
        gh_lockout_succeeded(c->lockout, c->now.mono_ms, sa->local.zone, &sa->remote.addr,
                             sa->remote.port);
    ike2_tell(c, sa, IKE2_EVENT_SA_UP, 0, "established with %s%s%s",
              ike2_is_read(c, IKE2_EVENT_SA_UP)
                  ? gh_identity_format(sa->remote_id, text, sizeof(text))
                  : "",
              sa->policy->ppk[0] != '\0' && !sa->ppk_used ? ", without the PPK" : "",
              wants ? "; it asks for an address, and none is given here" : "");
}

/* ---- Initiator ------------------------------------------------------------------------------ */

/* Of the Child SAs the one that IKE_AUTH makes; none if the peer does without (RFC 6023). */
static const struct ike2_child_policy *first_child(struct ike2_sa *sa)
{
    size_t i = 0;

    if (sa->policy->childless && sa->setup->peer_childless)
        return NULL;
    if (sa->acquired != NULL) {
        ike2_acquired_first(sa);
        return sa->task->policy;
    }
    while (i < sa->policy->child_count && !(sa->wanted & 1u << i))
        i++;
    if (i == sa->policy->child_count)
        return NULL;
    sa->wanted &= ~(1u << i);
    sa->task->policy = &sa->policy->children[i];
    return sa->task->policy;
}

static bool first_contact(const struct ike2 *c, const struct ike2_sa *sa)
{
    for (const struct ike2_sa *other = sa->policy->sas; other != NULL; other = other->next_peer)
        if (other != sa && other->state >= IKE2_STATE_ESTABLISHED)
            return false;
    return sa->policy->initial_contact;
}

static void send_auth(struct ike2 *c, struct ike2_sa *sa, struct gh_view value)
{
    struct ike_out o = ike2_inner(c);
    const struct ike2_child_policy *child = first_child(sa);

    if (child == NULL && !sa->setup->peer_childless) {
        ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED,
                  "no Child SA is wanted, and the peer takes no IKE SA without one");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    put_id(&o, IKE_P_IDI, sa->local_id);
    if (sa->setup->resumed == NULL) {
        ike2_put_certs(c, sa, &o);
        ike2_put_certreq(c, sa->policy, &o);
    }
    put_auth(sa, &o, value);
    ike2_ppk_put_identity(sa, &o);
    if (first_contact(c, sa))
        ike_notify_emit_data(&o, IKE_N_INITIAL_CONTACT, gh_view_of(NULL, 0));
    ike2_extend_auth(c, sa, &o);
    if (child != NULL) {
        struct ike_ts_list local, remote;

        if (!ike2_child_spi(c, sa, child, 0, sa->task->spi, &sa->task->spi_len)) {
            ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
            return;
        }
        ike2_child_tell_wish(c, sa, child);
        ike2_acquired_selectors(sa, sa->task, &local, &remote);
        ike2_child_put(&o, child, &local, &remote, sa->task->spi, sa->task->spi_len, NULL);
    }
    if (!ike2_request(c, sa, sa->task, IKE_X_AUTH, &o)) {
        ike2_fail(c, sa, IKE2_COUNT_NO_MEMORY, "IKE_AUTH could not be made");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
    }
}

static void cannot_begin(struct ike2 *c, struct ike2_sa *sa, const char *why, const char *remedy)
{
    ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED, "we cannot authenticate: %s%s%s", why,
              remedy[0] != '\0' ? "; " : "", remedy);
    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
}

static void prove_to_responder(struct ike2 *c, struct ike2_sa *sa);

static void have_auth(struct ike2 *c, struct ike2_sa *sa, struct gh_view value)
{
    if (ike2_ppk_keep_auth(sa, value))
        prove_to_responder(c, sa);
    else
        send_auth(c, sa, value);
}

static void prove_to_responder(struct ike2 *c, struct ike2_sa *sa)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};
    struct gh_secret now = {.data = NULL};

    if (!ike2_prove(c, sa, &now, &e))
        cannot_begin(c, sa, e.message, e.remedy);
    else if (now.len > 0)
        have_auth(c, sa, ike2_view(&now));
    gh_secret_clear(&now);
}

void ike2_auth_start(struct ike2 *c, struct ike2_sa *sa)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};
    struct gh_secret now = {.data = NULL};

    if (ike2_gate_before_auth(c, sa))
        return;
    if (sa->setup->resumed != NULL) {
        if (ike2_resume_begin_auth(sa, &now))
            send_auth(c, sa, ike2_view(&now));
        else
            cannot_begin(c, sa, "no memory", "");
        gh_secret_clear(&now);
    } else if (!ike2_choose_identity(c, sa, &e))
        cannot_begin(c, sa, e.message, e.remedy);
    else if (!sa->setup->ppk.agreed)
        prove_to_responder(c, sa);
    else if (!ike2_ppk_ask(c, sa))
        cannot_begin(c, sa, "the keeper cannot be asked", "");
}

/* The rest of what the policy wants, each by an exchange of its own. */
static void want_the_rest(struct ike2 *c, struct ike2_sa *sa)
{
    for (size_t i = 0; i < sa->policy->child_count; i++) {
        struct ike2_task *t =
            sa->wanted & 1u << i ? ike2_task_add(c, sa, IKE2_TASK_CHILD_NEW) : NULL;

        if (t != NULL)
            t->policy = &sa->policy->children[i];
    }
    sa->wanted = 0;
    ike2_acquired_rest(sa);
}

static void make_first_child(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_task *t = sa->task;
    const struct ike2_setup *s = sa->setup;
    struct ike2_child *child = NULL;
    struct ike2_wish w;
    struct ike_notify n;
    char why[160], reason[IKE2_TCP_AO_REASON];
    uint16_t notify;

    if (t->policy == NULL)
        return;
    if (ike_find_error(in, &n)) {
        ike2_fail_child(
            c, sa, ike2_count_of(n.type), 0, "%s: the peer answers with %s%s", t->policy->name,
            ike_notify_name(n.type) != NULL ? ike_notify_name(n.type) : "an unknown error",
            ike2_tcp_ao_reason(sa, t->policy, n.type, reason));
        return;
    }
    notify = ike2_child_confirm(c, sa, in, true, t->policy, &w, why);
    if (notify != 0)
        ike2_fail_child(c, sa, ike2_count_of(notify), 0, "%s: %s", t->policy->name, why);
    else /* says itself why it could not */
        child =
            ike2_child_make(c, sa, &w, true, t->spi, NULL, gh_view_of(s->nonce_i, s->nonce_i_len),
                            gh_view_of(s->nonce_r, s->nonce_r_len), 0);
    if (child == NULL && ike_find(in, IKE_P_SA, 0) != NULL) /* the peer has it */
        ike2_child_disown(c, sa, ike_proposals_protocol(&t->policy->proposals), t->spi, t->spi_len);
}

static void answered_well(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    drop_others(c, sa, in);
    up(c, sa, in);
    if (sa->setup->resumed != NULL)
        ike2_resume_done(c, sa);
    ike2_extend_auth_heard(c, sa, in);
    if (ike2_redirect_auth(c, sa, in))
        return;
    make_first_child(c, sa, in);
    ike2_task_done(sa, sa->task);
    ike2_sa_established(c, sa);
    want_the_rest(c, sa);
    ike2_end_reauthenticated(c, sa);
}

void ike2_auth_response(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                        uint8_t first, struct gh_view octets)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};
    char text[GH_ID_TEXT];
    struct ike_notify n;

    if (ike_find(in, IKE_P_AUTH, 0) == NULL || ike_find(in, IKE_P_IDR, 0) == NULL) {
        const char *name = ike_find_error(in, &n) ? ike_notify_name(n.type) : NULL;

        /* RFC 4555 3.9: who can change one packet shall not keep us away. */
        if (name != NULL && n.type == IKE_N_UNEXPECTED_NAT_DETECTED &&
            sa->nat_refusals++ < sa->policy->retransmits) {
            ike2_begin_anew(c, sa, "something on the way changed our addresses: begun anew");
            return;
        }
        ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED, "the peer refuses IKE_AUTH: %s",
                  name != NULL ? name : "no reason given");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    if (!ike2_ppk_confirm(sa, in)) {
        refuse(c, sa, "it does not use the PPK, but has to", "configure the PPK at the peer");
        return;
    }
    if (!take_id(sa, in, IKE_P_IDR) || !keep_inner(sa, first, octets)) {
        refuse(c, sa, "its identity is malformed", "");
        return;
    }
    if (sa->policy->remote_id != NULL &&
        gh_pattern_match(sa->policy->remote_id, sa->remote_id) != GH_MATCH_YES) {
        snprintf(e.message, sizeof(e.message), "it calls itself %.100s, not %.100s",
                 gh_identity_format(sa->remote_id, text, sizeof(text)),
                 gh_pattern_text(sa->policy->remote_id));
        refuse(c, sa, e.message, "");
        return;
    }
    if (sa->setup->resumed != NULL) {
        if (ike2_resume_believes(sa, in))
            answered_well(c, sa, in);
        else
            refuse(c, sa, "it is not the one that gave the ticket", "");
        return;
    }
    switch (ike2_check_proof(c, sa, in, &e)) {
    case IKE2_PROOF_GOOD:
        answered_well(c, sa, in);
        break;
    case IKE2_PROOF_ASKED:
        break;
    default:
        refuse(c, sa, e.message, e.remedy);
        break;
    }
}

/* ---- Responder ------------------------------------------------------------------------------ */

/* IKE_SA_INIT was judged by another's proposals. Apart, for what it takes is large. */
static bool __attribute__((noinline))
suite_suits(const struct ike2_sa *sa, const struct ike2_policy *p)
{
    struct ike_proposal chosen;
    struct ike_sa offer, ours;
    const struct ike_choice_rules rules = {.additional_ke = p->intermediate};

    offer.count = 1;
    ike2_suite_proposal(&sa->suite, &offer.proposal[0]);
    ike2_offer(&p->proposals, p->intermediate, &ours);
    return ike_proposal_choose(&offer, &ours, &rules, &chosen, NULL);
}

static bool suits(const struct ike2_sa *sa, const struct ike2_policy *p, bool anonymous,
                  const struct gh_identity *idr)
{
    if (anonymous && !(p->remote_auths & GH_BIT(IKE2_AUTH_NULL)))
        return false;
    if (p->remote_id != NULL && gh_pattern_match(p->remote_id, sa->remote_id) != GH_MATCH_YES)
        return false;
    if (idr != NULL && p->local_id.type != GH_ID_NONE && !ike2_local_id_is_of_cert(p) &&
        !gh_identity_equal(idr, &p->local_id))
        return false;
    return p == sa->policy || suite_suits(sa, p);
}

/* Whose this is, now that the peer has said its name. */
static bool choose_policy(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    const struct ike_payload *payload = ike_find(in, IKE_P_IDR, 0);
    struct gh_identity id,
        *idr = payload != NULL && gh_identity_parse(payload->body, &id) ? &id : NULL;
    struct ike2_policy *p = NULL;

    /* IDr is a wish (RFC 7296 1.2); a policy that is not for the anonymous refuses them, in words.
     */
    for (int strict = 2; strict >= 0; strict--) {
        while ((p = ike2_policy_for(&c->whose, &sa->local, &sa->remote.addr, p)) != NULL) {
            if (!suits(sa, p, strict >= 1 && is_anonymous(in), strict == 2 ? idr : NULL))
                continue;
            ike2_set_policy(sa, p);
            return true;
        }
    }
    return false;
}

static bool find_client(struct ike2_sa *sa, const char **why)
{
    if (sa->policy->client_db == NULL)
        return true;
    switch (
        gh_client_db_find(sa->policy->client_db, sa->remote_id, &sa->remote.addr, &sa->client)) {
    case GH_CLIENT_FOUND:
        *why = "its entry of the client database is to be rejected";
        return !sa->client->gets.reject;
    case GH_CLIENT_FALL_BACK:
        sa->client = NULL;
        return true;
    default:
        *why = "the client database has no entry for it";
        return false;
    }
}

/* Child SA of the request, if any; errors concern it alone (RFC 7296 1.2). */
static void answer_child(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                         struct ike_out *o)
{
    const struct ike2_setup *s = sa->setup;
    struct ike2_wish w;
    uint8_t spi[4], spi_len;
    char why[160] = "";
    uint16_t notify;

    if (ike_find(in, IKE_P_SA, 0) == NULL)
        return;
    notify = ike2_child_judge(c, sa, in, true, NULL, &w, why);
    if (notify == 0 &&
        (!ike2_child_spi(c, sa, w.policy, 0, spi, &spi_len) ||
         ike2_child_make(c, sa, &w, false, spi, NULL, gh_view_of(s->nonce_i, s->nonce_i_len),
                         gh_view_of(s->nonce_r, s->nonce_r_len), 0) == NULL))
        notify = IKE_N_NO_ADDITIONAL_SAS;
    if (notify == 0) {
        ike2_child_put_answer(o, &w, spi, spi_len, NULL);
        return;
    }
    ike2_fail_child(c, sa, ike2_count_of(notify), 0, "refused with %s: %s", ike_notify_name(notify),
                    why);
    ike_notify_emit_data(o, notify, gh_view_of(NULL, 0));
}

static void finish(struct ike2 *c, struct ike2_sa *sa, struct gh_view value)
{
    struct ike_payloads in = {.count = 0};
    struct ike_out o = ike2_inner(c);
    bool away;

    if (!inner_again(sa, &in)) {
        refuse(c, sa, "no memory", "");
        return;
    }
    drop_others(c, sa, &in);
    put_id(&o, IKE_P_IDR, sa->local_id);
    if (sa->setup->resumed == NULL)
        ike2_put_certs(c, sa, &o);
    put_auth(sa, &o, value);
    if (sa->ppk_used)
        ike_notify_emit_data(&o, IKE_N_PPK_IDENTITY, gh_view_of(NULL, 0));
    up(c, sa, &in);
    if (sa->setup->resumed != NULL)
        ike2_resume_done(c, sa);
    ike2_extend_auth_heard(c, sa, &in);
    ike2_extend_auth(c, sa, &o);
    away = ike2_redirect_in_auth(c, sa, &o);
    if (!away)
        answer_child(c, sa, &in, &o);
    if (!ike2_respond(c, sa, IKE_X_AUTH, &o)) {
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    ike2_sa_established(c, sa);
    if (away)
        ike2_redirect_leave(c, sa);
}

static void prove_ourselves(struct ike2 *c, struct ike2_sa *sa)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};
    struct gh_secret now = {.data = NULL};

    if (!ike2_choose_identity(c, sa, &e) || !ike2_prove(c, sa, &now, &e)) {
        ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED, "we cannot authenticate: %s", e.message);
        ike2_respond_notify(c, sa, IKE_X_AUTH, IKE_N_AUTHENTICATION_FAILED, gh_view_of(NULL, 0));
    } else if (now.len > 0) {
        finish(c, sa, ike2_view(&now));
    }
    gh_secret_clear(&now);
}

static void check_initiator(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};

    switch (ike2_check_proof(c, sa, in, &e)) {
    case IKE2_PROOF_GOOD:
        prove_ourselves(c, sa);
        break;
    case IKE2_PROOF_ASKED:
        break;
    case IKE2_PROOF_BAD:
        disbelieve(c, sa, e.message, e.remedy);
        break;
    case IKE2_PROOF_UNSEEN:
        refuse(c, sa, e.message, e.remedy);
        break;
    }
}

static void ppk_decided(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                        enum ike2_ppk_state state)
{
    switch (state) {
    case IKE2_PPK_ASKED:
        break;
    case IKE2_PPK_READY:
        ike2_ppk_swap(sa);
        check_initiator(c, sa, in);
        break;
    case IKE2_PPK_NONE:
        check_initiator(c, sa, in);
        break;
    case IKE2_PPK_UNKNOWN:
        refuse(c, sa, "it has no PPK in common with us", "configure the same PPK at both ends");
        break;
    case IKE2_PPK_FAILED:
        refuse(c, sa, "the keeper cannot apply the PPK", "");
        break;
    }
}

/* No keeper is asked: who has the ticket's SK_d is whom it was given to. */
static void resumed_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct gh_secret value = {.data = NULL};

    if (!ike2_resume_believes(sa, in) || !ike2_resume_prove(sa, &value))
        refuse(c, sa, "it is not the one that was given the ticket", "");
    else
        finish(c, sa, ike2_view(&value));
    gh_secret_clear(&value);
}

/* Before anybody is asked to authenticate. */
static void refuse_with(struct ike2 *c, struct ike2_sa *sa, uint16_t notify, const char *why)
{
    ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED, "IKE_AUTH refused: %s", why);
    ike2_respond_notify(c, sa, IKE_X_AUTH, notify, gh_view_of(NULL, 0));
    sa->setup->refused = true;
}

void ike2_auth_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                       uint8_t first, struct gh_view octets)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};
    const char *why = "";
    char text[GH_ID_TEXT];

    if (sa->initiator || sa->setup == NULL) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    if (ike2_intermediate_next(sa) != IKE_KE_NONE) {
        refuse(c, sa, "it left out an additional key exchange", "");
        return;
    }
    if (ike_find(in, IKE_P_AUTH, 0) == NULL) {
        refuse(c, sa, "it wants EAP", "configure a method that both have");
        return;
    }
    if (!take_id(sa, in, IKE_P_IDI) || !keep_inner(sa, first, octets) ||
        !ike2_take_certreqs(sa->setup, in)) {
        refuse(c, sa, "its identity or its certificate requests are malformed", "");
        return;
    }
    if (sa->setup->resumed == NULL && !choose_policy(c, sa, in)) {
        if (is_anonymous(in))
            strcpy(e.message, "it proves nothing (NULL authentication), which is not allowed here");
        else
            snprintf(e.message, sizeof(e.message), "no peer is called %.200s",
                     gh_identity_format(sa->remote_id, text, sizeof(text)));
        refuse(c, sa, e.message, "");
        return;
    }
    if (!find_client(sa, &why)) {
        snprintf(e.message, sizeof(e.message), "it calls itself %.200s: %s",
                 gh_identity_format(sa->remote_id, text, sizeof(text)), why);
        refuse(c, sa, e.message, "");
        return;
    }
    if (ike_find(in, IKE_P_SA, 0) == NULL && !sa->policy->childless) {
        refuse_with(c, sa, IKE_N_INVALID_SYNTAX, "it wants an IKE SA without a Child SA");
        return;
    }
    if (!ike2_mobike_no_nat(c, sa, in)) {
        refuse_with(c, sa, IKE_N_UNEXPECTED_NAT_DETECTED, "its addresses were changed on the way");
        return;
    }
    if (sa->setup->resumed != NULL)
        resumed_request(c, sa, in);
    else
        ppk_decided(c, sa, in, ike2_ppk_judge(c, sa, in));
}

/* ---- The keeper's answers ------------------------------------------------------------------- */

static void ppk_answered(struct ike2 *c, struct ike2_sa *sa, const struct gh_keeper_answer *a)
{
    enum ike2_ppk_state state = ike2_ppk_take(c, sa, a);
    struct ike_payloads in = {.count = 0};

    if (!sa->initiator) {
        if (!inner_again(sa, &in)) {
            refuse(c, sa, "no memory", "");
            return;
        }
        if (state == IKE2_PPK_UNKNOWN) /* configured, but the keeper has it not */
            state = ike2_ppk_without(sa, &in);
        ppk_decided(c, sa, &in, state);
        return;
    }
    if (state == IKE2_PPK_READY) {
        if (ike2_ppk_required(sa->policy))
            ike2_ppk_swap(sa); /* no AUTH without it */
        prove_to_responder(c, sa);
    } else if (state != IKE2_PPK_ASKED) {
        cannot_begin(c, sa, "the keeper cannot apply the PPK", "configure it");
    }
}

/* Our own value may stand behind it. */
static void peer_psk(struct ike2 *c, struct ike2_sa *sa, const struct gh_keeper_answer *a)
{
    const size_t len = gh_prf_len((enum gh_prf_alg)sa->suite.prf);
    struct gh_view peer = a->value, own = gh_view_of(NULL, 0);
    struct ike_payloads in = {.count = 0};

    if (a->result != GH_KEEPER_OK) {
        refuse(c, sa, "there is no pre-shared key for it", "configure one");
        return;
    }
    if (peer.len == 2 * len) {
        peer.len = len;
        own = gh_view_of(a->value.p + len, len);
    }
    if (!inner_again(sa, &in)) {
        refuse(c, sa, "no memory", "");
        return;
    }
    if (!ike2_check_psk(sa, &in, peer)) {
        disbelieve(c, sa,
                   sa->ppk_used
                       ? "its AUTH does not verify: the pre-shared keys differ, or the PPKs"
                       : "its AUTH does not verify: the pre-shared keys differ",
                   "set the same key at both ends");
        return;
    }
    if (sa->initiator)
        answered_well(c, sa, &in);
    else if (own.len > 0)
        finish(c, sa, own);
    else
        prove_ourselves(c, sa);
}

void ike2_auth_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_job job,
                        const struct gh_keeper_answer *a)
{
    if (sa->setup == NULL)
        return;
    if (job == IKE2_JOB_PPK) {
        ppk_answered(c, sa, a);
        return;
    }
    if (job == IKE2_JOB_PEER_PSK) {
        peer_psk(c, sa, a);
        return;
    }
    if (a->result != GH_KEEPER_OK) {
        ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED, "we cannot authenticate: %.*s",
                  a->result == GH_KEEPER_REFUSED ? (int)a->value.len : 33,
                  a->result == GH_KEEPER_REFUSED ? (const char *)a->value.p
                                                 : "the keeper has no secret for this");
        if (sa->initiator)
            ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        else /* it stays to say so again */
            ike2_respond_notify(c, sa, IKE_X_AUTH, IKE_N_AUTHENTICATION_FAILED,
                                gh_view_of(NULL, 0));
        return;
    }
    if (sa->initiator)
        have_auth(c, sa, a->value);
    else
        finish(c, sa, a->value);
}

/* IKE_AUTH of the responder (RFC 7296 1.2): whose request it is, its proof, the answer. */
#include <stdio.h>
#include <string.h>

#include "ike/proposal.h"
#include "ike/v2/addke.h"
#include "ike/v2/auth.h"
#include "ike/v2/auth_parts.h"
#include "ike/v2/child.h"
#include "ike/v2/extend.h"
#include "ike/v2/flight.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/keys.h"
#include "ike/v2/mobike.h"
#include "ike/v2/ppk.h"
#include "ike/v2/proof.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tell.h"
#include "ike/v2/whose.h"

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
            if (!suits(sa, p, strict >= 1 && ike2_auth_is_anonymous(in), strict == 2 ? idr : NULL))
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

void ike2_auth_finish(struct ike2 *c, struct ike2_sa *sa, struct gh_view value)
{
    struct ike_payloads in = {.count = 0};
    struct ike_out o = ike2_inner(c);
    bool away;

    if (!ike2_auth_inner_again(sa, &in)) {
        ike2_auth_refuse(c, sa, "no memory", "");
        return;
    }
    ike2_auth_drop_others(c, sa, &in);
    ike2_auth_put_id(&o, IKE_P_IDR, sa->local_id);
    if (sa->setup->resumed == NULL)
        ike2_put_certs(c, sa, &o);
    ike2_auth_put(sa, &o, value);
    if (sa->ppk_used)
        ike_notify_emit_data(&o, IKE_N_PPK_IDENTITY, gh_view_of(NULL, 0));
    ike2_auth_up(c, sa, &in);
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

void ike2_auth_prove_to_initiator(struct ike2 *c, struct ike2_sa *sa)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};
    struct gh_secret now = {.data = NULL};

    if (!ike2_choose_identity(c, sa, &e) || !ike2_prove(c, sa, &now, &e)) {
        ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED, "we cannot authenticate: %s", e.message);
        ike2_respond_notify(c, sa, IKE_X_AUTH, IKE_N_AUTHENTICATION_FAILED, gh_view_of(NULL, 0));
    } else if (now.len > 0) {
        ike2_auth_finish(c, sa, ike2_view(&now));
    }
    gh_secret_clear(&now);
}

static void check_initiator(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};

    switch (ike2_check_proof(c, sa, in, &e)) {
    case IKE2_PROOF_GOOD:
        ike2_auth_prove_to_initiator(c, sa);
        break;
    case IKE2_PROOF_ASKED:
        break;
    case IKE2_PROOF_BAD:
        ike2_auth_disbelieve(c, sa, e.message, e.remedy);
        break;
    case IKE2_PROOF_UNSEEN:
        ike2_auth_refuse(c, sa, e.message, e.remedy);
        break;
    }
}

void ike2_auth_ppk_decided(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
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
        ike2_auth_refuse(c, sa, "it has no PPK in common with us",
                         "configure the same PPK at both ends");
        break;
    case IKE2_PPK_FAILED:
        ike2_auth_refuse(c, sa, "the keeper cannot apply the PPK", "");
        break;
    }
}

/* No keeper is asked: who has the ticket's SK_d is whom it was given to. */
static void resumed_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct gh_secret value = {.data = NULL};

    if (!ike2_resume_believes(sa, in) || !ike2_resume_prove(sa, &value))
        ike2_auth_refuse(c, sa, "it is not the one that was given the ticket", "");
    else
        ike2_auth_finish(c, sa, ike2_view(&value));
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
        ike2_auth_refuse(c, sa, "it left out an additional key exchange", "");
        return;
    }
    if (ike_find(in, IKE_P_AUTH, 0) == NULL) {
        ike2_auth_refuse(c, sa, "it wants EAP", "configure a method that both have");
        return;
    }
    if (!ike2_auth_take_id(sa, in, IKE_P_IDI) || !ike2_auth_keep_inner(sa, first, octets) ||
        !ike2_take_certreqs(sa->setup, in)) {
        ike2_auth_refuse(c, sa, "its identity or its certificate requests are malformed", "");
        return;
    }
    if (sa->setup->resumed == NULL && !choose_policy(c, sa, in)) {
        if (ike2_auth_is_anonymous(in))
            strcpy(e.message, "it proves nothing (NULL authentication), which is not allowed here");
        else
            snprintf(e.message, sizeof(e.message), "no peer is called %.200s",
                     gh_identity_format(sa->remote_id, text, sizeof(text)));
        ike2_auth_refuse(c, sa, e.message, "");
        return;
    }
    if (!find_client(sa, &why)) {
        snprintf(e.message, sizeof(e.message), "it calls itself %.200s: %s",
                 gh_identity_format(sa->remote_id, text, sizeof(text)), why);
        ike2_auth_refuse(c, sa, e.message, "");
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
        ike2_auth_ppk_decided(c, sa, in, ike2_ppk_judge(c, sa, in));
}

/* IKE_AUTH of the initiator (RFC 7296 1.2): its proof, the first Child SA, what is answered. */
#include <stdio.h>

#include "ike/v2/auth.h"
#include "ike/v2/auth_parts.h"
#include "ike/v2/child.h"
#include "ike/v2/command.h"
#include "ike/v2/extend.h"
#include "ike/v2/flight.h"
#include "ike/v2/gate.h"
#include "ike/v2/ppk.h"
#include "ike/v2/proof.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tcp_ao.h"
#include "ike/v2/tell.h"

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
    ike2_auth_put_id(&o, IKE_P_IDI, sa->local_id);
    if (sa->setup->resumed == NULL) {
        ike2_put_certs(c, sa, &o);
        ike2_put_certreq(c, sa->policy, &o);
    }
    ike2_auth_put(sa, &o, value);
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

void ike2_auth_cannot_begin(struct ike2 *c, struct ike2_sa *sa, const char *why, const char *remedy)
{
    ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED, "we cannot authenticate: %s%s%s", why,
              remedy[0] != '\0' ? "; " : "", remedy);
    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
}

void ike2_auth_have(struct ike2 *c, struct ike2_sa *sa, struct gh_view value)
{
    if (ike2_ppk_keep_auth(sa, value))
        ike2_auth_prove_to_responder(c, sa);
    else
        send_auth(c, sa, value);
}

void ike2_auth_prove_to_responder(struct ike2 *c, struct ike2_sa *sa)
{
    struct gh_pki_error e = {.message = "", .remedy = ""};
    struct gh_secret now = {.data = NULL};

    if (!ike2_prove(c, sa, &now, &e))
        ike2_auth_cannot_begin(c, sa, e.message, e.remedy);
    else if (now.len > 0)
        ike2_auth_have(c, sa, ike2_view(&now));
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
            ike2_auth_cannot_begin(c, sa, "no memory", "");
        gh_secret_clear(&now);
    } else if (!ike2_choose_identity(c, sa, &e))
        ike2_auth_cannot_begin(c, sa, e.message, e.remedy);
    else if (!sa->setup->ppk.agreed)
        ike2_auth_prove_to_responder(c, sa);
    else if (!ike2_ppk_ask(c, sa))
        ike2_auth_cannot_begin(c, sa, "the keeper cannot be asked", "");
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

void ike2_auth_believe_responder(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    ike2_auth_drop_others(c, sa, in);
    ike2_auth_up(c, sa, in);
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
        ike2_auth_refuse(c, sa, "it does not use the PPK, but has to",
                         "configure the PPK at the peer");
        return;
    }
    if (!ike2_auth_take_id(sa, in, IKE_P_IDR) || !ike2_auth_keep_inner(sa, first, octets)) {
        ike2_auth_refuse(c, sa, "its identity is malformed", "");
        return;
    }
    if (sa->policy->remote_id != NULL &&
        gh_pattern_match(sa->policy->remote_id, sa->remote_id) != GH_MATCH_YES) {
        snprintf(e.message, sizeof(e.message), "it calls itself %.100s, not %.100s",
                 gh_identity_format(sa->remote_id, text, sizeof(text)),
                 gh_pattern_text(sa->policy->remote_id));
        ike2_auth_refuse(c, sa, e.message, "");
        return;
    }
    if (sa->setup->resumed != NULL) {
        if (ike2_resume_believes(sa, in))
            ike2_auth_believe_responder(c, sa, in);
        else
            ike2_auth_refuse(c, sa, "it is not the one that gave the ticket", "");
        return;
    }
    switch (ike2_check_proof(c, sa, in, &e)) {
    case IKE2_PROOF_GOOD:
        ike2_auth_believe_responder(c, sa, in);
        break;
    case IKE2_PROOF_ASKED:
        break;
    default:
        ike2_auth_refuse(c, sa, e.message, e.remedy);
        break;
    }
}

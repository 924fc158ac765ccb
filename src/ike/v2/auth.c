/*
 * IKE_AUTH (RFC 7296 1.2): what both roles do with identities and proofs, and the keeper's answers.
 * The keeper is asked on the way; the message that waits is kept until it answers.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/id.h"
#include "ike/v2/auth.h"
#include "ike/v2/auth_parts.h"
#include "ike/v2/flight.h"
#include "ike/v2/ppk.h"
#include "ike/v2/proof.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tell.h"

/* The responder has an IKE SA with us: told once, so that it does not wait for us (RFC 7296
 * 2.21.2). */
static void tell_failure(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike_out o = ike2_inner(c);

    ike_notify_emit_data(&o, IKE_N_AUTHENTICATION_FAILED, gh_view_of(NULL, 0));
    ike2_request(c, sa, sa->task, IKE_X_INFORMATIONAL, &o);
}

void ike2_auth_refuse(struct ike2 *c, struct ike2_sa *sa, const char *why, const char *remedy)
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
void ike2_auth_disbelieve(struct ike2 *c, struct ike2_sa *sa, const char *why, const char *remedy)
{
    enum gh_lockout_method method =
        sa->policy->remote_auths == GH_BIT(IKE2_AUTH_PSK) ? GH_LOCKOUT_PSK : GH_LOCKOUT_CERT;
    const struct ike2_endpoint from = sa->remote;
    enum gh_lockout_verdict verdict = GH_LOCKOUT_COUNTED;
    bool counts =
        !sa->initiator && c->lockout != NULL && gh_lockout_counts(method, GH_LOCKOUT_AUTH);
    char addr[GH_ADDR_TEXT];

    ike2_auth_refuse(c, sa, why, remedy);
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

bool ike2_auth_is_anonymous(const struct ike_payloads *in)
{
    const struct ike_payload *auth = ike_find(in, IKE_P_AUTH, 0);

    return auth != NULL && auth->body.p[0] == GH_AUTH_NULL;
}

/* Whoever proves nothing is nobody, whatever it calls itself (RFC 7619 2.2). */
bool ike2_auth_take_id(struct ike2_sa *sa, const struct ike_payloads *in, uint8_t type)
{
    if (sa->remote_id == NULL)
        sa->remote_id = calloc(1, sizeof(*sa->remote_id));
    if (sa->remote_id == NULL || !gh_identity_parse(ike_find(in, type, 0)->body, sa->remote_id))
        return false;
    if (ike2_auth_is_anonymous(in))
        *sa->remote_id = (struct gh_identity){.type = GH_ID_NULL};
    return true;
}

bool ike2_auth_keep_inner(struct ike2_sa *sa, uint8_t first, struct gh_view octets)
{
    sa->setup->inner_first = first;
    return gh_secret_set(&sa->setup->inner, octets.p, octets.len);
}

bool ike2_auth_inner_again(const struct ike2_sa *sa, struct ike_payloads *in)
{
    return ike_payloads_parse(sa->setup->inner_first, ike2_view(&sa->setup->inner), in) == IKE_OK;
}

void ike2_auth_put(struct ike2_sa *sa, struct ike_out *o, struct gh_view value)
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

void ike2_auth_put_id(struct ike_out *o, uint8_t payload, const struct gh_identity *id)
{
    ike_id_emit(o, payload,
                &(struct ike_id){.type = id->type, .data = gh_view_of(id->data, id->len)});
}

void ike2_auth_drop_others(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_sa *next;

    if (!ike_has_notify(in, IKE_N_INITIAL_CONTACT) || ike2_auth_is_anonymous(in))
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

void ike2_auth_up(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
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

static void ppk_answered(struct ike2 *c, struct ike2_sa *sa, const struct gh_keeper_answer *a)
{
    enum ike2_ppk_state state = ike2_ppk_take(c, sa, a);
    struct ike_payloads in = {.count = 0};

    if (!sa->initiator) {
        if (!ike2_auth_inner_again(sa, &in)) {
            ike2_auth_refuse(c, sa, "no memory", "");
            return;
        }
        if (state == IKE2_PPK_UNKNOWN) /* configured, but the keeper has it not */
            state = ike2_ppk_without(sa, &in);
        ike2_auth_ppk_decided(c, sa, &in, state);
        return;
    }
    if (state == IKE2_PPK_READY) {
        if (ike2_ppk_required(sa->policy))
            ike2_ppk_swap(sa); /* no AUTH without it */
        ike2_auth_prove_to_responder(c, sa);
    } else if (state != IKE2_PPK_ASKED) {
        ike2_auth_cannot_begin(c, sa, "the keeper cannot apply the PPK", "configure it");
    }
}

/* Our own value may stand behind it. */
static void peer_psk(struct ike2 *c, struct ike2_sa *sa, const struct gh_keeper_answer *a)
{
    const size_t len = gh_prf_len((enum gh_prf_alg)sa->suite.prf);
    struct gh_view peer = a->value, own = gh_view_of(NULL, 0);
    struct ike_payloads in = {.count = 0};

    if (a->result != GH_KEEPER_OK) {
        ike2_auth_refuse(c, sa, "there is no pre-shared key for it", "configure one");
        return;
    }
    if (peer.len == 2 * len) {
        peer.len = len;
        own = gh_view_of(a->value.p + len, len);
    }
    if (!ike2_auth_inner_again(sa, &in)) {
        ike2_auth_refuse(c, sa, "no memory", "");
        return;
    }
    if (!ike2_check_psk(sa, &in, peer)) {
        ike2_auth_disbelieve(
            c, sa,
            sa->ppk_used ? "its AUTH does not verify: the pre-shared keys differ, or the PPKs"
                         : "its AUTH does not verify: the pre-shared keys differ",
            "set the same key at both ends");
        return;
    }
    if (sa->initiator)
        ike2_auth_believe_responder(c, sa, &in);
    else if (own.len > 0)
        ike2_auth_finish(c, sa, own);
    else
        ike2_auth_prove_to_initiator(c, sa);
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
        ike2_auth_have(c, sa, a->value);
    else
        ike2_auth_finish(c, sa, a->value);
}

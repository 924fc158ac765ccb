/*
 * Session resumption (RFC 5723): an IKE SA that was lost comes again without a key exchange and
 * without credentials, by a ticket that the gateway gave and SK_d of that time.
 *
 * As client the core keeps one ticket for each policy; as gateway it keeps none (tickets.c).
 */
#include <stdlib.h>
#include <string.h>

#include "ike/admission.h"
#include "ike/proposal.h"
#include "ike/v2/command.h"
#include "ike/v2/extend.h"
#include "ike/v2/flight.h"
#include "ike/v2/gate.h"
#include "ike/v2/init.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "ike/v2/proof.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tell.h"
#include "ike/v2/tickets.h"
#include "ike/v2/whose.h"

enum { TICKET_MAX = 4096, TRIES = 3 };

/* What a client keeps. */
struct ike2_stub {
    struct ike2_stub *next;
    char policy[IKE2_NAME + 1];
    struct ike2_resumed state;
};

static void state_clear(struct ike2_resumed *r)
{
    gh_secret_clear(&r->sk_d);
    gh_secret_clear(&r->ticket);
}

void ike2_resumed_free(struct ike2_resumed *r)
{
    if (r == NULL)
        return;
    state_clear(r);
    free(r);
}

static void stub_free(struct ike2_stub *s)
{
    state_clear(&s->state);
    free(s);
}

void ike2_resume_free(struct ike2 *c)
{
    while (c->stubs != NULL) {
        struct ike2_stub *s = c->stubs;

        c->stubs = s->next;
        stub_free(s);
    }
    ike2_tickets_free(c);
}

static struct ike2_stub *take_stub(struct ike2 *c, const char *policy)
{
    struct ike2_stub **at = &c->stubs, *s;

    while (*at != NULL && strcmp((*at)->policy, policy) != 0)
        at = &(*at)->next;
    s = *at;
    if (s != NULL)
        *at = s->next;
    return s;
}

static void forget_stub(struct ike2 *c, const struct ike2_policy *p)
{
    struct ike2_stub *s = take_stub(c, p->name);

    if (s != NULL)
        stub_free(s);
}

void ike2_resume_forget(struct ike2 *c, const struct ike2_policy *p)
{
    forget_stub(c, p);
    if (p->resumption) /* tickets are with the peers: without the keys none of them is good */
        ike2_tickets_free(c);
}

void ike2_forget_tickets(struct ike2 *c)
{
    ike2_resume_free(c);
}

/* ---- Tickets, given and taken --------------------------------------------------------------- */

static bool is_offered(const struct ike2_suite *s, const struct ike_proposals *proposals)
{
    const struct ike_choice_rules rules = {.additional_ke = true};
    struct ike_sa offer, ours;
    struct ike_proposal chosen;

    offer.count = 1;
    ike2_suite_proposal(s, &offer.proposal[0]);
    ike_proposals_get(proposals, &ours);
    return ike_proposal_choose(&offer, &ours, &rules, &chosen, NULL);
}

void ike2_resume_ask(struct ike2_sa *sa, struct ike_out *o)
{
    if (sa->policy->resumption)
        ike_notify_emit_data(o, IKE_N_TICKET_REQUEST, gh_view_of(NULL, 0));
}

static uint32_t lifetime_of(const struct ike2 *c, const struct ike2_sa *sa)
{
    uint32_t life = sa->policy->lifetime.seconds;

    return life != 0 && life < c->settings.ticket_seconds ? life : c->settings.ticket_seconds;
}

static bool put_ticket(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    struct ike2_ticket_state s = {.suite = sa->suite,
                                  .expires = c->now.wall + lifetime_of(c, sa),
                                  .ppk_used = sa->ppk_used,
                                  .client = *sa->remote_id,
                                  .gateway = *sa->local_id};
    uint8_t octets[TICKET_MAX], data[TICKET_MAX + 4];
    struct gh_wr t = gh_wr_make(octets, sizeof(octets)), w = gh_wr_make(data, sizeof(data));
    struct gh_view sk_d = ike2_sk_d(sa);
    bool good;

    memcpy(s.policy, sa->policy->name, sizeof(s.policy));
    memcpy(s.spi_i, sa->spi_i, IKE_SPI_LEN);
    memcpy(s.spi_r, sa->spi_r, IKE_SPI_LEN);
    memcpy(s.sk_d, sk_d.p, sk_d.len);
    s.sk_d_len = (uint8_t)sk_d.len;
    ike2_ticket_spend(c, &sa->ticket); /* one at a time */
    good = ike2_ticket_seal(c, &s, &t, &sa->ticket);
    gh_wipe(&s, sizeof(s));
    if (!good)
        return false;
    ike_ticket_put(&w, &(struct ike_ticket){.lifetime = lifetime_of(c, sa),
                                            .ticket = gh_view_of(octets, t.len)});
    ike_notify_emit_data(o, IKE_N_TICKET_LT_OPAQUE, gh_view_of(data, w.len));
    return true;
}

void ike2_resume_give(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    if (!sa->policy->resumption || !put_ticket(c, sa, o))
        ike_notify_emit_data(o, IKE_N_TICKET_NACK, gh_view_of(NULL, 0));
    else
        ike2_count(c, IKE2_COUNT_TICKETS_GIVEN);
}

void ike2_resume_take(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_stub *s;
    struct gh_view sk_d = ike2_sk_d(sa);
    struct ike_ticket ticket;
    struct ike_notify n;

    forget_stub(c, sa->policy); /* of an SA before this one */
    if (!sa->policy->resumption || !ike_find_notify(in, IKE_N_TICKET_LT_OPAQUE, 0, &n) ||
        ike_ticket_read(n.data, &ticket) != IKE_OK || ticket.ticket.len > TICKET_MAX)
        return;
    s = calloc(1, sizeof(*s));
    if (s == NULL || !gh_secret_set(&s->state.ticket, ticket.ticket.p, ticket.ticket.len) ||
        !gh_secret_set(&s->state.sk_d, sk_d.p, sk_d.len)) {
        if (s != NULL)
            stub_free(s);
        return;
    }
    memcpy(s->policy, sa->policy->name, sizeof(s->policy));
    s->state.sa = sa->id;
    s->state.expires = c->now.wall + ticket.lifetime;
    s->state.suite = sa->suite;
    s->state.ppk_used = sa->ppk_used;
    s->state.local = *sa->local_id;
    s->state.remote = *sa->remote_id;
    s->next = c->stubs;
    c->stubs = s;
}

/* Whoever ends an IKE SA ends its ticket; one that is lost may come again. */
void ike2_resume_ended(struct ike2 *c, const struct ike2_sa *sa, enum ike2_removal why)
{
    if (why == IKE2_REMOVED_LOST)
        return;
    ike2_ticket_spend(c, &sa->ticket);
    for (struct ike2_stub **at = &c->stubs; *at != NULL; at = &(*at)->next)
        if ((*at)->state.sa == sa->id) {
            struct ike2_stub *s = *at;

            *at = s->next;
            stub_free(s);
            return;
        }
}

/* ---- AUTH ----------------------------------------------------------------------------------- */

static bool auth_of(const struct ike2_sa *sa, bool initiator, struct gh_view id_body,
                    uint8_t out[GH_PRF_MAX])
{
    enum gh_prf_alg prf = (enum gh_prf_alg)sa->suite.prf;
    struct gh_secret octets = {.data = NULL};
    struct gh_view part;
    bool good = ike2_signed_octets(sa, initiator, id_body, &octets);

    part = ike2_view(&octets);
    good = good && gh_prf(prf, ike2_sk_p(sa, initiator), &part, 1, out);
    gh_secret_clear(&octets);
    return good;
}

bool ike2_resume_prove(struct ike2_sa *sa, struct gh_secret *value)
{
    uint8_t body[GH_ID_BODY], mac[GH_PRF_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));
    bool good;

    gh_identity_put(&w, sa->local_id);
    good = gh_wr_ok(&w) && auth_of(sa, sa->initiator, gh_view_of(body, w.len), mac) &&
           gh_secret_set(value, mac, gh_prf_len((enum gh_prf_alg)sa->suite.prf));
    gh_wipe(mac, sizeof(mac));
    return good;
}

bool ike2_resume_believes(struct ike2_sa *sa, const struct ike_payloads *in)
{
    const struct ike_payload *id = ike_find(in, sa->initiator ? IKE_P_IDR : IKE_P_IDI, 0);
    const struct ike_payload *auth = ike_find(in, IKE_P_AUTH, 0);
    uint8_t mac[GH_PRF_MAX];
    bool good = gh_identity_equal(sa->remote_id, &sa->setup->resumed->remote) &&
                ike_find(in, IKE_P_CERT, 0) == NULL && auth_of(sa, !sa->initiator, id->body, mac) &&
                gh_auth_equal(auth->body, GH_AUTH_PSK,
                              gh_view_of(mac, gh_prf_len((enum gh_prf_alg)sa->suite.prf)));

    gh_wipe(mac, sizeof(mac));
    return good;
}

/* The SA of which the ticket was goes silently, if it is still there (RFC 5723 4.3.4). */
void ike2_resume_done(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_resumed *r = sa->setup->resumed;
    struct ike2_sa *old = ike2_by_spi(c, r->spi_r);

    ike2_count(c, IKE2_COUNT_SA_RESUMED);
    if (sa->initiator)
        return;
    ike2_ticket_spend(c, &r->ref);
    if (old == NULL)
        old = ike2_by_spi(c, r->spi_i);
    if (old != NULL && old != sa && old->state >= IKE2_STATE_ESTABLISHED &&
        memcmp(old->spi_i, r->spi_i, IKE_SPI_LEN) == 0 &&
        memcmp(old->spi_r, r->spi_r, IKE_SPI_LEN) == 0)
        ike2_sa_die(c, old, IKE2_REMOVED_LOST);
}

static bool own_local_id(struct ike2_sa *sa)
{
    sa->local_id = malloc(sizeof(*sa->local_id));
    if (sa->local_id != NULL)
        *sa->local_id = sa->setup->resumed->local;
    return sa->local_id != NULL;
}

static bool derive(struct ike2_sa *sa)
{
    const struct ike2_setup *s = sa->setup;

    return ike2_derive_resumed(sa, ike2_view(&s->resumed->sk_d),
                               gh_view_of(s->nonce_i, s->nonce_i_len),
                               gh_view_of(s->nonce_r, s->nonce_r_len));
}

/* ---- Client --------------------------------------------------------------------------------- */

bool ike2_resume_possible(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_stub *s = sa->policy->resumption ? take_stub(c, sa->policy->name) : NULL;

    if (s == NULL)
        return false;
    if (c->now.wall < s->state.expires && is_offered(&s->state.suite, &sa->policy->proposals))
        sa->setup->resumed = malloc(sizeof(*sa->setup->resumed));
    if (sa->setup->resumed == NULL) {
        stub_free(s);
        return false;
    }
    *sa->setup->resumed = s->state; /* its secrets are the setup's now */
    free(s);
    return true;
}

void ike2_resume_start(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_setup *s = sa->setup;
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = IKE_X_SESSION_RESUME, .flags = IKE_FLAG_INITIATOR};
    struct gh_view octets;
    struct ike_out o;

    memcpy(h.spi_i, sa->spi_i, IKE_SPI_LEN);
    if (s->nonce_i_len == 0) {
        s->nonce_i_len = IKE2_NONCE;
        c->ops.random(c->ops.ctx, s->nonce_i, IKE2_NONCE);
        ike2_count(c, IKE2_COUNT_SA_INITIATED);
        ike2_tell(c, sa, IKE2_EVENT_SA_BEGUN, 0, "IKE_SESSION_RESUME begins");
    }
    o = ike_out_message(c->inner, sizeof(c->inner), &h);
    ike2_gate_put(sa, &o);
    ike_nonce_emit(&o, gh_view_of(s->nonce_i, s->nonce_i_len));
    ike_notify_emit_data(&o, IKE_N_TICKET_OPAQUE, ike2_view(&s->resumed->ticket));
    ike2_put_nat(&o, h.spi_i, h.spi_r, sa);
    ike2_redirect_put(c, sa, &o);
    ike2_put_abilities(&o, sa->policy);
    if (!ike_out_done(&o, &octets) || !gh_secret_set(&s->request, octets.p, octets.len) ||
        !ike2_request_plain(c, sa, octets)) {
        ike2_fail(c, sa, IKE2_COUNT_NO_MEMORY, "no room for IKE_SESSION_RESUME");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
}

void ike2_resume_response(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                          const struct ike_message *m)
{
    struct ike2_setup *s = sa->setup;
    struct ike_verdict v;
    struct ike_notify n;
    struct gh_view nonce;

    if (!ike_admit(IKE_STEP_RESUME, true, IKE_STATE_HALF_OPEN, m, NULL, &v)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    if (v.refused == IKE_N_COOKIE && ike_find_notify(&m->clear, IKE_N_COOKIE, 0, &n) &&
        n.data.len > 0 && n.data.len <= IKE_COOKIE_MAX) {
        if (ike2_gate_closed(c, sa, m, n.data))
            ike2_resume_start(c, sa);
        return;
    }
    if (v.refused == IKE_N_TICKET_NACK) { /* it may be a lie, and costs us a key exchange */
        ike2_begin_anew(c, sa, "the peer does not take the ticket");
        return;
    }
    if (v.refused == IKE_N_REDIRECT) {
        ike2_redirect_first(c, sa, m);
        return;
    }
    if (v.refused != 0 ||
        ike_nonce_parse(ike_find(&m->clear, IKE_P_NONCE, 0)->body, &nonce) != IKE_OK) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    memcpy(s->nonce_r, nonce.p, nonce.len);
    s->nonce_r_len = nonce.len;
    memcpy(sa->spi_r, m->h.spi_r, IKE_SPI_LEN);
    sa->suite = s->resumed->suite;
    sa->ppk_used = s->resumed->ppk_used;
    if (!gh_secret_set(&s->response, d->data, d->len) || !derive(sa)) {
        ike2_begin_anew(c, sa, "no memory");
        return;
    }
    ike2_log_keys(c, sa);
    ike2_first_answered(c, sa, m);
}

/* ---- Gateway -------------------------------------------------------------------------------- */

static struct ike2_policy *policy_of(struct ike2 *c, const struct ike2_datagram *d,
                                     const struct ike2_ticket_state *t)
{
    struct ike2_policy *p = NULL;

    while ((p = ike2_policy_for(&c->whose, &d->local, &d->remote.addr, p)) != NULL)
        if (p->resumption && strcmp(p->name, t->policy) == 0 &&
            is_offered(&t->suite, &p->proposals))
            return p;
    return NULL;
}

static bool take_up(struct ike2_sa *sa, const struct ike2_ticket_state *t,
                    const struct ike2_ticket_ref *ref)
{
    struct ike2_resumed *r = sa->setup->resumed = calloc(1, sizeof(*r));

    if (r == NULL || !gh_secret_set(&r->sk_d, t->sk_d, t->sk_d_len))
        return false;
    r->local = t->gateway;
    r->remote = t->client;
    r->ref = *ref;
    memcpy(r->spi_i, t->spi_i, IKE_SPI_LEN);
    memcpy(r->spi_r, t->spi_r, IKE_SPI_LEN);
    sa->suite = t->suite;
    sa->ppk_used = t->ppk_used;
    return own_local_id(sa) && derive(sa);
}

static bool respond(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d)
{
    struct ike2_setup *s = sa->setup;
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = IKE_X_SESSION_RESUME, .flags = IKE_FLAG_RESPONSE};
    struct gh_view octets;
    struct ike_out o;

    memcpy(h.spi_i, sa->spi_i, IKE_SPI_LEN);
    memcpy(h.spi_r, sa->spi_r, IKE_SPI_LEN);
    o = ike_out_message(c->inner, sizeof(c->inner), &h);
    ike_nonce_emit(&o, gh_view_of(s->nonce_r, s->nonce_r_len));
    ike2_put_nat(&o, h.spi_i, h.spi_r, sa);
    ike2_put_abilities(&o, sa->policy);
    ike2_put_childless(&o, sa->policy);
    return ike_out_done(&o, &octets) && gh_secret_set(&s->response, octets.p, octets.len) &&
           gh_secret_set(&s->request, d->data, d->len) && ike2_keep_plain(sa, octets);
}

static void refuse(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m)
{
    ike2_count(c, IKE2_COUNT_BAD_TICKET);
    ike2_answer_plain(c, d, m, IKE_N_TICKET_NACK, gh_view_of(NULL, 0), NULL);
}

void ike2_resume_request(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m)
{
    struct ike2_ticket_state t = {.expires = 0};
    struct ike2_policy *policy = NULL;
    struct ike2_ticket_ref ref;
    struct ike_verdict v;
    struct ike_notify n;
    struct gh_view nonce;
    struct ike2_sa *sa;

    if (!ike_admit(IKE_STEP_RESUME, false, IKE_STATE_NONE, m, NULL, &v) ||
        ike_nonce_parse(ike_find(&m->clear, IKE_P_NONCE, 0)->body, &nonce) != IKE_OK ||
        !ike_find_notify(&m->clear, IKE_N_TICKET_OPAQUE, 0, &n)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    if (!ike2_gate(c, d, m, nonce, NULL))
        return;
    if (ike2_ticket_open(c, n.data, &t, &ref))
        policy = policy_of(c, d, &t);
    if (policy != NULL && !ike2_half_open_room(c)) {
        gh_wipe(&t, sizeof(t));
        return;
    }
    sa = policy != NULL ? ike2_sa_new(c, policy, false, &d->local, &d->remote) : NULL;
    if (sa == NULL) {
        gh_wipe(&t, sizeof(t));
        refuse(c, d, m);
        return;
    }
    memcpy(sa->spi_i, m->h.spi_i, IKE_SPI_LEN);
    sa->marker = d->marker;
    memcpy(sa->setup->nonce_i, nonce.p, nonce.len);
    sa->setup->nonce_i_len = nonce.len;
    sa->setup->nonce_r_len = IKE2_NONCE;
    c->ops.random(c->ops.ctx, sa->setup->nonce_r, IKE2_NONCE);
    ike2_take_abilities(sa, m);
    ike2_detect_nat(sa, m->h.spi_i, m->h.spi_r, &m->clear);
    if (!take_up(sa, &t, &ref) || !respond(c, sa, d) || !ike2_sa_link(c, sa)) {
        ike2_sa_free(sa);
        refuse(c, d, m);
    } else {
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "IKE_SESSION_RESUME: the ticket is good");
        ike2_first_accepted(c, sa, d);
    }
    gh_wipe(&t, sizeof(t));
}

bool ike2_resume_begin_auth(struct ike2_sa *sa, struct gh_secret *value)
{
    return own_local_id(sa) && ike2_resume_prove(sa, value);
}

/* No answer: the peer may not know what a ticket is any more. But if it is silent at all, the
 * ticket is as good as before when it is back. */
bool ike2_resume_gave_up(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_stub *s;

    if (sa->task == NULL || sa->task->kind != IKE2_TASK_RESUME ||
        (sa->task->transmissions < TRIES && sa->task->transmissions <= sa->policy->retransmits))
        return false;
    s = calloc(1, sizeof(*s));
    if (s != NULL) {
        memcpy(s->policy, sa->policy->name, sizeof(s->policy));
        s->state = *sa->setup->resumed; /* its secrets are the stub's again */
        free(sa->setup->resumed);
        sa->setup->resumed = NULL;
    }
    ike2_begin_anew(c, sa, "no answer to the ticket");
    if (s != NULL) {
        s->next = c->stubs;
        c->stubs = s;
    }
    return true;
}

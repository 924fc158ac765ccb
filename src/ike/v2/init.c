/*
 * IKE_SA_INIT (RFC 7296 1.2, 2.6, 2.7, 2.23): in clear, so the responder keeps nothing before it
 * has to, and what the initiator is told may be a lie: errors are believed only as hints.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/ke.h"
#include "ike/admission.h"
#include "ike/ke_payload.h"
#include "ike/miss.h"
#include "ike/nonce.h"
#include "ike/proposal.h"
#include "ike/v2/addke.h"
#include "ike/v2/admin.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/extend.h"
#include "ike/v2/flight.h"
#include "ike/v2/gate.h"
#include "ike/v2/init.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/keys.h"
#include "ike/v2/ppk.h"
#include "ike/v2/priv.h"
#include "ike/v2/proof.h"
#include "ike/v2/redirect.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "ike/v2/whose.h"

/* How often we begin anew because somebody, who may be anybody, asks for a cookie (RFC 7296 2.6),
 * with a puzzle or without. */
enum { COOKIES_MAX = 5 };

/* ---- NAT detection -------------------------------------------------------------------------- */

static bool nat_hash(const uint8_t spi_i[IKE_SPI_LEN], const uint8_t spi_r[IKE_SPI_LEN],
                     const struct ike2_endpoint *end, uint8_t out[GH_HASH_MAX])
{
    const uint8_t port[2] = {(uint8_t)(end->port >> 8), (uint8_t)end->port};
    const struct gh_view parts[] = {gh_view_of(spi_i, IKE_SPI_LEN), gh_view_of(spi_r, IKE_SPI_LEN),
                                    gh_view_of(end->addr.octets, end->addr.len),
                                    gh_view_of(port, sizeof(port))};

    return gh_hash(GH_HASH_SHA_1, parts, 4, out);
}

void ike2_put_nat(struct ike_out *o, const uint8_t *spi_i, const uint8_t *spi_r,
                  const struct ike2_sa *sa)
{
    uint8_t hash[GH_HASH_MAX];

    if (sa->policy->no_nats)
        return;
    if (nat_hash(spi_i, spi_r, &sa->local, hash)) {
        if (sa->policy->force_nat_t)
            hash[0] ^= 0xff; /* the peer sees a NAT, and encapsulates */
        ike_notify_emit_data(o, IKE_N_NAT_DETECTION_SOURCE_IP, gh_view_of(hash, 20));
    }
    if (nat_hash(spi_i, spi_r, &sa->remote, hash))
        ike_notify_emit_data(o, IKE_N_NAT_DETECTION_DESTINATION_IP, gh_view_of(hash, 20));
}

void ike2_detect_nat(struct ike2_sa *sa, const uint8_t *spi_i, const uint8_t *spi_r,
                     const struct ike_payloads *in)
{
    struct ike_notify n;
    uint8_t hash[GH_HASH_MAX];
    bool any = false, same = false;

    if (sa->policy->no_nats)
        return;
    for (size_t i = 0; ike_find_notify(in, IKE_N_NAT_DETECTION_SOURCE_IP, i, &n); i++) {
        any = true;
        same = same || (nat_hash(spi_i, spi_r, &sa->remote, hash) &&
                        gh_view_equal(n.data, gh_view_of(hash, 20)));
    }
    sa->nat_remote = any && !same;
    if (ike_find_notify(in, IKE_N_NAT_DETECTION_DESTINATION_IP, 0, &n))
        sa->nat_local = nat_hash(spi_i, spi_r, &sa->local, hash) &&
                        !gh_view_equal(n.data, gh_view_of(hash, 20));
    if (sa->policy->force_nat_t && any)
        sa->nat_remote = true;
}

/* ---- What both say of themselves ------------------------------------------------------------ */

void ike2_put_abilities(struct ike_out *o, const struct ike2_policy *p)
{
    uint8_t octets[16];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));

    if (p->fragmentation)
        ike_notify_emit_data(o, IKE_N_FRAGMENTATION_SUPPORTED, gh_view_of(NULL, 0));
    gh_sig_hashes_put(&w, GH_SIG_DEFAULT);
    ike_notify_emit_data(o, IKE_N_SIGNATURE_HASH_ALGORITHMS, gh_view_of(octets, w.len));
}

void ike2_take_abilities(struct ike2_sa *sa, const struct ike_message *m)
{
    struct ike_notify n;

    sa->fragmentation =
        sa->policy->fragmentation && ike_has_notify(&m->clear, IKE_N_FRAGMENTATION_SUPPORTED);
    sa->can_redirect = ike2_redirect_is_heard(m);
    sa->setup->peer_childless = ike_has_notify(&m->clear, IKE_N_CHILDLESS_IKEV2_SUPPORTED);
    if (ike_find_notify(&m->clear, IKE_N_SIGNATURE_HASH_ALGORITHMS, 0, &n))
        sa->setup->peer_hashes = gh_sig_hashes_parse(n.data);
}

/* ---- Initiator ------------------------------------------------------------------------------ */

void ike2_init_start(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_setup *s = sa->setup;
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = IKE_X_SA_INIT, .flags = IKE_FLAG_INITIATOR};
    struct gh_view octets;
    struct ike_sa offer;
    struct ike_out o;

    memcpy(h.spi_i, sa->spi_i, IKE_SPI_LEN);
    ike2_offer(&sa->policy->proposals, sa->policy->intermediate, &offer);
    if (offer.count == 0) {
        ike2_fail(c, sa, IKE2_COUNT_NO_PROPOSAL,
                  "no proposal can be offered: their key exchanges are not to be had here");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    if (s->group == 0)
        s->group = ike_ke_guess(&offer);
    if (s->nonce_i_len == 0) {
        s->nonce_i_len = IKE2_NONCE;
        c->ops.random(c->ops.ctx, s->nonce_i, IKE2_NONCE);
        ike2_count(c, IKE2_COUNT_SA_INITIATED);
        ike2_tell(c, sa, IKE2_EVENT_SA_BEGUN, 0, "IKE_SA_INIT begins");
    }
    if (s->ke == NULL && !ike2_make_ke(c, s->group, &s->ke)) {
        ike2_fail(c, sa, IKE2_COUNT_NO_MEMORY, "no key pair for group %u", s->group);
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    ike2_tell_offer(c, sa, "IKE_SA_INIT: we offer", &offer);
    o = ike_out_message(c->inner, sizeof(c->inner), &h);
    ike2_gate_put(sa, &o);
    ike_sa_emit(&o, &offer);
    ike_ke_emit(&o, &(struct ike_ke){.method = s->group, .data = gh_ke_public(s->ke)});
    ike_nonce_emit(&o, gh_view_of(s->nonce_i, s->nonce_i_len));
    ike2_put_nat(&o, h.spi_i, h.spi_r, sa);
    ike2_redirect_put(c, sa, &o);
    ike2_put_abilities(&o, sa->policy);
    if (ike2_has_addke(&offer))
        ike2_intermediate_put(&o);
    ike2_ppk_offer(sa->policy, &o);
    if (!ike_out_done(&o, &octets) || !gh_secret_set(&s->request, octets.p, octets.len) ||
        !ike2_request_plain(c, sa, octets)) {
        ike2_fail(c, sa, IKE2_COUNT_NO_MEMORY, "no room for IKE_SA_INIT");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
}

/* Apart, for what it takes is large. */
static bool __attribute__((noinline)) may_retry(const struct ike2_sa *sa, uint16_t group)
{
    struct ike_sa ours;

    ike_proposals_get(&sa->policy->proposals, &ours);
    return ike_ke_retry(&ours, sa->setup->group, group);
}

/* COOKIE, INVALID_KE_PAYLOAD: begin again with what is asked for. True: done so. */
static bool begin_anew(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                       uint16_t refused)
{
    struct ike2_setup *s = sa->setup;
    struct ike_notify n;
    uint16_t group;

    if (!ike_find_notify(&m->clear, refused, 0, &n))
        return false;
    if (refused == IKE_N_COOKIE && n.data.len > 0 && n.data.len <= IKE_COOKIE_MAX &&
        s->cookies_taken < COOKIES_MAX) {
        if (!ike2_gate_closed(c, sa, m, n.data))
            return true;
    } else if (refused == IKE_N_INVALID_KE_PAYLOAD && !s->group_retried &&
               ike_invalid_ke_read(n.data, &group) == IKE_OK && may_retry(sa, group)) {
        s->group_retried = true;
        s->group = group;
        gh_ke_free(s->ke);
        s->ke = NULL;
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "the peer wants group %u", group);
    } else {
        return false;
    }
    ike2_init_start(c, sa);
    return true;
}

static bool take_answer(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                        char why[160])
{
    struct ike2_setup *s = sa->setup;
    const struct ike_choice_rules rules = {.additional_ke = sa->policy->intermediate};
    struct gh_secret shared = {.data = NULL};
    struct ike_choice_miss miss;
    struct ike_proposal chosen;
    struct ike_sa offer, ours;
    struct gh_view nonce;
    struct ike_ke ke;
    char text[200];
    bool good;

    strcpy(why, "no memory");
    if (ike_sa_parse(ike_find(&m->clear, IKE_P_SA, 0)->body, &offer) != IKE_OK ||
        ike_ke_parse(ike_find(&m->clear, IKE_P_KE, 0)->body, &ke) != IKE_OK ||
        ike_nonce_parse(ike_find(&m->clear, IKE_P_NONCE, 0)->body, &nonce) != IKE_OK)
        return false;
    if (ike2_spi_is_zero(m->h.spi_r)) {
        strcpy(why, "its SPI is zero");
        return false;
    }
    ike2_offer(&sa->policy->proposals, sa->policy->intermediate, &ours);
    if (!ike_proposal_confirm(&offer, &ours, &rules, &chosen, &miss) ||
        !ike2_suite_of(&chosen, &sa->suite)) {
        strcpy(why, "it chose what was not offered");
        return false;
    }
    if (ike2_proposal_has_addke(&chosen) && !ike2_intermediate_heard(m)) {
        strcpy(why, "it chose additional key exchanges, but has no IKE_INTERMEDIATE");
        return false;
    }
    if (ke.method != s->group || sa->suite.ke != s->group) {
        strcpy(why, "its key exchange is of another group");
        return false;
    }
    memcpy(s->nonce_r, nonce.p, nonce.len);
    s->nonce_r_len = nonce.len;
    memcpy(sa->spi_r, m->h.spi_r, IKE_SPI_LEN);
    strcpy(why, "its public value is refused");
    good = gh_ke_shared(s->ke, ke.data, &shared) &&
           ike2_derive(sa, &shared, gh_view_of(s->nonce_i, s->nonce_i_len),
                       gh_view_of(s->nonce_r, s->nonce_r_len));
    gh_secret_clear(&shared);
    if (!good)
        return false;
    ike2_log_keys(c, sa);
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "IKE_SA_INIT: chosen %s",
              ike_proposal_format(&chosen, text, sizeof(text)));
    return true;
}

void ike2_first_answered(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m)
{
    /* RFC 4555 3.3: port 4500 from the beginning, so that a NAT may come on the way later. */
    bool moves = sa->policy->mobike && !sa->policy->no_nats &&
                 ike_has_notify(&m->clear, IKE_N_NAT_DETECTION_SOURCE_IP);

    ike2_take_abilities(sa, m);
    ike2_detect_nat(sa, m->h.spi_i, m->h.spi_r, &m->clear);
    ike2_take_certreqs(sa->setup, &m->clear);
    if (sa->nat_local || sa->nat_remote || moves) {
        sa->marker = true;
        sa->local.port = IKE2_PORT_NAT_T;
        sa->remote.port = IKE2_PORT_NAT_T;
    }
    if (sa->nat_local || sa->nat_remote)
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "a NAT is in between%s%s: port 4500",
                  sa->nat_local ? ", we are behind it" : "",
                  sa->nat_remote ? ", the peer is behind it" : "");
    ike2_gate_answered(c, sa, m);
    ike2_task_done(sa, sa->task);
    ike2_set_state(c, sa, IKE2_STATE_AUTH);
    ike2_intermediate_go_on(c, sa);
}

static void refused_init(struct ike2 *c, struct ike2_sa *sa, uint16_t notify)
{
    struct ike_sa offer;
    char text[200];

    if (notify != IKE_N_NO_PROPOSAL_CHOSEN) {
        ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED, "the peer answers IKE_SA_INIT with %s",
                  ike_notify_name(notify));
        return;
    }
    ike2_offer(&sa->policy->proposals, sa->policy->intermediate, &offer);
    ike2_fail(c, sa, IKE2_COUNT_NO_PROPOSAL,
              "the peer answers IKE_SA_INIT with NO_PROPOSAL_CHOSEN; we offered %s%s",
              offer.count > 0 ? ike_proposal_format(&offer.proposal[0], text, sizeof(text)) : "",
              offer.count > 1 ? " …" : "");
}

void ike2_init_response(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                        const struct ike_message *m)
{
    struct ike_verdict v;
    char why[160];

    if (sa->task == NULL || sa->task->kind != IKE2_TASK_INIT ||
        !ike_admit(IKE_STEP_SA_INIT, true, IKE_STATE_HALF_OPEN, m, NULL, &v)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    if (v.refused != 0) {
        if (begin_anew(c, sa, m, v.refused))
            return;
        if (v.refused == IKE_N_REDIRECT) {
            ike2_redirect_first(c, sa, m);
            return;
        }
        /* Not authenticated: it may be a lie, so the request is repeated to its end. */
        refused_init(c, sa, v.refused);
        return;
    }
    if (!ike2_ppk_answered(sa, m)) {
        ike2_fail(c, sa, IKE2_COUNT_AUTH_FAILED,
                  "IKE_SA_INIT response refused: the peer uses no PPK, but has to; configure the "
                  "PPK at the peer");
        return;
    }
    strcpy(why, "no memory");
    if (!gh_secret_set(&sa->setup->response, d->data, d->len) || !take_answer(c, sa, m, why)) {
        ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED, "IKE_SA_INIT response refused: %s", why);
        return;
    }
    ike2_first_answered(c, sa, m);
}

/* ---- Responder ------------------------------------------------------------------------------ */

void ike2_answer_plain(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m,
                       uint16_t type, struct gh_view data, const struct ike_puzzle *puzzle)
{
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = m->h.exchange, .flags = IKE_FLAG_RESPONSE};
    uint8_t octets[4];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));
    struct gh_view whole;
    struct ike_out o;

    memcpy(h.spi_i, m->h.spi_i, IKE_SPI_LEN);
    o = ike_out_message(c->inner, sizeof(c->inner), &h);
    ike_notify_emit_data(&o, type, data);
    if (puzzle != NULL) {
        ike_puzzle_put(&w, puzzle);
        ike_notify_emit_data(&o, IKE_N_PUZZLE, gh_view_of(octets, w.len));
    }
    if (ike_out_done(&o, &whole))
        ike2_send(c, &d->local, &d->remote, d->marker, whole);
}

static void answer(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m,
                   uint16_t type, struct gh_view data)
{
    ike2_answer_plain(c, d, m, type, data, NULL);
}

/* The first policy for these addresses that has a proposal in common; else `why` not, of the last
 * one. */
static struct ike2_policy *choose(struct ike2 *c, const struct ike2_datagram *d,
                                  const struct ike_message *m, const struct ike_sa *offer,
                                  struct ike_proposal *chosen, char why[IKE_MISS_TEXT])
{
    bool intermediate = ike2_intermediate_heard(m);
    struct ike2_policy *p = NULL;

    while ((p = ike2_policy_for(&c->whose, &d->local, &d->remote.addr, p)) != NULL) {
        const struct ike_choice_rules rules = {.prefer_theirs = p->prefer_theirs,
                                               .additional_ke = intermediate && p->intermediate};
        struct ike_choice_miss miss;
        struct ike_sa ours;

        ike2_offer(&p->proposals, rules.additional_ke, &ours);
        if (ike_proposal_choose(offer, &ours, &rules, chosen, &miss))
            return p;
        ike_miss_format(offer, &ours, &miss, why, IKE_MISS_TEXT);
    }
    return NULL;
}

static void refuse_proposals(struct ike2 *c, const struct ike2_datagram *d,
                             const struct ike_message *m, const char *why)
{
    char addr[GH_ADDR_TEXT];

    ike2_fail(c, NULL, IKE2_COUNT_NO_PROPOSAL, "IKE_SA_INIT from %s: no proposal chosen: %s",
              gh_addr_format(&d->remote.addr, addr), why);
    answer(c, d, m, IKE_N_NO_PROPOSAL_CHOSEN, gh_view_of(NULL, 0));
}

static bool respond(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                    const struct ike_message *m, const struct ike_proposal *chosen,
                    struct gh_view peer_public)
{
    struct ike2_setup *s = sa->setup;
    struct ike_header h = {
        .version = IKE_VERSION_2, .exchange = IKE_X_SA_INIT, .flags = IKE_FLAG_RESPONSE};
    uint8_t public_value[GH_KE_PUBLIC_MAX];
    struct gh_secret shared = {.data = NULL};
    struct gh_view octets;
    struct ike_out o;
    bool good;

    good = ike2_answer_ke(c, sa->suite.ke, peer_public, public_value, &shared) &&
           ike2_derive(sa, &shared, gh_view_of(s->nonce_i, s->nonce_i_len),
                       gh_view_of(s->nonce_r, s->nonce_r_len));
    gh_secret_clear(&shared);
    if (!good)
        return false;
    memcpy(h.spi_i, sa->spi_i, IKE_SPI_LEN);
    memcpy(h.spi_r, sa->spi_r, IKE_SPI_LEN);
    o = ike_out_message(c->inner, sizeof(c->inner), &h);
    ike_sa_emit_one(&o, chosen);
    ike_ke_emit(&o, &(struct ike_ke){
                        .method = sa->suite.ke,
                        .data = gh_view_of(public_value, gh_ke_public_len(sa->suite.ke, true))});
    ike_nonce_emit(&o, gh_view_of(s->nonce_r, s->nonce_r_len));
    ike2_put_nat(&o, h.spi_i, h.spi_r, sa);
    ike2_put_certreq(c, sa->policy, &o);
    ike2_put_abilities(&o, sa->policy);
    if (ike2_proposal_has_addke(chosen))
        ike2_intermediate_put(&o);
    ike2_ppk_answer(c, sa, m, &o);
    ike2_put_childless(&o, sa->policy);
    return ike_out_done(&o, &octets) && gh_secret_set(&s->response, octets.p, octets.len) &&
           gh_secret_set(&s->request, d->data, d->len) && ike2_keep_plain(sa, octets);
}

static uint32_t half_open_ms(const struct ike2 *c, const struct ike2_policy *p)
{
    bool crowded = c->half_open >= c->settings.half_open_cookie;

    return crowded && c->settings.reduced_exchange_ms < p->half_open_ms
               ? c->settings.reduced_exchange_ms
               : p->half_open_ms;
}

void ike2_first_accepted(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d)
{
    sa->receive_id = 1;
    ike2_log_keys(c, sa);
    sa->expire_at = c->now.mono_ms + half_open_ms(c, sa->policy);
    ike2_set_state(c, sa, IKE2_STATE_AUTH);
    ike2_count(c, IKE2_COUNT_SA_ANSWERED);
    sa->asked = ike2_path_of(d);
    ike2_send_response(c, sa, 0);
    ike2_schedule(c, sa);
}

static void tell_offered(struct ike2 *c, const struct ike2_datagram *d, const struct ike_sa *offer)
{
    char text[GH_ADDR_TEXT + 40], addr[GH_ADDR_TEXT];

    snprintf(text, sizeof(text), "IKE_SA_INIT from %s: offered",
             gh_addr_format(&d->remote.addr, addr));
    ike2_tell_offer(c, NULL, text, offer);
}

void ike2_init_request(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m)
{
    struct ike_proposal chosen;
    struct ike2_policy *policy;
    struct ike_verdict v;
    struct gh_view nonce;
    struct ike2_sa *sa;
    struct ike_sa offer;
    struct ike_ke ke;
    char text[200], addr[GH_ADDR_TEXT], why[IKE_MISS_TEXT] = "";

    if (!ike_admit(IKE_STEP_SA_INIT, false, IKE_STATE_NONE, m, NULL, &v)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        if (v.notify != 0)
            answer(c, d, m, v.notify,
                   gh_view_of(&v.payload, v.notify == IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD));
        return;
    }
    if (ike2_policy_for(&c->whose, &d->local, &d->remote.addr, NULL) == NULL) {
        if (!ike2_admin_blocks(&c->whose, &d->local, &d->remote.addr)) {
            ike2_fail(c, NULL, IKE2_COUNT_NO_POLICY,
                      "IKE_SA_INIT from %s: no peer has this address",
                      gh_addr_format(&d->remote.addr, addr));
            return;
        }
        ike2_fail(c, NULL, IKE2_COUNT_ADMIN_DOWN,
                  "IKE_SA_INIT from %s: the peer is administratively down",
                  gh_addr_format(&d->remote.addr, addr));
        answer(c, d, m, IKE_N_NO_PROPOSAL_CHOSEN, gh_view_of(NULL, 0));
        return;
    }
    if (ike_nonce_parse(ike_find(&m->clear, IKE_P_NONCE, 0)->body, &nonce) != IKE_OK ||
        ike_sa_parse(ike_find(&m->clear, IKE_P_SA, 0)->body, &offer) != IKE_OK ||
        ike_ke_parse(ike_find(&m->clear, IKE_P_KE, 0)->body, &ke) != IKE_OK)
        return;
    if (!ike2_gate(c, d, m, nonce, &offer))
        return;
    tell_offered(c, d, &offer);
    policy = choose(c, d, m, &offer, &chosen, why);
    if (policy == NULL) {
        refuse_proposals(c, d, m, why);
        return;
    }
    if (ike2_redirect_away(c, policy, d, m, nonce))
        return;
    if (ke.method != ike_proposal_id(&chosen, IKE_T_KE)) {
        uint16_t group = ike_proposal_id(&chosen, IKE_T_KE);
        const uint8_t wanted[2] = {(uint8_t)(group >> 8), (uint8_t)group};

        ike2_count(c, IKE2_COUNT_INVALID_KE);
        answer(c, d, m, IKE_N_INVALID_KE_PAYLOAD, gh_view_of(wanted, 2));
        return;
    }
    if (!ike2_half_open_room(c))
        return;
    sa = ike2_sa_new(c, policy, false, &d->local, &d->remote);
    if (sa == NULL) {
        if (c->sa_count < c->settings.sas_max)
            ike2_count(c, IKE2_COUNT_NO_MEMORY);
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
    if (!ike2_suite_of(&chosen, &sa->suite) || !respond(c, sa, d, m, &chosen, ke.data) ||
        !ike2_sa_link(c, sa)) {
        ike2_fail(c, NULL, IKE2_COUNT_INVALID_KE, "IKE_SA_INIT from %s: its key exchange failed",
                  gh_addr_format(&d->remote.addr, addr));
        ike2_sa_free(sa);
        return;
    }
    ike2_first_accepted(c, sa, d);
    if (ike2_is_read(c, IKE2_EVENT_STORY))
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "IKE_SA_INIT from %s: chosen %s",
                  gh_addr_format(&d->remote.addr, addr),
                  ike_proposal_format(&chosen, text, sizeof(text)));
}

/*
 * Child SAs (RFC 7296 1.3, 2.9, 2.17): what is asked for, what we make of it, keys, and who
 * installs them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/ke_payload.h"
#include "ike/miss.h"
#include "ike/proposal.h"
#include "ike/ts_set.h"
#include "ike/v2/addke.h"
#include "ike/v2/child.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

/* ---- Finding -------------------------------------------------------------------------------- */

struct ike2_child *ike2_child_by_id(const struct ike2_sa *sa, uint32_t id)
{
    struct ike2_child *child = sa->children;

    while (child != NULL && child->id != id)
        child = child->next;
    return child;
}

struct ike2_child *ike2_child_by_out(const struct ike2_sa *sa, uint8_t protocol, struct gh_view spi)
{
    struct ike2_child *child = sa->children;

    while (child != NULL && (child->suite.protocol != protocol ||
                             !gh_view_equal(gh_view_of(child->spi_out, child->spi_len), spi)))
        child = child->next;
    return child;
}

bool ike2_child_spi(struct ike2 *c, const struct ike2_sa *sa, const struct ike2_child_policy *p,
                    uint32_t replaces, uint8_t *spi, uint8_t *len)
{
    const struct ike2_spi_wish w = {.policy = sa->policy,
                                    .child = p,
                                    .remote_id = sa->remote_id,
                                    .remote = &sa->remote.addr,
                                    .replaces = replaces};

    *len = p->mode == IKE2_TCP_AO ? 1 : 4;
    if (c->ops.child_spi != NULL)
        return c->ops.child_spi(c->ops.ctx, &w, spi, *len);
    if (*len != 4)
        return false;
    do
        c->ops.random(c->ops.ctx, spi, 4);
    while (spi[0] == 0 && spi[1] == 0 && spi[2] == 0); /* 0 … 255 are reserved */
    return true;
}

/* ---- Selectors ------------------------------------------------------------------------------ */

const struct ike_ts_list *ike2_child_local(const struct ike2_sa *sa,
                                           const struct ike2_child_policy *p)
{
    return sa->client != NULL && sa->client->gets.ts_local != NULL ? sa->client->gets.ts_local
                                                                   : &p->local;
}

const struct ike_ts_list *ike2_child_remote(const struct ike2_sa *sa,
                                            const struct ike2_child_policy *p)
{
    return sa->client != NULL && sa->client->gets.ts_remote != NULL ? sa->client->gets.ts_remote
                                                                    : &p->remote;
}

/* ---- On the wire ---------------------------------------------------------------------------- */

/* What else the SA is to be; an answer repeats what is agreed to. */
static void put_kind(struct ike_out *o, const struct ike2_child_policy *p, bool fragments_also)
{
    const enum ike2_mode mode = p->mode;
    const struct ike_tcp_ao *ao = &p->tcp_ao;

    if (mode == IKE2_TRANSPORT)
        ike_notify_emit_data(o, IKE_N_USE_TRANSPORT_MODE, gh_view_of(NULL, 0));
    if (fragments_also)
        ike_notify_emit_data(o, IKE_N_NON_FIRST_FRAGMENTS_ALSO, gh_view_of(NULL, 0));
    if (mode != IKE2_TCP_AO)
        return;
    if (!ao->options_covered)
        ike_notify_emit_data(o, IKE_N_TCP_AO_OPTIONS_NOT_COVERED, gh_view_of(NULL, 0));
    if (ao->mac_len != IKE_TCP_AO_MAC_LEN)
        ike_notify_emit_data(o, IKE_N_TCP_AO_MAC_LENGTH, gh_view_of(&ao->mac_len, 1));
}

/* RFC 7296 1.3.1: if both ends say so. Transport mode has no fragments (RFC 4301 7), and the kernel
 * does not tell them apart. */
static bool wants_fragments(const struct ike2_child_policy *p)
{
    return p->fragments_also && p->mode == IKE2_TUNNEL && !p->kernel;
}

/* What the peer says of an MKT. */
static struct ike_tcp_ao tcp_ao_of(const struct ike_payloads *in)
{
    struct ike_tcp_ao ao = {.mac_len = IKE_TCP_AO_MAC_LEN,
                            .options_covered =
                                !ike_has_notify(in, IKE_N_TCP_AO_OPTIONS_NOT_COVERED)};
    struct ike_notify n;

    if (ike_find_notify(in, IKE_N_TCP_AO_MAC_LENGTH, 0, &n))
        ao.mac_len = n.data.len == 1 ? n.data.p[0] : 0;
    return ao;
}

/* Both ends are to be configured alike: a MAC that is shorter than ours is not for the peer to
 * choose. */
static bool same_tcp_ao(const struct ike2_child_policy *p, struct ike_tcp_ao theirs, char why[160])
{
    if (p->mode != IKE2_TCP_AO)
        return true;
    if (theirs.mac_len != p->tcp_ao.mac_len)
        snprintf(why, 160, "%s: the peer wants MACs of %u octets, we of %u", p->name,
                 theirs.mac_len, p->tcp_ao.mac_len);
    else if (theirs.options_covered != p->tcp_ao.options_covered)
        snprintf(why, 160, "%s: the peer wants TCP options %s the MAC, we do not", p->name,
                 theirs.options_covered ? "in" : "out of");
    else
        return true;
    return false;
}

static void strip_ke(struct ike_proposal *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++)
        if (!ike_transform_is_ke(p->transform[i].type))
            p->transform[kept++] = p->transform[i];
    p->count = kept;
}

static void put_fresh(struct ike_out *o, const struct ike2_fresh *fresh)
{
    if (fresh == NULL)
        return;
    ike_nonce_emit(o, fresh->nonce);
    if (fresh->group != 0)
        ike_ke_emit(o, &(struct ike_ke){.method = fresh->group, .data = fresh->value});
}

/* Additional key exchanges of Child SAs need no IKE_INTERMEDIATE. */
struct ike_choice_rules ike2_child_rules(bool without_ke)
{
    return (struct ike_choice_rules){.without_ke = without_ke, .additional_ke = true};
}

/* A child's proposals as they are offered, and as answers are held against them. */
static void offer_of(const struct ike2_child_policy *p, const struct ike_choice_rules *rules,
                     struct ike_sa *out)
{
    if (!rules->without_ke) {
        ike2_offer(&p->proposals, rules->additional_ke, out);
        return;
    }
    ike_proposals_get(&p->proposals, out);
    for (size_t i = 0; i < out->count; i++)
        strip_ke(&out->proposal[i]);
}

void ike2_child_put(struct ike_out *o, const struct ike2_child_policy *p,
                    const struct ike_ts_list *local, const struct ike_ts_list *remote,
                    const uint8_t *spi, uint8_t spi_len, const struct ike2_fresh *fresh)
{
    const struct ike_choice_rules rules = ike2_child_rules(fresh == NULL);
    struct ike_sa offer;

    offer_of(p, &rules, &offer);
    for (size_t i = 0; i < offer.count; i++) {
        offer.proposal[i].spi_len = spi_len;
        memcpy(offer.proposal[i].spi, spi, spi_len);
    }
    put_kind(o, p, wants_fragments(p));
    ike_sa_emit(o, &offer);
    put_fresh(o, fresh);
    ike_ts_emit(o, IKE_P_TSI, local);
    ike_ts_emit(o, IKE_P_TSR, remote);
}

void ike2_child_put_answer(struct ike_out *o, const struct ike2_wish *w, const uint8_t *spi,
                           uint8_t spi_len, const struct ike2_fresh *fresh)
{
    struct ike_proposal answer = w->chosen;

    answer.spi_len = spi_len;
    memcpy(answer.spi, spi, spi_len);
    put_kind(o, w->policy, w->fragments_also);
    ike_sa_emit_one(o, &answer);
    put_fresh(o, fresh);
    ike_ts_emit(o, IKE_P_TSI, &w->remote);
    ike_ts_emit(o, IKE_P_TSR, &w->local);
}

void ike2_child_tell_wish(struct ike2 *c, const struct ike2_sa *sa,
                          const struct ike2_child_policy *p)
{
    char who[IKE2_NAME + 40];
    struct ike_sa offer;

    if (!ike2_is_read(c, IKE2_EVENT_STORY))
        return;
    snprintf(who, sizeof(who), "we ask for the Child SA %s, and offer", p->name);
    ike_proposals_get(&p->proposals, &offer);
    ike2_tell_offer(c, sa, who, &offer);
}

/* ---- Judging -------------------------------------------------------------------------------- */

static const char *mode_name(enum ike2_mode mode)
{
    return mode == IKE2_TRANSPORT ? "transport" : mode == IKE2_TCP_AO ? "TCP-AO" : "tunnel";
}

/* What the peer asks for, from our side. */
struct asked {
    struct ike_ts_list local, remote;
    struct ike_sa offer;
    bool transport, fragments_also;
    struct ike_tcp_ao tcp_ao;
};

static void tell_selectors(const struct ike2_child_policy *p, const struct ike_ts_list *theirs,
                           enum ike_narrowed result, char why[160])
{
    char text[IKE_TS_TEXT];

    if (result == IKE_TS_TOO_MANY)
        snprintf(why, 160, "%s: more than %d traffic selectors", p->name, (int)IKE_TS_MAX);
    else
        snprintf(why, 160, "%s: the peer's %s%s does not meet ours", p->name,
                 theirs->count > 0 ? ike_ts_format(&theirs->ts[0], text) : "selector",
                 theirs->count > 1 ? " …" : "");
}

/* 0, or the notification; the reason says what stood in the way of this policy. */
static uint16_t judge_one(const struct ike2_sa *sa, const struct ike2_child_policy *p,
                          const struct asked *asked, const struct ike_choice_rules *rules,
                          struct ike2_wish *out, char why[160])
{
    enum ike_narrowed local = ike_ts_narrow(&asked->local, ike2_child_local(sa, p), &out->local);
    enum ike_narrowed remote =
        ike_ts_narrow(&asked->remote, ike2_child_remote(sa, p), &out->remote);
    struct ike_choice_miss miss = {.why = IKE_MISMATCH_ABSENT};
    struct ike_sa mine;

    if (local < IKE_TS_NARROWED || remote < IKE_TS_NARROWED) {
        if (local < IKE_TS_NARROWED)
            tell_selectors(p, &asked->local, local, why);
        else
            tell_selectors(p, &asked->remote, remote, why);
        return IKE_N_TS_UNACCEPTABLE;
    }
    /* A key for half of the connections that are meant would leave the others without. */
    if (p->mode == IKE2_TCP_AO && (local == IKE_TS_NARROWED || remote == IKE_TS_NARROWED)) {
        snprintf(why, 160, "%s: the peer wants a key for more connections than we", p->name);
        return IKE_N_TS_UNACCEPTABLE;
    }
    if (p->mode == IKE2_TRANSPORT && !asked->transport) {
        snprintf(why, 160, "%s is for %s mode, the peer asks for a tunnel", p->name,
                 mode_name(p->mode));
        return IKE_N_NO_PROPOSAL_CHOSEN;
    }
    offer_of(p, rules, &mine);
    if (!ike_proposal_choose(&asked->offer, &mine, rules, &out->chosen, &miss)) {
        char text[IKE_MISS_TEXT];

        snprintf(why, 160, "%s: no proposal chosen: %s", p->name,
                 ike_miss_format(&asked->offer, &mine, &miss, text, sizeof(text)));
        return IKE_N_NO_PROPOSAL_CHOSEN;
    }
    if (!same_tcp_ao(p, asked->tcp_ao, why))
        return IKE_N_NO_PROPOSAL_CHOSEN;
    out->policy = p;
    out->transport = p->mode == IKE2_TRANSPORT;
    out->fragments_also = asked->fragments_also && wants_fragments(p);
    out->narrowed = local == IKE_TS_NARROWED || remote == IKE_TS_NARROWED;
    out->redundant = false;
    out->more = gh_view_of(NULL, 0);
    return 0;
}

static bool selectors(const struct ike_payloads *in, struct ike_ts_list *tsi,
                      struct ike_ts_list *tsr)
{
    const struct ike_payload *i = ike_find(in, IKE_P_TSI, 0), *r = ike_find(in, IKE_P_TSR, 0);

    return i != NULL && r != NULL && ike_ts_parse(i->body, tsi) == IKE_OK &&
           ike_ts_parse(r->body, tsr) == IKE_OK;
}

/* What the peer wants first (RFC 7296 2.9), as far as it says so. */
static bool has_first(const struct ike2_wish *w, const struct ike_ts_list *local,
                      const struct ike_ts_list *remote)
{
    struct ike_ts_list first = {.count = 1};
    bool both = true;

    first.ts[0] = local->ts[0];
    both = local->count == 0 || ike_ts_list_contains(&w->local, &first);
    first.ts[0] = remote->ts[0];
    return both && (remote->count == 0 || ike_ts_list_contains(&w->remote, &first));
}

/* Less than what is in use, although the peer asked for that (RFC 7296 2.9.2). */
static bool shrinks(const struct ike2_sa *sa, const struct ike2_child *old,
                    const struct ike2_wish *w, const struct ike_ts_list *local,
                    const struct ike_ts_list *remote)
{
    struct ike_ts_list used_local, used_remote;
    struct ike2_child_view v;
    struct ike_proposal suite;

    ike2_child_view_of(sa, old, &v, &suite, &used_local, &used_remote);
    return (ike_ts_list_contains(local, &used_local) &&
            !ike_ts_list_contains(&w->local, &used_local)) ||
           (ike_ts_list_contains(remote, &used_remote) &&
            !ike_ts_list_contains(&w->remote, &used_remote));
}

static void tell_asked(struct ike2 *c, const struct ike2_sa *sa, const struct asked *asked)
{
    char text[3 * IKE_TS_TEXT], local[IKE_TS_TEXT], remote[IKE_TS_TEXT];

    if (!ike2_is_read(c, IKE2_EVENT_STORY))
        return;
    snprintf(text, sizeof(text), "the peer asks for a Child SA, %s%s to %s%s, %s, and offers",
             asked->local.count > 0 ? ike_ts_format(&asked->local.ts[0], local) : "?",
             asked->local.count > 1 ? " …" : "",
             asked->remote.count > 0 ? ike_ts_format(&asked->remote.ts[0], remote) : "?",
             asked->remote.count > 1 ? " …" : "",
             mode_name(asked->transport ? IKE2_TRANSPORT : IKE2_TUNNEL));
    ike2_tell_offer(c, sa, text, &asked->offer);
}

static bool is_taken(const struct ike2_sa *sa, const struct ike2_child_policy *p)
{
    for (const struct ike2_child *child = sa->children; child != NULL; child = child->next)
        if (child->policy == p && !child->replaced)
            return true;
    return false;
}

uint16_t ike2_child_judge(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                          bool without_ke, const struct ike2_child *old, struct ike2_wish *out,
                          char why[160])
{
    const struct ike_choice_rules rules = ike2_child_rules(without_ke);
    struct asked asked; /* large: filled as it is read */
    uint16_t best = IKE_N_TS_UNACCEPTABLE;

    asked.transport = ike_has_notify(in, IKE_N_USE_TRANSPORT_MODE);
    asked.fragments_also = ike_has_notify(in, IKE_N_NON_FIRST_FRAGMENTS_ALSO);
    asked.tcp_ao = tcp_ao_of(in);
    snprintf(why, 160, "nothing of this kind is configured");
    if (!selectors(in, &asked.remote, &asked.local) ||
        ike_sa_parse(ike_find(in, IKE_P_SA, 0)->body, &asked.offer) != IKE_OK)
        return IKE_N_INVALID_SYNTAX;
    tell_asked(c, sa, &asked);
    out->no_tfc = ike_has_notify(in, IKE_N_ESP_TFC_PADDING_NOT_SUPPORTED);
    /* One that is rekeyed makes room afterwards. */
    if (sa->child_count >= c->settings.children_max * (old != NULL ? 2 : 1)) {
        snprintf(why, 160, "there are %zu Child SAs already", sa->child_count);
        return IKE_N_NO_ADDITIONAL_SAS;
    }
    /* A policy with the peer's first choice goes before all others. */
    for (size_t i = 0; i < 2 * sa->policy->child_count; i++) {
        const struct ike2_child_policy *p = &sa->policy->children[i % sa->policy->child_count];
        bool again = i >= sa->policy->child_count;
        char reason[160];
        uint16_t notify;

        if (old != NULL && old->policy != p)
            continue;
        if (p->stands_down) {
            snprintf(why, 160, "%s is administratively down", p->name);
            continue;
        }
        notify = judge_one(sa, p, &asked, &rules, out, reason);
        if (notify == 0 && old != NULL && shrinks(sa, old, out, &asked.local, &asked.remote)) {
            snprintf(reason, 160, "%s: ours are narrower than those in use", p->name);
            notify = IKE_N_TS_UNACCEPTABLE;
        }
        if (notify == 0 && old == NULL && p->single && is_taken(sa, p)) {
            snprintf(reason, 160, "%s has a Child SA already, and is to have one alone", p->name);
            notify = IKE_N_NO_ADDITIONAL_SAS;
        }
        if (notify == 0 && (again || has_first(out, &asked.local, &asked.remote)))
            return 0;
        if (notify == 0 || again)
            continue;
        /* What failed last is nearest: selectors are looked at before proposals. */
        if (i == 0 || notify == IKE_N_NO_PROPOSAL_CHOSEN || best == IKE_N_TS_UNACCEPTABLE) {
            best = notify;
            memcpy(why, reason, 160);
        }
    }
    return best;
}

uint16_t ike2_child_confirm(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                            bool without_ke, const struct ike2_child_policy *policy,
                            struct ike2_wish *out, char why[160])
{
    const struct ike_choice_rules rules = ike2_child_rules(without_ke);
    const struct ike_payload *payload = ike_find(in, IKE_P_SA, 0);
    struct ike_sa answer, offer;

    snprintf(why, 160, "the peer's answer has no Child SA");
    if (payload == NULL || !selectors(in, &out->local, &out->remote))
        return IKE_N_INVALID_SYNTAX;
    offer_of(policy, &rules, &offer);
    if (ike_sa_parse(payload->body, &answer) != IKE_OK ||
        !ike_proposal_confirm(&answer, &offer, &rules, &out->chosen, NULL)) {
        snprintf(why, 160, "the peer chose what was not offered");
        return IKE_N_NO_PROPOSAL_CHOSEN;
    }
    if (!ike_ts_list_contains(ike2_child_local(sa, policy), &out->local) ||
        !ike_ts_list_contains(ike2_child_remote(sa, policy), &out->remote) ||
        out->local.count == 0 || out->remote.count == 0) {
        snprintf(why, 160, "the peer's selectors are wider than ours");
        return IKE_N_TS_UNACCEPTABLE;
    }
    out->policy = policy;
    out->redundant = false;
    out->more = gh_view_of(NULL, 0);
    out->no_tfc = ike_has_notify(in, IKE_N_ESP_TFC_PADDING_NOT_SUPPORTED);
    out->transport = ike_has_notify(in, IKE_N_USE_TRANSPORT_MODE);
    out->fragments_also =
        wants_fragments(policy) && ike_has_notify(in, IKE_N_NON_FIRST_FRAGMENTS_ALSO);
    if (out->transport != (policy->mode == IKE2_TRANSPORT)) {
        snprintf(why, 160, "the peer wants %s mode", out->transport ? "transport" : "tunnel");
        return IKE_N_NO_PROPOSAL_CHOSEN;
    }
    if (!same_tcp_ao(policy, tcp_ao_of(in), why))
        return IKE_N_NO_PROPOSAL_CHOSEN;
    return 0;
}

/* ---- Made and gone -------------------------------------------------------------------------- */

void ike2_child_view_of(const struct ike2_sa *sa, const struct ike2_child *child,
                        struct ike2_child_view *v, struct ike_proposal *suite,
                        struct ike_ts_list *local, struct ike_ts_list *remote)
{
    ike2_suite_proposal(&child->suite, suite);
    memset(local, 0, sizeof(*local));
    memset(remote, 0, sizeof(*remote));
    local->count = child->local_count;
    remote->count = child->remote_count;
    memcpy(local->ts, child->ts, local->count * sizeof(local->ts[0]));
    memcpy(remote->ts, child->ts + local->count, remote->count * sizeof(remote->ts[0]));
    *v = (struct ike2_child_view){.id = child->id,
                                  .sa = sa->id,
                                  .policy = sa->policy,
                                  .child = child->policy,
                                  .protocol = child->suite.protocol,
                                  .mode = child->policy->mode,
                                  .spi_in = gh_view_of(child->spi_in, child->spi_len),
                                  .spi_out = gh_view_of(child->spi_out, child->spi_len),
                                  .suite = suite,
                                  .local = sa->local,
                                  .remote = sa->remote,
                                  .remote_id = sa->remote_id,
                                  .udp_encapsulation = sa->nat_local || sa->nat_remote,
                                  .follows = sa->nat_remote && !sa->nat_local && sa->mobile == NULL,
                                  .no_tfc = child->no_tfc,
                                  .ts_local = local,
                                  .ts_remote = remote,
                                  .initiator = child->initiator,
                                  .fragments_also = child->fragments_also,
                                  .lifetime = child->policy->lifetime,
                                  .tcp_ao = child->policy->tcp_ao};
}

static bool install(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child,
                    const struct ike2_wish *w, const struct gh_secret *shared, struct gh_view ni,
                    struct gh_view nr, uint32_t replaces)
{
    struct gh_secret i_to_r = {.data = NULL}, r_to_i = {.data = NULL};
    struct ike_ts_list local, remote;
    struct ike2_child_view v;
    struct ike_proposal suite;
    bool good = ike2_keymat(sa, &child->suite, shared, ni, nr, w->more, &i_to_r, &r_to_i);

    if (good) {
        ike2_child_view_of(sa, child, &v, &suite, &local, &remote);
        v.key_out = ike2_view(child->initiator ? &i_to_r : &r_to_i);
        v.key_in = ike2_view(child->initiator ? &r_to_i : &i_to_r);
        v.replaces = replaces;
        v.redundant = w->redundant;
        good = c->ops.child_install(c->ops.ctx, &v);
    }
    gh_secret_clear(&i_to_r);
    gh_secret_clear(&r_to_i);
    return good;
}

static void begin_lifetime(struct ike2 *c, struct ike2_child *child)
{
    uint32_t seconds = child->policy->lifetime.seconds;

    if (seconds == 0)
        return;
    child->rekey_at = ike2_soft(c, c->now.mono_ms, seconds);
    child->expire_at = c->now.mono_ms + 1000 * (uint64_t)seconds;
    if (child->policy->mode ==
        IKE2_TCP_AO) /* a connection dies with its key: time for more tries */
        child->rekey_at -= (child->expire_at - child->rekey_at) / 2 + 1000 * (uint64_t)seconds / 5;
}

static void tell_up(struct ike2 *c, const struct ike2_sa *sa, const struct ike2_child *child,
                    uint32_t replaces)
{
    enum ike2_event_kind kind = replaces != 0 ? IKE2_EVENT_CHILD_REKEYED : IKE2_EVENT_CHILD_UP;
    char suite_text[160], local[IKE_TS_TEXT], remote[IKE_TS_TEXT];
    struct ike_proposal suite;

    ike2_count(c, replaces != 0 ? IKE2_COUNT_CHILD_REKEYED : IKE2_COUNT_CHILD_UP);
    if (!ike2_is_read(c, kind)) {
        ike2_tell(c, sa, kind, child->id, "up");
        return;
    }
    ike2_suite_proposal(&child->suite, &suite);
    ike2_tell(c, sa, kind, child->id, "%s: %s%s to %s%s, %s, %s", child->policy->name,
              ike_ts_format(&child->ts[0], local), child->local_count > 1 ? " …" : "",
              ike_ts_format(&child->ts[child->local_count], remote),
              child->remote_count > 1 ? " …" : "", mode_name(child->policy->mode),
              ike_proposal_format(&suite, suite_text, sizeof(suite_text)));
}

struct ike2_child *ike2_child_make(struct ike2 *c, struct ike2_sa *sa, const struct ike2_wish *w,
                                   bool initiator, const uint8_t *spi_in,
                                   const struct gh_secret *shared, struct gh_view ni,
                                   struct gh_view nr, uint32_t replaces)
{
    struct ike2_child *child = calloc(1, sizeof(*child));
    size_t local = w->local.count, remote = w->remote.count;

    if (child != NULL)
        child->ts = calloc(local + remote, sizeof(struct ike_ts));
    if (child == NULL || child->ts == NULL || !ike2_suite_of(&w->chosen, &child->suite) ||
        w->chosen.spi_len > sizeof(child->spi_out)) {
        if (child != NULL)
            free(child->ts);
        free(child);
        return NULL;
    }
    child->id = c->next_child++;
    child->policy = w->policy;
    child->initiator = initiator;
    child->transport = w->transport;
    child->fragments_also = w->fragments_also;
    child->no_tfc = w->no_tfc;
    child->spi_len = w->chosen.spi_len;
    memcpy(child->spi_in, spi_in, child->spi_len);
    memcpy(child->spi_out, w->chosen.spi, child->spi_len);
    memcpy(child->ts, w->local.ts, local * sizeof(struct ike_ts));
    memcpy(child->ts + local, w->remote.ts, remote * sizeof(struct ike_ts));
    child->local_count = (uint8_t)local;
    child->remote_count = (uint8_t)remote;
    if (!install(c, sa, child, w, shared, ni, nr, replaces)) {
        ike2_tell(c, sa, IKE2_EVENT_CHILD_FAILED, 0, "%s could not be installed", w->policy->name);
        free(child->ts);
        free(child);
        return NULL;
    }
    child->made_ms = c->now.mono_ms;
    child->idle_at = ike2_idle_at(c, child);
    begin_lifetime(c, child);
    ike2_child_link(c, sa, child);
    tell_up(c, sa, child, replaces);
    return child;
}

void ike2_child_disown(struct ike2 *c, struct ike2_sa *sa, uint8_t protocol, const uint8_t *spi,
                       uint8_t spi_len)
{
    struct ike2_task *t = ike2_task_add(c, sa, IKE2_TASK_CHILD_DELETE);

    if (t == NULL)
        return;
    t->protocol = protocol;
    t->spi_len = spi_len;
    memcpy(t->spi, spi, spi_len);
}

void ike2_child_drop(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child,
                     enum ike2_removal why)
{
    ike2_child_unlink(c, child);
    if (!child->replaced && why != IKE2_REMOVED_REPLACED)
        ike2_tell(c, sa, IKE2_EVENT_CHILD_DOWN, child->id, "%s: %s", child->policy->name,
                  why == IKE2_REMOVED_DELETED   ? "deleted by the peer"
                  : why == IKE2_REMOVED_COMMAND ? "ended by the operator"
                  : why == IKE2_REMOVED_EXPIRED ? "its lifetime is over"
                  : why == IKE2_REMOVED_IDLE    ? "no packet went through it"
                  : why == IKE2_REMOVED_REFUSED ? "the data plane does not carry it"
                                                : "its IKE SA is gone");
    ike2_tasks_forget(sa, child->id);
    c->ops.child_remove(c->ops.ctx, child->id, child->replaced ? IKE2_REMOVED_REPLACED : why);
    free(child->ts);
    free(child);
}

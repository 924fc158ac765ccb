/* An established connection: how it is protected, and what to keep an eye on. */
#include "control/explain_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/format.h"
#include "control/outlook.h"

static void headline(const struct gh_evidence *e, const struct ao_connection_view *c,
                     struct gh_explanation *x)
{
    const struct tcpao_mkt *k =
        c->conn.current_known ? tcpao_chain_find(e->chain, c->conn.current_key) : NULL;
    char local[GH_ENDPOINT_TEXT], remote[GH_ENDPOINT_TEXT], span[GH_SPAN_TEXT];
    char how[GH_NAME_MAX + 80];

    gh_endpoint_format(&c->local, local);
    gh_endpoint_format(&c->remote, remote);
    gh_span_format(e->now.wall - c->since, span);
    if (c->without_ao)
        snprintf(how, sizeof(how), "WITHOUT protection");
    else if (c->mismatched)
        snprintf(how, sizeof(how), "but wrong MACs are let through");
    else if (k != NULL)
        snprintf(how, sizeof(how), "and protected by key %u of chain %s (%s)", k->number,
                 e->chain_name, tcpao_alg_name(k->alg, k->mac_len));
    else
        snprintf(how, sizeof(how), "and protected by chain %s", e->chain_name);
    snprintf(x->headline, sizeof(x->headline),
             "Session %.64s is up %s: %s with %s, for %s, opened by %s.", e->session->name, how,
             local, remote, span, c->active ? "us" : "the peer");
}

static void unprotected(const struct ao_connection_view *c, struct gh_explanation *x)
{
    struct gh_finding *f;

    if (c->without_ao) {
        f = gh_find(x, GH_CAUSE_RUNS_UNPROTECTED, RANK_FACT);
        gh_find_summary(f, "The peer opened or answered without TCP-AO, and mode = "
                           "\"allow-without-ao\" let it: anybody can forge its segments.");
        gh_find_check(f,
                      "Configure TCP-AO at the peer, then `gatectl reset-session %s`, then set "
                      "mode = \"required\".",
                      c->session);
    }
    if (c->mismatched) {
        f = gh_find(x, GH_CAUSE_MISMATCH_ACCEPTED, RANK_FACT);
        gh_find_summary(f, "A wrong MAC was let through because of mode = \"accept-mismatch\": the "
                           "connection is not protected, and keys do not roll over.");
        gh_find_check(f, "Make the secrets the same at both ends, then set mode = \"required\".");
    }
}

static void rollover(const struct gh_evidence *e, const struct ao_connection_view *c,
                     struct gh_explanation *x)
{
    const struct tcpao_conn_state *s = &c->conn;
    const struct tcpao_mkt *want = tcpao_chain_preferred(e->chain, e->now.wall);
    char when[32];
    struct gh_finding *f;

    if (want != NULL && s->current_known && s->current_key != want->number) {
        f = gh_find(x, GH_CAUSE_ROLLOVER_PENDING, RANK_REFUSED + 20);
        gh_find_summary(f,
                        "A rollover is pending: key %u should be in use since %s, but we still "
                        "send with key %u until the peer asks for the new one.",
                        want->number, gh_time_format(want->send.from, when, sizeof(when)),
                        s->current_key);
        if (s->last_recv_known)
            gh_find_evidence(f, "the peer's last RNextKeyID is %u; key %u has send-id %u",
                             s->last_rnext, want->number, want->send_id);
        gh_find_check(f,
                      "Normal until the next segments have passed in both directions; if it "
                      "lasts, does the peer have the key (its recv-id %u, its lifetime, its "
                      "clock)?",
                      want->send_id);
    }
    if (s->last_recv_known && s->rnext_known && s->last_recv_key != s->rnext_key) {
        f = gh_find(x, GH_CAUSE_PEER_ON_OLD_KEY, RANK_REFUSED + 10);
        gh_find_summary(f, "The peer still signs with key %u though we ask for key %u.",
                        s->last_recv_key, s->rnext_key);
        gh_find_evidence(f, "the KeyID of its last good segment is %u", s->last_keyid);
        gh_find_check(f, "Normal until the peer's next segment; if it lasts, is the new key's send "
                         "lifetime valid at the peer?");
    }
}

static void expiry(const struct gh_evidence *e, struct gh_explanation *x)
{
    int64_t end = tcpao_chain_expiry(e->chain);
    char when[32], span[GH_SPAN_TEXT];
    struct gh_finding *f;

    if (end == TCPAO_TIME_MAX || end == TCPAO_TIME_MIN || end <= e->now.wall ||
        end - e->now.wall > e->warn_before)
        return;
    f = gh_find(x, GH_CAUSE_CHAIN_EXPIRING, RANK_REFUSED + 100);
    gh_find_summary(f,
                    "The last key of chain %s expires at %s, in %s: the session dies then unless "
                    "another key is added.",
                    e->chain_name, gh_time_format(end, when, sizeof(when)),
                    gh_span_format(end - e->now.wall, span));
    gh_find_check(f, "`gatectl key-chain generate` makes a key with the configuration of the other "
                     "end.");
}

/* Refusals since the connection came up: they did it no harm, but somebody should know. */
static void strays(const struct gh_evidence *e, const struct ao_connection_view *c,
                   struct gh_explanation *x)
{
    struct gh_explanation refused = {.count = 0};
    const struct gh_finding *newest = NULL;
    struct gh_finding *f;

    if (e->view != NULL)
        gh_explain_refusals(e, c->since, &refused);
    for (size_t i = 0; i < refused.count; i++) {
        if (newest == NULL || refused.findings[i].rank > newest->rank)
            newest = &refused.findings[i];
    }
    if (newest == NULL)
        return;
    f = gh_find(x, GH_CAUSE_STRAY_SEGMENTS, RANK_GUESS);
    gh_find_summary(f, "Meanwhile segments are refused; they did this connection no harm.");
    gh_find_evidence(f, "%s", newest->evidence);
    gh_find_check(f, "If they are the peer's own: %s", newest->summary);
    gh_find_check(f,
                  "If not: somebody forges or replays segments. `gatectl show counters %s` "
                  "shows how many.",
                  e->session->name);
}

void gh_explain_up(const struct gh_evidence *e, const struct ao_connection_view *c,
                   struct gh_explanation *x)
{
    x->verdict = c->without_ao || c->mismatched ? GH_VERDICT_UNPROTECTED : GH_VERDICT_UP;
    headline(e, c, x);
    unprotected(c, x);
    gh_explain_local(e, x);
    if (!c->without_ao)
        rollover(e, c, x);
    expiry(e, x);
    strays(e, c, x);
}

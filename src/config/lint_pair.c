/*
 * Two ends against each other: will they talk, and until when?
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/alloc.h"
#include "config/lifetime.h"
#include "config/lint.h"
#include "config/pair.h"
#include "ike/codes.h"

/* One session with its other end. */
struct pair {
    struct gh_lint *l;
    const struct gh_config *peer;
    const struct gh_session *here, *there;
    const struct gh_key_chain *chain, *peer_chain; /* NULL: the keys are IKE's alone */
};

/* ---- Keys ---- */

static const char *flag(bool covered)
{
    return covered ? "covers the TCP options" : "leaves the TCP options out";
}

static void compare_algorithms(struct pair *p, const struct gh_key *a, const struct gh_key *b)
{
    if (a->mkt.alg != b->mkt.alg)
        gh_lint_error(p->l, a->line, "algorithm-mismatch", "write the same at both ends",
                      "key %u is %s, the peer's key %u (%s:%d) is %s", a->mkt.number,
                      tcpao_alg_name(a->mkt.alg, a->mkt.mac_len), b->mkt.number, p->peer->path,
                      b->line, tcpao_alg_name(b->mkt.alg, b->mkt.mac_len));
    else if (a->mkt.mac_len != b->mkt.mac_len)
        gh_lint_error(p->l, a->line, "mac-length-mismatch",
                      "write the length at both ends: one name means 12 octets in Linux and BIRD, "
                      "32 in IOS XE",
                      "key %u has a MAC of %u octets, the peer's key %u (%s:%d) one of %u",
                      a->mkt.number, a->mkt.mac_len, b->mkt.number, p->peer->path, b->line,
                      b->mkt.mac_len);
    if (a->mkt.options_covered != b->mkt.options_covered)
        gh_lint_error(p->l, a->line, "options-mismatch",
                      "set include-tcp-options to the same at both ends; the default is on in RFC "
                      "5925, Linux and BIRD, off in IOS XE and Junos. It looks like a wrong key",
                      "key %u %s, the peer's key %u (%s:%d) %s", a->mkt.number,
                      flag(a->mkt.options_covered), b->mkt.number, p->peer->path, b->line,
                      flag(b->mkt.options_covered));
    if (a->secret.len > 0 && b->secret.len > 0 && !gh_secret_equal(&a->secret, &b->secret))
        gh_lint_error(p->l, a->line, "secret-mismatch", "copy the secret to both ends",
                      "the secrets of key %u and the peer's key %u (%s:%d) differ", a->mkt.number,
                      b->mkt.number, p->peer->path, b->line);
}

/* One direction: the sender's lifetime must lie in what the receiver accepts. */
static void compare_lifetime(struct pair *p, const struct gh_key *sender,
                             const struct gh_key *receiver, uint32_t tolerance, int line,
                             const char *who)
{
    struct tcpao_lifetime accept = gh_lifetime_widen(&receiver->mkt.accept, tolerance);
    const struct tcpao_lifetime *send = &sender->mkt.send;
    char from[32];

    if (gh_lifetime_empty(send) || (accept.from <= send->from && accept.until >= send->until))
        return;
    gh_lint_warn(
        p->l, line, "peer-accept-shorter",
        "make the accept lifetime at least as long as the other end's send lifetime",
        "%s key %u is sent at times when the other end refuses it (from %s)", who,
        sender->mkt.number,
        gh_time_format(accept.from > send->from ? send->from : accept.until, from, sizeof(from)));
}

static void compare_lifetimes(struct pair *p, const struct gh_key *a, const struct gh_key *b)
{
    const struct tcpao_lifetime *x = &a->mkt.send, *y = &b->mkt.send;

    compare_lifetime(p, a, b, p->peer_chain->tolerance, a->line, "this end's");
    compare_lifetime(p, b, a, p->chain->tolerance, a->line, "the peer's");
    if (x->from != y->from || x->until != y->until)
        gh_lint_warn(p->l, a->line, "lifetimes-differ",
                     "write the same send lifetimes at both ends; Cisco asks for it",
                     "key %u and the peer's key %u (%s:%d) have different send lifetimes",
                     a->mkt.number, b->mkt.number, p->peer->path, b->line);
}

/* A key of the other chain with the same ids in the same directions: somebody forgot to cross. */
static const struct gh_key *find_uncrossed(const struct gh_key_chain *chain, const struct gh_key *k)
{
    for (size_t i = 0; i < chain->key_count; i++) {
        const struct gh_key *b = &chain->keys[i];

        if (k->mkt.send_id == b->mkt.send_id && k->mkt.recv_id == b->mkt.recv_id)
            return b;
    }
    return NULL;
}

/* Why has this key no counterpart? */
static void missing_counterpart(struct pair *p, const struct gh_key *a)
{
    const struct gh_key *b = find_uncrossed(p->peer_chain, a);

    if (b != NULL) {
        gh_lint_error(p->l, a->line, "ids-not-crossed", "exchange send-id and recv-id at one end",
                      "key %u has send-id %u and recv-id %u, and so has the peer's key %u "
                      "(%s:%d): one end's send-id is the other's recv-id",
                      a->mkt.number, a->mkt.send_id, a->mkt.recv_id, b->mkt.number, p->peer->path,
                      b->line);
        return;
    }
    gh_lint_error(p->l, a->line, "key-missing", "add it at the other end",
                  "the peer's key chain \"%s\" (%s:%d) has no key with send-id %u and recv-id %u, "
                  "which key %u of \"%s\" needs",
                  p->peer_chain->name, p->peer->path, p->peer_chain->line, a->mkt.recv_id,
                  a->mkt.send_id, a->mkt.number, p->chain->name);
}

static bool is_over(const struct gh_key *k, uint32_t tolerance, int64_t now)
{
    return gh_lifetime_widen(&k->mkt.send, tolerance).until <= now &&
           gh_lifetime_widen(&k->mkt.accept, tolerance).until <= now;
}

static void compare_keys(struct pair *p)
{
    for (size_t i = 0; i < p->chain->key_count; i++) {
        const struct gh_key *a = &p->chain->keys[i], *b;

        if (is_over(a, p->chain->tolerance, p->l->now))
            continue;
        b = gh_find_counterpart(p->peer_chain, a, p->chain->tolerance);
        if (b == NULL) {
            missing_counterpart(p, a);
            continue;
        }
        compare_algorithms(p, a, b);
        compare_lifetimes(p, a, b);
    }
    /* the other end's keys that this end lacks */
    for (size_t i = 0; i < p->peer_chain->key_count; i++) {
        const struct gh_key *b = &p->peer_chain->keys[i];

        if (is_over(b, p->peer_chain->tolerance, p->l->now) ||
            gh_find_counterpart(p->chain, b, p->peer_chain->tolerance) != NULL ||
            find_uncrossed(p->chain, b) != NULL)
            continue;
        gh_lint_error(p->l, p->chain->line, "key-missing", "add it at this end",
                      "the key chain \"%s\" has no key with send-id %u and recv-id %u, which the "
                      "peer's key %u (%s:%d) needs",
                      p->chain->name, b->mkt.recv_id, b->mkt.send_id, b->mkt.number, p->peer->path,
                      b->line);
    }
}

/* ---- Sessions ---- */

static const char *whose_keys(const struct gh_session *s)
{
    return s->ike_peer != NULL ? "negotiated by IKE" : "those of a key chain";
}

static void compare_sessions(struct pair *p)
{
    const struct gh_session *a = p->here, *b = p->there;

    if (a->port != b->port)
        gh_lint_error(p->l, a->line, "port-mismatch", "write the same port at both ends",
                      "the session \"%s\" has port %u, the peer's \"%s\" (%s:%d) port %u", a->name,
                      a->port, b->name, p->peer->path, b->line, b->port);
    if (a->direction == GH_PASSIVE && b->direction == GH_PASSIVE)
        gh_lint_error(p->l, a->line, "direction-mismatch",
                      "let one end be active, or both ends both",
                      "\"%s\" and the peer's \"%s\" (%s:%d) both wait for the other to open",
                      a->name, b->name, p->peer->path, b->line);
    if (a->direction == GH_ACTIVE && b->direction == GH_ACTIVE)
        gh_lint_error(p->l, a->line, "direction-mismatch",
                      "let one end be passive, or both ends both",
                      "\"%s\" and the peer's \"%s\" (%s:%d) both cover only what they open: each "
                      "signs what the other does not check",
                      a->name, b->name, p->peer->path, b->line);
    if ((a->mode == GH_REQUIRED) != (b->mode == GH_REQUIRED))
        gh_lint_warn(p->l, a->line, "mode-differs", "set mode = required at both ends",
                     "\"%s\" is %s, the peer's \"%s\" (%s:%d) is %s", a->name,
                     gh_config_mode_name(a->mode), b->name, p->peer->path, b->line,
                     gh_config_mode_name(b->mode));
    if ((a->ike_peer == NULL) != (b->ike_peer == NULL))
        gh_lint_error(p->l, a->line, "keys-mismatch",
                      "write an ike-peer at both ends, or key-chain at both",
                      "the keys of \"%s\" are %s, those of the peer's \"%s\" (%s:%d) %s", a->name,
                      whose_keys(a), b->name, p->peer->path, b->line, whose_keys(b));
    if (a->fallback != b->fallback)
        gh_lint_warn(p->l, a->line, "fallback-differs", "write the same at both ends",
                     "\"%s\" %s back to a key chain, the peer's \"%s\" (%s:%d) %s", a->name,
                     a->fallback ? "falls" : "does not fall", b->name, p->peer->path, b->line,
                     b->fallback ? "does" : "does not");
    if (a->source_first != b->source_first || a->source_last != b->source_last)
        gh_lint_error(p->l, a->line, "source-port-mismatch", "write the same at both ends",
                      "\"%s\" and the peer's \"%s\" (%s:%d) differ in source-port", a->name,
                      b->name, p->peer->path, b->line);
    if (p->chain != NULL && p->peer_chain != NULL &&
        p->chain->tolerance != p->peer_chain->tolerance)
        gh_lint_warn(p->l, p->chain->line, "tolerance-differs", "write the same at both ends",
                     "the tolerance of \"%s\" is %u s, that of the peer's \"%s\" (%s:%d) %u s",
                     p->chain->name, p->chain->tolerance, p->peer_chain->name, p->peer->path,
                     p->peer_chain->line, p->peer_chain->tolerance);
}

/* ---- Negotiated keys ---- */

static const struct ike2_child_policy *child_named(const struct gh_ike_config *c, const char *name)
{
    for (size_t i = 0; name[0] != '\0' && i < c->policy_count; i++) {
        for (size_t k = 0; k < c->policies[i]->child_count; k++) {
            if (c->policies[i]->children[k].mode == IKE2_TCP_AO &&
                strcmp(c->policies[i]->children[k].name, name) == 0)
                return &c->policies[i]->children[k];
        }
    }
    return NULL;
}

/* Its child policies are alike but for the direction. */
static const struct ike2_child_policy *child_of(const struct gh_config *c,
                                                const struct gh_session *s)
{
    for (size_t i = 0; i < c->ike->session_count; i++) {
        const struct gk_policy *p = &c->ike->sessions[i];

        if (strcmp(p->name, s->name) == 0)
            return child_named(c->ike, p->active[0] != '\0' ? p->active : p->passive);
    }
    return NULL;
}

static bool have_common_mac(const struct ike_proposal *a, const struct ike_proposal *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            if (a->transform[i].type == IKE_T_INTEG && b->transform[k].type == IKE_T_INTEG &&
                a->transform[i].id == b->transform[k].id)
                return true;
        }
    }
    return false;
}

static void compare_negotiation(struct pair *p)
{
    const struct ike2_child_policy *a = child_of(p->l->config, p->here);
    const struct ike2_child_policy *b = child_of(p->peer, p->there);
    const struct ike_proposal *ours, *theirs;
    struct ike_sa here, there;
    int line = p->here->line;

    if (a == NULL || b == NULL)
        return;
    ike_proposals_get(&a->proposals, &here);
    ike_proposals_get(&b->proposals, &there);
    ours = &here.proposal[0];
    theirs = &there.proposal[0];
    if (ours->protocol != theirs->protocol)
        gh_lint_error(p->l, line, "protocol-mismatch",
                      "write the same tcp-ao-protocol at both ends",
                      "the number of TCP-AO's keys is %u here, %u in %s", ours->protocol,
                      theirs->protocol, p->peer->path);
    if (a->tcp_ao.mac_len != b->tcp_ao.mac_len)
        gh_lint_error(p->l, line, "mac-length-mismatch", "write the same length at both ends",
                      "\"%s\" has MACs of %u octets, the peer's \"%s\" (%s:%d) of %u",
                      p->here->name, a->tcp_ao.mac_len, p->there->name, p->peer->path,
                      p->there->line, b->tcp_ao.mac_len);
    if (a->tcp_ao.options_covered != b->tcp_ao.options_covered)
        gh_lint_error(p->l, line, "options-mismatch",
                      "set include-tcp-options to the same at both ends",
                      "\"%s\" %s, the peer's \"%s\" (%s:%d) %s", p->here->name,
                      flag(a->tcp_ao.options_covered), p->there->name, p->peer->path,
                      p->there->line, flag(b->tcp_ao.options_covered));
    if (!have_common_mac(ours, theirs))
        gh_lint_error(p->l, line, "algorithm-mismatch", "write one algorithm at both ends",
                      "\"%s\" and the peer's \"%s\" (%s:%d) have no algorithm in common",
                      p->here->name, p->there->name, p->peer->path, p->there->line);
}

/* Several sessions may share a pair of chains: their keys are compared once. */
static bool compared_already(const struct gh_lint *l, const struct gh_session **mirrors, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (mirrors[j] != NULL && l->config->sessions[j].chain == l->config->sessions[i].chain &&
            mirrors[j]->chain == mirrors[i]->chain)
            return true;
    }
    return false;
}

void gh_lint_pair(struct gh_lint *l, const struct gh_config *peer)
{
    size_t count = l->config->session_count, found = 0;
    const struct gh_session **mirrors = gh_config_alloc(count, sizeof(const struct gh_session *));

    for (size_t i = 0; i < count; i++) {
        const struct gh_session *s = &l->config->sessions[i];
        struct pair p = {.l = l, .peer = peer, .here = s};

        p.there = mirrors[i] = gh_find_mirror(peer, s);
        if (p.there == NULL)
            continue;
        found++;
        p.chain = gh_config_chain(l->config, s);
        p.peer_chain = gh_config_chain(peer, p.there);
        compare_sessions(&p);
        if (s->ike_peer != NULL && p.there->ike_peer != NULL)
            compare_negotiation(&p);
        if (p.chain != NULL && p.peer_chain != NULL && !compared_already(l, mirrors, i))
            compare_keys(&p);
    }
    if (found == 0)
        gh_lint_error(l, 0, "no-mirror", "compare the peer and local addresses of both ends",
                      "no session of it is the other end of one of %s", peer->path);
    free(mirrors);
}

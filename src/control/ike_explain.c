/*
 * "Why is this IKE peer not up?": what is certain first (no socket, no keeper), then what was
 * refused, by the latest, then silence. And "why has it made no key for this session?", which is
 * part of the answer to why that is not up. The words are explain.h's, and so is the page for
 * operators.
 */
#include "control/ike_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/explain_parts.h"
#include "control/format.h"
#include "ike/codes.h"

/* What is known of one peer. */
struct peer {
    const struct gh_ike_view *view;
    const struct ike2_policy *policy;
    const struct gk_view *session;  /* why has this one no key? NULL: why is the peer not up? */
    const struct gh_ike_note *note; /* NULL: nothing has happened */
    struct gh_ike_tally tally;
    struct gh_now now;
};

static bool only_answers(const struct ike2_policy *p)
{
    return p->responder_only || p->gateway.len == 0;
}

/* "192.0.2.2", or the prefix that it may come from. */
static const char *where(const struct ike2_policy *p, char buf[GH_PREFIX_TEXT])
{
    char text[GH_ADDR_TEXT];

    if (p->gateway.len != 0)
        snprintf(buf, GH_PREFIX_TEXT, "%s", gh_addr_format(&p->gateway, text));
    else if (p->remote.bits == 0)
        snprintf(buf, GH_PREFIX_TEXT, "any address");
    else
        gh_prefix_format(&p->remote, buf);
    return buf;
}

/* ---- Our own end ---------------------------------------------------------------------------- */

/* Of the family in which we speak with the peer. */
static void explain_sockets(const struct peer *k, struct gh_explanation *x)
{
    uint8_t family = k->policy->gateway.len != 0 ? k->policy->gateway.len
                     : k->policy->local.len != 0 ? k->policy->local.len
                                                 : k->policy->remote.addr.len;
    const struct gh_ike_socket_view *missing = NULL;
    struct gh_finding *f;

    for (size_t i = 0; i < k->view->socket_count; i++) {
        const struct gh_ike_socket_view *s = &k->view->sockets[i];

        if (!s->open && s->zone == k->policy->zone && (family == 0 || s->v6 == (family == 16)) &&
            missing == NULL)
            missing = s;
    }
    if (missing == NULL)
        return;
    f = gh_find(x, GH_CAUSE_IKE_NO_SOCKET, RANK_FACT);
    gh_find_summary(f, "We have no socket on UDP port %u for IPv%c: IKE does not work without it.",
                    missing->port, missing->v6 ? '6' : '4');
    if (missing->error != 0)
        gh_find_evidence(f, "the system said: %s", strerror(missing->error));
    gh_find_check(f, "Does another IKE daemon run here (charon, pluto, iked)? `ss -ulpn` shows who "
                     "has the port; stop it, we try again every second.");
}

/* A session's SYN that has no way leaves no trace: of its peer the system is asked, also where the
 * policy says from where. */
static enum ike2_way way_to(const struct peer *k, int *error)
{
    const struct ike2_policy *p = k->policy;
    const struct gh_ike_places_view *places = k->view->places;
    struct gh_addr from;

    if (p->local.len != 0 && p->gateway.len != 0 && ike2_policy_has_tcp_ao(p) && places != NULL)
        return places->way(places->ctx, p->zone, &p->gateway, &from, error);
    return gh_ike_source_of(k->view, p, &from, error);
}

/* Nothing else is to be found out before it is up again. */
static bool explain_admin(const struct peer *k, struct gh_explanation *x)
{
    const struct ike2_policy *p = k->policy;
    bool all = p->child_count > 0;
    struct gh_finding *f;

    for (size_t i = 0; i < p->child_count; i++)
        all = all && p->children[i].stands_down;
    if (!p->stands_down && !all)
        return false;
    f = gh_find(x, GH_CAUSE_IKE_ADMIN_DOWN, RANK_FACT - 1);
    gh_find_summary(f, "It is administratively down: neither begun nor answered.");
    gh_find_evidence(f, p->stands_down ? "the peer is down" : "all its children are down");
    gh_find_check(f,
                  "`gatectl ike up %s` lets it be up again; `admin = down` may stand in the "
                  "configuration.",
                  p->name);
    return true;
}

static void explain_way(const struct peer *k, struct gh_explanation *x)
{
    const struct ike2_policy *p = k->policy;
    char text[GH_ADDR_TEXT];
    struct gh_finding *f;
    int error;

    if (only_answers(p) || way_to(k, &error) != IKE2_WAY_NONE)
        return;
    gh_addr_format(&p->gateway, text);
    f = gh_find(x, GH_CAUSE_IKE_NO_WAY, RANK_FACT - 1);
    gh_find_summary(f, "There is no way from here to %s.", text);
    gh_find_evidence(f, "asked for the address from which it would be reached, the system said: %s",
                     strerror(error));
    gh_find_check(f,
                  "Is there a route, in the peer's namespace and VRF? `ip route get %s` must "
                  "name a source address.",
                  text);
    gh_find_check(f, "We look again as soon as routes or addresses change.");
}

static void explain_keeper(const struct peer *k, struct gh_explanation *x)
{
    struct gh_finding *f;

    if (k->view->keeper)
        return;
    f = gh_find(x, GH_CAUSE_IKE_NO_KEEPER, RANK_FACT - 1);
    gh_find_summary(f, "The process that keeps the secrets does not answer: nobody can "
                       "authenticate.");
    gh_find_evidence(f, "%zu requests wait for it", k->view->keeper_waiting);
    gh_find_check(f, "Does it start again and again? `gatectl show processes` says so, and the "
                     "log why.");
}

static void explain_lockout_of(void *ctx, const struct gh_lockout_client *client)
{
    struct gh_explanation *x = ctx;
    char text[GH_ADDR_TEXT];
    struct gh_finding *f;

    if (!client->blocked)
        return;
    f = gh_find(x, GH_CAUSE_IKE_LOCKED_OUT, RANK_FACT - 2);
    if (client->port != 0)
        gh_find_summary(f, "%s port %u is locked out: what it sends is not read.",
                        gh_addr_format(&client->addr, text), client->port);
    else
        gh_find_summary(f, "%s is locked out: what it sends is not read.",
                        gh_addr_format(&client->addr, text));
    gh_find_evidence(f, "it failed to authenticate too often");
    gh_find_check(f, "Mend its credentials, then `gatectl clear ike lockout %s`.",
                  gh_addr_format(&client->addr, text));
}

struct lockout_search {
    const struct peer *peer;
    struct gh_explanation *x;
};

static void look_at_client(void *ctx, const struct gh_lockout_client *client)
{
    const struct lockout_search *s = ctx;
    const struct ike2_policy *p = s->peer->policy;

    if (client->zone == p->zone &&
        (gh_addr_equal(&client->addr, &p->gateway) ||
         (p->remote.bits > 0 && gh_prefix_contains(&p->remote, &client->addr))))
        explain_lockout_of(s->x, client);
}

static void explain_lockout(const struct peer *k, struct gh_explanation *x)
{
    const struct gh_lockout *lockout = ike2_lockout(k->view->core);
    struct lockout_search s = {.peer = k, .x = x};

    if (lockout != NULL)
        gh_lockout_each(lockout, k->now.mono_ms, look_at_client, &s);
}

/* ---- What failed ---------------------------------------------------------------------------- */

enum { CHECKS = 3 };

/* One row a reason; the core's own words are the evidence. */
static const struct {
    enum ike2_count reason;
    enum gh_cause cause;
    const char *summary;
    const char *checks[CHECKS];
} failures[] = {
    {IKE2_COUNT_TIMED_OUT,
     GH_CAUSE_IKE_NO_ANSWER,
     "The peer does not answer.",
     {"Is the address right, and does the peer run IKEv2?",
      "Do firewalls on the way let UDP ports 500 and 4500 pass, both ways?",
      "The peer may be silent because it has no policy for us: look into its log."}},
    {IKE2_COUNT_NO_PROPOSAL,
     GH_CAUSE_IKE_NO_PROPOSAL,
     "The two ends have no common proposal.",
     {"Compare the proposals of both ends: encryption, PRF, integrity and group must all have one "
      "in common.",
      "Who answers says nothing more on the wire; the log of the answering end names both lists."}},
    {IKE2_COUNT_INVALID_KE,
     GH_CAUSE_IKE_NO_PROPOSAL,
     "The two ends do not agree on the group of the key exchange.",
     {"Put the group that the peer wants into our proposals, or ours into its."}},
    {IKE2_COUNT_AUTH_FAILED,
     GH_CAUSE_IKE_AUTHENTICATION,
     "Authentication failed.",
     {"Pre-shared keys: are they the same octets at both ends, without a newline?",
      "Are the identities those that the other end expects (local-id here, remote id there)?",
      "Certificates: valid now, signed by a CA that the other end trusts, and the identity in "
      "them?"}},
    {IKE2_COUNT_TS_UNACCEPTABLE,
     GH_CAUSE_IKE_SELECTORS,
     "The two ends do not agree on which traffic to protect.",
     {"The traffic selectors of both ends must mirror each other: our local is its remote."}},
    {IKE2_COUNT_HALF_OPEN_EXPIRED,
     GH_CAUSE_IKE_UNFINISHED,
     "An exchange was begun but not finished in time.",
     {"Do large messages get lost? Certificates make them; set fragmentation and a smaller mtu, at "
      "both ends.",
      "The peer may have refused us: look into its log."}},
    {IKE2_COUNT_HALF_OPEN_LIMIT,
     GH_CAUSE_IKE_UNFINISHED,
     "Too many exchanges are begun at once; new ones are dropped.",
     {"An attack, or all peers at once: `gatectl show ike statistics` shows how many."}},
    {IKE2_COUNT_PEER_DEAD,
     GH_CAUSE_IKE_PEER_DEAD,
     "The peer stopped answering, and its SA was given up.",
     {"Was it restarted, or did its address or a NAT's mapping change?",
      "Is the path there? `ping` from the local address."}},
    {IKE2_COUNT_NOT_MOVED,
     GH_CAUSE_IKE_NOT_MOVED,
     "One end went elsewhere, and the IKE SA did not follow.",
     {"Does a NAT stand on the new path, and one end say `no-nats = true`?",
      "Is the new address within what `moves-to` allows?"}},
    {IKE2_COUNT_PEER_CRASHED,
     GH_CAUSE_IKE_PEER_DEAD,
     "The peer lost its SAs, as after a crash, and proved it.",
     {"Its log says why; with `start = true` of a child it is called again at once."}},
    {IKE2_COUNT_NOT_REDIRECTED,
     GH_CAUSE_IKE_REDIRECT,
     "The peer sends us to another gateway, and we do not go there.",
     {"Is the gateway that it names right, and in our follow-redirect-to?",
      "More than 5 times in 5 minutes nobody goes: gateways may send to each other."}},
    {IKE2_COUNT_PUZZLE_TOO_HARD,
     GH_CAUSE_IKE_PUZZLE,
     "The peer is under attack and asks for more work than we do for anybody.",
     {"It lets in a few without; else it helps to wait, or to raise puzzle-limit.",
      "The peer may have set its difficulty too high."}},
    {IKE2_COUNT_SA_LIMIT,
     GH_CAUSE_IKE_NO_MEMORY,
     "There are as many IKE SAs as may be (sa-limit): nobody else comes in.",
     {"`gatectl show ipsec gateway` shows how many there are; raise `sa-limit` if that is right."}},
    {IKE2_COUNT_NO_MEMORY,
     GH_CAUSE_IKE_NO_MEMORY,
     "There was no memory or no room for another SA.",
     {"`gatectl show ike statistics` shows how many there are."}},
};
enum { FAILURES = sizeof(failures) / sizeof(failures[0]) };

static bool has_finding(const struct gh_explanation *x, enum gh_cause cause)
{
    for (size_t i = 0; i < x->count; i++)
        if (x->findings[i].cause == cause)
            return true;
    return false;
}

/* The row of a reason; FAILURES: there is none. */
static size_t row_of(enum ike2_count reason)
{
    size_t i = 0;

    while (i < FAILURES && failures[i].reason != reason)
        i++;
    return i;
}

/* Not of another session with the same peer: the words begin with the child, if it is known, or
 * with "refused with …: ". */
static bool concerns_session(const struct peer *k, const char *text)
{
    const char *answer = strncmp(text, "refused with ", 13) == 0 ? strstr(text, ": ") : NULL;

    if (answer != NULL)
        text = answer + 2;
    for (size_t i = 0; k->session != NULL && i < k->policy->child_count; i++) {
        const char *name = k->policy->children[i].name;
        size_t len = strlen(name);

        if (strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0)
            return strcmp(name, k->session->policy->active) == 0 ||
                   strcmp(name, k->session->policy->passive) == 0;
    }
    return true;
}

/* Of any child of the peer, or of this session's. */
static int64_t last_success(const struct peer *k)
{
    return k->session == NULL ? k->note->child_up : k->session->steps[GK_STEP_INSTALLED].wall;
}

/* A Child SA that was refused while the IKE SA is well. Why is in the words alone. */
static void explain_child(const struct peer *k, struct gh_explanation *x)
{
    const struct gh_ike_failure *child = k->note != NULL ? &k->note->child : NULL;
    char span[GH_SPAN_TEXT];
    struct gh_finding *f;
    size_t row = FAILURES;

    if (child == NULL || child->when == 0 || child->when < last_success(k) ||
        !concerns_session(k, child->text))
        return;
    if (strstr(child->text, ike_notify_name(IKE_N_NO_PROPOSAL_CHOSEN)) != NULL)
        row = row_of(IKE2_COUNT_NO_PROPOSAL);
    else if (strstr(child->text, ike_notify_name(IKE_N_TS_UNACCEPTABLE)) != NULL)
        row = row_of(IKE2_COUNT_TS_UNACCEPTABLE);
    if (row < FAILURES && has_finding(x, failures[row].cause))
        return;
    f = gh_find(x, row < FAILURES ? failures[row].cause : GH_CAUSE_IKE_CHILD_REFUSED,
                RANK_REFUSED - 1);
    gh_find_summary(f, "%s",
                    row < FAILURES ? failures[row].summary : "A Child SA did not come about.");
    gh_find_evidence(f, "%s ago: %s", gh_span_format(k->now.wall - child->when, span), child->text);
    for (size_t c = 0; row < FAILURES && c < CHECKS && failures[row].checks[c] != NULL; c++)
        gh_find_check(f, "%s", failures[row].checks[c]);
    if (row == FAILURES)
        gh_find_check(f, "Compare the children of both ends; the log of the other end says more.");
}

static void explain_failures(const struct peer *k, int64_t since, struct gh_explanation *x)
{
    for (size_t i = 0; k->note != NULL && i < FAILURES; i++) {
        const struct gh_ike_failure *seen = k->note->failures[failures[i].reason];
        enum ike2_count latest;
        char span[GH_SPAN_TEXT];
        struct gh_finding *f;
        bool first;

        if (seen == NULL || seen->when < since || !concerns_session(k, seen->text))
            continue;
        first = gh_ike_note_latest(k->note, since, &latest) == seen;
        f = gh_find(x, failures[i].cause, RANK_REFUSED + (first ? 10 : 0));
        gh_find_summary(f, "%s", failures[i].summary);
        gh_find_evidence(f, "%s ago: %s (%" PRIu64 " times in all)",
                         gh_span_format(k->now.wall - seen->when, span), seen->text, seen->count);
        for (size_t c = 0; c < CHECKS && failures[i].checks[c] != NULL; c++)
            gh_find_check(f, "%s", failures[i].checks[c]);
    }
}

/* ---- Silence -------------------------------------------------------------------------------- */

static void explain_silence(const struct peer *k, struct gh_explanation *x)
{
    const uint64_t *counters = ike2_counters(k->view->core);
    int64_t when = 0;
    const char *text = ike2_last_failure(k->view->core, IKE2_COUNT_NO_POLICY, &when);
    char buf[GH_PREFIX_TEXT], span[GH_SPAN_TEXT];
    struct gh_finding *f;

    if (counters[IKE2_COUNT_NO_POLICY] > 0) {
        f = gh_find(x, GH_CAUSE_IKE_NO_POLICY, RANK_GUESS);
        gh_find_summary(f, "Somebody called whom no peer of the configuration covers. It may be "
                           "this one, from another address.");
        gh_find_evidence(f, "%s", text != NULL ? text : "its messages were dropped");
        gh_find_check(f, "Is its address, as we see it behind a NAT, within the peer's remote?");
    }
    if (x->count > 0)
        return;
    if (k->tally.opening > 0) {
        f = gh_find(x, GH_CAUSE_IKE_NO_ANSWER, RANK_GUESS);
        gh_find_summary(f, "The exchange with %s is not finished yet.", where(k->policy, buf));
        if (k->note != NULL && k->note->begun > 0)
            gh_find_evidence(f, "begun %s ago", gh_span_format(k->now.wall - k->note->begun, span));
        gh_find_check(f, "If this lasts, the peer does not answer: do firewalls let UDP ports 500 "
                         "and 4500 pass, both ways?");
        return;
    }
    f = gh_find(x, GH_CAUSE_IKE_NOBODY_BEGINS, RANK_SILENCE);
    if (only_answers(k->policy)) {
        gh_find_summary(f, "We only answer, and nothing came from %s.", where(k->policy, buf));
        gh_find_check(f, "Does the peer begin? Is it told this host's address?");
        gh_find_check(f, "Do firewalls let UDP ports 500 and 4500 in?");
    } else {
        gh_find_summary(f, "Nobody has begun yet.");
        gh_find_check(f,
                      "`gatectl ike initiate %s` begins; `start = true` of a child does so by "
                      "itself.",
                      k->policy->name);
    }
}

/* ---- A session without a key ----------------------------------------------------------------- */

static bool has_key(const struct gk_view *s)
{
    const struct gk_key *key = s->keys;

    while (key != NULL && key->state != GK_KEY_LIVE)
        key = key->next;
    return key != NULL;
}

/* IKE has nothing to complain of. */
static void explain_demand(const struct peer *k, struct gh_explanation *x)
{
    const struct gk_view *s = k->session;
    char buf[GH_PREFIX_TEXT], span[GH_SPAN_TEXT];
    struct gh_finding *f;

    if (s == NULL || x->count > 0 || k->tally.opening > 0)
        return;
    where(k->policy, buf);
    if (s->negotiating) {
        f = gh_find(x, GH_CAUSE_IKE_NO_ANSWER, RANK_GUESS);
        gh_find_summary(f, "A key is being negotiated with %s.", buf);
        gh_find_evidence(
            f, "asked for %s ago",
            gh_span_format((k->now.mono_ms - s->steps[GK_STEP_ASKED].mono_ms) / 1000, span));
        gh_find_check(f, "If this lasts, the peer does not answer: look into its log.");
    } else if (s->failure != NULL) {
        f = gh_find(x, GH_CAUSE_IKE_CHILD_REFUSED, RANK_REFUSED);
        gh_find_summary(f, "The last try came to nothing; another one follows.");
        gh_find_evidence(f, "%s ago: %s", gh_span_format(k->now.wall - s->failed_at, span),
                         s->failure);
        gh_find_check(f, "The log of the other end may say more.");
    } else {
        f = gh_find(x, GH_CAUSE_IKE_NOBODY_BEGINS, RANK_SILENCE);
        gh_find_summary(f, "No key was asked for: that is done when a connection is to be opened, "
                           "and no SYN of the session has come.");
        gh_find_check(f,
                      "Does the routing daemon run, here and at %s, and one of them open the "
                      "session?",
                      buf);
    }
}

/* ---- All together --------------------------------------------------------------------------- */

static void headline(const struct peer *k, struct gh_explanation *x)
{
    const struct ike2_policy *p = k->policy;
    char buf[GH_PREFIX_TEXT];

    where(p, buf);
    if (k->tally.up > 0) {
        x->verdict = GH_VERDICT_UP;
        snprintf(x->headline, sizeof(x->headline),
                 "IKE peer %s with %s is up: %zu IKE SA%s, %zu Child SA%s.", p->name, buf,
                 k->tally.up, k->tally.up == 1 ? "" : "s", k->tally.children,
                 k->tally.children == 1 ? "" : "s");
    } else if (k->tally.opening > 0) {
        x->verdict = GH_VERDICT_OPENING;
        snprintf(x->headline, sizeof(x->headline), "IKE peer %s with %s is opening.", p->name, buf);
    } else {
        x->verdict = GH_VERDICT_DOWN;
        snprintf(x->headline, sizeof(x->headline), "IKE peer %s with %s is not up.", p->name, buf);
    }
}

static void explain_peer(const struct peer *k, struct gh_explanation *x)
{
    memset(x, 0, sizeof(*x));
    headline(k, x);
    if (k->session != NULL && has_key(k->session))
        return;
    if (x->verdict == GH_VERDICT_UP) {
        explain_failures(k, k->note != NULL && k->note->up > 0 ? k->note->up : k->now.wall, x);
        explain_child(k, x);
        explain_demand(k, x);
    } else if (!explain_admin(k, x)) {
        explain_sockets(k, x);
        explain_way(k, x);
        explain_keeper(k, x);
        explain_lockout(k, x);
        explain_failures(k, 1, x);
        explain_demand(k, x);
        explain_silence(k, x);
    }
    gh_findings_sort(x);
}

struct of_name {
    const char *name;
    struct gk_view session;
    bool found;
};

static void find_session(void *ctx, const struct gk_view *v)
{
    struct of_name *s = ctx;

    if (strcmp(v->policy->name, s->name) == 0) {
        s->session = *v;
        s->found = true;
    }
}

json_t *gh_ike_explain(const struct gh_ike_view *view, struct gh_now now, const json_t *request)
{
    struct of_name keys_of = {.name = json_string_value(json_object_get(request, "keys_of"))};
    struct gh_ike_target target = {.name = NULL};
    struct gh_explanation x;
    json_t *refusal, *explanations;

    if (keys_of.name != NULL && view->gatekeeper != NULL)
        gk_each(view->gatekeeper, find_session, &keys_of);
    if (keys_of.found)
        target.name = keys_of.session.policy->ike;
    else if (keys_of.name != NULL)
        return gh_control_refusal("`gatectl show gatekeeper` lists them",
                                  "no session with negotiated keys is called \"%.200s\"",
                                  keys_of.name);
    else if (!gh_ike_target_parse(view, request, true, &target, &refusal))
        return refusal;
    explanations = json_array();
    for (size_t i = 0; i < view->policy_count; i++) {
        const struct ike2_policy *p = view->policies[i];
        const struct peer peer = {.view = view,
                                  .policy = p,
                                  .session = keys_of.found ? &keys_of.session : NULL,
                                  .note = gh_ike_notes_find(view->notes, p->name),
                                  .tally = gh_ike_tally_of(view, p->name),
                                  .now = now};

        if (!gh_ike_target_covers(&target, p))
            continue;
        explain_peer(&peer, &x);
        json_array_append_new(explanations, gh_explanation_json(p->name, &x));
    }
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "time", gh_json_time(now.wall), "explanations",
                     explanations);
}

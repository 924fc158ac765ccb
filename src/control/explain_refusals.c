/* Causes that the engine's refusals point to: one function a reason. */
#include "control/explain_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/format.h"
#include "control/outlook.h"

enum { FLAG_RST = 4 };

struct refused {
    const struct gh_evidence *e;
    const struct ao_refusal *r;
    const struct tcpao_mkt *key; /* ours that the option's KeyID names, valid or not; or NULL */
};

/* ---- Words ---------------------------------------------------------------------------------- */

/* "8, 2 and 40" of our keys' ids; "none". */
static const char *list_ids(const struct tcpao_chain *chain, bool send, char *buf, size_t len)
{
    size_t n = 0, count = tcpao_chain_count(chain);

    snprintf(buf, len, "none");
    for (size_t i = 0; i < count && n < len; i++) {
        const struct tcpao_mkt *k = tcpao_chain_at(chain, i);
        const char *glue = i == 0 ? "" : i + 1 == count ? " and " : ", ";

        n += (size_t)snprintf(buf + n, len - n, "%s%u", glue, send ? k->send_id : k->recv_id);
    }
    return buf;
}

static bool is_send_id(const struct tcpao_chain *chain, uint8_t id)
{
    for (size_t i = 0; i < tcpao_chain_count(chain); i++) {
        if (tcpao_chain_at(chain, i)->send_id == id)
            return true;
    }
    return false;
}

static const struct tcpao_mkt *find_by_recv_id(const struct tcpao_chain *chain, uint8_t id,
                                               int64_t now)
{
    const struct tcpao_mkt *k = tcpao_chain_by_recv_id(chain, id, now);

    for (size_t i = 0; k == NULL && i < tcpao_chain_count(chain); i++) {
        if (tcpao_chain_at(chain, i)->recv_id == id)
            k = tcpao_chain_at(chain, i);
    }
    return k;
}

static void evidence(struct gh_finding *f, const struct refused *x, unsigned counter)
{
    const struct ao_refusal *r = x->r;
    char from[GH_ENDPOINT_TEXT], to[GH_ENDPOINT_TEXT], flags[GH_FLAGS_TEXT], when[32];
    char ago[GH_SPAN_TEXT], option[80] = "no TCP-AO option";
    bool in = r->way == AO_IN;

    if (r->option.ao)
        snprintf(option, sizeof(option), "KeyID %u, RNextKeyID %u, MAC of %u octets",
                 r->option.keyid, r->option.rnext, r->option.mac_len);
    else if (r->option.md5)
        snprintf(option, sizeof(option), "TCP-MD5 option");
    if (r->remote.addr_len == 0) { /* the kernel counts, and keeps no segment */
        gh_find_evidence(f, "%s %" PRIu64 " time%s, by the kernel; last seen %s (%s ago)",
                         ao_counter_name(counter), x->e->view->counters[counter],
                         x->e->view->counters[counter] == 1 ? "" : "s",
                         gh_time_format(r->wall, when, sizeof(when)),
                         gh_span_format(x->e->now.wall - r->wall, ago));
        return;
    }
    gh_find_evidence(
        f, "%s %" PRIu64 " time%s; last %s (%s ago): %s to %s, %s, %s", ao_counter_name(counter),
        x->e->view->counters[counter], x->e->view->counters[counter] == 1 ? "" : "s",
        gh_time_format(r->wall, when, sizeof(when)), gh_span_format(x->e->now.wall - r->wall, ago),
        gh_endpoint_format(in ? &r->remote : &r->local, from),
        gh_endpoint_format(in ? &r->local : &r->remote, to),
        gh_tcp_flags_format(r->tcp_flags, flags), option);
}

static void check_peer_ids(struct gh_finding *f, const struct refused *x)
{
    char send[200], recv[200];

    gh_find_check(f,
                  "The peer's send-id must be our recv-id (%s), the peer's recv-id our send-id "
                  "(%s).",
                  list_ids(x->e->chain, false, recv, sizeof(recv)),
                  list_ids(x->e->chain, true, send, sizeof(send)));
}

/* ---- One function a reason ------------------------------------------------------------------ */

static void bad_mac(const struct refused *x, struct gh_finding *f)
{
    const char *algorithm = x->key != NULL ? tcpao_alg_name(x->key->alg, x->key->mac_len) : "ours";

    if (x->r->diagnosis[0] != '\0') {
        f->rank += 60;
        gh_find_summary(f, "The peer's MACs are wrong, and a usual mistake fits: %s.",
                        x->r->diagnosis);
    } else if (x->key != NULL) {
        gh_find_summary(
            f,
            "The peer signs with KeyID %u, our key %u, but the MAC does not match: most "
            "likely the secret is not the same at both ends.",
            x->r->option.keyid, x->key->number);
    } else {
        gh_find_summary(f, "The peer's MACs do not match: most likely the secret is not the same "
                           "at both ends.");
    }
    gh_find_check(f, "The same secret at both ends: no newline or space at its end, ASCII against "
                     "hex, not a stored (encrypted) form of the router.");
    gh_find_check(f,
                  "The same algorithm and MAC length (%s) and the same option flag "
                  "(include-tcp-options = %s).",
                  algorithm, x->key != NULL && !x->key->options_covered ? "false" : "true");
    gh_find_check(f, "No address or port translation between the two ends: TCP-AO signs both "
                     "addresses and ports.");
    gh_find_check(f, "`gatectl verify-pcap` on a capture tries the usual suspects on every "
                     "segment.");
}

static void unknown_keyid(const struct refused *x, struct gh_finding *f)
{
    uint8_t id = x->r->option.keyid;
    char ids[200];

    list_ids(x->e->chain, false, ids, sizeof(ids));
    if (!x->r->option.ao) {
        gh_find_summary(f,
                        "The peer signs with a KeyID that is none of the recv-ids of chain %s that "
                        "are valid now (all: %s).",
                        x->e->chain_name, ids);
    } else if (is_send_id(x->e->chain, id)) {
        gh_find_summary(f,
                        "The peer sends with KeyID %u, which is our send-id, not our recv-id (%s): "
                        "the ids are probably not swapped between the ends.",
                        id, ids);
        f->rank += 20;
    } else {
        gh_find_summary(f,
                        "The peer sends with KeyID %u and asks for %u by RNextKeyID, but the "
                        "recv-ids of chain %s are %s.",
                        id, x->r->option.rnext, x->e->chain_name, ids);
    }
    check_peer_ids(f, x);
    gh_find_check(f, "Which of its keys does the peer use now? Its key may have begun before we "
                     "have it.");
}

static void key_not_valid(const struct refused *x, struct gh_finding *f)
{
    uint32_t tolerance = tcpao_chain_tolerance(x->e->chain);
    int64_t now = x->e->now.wall;
    char when[32], span[GH_SPAN_TEXT];
    struct tcpao_lifetime l;

    if (x->key == NULL) {
        gh_find_summary(f, "The peer signs with a key that we do not accept now.");
        return;
    }
    l = gh_key_accept_widened(x->key, tolerance);
    if (l.from > now)
        gh_find_summary(f,
                        "The peer already signs with key %u (KeyID %u), which we accept only from "
                        "%s, in %s.",
                        x->key->number, x->r->option.keyid,
                        gh_time_format(l.from, when, sizeof(when)),
                        gh_span_format(l.from - now, span));
    else if (l.until <= now)
        gh_find_summary(f,
                        "The peer still signs with key %u (KeyID %u), which we accepted only until "
                        "%s, %s ago.",
                        x->key->number, x->r->option.keyid,
                        gh_time_format(l.until, when, sizeof(when)),
                        gh_span_format(now - l.until, span));
    else
        gh_find_summary(f,
                        "The peer signed with key %u (KeyID %u) when we did not accept it; we do "
                        "now.",
                        x->key->number, x->r->option.keyid);
    gh_find_check(f, "Are both clocks right? Ours says %s.",
                  gh_time_format(now, when, sizeof(when)));
    gh_find_check(f, "The same lifetimes at both ends (time zones!); our tolerance is %u s.",
                  tolerance);
    gh_find_check(f, "`gatectl key-chain simulate OURS --peer THEIRS` shows where they part.");
}

static void unsigned_reset(const struct refused *x, struct gh_finding *f)
{
    f->cause = GH_CAUSE_PEER_REFUSES;
    gh_find_summary(f, "The peer answers with a reset that is not signed: nobody listens there, or "
                       "it does not know this connection. (Or the reset is forged; it was not "
                       "passed on.)");
    gh_find_check(f, "Is the peer's daemon running, and does it listen on port %u?",
                  x->e->session->port);
    gh_find_check(f, "Is this host's address configured as a neighbour at the peer?");
}

static void missing_ao(const struct refused *x, struct gh_finding *f)
{
    struct gh_addr local = gh_addr_from(x->r->local.addr, x->r->local.addr_len);
    char text[GH_ADDR_TEXT];

    if ((x->r->tcp_flags & FLAG_RST) != 0) {
        unsigned_reset(x, f);
        return;
    }
    gh_find_summary(f, "The peer sends no TCP-AO option: it is not configured for TCP-AO with us, "
                       "or something on the path strips it.");
    gh_find_check(f, "Is TCP-AO configured at the peer for exactly our address (%s)?",
                  local.len != 0 ? gh_addr_format(&local, text) : "the one that the peer sees");
    gh_find_check(f, "Firewalls and load balancers that normalise TCP remove option 29; compare "
                     "captures at both ends.");
    gh_find_check(f, "To migrate a peer that has no TCP-AO yet: mode = \"allow-without-ao\" lets "
                     "it through, unprotected.");
}

static void md5_clash(const struct refused *x, struct gh_finding *f)
{
    if (x->r->way == AO_OUT) {
        gh_find_summary(f, "The local daemon signs with TCP-MD5; with TCP-AO a connection must not "
                           "use both (RFC 5925 section 8).");
        gh_find_check(f, "Remove the neighbour's password from the local daemon's configuration: "
                         "Gatehouse does the signing.");
    } else {
        gh_find_summary(f, "The peer signs with TCP-MD5, not with TCP-AO.");
        gh_find_check(f, "Replace the MD5 password by a TCP-AO key chain at the peer.");
    }
}

static void bad_length(const struct refused *x, struct gh_finding *f)
{
    if (x->key != NULL)
        gh_find_summary(f,
                        "The peer's MAC has %u octets, but our key %u (%s) has %u: the algorithm "
                        "or its truncation differs.",
                        x->r->option.mac_len, x->key->number,
                        tcpao_alg_name(x->key->alg, x->key->mac_len), x->key->mac_len);
    else
        gh_find_summary(f,
                        "The peer's MAC has %u octets, ours another length: the algorithm or its "
                        "truncation differs.",
                        x->r->option.mac_len);
    gh_find_check(f, "Say the length in our key's algorithm: the vendors' \"hmac-sha-256\" means "
                     "12, 16 or 32 octets.");
    gh_find_check(f, "The algorithms of the RFCs (HMAC-SHA-1-96, AES-128-CMAC-96) send 12 octets.");
}

static void refused_direction(const struct refused *x, struct gh_finding *f)
{
    if (x->r->way == AO_IN)
        gh_find_summary(f, "The peer opens the connection, but the session is configured "
                           "direction = \"active\": only we may open.");
    else
        gh_find_summary(f, "The local daemon opens the connection, but the session is configured "
                           "direction = \"passive\": only the peer may open.");
    gh_find_check(f, "Leave direction out to let either end open, or make the daemons agree "
                     "(passive neighbour on one side only).");
}

static void no_handshake(const struct refused *x, struct gh_finding *f)
{
    if (x->r->way == AO_IN)
        gh_find_summary(f, "The peer sends segments of a connection that Gatehouse does not know: "
                           "one that is older than the protection, or that has ended here and not "
                           "yet there.");
    else
        gh_find_summary(f, "The local daemon has a connection whose handshake Gatehouse has not "
                           "seen (it is older than the protection): without its initial sequence "
                           "numbers nothing can be signed.");
    gh_find_check(f,
                  "`gatectl reset-session %s` ends it; the daemons then open a protected one. It "
                  "ends by itself when the daemons' hold time is over.",
                  x->e->session->name);
}

static void ao_came_later(const struct refused *x, struct gh_finding *f)
{
    gh_find_summary(f, "The peer sends TCP-AO on a connection that came up without it.");
    gh_find_check(f,
                  "`gatectl reset-session %s`: the next connection is then protected from its "
                  "start.",
                  x->e->session->name);
}

static void no_space(const struct refused *x, struct gh_finding *f)
{
    gh_find_summary(f, "The TCP-AO option does not fit beside the other TCP options of the local "
                       "stack's segments (40 octets in all).");
    gh_find_check(f, "Use a shorter MAC (12 octets), or switch TCP timestamps off for this host.");
}

static void fragments(const struct refused *x, struct gh_finding *f)
{
    gh_find_summary(f, "IP fragments arrive, which cannot be verified one by one.");
    gh_find_check(f, "Something on the path has a smaller MTU: lower the MSS or let path MTU "
                     "discovery work.");
}

static void malformed(const struct refused *x, struct gh_finding *f)
{
    gh_find_summary(f, "Segments arrive that are no proper TCP (or carry two authentication "
                       "options): forged, or mangled on the path.");
    gh_find_check(f, "Compare captures at both ends.");
}

static void old_sequence(const struct refused *x, struct gh_finding *f)
{
    gh_find_summary(f, "Segments from before the connection's start arrive: replays, or leftovers "
                       "of an earlier connection. They do no harm.");
    gh_find_check(f, "Nothing, unless they go on for minutes.");
}

static void table_full(const struct refused *x, struct gh_finding *f)
{
    gh_find_summary(f, "The table of connections is full: new connections are refused.");
    gh_find_check(f, "Raise max-connections in the `gatehouse` section; `gatectl show tcp-ao "
                     "session` shows who fills it.");
}

static void crypto_failed(const struct refused *x, struct gh_finding *f)
{
    gh_find_summary(f, "The cryptographic library reported an error.");
    gh_find_check(f, "Does a FIPS or other provider setting of OpenSSL forbid the algorithm?");
}

/* ---- The table ------------------------------------------------------------------------------ */

static const struct {
    unsigned counter;
    enum gh_cause cause;
    int weight; /* among refusals of the same age */
    void (*explain)(const struct refused *x, struct gh_finding *f);
} reasons[] = {
    {TCPAO_BAD_MAC, GH_CAUSE_WRONG_KEY, 40, bad_mac},
    {TCPAO_BAD_LENGTH, GH_CAUSE_MAC_LENGTH, 45, bad_length},
    {TCPAO_UNKNOWN_KEYID, GH_CAUSE_UNKNOWN_KEYID, 40, unknown_keyid},
    {TCPAO_KEY_NOT_VALID, GH_CAUSE_KEY_NOT_VALID, 45, key_not_valid},
    {TCPAO_MISSING_AO, GH_CAUSE_PEER_WITHOUT_AO, 35, missing_ao},
    {TCPAO_MD5_CLASH, GH_CAUSE_MD5_CLASH, 50, md5_clash},
    {TCPAO_DUPLICATE_OPTION, GH_CAUSE_MALFORMED, 10, malformed},
    {TCPAO_MALFORMED, GH_CAUSE_MALFORMED, 10, malformed},
    {TCPAO_OLD_SEQUENCE, GH_CAUSE_OLD_SEQUENCE, 5, old_sequence},
    {TCPAO_ISN_UNKNOWN, GH_CAUSE_NO_HANDSHAKE, 50, no_handshake},
    {AO_COUNT_NO_CONNECTION, GH_CAUSE_NO_HANDSHAKE, 30, no_handshake},
    {AO_COUNT_UNEXPECTED_AO, GH_CAUSE_AO_CAME_LATER, 30, ao_came_later},
    {TCPAO_NO_SPACE, GH_CAUSE_NO_SPACE, 50, no_space},
    {TCPAO_CRYPTO_FAILED, GH_CAUSE_CRYPTO, 50, crypto_failed},
    {AO_COUNT_REFUSED_DIRECTION, GH_CAUSE_DIRECTION, 45, refused_direction},
    {AO_COUNT_TABLE_FULL, GH_CAUSE_TABLE_FULL, 55, table_full},
    {AO_COUNT_FRAGMENT, GH_CAUSE_FRAGMENTS, 15, fragments},
};

static bool concerns(const struct gh_evidence *e, const struct ao_refusal *r, int64_t since)
{
    struct gh_addr remote = gh_addr_from(r->remote.addr, r->remote.addr_len);

    if (!r->seen || r->wall < since)
        return false;
    return e->peer.len == 0 || remote.len == 0 || gh_addr_equal(&remote, &e->peer);
}

static int64_t newest(const struct gh_evidence *e, int64_t since)
{
    int64_t wall = TCPAO_TIME_MIN;

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        const struct ao_refusal *r = &e->view->refusals[reasons[i].counter];

        if (concerns(e, r, since) && r->wall > wall)
            wall = r->wall;
    }
    return wall;
}

/* What was refused lately says more than what was refused an hour before that. */
static int recency(int64_t newest_wall, int64_t wall)
{
    if (newest_wall - wall <= 60)
        return 200;
    return newest_wall - wall <= 600 ? 100 : 0;
}

static struct gh_finding *already(struct gh_explanation *x, enum gh_cause cause)
{
    for (size_t i = 0; i < x->count; i++) {
        if (x->findings[i].cause == cause)
            return &x->findings[i];
    }
    return NULL;
}

void gh_explain_refusals(const struct gh_evidence *e, int64_t since, struct gh_explanation *x)
{
    int64_t latest = newest(e, since);

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        const struct ao_refusal *r = &e->view->refusals[reasons[i].counter];
        struct refused refused = {.e = e, .r = r};
        struct gh_finding *f;

        if (!concerns(e, r, since) || already(x, reasons[i].cause) != NULL)
            continue;
        if (r->way == AO_IN && r->option.ao)
            refused.key = find_by_recv_id(e->chain, r->option.keyid, e->now.wall);
        f = gh_find(x, reasons[i].cause,
                    RANK_REFUSED + recency(latest, r->wall) + reasons[i].weight);
        evidence(f, &refused, reasons[i].counter);
        reasons[i].explain(&refused, f);
    }
}

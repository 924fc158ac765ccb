/* Causes that show by what is missing: packets of one direction, or of both. */
#include "control/explain_parts.h"

#include <inttypes.h>
#include <stdio.h>

#include "control/format.h"

enum {
    ANSWER_TIME = 10, /* seconds within which one side's packet has the other's answer */
    IDLE_TIME = 300   /* longer than the daemons wait before they try again */
};

struct traffic {
    uint64_t in, out;
    int64_t last_in, last_out;
    bool refused_in, refused_out; /* at about the time of the last packet of that way */
};

static bool refused_lately(const struct ao_session_view *v, enum ao_way way, int64_t last)
{
    for (unsigned i = 0; i < AO_COUNTERS; i++) {
        const struct ao_refusal *r = &v->refusals[i];

        if (r->seen && r->way == way && i != AO_COUNT_ICMP_IGNORED && r->wall >= last - ANSWER_TIME)
            return true;
    }
    return false;
}

static void packets_evidence(const struct gh_evidence *e, const struct traffic *t,
                             struct gh_finding *f)
{
    char in[48] = "", out[48] = "", span[GH_SPAN_TEXT];
    const char *whole =
        gh_prefix_is_host(&e->session->peer) ? "" : " (of all peers of this session)";

    if (t->in > 0)
        snprintf(in, sizeof(in), ", the last %s ago",
                 gh_span_format(e->now.wall - t->last_in, span));
    if (t->out > 0)
        snprintf(out, sizeof(out), ", the last %s ago",
                 gh_span_format(e->now.wall - t->last_out, span));
    gh_find_evidence(f, "%" PRIu64 " packets from the peer%s; %" PRIu64 " packets to it%s%s", t->in,
                     in, t->out, out, whole);
}

static void check_addresses(const struct gh_evidence *e, struct gh_finding *f)
{
    char local[GH_PREFIX_TEXT], peer[GH_PREFIX_TEXT];

    gh_find_check(
        f, "Do address and port fit what the daemon uses: peer %s, local %s, port %u%s%s%s%s?",
        gh_evidence_peer(e, peer), gh_prefix_format(&e->session->local, local), e->session->port,
        e->session->netns != NULL ? ", network namespace " : "",
        e->session->netns != NULL ? e->session->netns : "", e->session->vrf != NULL ? ", VRF " : "",
        e->session->vrf != NULL ? e->session->vrf : "");
}

static void nobody_opens(const struct gh_evidence *e, const struct traffic *t,
                         struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_NOBODY_OPENS, RANK_SILENCE + 20);

    gh_find_summary(f, "We are passive in this session (direction = \"passive\"), and the peer "
                       "does not open: perhaps both ends are passive.");
    packets_evidence(e, t, f);
    gh_find_check(f, "Let one end be active: here by leaving direction out and a neighbour that is "
                     "not passive, or at the peer.");
}

static void no_packets(const struct gh_evidence *e, const struct traffic *t,
                       struct gh_explanation *x)
{
    struct gh_finding *f;

    if (e->session->direction == GH_PASSIVE)
        nobody_opens(e, t, x);
    f = gh_find(x, GH_CAUSE_NO_PACKETS, RANK_SILENCE);
    gh_find_summary(f, t->in + t->out == 0
                           ? "No packet of this session has been seen in either direction: neither "
                             "daemon tries, or the packets do not match the session."
                           : "No packet of this session has been seen for a while: neither daemon "
                             "tries any more.");
    packets_evidence(e, t, f);
    gh_find_check(f, "Is the local daemon running, and is the peer configured as its neighbour and "
                     "not shut down?");
    check_addresses(e, f);
    gh_find_check(f,
                  "Is there a route to the peer? Without one the daemon's connect fails before a "
                  "packet leaves.");
}

static void silent_peer(const struct gh_evidence *e, const struct traffic *t,
                        struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_SILENT_PEER, RANK_SILENCE + 10);
    char peer[GH_PREFIX_TEXT];

    gh_evidence_peer(e, peer);
    gh_find_summary(f, "We send signed segments, but nothing comes back: a peer that cannot verify "
                       "them drops them in silence, as TCP-AO demands.");
    packets_evidence(e, t, f);
    gh_find_check(f, "Does the peer %s answer a ping?", peer);
    gh_find_check(f, "What do the peer's TCP-AO counters say (wrong MAC, key not found)? Secret, "
                     "ids and algorithm must be the same there.");
    gh_find_check(f,
                  "Does a firewall or router on the path drop TCP port %u, or segments with TCP "
                  "option 29?",
                  e->session->port);
    gh_find_check(f, "Is the peer's daemon running, with us as its neighbour?");
}

static void no_local_answer(const struct gh_evidence *e, const struct traffic *t,
                            struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_NO_LOCAL_ANSWER, RANK_SILENCE + 10);

    gh_find_summary(f, "The peer's segments come in and are right, but the local side does not "
                       "answer them.");
    packets_evidence(e, t, f);
    gh_find_check(f,
                  "Does the local daemon listen on port %u of the address that the peer uses "
                  "(ss -ltn)?",
                  e->session->port);
    gh_find_check(f,
                  "Is there a route back to the peer, and no local firewall rule or reverse path "
                  "filter in the way?");
    check_addresses(e, f);
}

static void syn_ack_refused(const struct gh_evidence *e, const struct ao_connection_view *c,
                            struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_SYN_ACK_REFUSED, RANK_SILENCE + 100);
    const struct tcpao_mkt *k =
        c->conn.current_known ? tcpao_chain_find(e->chain, c->conn.current_key) : NULL;
    char remote[GH_ENDPOINT_TEXT], span[GH_SPAN_TEXT];

    gh_endpoint_format(&c->remote, remote);
    gh_find_summary(f, "The peer's SYN was right and we answered, but its ACK does not come: it "
                       "probably refuses our SYN-ACK.");
    gh_find_evidence(f, "the connection with %s has been in syn-received for %s", remote,
                     gh_span_format(e->now.wall - c->since, span));
    if (k != NULL)
        gh_find_check(f,
                      "We sign with key %u, KeyID %u: does the peer accept it now (its recv-id %u, "
                      "its accept lifetime, its clock)?",
                      k->number, k->send_id, k->send_id);
    gh_find_check(f, "What do the peer's TCP-AO counters say?");
    gh_find_check(f, "Does a firewall on the path let our answers pass?");
}

/* The keys fit: the peer's refusal was signed, or we signed ours. */
static void refused_open(const struct gh_evidence *e, const struct traffic *t, bool by_peer,
                         struct gh_explanation *x)
{
    struct gh_finding *f =
        gh_find(x, by_peer ? GH_CAUSE_PEER_REFUSES : GH_CAUSE_NO_LOCAL_ANSWER, RANK_SILENCE + 50);

    if (by_peer)
        gh_find_summary(f, "The peer answers our SYN with a reset that is rightly signed: the keys "
                           "fit, but nobody listens there, or its daemon does not want us.");
    else
        gh_find_summary(f, "The peer's SYN is right, but the local stack answers it with a reset: "
                           "nobody listens here.");
    packets_evidence(e, t, f);
    gh_find_check(f,
                  by_peer ? "Is the peer's daemon running, does it listen on port %u, and is our "
                            "address its neighbour?"
                          : "Does the local daemon run and listen on port %u of the address that "
                            "the peer uses (ss -ltn)?",
                  e->session->port);
}

static void icmp(const struct gh_evidence *e, struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_ICMP, RANK_SILENCE + 50);

    gh_find_summary(f, "ICMP errors about this session's connections arrive (unreachable, "
                       "prohibited): a router or the peer says that they do not get through. They "
                       "are ignored, as RFC 5925 section 7.8 demands, because anybody can forge "
                       "them.");
    gh_find_evidence(f, "icmp-ignored %" PRIu64 " times", e->view->counters[AO_COUNT_ICMP_IGNORED]);
    gh_find_check(f, "Is there a route to the peer and back, and no firewall that rejects?");
}

static void not_tcp_ao(const struct gh_evidence *e, const struct traffic *t,
                       struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_NOT_TCP_AO, RANK_GUESS);

    gh_find_summary(f, "Segments pass in both directions and TCP-AO refuses none: the reason lies "
                       "with the daemons.");
    packets_evidence(e, t, f);
    gh_find_check(f, "The daemons' logs at both ends: AS number, router id, hold time, policy.");
    if (e->view->last_event != NULL)
        gh_find_check(f, "The last thing seen here: %s", e->view->last_event);
}

void gh_explain_silence(const struct gh_evidence *e, struct gh_explanation *x)
{
    const struct ao_session_view *v = e->view;
    const struct ao_connection_view *c = gh_evidence_connection(e);
    struct traffic t = {.in = v->packets_in,
                        .out = v->packets_out,
                        .last_in = v->last_in_wall,
                        .last_out = v->last_out_wall,
                        .refused_in = refused_lately(v, AO_IN, v->last_in_wall),
                        .refused_out = refused_lately(v, AO_OUT, v->last_out_wall)};
    bool idle_in = t.in == 0 || e->now.wall - t.last_in > IDLE_TIME;
    bool idle_out = t.out == 0 || e->now.wall - t.last_out > IDLE_TIME;
    bool peer_silent = !idle_out && (t.in == 0 || t.last_out - t.last_in > ANSWER_TIME);
    bool answered = c != NULL && c->state == AO_STATE_SYN_RECEIVED;
    bool we_silent = !idle_in && (t.out == 0 || t.last_in - t.last_out > ANSWER_TIME);
    bool never_open = c != NULL && c->state == AO_STATE_CLOSED &&
                      !(c->conn.local_isn_known && c->conn.remote_isn_known);

    if (v->counters[AO_COUNT_ICMP_IGNORED] > 0)
        icmp(e, x);
    if (idle_in && idle_out)
        no_packets(e, &t, x);
    else if (peer_silent && !t.refused_out && !answered)
        silent_peer(e, &t, x);
    else if (t.refused_in || t.refused_out)
        return; /* what was refused says why the other side does not answer */
    else if (answered)
        syn_ack_refused(e, c, x);
    else if (never_open)
        refused_open(e, &t, c->active, x);
    else if (we_silent)
        no_local_answer(e, &t, x);
    else
        not_tcp_ao(e, &t, x);
}

/* explain: gathers the evidence, asks gh_explain(), puts its words into JSON. */
#include "control/answer.h"

#include <stdlib.h>
#include <string.h>

#include "control/explain.h"

struct gathering {
    struct gh_evidence *evidence; /* one a session that is asked about */
    struct ao_connection_view *connections;
    size_t count, capacity;
    const struct gh_target *target;
    json_t *explanations;
    bool failed;
};

static json_t *finding_json(const struct gh_finding *f)
{
    json_t *checks = json_array();

    for (size_t i = 0; i < f->check_count; i++)
        json_array_append_new(checks, gh_json_text(f->checks[i]));
    return json_pack("{s:s, s:o, s:o, s:o}", "cause", gh_cause_name(f->cause), "summary",
                     gh_json_text(f->summary), "evidence",
                     gh_json_text(f->evidence[0] != '\0' ? f->evidence : NULL), "checks", checks);
}

json_t *gh_explanation_json(const char *name, const struct gh_explanation *x)
{
    json_t *findings = json_array();

    for (size_t i = 0; i < x->count; i++)
        json_array_append_new(findings, finding_json(&x->findings[i]));
    return json_pack("{s:o, s:s, s:o, s:o}", "session", gh_json_text(name), "verdict",
                     gh_verdict_name(x->verdict), "headline", gh_json_text(x->headline), "findings",
                     findings);
}

static void explain(struct gathering *g)
{
    struct gh_explanation *x = malloc(sizeof(*x));
    json_t *explanation;

    if (x == NULL) {
        g->failed = true;
        return;
    }
    gh_explain(g->evidence, x);
    explanation = gh_explanation_json(g->evidence->session->name, x);
    json_object_set_new(explanation, "ike_peer", gh_json_text(g->evidence->session->ike_peer));
    json_array_append_new(g->explanations, explanation);
    free(x);
}

/* What a view borrows beyond the walk is dropped; explain() uses the policy's chain. */
static void add_connection(void *ctx, const struct ao_connection_view *c)
{
    struct gathering *g = ctx;
    struct ao_connection_view *copy;

    if (strcmp(c->session, g->evidence->session->name) != 0 ||
        !gh_target_is_remote(g->target, &c->remote))
        return;
    if (g->count == g->capacity) {
        size_t capacity = g->capacity * 2 + 8;
        struct ao_connection_view *more = realloc(g->connections, capacity * sizeof(*more));

        if (more == NULL) {
            g->failed = true;
            return;
        }
        g->connections = more;
        g->capacity = capacity;
    }
    copy = &g->connections[g->count++];
    *copy = *c;
    copy->session = g->evidence->session->name;
    copy->chain_name = g->evidence->chain_name;
    copy->chain = NULL;
    copy->counters = NULL;
    copy->last_event = NULL;
}

static void add_view(void *ctx, const struct ao_session_view *v)
{
    struct gathering *g = ctx;

    if (strcmp(v->policy->name, g->evidence->session->name) != 0)
        return;
    g->evidence->view = v;
    g->evidence->chain = v->policy->chain;
    explain(g);
}

static bool explain_session(const struct gh_control_view *view, struct gh_now now,
                            const struct gh_target *target, const struct gh_session *s,
                            json_t *explanations)
{
    const struct gh_key_chain *c = gh_config_chain(view->config, s);
    bool negotiated = s->ike_peer != NULL;
    struct gh_evidence evidence = {.session = s,
                                   .chain_name = negotiated ? s->ike_peer : c->name,
                                   .warn_before =
                                       !negotiated && c->warn_count > 0 ? c->warn_before[0] : 0,
                                   .peer = target->peer,
                                   .carrier = gh_carrier_of(view, s),
                                   .now = now};
    struct gathering g = {.evidence = &evidence, .target = target, .explanations = explanations};

    ao_engine_each_connection(view->engine, add_connection, &g);
    evidence.connections = g.connections;
    evidence.connection_count = g.count;
    ao_engine_each_session(view->engine, add_view, &g);
    if (evidence.view == NULL) {
        struct tcpao_chain *chain =
            negotiated ? tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE) : gh_key_chain_timetable(c);

        evidence.chain = chain;
        if (chain != NULL)
            explain(&g);
        else
            g.failed = true;
        tcpao_chain_put(chain);
    }
    free(g.connections);
    return !g.failed;
}

json_t *gh_show_explanation(const struct gh_control_view *view, struct gh_now now,
                            const json_t *request)
{
    struct gh_target target;
    json_t *refusal, *explanations;
    bool ok = true;

    if (!gh_target_parse(view, request, true, &target, &refusal))
        return refusal;
    if (target.is_socket)
        return gh_control_refusal(
            "ask for a session of the configuration; `gatectl show tcp-ao "
            "session NAME detail` shows what is known of a socket",
            "only a socket with keys of its own is called so, or has this peer");
    explanations = json_array();
    for (size_t i = 0; ok && i < view->config->session_count; i++) {
        const struct gh_session *s = &view->config->sessions[i];

        if (gh_target_covers(&target, s))
            ok = explain_session(view, now, &target, s, explanations);
    }
    if (!ok) {
        json_decref(explanations);
        return gh_control_refusal(NULL, "out of memory");
    }
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "time", gh_json_time(now.wall), "explanations",
                     explanations);
}

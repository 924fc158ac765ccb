#include "control/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/explain_parts.h"
#include "control/format.h"
#include "control/outlook.h"

const char *gh_verdict_name(enum gh_verdict v)
{
    static const char *const names[] = {"up", "unprotected", "opening", "down"};

    return names[v];
}

const char *gh_cause_name(enum gh_cause c)
{
    static const char *const names[] = {
#define GH_CAUSE_NAME(id, name) name,
        GH_CAUSES(GH_CAUSE_NAME)
#undef GH_CAUSE_NAME
    };

    return names[c];
}

struct gh_finding *gh_find(struct gh_explanation *x, enum gh_cause cause, int rank)
{
    struct gh_finding *f;

    if (x->count < GH_FINDINGS_MAX)
        x->count++;
    f = &x->findings[x->count - 1];
    *f = (struct gh_finding){.cause = cause, .rank = rank};
    return f;
}

void gh_find_summary(struct gh_finding *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(f->summary, sizeof(f->summary), fmt, ap);
    va_end(ap);
}

void gh_find_evidence(struct gh_finding *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(f->evidence, sizeof(f->evidence), fmt, ap);
    va_end(ap);
}

void gh_find_check(struct gh_finding *f, const char *fmt, ...)
{
    va_list ap;

    if (f->check_count == GH_CHECKS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(f->checks[f->check_count++], GH_SENTENCE_MAX, fmt, ap);
    va_end(ap);
}

const char *gh_evidence_peer(const struct gh_evidence *e, char buf[GH_PREFIX_TEXT])
{
    char text[GH_ADDR_TEXT];

    if (e->peer.len == 0)
        return gh_prefix_format(&e->session->peer, buf);
    snprintf(buf, GH_PREFIX_TEXT, "%s", gh_addr_format(&e->peer, text));
    return buf;
}

const struct ao_connection_view *gh_evidence_connection(const struct gh_evidence *e)
{
    const struct ao_connection_view *best = NULL;

    for (size_t i = 0; i < e->connection_count; i++) {
        const struct ao_connection_view *c = &e->connections[i];
        bool up = c->state == AO_STATE_ESTABLISHED;

        if (best == NULL || (up && best->state != AO_STATE_ESTABLISHED) ||
            (up == (best->state == AO_STATE_ESTABLISHED) && c->since > best->since))
            best = c;
    }
    return best;
}

void gh_findings_sort(struct gh_explanation *x)
{
    for (size_t i = 1; i < x->count; i++) {
        struct gh_finding f = x->findings[i];
        size_t at = i;

        for (; at > 0 && x->findings[at - 1].rank < f.rank; at--)
            x->findings[at] = x->findings[at - 1];
        x->findings[at] = f;
    }
}

static bool is_opening(const struct ao_connection_view *c)
{
    return c != NULL && (c->state == AO_STATE_SYN_SENT || c->state == AO_STATE_SYN_RECEIVED);
}

static void headline_down(const struct gh_evidence *e, struct gh_explanation *x)
{
    char peer[GH_PREFIX_TEXT], span[GH_SPAN_TEXT];
    const struct ao_connection_view *c = gh_evidence_connection(e);

    gh_evidence_peer(e, peer);
    if (is_opening(c)) {
        x->verdict = GH_VERDICT_OPENING;
        snprintf(x->headline, sizeof(x->headline),
                 "Session %s with %s is opening: %s for %s (%s opened).", e->session->name, peer,
                 ao_state_name(c->state), gh_span_format(e->now.wall - c->since, span),
                 c->active ? "we" : "the peer");
        return;
    }
    x->verdict = GH_VERDICT_DOWN;
    snprintf(x->headline, sizeof(x->headline), "Session %s with %s is not up.", e->session->name,
             peer);
}

static bool waits_for_ike(const struct gh_evidence *e)
{
    return e->session->ike_peer != NULL && gh_outlook(e->chain, e->now.wall).send == NULL;
}

void gh_explain(const struct gh_evidence *e, struct gh_explanation *out)
{
    const struct ao_connection_view *c = gh_evidence_connection(e);

    memset(out, 0, sizeof(*out));
    if (c != NULL && c->state == AO_STATE_ESTABLISHED) {
        gh_explain_up(e, c, out);
    } else {
        headline_down(e, out);
        gh_explain_local(e, out);
        if (!gh_explain_no_carrier(e, out) && e->view != NULL) {
            gh_explain_refusals(e, 0, out);
            if (waits_for_ike(e))
                ; /* what is silent is IKE, which tells why itself */
            else if (e->carrier == GH_CARRIER_KERNEL)
                gh_explain_kernel_silence(e, out);
            else
                gh_explain_silence(e, out);
        }
    }
    gh_findings_sort(out);
}

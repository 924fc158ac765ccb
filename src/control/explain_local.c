/* Causes on our own side: certain, so they come first. */
#include "control/explain_parts.h"

#include "control/format.h"
#include "control/outlook.h"

static void explain_no_key(const struct gh_evidence *e, struct gh_explanation *x)
{
    struct gh_outlook o = gh_outlook(e->chain, e->now.wall);
    char when[32], span[GH_SPAN_TEXT];
    struct gh_finding *f;

    if (o.send != NULL)
        return;
    if (e->session->ike_peer != NULL) {
        f = gh_find(x, GH_CAUSE_NO_KEYS, RANK_FACT);
        gh_find_summary(f,
                        "IKE has negotiated no key with %s, so no segment can be signed, and SYNs "
                        "wait for one.",
                        e->session->ike_peer);
        gh_find_check(f, "`gatectl explain %s` says all of how IKE gets on with that peer.",
                      e->session->ike_peer);
        gh_find_check(f, "`gatectl show gatekeeper %s detail` says how far the last try came.",
                      e->session->name);
    } else if (tcpao_chain_count(e->chain) == 0) {
        f = gh_find(x, GH_CAUSE_NO_KEYS, RANK_FACT);
        gh_find_summary(f, "Key chain %s has no keys, so no segment can be signed.", e->chain_name);
        gh_find_check(f, "Add a key to key-chain %s, then `gatectl reload`.", e->chain_name);
    } else if (o.send_next != NULL) {
        f = gh_find(x, GH_CAUSE_KEYS_NOT_YET, RANK_FACT);
        gh_find_summary(f,
                        "No key of chain %s may be sent with now: the next one, key %u, begins at "
                        "%s, in %s.",
                        e->chain_name, o.send_next->number,
                        gh_time_format(o.send_change, when, sizeof(when)),
                        gh_span_format(o.send_change - e->now.wall, span));
        gh_find_check(f, "Is this host's clock right? It says %s.",
                      gh_time_format(e->now.wall, when, sizeof(when)));
        gh_find_check(f, "Let send-lifetimes overlap or touch; `gatectl key-chain simulate` shows "
                         "gaps before they come.");
    } else {
        f = gh_find(x, GH_CAUSE_KEYS_EXPIRED, RANK_FACT);
        gh_find_summary(f,
                        "All keys of chain %s have expired (the last at %s, %s ago), so nothing "
                        "may be sent.",
                        e->chain_name, gh_time_format(o.expiry, when, sizeof(when)),
                        gh_span_format(e->now.wall - o.expiry, span));
        gh_find_check(f, "Add a key with a new send-lifetime at both ends, then `gatectl reload`; "
                         "`gatectl key-chain generate` makes one with the configuration of the "
                         "other end.");
        gh_find_check(f, "Is this host's clock right? It says %s.",
                      gh_time_format(e->now.wall, when, sizeof(when)));
    }
}

void gh_explain_local(const struct gh_evidence *e, struct gh_explanation *x)
{
    struct gh_finding *f;

    if (e->view == NULL) {
        f = gh_find(x, GH_CAUSE_NOT_LOADED, RANK_FACT + 100);
        gh_find_summary(f, "Session %s is in the configuration but not in force.",
                        e->session->name);
        gh_find_check(f, "`gatectl show status` and the log say what hindered it, for instance a "
                         "network namespace or VRF that does not exist.");
    }
    explain_no_key(e, x);
}

/* Causes of sessions that the kernel's TCP-AO carries, or should. */
#include "control/explain_parts.h"

#include <inttypes.h>

#include "control/format.h"

const char *gh_carrier_name(enum gh_carrier c)
{
    switch (c) {
    case GH_CARRIER_ENGINE:
        return "engine";
    case GH_CARRIER_KERNEL:
        return "kernel";
    case GH_CARRIER_NO_AO:
    case GH_CARRIER_NO_SOCKET:
        break;
    }
    return "none";
}

static void kernel_without_ao(const struct gh_evidence *e, struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_KERNEL_WITHOUT_AO, RANK_FACT + 90);

    gh_find_summary(
        f,
        "Session %s has backend = kernel, but the running kernel has no TCP-AO: nothing "
        "of the session is let through.",
        e->session->name);
    gh_find_check(f, "Set backend = engine, or leave it out (auto), then `gatectl reload`.");
    gh_find_check(f, "Or run a kernel with CONFIG_TCP_AO (Linux 6.7 and later; `grep TCP_AO "
                     "/boot/config-$(uname -r)`), then restart Gatehouse.");
}

static void no_socket(const struct gh_evidence *e, struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_NO_SOCKET, RANK_FACT + 90);

    gh_find_summary(f,
                    "Session %s has backend = kernel, but no program has brought a socket for it: "
                    "nothing of the session is let through.",
                    e->session->name);
    gh_find_check(f, "Does the routing daemon run with Gatehouse's library (gaterun), and was "
                     "it started after Gatehouse?");
    gh_find_check(f,
                  "Does it listen on port %u, or connect to the peer's, in the session's network "
                  "namespace and VRF?",
                  e->session->port);
}

bool gh_explain_no_carrier(const struct gh_evidence *e, struct gh_explanation *x)
{
    if (e->carrier == GH_CARRIER_NO_AO)
        kernel_without_ao(e, x);
    else if (e->carrier == GH_CARRIER_NO_SOCKET)
        no_socket(e, x);
    else
        return false;
    return true;
}

static void silent_peer(const struct gh_evidence *e, const struct ao_connection_view *c,
                        struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_SILENT_PEER, RANK_SILENCE + 10);
    char peer[GH_PREFIX_TEXT], span[GH_SPAN_TEXT];

    gh_find_summary(f, "The kernel sends signed SYNs, but nothing that it accepts comes back: a "
                       "peer that cannot verify them drops them in silence, as TCP-AO demands.");
    gh_find_evidence(f, "connecting for %s, %" PRIu64 " segments sent",
                     gh_span_format(e->now.wall - c->since, span), c->segments_out);
    gh_find_check(f, "Does the peer %s answer a ping, and does its daemon run?",
                  gh_evidence_peer(e, peer));
    gh_find_check(f, "What do the peer's TCP-AO counters say (wrong MAC, key not found)? Secret, "
                     "ids and algorithm must be the same there.");
    gh_find_check(f,
                  "Does a firewall or router on the path drop TCP port %u, or segments with TCP "
                  "option 29?",
                  e->session->port);
}

static void nobody_opens(const struct gh_evidence *e, struct gh_explanation *x)
{
    struct gh_finding *f = gh_find(x, GH_CAUSE_NOBODY_OPENS, RANK_SILENCE);

    gh_find_summary(f,
                    "The kernel has the session's keys, but nobody opens a connection: the local "
                    "daemon does not connect, and no right SYN comes from the peer.");
    gh_find_check(f, "Is the peer configured as the daemon's neighbour, and not shut down?");
    gh_find_check(f, "Does the peer try? Its TCP-AO counters tell whether it refuses us.");
    gh_find_check(f, "On this host all refusals of the kernel: `nstat -az 'TcpExtTCPAO*'`.");
}

void gh_explain_kernel_silence(const struct gh_evidence *e, struct gh_explanation *x)
{
    const struct ao_connection_view *c = gh_evidence_connection(e);

    if (x->count > 0)
        return; /* what was refused says why */
    if (c != NULL && c->state == AO_STATE_SYN_SENT)
        silent_peer(e, c, x);
    else
        nobody_opens(e, x);
}

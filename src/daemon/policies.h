/*
 * From a setup to the engine's policies.
 */
#ifndef GH_DAEMON_POLICIES_H
#define GH_DAEMON_POLICIES_H

#include <stdbool.h>

#include "base/clock.h"
#include "daemon/setup.h"

struct ao_engine;
struct tcpao_chain;

/* Where the negotiated keys of a session are. fallback: whose keys are used without those; NULL:
 * none. The chain is borrowed; NULL: no memory. */
struct gh_negotiated_chains {
    struct tcpao_chain *(*chain_of)(void *ctx, const char *session, struct tcpao_chain *fallback);
    void *ctx;
};

/* Builds chains and policies and gives them to the engine. negotiated: NULL for chains without
 * keys, so that SYNs of such sessions are held. False: no memory, nothing changed. */
bool gh_policies_apply(struct ao_engine *e, struct gh_now now, const struct gh_setup *s,
                       const struct gh_negotiated_chains *negotiated);

#endif

/*
 * Firewall rules that steer protected flows, and nothing else, into the engine's queues.
 *
 * The parent states per network namespace which flows there are; this module words them for the
 * nft program (own table `inet gatehouse`) or, where the kernel cannot queue from nftables, for
 * iptables-restore (own chains in the mangle table), and runs it. A change is one transaction. The
 * rules have no bypass: without an engine, no segment passes.
 */
#ifndef GH_PLATFORM_RULES_H
#define GH_PLATFORM_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* A protected flow: TCP between peer and local where either end's port is `port`. Both ends: what
 * comes against the configured direction must reach the engine too, which refuses it. */
struct gh_flow {
    const char *vrf; /* name of the VRF device, or NULL */
    uint16_t queue;
    struct gh_prefix peer;
    struct gh_prefix local; /* addr.len 0: any */
    uint16_t port;
};

/* What becomes of a socket's segments: all but STRICT go before the flows. */
enum gh_rule_kind {
    GH_RULE_QUEUE,  /* both directions to the queue */
    GH_RULE_GUARD,  /* the kernel's TCP-AO: with option 29 let through; without, what leaves is
                       dropped and what comes queued, for the engine to refuse and count */
    GH_RULE_KEYED,  /* as GUARD; SYNs, which have it, are queued, both ways */
    GH_RULE_DROP,   /* both directions dropped: nobody has the keys any more */
    GH_RULE_STRICT, /* what comes in with option 29 and matched nothing else goes to the queue */
};

/* One socket's flow. */
struct gh_socket_rule {
    enum gh_rule_kind kind;
    uint16_t queue;
    struct gh_prefix peer;            /* bits 0: any of this family */
    struct gh_addr local;             /* len 0: any */
    uint16_t local_port, remote_port; /* 0: any */
};

enum gh_rules_backend { GH_RULES_NFTABLES, GH_RULES_IPTABLES };
const char *gh_rules_backend_name(enum gh_rules_backend backend);

enum { GH_RULES_SAID = 512 }; /* octets for what a program said */

/* Which of the two this machine can use: nftables where it can queue. False: neither, and why. */
bool gh_rules_detect(enum gh_rules_backend *backend, char said[GH_RULES_SAID]);
bool gh_rules_usable(enum gh_rules_backend backend, char said[GH_RULES_SAID]);

/* Replaces the rules of a namespace by those for the flows and the single sockets, atomically.
 * False: nothing changed. */
bool gh_rules_install(enum gh_rules_backend backend, const char *netns, const struct gh_flow *flows,
                      size_t count, const struct gh_socket_rule *sockets, size_t socket_count,
                      char said[GH_RULES_SAID]);
/* Takes away what gh_rules_install() made, if anything. */
bool gh_rules_remove(enum gh_rules_backend backend, const char *netns, char said[GH_RULES_SAID]);

#endif

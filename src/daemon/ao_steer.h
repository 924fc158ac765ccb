/*
 * From the flows of sockets with keys of their own to rules for the firewall.
 *
 * The engine judges by flows and lets pass what is none of them, so rules may be wider: a rule for
 * all connections to one peer's service stays the same when a program connects anew, and beyond
 * GH_STEER_PEERS peers of one service all of its segments are steered. So a change of sockets
 * seldom means a change of rules. Pure but for memory. Used by ao_sockets.c.
 */
#ifndef GH_DAEMON_AO_STEER_H
#define GH_DAEMON_AO_STEER_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/socket_flows.h"
#include "emulate/emulate.h"

enum { GH_STEER_PEERS = 64 };

struct gh_steer {
    struct gh_socket_flow *list; /* kind GH_FLOW_QUEUE; no two are equal after gh_steer_finish() */
    size_t count, room;
    bool failed; /* no memory: the list is not whole */
};

void gh_steer_add(struct gh_steer *s, const struct emu_flow *flow);
/* Sorted, each once, and widened where there are many. False: no memory. */
bool gh_steer_finish(struct gh_steer *s);
void gh_steer_clear(struct gh_steer *s);

#endif

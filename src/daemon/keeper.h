/*
 * The `keeper` process: a sandboxed shell around the store of secrets.
 *
 * Started as root like every child. Its first message from the parent is the order of what to load
 * (KEEPER_ORDER); it reads those files, drops all privileges, enters a sandbox without network and
 * files, and says READY. Then the parent hands it socket pairs (KEEPER_CLIENT), whose other ends
 * belong to processes that may ask: KEEPER_ASK in, KEEPER_ANSWER out, bodies as keeper/request.h
 * has them. Keys in tokens have processes of their own behind it (daemon/keeper_token.h). A client
 * that sends something malformed loses its socket. A changed configuration needs a new keeper:
 * there is one order in its life.
 */
#ifndef GH_DAEMON_KEEPER_H
#define GH_DAEMON_KEEPER_H

#include <sys/types.h>

#include "keeper/order.h"

/* Does not return before its end; the process's exit status. */
int gh_keeper_main(uid_t uid, gid_t gid);

/* The parent's side: a sealed memory file with the order, for KEEPER_ORDER's descriptor. -1: no
 * memory. */
int gh_keeper_order_seal(const struct gh_keeper_order *o, size_t *len);

#endif

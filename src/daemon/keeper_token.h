/*
 * A process for each private key in a token (PKCS #11), forked by the keeper before it has any
 * secret and before it locks itself in.
 *
 * The token's module is others' code. It needs files, devices or the network, and may hang or
 * break; the keeper has none of these and answers for other peers meanwhile. So the key's process
 * runs with a sandbox of its own (GH_SANDBOX_TOKEN) and knows of secrets its PIN alone. Over its
 * socket come KEEPER_ASK and go KEEPER_ANSWER, one at a time, as between `ike` and the keeper.
 *
 * It is two: a small one that stays, and a worker below it that has loaded the module and opened
 * the key. When a signature fails or the worker breaks, the next request gets a new worker: so a
 * token may be absent at the start and may come, go and come back, and no module has to be
 * unloaded. A PIN that was given without success is not given again before the next keeper, for
 * tokens lock themselves.
 */
#ifndef GH_DAEMON_KEEPER_TOKEN_H
#define GH_DAEMON_KEEPER_TOKEN_H

#include <sys/types.h>

#include "keeper/order.h"

/* In the keeper: the socket to the new process, for gh_ike_desk_open(); -1: it cannot be made. In
 * the new process it does not return, and takes the order, of which it wipes the rest. */
int gh_keeper_token_start(struct gh_keeper_order *order, size_t item, uid_t uid, gid_t gid);

#endif

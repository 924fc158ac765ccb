/*
 * What the parent keeps for the `ike` process, so that peers fare better when that is killed.
 *
 * The secret of crash tokens (RFC 6290 5.1) outlives the machine's restarts: a file of the state
 * directory, `crash-secret`, that only root can read. Without it there are no tokens.
 *
 * The keys of the tickets that were given (RFC 5723) and which of these are spent outlive `ike`
 * alone: memory that it writes, in no file, so that old tickets end with the daemon. Each
 * configuration has other memory: who was believed by the old one shows anew who it is.
 */
#ifndef GH_DAEMON_IKE_KEPT_H
#define GH_DAEMON_IKE_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/channel.h"
#include "ike/v2/core.h"

struct gh_ike_kept {
    uint8_t crash_secret[IKE2_CRASH_SECRET];
    bool has_crash_secret;
    int tickets; /* descriptor of ike2_ticket_memory() octets; -1: none */
};

/* Reads the secret, or makes one and its directory. False: none; the log says why. */
bool gh_ike_kept_open(struct gh_ike_kept *k, const char *state_directory);
/* Other memory for tickets, zeroed. False: none, and tickets end with `ike`. */
bool gh_ike_kept_renew(struct gh_ike_kept *k);
/* Before `ike` is told a configuration; `fresh`: it has just started. */
void gh_ike_kept_tell(const struct gh_ike_kept *k, struct gh_channel *ike, bool fresh);
void gh_ike_kept_clear(struct gh_ike_kept *k); /* wipes; the file stays */

#endif

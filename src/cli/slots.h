/*
 * Answers of the processes that carry packets, which each know of their own slot alone (`workers`,
 * `tunnel-group`): put together here, for the daemon's parent reads nothing that they say.
 */
#ifndef GH_CLI_SLOTS_H
#define GH_CLI_SLOTS_H

#include <jansson.h>

#include "cli/command.h"

/* The answer of one such process becomes that of all: asks the others the same. Who is away is in
 * "away". Other answers stay as they are. */
void cli_join_slots(const struct cli *cli, json_t *request, json_t *answer);

/* Lists behind each other, numbers added, all else as it was. */
void cli_slots_merge(json_t *into, json_t *from);
/* What came to `slots` processes, each of which has counted it and knows only its own: as if one
 * had counted. */
void cli_slots_settle(json_t *answer, json_int_t slots);

/* Into each slot of show-ipsec-group's answer: "clients", how many IKE has put there, of peers
 * whose clients are spread; null: nobody says so. */
void cli_join_clients(const struct cli *cli, json_t *answer);
void cli_slots_count(json_t *answer, const json_t *clients);

/* Into each tunnel of a peer whose slot is lost: "stopped", its tunnel group. groups: the answer to
 * show-ipsec-group, or NULL. */
void cli_slots_mark(json_t *tunnels, const json_t *groups);

#endif

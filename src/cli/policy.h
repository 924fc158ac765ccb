/*
 * `show ipsec policy`: the engine's entries with what firewall rules counted for them.
 */
#ifndef GH_CLI_POLICY_H
#define GH_CLI_POLICY_H

#include <jansson.h>

#include "cli/command.h"

/* Adds counts of the answer to show-ipsec-unprotected (NULL: none came) to the policies'. */
void cli_policies_join(json_t *answer, const json_t *of_rules);
void cli_join_counts(const struct cli *cli, json_t *answer);

#endif

/*
 * `gatectl explain`: one answer out of two layers.
 *
 * The engine knows that a session has no key, and IKE, in another process, why. Neither sees the
 * other's answers, so they are put together here. Called by ask.c.
 */
#ifndef GH_CLI_EXPLAIN_H
#define GH_CLI_EXPLAIN_H

#include <jansson.h>

#include "cli/command.h"

/* To each explanation in the answer of a session whose keys are negotiated: the findings of IKE,
 * each with "layer": "ike", behind the one that there is no key. Without them where IKE is not
 * there to answer. */
void cli_explain_keys(const struct cli *cli, json_t *answer);

#endif

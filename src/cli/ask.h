/*
 * One request, one answer, for commands that ask the daemon in their own way.
 */
#ifndef GH_CLI_ASK_H
#define GH_CLI_ASK_H

#include <jansson.h>

#include "cli/command.h"

/* A new reference. NULL: the daemon cannot be reached or said nothing, and err says so. */
json_t *cli_converse(const struct cli *cli, const json_t *request);

#endif

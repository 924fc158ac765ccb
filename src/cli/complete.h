/*
 * Completion: words of the command table, and names that the daemon knows.
 */
#ifndef GH_CLI_COMPLETE_H
#define GH_CLI_COMPLETE_H

#include "cli/command.h"

/* All that the last of argv's words may become (it may be empty), names included. A daemon that
 * cannot be reached adds no names; names of files are left to the caller. Returns what kind of
 * argument may come. */
enum cli_arg cli_candidates(const struct cli *cli, int argc, char *const *argv, cli_candidate_fn fn,
                            void *ctx);

#endif

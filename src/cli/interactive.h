/*
 * Command lines from a terminal (with completion and history) or from a file.
 */
#ifndef GH_CLI_INTERACTIVE_H
#define GH_CLI_INTERACTIVE_H

#include "cli/command.h"

/* Until `exit` or the end of input. Returns 0. */
int cli_interactive(const struct cli *cli);
/* One command a line. Returns the first status that is not 0, after running all. */
int cli_batch(const struct cli *cli, FILE *in);

#endif

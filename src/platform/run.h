/*
 * Runs a program to its end without a shell, feeding it text.
 *
 * rules.c runs the firewall programs with it. Blocks; the programs are quick.
 */
#ifndef GH_PLATFORM_RUN_H
#define GH_PLATFORM_RUN_H

#include <stddef.h>

/* argv[0] is an absolute path; the environment is empty but for a locale and PATH. `input` goes to
 * its standard input (NULL: empty). Its standard error (and output) go to `said`, cut to `size`.
 * Returns its exit status, 128 + signal, or a negative errno when it could not be started. */
int gh_run(const char *const argv[], const char *input, char *said, size_t size);

/* The absolute path of a program in the system's usual directories; NULL: not installed. */
const char *gh_run_find(const char *name, char *path, size_t size);

#endif

/*
 * What the offline commands share.
 */
#ifndef GH_CONFIG_CMD_COMMON_H
#define GH_CONFIG_CMD_COMMON_H

#include <getopt.h>
#include <jansson.h>

#include "config/config.h"

enum { CMD_GOOD = 0, CMD_PROBLEMS = 1, CMD_USAGE = 2 };

/* Loads a configuration. Where only its secrets cannot be read, loads it without them and says so
 * on standard error. Adds its problems; NULL: it has errors. */
struct gh_config *gh_cmd_load(const char *path, struct gh_problems *problems);

/* "2026-12-01T00:00:00Z", "now", or a duration after `base`. False: says why, naming `option`. */
bool gh_cmd_time(const char *option, const char *text, int64_t base, int64_t *out);

/* To standard output, with a newline; frees it. */
void gh_cmd_print_json(json_t *json);

/* A secret and a newline into a new file of mode 0600. Never overwrites: a secret that is there may
 * be in use. False: says why, and if_exists where that is why. */
bool gh_cmd_write_secret(const char *path, const char *text, size_t len, const char *if_exists);

/* Reads the options of a command that has one argument: `take` gets each (its value in optarg) and
 * says why when it returns false; -h prints the usage. -1: go on, *argument is set; else the exit
 * status. */
int gh_cmd_options(int argc, char **argv, const struct option *options,
                   bool (*take)(void *request, int option), void *request, void (*usage)(FILE *),
                   const char **argument);

/* The wall clock; every command reads it once. */
int64_t gh_cmd_now(void);

#endif

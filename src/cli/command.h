/*
 * gatectl's commands: one table drives dispatch, abbreviations, help, completion and the man page
 * (a test compares it). Who calls it: main.c, interactive.c, complete.c, the tests.
 */
#ifndef GH_CLI_COMMAND_H
#define GH_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit statuses of gatectl. */
enum cli_status {
    CLI_OK = 0,
    CLI_REFUSED = 1, /* the daemon said no */
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3, /* no daemon to ask */
    CLI_LEAVE = 256      /* `exit`: never leaves the program as a status */
};

enum { CLI_WORDS_MAX = 64, CLI_COMMANDS_MAX = 72 };

struct cli {
    const char *socket;
    bool json;
    FILE *out, *err;
    int width; /* of the terminal; 0: do not wrap */
};

/* What the first argument may be: for parsing and for completion. */
enum cli_arg {
    CLI_ARG_NONE,
    CLI_ARG_SESSION,
    CLI_ARG_CHAIN,
    CLI_ARG_FILE,
    CLI_ARG_COMMAND,
    CLI_ARG_ANYBODY, /* a session or an IKE peer */
    CLI_ARG_PEER,    /* of IKE */
    CLI_ARG_SA,      /* the number of an IKE SA */
    CLI_ARG_CHILD,   /* … of a Child SA */
    CLI_ARG_WORD     /* anything */
};

struct cli_command {
    const char *words; /* "show tcp-ao session" */
    const char *args;  /* "[NAME|PEER] [detail]" */
    const char *help;  /* one line */
    enum cli_arg arg;
    /* argv holds what follows the words. Returns an exit status. */
    int (*run)(const struct cli *cli, const struct cli_command *self, int argc, char **argv);
    const char *op;                        /* what cli_ask() asks the daemon */
    int (*offline)(int argc, char **argv); /* what cli_offline() runs; argv[0] is the last word */
    const char *second; /* the request's field for a second argument; NULL: there is none */
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

/*
 * Finds the command that argv begins with; words may be abbreviated as long as they are
 * unambiguous (`sh tcp ses`). *used gets how many of argv its words took. NULL: the reason is
 * written to err.
 */
const struct cli_command *cli_find(int argc, char *const *argv, int *used, FILE *err);

/* Runs one command line. */
int cli_run(const struct cli *cli, int argc, char **argv);

/* Splits a line into words: spaces, double and single quotes, backslash; # begins a comment.
 * Writes to line. Returns how many words (at most max), -1: an open quote or too many. */
int cli_split(char *line, char **argv, int max);

/* The words that may follow those of argv and begin with prefix: each to fn, once. Returns what
 * kind of argument may come, too. */
typedef void (*cli_candidate_fn)(void *ctx, const char *word);
enum cli_arg cli_complete(int argc, char *const *argv, const char *prefix, cli_candidate_fn fn,
                          void *ctx);

/* The whole table, or one command. */
void cli_usage(FILE *out);
void cli_command_usage(const struct cli_command *c, FILE *out);

/* ---- What the table's commands run ---------------------------------------------------------- */

int cli_ask(const struct cli *cli, const struct cli_command *self, int argc, char **argv);
int cli_adopt(const struct cli *cli, const struct cli_command *self, int argc, char **argv);
int cli_capture(const struct cli *cli, const struct cli_command *self, int argc, char **argv);
int cli_metrics(const struct cli *cli, const struct cli_command *self, int argc, char **argv);
int cli_monitor(const struct cli *cli, const struct cli_command *self, int argc, char **argv);
int cli_offline(const struct cli *cli, const struct cli_command *self, int argc, char **argv);

#endif

/*
 * Advice on configurations that are correct but unwise, and on two that must fit together.
 *
 * Called by `gatectl lint` and the tests. Every rule has a short stable name (the problem's `rule`)
 * and is listed in gatehouse.conf(5). What makes a session fail is an error, all else a warning.
 */
#ifndef GH_CONFIG_LINT_H
#define GH_CONFIG_LINT_H

#include "config/config.h"

/* Adds what it finds; `peer` is the other end's configuration or NULL. Secrets are judged and
 * compared where they were loaded. Returns how many problems were added. */
int gh_lint(const struct gh_config *config, const struct gh_config *peer, int64_t now,
            struct gh_problems *problems);

/* ---- The parts, one file each ---- */

struct gh_lint {
    const struct gh_config *config;
    int64_t now;
    struct gh_problems *problems;
};

void gh_lint_chain(struct gh_lint *l, const struct gh_key_chain *chain);
void gh_lint_secrets(struct gh_lint *l);
void gh_lint_pair(struct gh_lint *l, const struct gh_config *peer);
void gh_lint_ike(struct gh_lint *l);

/* ---- What makes a secret weak --------------------------------------------------------------- */

enum { GH_SECRET_SHORT = 16 }; /* octets: shorter is weak */
/* It is an example of public documents. */
bool gh_secret_published(const struct gh_secret *s);
/* It has a few different characters only. */
bool gh_secret_repeats(const struct gh_secret *s);

#define gh_lint_warn(l, line, rule, remedy, ...)                                                   \
    gh_problem_add((l)->problems, GH_PROBLEM_WARNING, (l)->config->path, (line), (rule), (remedy), \
                   __VA_ARGS__)
#define gh_lint_error(l, line, rule, remedy, ...)                                                  \
    gh_problem_add((l)->problems, GH_PROBLEM_ERROR, (l)->config->path, (line), (rule), (remedy),   \
                   __VA_ARGS__)

#endif

/*
 * Watches over the installed firewall rules in all namespaces that have some.
 */
#ifndef GH_DAEMON_RULES_GUARD_H
#define GH_DAEMON_RULES_GUARD_H

#include <uv.h>

#include "daemon/rundir.h"

struct gh_rules_guard;

/* Rules may have been taken away. */
typedef void (*gh_rules_lost_fn)(void *ctx, const char *netns);

struct gh_rules_guard *gh_rules_guard_new(uv_loop_t *loop, gh_rules_lost_fn fn, void *ctx);
/* Watches the namespaces of the note, and no others. Call it right after installing: what was heard
 * until then was our own doing. */
void gh_rules_guard_set(struct gh_rules_guard *g, const struct gh_rules_note *note);
/* The same for one namespace whose rules were installed, perhaps for the first time. */
void gh_rules_guard_replaced(struct gh_rules_guard *g, const char *netns);
/* Watches this one no more, before its namespace goes. */
void gh_rules_guard_drop(struct gh_rules_guard *g, const char *netns);

#endif

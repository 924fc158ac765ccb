/*
 * The run directory: the lock of the only instance, and the note of where rules were installed.
 */
#ifndef GH_DAEMON_RUNDIR_H
#define GH_DAEMON_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "platform/netns.h"
#include "platform/rules.h"

enum { GH_PATH = 4096 };

/* "DIR/NAME"; false if it is too long. */
bool gh_rundir_path(const char *directory, const char *name, char path[GH_PATH]);

/* Makes the directory where it is missing and takes its lock, waiting a moment for an instance that
 * is just ending. The descriptor that holds it, or -1; the log says why. */
int gh_rundir_lock(const char *directory);

/* Namespaces that have rules of ours, so that they can be taken away also by a later instance. */
struct gh_rules_note {
    bool known;
    enum gh_rules_backend backend;
    char **netns; /* "" is the daemon's own */
    size_t count;
};

bool gh_rules_note_add(struct gh_rules_note *n, const char *netns); /* NULL: the own */
bool gh_rules_note_has(const struct gh_rules_note *n, const char *netns);
/* Under whatever name. */
bool gh_rules_note_has_id(const struct gh_rules_note *n, const struct gh_netns_id *id);
void gh_rules_note_drop(struct gh_rules_note *n, const char *netns);
/* Writes it to the run directory, without namespaces that only descriptors of ours name. */
bool gh_rules_note_save(const struct gh_rules_note *n, const char *directory);
/* Empty if there is none. */
void gh_rules_note_load(struct gh_rules_note *n, const char *directory);
void gh_rules_note_clear(struct gh_rules_note *n);

#endif

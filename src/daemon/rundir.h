/*
 * The run directory: the lock of the only instance, the note of where rules were installed, and
 * files for the next instance.
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

/* Replaces a file of the directory (mode 0600) in one step. False: it is as before. */
bool gh_rundir_write(const char *directory, const char *name, const void *data, size_t len);
/* The whole of a file, up to 64 MiB, to be freed. NULL: there is none, or no memory. */
uint8_t *gh_rundir_read(const char *directory, const char *name, size_t *len);

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

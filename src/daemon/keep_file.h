/*
 * What is kept of sockets and holds no secret (the kernel backend's records, which begin with octet
 * zero) outlives the parent, too: in the file `sockets` of the run directory.
 *
 * Programs' own keys are never written: they end with the parent.
 */
#ifndef GH_DAEMON_KEEP_FILE_H
#define GH_DAEMON_KEEP_FILE_H

#include "daemon/keep.h"

/* False: it could not be written; the file is as before. */
bool gh_keep_save(const struct gh_keep *k, const char *run_directory);
/* Adds what the file has. What is damaged, or not such a record, ends the reading. */
void gh_keep_load(struct gh_keep *k, const char *run_directory);

#endif

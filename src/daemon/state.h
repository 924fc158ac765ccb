/*
 * The file that engine state outlives processes in: opened by the parent, mapped by `ao`.
 *
 * It holds ISNs, sequence number extensions and key numbers, never a secret. Whoever dies and
 * however, the next instance maps the same file. A file of another boot, size or layout is emptied.
 */
#ifndef GH_DAEMON_STATE_H
#define GH_DAEMON_STATE_H

#include <stddef.h>

/* Opens or makes PATH (mode 0600) with room for `size` octets of the engine. The descriptor, or a
 * negative errno. */
int gh_state_open(const char *path, size_t size);
/* Maps the engine's octets. NULL and errno on failure. */
void *gh_state_map(int fd, size_t size);

#endif

/*
 * Octets for another process in a sealed memory file: nobody can change them any more, and they
 * have no name in any file system.
 */
#ifndef GH_DAEMON_SEALED_H
#define GH_DAEMON_SEALED_H

#include <stddef.h>
#include <stdint.h>

/* name: what /proc shows. The descriptor, or -1. */
int gh_sealed_file(const char *name, const uint8_t *data, size_t len);

#endif

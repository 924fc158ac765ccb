/*
 * The kernel's /proc/net/netstat with TCP-AO's counters in it. Pure.
 */
#ifndef GH_SHIM_NETSTAT_H
#define GH_SHIM_NETSTAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { GH_NETSTAT_COUNTERS = 5 }; /* in the order of GH_SHIM_COUNTERS */

/* Is it this file, of the process `self` (and so of its network namespace)? */
bool gh_netstat_path(const char *path, pid_t self);
/* Writes `text` to `out`, the two TcpExt lines with our values: counters that are there are
 * replaced, others appended. The length, 0 if it does not fit or there is no TcpExt. */
size_t gh_netstat_merge(const char *text, size_t len, const uint64_t values[GH_NETSTAT_COUNTERS],
                        char *out, size_t room);

#endif

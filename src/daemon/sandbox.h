/*
 * Locks a child process in: another user, one capability, no new privileges, few system calls.
 *
 * The child calls it once, before it reads anything from the parent or the network.
 */
#ifndef GH_DAEMON_SANDBOX_H
#define GH_DAEMON_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

/* Becomes uid:gid and keeps CAP_NET_ADMIN alone, which the kernel demands of who sends a verdict.
 * Without the right to open a socket it is worth no more than the sockets that the parent hands
 * over. Says what failed in the log. */
bool gh_sandbox_enter(uid_t uid, gid_t gid);

#endif

/*
 * Locks a child process in: another user, hardly a capability, no new privileges, few system calls.
 *
 * The child calls it once, before it reads anything from the network or another child.
 */
#ifndef GH_DAEMON_SANDBOX_H
#define GH_DAEMON_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

/* What the process is for decides what it may. */
enum gh_sandbox {
    /* CAP_NET_ADMIN alone, which the kernel demands of who sends a verdict. Without the right to
     * open a socket it is worth no more than the sockets that the parent hands over. */
    GH_SANDBOX_AO,
    /* No capability; it reads and writes the sockets that it has or is handed, and nothing else. */
    GH_SANDBOX_KEEPER,
    /* No capability; the same, and many datagrams at once. */
    GH_SANDBOX_IKE,
    /* As IKE's, for packets. */
    GH_SANDBOX_ESP,
    /* CAP_NET_ADMIN alone, which the kernel demands of who gives it SAs; netlink sockets that it is
     * handed, and none besides. */
    GH_SANDBOX_XFRM,
    /* No capability, but the groups of the user, and what the user may: a token's module opens
     * files, devices or connections. No programs, and nothing that leads to more rights. */
    GH_SANDBOX_TOKEN
};

/* Becomes uid:gid. Says what failed in the log. */
bool gh_sandbox_enter(enum gh_sandbox what, uid_t uid, gid_t gid);

#endif

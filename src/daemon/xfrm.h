/*
 * The process `xfrm`: gives the SAs and policies of `esp` to the kernel, and tells what becomes of
 * them there.
 *
 * It has CAP_NET_ADMIN, which the kernel wants of who says so, and netlink sockets that the parent
 * opened, but neither the right to open any nor any word with the network. It keeps nothing that it
 * could not be told again: SAs and policies stay in the kernel when it ends, and the next instance
 * takes over those that `esp` names and removes the rest of ours (platform/xfrm_message.h says
 * which are).
 */
#ifndef GH_DAEMON_XFRM_H
#define GH_DAEMON_XFRM_H

#include <sys/types.h>

/* The process's main function, as uid and gid: returns its exit status. */
int gh_xfrm_main(uid_t uid, gid_t gid);

#endif

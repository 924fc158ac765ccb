/*
 * The `ike` process: a sandboxed shell around the IKEv2 core.
 *
 * It has the UDP sockets that the parent opened, asks the keeper for what needs a secret, answers
 * control requests that the parent forwards, and ends when the parent does. It holds no private key
 * and opens no file.
 */
#ifndef GH_DAEMON_IKE_H
#define GH_DAEMON_IKE_H

#include <sys/types.h>

/* Does not return before its end; the process's exit status. */
int gh_ike_main(uid_t uid, gid_t gid);

#endif

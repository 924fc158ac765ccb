/*
 * The `ao` process: a sandboxed shell around the TCP-AO engine.
 *
 * It reads queues that the parent opened, answers control requests that the parent forwards, and
 * ends when the parent does. What must outlive it is in the state file.
 */
#ifndef GH_DAEMON_AO_H
#define GH_DAEMON_AO_H

#include <stdbool.h>
#include <sys/types.h>

/* emulate: as if the kernel had no TCP-AO. Does not return before its end; the process's exit
 * status.
 */
int gh_ao_main(uid_t uid, gid_t gid, bool emulate);

#endif

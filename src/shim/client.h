/*
 * The preload library's connection to gatehoused: questions go out, answers come in, one at a time.
 *
 * Owns the one descriptor of it. The program does not know of that descriptor and may close it, or
 * fork, change its root and drop its privileges at any moment; all that is dealt with here. No call
 * allocates, or changes errno.
 */
#ifndef GH_SHIM_CLIENT_H
#define GH_SHIM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/protocol.h"

struct gh_shim_question {
    enum gh_shim_op op;
    int option;       /* a TCP socket option, or 0 */
    int fd;           /* the socket that it is about */
    const void *body; /* the program's own memory, good or bad; NULL only if it is */
    size_t len;
    void *room; /* where the answer's body goes, as much as fits: likewise the program's memory */
    size_t room_len;
    uint32_t optmem; /* with GH_SHIM_SETOPT: net.core.optmem_max, 0: not known */
    bool patient;    /* waits a moment for a gatehoused that is just being restarted */
    bool emulation;  /* only where the kernel has no TCP-AO: elsewhere GH_SHIM_PASS at once */
};

struct gh_shim_answer {
    enum gh_shim_action action;
    bool heard;      /* gatehoused, or what it said of the kernel */
    int error;       /* an errno, 0: none */
    uint32_t length; /* for *optlen */
    size_t got;      /* octets in the room */
};

/* Connects before the program gives up the rights or the root directory that it needs for it. */
void gh_shim_start(void);
/* GH_SHIM_PASS also where gatehoused cannot be reached; GH_SHIM_DONE with EFAULT where the
 * program's memory is not there. */
struct gh_shim_answer gh_shim_ask(const struct gh_shim_question *q);
/* GH_SHIM_FLUSH. Nothing in a child that fork() did not make: it may have our memory, and closes
 * what it does not need. */
void gh_shim_flush(void);
/* Does gatehoused answer? */
bool gh_shim_reachable(void);

#endif

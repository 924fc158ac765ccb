/*
 * A child process of the parent: started by re-executing this program in a role, watched, killed
 * when it hangs or talks nonsense, and started again when it ends.
 */
#ifndef GH_DAEMON_CHILD_H
#define GH_DAEMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/log.h"
#include "daemon/channel.h"

enum { GH_CHILD_CHANNEL_FD = 3 }; /* the child's end, in the child */

struct gh_child_ops {
    /* It runs, and its channel takes messages. */
    void (*started)(void *ctx);
    /* It has ended; it will be started again after `wait` milliseconds. */
    void (*ended)(void *ctx, uint64_t wait);
    /* It has ended after gh_child_stop(), and may be started again. */
    void (*stopped)(void *ctx);
    bool (*message)(void *ctx, struct gh_frame *frame, int fd);
};

struct gh_child {
    uv_loop_t *loop;
    const char *role; /* --role … */
    char name[16];    /* in the log, where there are several of the role; "": the role's */
    enum gh_log_level log_level;
    bool emulate_ao; /* --emulate-ao */
    uid_t uid;
    gid_t gid;
    int lock; /* inherited: held as long as any process of this instance lives */
    const struct gh_child_ops *ops;
    void *ctx;
    uv_process_t process;
    uv_timer_t restart, watch;
    struct gh_channel *channel; /* NULL: not running */
    uint64_t began;             /* monotonic milliseconds */
    unsigned starts;            /* how often it was started */
    unsigned failures;          /* in a row, each soon after its start */
    unsigned unanswered;        /* pings */
    bool running, stopping;
    bool closing; /* has ended, but its handle is not closed yet */
};

/* Fill loop … ctx in before. False: could not be started, and the log says why. */
bool gh_child_start(struct gh_child *c);
/* Is there a process of it, even if it is just ending? */
bool gh_child_is_there(const struct gh_child *c);
/* Does it run, and has for so long that it did not fail at once? */
bool gh_child_settled(const struct gh_child *c);
/* Has it ended, and will be started again by itself? */
bool gh_child_is_waiting(const struct gh_child *c);
/* Ends it. False: it was not there, and stopped() is not called. */
bool gh_child_stop(struct gh_child *c);

#endif

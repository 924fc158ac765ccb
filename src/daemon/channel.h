/*
 * One end of the socket pair between two Gatehouse processes, on a libuv loop.
 *
 * The parent has one for each child and the child one. It owns its socket, what waits to be sent
 * and the descriptors that have arrived but were not taken.
 */
#ifndef GH_DAEMON_CHANNEL_H
#define GH_DAEMON_CHANNEL_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/frame.h"

enum { GH_CHANNEL_FDS = 64 };

struct gh_channel;

struct gh_channel_ops {
    /* fd: the descriptor beside the message, now the callee's; else -1. False: a bad body. */
    bool (*message)(void *ctx, struct gh_frame *frame, int fd);
    /* The other end is gone, or sent a bad frame (why says it). The channel is silent from here
     * on; close it. */
    void (*broken)(void *ctx, const char *why);
};

struct gh_out;

struct gh_channel {
    uv_poll_t poll; /* first: closing frees the channel */
    int fd;
    enum gh_receiver self;
    const struct gh_channel_ops *ops;
    void *ctx;
    bool dead, writing; /* writing: waits for room to send */
    bool held;
    uint8_t *in;
    size_t in_len, in_cap;
    int fds[GH_CHANNEL_FDS]; /* arrived, not taken */
    size_t fd_count;
    struct gh_out *out, **out_end;
    size_t out_len; /* octets that wait */
};

/* Takes the socket. NULL: no memory (then the socket is closed). */
struct gh_channel *gh_channel_new(uv_loop_t *loop, int fd, enum gh_receiver self,
                                  const struct gh_channel_ops *ops, void *ctx);
void gh_channel_close(struct gh_channel *c); /* NULL is fine */

/* Sends a message; fd (or -1) is duplicated. False: no memory, or the channel is broken. */
bool gh_channel_send(struct gh_channel *c, enum gh_message type, const void *body, size_t len,
                     int fd);

/* Hands over what has come until now, without waiting for the loop; not from within ops. */
void gh_channel_read(struct gh_channel *c); /* NULL is fine */

/* From now on messages wait for gh_channel_flush(), or until what came has been handed over: many
 * go with one system call, and the other end is woken once for them. */
void gh_channel_hold(struct gh_channel *c);
void gh_channel_flush(struct gh_channel *c);

#endif

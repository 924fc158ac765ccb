#include "daemon/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"

enum {
    READ_STEP = 65536,
    PARTS = 32 /* messages sent at once */
};

/* A message that waits to be sent, or its rest. */
struct gh_out {
    struct gh_out *next;
    int fd; /* goes with the first octet; -1: none, or gone */
    size_t done, len;
    uint8_t data[];
};

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(GH_CHANNEL_FDS * sizeof(int))];
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void out_free(struct gh_out *o)
{
    if (o->fd >= 0)
        close(o->fd);
    gh_wipe(o->data, o->len); /* KEEP and KEPT hold secrets */
    free(o);
}

static void broken(struct gh_channel *c, const char *why)
{
    if (c->dead)
        return;
    c->dead = true;
    uv_poll_stop(&c->poll);
    c->ops->broken(c->ctx, why);
}

/* ---- Out ------------------------------------------------------------------------------------ */

/* The first that waits, and those behind it that have no descriptor. */
static size_t gather(const struct gh_channel *c, struct iovec parts[PARTS])
{
    size_t n = 0;

    for (struct gh_out *o = c->out; o != NULL && n < PARTS && (n == 0 || o->fd < 0); o = o->next)
        parts[n++] = (struct iovec){.iov_base = o->data + o->done, .iov_len = o->len - o->done};
    return n;
}

static ssize_t send_some(struct gh_channel *c)
{
    struct gh_out *o = c->out;
    struct iovec parts[PARTS];
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = gather(c, parts)};
    union control control;
    struct cmsghdr *h;
    ssize_t n;

    if (o->fd >= 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.room;
        msg.msg_controllen = CMSG_SPACE(sizeof(int));
        h = CMSG_FIRSTHDR(&msg);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &o->fd, sizeof(int));
    }
    do
        n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0 && o->fd >= 0) {
        close(o->fd);
        o->fd = -1;
    }
    return n;
}

/* So many octets are gone. */
static void note_sent(struct gh_channel *c, size_t n)
{
    c->out_len -= n;
    while (n > 0) {
        struct gh_out *o = c->out;
        size_t part = o->len - o->done < n ? o->len - o->done : n;

        o->done += part;
        n -= part;
        if (o->done < o->len)
            return;
        c->out = o->next;
        if (c->out == NULL)
            c->out_end = &c->out;
        out_free(o);
    }
}

/* Sends what waits, as far as the socket takes it. False: the other end is gone. */
static bool flush(struct gh_channel *c)
{
    while (c->out != NULL) {
        ssize_t n = send_some(c);

        if (n < 0)
            return errno == EAGAIN;
        note_sent(c, (size_t)n);
    }
    return true;
}

/* Waits for room to send if there is something to send, and only then. */
static void watch(struct gh_channel *c)
{
    bool writing = c->out != NULL;

    if (writing != c->writing)
        uv_poll_start(&c->poll, UV_READABLE | (writing ? UV_WRITABLE : 0), on_poll);
    c->writing = writing;
}

/* ---- In ------------------------------------------------------------------------------------- */

static void take_fds(struct gh_channel *c, struct msghdr *msg)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h != NULL; h = CMSG_NXTHDR(msg, h)) {
        size_t count;

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
            if (c->fd_count < GH_CHANNEL_FDS)
                c->fds[c->fd_count++] = fd;
            else
                close(fd);
        }
    }
}

static void drop_in(struct gh_channel *c)
{
    if (c->in != NULL)
        gh_wipe(c->in, c->in_len);
    free(c->in);
}

static ssize_t receive(struct gh_channel *c)
{
    union control control;
    struct iovec part;
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof(control.room)};
    ssize_t n;

    if (c->in_cap - c->in_len < READ_STEP) {
        size_t cap = c->in_cap * 2 + READ_STEP;
        uint8_t *more = malloc(cap);

        if (more == NULL) {
            errno = ENOMEM;
            return -1;
        }
        if (c->in_len > 0)
            memcpy(more, c->in, c->in_len);
        drop_in(c);
        c->in = more;
        c->in_cap = cap;
    }
    part = (struct iovec){.iov_base = c->in + c->in_len, .iov_len = c->in_cap - c->in_len};
    do
        n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        take_fds(c, &msg);
        c->in_len += (size_t)n;
    }
    return n;
}

static int next_fd(struct gh_channel *c)
{
    int fd = c->fds[0];

    c->fd_count--;
    memmove(c->fds, c->fds + 1, c->fd_count * sizeof(int));
    return fd;
}

/* Hands on the whole frames in the buffer. NULL, or what is wrong with them. */
static const char *deliver(struct gh_channel *c)
{
    static char why[80];
    struct gh_rd r = gh_rd_make(c->in, c->in_len);
    struct gh_frame frame;
    enum gh_frame_result result = GH_FRAME_MORE;
    size_t left;

    while (!c->dead && (result = gh_frame_next(c->self, &r, &frame)) == GH_FRAME_WHOLE) {
        unsigned fds = gh_message_fds(frame.type);

        if (fds > c->fd_count) {
            snprintf(why, sizeof(why), "%s without its descriptor", gh_message_name(frame.type));
            return why;
        }
        if (!c->ops->message(c->ctx, &frame, fds > 0 ? next_fd(c) : -1)) {
            snprintf(why, sizeof(why), "a malformed %s", gh_message_name(frame.type));
            return why;
        }
    }
    if (result == GH_FRAME_BAD)
        return "a bad frame";
    left = gh_rd_left(&r);
    memmove(c->in, r.p, left);
    gh_wipe(c->in + left, c->in_len - left);
    c->in_len = left;
    return NULL;
}

/* False: nothing (more) has come. */
static bool read_some(struct gh_channel *c)
{
    ssize_t n = receive(c);
    const char *why;

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        broken(c, n == 0 ? "it is gone" : strerror(errno));
        return false;
    }
    why = n > 0 ? deliver(c) : NULL;
    if (why != NULL)
        broken(c, why);
    return n > 0 && !c->dead;
}

void gh_channel_read(struct gh_channel *c)
{
    while (c != NULL && !c->dead && read_some(c))
        ;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct gh_channel *c = (struct gh_channel *)poll;

    if (status < 0) {
        broken(c, "it is gone"); /* an error of the socket */
        return;
    }
    if ((events & UV_READABLE) != 0)
        read_some(c);
    if (c->dead)
        return;
    if (!flush(c))
        broken(c, "it is gone");
    else
        watch(c);
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct gh_channel *gh_channel_new(uv_loop_t *loop, int fd, enum gh_receiver self,
                                  const struct gh_channel_ops *ops, void *ctx)
{
    struct gh_channel *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        close(fd);
        return NULL;
    }
    c->fd = fd;
    c->self = self;
    c->ops = ops;
    c->ctx = ctx;
    c->out_end = &c->out;
    uv_poll_init(loop, &c->poll, fd);
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    struct gh_channel *c = (struct gh_channel *)handle;
    struct gh_out *next;

    for (struct gh_out *o = c->out; o != NULL; o = next) {
        next = o->next;
        out_free(o);
    }
    for (size_t i = 0; i < c->fd_count; i++)
        close(c->fds[i]);
    close(c->fd);
    drop_in(c);
    free(c);
}

void gh_channel_close(struct gh_channel *c)
{
    if (c == NULL)
        return;
    c->dead = true;
    uv_poll_stop(&c->poll);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

bool gh_channel_send(struct gh_channel *c, enum gh_message type, const void *body, size_t len,
                     int fd)
{
    struct gh_out *o;

    if (c == NULL || c->dead)
        return false;
    o = malloc(sizeof(*o) + GH_FRAME_HEADER + len);
    if (o == NULL)
        return false;
    *o = (struct gh_out){.fd = -1, .len = GH_FRAME_HEADER + len};
    if (fd >= 0)
        o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (!gh_frame_header(type, len, o->data) || (fd >= 0 && o->fd < 0)) {
        out_free(o);
        return false;
    }
    if (len > 0)
        memcpy(o->data + GH_FRAME_HEADER, body, len);
    *c->out_end = o;
    c->out_end = &o->next;
    c->out_len += o->len;
    if (!c->held)
        gh_channel_flush(c);
    return true;
}

void gh_channel_hold(struct gh_channel *c)
{
    c->held = true;
}

void gh_channel_flush(struct gh_channel *c)
{
    /* Errors show when the loop polls. */
    if (c != NULL && !c->dead && c->out != NULL && flush(c))
        watch(c);
}

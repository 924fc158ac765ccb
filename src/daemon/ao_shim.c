#include "daemon/ao_shim.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "platform/borrow.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    DATAGRAM_MAX = GH_SHIM_REQUEST_HEADER + GH_SHIM_BODY_MAX,
    COMM = 16,
    RIGHTS_MAX = 253, /* descriptors beside one datagram: what has no room the kernel closes */
    USERS = 64,
    STRAYS_MAX = 8 /* of one user */
};

/* A user who passed what is no socket. It stays open (gh_borrow_return()): who passes many is not
 * heard any more. */
struct suspect {
    uint32_t uid;
    unsigned strays;
};

struct client {
    uv_poll_t poll; /* first: closing frees the client */
    struct gh_shim_server *server;
    struct client *next;
    int fd;
    uint32_t uid;
    char name[COMM];
    char program[GH_SHIM_NAME];
    bool waiting; /* a request is under way */
    struct gh_shim_request request;
};

struct gh_shim_server {
    uv_loop_t *loop;
    gh_shim_request_fn fn;
    void *ctx;
    struct client *clients;
    uint32_t next_id;
    bool started;
    uint8_t *datagram; /* [DATAGRAM_MAX], for requests and answers */
    struct suspect suspects[USERS];
    size_t suspect_count;
};

/* ---- Connections ---------------------------------------------------------------------------- */

static struct client *client_of(struct gh_shim_server *s, uint32_t id)
{
    struct client *c = s->clients;

    while (c != NULL && c->request.id != id)
        c = c->next;
    return c;
}

/* Where there are too many, the last ones share one entry. */
static struct suspect *suspect_of(struct gh_shim_server *s, uint32_t uid)
{
    for (size_t i = 0; i < s->suspect_count; i++)
        if (s->suspects[i].uid == uid)
            return &s->suspects[i];
    return s->suspect_count == USERS ? &s->suspects[USERS - 1] : NULL;
}

static bool is_heard(const struct client *c)
{
    const struct suspect *x = suspect_of(c->server, c->uid);

    return x == NULL || x->strays < STRAYS_MAX;
}

static void return_descriptor(struct client *c, int fd)
{
    struct gh_shim_server *s = c->server;
    struct suspect *x;

    if (gh_borrow_return(fd))
        return;
    if (c->uid == 0) { /* trusted: a program's slip */
        close(fd);
        return;
    }
    x = suspect_of(s, c->uid);
    if (x == NULL) {
        x = &s->suspects[s->suspect_count++];
        *x = (struct suspect){.uid = c->uid};
    }
    if (++x->strays == STRAYS_MAX)
        gh_error("%s passes descriptors that are no sockets: user %u is not heard any more",
                 c->program, (unsigned)c->uid);
}

static void end_request(struct client *c)
{
    struct gh_shim_request *r = &c->request;

    if (r->fd >= 0)
        return_descriptor(c, r->fd);
    gh_wipe(r->body, r->len);
    free(r->body);
    r->fd = -1;
    r->body = NULL;
    r->len = 0;
    c->waiting = false;
}

static void on_closed(uv_handle_t *handle)
{
    struct client *c = (struct client *)handle;

    shutdown(c->fd, SHUT_RDWR); /* the parent has a copy */
    close(c->fd);
    free(c);
}

static void drop(struct client *c)
{
    struct client **at = &c->server->clients;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    end_request(c);
    uv_poll_stop(&c->poll);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

/* ---- Requests ------------------------------------------------------------------------------- */

static int take_fd(struct client *c, struct msghdr *msg)
{
    int fd = -1;

    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h != NULL; h = CMSG_NXTHDR(msg, h)) {
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            if (fd >= 0)
                return_descriptor(c, fd); /* one at a time */
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
        }
    }
    return fd;
}

static bool keep_body(struct gh_shim_request *r, struct gh_rd *rest)
{
    r->len = gh_rd_left(rest);
    r->body = malloc(r->len + 1);
    if (r->body == NULL)
        return false;
    gh_rd_copy(rest, r->body, r->len);
    return true;
}

/* The name is for people alone: what cannot be printed is left out. */
static void take_name(struct client *c, const struct gh_shim_request *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->len && n + 1 < COMM; i++)
        if (isgraph(r->body[i]))
            c->name[n++] = (char)r->body[i];
    c->name[n] = '\0';
    snprintf(c->program, sizeof(c->program), "%s[%u]", c->name, r->pid);
}

static bool is_socket(int fd)
{
    int type;
    socklen_t len = sizeof(type);

    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

static bool parse(struct client *c, size_t len, int fd)
{
    struct gh_rd rd = gh_rd_make(c->server->datagram, len);
    struct gh_shim_request *r = &c->request;
    uint8_t version = gh_rd_u8(&rd);

    r->fd = fd;
    r->op = gh_rd_u8(&rd);
    r->option = gh_rd_u16(&rd);
    r->room = gh_rd_u32(&rd);
    if (rd.bad || version != GH_SHIM_VERSION || !keep_body(r, &rd))
        return false;
    if (r->op == GH_SHIM_HELLO)
        take_name(c, r);
    return r->op == GH_SHIM_HELLO || r->op == GH_SHIM_FLUSH || is_socket(fd);
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct client *c = (struct client *)poll;
    struct gh_shim_server *s = c->server;
    struct iovec io = {.iov_base = s->datagram, .iov_len = DATAGRAM_MAX};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof(control.room)};
    bool good;
    ssize_t n;
    int fd;

    n = status < 0 || !is_heard(c) ? 0 : recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    fd = take_fd(c, &msg);
    good = (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && parse(c, (size_t)n, fd);
    gh_wipe(s->datagram, (size_t)n);
    if (!good) {
        if (c->request.fd != fd && fd >= 0)
            return_descriptor(c, fd);
        gh_warning("%s: a request that makes no sense; its connection is closed", c->program);
        drop(c);
        return;
    }
    c->waiting = true;
    uv_poll_stop(&c->poll);
    s->fn(s->ctx, &c->request);
}

const struct gh_shim_request *gh_shim_waiting(struct gh_shim_server *s, uint32_t id)
{
    struct client *c = client_of(s, id);

    return c != NULL && c->waiting ? &c->request : NULL;
}

void gh_shim_answer(struct gh_shim_server *s, uint32_t id, enum gh_shim_action action, int error,
                    const uint8_t *body, size_t len, size_t reported)
{
    struct client *c = client_of(s, id);
    struct gh_wr w = gh_wr_make(s->datagram, DATAGRAM_MAX);
    ssize_t sent;

    if (c == NULL || !c->waiting)
        return;
    end_request(c); /* before the program goes on: nobody else holds its socket then */
    gh_wr_u8(&w, GH_SHIM_VERSION);
    gh_wr_u8(&w, action);
    gh_wr_u16(&w, 0);
    gh_wr_u32(&w, (uint32_t)error);
    gh_wr_u32(&w, reported);
    gh_wr_bytes(&w, body, len);
    /* The program waits with an empty buffer: one answer always fits. */
    do
        sent = gh_wr_ok(&w) ? send(c->fd, s->datagram, w.len, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
    while (sent < 0 && errno == EINTR);
    gh_wipe(s->datagram, w.len);
    if (sent < 0)
        drop(c);
    else
        uv_poll_start(&c->poll, UV_READABLE, on_client);
}

/* ---- Life ----------------------------------------------------------------------------------- */

void gh_shim_server_add(struct gh_shim_server *s, int fd, uint32_t pid, uint32_t uid)
{
    struct client *c = calloc(1, sizeof(*c));

    if (c == NULL || uv_poll_init(s->loop, &c->poll, fd) != 0) {
        close(fd);
        free(c);
        return;
    }
    c->server = s;
    c->fd = fd;
    c->uid = uid;
    c->request =
        (struct gh_shim_request){.fd = -1, .pid = pid, .id = ++s->next_id, .program = c->program};
    snprintf(c->program, sizeof(c->program), "[%u]", pid);
    c->next = s->clients;
    s->clients = c;
    if (s->started)
        uv_poll_start(&c->poll, UV_READABLE, on_client);
}

void gh_shim_server_start(struct gh_shim_server *s)
{
    s->started = true;
    for (struct client *c = s->clients; c != NULL; c = c->next)
        if (!c->waiting)
            uv_poll_start(&c->poll, UV_READABLE, on_client);
}

struct gh_shim_server *gh_shim_server_new(uv_loop_t *loop, gh_shim_request_fn fn, void *ctx)
{
    struct gh_shim_server *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    *s = (struct gh_shim_server){
        .loop = loop, .fn = fn, .ctx = ctx, .datagram = malloc(DATAGRAM_MAX)};
    if (s->datagram == NULL) {
        free(s);
        return NULL;
    }
    return s;
}

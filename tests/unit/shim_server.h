/*
 * A gatehoused for the tests of the preload library: a thread that answers as it is told, and
 * remembers what it was asked.
 */
#ifndef GH_TESTS_SHIM_SERVER_H
#define GH_TESTS_SHIM_SERVER_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/protocol.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { SEEN_MAX = 2048, SEEN_BODY = 512, CLIENTS_MAX = 32, OPS = GH_SHIM_FLUSH + 1 };

struct seen {
    unsigned op, option, room;
    size_t len;
    uint8_t body[SEEN_BODY];
    uint64_t cookie; /* of the socket that came with it, 0: none */
    pid_t pid;       /* of who connected */
    unsigned port;   /* the local port that the socket had */
};

struct reply {
    enum gh_shim_action action;
    uint32_t error, length;
    const void *body;
    size_t len;
};

static struct {
    char directory[64], path[96];
    pthread_t thread;
    bool running;
    int listener, stop[2];
    pthread_mutex_t lock; /* of what follows */
    struct seen seen[SEEN_MAX];
    size_t count;
    struct reply replies[OPS];
    bool kernel_has_ao;
    bool bind_first; /* CONNECT and LISTEN of a socket without port: BIND */
    bool echo;       /* GETOPT: the body back, its length as `length` */
    bool silent;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The library stands in front of close() and asks; this thread would wait for itself. */
static void server_close(int fd)
{
    syscall(SYS_close, fd);
}

static void look_at_socket(int fd, struct seen *s)
{
    struct sockaddr_storage local = {0};
    socklen_t len = sizeof s->cookie;

    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &s->cookie, &len);
    len = sizeof local;
    if (getsockname(fd, (struct sockaddr *)&local, &len) == 0)
        s->port = ntohs(((struct sockaddr_in *)&local)->sin_port); /* in in6 at the same place */
}

static struct reply reply_to(const struct seen *s)
{
    static uint8_t yes = 1, no = 0;

    if (s->op == GH_SHIM_HELLO)
        return (struct reply){.body = server.kernel_has_ao ? &yes : &no, .len = 1};
    if (server.bind_first && s->port == 0 && (s->op == GH_SHIM_CONNECT || s->op == GH_SHIM_LISTEN))
        return (struct reply){.action = GH_SHIM_BIND};
    if (server.echo && s->op == GH_SHIM_GETOPT)
        return (struct reply){
            .action = GH_SHIM_DONE, .length = (uint32_t)s->len, .body = s->body, .len = s->len};
    return server.replies[s->op];
}

/* One request and its answer. False: the client has gone. */
static bool serve(int fd)
{
    static uint8_t request[GH_SHIM_REQUEST_HEADER + GH_SHIM_BODY_MAX];
    union {
        char octets[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = request, .iov_len = sizeof request};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.octets,
                             .msg_controllen = sizeof control.octets};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    struct gh_rd r = gh_rd_make(request, got > 0 ? (size_t)got : 0);
    struct seen s = {0};
    struct ucred peer;
    socklen_t len = sizeof peer;
    struct cmsghdr *rights = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    uint8_t answer[GH_SHIM_ANSWER_HEADER + SEEN_BODY];
    struct gh_wr w = gh_wr_make(answer, sizeof answer);
    struct reply reply;
    bool silent;

    if (got <= 0)
        return false;
    if (gh_rd_u8(&r) != GH_SHIM_VERSION)
        abort();
    s.op = gh_rd_u8(&r);
    s.option = gh_rd_u16(&r);
    s.room = gh_rd_u32(&r);
    s.len = gh_rd_left(&r);
    gh_rd_copy(&r, s.body, s.len < SEEN_BODY ? s.len : SEEN_BODY);
    if (r.bad || s.op >= OPS)
        abort();
    if (rights != NULL) {
        int passed;

        memcpy(&passed, CMSG_DATA(rights), sizeof passed);
        look_at_socket(passed, &s);
        server_close(passed);
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
        s.pid = peer.pid;

    pthread_mutex_lock(&server.lock);
    if (server.count < SEEN_MAX)
        server.seen[server.count++] = s;
    reply = reply_to(&s);
    silent = server.silent;
    gh_wr_u8(&w, GH_SHIM_VERSION);
    gh_wr_u8(&w, reply.action);
    gh_wr_u16(&w, 0);
    gh_wr_u32(&w, reply.error);
    gh_wr_u32(&w, reply.length);
    gh_wr_bytes(&w, reply.body, reply.len < SEEN_BODY ? reply.len : SEEN_BODY);
    pthread_mutex_unlock(&server.lock);
    if (!silent && send(fd, answer, w.len, MSG_NOSIGNAL) < 0)
        return false;
    return true;
}

static void *server_thread(void *ctx)
{
    struct pollfd fds[2 + CLIENTS_MAX] = {{.fd = server.stop[0], .events = POLLIN},
                                          {.fd = server.listener, .events = POLLIN}};
    nfds_t n = 2;
    sigset_t all;

    sigfillset(&all); /* a handler that asks us would wait for ever */
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    while (poll(fds, n, -1) >= 0 && fds[0].revents == 0) {
        for (nfds_t i = n; i-- > 2;) {
            if (fds[i].revents != 0 && !serve(fds[i].fd)) {
                server_close(fds[i].fd);
                fds[i] = fds[--n];
            }
        }
        if (fds[1].revents != 0 && n < 2 + CLIENTS_MAX) {
            fds[n].fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
            fds[n].events = POLLIN;
            fds[n].revents = 0;
            n += fds[n].fd >= 0;
        }
    }
    while (n-- > 2)
        server_close(fds[n].fd);
    return ctx;
}

/* Before the library's constructor, which reads the environment. */
__attribute__((constructor(101))) static void server_place(void)
{
    strcpy(server.directory, "/tmp/gh-shim.XXXXXX");
    if (mkdtemp(server.directory) == NULL)
        abort();
    snprintf(server.path, sizeof server.path, "%s/shim.sock", server.directory);
    setenv(GH_SHIM_SOCKET_ENV, server.path, 1);
}

static void server_start(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, server.path, strlen(server.path) + 1);
    server.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (server.listener < 0 ||
        bind(server.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server.listener, 64) != 0 || pipe(server.stop) != 0 ||
        pthread_create(&server.thread, NULL, server_thread, NULL) != 0)
        abort();
    server.running = true;
}

static void server_stop(void)
{
    if (!server.running)
        return;
    server.running = false;
    close(server.stop[1]);
    pthread_join(server.thread, NULL);
    close(server.stop[0]);
    close(server.listener);
    unlink(server.path);
}

/* How often it was asked this. */
static size_t server_asked(enum gh_shim_op op)
{
    size_t n = 0;

    pthread_mutex_lock(&server.lock);
    for (size_t i = 0; i < server.count; i++)
        n += server.seen[i].op == op;
    pthread_mutex_unlock(&server.lock);
    return n;
}

/* The last that it was asked. */
static struct seen server_last(void)
{
    struct seen last = {0};

    pthread_mutex_lock(&server.lock);
    if (server.count > 0)
        last = server.seen[server.count - 1];
    pthread_mutex_unlock(&server.lock);
    return last;
}

static void server_say(enum gh_shim_op op, struct reply reply)
{
    pthread_mutex_lock(&server.lock);
    server.replies[op] = reply;
    pthread_mutex_unlock(&server.lock);
}

#define SERVER_SET(field, value)                                                                   \
    do {                                                                                           \
        pthread_mutex_lock(&server.lock);                                                          \
        server.field = (value);                                                                    \
        pthread_mutex_unlock(&server.lock);                                                        \
    } while (0)

#endif

#include "platform/socket_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netlink.h"
#include "platform/netns.h"

enum {
    WAIT_MS = 2000,
    ROOM = 4 * 1048576,
    COOKIE_AT = offsetof(struct inet_diag_msg, id.idiag_cookie)
};

/* ---- Messages ------------------------------------------------------------------------------- */

/* Both a socket that is listed and one that is destroyed are an inet_diag_msg. */
static void take(struct gh_rd body, gh_cookie_fn fn, void *ctx)
{
    uint64_t low, high;

    gh_rd_skip(&body, COOKIE_AT);
    low = gh_nl_u32(&body);
    high = gh_nl_u32(&body);
    if (!body.bad)
        fn(ctx, high << 32 | low);
}

enum gh_watch_end gh_socket_watch_parse(const uint8_t *data, size_t len, gh_cookie_fn fn, void *ctx)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;

    while (gh_nl_next(&r, &m)) {
        if (m.type == SOCK_DIAG_BY_FAMILY)
            take(m.body, fn, ctx);
        else if (m.type == NLMSG_DONE || m.type == NLMSG_ERROR)
            return m.type == NLMSG_DONE && (int32_t)gh_nl_u32(&m.body) >= 0 ? GH_WATCH_DONE
                                                                            : GH_WATCH_FAILED;
    }
    return r.bad ? GH_WATCH_FAILED : GH_WATCH_MORE;
}

/* ---- The list ------------------------------------------------------------------------------- */

/* TIME-WAIT is what the kernel leaves of a socket, under the same cookie, after it destroyed it. */
static int ask_for_all(int fd, uint8_t family)
{
    const struct inet_diag_req_v2 request = {.sdiag_family = family,
                                             .sdiag_protocol = IPPROTO_TCP,
                                             .idiag_states = ~(1u << TCP_TIME_WAIT)};
    uint8_t mem[GH_NL_HEADER + sizeof(request)];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1);

    gh_wr_bytes(&w, &request, sizeof(request));
    gh_nl_end(&w, start);
    return send(fd, w.base, w.len, 0) < 0 ? -errno : 0;
}

static int list_family(uint8_t family, gh_cookie_fn there, void *ctx)
{
    static uint8_t data[65536];
    enum gh_watch_end end = GH_WATCH_MORE;
    int fd = gh_nl_open(NETLINK_SOCK_DIAG, 0), result;

    if (fd < 0)
        return -errno;
    result = ask_for_all(fd, family);
    while (result == 0 && end == GH_WATCH_MORE) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n = -1;

        if (poll(&p, 1, WAIT_MS) <= 0)
            errno = ETIMEDOUT;
        else
            n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
        if (n < 0)
            result = -errno;
        else
            end = gh_socket_watch_parse(data, (size_t)n, there, ctx);
    }
    close(fd);
    return result == 0 && end == GH_WATCH_FAILED ? -EPROTO : result;
}

int gh_socket_watch_list(const char *netns, gh_cookie_fn there, void *ctx)
{
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    result = list_family(AF_INET, there, ctx);
    if (result == 0)
        result = list_family(AF_INET6, there, ctx);
    gh_netns_leave(back);
    return result;
}

/* ---- Destroyed sockets ---------------------------------------------------------------------- */

static void ignore(void *ctx, uint64_t cookie)
{
}

static int open_here(void)
{
    const uint32_t groups =
        1u << (SKNLGRP_INET_TCP_DESTROY - 1) | 1u << (SKNLGRP_INET6_TCP_DESTROY - 1);
    const int room = ROOM;
    int fd = gh_nl_open(NETLINK_SOCK_DIAG, groups), error;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    /* Asking for a list loads tcp_diag; without it, nobody would tell of TCP sockets' ends. */
    error = list_family(AF_INET, ignore, NULL);
    if (error == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        error = -errno;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int gh_socket_watch_open(const char *netns)
{
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    result = open_here();
    gh_netns_leave(back);
    return result;
}

bool gh_socket_watch_read(int fd, gh_cookie_fn gone, void *ctx)
{
    static uint8_t data[65536];
    bool whole = true;
    ssize_t n;

    for (;;) {
        n = recv(fd, data, sizeof(data), 0);
        if (n >= 0)
            (void)gh_socket_watch_parse(data, (size_t)n, gone, ctx);
        else if (errno == ENOBUFS)
            whole = false; /* and go on with what there is */
        else if (errno != EINTR)
            return whole;
    }
}

/*
 * gatehoused whose `ao` process is a relay: the test plays its part.
 *
 *   broker -f -c FILE -r DIRECTORY   the real parent; it starts this program again as `ao`, which
 *                                    connects to the SOCK_SEQPACKET socket at $BROKER_SOCKET
 *   broker --sockets                 prints the cookies of all TCP sockets that the kernel lists
 *
 * A datagram either way is the name of a message, an octet 0, the body, and a descriptor if the
 * message has one. Configurations and pings the relay answers by itself (and passes them on).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/parent.h"
#include "platform/socket_watch.h"
#include "wire/wr.h"

enum { DATAGRAM_MAX = 131072, NAME_MAX_OCTETS = 32 };

struct relay {
    struct gh_channel *parent;
    uv_poll_t poll;
    int test;
};

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int))];
};

static void fail(const char *what)
{
    perror(what);
    _exit(3);
}

static void tell_test(const struct relay *r, struct iovec *parts, size_t count, int fd)
{
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = count};
    union control control = {.room = {0}};

    if (fd >= 0) {
        msg.msg_control = control.room;
        msg.msg_controllen = sizeof(control.room);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
    }
    if (sendmsg(r->test, &msg, MSG_NOSIGNAL) < 0)
        fail("sendmsg");
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct relay *r = ctx;
    char name[NAME_MAX_OCTETS], body[DATAGRAM_MAX];
    size_t len = gh_rd_left(&frame->body);
    struct iovec parts[] = {{.iov_base = name}, {.iov_base = body, .iov_len = len}};

    snprintf(name, sizeof(name), "%s", gh_message_name(frame->type));
    parts[0].iov_len = strlen(name) + 1;
    if (frame->type == GH_MESSAGE_PING)
        return gh_channel_send(r->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    if (len > sizeof(body))
        return false;
    gh_rd_copy(&frame->body, body, len);
    tell_test(r, parts, 2, fd);
    if (frame->type == GH_MESSAGE_CONFIG) { /* u64, u32 generation */
        uint8_t done[5];

        memcpy(done, body + 8, 4);
        done[4] = 1;
        gh_channel_send(r->parent, GH_MESSAGE_CONFIGURED, done, sizeof(done), -1);
    }
    if (fd >= 0)
        close(fd);
    return true;
}

static void on_broken(void *ctx, const char *why)
{
    _exit(0);
}

static enum gh_message message_named(const char *name)
{
    enum gh_message m = 0;

    while (m < GH_MESSAGE_COUNT && strcmp(gh_message_name(m), name) != 0)
        m++;
    return m;
}

static void on_test(uv_poll_t *poll, int status, int events)
{
    struct relay *r = poll->data;
    static char data[DATAGRAM_MAX + 1];
    struct iovec part = {.iov_base = data, .iov_len = DATAGRAM_MAX};
    union control control;
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof(control.room)};
    ssize_t n = recvmsg(r->test, &msg, MSG_CMSG_CLOEXEC);
    size_t name_len;
    int fd = -1;

    if (n <= 0)
        _exit(0);
    data[n] = '\0';
    name_len = strlen(data) + 1;
    if (CMSG_FIRSTHDR(&msg) != NULL)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
    if (!gh_channel_send(r->parent, message_named(data), data + name_len, (size_t)n - name_len, fd))
        fprintf(stderr, "broker: cannot send %s\n", data);
    if (fd >= 0)
        close(fd);
}

static int connect_to_test(void)
{
    const char *path = getenv("BROKER_SOCKET");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path != NULL ? path : "");
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
        fail("BROKER_SOCKET");
    return fd;
}

static int relay(void)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    struct relay r = {.test = connect_to_test()};
    uv_loop_t loop;

    if (uv_loop_init(&loop) != 0 || uv_poll_init(&loop, &r.poll, r.test) != 0)
        return 1;
    r.poll.data = &r;
    uv_poll_start(&r.poll, UV_READABLE, on_test);
    r.parent = gh_channel_new(&loop, GH_CHILD_CHANNEL_FD, GH_TO_AO, &ops, &r);
    if (r.parent == NULL || !gh_channel_send(r.parent, GH_MESSAGE_READY, NULL, 0, -1))
        return 1;
    return uv_run(&loop, UV_RUN_DEFAULT);
}

static void print_cookie(void *ctx, uint64_t cookie)
{
    printf("%llu\n", (unsigned long long)cookie);
}

int main(int argc, char **argv)
{
    struct gh_parent_options options = {.log_level = GH_LOG_INFO};

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--role") == 0)
            return relay();
    if (argc == 2 && strcmp(argv[1], "--sockets") == 0)
        return gh_socket_watch_list(NULL, print_cookie, NULL) == 0 ? 0 : 1;
    if (argc != 6)
        return 2;
    options.config = argv[3];
    options.run_directory = argv[5];
    gh_log_setup("gatehoused", GH_LOG_INFO);
    return gh_parent_main(&options);
}

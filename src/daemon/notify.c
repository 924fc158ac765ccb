#include "daemon/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_STORED = 3 };

static void send_to_manager(const char *text, int fd)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t path_len = path != NULL ? strlen(path) : 0;
    struct iovec part;
    struct msghdr msg = {.msg_name = &to, .msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    int s;

    if (path_len == 0 || path_len >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, path, path_len);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    msg.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
    part.iov_len = strlen(text);
    memcpy(&part.iov_base, &text, sizeof(text)); /* sendmsg() does not write to it */
    if (fd >= 0) {
        msg.msg_control = control.room;
        msg.msg_controllen = sizeof(control.room);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
    }
    s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        return;
    (void)!sendmsg(s, &msg, MSG_NOSIGNAL);
    close(s);
}

void gh_notify(const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    send_to_manager(text, -1);
}

void gh_notify_store(const char *name, int fd)
{
    char text[256];

    snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    send_to_manager(text, fd);
}

void gh_notify_forget(const char *name)
{
    gh_notify("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

uint64_t gh_notify_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return strtoull(usec, NULL, 10) / 2000;
}

void gh_notify_stored(gh_stored_fn fn, void *ctx)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    long n = count != NULL ? strtol(count, NULL, 10) : 0;

    if (pid == NULL || strtol(pid, NULL, 10) != getpid() || names == NULL)
        return;
    for (int fd = FIRST_STORED; fd < FIRST_STORED + n; fd++) {
        char name[128];
        size_t len = strcspn(names, ":");

        snprintf(name, sizeof(name), "%.*s", (int)len, names);
        names += names[len] == ':' ? len + 1 : len;
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fn(ctx, name, fd);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

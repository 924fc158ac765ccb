/*
 * connect(), listen(), accept(), accept4(), close() of programs that run with the preload library:
 * gatehoused hears of TCP sockets before they are used, and after some were closed; everything else
 * is libc's.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/client.h"
#include "shim/export.h"
#include "shim/real.h"
#include "shim/socket.h"

/* Asks, and gives the socket a port where gatehoused wants it to have one. */
static struct gh_shim_answer ask_with_port(struct gh_shim_question q)
{
    struct gh_shim_answer answer = {.action = GH_SHIM_BIND, .heard = true};
    int error = 0;

    q.patient = gh_shim_remembers(GH_SHIM_KEYED, q.fd);
    for (int tries = 0; tries < 2 && answer.action == GH_SHIM_BIND && error == 0; tries++) {
        if (tries > 0)
            error = gh_shim_take_port(q.fd);
        if (error == 0)
            answer = gh_shim_ask(&q);
    }
    if (!answer.heard && q.patient) /* the program wants it signed, and nobody would sign */
        error = EKEYREJECTED;
    else if (answer.action == GH_SHIM_BIND && error == 0)
        error = EADDRNOTAVAIL; /* the port that it needs was not to be had */
    if (error != 0)
        return (struct gh_shim_answer){.action = GH_SHIM_DONE, .error = error};
    return answer;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

GH_SHIM_EXPORT int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
    struct gh_shim_question q = {
        .op = GH_SHIM_CONNECT, .fd = fd, .body = addr.__sockaddr__, .len = len};
    struct gh_shim_answer answer;

    /* The kernel itself refuses what cannot be an address. */
    if (len > sizeof(struct sockaddr_storage) || !gh_shim_is_tcp(fd))
        return GH_REAL(connect)(fd, addr, len);
    answer = ask_with_port(q);
    if (answer.action == GH_SHIM_DONE && answer.error != 0)
        return fail(answer.error);
    return GH_REAL(connect)(fd, addr, len);
}

GH_SHIM_EXPORT int listen(int fd, int backlog)
{
    struct gh_shim_question q = {.op = GH_SHIM_LISTEN, .fd = fd};
    struct gh_shim_answer answer;

    if (!gh_shim_is_tcp(fd))
        return GH_REAL(listen)(fd, backlog);
    answer = ask_with_port(q);
    if (answer.action == GH_SHIM_DONE) {
        if (answer.error != 0)
            return fail(answer.error);
        gh_shim_remember(GH_SHIM_LISTENERS, fd);
    }
    return GH_REAL(listen)(fd, backlog);
}

/* The accepted socket, or -1 if gatehoused has it closed. Keys tell of a listener that another
 * process made (FRR's ldpd), or that got them when it was listening already. */
static int accepted(int listener, int fd)
{
    struct gh_shim_question q = {.op = GH_SHIM_ACCEPTED, .fd = fd};
    struct gh_shim_answer answer;

    if (fd < 0 || (!gh_shim_remembers(GH_SHIM_LISTENERS, listener) && !gh_shim_has_kernel_keys(fd)))
        return fd;
    answer = gh_shim_ask(&q);
    if (answer.action != GH_SHIM_DONE || answer.error == 0)
        return fd;
    GH_REAL(close)(fd);
    return fail(ECONNABORTED);
}

GH_SHIM_EXPORT int accept(int listener, __SOCKADDR_ARG addr, socklen_t *restrict len)
{
    return accepted(listener, GH_REAL(accept)(listener, addr, len));
}

GH_SHIM_EXPORT int accept4(int listener, __SOCKADDR_ARG addr, socklen_t *restrict len, int flags)
{
    return accepted(listener, GH_REAL(accept4)(listener, addr, len, flags));
}

/* A program with TCP-AO sockets of its own may rely on what its FIN or RST has done when close()
 * returns. */
GH_SHIM_EXPORT int close(int fd)
{
    bool flushes = gh_shim_signs() && gh_shim_is_tcp(fd);
    int result = GH_REAL(close)(fd);

    if (flushes && result == 0)
        gh_shim_flush();
    return result;
}

__attribute__((constructor)) static void preloaded(void)
{
    gh_shim_start();
}

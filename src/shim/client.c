#include "shim/client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shim/real.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    HIGH_DESCRIPTOR = 1000, /* out of the way of programs that expect low numbers */
    CONNECT_WAIT = 5,       /* seconds, while gatehoused's backlog is full */
    ANSWER_WAIT = 10,       /* seconds: gatehoused may have to install rules first */
    RESTART_WAIT = 2,       /* seconds: while there is none, after one has been there */
    RESTART_LOOKS = 20,     /* a second */
    SILENCE_PAUSE = 10,     /* seconds without a question after one that was not answered */
    NAME_MAX_SENT = 63
};

static struct {
    pthread_mutex_t lock;
    bool started;
    struct sockaddr_un address; /* copied: programs overwrite their environment */
    int fd;
    dev_t dev; /* with ino: which socket fd was when it was ours */
    ino_t ino;
    pid_t pid;    /* whose connection it is */
    bool greeted; /* HELLO was answered on it */
    bool kernel_has_ao;
    bool was_there;      /* it has answered since we last waited for it in vain */
    time_t silent_until; /* CLOCK_MONOTONIC */
} client = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static time_t seconds(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool still_ours(void)
{
    struct stat st;

    return client.fd >= 0 && fstat(client.fd, &st) == 0 && st.st_dev == client.dev &&
           st.st_ino == client.ino;
}

static void drop(void)
{
    if (still_ours())
        GH_REAL(close)(client.fd);
    client.fd = -1;
    client.greeted = false;
}

static void read_address(void)
{
    const char *path = secure_getenv(GH_SHIM_SOCKET_ENV);

    client.address.sun_family = AF_UNIX;
    if (path == NULL || *path == '\0' || strlen(path) >= sizeof client.address.sun_path)
        path = GH_SHIM_SOCKET;
    memcpy(client.address.sun_path, path, strlen(path) + 1);
}

static int move_high(int fd)
{
    struct rlimit limit;
    int low = HIGH_DESCRIPTOR, moved;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= HIGH_DESCRIPTOR)
        low = (int)limit.rlim_cur / 2;
    moved = fcntl(fd, F_DUPFD_CLOEXEC, low);
    if (moved < 0)
        return fd;
    GH_REAL(close)(fd);
    return moved;
}

static bool connect_server(int wait)
{
    const struct timeval connecting = {.tv_sec = wait, .tv_usec = wait == 0 ? 1000 : 0};
    const struct timeval sending = {.tv_sec = CONNECT_WAIT}, answering = {.tv_sec = ANSWER_WAIT};
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    GH_REAL(setsockopt)(fd, SOL_SOCKET, SO_SNDTIMEO, &connecting, sizeof connecting);
    if (GH_REAL(connect)(fd, (struct sockaddr *)&client.address, sizeof client.address) != 0) {
        GH_REAL(close)(fd);
        return false;
    }
    GH_REAL(setsockopt)(fd, SOL_SOCKET, SO_SNDTIMEO, &sending, sizeof sending);
    GH_REAL(setsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &answering, sizeof answering);
    fd = move_high(fd);
    if (fstat(fd, &st) != 0) {
        GH_REAL(close)(fd);
        return false;
    }
    client.fd = fd;
    client.dev = st.st_dev;
    client.ino = st.st_ino;
    client.greeted = false;
    return true;
}

/* In a child: the parent's connection is the parent's, and the lock may have been held by a thread
 * that is not here. */
static void after_fork(void)
{
    bool was_connected = still_ours();

    client.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    client.pid = getpid();
    drop();
    /* At once: the child may be about to change its root directory. */
    if (was_connected)
        connect_server(0);
}

static void forked(void)
{
    int saved = errno;

    after_fork();
    errno = saved;
}

static void start(void)
{
    if (client.started)
        return;
    client.started = true;
    client.pid = getpid();
    read_address();
    pthread_atfork(NULL, NULL, forked);
}

struct held {
    sigset_t signals;
    int cancel, saved_errno;
};

/* A signal's handler that asks too, or a thread that ends in the middle, would leave the lock taken
 * and an answer unread. */
static struct held hold(void)
{
    struct held h = {.saved_errno = errno};
    sigset_t all;

    sigfillset(&all);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &h.cancel);
    pthread_sigmask(SIG_SETMASK, &all, &h.signals);
    if (client.started && client.pid != getpid()) /* a child that fork() did not make */
        after_fork();
    pthread_mutex_lock(&client.lock);
    start();
    return h;
}

static void release(const struct held *h)
{
    pthread_mutex_unlock(&client.lock);
    pthread_sigmask(SIG_SETMASK, &h->signals, NULL);
    pthread_setcancelstate(h->cancel, NULL);
    errno = h->saved_errno;
}

static int send_question(const struct gh_shim_question *q)
{
    uint8_t header[GH_SHIM_REQUEST_HEADER];
    struct gh_wr w = gh_wr_make(header, sizeof header);
    union {
        char octets[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.octets = {0}};
    struct iovec parts[2] = {{.iov_base = header, .iov_len = sizeof header},
                             {.iov_base = (void *)(uintptr_t)q->body, .iov_len = q->len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = q->len > 0 ? 2 : 1};

    gh_wr_u8(&w, GH_SHIM_VERSION);
    gh_wr_u8(&w, q->op);
    gh_wr_u16(&w, (unsigned)q->option);
    gh_wr_u32(&w, q->op == GH_SHIM_SETOPT ? q->optmem : q->room_len);
    if (q->fd >= 0) {
        struct cmsghdr *rights;

        message.msg_control = control.octets;
        message.msg_controllen = sizeof control.octets;
        rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &q->fd, sizeof(int));
    }
    return sendmsg(client.fd, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static int receive_answer(const struct gh_shim_question *q, struct gh_shim_answer *a)
{
    uint8_t header[GH_SHIM_ANSWER_HEADER];
    struct iovec parts[2] = {{.iov_base = header, .iov_len = sizeof header},
                             {.iov_base = q->room, .iov_len = q->room_len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = q->room_len > 0 ? 2 : 1};
    ssize_t got = recvmsg(client.fd, &message, MSG_CMSG_CLOEXEC);
    struct gh_rd r;
    unsigned version, action;

    if (got <= 0)
        return got == 0 ? EPIPE : errno;
    if (got < GH_SHIM_ANSWER_HEADER)
        return EPROTO;
    r = gh_rd_make(header, sizeof header);
    version = gh_rd_u8(&r);
    action = gh_rd_u8(&r);
    gh_rd_skip(&r, 2);
    a->action = action;
    a->error = (int)gh_rd_u32(&r);
    a->length = gh_rd_u32(&r);
    a->got = (size_t)got - GH_SHIM_ANSWER_HEADER;
    return version == GH_SHIM_VERSION && action <= GH_SHIM_BIND ? 0 : EPROTO;
}

/* 0, EFAULT for the program's bad memory, ECONNRESET if gatehoused is no longer there, or ENOTCONN
 * if it gave no answer. The program's keys pass between its memory and the kernel alone: there is
 * no copy here to be wiped. */
static int exchange(const struct gh_shim_question *q, struct gh_shim_answer *a)
{
    int error = send_question(q);

    if (error == EFAULT)
        return EFAULT;
    if (error == 0) {
        error = receive_answer(q, a);
        if (error == 0 || error == EFAULT) /* then the answer is consumed */
            return error;
    } else if (error != EPIPE && error != ECONNRESET && error != EAGAIN) {
        return ENOTCONN; /* nothing was sent: the program's descriptor is gone, or no memory */
    }
    drop();
    if (error == EPIPE || error == ECONNRESET)
        return ECONNRESET;
    client.silent_until = seconds() + SILENCE_PAUSE;
    return ENOTCONN;
}

static int greet(void)
{
    uint8_t kernel_has_ao = 0;
    struct gh_shim_question hello = {.op = GH_SHIM_HELLO,
                                     .fd = -1,
                                     .body = program_invocation_short_name,
                                     .room = &kernel_has_ao,
                                     .room_len = 1};
    struct gh_shim_answer answer;
    int error;

    hello.len = strnlen(program_invocation_short_name, NAME_MAX_SENT);
    error = exchange(&hello, &answer);
    if (error != 0)
        return error;
    client.greeted = client.was_there = true;
    client.kernel_has_ao = kernel_has_ao == 1;
    return 0;
}

static int ready(void)
{
    if (!still_ours()) {
        client.fd = -1; /* closed by the program, perhaps another file by now */
        client.greeted = false;
        if (seconds() < client.silent_until || !connect_server(CONNECT_WAIT))
            return ENOTCONN;
    }
    return client.greeted ? 0 : greet();
}

static int ask_once(const struct gh_shim_question *q, struct gh_shim_answer *a)
{
    int error = ready();

    if (error != 0)
        return error;
    if (q->emulation && client.kernel_has_ao) {
        *a = (struct gh_shim_answer){.action = GH_SHIM_PASS};
        return 0;
    }
    if (q->len > GH_SHIM_BODY_MAX) {
        *a = (struct gh_shim_answer){.action = GH_SHIM_DONE, .error = E2BIG};
        return 0;
    }
    return exchange(q, a);
}

/* A program that uses TCP-AO must not take a restart for a kernel without it: BIRD, for one, gives
 * up the session for good. */
static int ask_patiently(const struct gh_shim_question *q, struct gh_shim_answer *a)
{
    const struct timespec pause = {.tv_nsec = 1000000000 / RESTART_LOOKS};
    int error = ENOTCONN;

    for (int i = 0; client.was_there && i < RESTART_WAIT * RESTART_LOOKS; i++) {
        nanosleep(&pause, NULL);
        error = ask_once(q, a);
        if (error == 0 || error == EFAULT)
            return error;
    }
    client.was_there = false;
    return error;
}

struct gh_shim_answer gh_shim_ask(const struct gh_shim_question *q)
{
    struct gh_shim_answer answer = {.action = GH_SHIM_PASS};
    struct held held = hold();
    int error = ask_once(q, &answer);

    if (error == ECONNRESET) /* gatehoused was restarted: the new one is asked */
        error = ask_once(q, &answer);
    if (q->patient && error != 0 && error != EFAULT)
        error = ask_patiently(q, &answer);
    release(&held);
    if (error == EFAULT)
        return (struct gh_shim_answer){.action = GH_SHIM_DONE, .heard = true, .error = EFAULT};
    if (error != 0)
        return (struct gh_shim_answer){.action = GH_SHIM_PASS};
    answer.heard = true;
    return answer;
}

void gh_shim_flush(void)
{
    const struct gh_shim_question q = {.op = GH_SHIM_FLUSH, .fd = -1, .emulation = true};

    if (client.started && client.pid == getpid())
        gh_shim_ask(&q);
}

bool gh_shim_reachable(void)
{
    struct held held = hold();
    int error = ready();

    release(&held);
    return error == 0;
}

void gh_shim_start(void)
{
    struct held held = hold();

    if (client.fd < 0)
        connect_server(0);
    release(&held);
}

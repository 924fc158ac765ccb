/*
 * Many TCP connections that talk both ways and check every octet they hear.
 *
 *   talkers -l ADDRESS -p PORT [OPTIONS]            the end that accepts
 *   talkers -c LOCAL -r REMOTE -p PORT [OPTIONS]    the end that connects
 *
 * The tests of load and robustness run one at each end of protected sessions. It owns nothing but
 * its sockets. What a connection should say follows from its addresses, ports and direction, so a
 * lost, doubled or foreign octet shows. A JSON object in the status file (-o) tells how all are;
 * it is replaced ten times a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK = 65536,
    OWED_MAX = 4 * BLOCK, /* octets; what an interval adds while the peer takes nothing */
    EVENTS = 256,
    TURN_MS = 10,
    STATUS_MS = 100,
    BACKLOG = 4096
};

struct talker {
    int fd;
    bool up, lost, waits; /* waits: for room to send */
    uint64_t say, hear;   /* what makes the two streams of octets */
    uint64_t sent, heard;
    uint64_t owed; /* octets that are due */
    uint64_t next_ms, heard_ms;
};

struct options {
    const char *local, *remote, *port, *status;
    bool listens;
    unsigned count, every_ms, octets; /* every_ms 0: as fast as it goes */
    unsigned local_port;              /* of the first; 0: any */
};

static struct talker **talkers;
static size_t talker_count;
static uint64_t corrupt;
static int poll_fd;
static struct options opt = {.count = 1, .every_ms = 1000, .octets = 64};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void die(const char *what)
{
    fprintf(stderr, "talkers: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- The octets ----------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void fill(uint8_t *to, size_t len, uint64_t stream, uint64_t at)
{
    uint64_t word = mix(stream + at / 8);

    for (size_t i = 0; i < len; i++, at++) {
        if (at % 8 == 0)
            word = mix(stream + at / 8);
        to[i] = (uint8_t)(word >> (at % 8 * 8));
    }
}

static uint64_t end_mark(const struct sockaddr_storage *a)
{
    char host[64], port[8];
    uint64_t mark = 0;

    if (getnameinfo((const struct sockaddr *)a, sizeof(*a), host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return 0;
    for (const char *c = host; *c != '\0'; c++)
        mark = mix(mark + (uint8_t)*c);
    return mix(mark + (uint64_t)atoi(port));
}

static void learn_streams(struct talker *t)
{
    struct sockaddr_storage local = {0}, remote = {0};
    socklen_t local_len = sizeof(local), remote_len = sizeof(remote);

    getsockname(t->fd, (struct sockaddr *)&local, &local_len);
    getpeername(t->fd, (struct sockaddr *)&remote, &remote_len);
    t->say = mix(mix(end_mark(&local)) + end_mark(&remote));
    t->hear = mix(mix(end_mark(&remote)) + end_mark(&local));
}

/* ---- One connection ------------------------------------------------------------------------- */

static void watch(struct talker *t, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (t->waits ? EPOLLOUT : 0u), .data.ptr = t};

    if (epoll_ctl(poll_fd, operation, t->fd, &event) != 0)
        die("epoll_ctl");
}

static struct talker *add(int fd, uint64_t now)
{
    struct talker *t = calloc(1, sizeof(*t));
    struct talker **list = realloc(talkers, (talker_count + 1) * sizeof(struct talker *));

    if (t == NULL || list == NULL)
        die("memory");
    talkers = list;
    talkers[talker_count++] = t;
    t->fd = fd;
    /* Not all in the same moment. */
    t->next_ms = now + (opt.every_ms > 0 ? mix(talker_count) % opt.every_ms : 0);
    t->heard_ms = now;
    return t;
}

static void lose(struct talker *t, const char *why)
{
    fprintf(stderr, "a connection is lost after %llu octets heard: %s\n",
            (unsigned long long)t->heard, why);
    t->up = false;
    t->lost = true;
    close(t->fd);
    t->fd = -1;
}

static void hear(struct talker *t, uint64_t now)
{
    static uint8_t got[BLOCK], wanted[BLOCK];
    ssize_t n = recv(t->fd, got, sizeof(got), 0);

    if (n == 0) {
        lose(t, "the peer closed it");
    } else if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            lose(t, strerror(errno));
    } else {
        fill(wanted, (size_t)n, t->hear, t->heard);
        corrupt += memcmp(got, wanted, (size_t)n) != 0;
        t->heard += (uint64_t)n;
        t->heard_ms = now;
    }
}

static void say(struct talker *t)
{
    static uint8_t block[BLOCK];
    size_t len = t->owed < sizeof(block) ? (size_t)t->owed : sizeof(block);
    bool waited = t->waits;
    ssize_t n;

    fill(block, len, t->say, t->sent);
    n = send(t->fd, block, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lose(t, strerror(errno));
        return;
    }
    if (n > 0) {
        t->sent += (uint64_t)n;
        t->owed -= (uint64_t)n;
    }
    t->waits = t->owed > 0;
    if (t->waits != waited)
        watch(t, EPOLL_CTL_MOD);
}

static void rise(struct talker *t, uint64_t now)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        lose(t, strerror(error));
        return;
    }
    t->up = true;
    t->waits = false;
    t->heard_ms = now;
    learn_streams(t);
    watch(t, EPOLL_CTL_MOD);
}

static void due(struct talker *t, uint64_t now)
{
    if (!t->up)
        return;
    if (opt.every_ms == 0) {
        t->owed = OWED_MAX;
    } else if (now >= t->next_ms) {
        t->owed += t->owed < OWED_MAX ? opt.octets : 0;
        t->next_ms += opt.every_ms;
    }
    if (t->owed > 0 && !t->waits)
        say(t);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static struct sockaddr_storage address(const char *host, const char *port, unsigned add_to_host)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    struct sockaddr_storage a = {0};
    uint8_t *tail;
    uint32_t number;

    if (getaddrinfo(host, port, &hints, &found) != 0) {
        fprintf(stderr, "talkers: %s: not an address\n", host);
        exit(2);
    }
    memcpy(&a, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    tail = a.ss_family == AF_INET ? (uint8_t *)&((struct sockaddr_in *)&a)->sin_addr
                                  : &((struct sockaddr_in6 *)&a)->sin6_addr.s6_addr[12];
    memcpy(&number, tail, 4);
    number = htonl(ntohl(number) + add_to_host);
    memcpy(tail, &number, 4);
    return a;
}

static int make_socket(const struct sockaddr_storage *local)
{
    const int on = 1;
    bool v4 = local->ss_family == AF_INET;
    int fd = socket(local->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_FREEBIND : IPV6_FREEBIND, &on,
                   sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)local, sizeof(*local)) != 0)
        die("bind");
    return fd;
}

static int listen_socket(void)
{
    struct sockaddr_storage local = address(opt.local, opt.port, 0);
    int fd = make_socket(&local);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    if (listen(fd, BACKLOG) != 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("listen");
    return fd;
}

static void accept_one(int listener, uint64_t now)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct talker *t;

    if (fd < 0)
        return;
    t = add(fd, now);
    watch(t, EPOLL_CTL_ADD);
    rise(t, now);
}

static void connect_all(uint64_t now)
{
    char port[12];

    for (unsigned i = 0; i < opt.count; i++) {
        struct sockaddr_storage local, remote = address(opt.remote, opt.port, i);
        struct talker *t;

        snprintf(port, sizeof(port), "%u", opt.local_port);
        local = address(opt.local, port, i);
        t = add(make_socket(&local), now);
        if (connect(t->fd, (const struct sockaddr *)&remote, sizeof(remote)) != 0 &&
            errno != EINPROGRESS)
            die("connect");
        t->waits = true;
        watch(t, EPOLL_CTL_ADD);
    }
}

/* ---- The loop ------------------------------------------------------------------------------- */

static void write_status(uint64_t now)
{
    uint64_t sent = 0, heard = 0, silent = 0;
    size_t up = 0, lost = 0;
    char temporary[512];
    FILE *out;

    if (opt.status == NULL)
        return;
    for (size_t i = 0; i < talker_count; i++) {
        const struct talker *t = talkers[i];

        up += t->up;
        lost += t->lost;
        sent += t->sent;
        heard += t->heard;
        if (t->up && now - t->heard_ms > silent)
            silent = now - t->heard_ms;
    }
    snprintf(temporary, sizeof(temporary), "%s.new", opt.status);
    out = fopen(temporary, "w");
    if (out == NULL)
        die(temporary);
    fprintf(out,
            "{\"up\": %zu, \"lost\": %zu, \"corrupt\": %llu, \"sent\": %llu, \"heard\": %llu, "
            "\"silent_ms\": %llu}\n",
            up, lost, (unsigned long long)corrupt, (unsigned long long)sent,
            (unsigned long long)heard, (unsigned long long)silent);
    if (fclose(out) != 0 || rename(temporary, opt.status) != 0)
        die(opt.status);
}

static void handle(const struct epoll_event *event, int listener, uint64_t now)
{
    struct talker *t = event->data.ptr;

    if (t == NULL) {
        accept_one(listener, now);
        return;
    }
    if (!t->up && !t->lost)
        rise(t, now);
    if (t->up && (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
        hear(t, now);
    if (t->up && (event->events & EPOLLOUT) != 0 && t->waits)
        say(t);
}

static void run(int listener)
{
    static struct epoll_event events[EVENTS];
    uint64_t status_ms = 0, turn_ms = 0;

    for (;;) {
        int n = epoll_wait(poll_fd, events, EVENTS, TURN_MS);
        uint64_t now = now_ms();

        for (int i = 0; i < n; i++)
            handle(&events[i], listener, now);
        if (now >= turn_ms) {
            for (size_t i = 0; i < talker_count; i++)
                due(talkers[i], now);
            turn_ms = now + TURN_MS;
        }
        if (now >= status_ms) {
            write_status(now);
            status_ms = now + STATUS_MS;
        }
    }
}

static bool parse(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "l:c:r:p:n:i:b:s:o:")) != -1) {
        switch (c) {
        case 'l':
            opt.listens = true;
            opt.local = optarg;
            break;
        case 'c':
            opt.local = optarg;
            break;
        case 'r':
            opt.remote = optarg;
            break;
        case 'p':
            opt.port = optarg;
            break;
        case 'n':
            opt.count = (unsigned)atoi(optarg);
            break;
        case 'i':
            opt.every_ms = (unsigned)atoi(optarg);
            break;
        case 'b':
            opt.octets = (unsigned)atoi(optarg);
            break;
        case 's':
            opt.local_port = (unsigned)atoi(optarg);
            break;
        case 'o':
            opt.status = optarg;
            break;
        default:
            return false;
        }
    }
    return opt.local != NULL && opt.port != NULL && (opt.listens || opt.remote != NULL);
}

int main(int argc, char **argv)
{
    struct rlimit files = {16384, 16384};
    int listener = -1;

    if (!parse(argc, argv)) {
        fprintf(stderr,
                "usage: talkers {-l ADDRESS | -c LOCAL -r REMOTE [-n COUNT] [-s LOCAL-PORT]} "
                "-p PORT [-i EVERY-MS] [-b OCTETS] [-o STATUS-FILE]\n");
        return 2;
    }
    setrlimit(RLIMIT_NOFILE, &files);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (opt.listens)
        listener = listen_socket();
    else
        connect_all(now_ms());
    run(listener);
}

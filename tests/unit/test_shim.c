/* The preload library, linked into the test in front of libc as the loader would put it, and a
 * gatehoused that is a thread. */
#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "shim_server.h"

enum {
    MD5SIG = 14,
    REPAIR = 19,
    AO_ADD_KEY = 38,
    AO_INFO = 40,
    AO_GET_KEYS = 41,
    AO_REPAIR = 42,
    KEY_SIZE = 304,
    NKEYS = 272
};

static const struct reply done = {.action = GH_SHIM_DONE};

/* ---- Sockets --------------------------------------------------------------------------------- */

struct end {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len;
};

static struct end loopback(int family)
{
    struct end e = {.len = family == AF_INET ? sizeof e.in : sizeof e.in6};

    e.any.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        e.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        e.in6.sin6_addr = in6addr_loopback;
    return e;
}

static unsigned port_of(int fd)
{
    struct end e = {.len = sizeof e.in6};

    assert_int_equal(getsockname(fd, &e.any, &e.len), 0);
    return ntohs(e.in.sin_port);
}

static int tcp(int family)
{
    int fd = socket(family, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    return fd;
}

static int raw_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    return (int)syscall(SYS_setsockopt, fd, level, option, value, len);
}

/* A listener that the library knows nothing of. */
static int quiet_listener(int family, struct end *where)
{
    int fd = tcp(family);

    *where = loopback(family);
    assert_int_equal(bind(fd, &where->any, where->len), 0);
    assert_int_equal(syscall(SYS_listen, fd, 4096), 0);
    assert_int_equal(getsockname(fd, &where->any, &where->len), 0);
    return fd;
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
    return cookie;
}

/* The library's own connection to the server, or -1. */
static int library_descriptor(void)
{
    for (int fd = 3; fd < 2048; fd++) {
        struct sockaddr_un peer = {0};
        socklen_t len = sizeof peer;

        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sun_family == AF_UNIX &&
            strncmp(peer.sun_path, server.path, sizeof peer.sun_path) == 0)
            return fd;
    }
    return -1;
}

/* One call that the library asks about. */
static int connect_once(const struct end *to)
{
    int fd = socket(to->any.sa_family, SOCK_STREAM, 0);
    int result = connect(fd, &to->any, to->len), error = errno;

    close(fd);
    errno = error;
    return result;
}

static int setup(void **state)
{
    server.count = 0;
    memset(server.replies, 0, sizeof server.replies);
    server.kernel_has_ao = server.bind_first = server.echo = server.silent = false;
    server_start();
    return 0;
}

static int teardown(void **state)
{
    server_stop();
    return 0;
}

/* In a child of ours: the status tells which step failed, 0 none. */
static int status_of(pid_t pid)
{
    int status = -1;

    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- connect() ------------------------------------------------------------------------------- */

static void says_hello_once(void **state)
{
    struct end where;
    int listener = quiet_listener(AF_INET, &where);

    errno = 4711;
    assert_int_equal(connect_once(&where), 0);
    assert_int_equal(connect_once(&where), 0);
    assert_int_equal(errno, 4711);
    assert_int_equal(server_asked(GH_SHIM_HELLO), 1);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 2);
    assert_memory_equal(server.seen[0].body, "test_shim", 9);
    assert_int_equal(server.seen[0].len, 9);
    assert_int_equal(server_last().len, where.len);
    assert_memory_equal(server_last().body, &where.any, where.len);
    assert_int_equal(server_last().pid, getpid());
    assert_true(fcntl(library_descriptor(), F_GETFD) & FD_CLOEXEC);
    assert_true(library_descriptor() >= 500);
    close(listener);
}

static void leaves_other_sockets_alone(void **state)
{
    struct end where = loopback(AF_INET);
    struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nonexistent"};
    int udp = socket(AF_INET, SOCK_DGRAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
    int mptcp = socket(AF_INET, SOCK_STREAM, 262), one = 1;

    where.in.sin_port = htons(9);
    assert_int_equal(connect(udp, &where.any, where.len), 0);
    assert_int_equal(connect(local, (struct sockaddr *)&nowhere, sizeof nowhere), -1);
    assert_int_equal(errno, ENOENT);
    if (mptcp >= 0) { /* a kernel may have none */
        assert_int_equal(listen(mptcp, 1), 0);
        close(mptcp);
    }
    assert_int_equal(connect(-1, &where.any, where.len), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(setsockopt(udp, IPPROTO_TCP, AO_ADD_KEY, &one, sizeof one), -1);
    assert_int_equal(setsockopt(local, SOL_SOCKET, SO_PASSCRED, &one, sizeof one), 0);
    assert_int_equal(server.count, 0);
    close(udp);
    close(local);
}

static void connect_fails_as_told(void **state)
{
    struct end where, peer = {.len = sizeof peer.in6};
    int listener = quiet_listener(AF_INET, &where), fd = tcp(AF_INET);

    server_say(GH_SHIM_CONNECT, (struct reply){.action = GH_SHIM_DONE, .error = EKEYREJECTED});
    assert_int_equal(connect(fd, &where.any, where.len), -1);
    assert_int_equal(errno, EKEYREJECTED);
    assert_int_equal(server_last().cookie, cookie_of(fd));
    assert_int_equal(getpeername(fd, &peer.any, &peer.len), -1);
    server_say(GH_SHIM_CONNECT, done);
    assert_int_equal(connect(fd, &where.any, where.len), 0);
    close(fd);
    close(listener);
}

static void connect_gets_a_port(int family, bool late)
{
    struct end where, from = loopback(family);
    int listener = quiet_listener(family, &where), fd = tcp(family), one = 1, off = 0;
    socklen_t len = sizeof off;

    SERVER_SET(bind_first, true);
    if (late) {
        assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one), 0);
        if (family == AF_INET)
            from.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
        assert_int_equal(bind(fd, &from.any, from.len), 0);
        assert_int_equal(port_of(fd), 0);
    }
    assert_int_equal(connect(fd, &where.any, where.len), 0);
    assert_true(server_last().port != 0);
    assert_int_equal(server_last().port, port_of(fd));
    if (late) {
        from.len = sizeof from.in6;
        assert_int_equal(getsockname(fd, &from.any, &from.len), 0);
        if (family == AF_INET)
            assert_int_equal(ntohl(from.in.sin_addr.s_addr), INADDR_LOOPBACK + 1);
        assert_int_equal(getsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &off, &len), 0);
        assert_int_equal(off, 1);
    }
    close(fd);
    close(listener);
}

static void connect_binds(void **state)
{
    connect_gets_a_port(AF_INET, false);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 2);
    connect_gets_a_port(AF_INET, true);
    connect_gets_a_port(AF_INET6, false);
    connect_gets_a_port(AF_INET6, true);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 8);
}

static void connect_binds_once(void **state)
{
    struct end where;
    int listener = quiet_listener(AF_INET, &where), fd = tcp(AF_INET);

    server_say(GH_SHIM_CONNECT, (struct reply){.action = GH_SHIM_BIND});
    assert_int_equal(connect(fd, &where.any, where.len), -1);
    assert_int_equal(errno, EADDRNOTAVAIL);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 2);
    close(fd);
    close(listener);
}

static void *no_memory_here(void)
{
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(page != MAP_FAILED);
    return page;
}

static void connect_to_bad_addresses(void **state)
{
    struct end where = loopback(AF_INET);
    int fd = tcp(AF_INET);
    void *hole = no_memory_here();

    assert_int_equal(connect(fd, NULL, 16), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(connect(fd, hole, 16), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(connect(fd, &where.any, 4096), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(connect(fd, &where.any, 0), -1);
    assert_int_equal(errno, EINVAL);
    munmap(hole, 4096);
    close(fd);
}

/* ---- listen() and accept() ------------------------------------------------------------------- */

/* A listener, and a client of it that the library knows nothing of. */
static int listener_with_client(int *client)
{
    struct end where = loopback(AF_INET);
    int listener = tcp(AF_INET);

    assert_int_equal(bind(listener, &where.any, where.len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, &where.any, &where.len), 0);
    *client = tcp(AF_INET);
    assert_int_equal(syscall(SYS_connect, *client, &where.any, where.len), 0);
    return listener;
}

static void accepts_unasked_from_others(void **state)
{
    int client, listener = listener_with_client(&client), fd = accept(listener, NULL, NULL);

    assert_true(fd >= 0);
    assert_int_equal(server_asked(GH_SHIM_LISTEN), 1);
    assert_int_equal(server_asked(GH_SHIM_ACCEPTED), 0);
    close(fd);
    close(client);
    close(listener);
}

static void asks_about_accepted(void **state)
{
    struct end peer = {.len = sizeof peer.in6};
    int client, listener, fd;

    server_say(GH_SHIM_LISTEN, done);
    server_say(GH_SHIM_ACCEPTED, done);
    listener = listener_with_client(&client);
    fd = accept4(listener, &peer.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(server_asked(GH_SHIM_ACCEPTED), 1);
    assert_int_equal(server_last().cookie, cookie_of(fd));
    assert_int_equal(ntohs(peer.in.sin_port), port_of(client));
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    close(client);
    close(listener);
}

static void refuses_accepted(void **state)
{
    int client, listener;
    char octet;

    server_say(GH_SHIM_LISTEN, done);
    server_say(GH_SHIM_ACCEPTED, (struct reply){.action = GH_SHIM_DONE, .error = ENOENT});
    listener = listener_with_client(&client);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_int_equal(errno, ECONNABORTED);
    assert_int_equal(read(client, &octet, 1), 0);
    close(client);
    close(listener);
}

static void listen_fails_as_told(void **state)
{
    int fd = tcp(AF_INET), on = 1;
    socklen_t len = sizeof on;

    server_say(GH_SHIM_LISTEN, (struct reply){.action = GH_SHIM_DONE, .error = EKEYREJECTED});
    assert_int_equal(listen(fd, 1), -1);
    assert_int_equal(errno, EKEYREJECTED);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len), 0);
    assert_int_equal(on, 0);
    SERVER_SET(bind_first, true);
    server_say(GH_SHIM_LISTEN, done);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(server_last().port, port_of(fd));
    close(fd);
}

static void keys_may_come_after_listen(void **state)
{
    int client, listener = listener_with_client(&client), fd;
    uint8_t key[288] = {1};

    server_say(GH_SHIM_SETOPT, done);
    assert_int_equal(setsockopt(listener, IPPROTO_TCP, AO_ADD_KEY, key, sizeof key), 0);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(server_asked(GH_SHIM_ACCEPTED), 1);
    close(fd);
    close(client);
    close(listener);
}

/* ---- Options --------------------------------------------------------------------------------- */

static void sets_options(void **state)
{
    uint8_t key[288];
    int fd = tcp(AF_INET6);
    unsigned optmem = 0;
    FILE *file = fopen("/proc/sys/net/core/optmem_max", "r");

    if (file != NULL) { /* in a namespace of an older kernel there is none */
        assert_int_equal(fscanf(file, "%u", &optmem), 1);
        fclose(file);
    }

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    server_say(GH_SHIM_SETOPT, done);
    errno = 4711;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_ADD_KEY, key, sizeof key), 0);
    assert_int_equal(errno, 4711);
    assert_int_equal(server_last().option, AO_ADD_KEY);
    assert_int_equal(server_last().room, optmem);
    assert_int_equal(server_last().len, sizeof key);
    assert_memory_equal(server_last().body, key, sizeof key);
    assert_int_equal(server_last().cookie, cookie_of(fd));
    server_say(GH_SHIM_SETOPT, (struct reply){.action = GH_SHIM_DONE, .error = EEXIST});
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_ADD_KEY, key, sizeof key), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_REPAIR, NULL, 0), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(server_last().len, 0);
    close(fd);
}

static void refuses_bad_values(void **state)
{
    static uint8_t large[GH_SHIM_BODY_MAX + 1];
    int fd = tcp(AF_INET);
    void *hole = no_memory_here();

    server_say(GH_SHIM_SETOPT, done);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_INFO, NULL, 48), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_INFO, hole, 48), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_INFO, large, (socklen_t)-1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_INFO, large, sizeof large), -1);
    assert_int_equal(errno, E2BIG);
    assert_int_equal(server_asked(GH_SHIM_SETOPT), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_INFO, large, GH_SHIM_BODY_MAX), 0);
    assert_int_equal(server_last().len, GH_SHIM_BODY_MAX);
    assert_int_equal(server_asked(GH_SHIM_HELLO), 1); /* all on one connection */
    munmap(hole, 4096);
    close(fd);
}

static void gets_options(void **state)
{
    uint8_t value[64] = {1, 2, 3}, answer[48];
    socklen_t len = 40;
    int fd = tcp(AF_INET);

    memset(answer, 7, sizeof answer);
    server_say(GH_SHIM_GETOPT,
               (struct reply){.action = GH_SHIM_DONE, .length = 48, .body = answer, .len = 48});
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, &len), 0);
    assert_int_equal(server_last().room, 40);
    assert_int_equal(server_last().len, 40);
    assert_memory_equal(server_last().body, "\1\2\3", 3);
    assert_memory_equal(value, answer, 40);
    assert_int_equal(value[40], 0); /* no octet more than there was room for */
    assert_int_equal(len, 48);
    server_say(GH_SHIM_GETOPT, (struct reply){.action = GH_SHIM_DONE, .error = ENOENT});
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, &len), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(len, 48);
    close(fd);
}

static void gets_many_keys(void **state)
{
    static uint8_t keys[4 * KEY_SIZE];
    static const uint8_t answer[SEEN_BODY] = {9, [SEEN_BODY - 1] = 9};
    uint32_t count = 4;
    socklen_t len = KEY_SIZE;
    int fd = tcp(AF_INET);

    memcpy(keys + NKEYS, &count, sizeof count);
    server_say(GH_SHIM_GETOPT, (struct reply){.action = GH_SHIM_DONE,
                                              .length = KEY_SIZE,
                                              .body = answer,
                                              .len = sizeof answer});
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_GET_KEYS, keys, &len), 0);
    assert_int_equal(server_last().len, KEY_SIZE);
    assert_int_equal(server_last().room, 4 * KEY_SIZE);
    assert_memory_equal(keys, answer, sizeof answer);
    count = UINT32_MAX;
    memcpy(keys + NKEYS, &count, sizeof count);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_GET_KEYS, keys, &len), 0);
    assert_int_equal(server_last().room, GH_SHIM_BODY_MAX / KEY_SIZE * KEY_SIZE);
    close(fd);
}

static void gets_into_bad_memory(void **state)
{
    uint8_t value[KEY_SIZE] = {0};
    socklen_t len = 48, bad = (socklen_t)-1, huge = GH_SHIM_BODY_MAX + 1, none = 0;
    void *hole = no_memory_here();
    int fd = tcp(AF_INET);

    SERVER_SET(echo, true);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, NULL, &len), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, hole, &len), -1);
    assert_int_equal(errno, EFAULT);
    len = KEY_SIZE;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_GET_KEYS, hole, &len), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, NULL), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, hole), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, &bad), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, &huge), -1);
    assert_int_equal(errno, E2BIG);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_GET_KEYS, value, &none), 0);
    assert_int_equal(server_last().len, 0);
    /* Memory that may be read but not written: the answer cannot be given, and is not left over. */
    assert_int_equal(mprotect(hole, 4096, PROT_READ), 0);
    len = 48;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, hole, &len), -1);
    assert_int_equal(errno, EFAULT);
    value[0] = 42;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, &len), 0);
    assert_int_equal(value[0], 42);
    munmap(hole, 4096);
    close(fd);
}

static void a_kernel_with_tcp_ao_answers_itself(void **state)
{
    struct end where;
    uint8_t value[48] = {0};
    socklen_t len = sizeof value;
    int listener = quiet_listener(AF_INET, &where), fd = tcp(AF_INET), result, error;

    SERVER_SET(kernel_has_ao, true);
    server_say(GH_SHIM_SETOPT, (struct reply){.action = GH_SHIM_DONE, .error = EKEYREJECTED});
    result = raw_setsockopt(fd, IPPROTO_TCP, AO_INFO, value, sizeof value);
    error = errno;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_INFO, value, sizeof value), result);
    assert_int_equal(errno, error);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, &len), -1);
    assert_int_equal(server.count, 1); /* HELLO */
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, MD5SIG, value, sizeof value), -1);
    assert_int_equal(errno, EKEYREJECTED);
    assert_int_equal(connect(fd, &where.any, where.len), 0);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 1);
    close(fd);
    close(listener);
}

static void md5_passes_to_the_kernel(void **state)
{
    uint8_t value[8] = {0}; /* too short: EINVAL, or ENOPROTOOPT where the kernel has no TCP-MD5 */
    int fd = tcp(AF_INET), error;

    assert_int_equal(raw_setsockopt(fd, IPPROTO_TCP, MD5SIG, value, sizeof value), -1);
    error = errno;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, MD5SIG, value, sizeof value), -1);
    assert_int_equal(errno, error);
    assert_int_equal(server_last().option, MD5SIG);
    server_say(GH_SHIM_SETOPT, done);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, MD5SIG, value, sizeof value), 0);
    close(fd);
}

static void tells_when_repair_ends(void **state)
{
    int fd = tcp(AF_INET), on = 1, off = 0;
    uint8_t key[288] = {0};

    if (raw_setsockopt(fd, IPPROTO_TCP, REPAIR, &on, sizeof on) != 0) {
        print_message("skipped: TCP_REPAIR needs CAP_NET_ADMIN\n");
        close(fd);
        skip();
    }
    server_say(GH_SHIM_SETOPT, done);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_ADD_KEY, key, sizeof key), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, REPAIR, &on, sizeof on), 0);
    assert_int_equal(server_asked(GH_SHIM_PREPARED), 0);
    server_say(GH_SHIM_PREPARED, (struct reply){.action = GH_SHIM_DONE, .error = EIO});
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, REPAIR, &off, sizeof off), 0);
    assert_int_equal(server_asked(GH_SHIM_PREPARED), 1);
    assert_int_equal(server_last().option, REPAIR);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, REPAIR, NULL, sizeof off), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(server_asked(GH_SHIM_PREPARED), 1);
    close(fd);
}

static pid_t vfork_closes(int fd)
{
    pid_t pid = vfork();

    if (pid == 0)
        _exit(close(fd) == 0 ? 0 : 1);
    return pid;
}

/* Whoever has TCP-AO sockets waits for what close() sends; other descriptors and who has none do
 * not. */
static void close_waits_for_segments(void **state)
{
    int fd = tcp(AF_INET), copy = dup(fd), other = open("/dev/null", O_RDONLY);
    uint8_t key[288] = {0};
    pid_t child;

    server_say(GH_SHIM_SETOPT, done);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_ADD_KEY, key, sizeof key), 0);
    assert_int_equal(close(other), 0);
    assert_int_equal(server_asked(GH_SHIM_FLUSH), 0);
    child = vfork_closes(copy);
    assert_int_equal(status_of(child), 0);
    assert_int_equal(server_asked(GH_SHIM_FLUSH), 0);
    errno = 4711;
    assert_int_equal(close(copy), 0);
    assert_int_equal(server_asked(GH_SHIM_FLUSH), 1);
    assert_int_equal(server_last().cookie, 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(server_asked(GH_SHIM_FLUSH), 2);
    assert_int_equal(errno, 4711);
    assert_int_equal(close(fd), -1);
    assert_int_equal(errno, EBADF);
}

static void close_asks_nothing_without_keys(void **state)
{
    int fd = tcp(AF_INET);

    assert_int_equal(close(fd), 0);
    assert_int_equal(server_asked(GH_SHIM_FLUSH), 0);
}

/* ---- The connection to gatehoused ------------------------------------------------------------ */

static void does_without_a_server(void **state)
{
    struct end where;
    uint8_t value[48] = {0};
    socklen_t len = sizeof value;
    int listener = quiet_listener(AF_INET, &where), client, fd = tcp(AF_INET), error;

    server_stop();
    assert_int_equal(raw_setsockopt(fd, IPPROTO_TCP, AO_INFO, value, sizeof value), -1);
    error = errno;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_INFO, value, sizeof value), -1);
    assert_int_equal(errno, error);
    assert_int_equal(syscall(SYS_getsockopt, fd, IPPROTO_TCP, AO_INFO, value, &len), -1);
    error = errno;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, AO_INFO, value, &len), -1);
    assert_int_equal(errno, error);
    errno = 4711;
    assert_int_equal(connect(fd, &where.any, where.len), 0);
    assert_int_equal(errno, 4711);
    close(listener);
    listener = listener_with_client(&client);
    close(fd);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    close(fd);
    close(client);
    close(listener);
}

static void finds_a_restarted_server(void **state)
{
    struct end where;
    int listener = quiet_listener(AF_INET, &where);

    assert_int_equal(connect_once(&where), 0);
    server_stop();
    server_start();
    assert_int_equal(connect_once(&where), 0);
    server_stop();
    assert_int_equal(connect_once(&where), 0);
    server_start();
    assert_int_equal(connect_once(&where), 0);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 3);
    assert_int_equal(server_asked(GH_SHIM_HELLO), 3);
    close(listener);
}

/* Keys that the program gave are not forgotten when nobody is there to sign with them. */
static void keyed_sockets_stay_closed(void **state)
{
    struct end where;
    uint8_t key[288] = {1};
    int listener = quiet_listener(AF_INET, &where), fd = tcp(AF_INET), other = tcp(AF_INET);

    server_say(GH_SHIM_SETOPT, done);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_ADD_KEY, key, sizeof key), 0);
    server_stop();
    assert_int_equal(connect(fd, &where.any, where.len), -1);
    assert_int_equal(errno, EKEYREJECTED);
    assert_int_equal(listen(fd, 1), -1);
    assert_int_equal(errno, EKEYREJECTED);
    assert_int_equal(connect(other, &where.any, where.len), 0);
    server_start();
    assert_int_equal(connect(fd, &where.any, where.len), 0);
    close(fd);
    close(other);
    close(listener);
}

static void *start_later(void *ctx)
{
    const struct timespec pause = {.tv_nsec = 300000000};

    nanosleep(&pause, NULL);
    server_start();
    return ctx;
}

/* While gatehoused is being restarted, TCP-AO is not taken for unknown. */
static void options_wait_for_a_restart(void **state)
{
    uint8_t key[288] = {1};
    int fd = tcp(AF_INET);
    pthread_t later;

    server_say(GH_SHIM_SETOPT, done);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_ADD_KEY, key, sizeof key), 0);
    server_stop();
    assert_int_equal(pthread_create(&later, NULL, start_later, NULL), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, AO_ADD_KEY, key, sizeof key), 0);
    assert_int_equal(pthread_join(later, NULL), 0);
    assert_int_equal(server_asked(GH_SHIM_SETOPT), 2);
    close(fd);
}

static pid_t raw_fork(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static void a_child_has_its_own_connection(pid_t (*make_child)(void))
{
    struct end where;
    int listener = quiet_listener(AF_INET, &where);
    size_t hellos = 0, connects = 0;
    pid_t pid;

    server.count = 0;
    assert_int_equal(connect_once(&where), 0);
    pid = make_child();
    if (pid == 0)
        _exit(connect_once(&where) != 0 ? 1 : connect_once(&where) != 0 ? 2 : 0);
    assert_int_equal(connect_once(&where), 0);
    assert_int_equal(status_of(pid), 0);
    assert_int_equal(connect_once(&where), 0);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 5);
    for (size_t i = 0; i < server.count; i++) {
        hellos += server.seen[i].op == GH_SHIM_HELLO && server.seen[i].pid == pid;
        connects += server.seen[i].op == GH_SHIM_CONNECT && server.seen[i].pid == pid;
    }
    assert_int_equal(hellos, 1);
    assert_int_equal(connects, 2); /* the others are ours */
    close(listener);
}

static void children(void **state)
{
    a_child_has_its_own_connection(fork);
    a_child_has_its_own_connection(raw_fork);
}

static void *ask_often(void *ctx)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    uintptr_t wrong = 0;

    for (uint32_t i = 0; i < 200; i++) {
        uint32_t value[12] = {(uint32_t)(uintptr_t)ctx, i};
        uint32_t expected[12] = {(uint32_t)(uintptr_t)ctx, i};
        socklen_t len = 20 + (socklen_t)(uintptr_t)ctx;

        wrong += getsockopt(fd, IPPROTO_TCP, AO_INFO, value, &len) != 0 ||
                 len != 20 + (socklen_t)(uintptr_t)ctx || memcmp(value, expected, len) != 0;
    }
    close(fd);
    return (void *)wrong;
}

static void threads_get_their_own_answers(void **state)
{
    pthread_t threads[4];

    SERVER_SET(echo, true);
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(server_asked(GH_SHIM_GETOPT), 800);
    assert_int_equal(server_asked(GH_SHIM_HELLO), 1);
}

/* A fork in the middle of other threads' questions leaves the child a lock that is free. */
static void fork_among_threads(void **state)
{
    struct end where;
    int listener = quiet_listener(AF_INET, &where);
    pthread_t thread;
    void *wrong;

    SERVER_SET(echo, true);
    assert_int_equal(pthread_create(&thread, NULL, ask_often, (void *)1), 0);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            alarm(20);
            _exit(connect_once(&where) != 0);
        }
        assert_int_equal(status_of(pid), 0);
    }
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    close(listener);
}

static struct end signal_target;
static volatile sig_atomic_t signals, signal_failures;

static void connect_in_handler(int number)
{
    int saved = errno;

    signals++;
    signal_failures += connect_once(&signal_target) != 0;
    errno = saved;
}

/* connect() may be called in a signal's handler, also in the middle of the library. */
static void handlers_may_ask(void **state)
{
    struct sigaction action = {.sa_handler = connect_in_handler, .sa_flags = SA_RESTART}, old;
    struct itimerval often = {.it_value.tv_usec = 300, .it_interval.tv_usec = 300}, never = {0};
    int listener = quiet_listener(AF_INET, &signal_target);
    void *wrong = NULL;

    SERVER_SET(echo, true);
    sigaction(SIGVTALRM, &action, &old);
    setitimer(ITIMER_VIRTUAL, &often, NULL);
    for (int i = 0; i < 200 && (signals < 5 || i < 2) && wrong == NULL; i++)
        wrong = ask_often((void *)1);
    setitimer(ITIMER_VIRTUAL, &never, NULL);
    sigaction(SIGVTALRM, &old, NULL);
    assert_null(wrong);
    assert_true(signals >= 5);
    assert_int_equal(signal_failures, 0);
    close(listener);
}

/* Daemons close what they do not know. */
static void survives_closed_descriptors(void **state)
{
    struct end where;
    int listener = quiet_listener(AF_INET, &where);
    pid_t pid;

    assert_int_equal(connect_once(&where), 0);
    pid = fork();
    if (pid == 0) {
        int ours, pipes[2], flags;

        syscall(SYS_close_range, 3, ~0U, 0);
        if (connect_once(&where) != 0)
            _exit(1);
        /* And use the number for something else. */
        ours = library_descriptor();
        if (ours < 0 || pipe(pipes) != 0 || dup2(pipes[1], ours) != ours)
            _exit(2);
        fcntl(pipes[0], F_SETFL, O_NONBLOCK);
        if (connect_once(&where) != 0)
            _exit(3);
        flags = fcntl(ours, F_GETFL);
        if (flags < 0 || (flags & O_ACCMODE) != O_WRONLY)
            _exit(4);
        if (read(pipes[0], &flags, 1) != -1 || errno != EAGAIN)
            _exit(5);
        _exit(0);
    }
    assert_int_equal(status_of(pid), 0);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 3);
    assert_int_equal(server_last().pid, pid);
    close(listener);
}

/* Connected before the root directory changed, the library goes on. */
static void survives_chroot(void **state)
{
    struct end where;
    int listener = quiet_listener(AF_INET, &where);
    char empty[96];
    pid_t pid;

    if (geteuid() != 0) {
        close(listener);
        print_message("skipped: chroot() needs root\n");
        skip();
    }
    snprintf(empty, sizeof empty, "%s/empty", server.directory);
    assert_int_equal(mkdir(empty, 0700), 0);
    assert_int_equal(connect_once(&where), 0);
    pid = fork();
    if (pid == 0) {
        if (chroot(empty) != 0 || chdir("/") != 0 || setgid(65534) != 0 || setuid(65534) != 0)
            _exit(1);
        _exit(connect_once(&where) != 0 ? 2 : 0);
    }
    assert_int_equal(status_of(pid), 0);
    assert_int_equal(server_asked(GH_SHIM_CONNECT), 2);
    assert_int_equal(server_last().pid, pid);
    rmdir(empty);
    close(listener);
}

/* A gatehoused that hangs delays the program once, not for ever and not each time. */
static void gives_up_on_silence(void **state)
{
    struct end where;
    int listener = quiet_listener(AF_INET, &where);
    pid_t pid;

    SERVER_SET(silent, true);
    pid = fork(); /* which keeps the pause that follows */
    if (pid == 0) {
        struct timespec start, end;

        alarm(30);
        if (connect_once(&where) != 0)
            _exit(1);
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (connect_once(&where) != 0)
            _exit(2);
        clock_gettime(CLOCK_MONOTONIC, &end);
        _exit(end.tv_sec - start.tv_sec > 5 ? 3 : 0);
    }
    assert_int_equal(status_of(pid), 0);
    assert_int_equal(server.count, 1);
    SERVER_SET(silent, false); /* close() asks too */
    close(listener);
}

/* ---- Counters -------------------------------------------------------------------------------- */

static size_t slurp(int fd, char *text, size_t size)
{
    size_t len = 0;
    ssize_t got;

    while ((got = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    close(fd);
    return len;
}

/* The value of a TcpExt counter, -1 if it is not there. */
static long long counter(const char *text, const char *name)
{
    const char *header = strstr(text, "TcpExt:"), *values;
    char word[64];
    int skip, more;

    if (header == NULL || (values = strstr(header + 1, "TcpExt:")) == NULL)
        return -1;
    for (const char *end = values; header < end && sscanf(header, "%63s%n", word, &skip) == 1;
         header += skip) {
        char value[64];

        if (sscanf(values, "%63s%n", value, &more) != 1)
            return -1;
        if (strcmp(word, name) == 0)
            return atoll(value);
        values += more;
    }
    return -1;
}

static void shows_counters(void **state)
{
    static const uint8_t numbers[40] = {[7] = 101, [15] = 102, [23] = 103, [31] = 104, [39] = 105};
    static char text[65536];
    FILE *file;
    int fd;

    server_say(GH_SHIM_COUNTERS,
               (struct reply){.action = GH_SHIM_DONE, .body = numbers, .len = 40});
    fd = open("/proc/net/netstat", O_RDONLY | O_CLOEXEC);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    slurp(fd, text, sizeof text);
    assert_int_equal(counter(text, "TCPAOGood"), 101);
    assert_int_equal(counter(text, "TCPAOBad"), 102);
    assert_int_equal(counter(text, "TCPAOKeyNotFound"), 103);
    assert_int_equal(counter(text, "TCPAORequired"), 104);
    assert_int_equal(counter(text, "TCPAODroppedIcmps"), 105);
    assert_true(counter(text, "TCPMD5NotFound") >= 0);
    assert_non_null(strstr(text, "IpExt:"));
    assert_int_equal(server_last().op, GH_SHIM_COUNTERS);
    assert_int_equal(server_last().len, 8); /* the time of the call */
    assert_true(server_last().cookie != 0);
    slurp(open64("/proc/self/net/netstat", O_RDONLY), text, sizeof text);
    assert_int_equal(counter(text, "TCPAOGood"), 101);
    slurp(openat(AT_FDCWD, "/proc/thread-self/net/netstat", O_RDONLY), text, sizeof text);
    assert_int_equal(counter(text, "TCPAOGood"), 101);
    file = fopen("/proc/net/netstat", "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(counter(text, "TCPAODroppedIcmps"), 105);
    assert_int_equal(server_asked(GH_SHIM_COUNTERS), 4);
}

static void other_files_are_the_kernels(void **state)
{
    static char text[65536], again[65536];
    char path[128], *hole = no_memory_here();
    struct stat st;
    int fd;

    slurp(open("/proc/net/snmp", O_RDONLY), text, sizeof text);
    assert_int_equal(server.count, 0);
    SERVER_SET(kernel_has_ao, true);
    slurp(open("/proc/net/netstat", O_RDONLY), text, sizeof text);
    slurp((int)syscall(SYS_openat, AT_FDCWD, "/proc/net/netstat", O_RDONLY), again, sizeof again);
    assert_true(counter(text, "TCPAOGood") == counter(again, "TCPAOGood"));
    assert_int_equal(server_asked(GH_SHIM_COUNTERS), 0);
    server_stop();
    slurp(open("/proc/net/netstat", O_RDONLY), text, sizeof text);
    assert_true(counter(text, "TCPMD5NotFound") >= 0);
    snprintf(path, sizeof path, "%s/file", server.directory);
    fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0640);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    close(fd);
    unlink(path);
    assert_int_equal(open(hole, O_RDONLY), -1);
    assert_int_equal(errno, EFAULT);
    munmap(hole, 4096);
    assert_int_equal(openat(AT_FDCWD, path, O_RDONLY), -1);
    assert_int_equal(errno, ENOENT);
    assert_null(fopen(path, "r"));
    assert_int_equal(errno, ENOENT);
}

/* The server cannot count, or says nonsense: the file is the kernel's. */
static void keeps_the_file_without_numbers(void **state)
{
    static char text[65536];

    server_say(GH_SHIM_COUNTERS, (struct reply){.action = GH_SHIM_DONE, .error = EIO});
    slurp(open("/proc/net/netstat", O_RDONLY), text, sizeof text);
    assert_true(counter(text, "TCPMD5NotFound") >= 0);
    server_say(GH_SHIM_COUNTERS, (struct reply){.action = GH_SHIM_DONE, .body = "x", .len = 1});
    slurp(open("/proc/net/netstat", O_RDONLY), text, sizeof text);
    assert_true(counter(text, "TCPMD5NotFound") >= 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(close_asks_nothing_without_keys), /* before any has */
        TEST(says_hello_once),
        TEST(leaves_other_sockets_alone),
        TEST(connect_fails_as_told),
        TEST(connect_binds),
        TEST(connect_binds_once),
        TEST(connect_to_bad_addresses),
        TEST(accepts_unasked_from_others),
        TEST(asks_about_accepted),
        TEST(refuses_accepted),
        TEST(listen_fails_as_told),
        TEST(keys_may_come_after_listen),
        TEST(sets_options),
        TEST(refuses_bad_values),
        TEST(gets_options),
        TEST(gets_many_keys),
        TEST(gets_into_bad_memory),
        TEST(a_kernel_with_tcp_ao_answers_itself),
        TEST(md5_passes_to_the_kernel),
        TEST(tells_when_repair_ends),
        TEST(close_waits_for_segments),
        TEST(does_without_a_server),
        TEST(finds_a_restarted_server),
        TEST(keyed_sockets_stay_closed),
        TEST(options_wait_for_a_restart),
        TEST(children),
        TEST(threads_get_their_own_answers),
        TEST(fork_among_threads),
        TEST(handlers_may_ask),
        TEST(survives_closed_descriptors),
        TEST(survives_chroot),
        TEST(gives_up_on_silence),
        TEST(shows_counters),
        TEST(other_files_are_the_kernels),
        TEST(keeps_the_file_without_numbers),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    rmdir(server.directory);
    return failed;
}

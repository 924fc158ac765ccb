/*
 * open() and fopen() of programs that run with the preload library: where the kernel has no TCP-AO,
 * /proc/net/netstat has gatehoused's counters in the place of the kernel's.
 *
 * The real call comes first; only a descriptor that it gave is looked at, so that no error and no
 * other file changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shim/client.h"
#include "shim/export.h"
#include "shim/netstat.h"
#include "shim/real.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { TEXT_MAX = 65536 };

/* Nanoseconds of CLOCK_MONOTONIC. */
static uint64_t clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* As they were when the program called. */
static bool fetch_counters(uint64_t called_at, uint64_t values[GH_NETSTAT_COUNTERS])
{
    uint8_t octets[8 * GH_NETSTAT_COUNTERS], called[8];
    struct gh_shim_question q = {.op = GH_SHIM_COUNTERS,
                                 .body = called,
                                 .len = sizeof called,
                                 .room = octets,
                                 .room_len = sizeof octets,
                                 .emulation = true};
    struct gh_wr w = gh_wr_make(called, sizeof called);
    struct gh_shim_answer answer;
    struct gh_rd r;

    gh_wr_u64(&w, called_at);
    q.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* names the network namespace */
    if (q.fd < 0)
        return false;
    answer = gh_shim_ask(&q);
    close(q.fd);
    if (answer.action != GH_SHIM_DONE || answer.error != 0)
        return false;
    r = gh_rd_make(octets, answer.got);
    for (int i = 0; i < GH_NETSTAT_COUNTERS; i++)
        values[i] = gh_rd_u64(&r);
    return gh_rd_done(&r);
}

static size_t read_all(int fd, char *text, size_t room)
{
    size_t len = 0;
    ssize_t got;

    while (len < room && (got = read(fd, text + len, room - len)) > 0)
        len += (size_t)got;
    return len < room ? len : 0;
}

/* Puts a file with these octets in the place of fd; false: fd is as it was. */
static bool replace(int fd, const char *text, size_t len)
{
    int flags = fcntl(fd, F_GETFD) & FD_CLOEXEC ? O_CLOEXEC : 0;
    int file = memfd_create("netstat", MFD_CLOEXEC);
    bool done = file >= 0 && write(file, text, len) == (ssize_t)len &&
                lseek(file, 0, SEEK_SET) == 0 && dup3(file, fd, flags) == fd;

    if (file >= 0)
        close(file);
    return done;
}

static void with_counters(int fd, uint64_t called_at)
{
    uint64_t values[GH_NETSTAT_COUNTERS];
    /* Threads' stacks may be small, and the allocator is the program's. */
    size_t size = 2 * TEXT_MAX, len;
    char *text;

    if (!fetch_counters(called_at, values))
        return;
    text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED)
        return;
    len = read_all(fd, text, TEXT_MAX);
    len = gh_netstat_merge(text, len, values, text + TEXT_MAX, TEXT_MAX);
    if (len == 0 || !replace(fd, text + TEXT_MAX, len))
        lseek(fd, 0, SEEK_SET);
    munmap(text, size);
}

static bool is_netstat(const char *path)
{
    return strncmp(path, "/proc/", 6) == 0 && gh_netstat_path(path, getpid());
}

static int opened(uint64_t called_at, int fd, const char *path, int flags)
{
    int saved = errno;

    if (fd >= 0 && (flags & (O_ACCMODE | O_PATH)) == O_RDONLY && is_netstat(path)) {
        with_counters(fd, called_at);
        errno = saved;
    }
    return fd;
}

static FILE *opened_file(uint64_t called_at, FILE *file, const char *path, const char *mode)
{
    int saved = errno;

    if (file != NULL && mode[0] == 'r' && strchr(mode, '+') == NULL && is_netstat(path)) {
        with_counters(fileno(file), called_at); /* nothing has been read through it yet */
        errno = saved;
    }
    return file;
}

static bool has_mode(int flags)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

/* The last argument of open(), where there is one. */
#define MODE_ARGUMENT(flags)                                                                       \
    ({                                                                                             \
        mode_t mode = 0;                                                                           \
        if (has_mode(flags)) {                                                                     \
            va_list more;                                                                          \
            va_start(more, flags);                                                                 \
            mode = va_arg(more, mode_t);                                                           \
            va_end(more);                                                                          \
        }                                                                                          \
        mode;                                                                                      \
    })

GH_SHIM_EXPORT int open(const char *path, int flags, ...)
{
    uint64_t called_at = clock_now();

    return opened(called_at, GH_REAL(open)(path, flags, MODE_ARGUMENT(flags)), path, flags);
}

GH_SHIM_EXPORT int open64(const char *path, int flags, ...)
{
    uint64_t called_at = clock_now();

    return opened(called_at, GH_REAL(open64)(path, flags, MODE_ARGUMENT(flags)), path, flags);
}

GH_SHIM_EXPORT int openat(int directory, const char *path, int flags, ...)
{
    uint64_t called_at = clock_now();

    return opened(called_at, GH_REAL(openat)(directory, path, flags, MODE_ARGUMENT(flags)), path,
                  flags);
}

GH_SHIM_EXPORT int openat64(int directory, const char *path, int flags, ...)
{
    uint64_t called_at = clock_now();

    return opened(called_at, GH_REAL(openat64)(directory, path, flags, MODE_ARGUMENT(flags)), path,
                  flags);
}

GH_SHIM_EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
    uint64_t called_at = clock_now();

    return opened_file(called_at, GH_REAL(fopen)(path, mode), path, mode);
}

GH_SHIM_EXPORT FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    uint64_t called_at = clock_now();

    return opened_file(called_at, GH_REAL(fopen64)(path, mode), path, mode);
}

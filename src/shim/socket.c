#include "shim/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "shim/real.h"

enum {
    REMEMBERED_MAX = 1024,
    AO_INFO = 40,     /* TCP_AO_INFO, newer than Debian 12's headers */
    AO_INFO_LEN = 48, /* sizeof(struct tcp_ao_info_opt) of the first kernel that had it */
};

/* Names of sockets (SO_COOKIE), which the kernel never gives twice; 0: free. */
static struct {
    uint64_t names[REMEMBERED_MAX];
    unsigned added;
} sets[GH_SHIM_SETS];

static int number(int fd, int level, int option, int otherwise)
{
    int value = otherwise, saved = errno;
    socklen_t len = sizeof value;

    if (GH_REAL(getsockopt)(fd, level, option, &value, &len) != 0)
        value = otherwise;
    errno = saved;
    return value;
}

bool gh_shim_is_tcp(int fd)
{
    int domain;

    if (number(fd, SOL_SOCKET, SO_PROTOCOL, -1) != IPPROTO_TCP ||
        number(fd, SOL_SOCKET, SO_TYPE, -1) != SOCK_STREAM)
        return false;
    domain = number(fd, SOL_SOCKET, SO_DOMAIN, -1);
    return domain == AF_INET || domain == AF_INET6;
}

bool gh_shim_is_listening(int fd)
{
    return number(fd, SOL_SOCKET, SO_ACCEPTCONN, 0) == 1;
}

bool gh_shim_has_kernel_keys(int fd)
{
    uint64_t info[AO_INFO_LEN / sizeof(uint64_t)] = {0};
    socklen_t len = sizeof info;
    int saved = errno;
    bool has = GH_REAL(getsockopt)(fd, IPPROTO_TCP, AO_INFO, info, &len) == 0;

    errno = saved;
    return has;
}

int gh_shim_take_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } local;
    socklen_t len = sizeof local;
    int saved = errno, error = 0, late, on = 1, off = 0;

    if (getsockname(fd, &local.any, &len) != 0)
        error = errno;
    else if ((local.any.sa_family == AF_INET6 ? local.in6.sin6_port : local.in.sin_port) == 0) {
        /* A program may have asked for its port only when it connects. */
        late = number(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0);
        if (late != 0)
            GH_REAL(setsockopt)(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &off, sizeof off);
        if (bind(fd, &local.any, len) != 0)
            error = errno == EADDRINUSE ? EADDRNOTAVAIL : errno; /* as connect() says it */
        if (late != 0)
            GH_REAL(setsockopt)(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    }
    errno = saved;
    return error;
}

static uint64_t cookie(int fd)
{
    uint64_t value = 0;
    socklen_t len = sizeof value;
    int saved = errno;

    if (GH_REAL(getsockopt)(fd, SOL_SOCKET, SO_COOKIE, &value, &len) != 0)
        value = 0;
    errno = saved;
    return value;
}

static bool contains(enum gh_shim_set set, uint64_t name)
{
    for (size_t i = 0; i < REMEMBERED_MAX; i++)
        if (__atomic_load_n(&sets[set].names[i], __ATOMIC_RELAXED) == name)
            return true;
    return false;
}

void gh_shim_remember(enum gh_shim_set set, int fd)
{
    uint64_t name = cookie(fd);
    unsigned place;

    if (name == 0 || contains(set, name))
        return;
    place = __atomic_fetch_add(&sets[set].added, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&sets[set].names[place % REMEMBERED_MAX], name, __ATOMIC_RELAXED);
}

bool gh_shim_signs(void)
{
    return __atomic_load_n(&sets[GH_SHIM_KEYED].added, __ATOMIC_RELAXED) != 0;
}

bool gh_shim_remembers(enum gh_shim_set set, int fd)
{
    uint64_t name;

    if (__atomic_load_n(&sets[set].added, __ATOMIC_RELAXED) == 0)
        return false;
    name = cookie(fd);
    return name != 0 && contains(set, name);
}

/*
 * Preloaded behind gaterun's library into a program in a lab-kernel guest: says on standard error
 * what the socket is like when connect() reaches the kernel: its port, and how many TCP-AO keys the
 * kernel has for it.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    GET_KEYS = 41, /* TCP_AO_GET_KEYS, newer than this host's headers */
    SIZE = 304,    /* sizeof(struct tcp_ao_getsockopt) */
    NKEYS_AT = 272,
    FLAGS_AT = 276,
    GET_ALL = 4,
    ROOM = 8
};

static uint32_t keys_of(int fd)
{
    uint8_t keys[SIZE * ROOM] = {0};
    uint32_t count = ROOM;
    socklen_t len = SIZE;

    memcpy(keys + NKEYS_AT, &count, sizeof(count));
    keys[FLAGS_AT] = GET_ALL;
    if (getsockopt(fd, IPPROTO_TCP, GET_KEYS, keys, &len) != 0)
        return 0;
    memcpy(&count, keys + NKEYS_AT, sizeof(count));
    return count;
}

__attribute__((visibility("default"))) int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
    int (*next)(int, __CONST_SOCKADDR_ARG, socklen_t);
    struct sockaddr_in6 local = {0};
    socklen_t size = sizeof(local);

    *(void **)&next = dlsym(RTLD_NEXT, "connect");
    if (addr.__sockaddr__->sa_family != AF_UNIX && /* sin_port is where sin6_port is */
        getsockname(fd, (struct sockaddr *)&local, &size) == 0)
        dprintf(2, "witness: port %u keys %u\n", ntohs(local.sin6_port), keys_of(fd));
    return next(fd, addr, len);
}

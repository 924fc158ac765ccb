#include "daemon/ao_facts.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/addr.h"
#include "daemon/ao_sockets.h"
#include "tcpao/endpoint.h"
#include "wire/rd.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Octets of the sockaddrs of IPv4 and IPv6 that are read. */
enum { SIN_LEN = 8, SIN6_LEN = 24 };

bool gh_facts_endpoint(const uint8_t *sockaddr, size_t len, struct tcpao_endpoint *out)
{
    struct gh_rd r = gh_rd_make(sockaddr, len);
    sa_family_t family = 0; /* in host order */
    const uint8_t *octets;
    struct gh_addr addr;
    uint16_t port;

    *out = (struct tcpao_endpoint){.addr_len = 0};
    gh_rd_copy(&r, &family, sizeof(family));
    port = gh_rd_u16(&r);
    if (family == AF_INET6)
        gh_rd_skip(&r, 4); /* flow label */
    if ((family != AF_INET || len < SIN_LEN) && (family != AF_INET6 || len < SIN6_LEN))
        return false;
    octets = gh_rd_bytes(&r, family == AF_INET ? 4 : 16);
    if (octets == NULL)
        return false;
    addr = family == AF_INET ? gh_addr_from(octets, 4) : gh_addr_from_v6(octets);
    *out =
        gh_addr_is_any(&addr) ? (struct tcpao_endpoint){.port = port} : ao_endpoint_of(&addr, port);
    return true;
}

static bool option(int fd, int level, int name, void *value, socklen_t len)
{
    socklen_t got = len;

    memset(value, 0, len);
    return getsockopt(fd, level, name, value, &got) == 0;
}

static int number(int fd, int level, int name)
{
    int value = 0;

    return option(fd, level, name, &value, sizeof(value)) ? value : 0;
}

uint64_t gh_facts_netns(int fd)
{
    uint64_t cookie = 0;

    option(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, sizeof(cookie));
    return cookie;
}

bool gh_facts_kernel_has_md5(void)
{
    static const uint8_t nothing[1];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    bool unknown =
        fd < 0 || (setsockopt(fd, IPPROTO_TCP, EMU_TCP_MD5SIG, nothing, sizeof(nothing)) != 0 &&
                   errno == ENOPROTOOPT);

    if (fd >= 0)
        close(fd);
    return !unknown; /* too short a value: EINVAL */
}

static struct tcpao_endpoint endpoint(int (*get)(int, struct sockaddr *, socklen_t *), int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
        uint8_t octets[sizeof(struct sockaddr_storage)];
    } name = {.octets = {0}};
    socklen_t len = sizeof(name);
    struct tcpao_endpoint end;

    if (get(fd, &name.any, &len) != 0 || len > sizeof(name) ||
        !gh_facts_endpoint(name.octets, len, &end))
        return (struct tcpao_endpoint){.addr_len = 0};
    return end;
}

static int get_local(int fd, struct sockaddr *name, socklen_t *len)
{
    return getsockname(fd, name, len);
}

static int get_remote(int fd, struct sockaddr *name, socklen_t *len)
{
    return getpeername(fd, name, len);
}

static enum emu_tcp_state state_of(int fd, bool *opening)
{
    uint8_t state = 0; /* the first octet of struct tcp_info */

    *opening = false;
    if (number(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0)
        return EMU_LISTEN;
    if (!option(fd, IPPROTO_TCP, TCP_INFO, &state, sizeof(state)) || state == TCP_CLOSE)
        return EMU_CLOSED;
    *opening = state == TCP_SYN_SENT;
    return EMU_CONNECTED;
}

/* The end of one queue of a socket under repair. */
static uint32_t queue_end(int fd, int queue)
{
    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue));
    return (uint32_t)number(fd, IPPROTO_TCP, TCP_QUEUE_SEQ);
}

static void read_queues(int fd, struct emu_facts *f)
{
    int chosen = number(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE);

    f->snd_una = queue_end(fd, TCP_SEND_QUEUE);
    f->rcv_nxt = queue_end(fd, TCP_RECV_QUEUE);
    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &chosen, sizeof(chosen)); /* as it was */
}

bool gh_facts_read(int fd, struct gh_socket_facts *out)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    struct emu_facts *f = &out->emu;
    int domain = number(fd, SOL_SOCKET, SO_DOMAIN);
    struct stat st;

    *out = (struct gh_socket_facts){.netns_cookie = gh_facts_netns(fd)};
    if ((domain != AF_INET && domain != AF_INET6) ||
        number(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
        number(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP ||
        !option(fd, SOL_SOCKET, SO_COOKIE, &f->cookie, sizeof(f->cookie)) || fstat(fd, &st) != 0)
        return false;
    out->inode = st.st_ino;
    f->ipv6 = domain == AF_INET6;
    f->v6only = f->ipv6 && number(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0;
    f->state = state_of(fd, &f->opening);
    f->repair = number(fd, IPPROTO_TCP, TCP_REPAIR) == TCP_REPAIR_ON;
    f->local = endpoint(get_local, fd);
    f->remote = endpoint(get_remote, fd);
    f->bound_ifindex = (uint32_t)number(fd, SOL_SOCKET, SO_BINDTOIFINDEX);
    if (f->repair && f->state == EMU_CONNECTED)
        read_queues(fd, f);
    option(fd, SOL_SOCKET, SO_MEMINFO, memory, sizeof(memory));
    out->optmem_used = memory[SK_MEMINFO_OPTMEM];
    return true;
}

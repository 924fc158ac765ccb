#include "platform/raw.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netns.h"
#include "platform/sockmark.h"

#ifndef IPV6_HDRINCL
#define IPV6_HDRINCL 36
#endif

enum { BUFFER = 4 * 1048576 };

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool prepare(int fd, bool v6, bool headers)
{
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER);
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER);
    set(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVFRAGSIZE : IP_RECVFRAGSIZE, 1);
    if (!v6)
        return headers ? set(fd, IPPROTO_IP, IP_HDRINCL, 1)
                       : set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
    return (headers ? set(fd, IPPROTO_IPV6, IPV6_HDRINCL, 1)
                    : set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT)) &&
           set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
           set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) && set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
}

static bool put_into(int fd, const char *vrf)
{
    return vrf == NULL ||
           setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, vrf, (socklen_t)strlen(vrf)) == 0;
}

int gh_raw_open(const char *netns, const char *vrf, bool v6, uint8_t protocol, bool headers)
{
    int back, fd, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    result = fd;
    if (fd < 0 || !gh_socket_mark(fd) || !prepare(fd, v6, headers) || !put_into(fd, vrf)) {
        result = -errno;
        if (fd >= 0)
            close(fd);
    }
    gh_netns_leave(back);
    return result;
}

static bool filter(int fd, bool v6)
{
    const struct icmp_filter all_but = {.data = ~(UINT32_C(1) << ICMP_DEST_UNREACH)};
    struct icmp6_filter only;

    ICMP6_FILTER_SETBLOCKALL(&only);
    ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &only);
    return v6 ? setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof(only)) == 0
              : setsockopt(fd, SOL_RAW, ICMP_FILTER, &all_but, sizeof(all_but)) == 0;
}

int gh_raw_open_icmp(const char *netns, const char *vrf, bool v6)
{
    int fd = gh_raw_open(netns, vrf, v6, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, false), result;

    if (fd < 0 || filter(fd, v6))
        return fd;
    result = -errno;
    close(fd);
    return result;
}

#include "platform/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netns.h"
#include "platform/sockmark.h"
#include "platform/spi.h"
#include "platform/xfrm.h"

enum { BUFFER = 4 * 1048576 }; /* a burst of peers that come back at once */

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* IPv4: no DF, and no heed to ICMP's word on the path's MTU, which anybody may forge: IKE's own
 * fragments are made for a configured size, and what is larger the network fragments. In IPv6 only
 * we can fragment, so the path's MTU counts. */
static bool prepare(int fd, bool v6)
{
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER);
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER);
    if (v6)
        return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
               set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
               set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
    return set(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
           set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
}

static bool bind_to(int fd, bool v6, uint16_t port)
{
    const struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    return v6 ? bind(fd, (const struct sockaddr *)&any6, sizeof(any6)) == 0
              : bind(fd, (const struct sockaddr *)&any4, sizeof(any4)) == 0;
}

void gh_udp_share(int fd, bool on)
{
    set(fd, SOL_SOCKET, SO_REUSEPORT, on);
}

static bool put_into(int fd, const char *vrf)
{
    return vrf == NULL ||
           setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, vrf, (socklen_t)strlen(vrf)) == 0;
}

int gh_udp_open(const char *netns, const char *vrf, bool v6, uint16_t port, uid_t owner)
{
    int back, fd, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    result = fd;
    if (fd >= 0)
        (void)!fchown(fd, owner, (gid_t)-1);
    if (fd < 0 || !gh_socket_mark(fd) || !set(fd, SOL_SOCKET, SO_REUSEPORT, 1) ||
        !prepare(fd, v6) || !put_into(fd, vrf) || !bind_to(fd, v6, port)) {
        result = -errno;
        if (fd >= 0)
            close(fd);
    } else {
        gh_udp_share(fd, false);
    }
    gh_netns_leave(back);
    return result;
}

/* Of the sockets that share the port, by the order in which they were bound: 0 for IKE, then one
 * for each slot, `kernels` for that of the kernel's SPIs. A slot that is nobody's is the first one.
 * What is too short for a marker ends the program, which is 0 as well. */
static bool split(int fd, unsigned slots, uint32_t kernels)
{
    struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, GH_SPI_KERNEL, 5, 0),
                                 BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, GH_SPI_SLOT_SHIFT),
                                 BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, slots, 2, 0),
                                 BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
                                 BPF_STMT(BPF_RET | BPF_A, 0),
                                 BPF_STMT(BPF_RET | BPF_K, 1),
                                 BPF_STMT(BPF_RET | BPF_K, kernels)};
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) == 0;
}

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* In IPv6, too, the path's MTU is ours to learn: from errors that quote a packet of an SA, which is
 * more than the kernel asks for. */
static bool prepare_esp(int fd, bool v6)
{
    set(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVFRAGSIZE : IP_RECVFRAGSIZE, 1);
    set(fd, IPPROTO_UDP, UDP_GRO, 1); /* since Linux 5.0; without it, they come one by one */
    return v6 ? set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT) &&
                    set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) &&
                    set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
              : set(fd, IPPROTO_IP, IP_RECVTOS, 1) && set(fd, IPPROTO_IP, IP_RECVTTL, 1);
}

int gh_udp_open_esp(int ike, unsigned slot, const char *netns, const char *vrf, bool v6,
                    uint16_t port, uid_t owner)
{
    int fd, result;

    gh_udp_share(ike, true);
    fd = gh_udp_open(netns, vrf, v6, port, owner);
    if (fd < 0) {
        gh_udp_share(ike, slot > 0);
        return fd;
    }
    gh_udp_share(fd, true);
    if (split(fd, slot + 1, 1) && prepare_esp(fd, v6))
        return fd;
    result = -errno;
    close(fd);
    gh_udp_share(ike, slot > 0);
    return result;
}

int gh_udp_open_kernel(unsigned slots, const char *netns, const char *vrf, bool v6, uint16_t port,
                       uid_t owner)
{
    int fd = gh_udp_open(netns, vrf, v6, port, owner), result;

    if (fd < 0)
        return fd;
    gh_udp_share(fd, true);
    if (gh_xfrm_bypass_socket(fd) && gh_xfrm_encapsulate_socket(fd) && split(fd, slots, slots + 1))
        return fd;
    result = -errno;
    close(fd);
    return result;
}

#include "platform/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "platform/netlink.h"
#include "platform/netns.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static bool make(int fd, const char *name, struct ifreq *request)
{
    *request = (struct ifreq){.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    (void)snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", name);
    return ioctl(fd, TUNSETIFF, request) == 0;
}

/* What the kernel need not finish before we read it. Datagrams: since Linux 6.2. */
static bool offload(int fd, bool *datagrams)
{
    const unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

    *datagrams = ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0;
    return *datagrams || ioctl(fd, TUNSETOFFLOAD, tcp) == 0;
}

/* MTU, VRF and up, in one message. 0 or a negative errno. */
static int set_up(uint32_t ifindex, uint32_t mtu, uint32_t vrf)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    const struct ifinfomsg info = {
        .ifi_index = (int)ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    size_t start = gh_nl_begin(&w, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1);
    int fd = gh_nl_open(NETLINK_ROUTE, 0), result;

    if (fd < 0)
        return -errno;
    gh_wr_bytes(&w, &info, sizeof(info));
    gh_nl_put_attr(&w, IFLA_MTU, &mtu, sizeof(mtu));
    if (vrf != 0)
        gh_nl_put_attr(&w, IFLA_MASTER, &vrf, sizeof(vrf));
    gh_nl_end(&w, start);
    result = gh_nl_request(fd, &w);
    close(fd);
    return result;
}

static int open_here(const char *vrf, const char *name, uint32_t mtu, uint32_t *ifindex,
                     bool *datagrams)
{
    unsigned master = vrf != NULL ? if_nametoindex(vrf) : 0;
    int fd, result = 0;
    struct ifreq request;

    if (vrf != NULL && master == 0)
        return -ENODEV;
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !make(fd, name, &request) || (*ifindex = if_nametoindex(request.ifr_name)) == 0)
        result = -errno;
    else
        result = offload(fd, datagrams) ? set_up(*ifindex, mtu, master) : -errno;
    if (result == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return result;
}

int gh_tun_set_mtu(const char *netns, uint32_t ifindex, uint32_t mtu)
{
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    result = set_up(ifindex, mtu, 0);
    gh_netns_leave(back);
    return result;
}

int gh_tun_open(const char *netns, const char *vrf, const char *name, uint32_t mtu,
                uint32_t *ifindex, bool *datagrams)
{
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    result = open_here(vrf, name, mtu, ifindex, datagrams);
    gh_netns_leave(back);
    return result;
}

bool gh_tun_name(const char *netns, uint32_t ifindex, char name[GH_TUN_NAME])
{
    int back;
    bool found;

    _Static_assert((int)GH_TUN_NAME >= IF_NAMESIZE, "");
    if (gh_netns_enter(netns, &back) != 0)
        return false;
    found = if_indextoname(ifindex, name) != NULL;
    gh_netns_leave(back);
    return found;
}

static int change_address(uint32_t ifindex, const struct gh_prefix *a, bool set)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    const struct ifaddrmsg info = {.ifa_family = a->addr.len == 4 ? AF_INET : AF_INET6,
                                   .ifa_prefixlen = a->bits,
                                   .ifa_flags = a->addr.len == 16 ? IFA_F_NODAD : 0,
                                   .ifa_index = ifindex};
    size_t start = gh_nl_begin(
        &w, set ? RTM_NEWADDR : RTM_DELADDR,
        (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | (set ? NLM_F_CREATE | NLM_F_REPLACE : 0)), 1);
    int fd = gh_nl_open(NETLINK_ROUTE, 0), result;

    if (fd < 0)
        return -errno;
    gh_wr_bytes(&w, &info, sizeof(info));
    gh_nl_put_attr(&w, IFA_LOCAL, a->addr.octets, a->addr.len);
    gh_nl_put_attr(&w, IFA_ADDRESS, a->addr.octets, a->addr.len);
    gh_nl_end(&w, start);
    result = gh_nl_request(fd, &w);
    close(fd);
    return result;
}

int gh_tun_address(const char *netns, uint32_t ifindex, const struct gh_prefix *address, bool set)
{
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    result = change_address(ifindex, address, set);
    gh_netns_leave(back);
    return result;
}

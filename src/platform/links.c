#include "platform/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netlink.h"
#include "platform/netns.h"

int gh_links_open(const char *netns)
{
    int fd, back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    fd = gh_nl_open(NETLINK_ROUTE, RTMGRP_LINK);
    result = fd < 0 ? -errno : fd;
    gh_netns_leave(back);
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        result = -errno;
        close(fd);
    }
    return result;
}

int gh_links_ask(int fd)
{
    uint8_t mem[64];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 0);

    gh_wr_zero(&w, sizeof(struct ifinfomsg));
    gh_nl_end(&w, start);
    return send(fd, w.base, w.len, 0) < 0 ? -errno : 0;
}

static bool is_vrf(struct gh_rd info)
{
    static const char vrf[] = "vrf";
    struct gh_nl_attr a;

    while (gh_nl_next_attr(&info, &a))
        if (a.type == IFLA_INFO_KIND)
            return gh_rd_left(&a.body) == sizeof(vrf) && memcmp(a.body.p, vrf, sizeof(vrf)) == 0;
    return false;
}

static void parse_link(const struct gh_nl_message *m, gh_link_fn fn, void *ctx)
{
    struct gh_link link = {.mtu = 0};
    struct gh_rd r = m->body;
    struct gh_nl_attr a;

    gh_rd_skip(&r, 4); /* struct ifinfomsg: family, padding, type */
    link.ifindex = gh_nl_u32(&r);
    link.up = (gh_nl_u32(&r) & IFF_UP) != 0;
    gh_rd_skip(&r, 4);
    while (gh_nl_next_attr(&r, &a)) {
        if (a.type == IFLA_MTU)
            link.mtu = gh_nl_u32(&a.body);
        else if (a.type == IFLA_MASTER)
            link.master = gh_nl_u32(&a.body);
        else if (a.type == IFLA_IFNAME && gh_rd_left(&a.body) <= sizeof(link.name))
            gh_rd_copy(&a.body, link.name, gh_rd_left(&a.body));
        else if (a.type == IFLA_LINKINFO)
            link.is_vrf = is_vrf(a.body);
    }
    if (m->type == RTM_DELLINK)
        link.mtu = 0;
    if (!r.bad && link.ifindex != 0)
        fn(ctx, &link);
}

void gh_links_parse(const uint8_t *data, size_t len, gh_link_fn fn, void *ctx)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;

    while (gh_nl_next(&r, &m))
        if (m.type == RTM_NEWLINK || m.type == RTM_DELLINK)
            parse_link(&m, fn, ctx);
}

bool gh_links_read(int fd, gh_link_fn fn, void *ctx)
{
    static uint8_t data[65536];
    ssize_t n;

    while ((n = recv(fd, data, sizeof(data), 0)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            gh_links_parse(data, (size_t)n, fn, ctx);
    return !(n < 0 && errno == ENOBUFS);
}

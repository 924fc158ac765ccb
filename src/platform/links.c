#include "platform/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
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

static void parse_link(const struct gh_nl_message *m, gh_link_fn fn, void *ctx)
{
    struct gh_rd r = m->body;
    struct gh_nl_attr a;
    uint32_t ifindex, mtu = 0;

    gh_rd_skip(&r, 4); /* struct ifinfomsg: family, padding, type */
    ifindex = gh_nl_u32(&r);
    gh_rd_skip(&r, 8);
    while (gh_nl_next_attr(&r, &a))
        if (a.type == IFLA_MTU)
            mtu = gh_nl_u32(&a.body);
    if (!r.bad && ifindex != 0)
        fn(ctx, ifindex, m->type == RTM_DELLINK ? 0 : mtu);
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

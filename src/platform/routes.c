#include "platform/routes.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netlink.h"
#include "platform/netns.h"

enum { LEAST = 0xfffffffe }; /* metric: all others go first */

int gh_routes_open(const char *netns)
{
    int back, fd, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    fd = gh_nl_open(NETLINK_ROUTE, 0);
    result = fd < 0 ? -errno : fd;
    gh_netns_leave(back);
    return result;
}

static int change(int fd, uint16_t type, uint16_t flags, const struct gh_route *r)
{
    const bool nowhere = r->ifindex == 0, v4 = r->to.addr.len == 4;
    const uint32_t metric = nowhere ? LEAST : r->metric;
    uint8_t mem[256];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    const struct rtmsg route = {.rtm_family = v4 ? AF_INET : AF_INET6,
                                .rtm_dst_len = r->to.bits,
                                .rtm_table = r->table == 0 ? RT_TABLE_MAIN : RT_TABLE_UNSPEC,
                                .rtm_protocol = GH_ROUTE_PROTOCOL,
                                .rtm_scope = v4 && !nowhere ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
                                .rtm_type = nowhere ? RTN_UNREACHABLE : RTN_UNICAST};
    size_t start = gh_nl_begin(&w, type, flags | NLM_F_REQUEST | NLM_F_ACK, 1);

    gh_wr_bytes(&w, &route, sizeof(route));
    if (r->to.bits > 0)
        gh_nl_put_attr(&w, RTA_DST, r->to.addr.octets, r->to.addr.len);
    if (r->table != 0)
        gh_nl_put_attr(&w, RTA_TABLE, &r->table, sizeof(r->table));
    if (!nowhere)
        gh_nl_put_attr(&w, RTA_OIF, &r->ifindex, sizeof(r->ifindex));
    if (!nowhere && r->source.len != 0)
        gh_nl_put_attr(&w, RTA_PREFSRC, r->source.octets, r->source.len);
    if (metric != 0)
        gh_nl_put_attr(&w, RTA_PRIORITY, &metric, sizeof(metric));
    gh_nl_end(&w, start);
    return gh_nl_request(fd, &w);
}

int gh_route_add(int fd, const struct gh_route *r)
{
    const uint16_t flags = NLM_F_CREATE | NLM_F_EXCL;
    struct gh_route plain = *r;
    int result = change(fd, RTM_NEWROUTE, flags, r);

    plain.source.len = 0;
    if (result == -EINVAL && r->source.len != 0) /* not an address of this host (by now) */
        result = change(fd, RTM_NEWROUTE, flags, &plain);
    /* Of an earlier instance: the one to nowhere is the same. */
    return result == -EEXIST && r->ifindex == 0 ? 0 : result;
}

int gh_route_remove(int fd, const struct gh_route *r)
{
    struct gh_route plain = *r;

    plain.metric = 0; /* any, of ours */
    plain.source.len = 0;
    return change(fd, RTM_DELROUTE, 0, &plain);
}

/* ---- Asking --------------------------------------------------------------------------------- */

bool gh_routes_parse(const struct gh_nl_message *m, uint32_t *table, struct gh_prefix *to)
{
    struct gh_rd r = m->body;
    struct gh_nl_attr a;
    struct rtmsg route;
    size_t len;

    gh_rd_copy(&r, &route, sizeof(route));
    len = route.rtm_family == AF_INET ? 4 : 16;
    if (m->type != RTM_NEWROUTE || r.bad || route.rtm_protocol != GH_ROUTE_PROTOCOL ||
        route.rtm_type != RTN_UNREACHABLE || route.rtm_dst_len > 8 * len ||
        (route.rtm_family != AF_INET && route.rtm_family != AF_INET6))
        return false;
    *table = route.rtm_table;
    *to = (struct gh_prefix){.addr = {.len = (uint8_t)len}, .bits = route.rtm_dst_len};
    while (gh_nl_next_attr(&r, &a)) {
        if (a.type == RTA_DST)
            gh_rd_copy(&a.body, to->addr.octets, len);
        else if (a.type == RTA_TABLE)
            *table = gh_nl_u32(&a.body);
        if (a.body.bad)
            return false;
    }
    return !r.bad;
}

struct found {
    struct {
        uint32_t table;
        struct gh_prefix to;
    } * list;
    size_t count;
    bool no_memory;
};

static bool keep(void *ctx, const struct gh_nl_message *m)
{
    struct found *f = ctx;
    struct gh_prefix to;
    uint32_t table;
    void *more;

    if (!gh_routes_parse(m, &table, &to))
        return true;
    more = realloc(f->list, (f->count + 1) * sizeof(*f->list));
    f->no_memory = more == NULL;
    if (f->no_memory)
        return false;
    f->list = more;
    f->list[f->count].table = table;
    f->list[f->count++].to = to;
    return true;
}

int gh_routes_each(int fd, void (*fn)(void *ctx, uint32_t table, const struct gh_prefix *to),
                   void *ctx)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    struct found f = {.list = NULL};
    int result = 0;

    for (size_t i = 0; result == 0 && i < sizeof(families); i++) {
        const struct rtmsg route = {.rtm_family = families[i]};
        uint8_t mem[64];
        struct gh_wr w = gh_wr_make(mem, sizeof(mem));
        size_t start = gh_nl_begin(&w, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, 1);

        gh_wr_bytes(&w, &route, sizeof(route));
        gh_nl_end(&w, start);
        result = gh_nl_ask(fd, &w, keep, &f);
    }
    for (size_t i = 0; result == 0 && !f.no_memory && i < f.count; i++)
        fn(ctx, f.list[i].table == RT_TABLE_MAIN ? 0 : f.list[i].table, &f.list[i].to);
    free(f.list);
    return f.no_memory ? -ENOMEM : result;
}

static uint32_t table_in(struct gh_rd r, uint16_t within)
{
    struct gh_nl_attr a;

    while (gh_nl_next_attr(&r, &a)) {
        if (a.type == within && within == IFLA_LINKINFO)
            return table_in(a.body, IFLA_INFO_DATA);
        if (a.type == within && within == IFLA_INFO_DATA)
            return table_in(a.body, IFLA_VRF_TABLE);
        if (a.type == within)
            return gh_nl_u32(&a.body);
    }
    return 0;
}

static bool read_table(void *ctx, const struct gh_nl_message *m)
{
    struct gh_rd r = m->body;

    gh_rd_skip(&r, sizeof(struct ifinfomsg));
    *(uint32_t *)ctx = table_in(r, IFLA_LINKINFO);
    return false;
}

int gh_routes_vrf_table(int fd, const char *vrf, uint32_t *table)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, RTM_GETLINK, NLM_F_REQUEST, 1);
    int result;

    *table = 0;
    gh_wr_bytes(&w, &info, sizeof(info));
    gh_nl_put_attr(&w, IFLA_IFNAME, vrf, strlen(vrf) + 1);
    gh_nl_end(&w, start);
    if (!gh_wr_ok(&w))
        return -ENODEV;
    result = gh_nl_ask(fd, &w, read_table, table);
    return result == 0 && *table == 0 ? -ENODEV : result;
}

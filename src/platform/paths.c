#include "platform/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/links.h"
#include "platform/netlink.h"
#include "platform/netns.h"
#include "platform/sockmark.h"

enum {
    LINKS = 4096, /* interfaces that are looked at */
    NESTED = 4    /* a port of a bridge in a VRF … */
};

#define GROUP(g) (1u << ((g)-1))

/* ---- Where from ----------------------------------------------------------------------------- */

int gh_paths_parse_source(const uint8_t *data, size_t len, struct gh_addr *out)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;
    struct gh_nl_attr a;

    if (!gh_nl_next(&r, &m) || m.type != RTM_NEWROUTE)
        return 1;
    gh_rd_skip(&m.body, sizeof(struct rtmsg));
    while (gh_nl_next_attr(&m.body, &a)) {
        size_t octets = gh_rd_left(&a.body);

        if (a.type != RTA_PREFSRC || (octets != 4 && octets != 16))
            continue;
        *out = gh_addr_from(gh_rd_bytes(&a.body, octets), (uint8_t)octets);
        return 0;
    }
    return -EADDRNOTAVAIL;
}

struct sought {
    int result;
    struct gh_addr *out;
};

static bool on_route(void *ctx, const struct gh_nl_message *m)
{
    struct sought *s = ctx;
    const uint8_t *start = m->body.p - GH_NL_HEADER;

    s->result = gh_paths_parse_source(start, GH_NL_HEADER + gh_rd_left(&m->body), s->out);
    return s->result > 0;
}

int gh_paths_source(const struct gh_paths *p, const struct gh_addr *remote, struct gh_addr *out)
{
    struct rtmsg head = {.rtm_family = remote->len == 16 ? AF_INET6 : AF_INET,
                         .rtm_dst_len = (uint8_t)(remote->len * 8)};
    struct sought s = {.result = -EADDRNOTAVAIL, .out = out};
    const uint32_t mark = GH_SOCKET_MARK;
    uint8_t mem[96];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, RTM_GETROUTE, NLM_F_REQUEST, 0);
    int result;

    gh_wr_bytes(&w, &head, sizeof(head));
    gh_nl_put_attr(&w, RTA_DST, remote->octets, remote->len);
    gh_nl_put_attr(&w, RTA_MARK, &mark, sizeof(mark));
    if (p->vrf != 0)
        gh_nl_put_attr(&w, RTA_OIF, &p->vrf, sizeof(p->vrf));
    gh_nl_end(&w, start);
    result = gh_nl_ask(p->ask, &w, on_route, &s);
    return result != 0 ? result : s.result > 0 ? -EADDRNOTAVAIL : s.result;
}

/* ---- Addresses ------------------------------------------------------------------------------ */

struct links {
    struct gh_link list[LINKS];
    size_t count;
    const char *name; /* looked for; NULL: all */
};
static struct links links;

static void add_link(void *ctx, const struct gh_link *link)
{
    struct links *l = ctx;

    if (l->count < LINKS && (l->name == NULL || strcmp(l->name, link->name) == 0))
        l->list[l->count++] = *link;
}

static bool on_link(void *ctx, const struct gh_nl_message *m)
{
    gh_links_parse(m->body.p - GH_NL_HEADER, GH_NL_HEADER + gh_rd_left(&m->body), add_link, ctx);
    return true;
}

static int dump(int fd, uint16_t type, size_t head,
                bool (*fn)(void *ctx, const struct gh_nl_message *m), void *ctx)
{
    uint8_t mem[64];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, type, NLM_F_REQUEST | NLM_F_DUMP, 0);

    gh_wr_zero(&w, head);
    gh_nl_end(&w, start);
    return gh_nl_ask(fd, &w, fn, ctx);
}

static int read_links(int fd, const char *name)
{
    links.count = 0;
    links.name = name;
    return dump(fd, RTM_GETLINK, sizeof(struct ifinfomsg), on_link, &links);
}

static const struct gh_link *link_of(uint32_t ifindex)
{
    for (size_t i = 0; i < links.count; i++)
        if (links.list[i].ifindex == ifindex)
            return &links.list[i];
    return NULL;
}

static bool is_in(const struct gh_paths *p, uint32_t ifindex)
{
    const struct gh_link *link = link_of(ifindex);

    if (link == NULL || !link->up)
        return false;
    for (unsigned i = 0; link != NULL && !link->is_vrf && i < NESTED; i++)
        link = link->master != 0 ? link_of(link->master) : NULL;
    return (link != NULL && link->is_vrf ? link->ifindex : 0) == p->vrf;
}

static bool add_vrf_link(struct gh_paths_vrfs *v, const struct gh_link *link)
{
    const struct gh_link *master = link->master != 0 ? link_of(link->master) : NULL;
    char(*more)[GH_PATHS_NAME];

    if (link->is_vrf && v->count < GH_PATHS_VRFS)
        v->devices[v->count++] = link->ifindex;
    if (master == NULL || !master->is_vrf)
        return true;
    more = realloc(v->members, (v->member_count + 1) * sizeof(*more));
    if (more == NULL)
        return false;
    v->members = more;
    memset(more[v->member_count], 0, sizeof(*more));
    memcpy(more[v->member_count++], link->name, strnlen(link->name, GH_PATHS_NAME - 1));
    return true;
}

int gh_paths_read_vrfs(const struct gh_paths *p, struct gh_paths_vrfs *out)
{
    int result = read_links(p->ask, NULL);

    out->count = out->member_count = 0;
    out->members = NULL;
    for (size_t i = 0; result == 0 && i < links.count; i++)
        if (!add_vrf_link(out, &links.list[i]))
            result = -ENOMEM;
    if (result != 0)
        gh_paths_free_vrfs(out);
    return result;
}

bool gh_paths_same_vrfs(const struct gh_paths_vrfs *a, const struct gh_paths_vrfs *b)
{
    return a->count == b->count && a->member_count == b->member_count &&
           memcmp(a->devices, b->devices, a->count * sizeof(a->devices[0])) == 0 &&
           (a->member_count == 0 ||
            memcmp(a->members, b->members, a->member_count * sizeof(a->members[0])) == 0);
}

void gh_paths_free_vrfs(struct gh_paths_vrfs *v)
{
    free(v->members);
    v->members = NULL;
    v->count = v->member_count = 0;
}

bool gh_paths_parse_address(const struct gh_nl_message *m, struct gh_paths_address *out,
                            uint32_t *ifindex)
{
    struct gh_rd r = m->body;
    uint8_t family = gh_rd_u8(&r), scope;
    struct gh_addr local = {.len = 0};
    struct gh_nl_attr a;
    uint32_t flags;

    gh_rd_skip(&r, 1); /* prefix length */
    flags = gh_rd_u8(&r);
    scope = gh_rd_u8(&r);
    *ifindex = gh_nl_u32(&r);
    *out = (struct gh_paths_address){.fit = false};
    while (m->type == RTM_NEWADDR && gh_nl_next_attr(&r, &a)) {
        size_t len = gh_rd_left(&a.body);

        if (a.type == IFA_FLAGS)
            flags = gh_nl_u32(&a.body);
        else if (a.type == IFA_LOCAL && (len == 4 || len == 16))
            local = gh_addr_from(gh_rd_bytes(&a.body, len), (uint8_t)len);
        else if (a.type == IFA_ADDRESS && (len == 4 || len == 16))
            out->addr = gh_addr_from(gh_rd_bytes(&a.body, len), (uint8_t)len);
    }
    if (local.len != 0) /* of a link with two ends the other one is the peer's */
        out->addr = local;
    out->fit = scope == RT_SCOPE_UNIVERSE && (flags & IFA_F_DEPRECATED) == 0 &&
               (family != AF_INET6 || (flags & IFA_F_TEMPORARY) == 0);
    return out->addr.len != 0 && (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0;
}

struct addresses {
    const struct gh_paths *paths;
    struct gh_paths_address *list;
    size_t count;
    bool too_many;
};

static bool on_address(void *ctx, const struct gh_nl_message *m)
{
    struct addresses *x = ctx;
    struct gh_paths_address a;
    uint32_t ifindex;

    if (!gh_paths_parse_address(m, &a, &ifindex) || !is_in(x->paths, ifindex))
        return true;
    if (x->count == GH_PATHS_ADDRESSES)
        x->too_many = true;
    else
        x->list[x->count++] = a;
    return true;
}

int gh_paths_addresses(const struct gh_paths *p, struct gh_paths_address list[GH_PATHS_ADDRESSES],
                       size_t *count)
{
    struct addresses x = {.paths = p, .list = list};
    int result = read_links(p->ask, NULL);

    if (result == 0)
        result = dump(p->ask, RTM_GETADDR, sizeof(struct ifaddrmsg), on_address, &x);
    if (result == 0 && x.too_many)
        result = -E2BIG;
    *count = result == 0 ? x.count : 0;
    return result;
}

/* ---- Life ----------------------------------------------------------------------------------- */

bool gh_paths_heard(const struct gh_paths *p)
{
    bool any = false;
    uint8_t octet;
    ssize_t n;

    /* What it says is not looked at: it is asked again. */
    while ((n = recv(p->heard, &octet, sizeof(octet), MSG_DONTWAIT)) >= 0 || errno == ENOBUFS ||
           errno == EINTR)
        any = true;
    return any;
}

void gh_paths_close(struct gh_paths *p)
{
    if (p->ask >= 0)
        close(p->ask);
    if (p->heard >= 0)
        close(p->heard);
    *p = (struct gh_paths){.ask = -1, .heard = -1};
}

static int find_vrf(struct gh_paths *p, const char *vrf)
{
    int result = read_links(p->ask, vrf);

    if (result == 0 && (links.count != 1 || !links.list[0].is_vrf))
        result = -ENODEV;
    if (result == 0)
        p->vrf = links.list[0].ifindex;
    return result;
}

bool gh_paths_is_there(const struct gh_paths *p, const char *vrf)
{
    struct gh_paths now = *p;

    return vrf == NULL || (find_vrf(&now, vrf) == 0 && now.vrf == p->vrf);
}

int gh_paths_open(const char *netns, const char *vrf, struct gh_paths *out)
{
    static const uint32_t groups = GROUP(RTNLGRP_LINK) | GROUP(RTNLGRP_IPV4_IFADDR) |
                                   GROUP(RTNLGRP_IPV4_ROUTE) | GROUP(RTNLGRP_IPV4_RULE) |
                                   GROUP(RTNLGRP_IPV6_IFADDR) | GROUP(RTNLGRP_IPV6_ROUTE) |
                                   GROUP(RTNLGRP_IPV6_RULE);
    struct gh_paths p = {.ask = -1, .heard = -1};
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    p.ask = gh_nl_open(NETLINK_ROUTE, 0);
    if (p.ask >= 0)
        p.heard = gh_nl_open(NETLINK_ROUTE, groups);
    if (p.ask < 0 || p.heard < 0 || fcntl(p.heard, F_SETFL, O_NONBLOCK) != 0)
        result = -errno;
    gh_netns_leave(back);
    if (result == 0 && vrf != NULL)
        result = find_vrf(&p, vrf);
    if (result != 0)
        gh_paths_close(&p);
    else
        *out = p;
    return result;
}

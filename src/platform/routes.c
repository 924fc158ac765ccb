#include "platform/routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netlink.h"
#include "platform/netns.h"

enum { LEAST = 0xfffffffe /* metric: all others go first */ };

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

static int change(int fd, uint16_t type, uint16_t flags, uint32_t table, const struct gh_prefix *to,
                  uint32_t ifindex)
{
    const uint32_t metric = LEAST;
    uint8_t mem[256];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    const struct rtmsg route = {.rtm_family = to->addr.len == 4 ? AF_INET : AF_INET6,
                                .rtm_dst_len = to->bits,
                                .rtm_table = table == 0 ? RT_TABLE_MAIN : RT_TABLE_UNSPEC,
                                .rtm_protocol = GH_ROUTE_PROTOCOL,
                                .rtm_scope = ifindex != 0 && to->addr.len == 4 ? RT_SCOPE_LINK
                                                                               : RT_SCOPE_UNIVERSE,
                                .rtm_type = ifindex != 0 ? RTN_UNICAST : RTN_UNREACHABLE};
    size_t start = gh_nl_begin(&w, type, flags | NLM_F_REQUEST | NLM_F_ACK, 1);

    gh_wr_bytes(&w, &route, sizeof(route));
    if (to->bits > 0)
        gh_nl_put_attr(&w, RTA_DST, to->addr.octets, to->addr.len);
    if (table != 0)
        gh_nl_put_attr(&w, RTA_TABLE, &table, sizeof(table));
    if (ifindex != 0)
        gh_nl_put_attr(&w, RTA_OIF, &ifindex, sizeof(ifindex));
    else
        gh_nl_put_attr(&w, RTA_PRIORITY, &metric, sizeof(metric));
    gh_nl_end(&w, start);
    return gh_nl_request(fd, &w);
}

int gh_route_add(int fd, uint32_t table, const struct gh_prefix *to, uint32_t ifindex)
{
    int result = change(fd, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, table, to, ifindex);

    /* Of an earlier instance: the one to nowhere is the same. */
    return result == -EEXIST && ifindex == 0 ? 0 : result;
}

int gh_route_remove(int fd, uint32_t table, const struct gh_prefix *to, uint32_t ifindex)
{
    return change(fd, RTM_DELROUTE, 0, table, to, ifindex);
}

/* ---- Ranges --------------------------------------------------------------------------------- */

static unsigned bit(const struct gh_addr *a, unsigned i)
{
    return a->octets[i / 8] >> (7 - i % 8) & 1;
}

/* The last address of a prefix. */
static struct gh_addr last_of(const struct gh_addr *first, unsigned bits)
{
    struct gh_addr last = *first;

    for (unsigned i = bits; i < 8u * last.len; i++)
        last.octets[i / 8] |= (uint8_t)(1 << (7 - i % 8));
    return last;
}

/* The next address. False: there is none. */
static bool step(struct gh_addr *a)
{
    for (size_t i = a->len; i-- > 0;)
        if (++a->octets[i] != 0)
            return true;
    return false;
}

size_t gh_route_prefixes(const struct gh_addr *start, const struct gh_addr *end,
                         struct gh_prefix out[GH_ROUTE_PREFIXES])
{
    struct gh_addr at = *start, last;
    size_t count = 0;

    do {
        unsigned bits = 8u * at.len;

        if (memcmp(at.octets, end->octets, at.len) > 0)
            break;
        /* As large as its alignment and the end allow. */
        while (bits > 0 && bit(&at, bits - 1) == 0) {
            last = last_of(&at, bits - 1);
            if (memcmp(last.octets, end->octets, at.len) > 0)
                break;
            bits--;
        }
        out[count++] = (struct gh_prefix){.addr = at, .bits = (uint8_t)bits};
        at = last_of(&at, bits);
    } while (count < GH_ROUTE_PREFIXES && step(&at));
    return count;
}

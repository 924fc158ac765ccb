#include "platform/tunnel_device.h"

#include <net/if.h> /* before the kernel's of the same */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/ip6_tunnel.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netns.h"

enum { MESSAGE = 1024, DSCP_SHIFT = 2, TCLASS_SHIFT = 20, COPY_TOS = 1 };
/* Until it is where it belongs; the parent makes one at a time. */
#define UNFINISHED "gh-tunnel-new"

/* ---- Kinds ---------------------------------------------------------------------------------- */

enum kind { GRE, GRE6, IP_IP, IP_IP6 };
/* sit, for it takes both IPv4 and IPv6 over IPv4, which ipip does not. */
static const char *const kinds[GH_TUNNEL_DEVICE_KINDS] = {
    [GRE] = "gre", [GRE6] = "ip6gre", [IP_IP] = "sit", [IP_IP6] = "ip6tnl"};

static enum kind kind_of(const struct tunnel_params *p)
{
    if (p->kind == TUNNEL_GRE)
        return p->local.len == 4 ? GRE : GRE6;
    return p->local.len == 4 ? IP_IP : IP_IP6;
}

const char *gh_tunnel_device_kind(const struct tunnel_params *p)
{
    return kinds[kind_of(p)];
}

bool gh_tunnel_device_has(const struct gh_tunnel_kinds *k, const struct tunnel_params *p)
{
    return k->has[kind_of(p)];
}

/* ---- Messages ------------------------------------------------------------------------------- */

static void put_u8(struct gh_wr *w, uint16_t type, uint8_t v)
{
    gh_nl_put_attr(w, type, &v, sizeof(v));
}

static void put_u16(struct gh_wr *w, uint16_t type, uint16_t v)
{
    gh_nl_put_attr(w, type, &v, sizeof(v));
}

static void put_u32(struct gh_wr *w, uint16_t type, uint32_t v)
{
    gh_nl_put_attr(w, type, &v, sizeof(v));
}

static void put_text(struct gh_wr *w, uint16_t type, const char *text)
{
    gh_nl_put_attr(w, type, text, strlen(text) + 1);
}

/* An attribute that has attributes in it: its length is known at its end. */
static size_t nest(struct gh_wr *w, uint16_t type)
{
    size_t begin = w->len;

    gh_nl_put_attr_header(w, type, 0);
    return begin;
}

static void end_nest(struct gh_wr *w, size_t begin)
{
    uint16_t len = (uint16_t)(w->len - begin);

    if (!w->bad)
        memcpy(w->base + begin, &len, sizeof(len));
}

static uint8_t ttl_of(const struct tunnel_params *p)
{
    return p->ttl != 0 ? p->ttl : TUNNEL_TTL;
}

static uint8_t tos_of(const struct tunnel_params *p)
{
    return p->set_dscp ? (uint8_t)(p->dscp << DSCP_SHIFT) : COPY_TOS;
}

static uint32_t flags6(const struct tunnel_params *p)
{
    return (p->has_encapsulation_limit ? 0 : IP6_TNL_F_IGN_ENCAP_LIMIT) |
           (p->set_dscp ? 0 : IP6_TNL_F_USE_ORIG_TCLASS);
}

static uint32_t flowinfo(const struct tunnel_params *p)
{
    return p->set_dscp ? htonl((uint32_t)p->dscp << DSCP_SHIFT << TCLASS_SHIFT) : 0;
}

/* What comes in has exactly the fields that are expected: the kernel knows no "if it is there". */
static uint16_t gre_flags(const struct tunnel_params *p, bool out)
{
    bool key = out ? p->has_send_key : p->has_receive_key,
         sequence = out ? p->send_sequence : p->check_sequence;

    return (p->send_checksum ? GRE_CSUM : 0) | (key ? GRE_KEY : 0) | (sequence ? GRE_SEQ : 0);
}

static void put_gre(struct gh_wr *w, const struct tunnel_params *p, uint32_t link)
{
    put_u32(w, IFLA_GRE_LINK, link);
    put_u16(w, IFLA_GRE_IFLAGS, gre_flags(p, false));
    put_u16(w, IFLA_GRE_OFLAGS, gre_flags(p, true));
    put_u32(w, IFLA_GRE_IKEY, htonl(p->receive_key));
    put_u32(w, IFLA_GRE_OKEY, htonl(p->send_key));
    gh_nl_put_attr(w, IFLA_GRE_LOCAL, p->local.octets, p->local.len);
    gh_nl_put_attr(w, IFLA_GRE_REMOTE, p->remote.octets, p->remote.len);
    put_u8(w, IFLA_GRE_TTL, ttl_of(p));
    if (p->local.len == 16) {
        put_u8(w, IFLA_GRE_ENCAP_LIMIT, p->encapsulation_limit);
        put_u32(w, IFLA_GRE_FLOWINFO, flowinfo(p));
        put_u32(w, IFLA_GRE_FLAGS, flags6(p));
        return;
    }
    put_u8(w, IFLA_GRE_TOS, tos_of(p));
    put_u8(w, IFLA_GRE_PMTUDISC, p->df == TUNNEL_DF_SET);
    put_u8(w, IFLA_GRE_IGNORE_DF, p->df == TUNNEL_DF_CLEAR);
}

static void put_ip_ip(struct gh_wr *w, const struct tunnel_params *p, uint32_t link)
{
    put_u32(w, IFLA_IPTUN_LINK, link);
    gh_nl_put_attr(w, IFLA_IPTUN_LOCAL, p->local.octets, p->local.len);
    gh_nl_put_attr(w, IFLA_IPTUN_REMOTE, p->remote.octets, p->remote.len);
    put_u8(w, IFLA_IPTUN_TTL, ttl_of(p));
    put_u8(w, IFLA_IPTUN_PROTO, 0); /* both versions */
    if (p->local.len == 16) {
        put_u8(w, IFLA_IPTUN_ENCAP_LIMIT, p->encapsulation_limit);
        put_u32(w, IFLA_IPTUN_FLOWINFO, flowinfo(p));
        put_u32(w, IFLA_IPTUN_FLAGS, flags6(p));
        return;
    }
    put_u8(w, IFLA_IPTUN_TOS, tos_of(p));
    put_u8(w, IFLA_IPTUN_PMTUDISC, p->df == TUNNEL_DF_SET);
}

void gh_tunnel_device_put(struct gh_wr *w, const struct gh_tunnel_device *d, const char *name,
                          uint32_t ifindex, uint32_t link)
{
    const struct ifinfomsg info = {.ifi_index = (int)ifindex};
    uint16_t flags = ifindex != 0 ? 0 : NLM_F_CREATE | NLM_F_EXCL;
    size_t start = gh_nl_begin(w, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | flags, 1), outer, inner;

    gh_wr_bytes(w, &info, sizeof(info));
    if (ifindex == 0)
        put_text(w, IFLA_IFNAME, name);
    put_u32(w, IFLA_MTU, d->mtu);
    outer = nest(w, IFLA_LINKINFO);
    put_text(w, IFLA_INFO_KIND, gh_tunnel_device_kind(d->p));
    inner = nest(w, IFLA_INFO_DATA);
    if (d->p->kind == TUNNEL_GRE)
        put_gre(w, d->p, link);
    else
        put_ip_ip(w, d->p, link);
    end_nest(w, inner);
    end_nest(w, outer);
    gh_nl_end(w, start);
}

/* ---- What the kernel says ------------------------------------------------------------------- */

static void take_text(struct gh_rd *body, char *out, size_t size)
{
    size_t len = gh_rd_left(body);

    if (len > 0 && len <= size) {
        gh_rd_copy(body, out, len);
        out[len - 1] = '\0';
    }
}

/* An older kernel has fewer numbers. */
static void take_counts(struct gh_rd *body, struct gh_tunnel_device_state *out)
{
    struct rtnl_link_stats64 s = {.rx_packets = 0};
    size_t len = gh_rd_left(body);

    gh_rd_copy(body, (uint8_t *)&s, len < sizeof(s) ? len : sizeof(s));
    out->rx_packets = s.rx_packets;
    out->rx_octets = s.rx_bytes;
    out->tx_packets = s.tx_packets;
    out->tx_octets = s.tx_bytes;
    out->rx_checksum = s.rx_crc_errors;
    out->rx_sequence = s.rx_fifo_errors;
    out->rx_ecn = s.rx_frame_errors;
    out->rx_malformed = s.rx_length_errors;
    out->rx_dropped = s.rx_dropped;
    out->tx_loop = s.collisions;
    out->tx_no_way = s.tx_carrier_errors;
    out->tx_dropped = s.tx_dropped + s.tx_aborted_errors;
}

bool gh_tunnel_device_parse(const struct gh_nl_message *m, struct gh_tunnel_device_state *out)
{
    struct gh_rd r = m->body;
    struct gh_nl_attr a;

    *out = (struct gh_tunnel_device_state){.ifindex = 0};
    if (m->type != RTM_NEWLINK)
        return false;
    gh_rd_skip(&r, 4); /* struct ifinfomsg: family, padding, type */
    out->ifindex = gh_nl_u32(&r);
    out->up = (gh_nl_u32(&r) & IFF_UP) != 0;
    gh_rd_skip(&r, 4);
    while (gh_nl_next_attr(&r, &a)) {
        if (a.type == IFLA_MTU)
            out->mtu = gh_nl_u32(&a.body);
        else if (a.type == IFLA_IFNAME)
            take_text(&a.body, out->name, sizeof(out->name));
        else if (a.type == IFLA_IFALIAS)
            take_text(&a.body, out->alias, sizeof(out->alias));
        else if (a.type == IFLA_STATS64)
            take_counts(&a.body, out);
    }
    return !r.bad && out->ifindex != 0;
}

/* ---- Requests, in the namespace where we are ------------------------------------------------ */

static int request(const struct gh_wr *w)
{
    int fd = gh_nl_open(NETLINK_ROUTE, 0), result;

    if (fd < 0)
        return -errno;
    result = gh_nl_request(fd, w);
    close(fd);
    return result;
}

struct setting {
    const char *name, *alias;
    uint32_t mtu, master;
    int netns; /* to be moved to; -1: not */
    bool up;
};

static int set(uint32_t ifindex, const struct setting *s)
{
    uint8_t mem[MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    const unsigned flags = s->up ? IFF_UP | IFF_MULTICAST : 0;
    const struct ifinfomsg info = {
        .ifi_index = (int)ifindex, .ifi_flags = flags, .ifi_change = flags};
    size_t start = gh_nl_begin(&w, RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 1);

    gh_wr_bytes(&w, &info, sizeof(info));
    if (s->alias != NULL)
        put_text(&w, IFLA_IFALIAS, s->alias);
    if (s->name != NULL)
        put_text(&w, IFLA_IFNAME, s->name);
    if (s->mtu != 0)
        put_u32(&w, IFLA_MTU, s->mtu);
    if (s->master != 0)
        put_u32(&w, IFLA_MASTER, s->master);
    if (s->netns >= 0)
        put_u32(&w, IFLA_NET_NS_FD, (uint32_t)s->netns);
    gh_nl_end(&w, start);
    return request(&w);
}

static void remove_here(uint32_t ifindex)
{
    uint8_t mem[64];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    const struct ifinfomsg info = {.ifi_index = (int)ifindex};
    size_t start = gh_nl_begin(&w, RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, 1);

    gh_wr_bytes(&w, &info, sizeof(info));
    gh_nl_end(&w, start);
    if (ifindex != 0)
        (void)request(&w); /* or it is gone already */
}

static int add_here(const struct gh_tunnel_device *d, const char *name, uint32_t link)
{
    uint8_t mem[MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));

    gh_tunnel_device_put(&w, d, name, 0, link);
    return request(&w);
}

/* *link: 0 without a VRF. */
static int find_link(const char *vrf, uint32_t *link)
{
    *link = vrf != NULL ? if_nametoindex(vrf) : 0;
    return vrf != NULL && *link == 0 ? -ENODEV : 0;
}

/* ---- Devices -------------------------------------------------------------------------------- */

/* Where its packets leave; then to `netns`. */
static int begin(const struct gh_tunnel_device *d, int netns)
{
    struct setting s = {.alias = d->alias, .netns = netns};
    uint32_t link, made = 0;
    int back, result = gh_netns_enter(d->outer_netns, &back);

    if (result != 0)
        return result;
    remove_here(if_nametoindex(UNFINISHED));
    result = find_link(d->outer_vrf, &link);
    if (result == 0)
        result = add_here(d, UNFINISHED, link);
    if (result == 0 && (made = if_nametoindex(UNFINISHED)) == 0)
        result = -errno;
    if (result == 0)
        result = set(made, &s);
    if (result != 0)
        remove_here(made);
    gh_netns_leave(back);
    return result;
}

static int finish(const struct gh_tunnel_device *d, uint32_t *ifindex)
{
    struct setting s = {.name = d->name, .mtu = d->mtu, .netns = -1};
    int back, result = gh_netns_enter(d->netns, &back);

    if (result != 0)
        return result;
    *ifindex = if_nametoindex(UNFINISHED);
    result = *ifindex == 0 ? -errno : find_link(d->vrf, &s.master);
    if (result == 0)
        result = set(*ifindex, &s);
    if (result != 0)
        remove_here(*ifindex);
    gh_netns_leave(back);
    return result;
}

int gh_tunnel_device_make(const struct gh_tunnel_device *d, uint32_t *ifindex)
{
    struct gh_netns_id here, there;
    int netns = -1, result;

    result = gh_netns_identify(d->netns, &there);
    if (result == 0)
        result = gh_netns_identify(d->outer_netns, &here);
    if (result == 0 && !gh_netns_same(&here, &there) && (netns = gh_netns_open(d->netns)) < 0)
        result = netns;
    if (result == 0)
        result = begin(d, netns);
    if (netns >= 0)
        close(netns);
    return result == 0 ? finish(d, ifindex) : result;
}

int gh_tunnel_device_change(const struct gh_tunnel_device *d, uint32_t ifindex)
{
    uint8_t mem[MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    uint32_t link = 0;
    int back, result = gh_netns_enter(d->outer_netns, &back);

    if (result != 0)
        return result;
    result = find_link(d->outer_vrf, &link);
    gh_netns_leave(back);
    if (result == 0)
        result = gh_netns_enter(d->netns, &back);
    if (result != 0)
        return result;
    gh_tunnel_device_put(&w, d, NULL, ifindex, link);
    result = request(&w);
    gh_netns_leave(back);
    return result;
}

int gh_tunnel_device_up(const char *netns, uint32_t ifindex)
{
    const struct setting s = {.netns = -1, .up = true};
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    result = set(ifindex, &s);
    gh_netns_leave(back);
    return result;
}

void gh_tunnel_device_remove(const char *netns, uint32_t ifindex)
{
    int back;

    if (gh_netns_enter(netns, &back) != 0)
        return;
    remove_here(ifindex);
    gh_netns_leave(back);
}

/* ---- Looking -------------------------------------------------------------------------------- */

static bool take_one(void *ctx, const struct gh_nl_message *m)
{
    struct gh_tunnel_device_state *out = ctx, s;

    if (gh_tunnel_device_parse(m, &s))
        *out = s;
    return false;
}

int gh_tunnel_device_look(const char *netns, const char *name, struct gh_tunnel_device_state *out)
{
    uint8_t mem[128];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, RTM_GETLINK, NLM_F_REQUEST, 1);
    int fd, back, result = gh_netns_enter(netns, &back);

    *out = (struct gh_tunnel_device_state){.ifindex = 0};
    if (result != 0)
        return result;
    gh_wr_zero(&w, sizeof(struct ifinfomsg));
    put_text(&w, IFLA_IFNAME, name);
    gh_nl_end(&w, start);
    fd = gh_nl_open(NETLINK_ROUTE, 0);
    result = fd < 0 ? -errno : gh_nl_ask(fd, &w, take_one, out);
    if (fd >= 0)
        close(fd);
    gh_netns_leave(back);
    return result == 0 && out->ifindex == 0 ? -ENODEV : result;
}

struct sweep {
    const char *alias;
    uint32_t *list;
    size_t count;
};

static bool note_ours(void *ctx, const struct gh_nl_message *m)
{
    struct sweep *s = ctx;
    struct gh_tunnel_device_state d;
    uint32_t *more;

    if (!gh_tunnel_device_parse(m, &d) ||
        (strncmp(d.alias, s->alias, strlen(s->alias)) != 0 && strcmp(d.name, UNFINISHED) != 0))
        return true;
    more = reallocarray(s->list, s->count + 1, sizeof(*more));
    if (more == NULL)
        return false;
    s->list = more;
    s->list[s->count++] = d.ifindex;
    return true;
}

void gh_tunnel_devices_remove(const char *netns, const char *alias)
{
    struct sweep s = {.alias = alias};
    uint8_t mem[64];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1);
    int fd, back;

    if (gh_netns_enter(netns, &back) != 0)
        return;
    gh_wr_zero(&w, sizeof(struct ifinfomsg));
    gh_nl_end(&w, start);
    fd = gh_nl_open(NETLINK_ROUTE, 0);
    if (fd >= 0) {
        (void)gh_nl_ask(fd, &w, note_ours, &s);
        close(fd);
    }
    for (size_t i = 0; i < s.count; i++)
        remove_here(s.list[i]);
    gh_netns_leave(back);
    free(s.list);
}

/* ---- What this kernel has ------------------------------------------------------------------- */

int gh_tunnel_device_probe(struct gh_tunnel_kinds *out)
{
    struct tunnel_params p = {.local = {.octets = {192, 0, 2, 1}},
                              .remote = {.octets = {192, 0, 2, 2}}};
    const struct gh_tunnel_device d = {.p = &p, .mtu = TUNNEL_IPV6_MTU_MIN};
    int back, result = gh_netns_enter("/proc/self/ns/net", &back);

    *out = (struct gh_tunnel_kinds){.has = {false}};
    if (result != 0)
        return result;
    if (unshare(CLONE_NEWNET) != 0)
        result = -errno;
    for (int i = 0; result == 0 && i < GH_TUNNEL_DEVICE_KINDS; i++) {
        p.kind = i == GRE || i == GRE6 ? TUNNEL_GRE : TUNNEL_IP_IP;
        p.local.len = p.remote.len = i == GRE || i == IP_IP ? 4 : 16;
        out->has[i] = add_here(&d, UNFINISHED, 0) == 0;
        remove_here(if_nametoindex(UNFINISHED));
    }
    gh_netns_leave(back);
    return result;
}

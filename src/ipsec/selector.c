#include "ipsec/selector.h"

#include <string.h>

#include "wire/ip.h"
#include "wire/rd.h"

enum { TCP = 6, UDP = 17, DCCP = 33, SCTP = 132, UDP_LITE = 136, MOBILITY = 135, ICMP_HEADER = 8 };

static struct ipsec_range range_of(const struct gh_prefix *p)
{
    struct ipsec_range r = {.start = p->addr, .end = p->addr, .end_port = 0xffff};

    for (unsigned bit = p->bits; bit < p->addr.len * 8u; bit++)
        r.end.octets[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    return r;
}

struct ipsec_selector ipsec_selector_between(const struct gh_prefix *local,
                                             const struct gh_prefix *remote)
{
    return (struct ipsec_selector){.local = range_of(local), .remote = range_of(remote)};
}

static bool opaque(const struct ipsec_range *r)
{
    return r->start_port == 0xffff && r->end_port == 0;
}

bool ipsec_selector_is_opaque(const struct ipsec_selector *s)
{
    return opaque(&s->local) || opaque(&s->remote);
}

static bool range_valid(const struct ipsec_range *r)
{
    return (r->start.len == 4 || r->start.len == 16) && r->start.len == r->end.len &&
           memcmp(r->start.octets, r->end.octets, r->start.len) <= 0 &&
           (r->start_port <= r->end_port || opaque(r));
}

bool ipsec_selector_valid(const struct ipsec_selector *s)
{
    return range_valid(&s->local) && range_valid(&s->remote) &&
           s->local.start.len == s->remote.start.len;
}

static bool range_equal(const struct ipsec_range *a, const struct ipsec_range *b)
{
    return gh_addr_equal(&a->start, &b->start) && gh_addr_equal(&a->end, &b->end) &&
           a->start_port == b->start_port && a->end_port == b->end_port;
}

bool ipsec_selector_equal(const struct ipsec_selector *a, const struct ipsec_selector *b)
{
    return range_equal(&a->local, &b->local) && range_equal(&a->remote, &b->remote) &&
           a->protocol == b->protocol;
}

static bool address_in(const struct ipsec_range *r, const struct gh_addr *a)
{
    return a->len == r->start.len && memcmp(a->octets, r->start.octets, a->len) >= 0 &&
           memcmp(a->octets, r->end.octets, a->len) <= 0;
}

/* Ports first: they differ most often. */
bool ipsec_flow_equal(const struct ipsec_flow *a, const struct ipsec_flow *b)
{
    return a->local_port == b->local_port && a->remote_port == b->remote_port &&
           a->protocol == b->protocol && a->ports == b->ports && a->one_sided == b->one_sided &&
           a->fragment == b->fragment && a->fragment_offset == b->fragment_offset &&
           a->fragment_id == b->fragment_id && a->way == b->way &&
           gh_addr_equal(&a->local, &b->local) && gh_addr_equal(&a->remote, &b->remote);
}

static bool port_in(const struct ipsec_range *r, bool known, uint16_t port)
{
    if (r->start_port == 0 && r->end_port == 0xffff)
        return true;
    if (!known)
        return opaque(r);
    return port >= r->start_port && port <= r->end_port;
}

bool ipsec_selector_matches(const struct ipsec_selector *s, const struct ipsec_flow *f)
{
    bool local_sends = f->way == IPSEC_OUT;

    if (!address_in(&s->remote, &f->remote) || !address_in(&s->local, &f->local) ||
        (s->protocol != 0 && s->protocol != f->protocol))
        return false;
    return ((f->one_sided && !local_sends) || port_in(&s->local, f->ports, f->local_port)) &&
           ((f->one_sided && local_sends) || port_in(&s->remote, f->ports, f->remote_port));
}

/* What stands in the place of ports, as far as it is here. */
static void read_ports(struct gh_rd r, struct ipsec_flow *f)
{
    uint16_t src = 0, dst = 0;

    switch (f->protocol) {
    case TCP:
    case UDP:
    case DCCP:
    case SCTP:
    case UDP_LITE:
        src = gh_rd_u16(&r);
        dst = gh_rd_u16(&r);
        break;
    case GH_IP_ICMP:
    case GH_IP_ICMPV6:
        src = dst = gh_rd_u16(&r);
        f->one_sided = true;
        break;
    case MOBILITY: /* RFC 6275 6.1.1: its type is the third octet */
        gh_rd_skip(&r, 2);
        src = dst = (uint16_t)(gh_rd_u8(&r) << 8);
        f->one_sided = true;
        break;
    default:
        return;
    }
    f->ports = !r.bad;
    f->local_port = f->way == IPSEC_OUT ? src : dst;
    f->remote_port = f->way == IPSEC_OUT ? dst : src;
}

/* l4: what follows the headers, ip->l4_len octets. */
static void flow_from(struct ipsec_flow *f, const struct gh_ip_packet *ip, enum ipsec_way way,
                      const uint8_t *l4)
{
    *f = (struct ipsec_flow){
        .local = way == IPSEC_OUT ? ip->src : ip->dst,
        .remote = way == IPSEC_OUT ? ip->dst : ip->src,
        .protocol = ip->protocol,
        .fragment = ip->fragment,
        .fragment_offset = ip->fragment_offset,
        .fragment_id = ip->fragment ? ip->fragment_id : 0,
        .way = way,
    };
    if (ip->fragment_offset == 0)
        read_ports(gh_rd_make(l4, ip->l4_len), f);
}

bool ipsec_flow_of(const uint8_t *packet, size_t *len, enum ipsec_way way, struct ipsec_flow *f)
{
    struct gh_ip_packet ip;

    if (gh_ip_parse(packet, *len, &ip) != GH_IP_OK)
        return false;
    *len = ip.total_len;
    flow_from(f, &ip, way, packet + ip.header_len);
    return true;
}

bool ipsec_flow_is_error(const struct ipsec_flow *f)
{
    uint16_t type_and_code = f->way == IPSEC_OUT ? f->local_port : f->remote_port;

    return (f->protocol == GH_IP_ICMP || f->protocol == GH_IP_ICMPV6) && f->ports &&
           gh_icmp_is_error(f->local.len == 4 ? 4 : 6, (uint8_t)(type_and_code >> 8));
}

bool ipsec_flow_quoted(const uint8_t *packet, size_t len, const struct ipsec_flow *f,
                       struct ipsec_flow *quoted)
{
    struct gh_ip_packet ip, inner;
    struct gh_icmp_error error;
    const uint8_t *l4;

    if ((f->protocol != GH_IP_ICMP && f->protocol != GH_IP_ICMPV6) || f->fragment ||
        gh_ip_parse(packet, len, &ip) != GH_IP_OK)
        return false;
    l4 = packet + ip.header_len;
    if (gh_icmp_embedded(ip.version, l4, ip.l4_len, &error) != GH_IP_OK ||
        gh_ip_parse(l4 + ICMP_HEADER, ip.l4_len - ICMP_HEADER, &inner) == GH_IP_MALFORMED)
        return false;
    flow_from(quoted, &inner, f->way == IPSEC_OUT ? IPSEC_IN : IPSEC_OUT,
              l4 + ICMP_HEADER + inner.header_len);
    return true;
}

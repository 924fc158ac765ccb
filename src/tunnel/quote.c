#include "tunnel/quote.h"

#include <string.h>

#include "ipsec/header.h"
#include "tunnel/fragment.h"
#include "tunnel/gre.h"
#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/rd.h"

enum { ICMP_HEADER = 8, UDP_HEADER = 8 };

static bool checksum_right(const struct gh_ip_packet *ip, const uint8_t *packet)
{
    uint32_t start = ip->version == 4
                         ? 0
                         : gh_sum_pseudo(&ip->src, &ip->dst, GH_IP_ICMPV6, (uint32_t)ip->l4_len);

    return gh_sum_fold(gh_sum(packet + ip->header_len, ip->l4_len, start)) == 0;
}

static bool kind_of_v4(uint8_t type, uint8_t code, enum tunnel_quote_kind *kind)
{
    switch (type) {
    case 3:
        *kind = code == 4 ? TUNNEL_QUOTE_TOO_BIG : TUNNEL_QUOTE_UNREACHABLE;
        return true;
    case 11:
        *kind = TUNNEL_QUOTE_TIME_EXCEEDED;
        return true;
    case 12:
        *kind = TUNNEL_QUOTE_PARAMETER;
        return true;
    case 4: /* source quench, */
    case 5: /* redirect */
        *kind = TUNNEL_QUOTE_OTHER;
        return true;
    default:
        return false;
    }
}

static bool kind_of_v6(uint8_t type, enum tunnel_quote_kind *kind)
{
    switch (type) {
    case 1:
        *kind = TUNNEL_QUOTE_UNREACHABLE;
        break;
    case 2:
        *kind = TUNNEL_QUOTE_TOO_BIG;
        break;
    case 3:
        *kind = TUNNEL_QUOTE_TIME_EXCEEDED;
        break;
    case 4:
        *kind = TUNNEL_QUOTE_PARAMETER;
        break;
    default:
        *kind = TUNNEL_QUOTE_OTHER;
    }
    return type < 128;
}

static void read_spi(struct gh_rd *r, struct tunnel_quote *q)
{
    if (gh_rd_left(r) < 4)
        return;
    q->spi = gh_rd_u32(r);
    q->has_spi = true;
    q->has_seq = gh_rd_left(r) >= 4;
    q->seq = gh_rd_u32(r);
}

static void read_gre(struct gh_rd *r, struct tunnel_quote *q)
{
    struct tunnel_gre gre;

    if (tunnel_gre_read(r, &gre) != TUNNEL_OK)
        return;
    q->has_gre_key = gre.has_key;
    q->gre_key = gre.key;
}

/* As much as there is of what was in the quoted packet; of later fragments nothing can be told. */
static void read_inside(const uint8_t *data, size_t len, struct tunnel_quote *q)
{
    struct gh_rd r = gh_rd_make(data, len);

    switch (q->protocol) {
    case IPSEC_PROTO_ESP:
        read_spi(&r, q);
        break;
    case IPSEC_PROTO_AH:
        gh_rd_skip(&r, 4);
        read_spi(&r, q);
        break;
    case IPSEC_PROTO_UDP:
        q->local_port = gh_rd_u16(&r);
        q->remote_port = gh_rd_u16(&r);
        gh_rd_skip(&r, UDP_HEADER - 4);
        read_spi(&r, q);
        break;
    case TUNNEL_PROTO_GRE:
        read_gre(&r, q);
        break;
    default:
        break;
    }
}

static enum tunnel_result read_error(const struct gh_ip_packet *ip, const uint8_t *packet,
                                     struct tunnel_quote *q)
{
    struct gh_rd r = gh_rd_make(packet + ip->header_len, ip->l4_len);
    struct tunnel_fragment quoted;
    uint32_t rest;

    q->version = ip->version;
    q->type = gh_rd_u8(&r);
    q->code = gh_rd_u8(&r);
    gh_rd_skip(&r, 2);
    rest = gh_rd_u32(&r);
    if (r.bad)
        return TUNNEL_MALFORMED;
    if (!(ip->version == 4 ? kind_of_v4(q->type, q->code, &q->kind)
                           : kind_of_v6(q->type, &q->kind)))
        return TUNNEL_NOT_QUOTED;
    if (!checksum_right(ip, packet))
        return TUNNEL_ICMP_CHECKSUM;
    if (tunnel_fragment_read_quoted(r.p, gh_rd_left(&r), &quoted) != TUNNEL_OK ||
        quoted.version != ip->version)
        return TUNNEL_MALFORMED;
    if (q->kind == TUNNEL_QUOTE_TOO_BIG)
        q->mtu = ip->version == 4 ? rest & 0xffff : rest;
    q->from = ip->src;
    q->local = quoted.src;
    q->remote = quoted.dst;
    q->protocol = quoted.protocol;
    q->total_len = quoted.total_len;
    if (quoted.offset == 0)
        read_inside(r.p + quoted.data_at, quoted.data_len, q);
    return TUNNEL_OK;
}

enum tunnel_result tunnel_quote_read(const uint8_t *packet, size_t len, struct tunnel_quote *out)
{
    struct gh_ip_packet ip;

    memset(out, 0, sizeof(*out));
    if (gh_ip_parse(packet, len, &ip) != GH_IP_OK)
        return TUNNEL_MALFORMED;
    if (ip.fragment || ip.protocol != (ip.version == 4 ? GH_IP_ICMP : GH_IP_ICMPV6))
        return TUNNEL_NOT_QUOTED;
    return read_error(&ip, packet, out);
}

bool tunnel_quote_fits(const struct tunnel_quote *q, const struct tunnel_quote_sa *sa,
                       uint32_t window)
{
    uint8_t protocol = sa->remote_port != 0 ? IPSEC_PROTO_UDP : sa->protocol;

    return q->has_spi && q->spi == sa->spi && q->protocol == protocol &&
           q->remote_port == sa->remote_port && gh_addr_equal(&q->local, &sa->local) &&
           gh_addr_equal(&q->remote, &sa->remote) && q->has_seq &&
           (uint32_t)sa->seq - q->seq < window && (uint32_t)sa->seq - q->seq < sa->seq;
}

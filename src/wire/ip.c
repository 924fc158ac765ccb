#include "wire/ip.h"

#include <string.h>

#include "wire/rd.h"

enum {
    IPV4_HEADER_MIN = 20,
    IPV4_MORE_FRAGMENTS = 0x2000,
    IPV4_OFFSET_MASK = 0x1fff,
    IPV6_HEADER = 40,
    IPV6_OFFSET_MASK = 0xfff8,
    IPV6_MORE_FRAGMENTS = 0x0001
};

/* IPv6 extension headers that are stepped over (RFC 8200 4, and the IANA list). */
enum {
    EXT_HOP_BY_HOP = 0,
    EXT_ROUTING = 43,
    EXT_FRAGMENT = 44,
    EXT_AUTHENTICATION = 51,
    EXT_DESTINATION = 60,
    EXT_HIP = 139,
    EXT_SHIM6 = 140
};

static struct gh_addr read_address(struct gh_rd *r, uint8_t len)
{
    struct gh_addr a = {.len = len};

    gh_rd_copy(r, a.octets, len);
    return a;
}

/* The lengths, once the headers are read: `total` as promised, `len` as present. */
static enum gh_ip_result set_lengths(struct gh_ip_packet *p, size_t total, size_t len)
{
    p->total_len = total;
    if (total < p->header_len || len < p->header_len)
        return GH_IP_MALFORMED;
    if (len < total) {
        p->l4_len = len - p->header_len;
        return GH_IP_CUT;
    }
    p->l4_len = total - p->header_len;
    return GH_IP_OK;
}

static enum gh_ip_result parse_v4(struct gh_rd r, size_t len, struct gh_ip_packet *out)
{
    size_t total;
    uint16_t fragment;

    out->version = 4;
    out->header_len = (size_t)(gh_rd_u8(&r) & 0xf) * 4;
    gh_rd_skip(&r, 1);
    total = gh_rd_u16(&r);
    out->fragment_id = gh_rd_u16(&r);
    fragment = gh_rd_u16(&r);
    gh_rd_skip(&r, 1);
    out->protocol = gh_rd_u8(&r);
    gh_rd_skip(&r, 2);
    out->src = read_address(&r, 4);
    out->dst = read_address(&r, 4);
    if (r.bad || out->header_len < IPV4_HEADER_MIN)
        return GH_IP_MALFORMED;
    out->fragment_offset = (uint16_t)((fragment & IPV4_OFFSET_MASK) * 8);
    out->fragment = (fragment & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK)) != 0;
    return set_lengths(out, total, len);
}

/* Steps over one extension header; false when `out->protocol` is none. */
static bool step_extension(struct gh_rd *r, struct gh_ip_packet *out)
{
    uint8_t next, len;
    uint16_t fragment;

    switch (out->protocol) {
    case EXT_HOP_BY_HOP:
    case EXT_ROUTING:
    case EXT_DESTINATION:
    case EXT_HIP:
    case EXT_SHIM6:
        next = gh_rd_u8(r);
        len = gh_rd_u8(r);
        gh_rd_skip(r, 6 + (size_t)len * 8);
        break;
    case EXT_AUTHENTICATION:
        next = gh_rd_u8(r);
        len = gh_rd_u8(r);
        gh_rd_skip(r, 6 + (size_t)len * 4);
        break;
    case EXT_FRAGMENT:
        next = gh_rd_u8(r);
        gh_rd_skip(r, 1);
        fragment = gh_rd_u16(r);
        out->fragment_id = gh_rd_u32(r);
        out->fragment_offset = fragment & IPV6_OFFSET_MASK;
        /* A second fragment header does not unmake the first. */
        out->fragment |= (fragment & (IPV6_OFFSET_MASK | IPV6_MORE_FRAGMENTS)) != 0;
        break;
    default:
        return false;
    }
    out->protocol = next;
    return !r->bad;
}

static enum gh_ip_result parse_v6(struct gh_rd r, size_t len, struct gh_ip_packet *out)
{
    const uint8_t *start = r.p;
    size_t total;

    out->version = 6;
    gh_rd_skip(&r, 4);
    total = IPV6_HEADER + (size_t)gh_rd_u16(&r);
    out->protocol = gh_rd_u8(&r);
    gh_rd_skip(&r, 1);
    out->src = read_address(&r, 16);
    out->dst = read_address(&r, 16);
    /* What follows a fragment's offset is in the middle of a datagram: no header. */
    while (out->fragment_offset == 0 && step_extension(&r, out))
        ;
    if (r.bad)
        return GH_IP_MALFORMED;
    out->header_len = (size_t)(r.p - start);
    return set_lengths(out, total, len);
}

enum gh_ip_result gh_ip_parse(const uint8_t *data, size_t len, struct gh_ip_packet *out)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_rd peek = r;

    memset(out, 0, sizeof(*out));
    switch (gh_rd_u8(&peek) >> 4) {
    case 4:
        return parse_v4(r, len, out);
    case 6:
        return parse_v6(r, len, out);
    default:
        return GH_IP_MALFORMED;
    }
}

enum gh_ip_result gh_tcp_parse(const uint8_t *data, size_t len, struct gh_tcp_segment *out)
{
    struct gh_rd r = gh_rd_make(data, len);

    memset(out, 0, sizeof(*out));
    out->src_port = gh_rd_u16(&r);
    out->dst_port = gh_rd_u16(&r);
    out->seq = gh_rd_u32(&r);
    out->ack = gh_rd_u32(&r);
    out->header_len = (size_t)(gh_rd_u8(&r) >> 4) * 4;
    out->flags = gh_rd_u8(&r);
    out->window = gh_rd_u16(&r);
    out->checksum = gh_rd_u16(&r);
    gh_rd_skip(&r, 2); /* urgent pointer */
    if (r.bad || out->header_len < 20 || out->header_len > len)
        return GH_IP_MALFORMED;
    out->payload_len = len - out->header_len;
    return GH_IP_OK;
}

bool gh_icmp_is_error(uint8_t version, uint8_t type)
{
    if (version == 6)
        return type < 128;
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

enum gh_ip_result gh_icmp_embedded(uint8_t version, const uint8_t *data, size_t len,
                                   struct gh_icmp_error *out)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_ip_packet inner;
    uint32_t rest;

    memset(out, 0, sizeof(*out));
    out->type = gh_rd_u8(&r);
    out->code = gh_rd_u8(&r);
    gh_rd_skip(&r, 2); /* checksum */
    rest = gh_rd_u32(&r);
    if (r.bad)
        return GH_IP_MALFORMED;
    if (!gh_icmp_is_error(version, out->type))
        return GH_IP_NOT_ERROR;
    if (version == 4 && out->type == 3 && out->code == 4)
        out->mtu = rest & 0xffff;
    else if (version == 6 && out->type == 2)
        out->mtu = rest;

    if (gh_ip_parse(r.p, gh_rd_left(&r), &inner) == GH_IP_MALFORMED || inner.version != version)
        return GH_IP_MALFORMED;
    out->protocol = inner.protocol;
    out->src = inner.src;
    out->dst = inner.dst;
    if (inner.protocol != GH_IP_TCP || inner.fragment_offset != 0)
        return GH_IP_OK;
    gh_rd_skip(&r, inner.header_len);
    out->src_port = gh_rd_u16(&r);
    out->dst_port = gh_rd_u16(&r);
    out->seq = gh_rd_u32(&r);
    return r.bad ? GH_IP_MALFORMED : GH_IP_OK;
}

#include "ipsec/header.h"

#include <string.h>

#include "wire/checksum.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { IPV4_DF = 0x4000, IPV4_MF_OFFSET = 0x3fff, IPV4_CHECKSUM_AT = 10, IPV4_PROTOCOL_AT = 9 };
enum { IPV4_LSRR = 0x83, IPV4_SSRR = 0x89 };
enum { IPV6_NEXT_AT = 6, HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60 };

static struct gh_addr address(struct gh_rd *r, uint8_t len)
{
    struct gh_addr a = {.len = len};

    gh_rd_copy(r, a.octets, len);
    return a;
}

/* A source route whose pointer is not behind its end (RFC 791 3.1). */
static bool routes_on(struct gh_rd options)
{
    while (gh_rd_left(&options) > 0) {
        uint8_t type = gh_rd_u8(&options), len, pointer;

        if (type == 0)
            return false;
        if (type == 1)
            continue;
        len = gh_rd_u8(&options);
        if (type == IPV4_LSRR || type == IPV4_SSRR) {
            pointer = gh_rd_u8(&options);
            return options.bad || pointer <= len;
        }
        gh_rd_skip(&options, len >= 2 ? len - 2u : SIZE_MAX);
    }
    return false;
}

static bool read_v4(struct gh_rd r, struct ipsec_layout *l)
{
    size_t header = (size_t)(gh_rd_u8(&r) & 0xf) * 4;
    uint16_t fragment;

    l->version = 4;
    l->ds = gh_rd_u8(&r);
    l->total_len = gh_rd_u16(&r);
    gh_rd_skip(&r, 2);
    fragment = gh_rd_u16(&r);
    l->df = fragment & IPV4_DF;
    l->fragment = fragment & IPV4_MF_OFFSET;
    gh_rd_skip(&r, 4);
    l->src = address(&r, 4);
    l->dst = address(&r, 4);
    if (header < IPSEC_IPV4_HEADER)
        return false;
    l->source_routed = routes_on(gh_rd_sub(&r, header - IPSEC_IPV4_HEADER));
    l->insert_at = l->l4_at = header;
    l->insert_next_at = l->l4_next_at = IPV4_PROTOCOL_AT;
    return !r.bad;
}

/* One extension header; `next` becomes what it names. False: it is none. */
static bool step(struct gh_rd *r, struct ipsec_layout *l, uint8_t *next)
{
    uint8_t following, len;
    struct gh_rd body;

    if (*next != HOP_BY_HOP && *next != ROUTING && *next != FRAGMENT && *next != DESTINATION)
        return false;
    following = gh_rd_u8(r);
    len = gh_rd_u8(r);
    body = gh_rd_sub(r, 6 + (*next == FRAGMENT ? 0 : (size_t)len * 8));
    if (*next == FRAGMENT)
        l->fragment |= (gh_rd_u16(&body) & 0xfff9) != 0;
    if (*next == ROUTING) {
        gh_rd_skip(&body, 1);
        l->source_routed |= gh_rd_u8(&body) != 0;
    }
    *next = following;
    return !r->bad;
}

static bool read_v6(struct gh_rd r, struct ipsec_layout *l)
{
    const uint8_t *start = r.p;
    uint32_t first = gh_rd_u32(&r);
    uint8_t next, before;

    l->version = 6;
    l->ds = (uint8_t)(first >> 20);
    l->df = true;
    l->total_len = IPSEC_IPV6_HEADER + (size_t)gh_rd_u16(&r);
    next = gh_rd_u8(&r);
    gh_rd_skip(&r, 1);
    l->src = address(&r, 16);
    l->dst = address(&r, 16);
    l->insert_at = l->l4_at = IPSEC_IPV6_HEADER;
    l->insert_next_at = l->l4_next_at = IPV6_NEXT_AT;
    for (before = next; step(&r, l, &next); before = next) {
        l->l4_next_at = l->l4_at;
        l->l4_at = (size_t)(r.p - start);
        /* Destination options before a routing header are for hops too: they get in with it. */
        if (before != DESTINATION) {
            l->insert_next_at = l->l4_next_at;
            l->insert_at = l->l4_at;
        }
    }
    return !r.bad;
}

bool ipsec_layout_read(const uint8_t *packet, size_t len, struct ipsec_layout *out)
{
    struct gh_rd r = gh_rd_make(packet, len), peek = r;
    bool ok;

    memset(out, 0, sizeof(*out));
    switch (gh_rd_u8(&peek) >> 4) {
    case 4:
        ok = read_v4(r, out);
        break;
    case 6:
        ok = read_v6(r, out);
        break;
    default:
        return false;
    }
    return ok && out->total_len <= len && out->total_len >= out->l4_at;
}

void ipsec_header_set_checksum(uint8_t *header)
{
    size_t len = (size_t)(header[0] & 0xf) * 4;
    struct gh_wr w = gh_wr_make(header + IPV4_CHECKSUM_AT, 2);

    gh_wr_u16(&w, 0);
    gh_wr_put_u16(&w, 0, gh_sum_fold(gh_sum(header, len, 0)));
}

bool ipsec_header_fix(uint8_t *packet, size_t total, size_t next_at, uint8_t next)
{
    bool v4 = packet[0] >> 4 == 4;
    struct gh_wr w = gh_wr_make(packet + (v4 ? 2 : 4), 2);

    gh_wr_u16(&w, v4 ? total : total - IPSEC_IPV6_HEADER);
    packet[next_at] = next;
    if (v4)
        ipsec_header_set_checksum(packet);
    return gh_wr_ok(&w);
}

void ipsec_header_set_ds(uint8_t *packet, uint8_t ds)
{
    if (packet[0] >> 4 == 4) {
        packet[1] = ds;
        ipsec_header_set_checksum(packet);
    } else {
        packet[0] = (uint8_t)(0x60 | ds >> 4);
        packet[1] = (uint8_t)((packet[1] & 0x0f) | ds << 4);
    }
}

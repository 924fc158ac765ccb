#include "tunnel/fragment.h"

#include <string.h>

#include "ipsec/header.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    IPV4_DF = 0x4000,
    IPV4_MF = 0x2000,
    IPV4_OFFSET = 0x1fff,
    IPV4_ID_AT = 4,
    IPV4_FRAGMENT_AT = 6
};
enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_COPIED = 0x80 };
enum { IPV6_NEXT_AT = 6, HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60 };
enum { IPV6_MORE = 1, IPV6_OFFSET = 0xfff8, UNIT = 8 };

static struct gh_addr address(struct gh_rd *r, uint8_t len)
{
    struct gh_addr a = {.len = len};

    gh_rd_copy(r, a.octets, len);
    return a;
}

static bool read_v4(struct gh_rd r, struct tunnel_fragment *f)
{
    uint16_t word;

    f->version = 4;
    f->header_len = (size_t)(gh_rd_u8(&r) & 0xf) * 4;
    f->ds = gh_rd_u8(&r);
    f->total_len = gh_rd_u16(&r);
    f->id = gh_rd_u16(&r);
    word = gh_rd_u16(&r);
    f->df = word & IPV4_DF;
    f->more = word & IPV4_MF;
    f->offset = (uint32_t)(word & IPV4_OFFSET) * UNIT;
    f->is_fragment = f->more || f->offset > 0;
    f->ttl = gh_rd_u8(&r);
    f->protocol = gh_rd_u8(&r);
    gh_rd_skip(&r, 2);
    f->src = address(&r, 4);
    f->dst = address(&r, 4);
    f->data_at = f->header_len;
    return !r.bad && f->header_len >= IPSEC_IPV4_HEADER;
}

/* The Fragment header, with `next` naming it. */
static void read_fragment_header(struct gh_rd *r, struct tunnel_fragment *f)
{
    uint16_t word;

    f->protocol = gh_rd_u8(r);
    gh_rd_skip(r, 1);
    word = gh_rd_u16(r);
    f->id = gh_rd_u32(r);
    f->offset = word & IPV6_OFFSET;
    f->more = word & IPV6_MORE;
    f->is_fragment = f->more || f->offset > 0;
    f->atomic = !f->is_fragment;
}

static bool read_v6(struct gh_rd r, struct tunnel_fragment *f)
{
    const uint8_t *start = r.p;

    f->version = 6;
    f->ds = (uint8_t)(gh_rd_u32(&r) >> 20);
    f->df = true;
    f->total_len = IPSEC_IPV6_HEADER + (size_t)gh_rd_u16(&r);
    f->protocol = gh_rd_u8(&r);
    f->ttl = gh_rd_u8(&r);
    f->src = address(&r, 16);
    f->dst = address(&r, 16);
    f->next_at = IPV6_NEXT_AT;
    while (!r.bad &&
           (f->protocol == HOP_BY_HOP || f->protocol == ROUTING || f->protocol == DESTINATION)) {
        f->next_at = (size_t)(r.p - start);
        f->protocol = gh_rd_u8(&r);
        gh_rd_skip(&r, 6 + (size_t)gh_rd_u8(&r) * UNIT);
    }
    f->header_len = (size_t)(r.p - start);
    if (f->protocol == FRAGMENT)
        read_fragment_header(&r, f);
    f->data_at = (size_t)(r.p - start);
    return !r.bad;
}

enum tunnel_result tunnel_fragment_read_quoted(const uint8_t *packet, size_t len,
                                               struct tunnel_fragment *out)
{
    struct gh_rd r = gh_rd_make(packet, len), peek = r;
    bool ok = false;

    memset(out, 0, sizeof(*out));
    switch (gh_rd_u8(&peek) >> 4) {
    case 4:
        ok = read_v4(r, out);
        break;
    case 6:
        ok = read_v6(r, out);
        break;
    default:
        break;
    }
    if (!ok || out->total_len < out->data_at || len < out->data_at)
        return TUNNEL_MALFORMED;
    out->data_len = (out->total_len < len ? out->total_len : len) - out->data_at;
    return TUNNEL_OK;
}

enum tunnel_result tunnel_fragment_read(const uint8_t *packet, size_t len,
                                        struct tunnel_fragment *out)
{
    enum tunnel_result result = tunnel_fragment_read_quoted(packet, len, out);

    return result == TUNNEL_OK && out->total_len > len ? TUNNEL_MALFORMED : result;
}

void tunnel_clear_df(uint8_t *packet, uint16_t id)
{
    struct gh_rd r = gh_rd_make(packet + IPV4_FRAGMENT_AT, 2);
    struct gh_wr w = gh_wr_make(packet + IPV4_ID_AT, 4);
    uint16_t word;

    if (packet[0] >> 4 != 4)
        return;
    word = gh_rd_u16(&r);
    if ((word & (IPV4_MF | IPV4_OFFSET)) != 0) {
        r = gh_rd_make(packet + IPV4_ID_AT, 2);
        id = gh_rd_u16(&r);
    }
    gh_wr_u16(&w, id);
    gh_wr_u16(&w, word & ~IPV4_DF);
    ipsec_header_set_checksum(packet);
}

enum tunnel_result tunnel_cut_begin(struct tunnel_cut *c, const uint8_t *packet, size_t len,
                                    size_t mtu, uint32_t id)
{
    struct ipsec_layout l;
    size_t headers;

    memset(c, 0, sizeof(*c));
    if (tunnel_fragment_read(packet, len, &c->whole) != TUNNEL_OK ||
        !ipsec_layout_read(packet, len, &l))
        return TUNNEL_MALFORMED;
    c->packet = packet;
    c->id = id;
    if (c->whole.version == 4) {
        if (c->whole.df)
            return TUNNEL_TOO_BIG;
        if (c->whole.offset + c->whole.data_len > UINT16_MAX)
            return TUNNEL_MALFORMED;
        c->data_at = headers = c->whole.header_len;
    } else {
        if (c->whole.is_fragment || c->whole.atomic)
            return TUNNEL_TOO_BIG;
        c->data_at = l.insert_at;
        c->next_at = l.insert_next_at;
        c->next = packet[c->next_at];
        headers = c->data_at + TUNNEL_FRAGMENT_HEADER;
    }
    if (mtu < headers + UNIT)
        return TUNNEL_TOO_BIG;
    c->data_len = l.total_len - c->data_at;
    c->per_fragment = (mtu - headers) & ~(size_t)(UNIT - 1);
    return TUNNEL_OK;
}

/* Fragments but the first have only the options with the copied flag (RFC 791 3.1). */
static size_t put_v4_later(struct gh_wr *out, const struct tunnel_cut *c)
{
    struct gh_rd r = gh_rd_make(c->packet, c->data_at);

    gh_wr_bytes(out, gh_rd_bytes(&r, IPSEC_IPV4_HEADER), IPSEC_IPV4_HEADER);
    while (gh_rd_left(&r) > 0) {
        struct gh_rd option = r;
        uint8_t type = gh_rd_u8(&r), len;

        if (type == OPTION_END)
            break;
        if (type == OPTION_NOP)
            continue;
        len = gh_rd_u8(&r);
        gh_rd_skip(&r, len >= 2 ? len - 2u : SIZE_MAX);
        if (r.bad)
            break;
        if (type & OPTION_COPIED)
            gh_wr_bytes(out, gh_rd_bytes(&option, len), len);
    }
    while (out->len % 4 != 0)
        gh_wr_u8(out, OPTION_END);
    gh_wr_put_u8(out, 0, 0x40 | out->len / 4);
    return out->len;
}

static void put_v4(struct gh_wr *out, const struct tunnel_cut *c, size_t n)
{
    size_t offset = c->whole.offset + c->done, header = c->data_at;
    bool more = c->whole.more || c->done + n < c->data_len;

    if (c->done == 0)
        gh_wr_bytes(out, c->packet, header);
    else
        header = put_v4_later(out, c);
    gh_wr_put_u16(out, 2, header + n);
    gh_wr_put_u16(out, IPV4_FRAGMENT_AT, (more ? IPV4_MF : 0) | offset / UNIT);
    gh_wr_bytes(out, c->packet + c->data_at + c->done, n);
    if (gh_wr_ok(out))
        ipsec_header_set_checksum(out->base);
}

static void put_v6(struct gh_wr *out, const struct tunnel_cut *c, size_t n)
{
    bool more = c->done + n < c->data_len;

    gh_wr_bytes(out, c->packet, c->data_at);
    gh_wr_put_u8(out, c->next_at, FRAGMENT);
    gh_wr_put_u16(out, 4, c->data_at - IPSEC_IPV6_HEADER + TUNNEL_FRAGMENT_HEADER + n);
    gh_wr_u8(out, c->next);
    gh_wr_u8(out, 0);
    gh_wr_u16(out, c->done | (more ? IPV6_MORE : 0));
    gh_wr_u32(out, c->id);
    gh_wr_bytes(out, c->packet + c->data_at + c->done, n);
}

enum tunnel_result tunnel_cut_next(struct tunnel_cut *c, struct ipsec_packet *out)
{
    struct gh_wr w = gh_wr_make(out->mem + out->at, out->cap - out->at);
    size_t left = c->data_len - c->done, n = left < c->per_fragment ? left : c->per_fragment;

    if (c->whole.version == 4)
        put_v4(&w, c, n);
    else
        put_v6(&w, c, n);
    if (!gh_wr_ok(&w))
        return TUNNEL_NO_ROOM;
    c->done += n;
    out->len = w.len;
    return TUNNEL_OK;
}

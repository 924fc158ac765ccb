/* TCP options that must change so that the AO option has room (RFC 5925 7.6). */
#include "tcpao/engine_priv.h"

#include <string.h>

#include "wire/rd.h"
#include "wire/wr.h"

enum tcp_option {
    OPT_END = 0,
    OPT_NOP = 1,
    OPT_MSS = 2,
    OPT_WINDOW_SCALE = 3,
    OPT_SACK_PERMITTED = 4,
    OPT_SACK = 5,
    OPT_TIMESTAMPS = 8
};

struct option {
    uint8_t kind;
    uint8_t len;
    const uint8_t *octets; /* the whole option, kind octet first */
};

/* The next option that is not padding; false at the end or at nonsense. */
static bool next_option(struct gh_rd *r, struct option *o)
{
    while (gh_rd_left(r) > 0) {
        const uint8_t *start = r->p;
        uint8_t kind = gh_rd_u8(r);

        if (kind == OPT_END)
            return false;
        if (kind == OPT_NOP)
            continue;
        o->kind = kind;
        o->len = gh_rd_u8(r);
        o->octets = start;
        gh_rd_skip(r, o->len < 2 ? SIZE_MAX : o->len - 2u);
        return !r->bad;
    }
    return false;
}

static struct gh_rd options_of(const uint8_t *hdr, size_t len)
{
    return gh_rd_make(hdr + TCPAO_TCP_HEADER_MIN, len - TCPAO_TCP_HEADER_MIN);
}

/* Pads to four octets and sets the data offset. */
static size_t finish_header(struct gh_wr *w)
{
    while (w->len % 4 != 0)
        gh_wr_u8(w, OPT_NOP);
    gh_wr_put_u8(w, 12, (w->len / 4) << 4 | (w->base[12] & 0x0f));
    return w->len;
}

/* Options longer than a few octets start on a boundary, as stacks write them. */
static void put_option(struct gh_wr *w, const struct option *o, uint8_t len)
{
    while ((w->len + len) % 4 != 0)
        gh_wr_u8(w, OPT_NOP);
    gh_wr_u8(w, o->kind);
    gh_wr_u8(w, len);
    gh_wr_bytes(w, o->octets + 2, len - 2u);
}

static bool kept_in_syn(uint8_t kind, size_t room)
{
    switch (kind) {
    case OPT_MSS:
        return true;
    case OPT_WINDOW_SCALE:
    case OPT_SACK_PERMITTED:
        return room >= 12;
    case OPT_TIMESTAMPS:
        return room >= 20;
    default:
        return false;
    }
}

/* Only the kinds that the rule keeps, each on a boundary of its own. */
static size_t keep_by_rule(const uint8_t *hdr, size_t len, size_t room,
                           uint8_t out[TCPAO_TCP_HEADER_MAX])
{
    struct gh_wr w = gh_wr_make(out, TCPAO_TCP_HEADER_MAX);
    struct gh_rd r = options_of(hdr, len);
    struct option o;

    gh_wr_bytes(&w, hdr, TCPAO_TCP_HEADER_MIN);
    while (next_option(&r, &o)) {
        if (kept_in_syn(o.kind, room))
            put_option(&w, &o, o.len);
    }
    finish_header(&w);
    return gh_wr_ok(&w) ? w.len : len;
}

size_t ao_options_limit_syn(const uint8_t *hdr, size_t len, size_t room,
                            uint8_t out[TCPAO_TCP_HEADER_MAX])
{
    size_t used = len - TCPAO_TCP_HEADER_MIN;

    if (room >= 20 && used <= room) {
        memcpy(out, hdr, len);
        return len;
    }
    return keep_by_rule(hdr, len, room, out);
}

size_t ao_options_trim_sack(const uint8_t *hdr, size_t len, size_t room,
                            uint8_t out[TCPAO_TCP_HEADER_MAX])
{
    struct gh_wr w = gh_wr_make(out, TCPAO_TCP_HEADER_MAX);
    struct gh_rd r = options_of(hdr, len);
    size_t others = 0, limit;
    struct option o;

    if (len - TCPAO_TCP_HEADER_MIN <= room) {
        memcpy(out, hdr, len);
        return len;
    }
    while (next_option(&r, &o))
        others += o.kind == OPT_SACK ? 0 : (o.len + 3u) & ~3u;
    limit = others < room ? room - others : 0;

    gh_wr_bytes(&w, hdr, TCPAO_TCP_HEADER_MIN);
    r = options_of(hdr, len);
    while (next_option(&r, &o)) {
        uint8_t fits = o.len;

        if (o.kind == OPT_SACK) {
            while (fits >= 10 && ((fits + 3u) & ~3u) > limit)
                fits -= 8;
            if (fits < 10)
                continue;
        }
        put_option(&w, &o, fits);
    }
    finish_header(&w);
    if (!gh_wr_ok(&w)) {
        memcpy(out, hdr, len);
        return len;
    }
    return w.len;
}

void ao_options_lower_mss(uint8_t *hdr, size_t len, size_t ip_header_len, uint32_t mtu,
                          size_t option_space)
{
    struct gh_rd r = options_of(hdr, len);
    size_t headers = ip_header_len + TCPAO_TCP_HEADER_MIN;
    struct option o;

    while (next_option(&r, &o)) {
        struct gh_rd body;
        uint32_t mss;

        if (o.kind != OPT_MSS || o.len != 4)
            continue;
        body = gh_rd_make(o.octets + 2, 2);
        mss = gh_rd_u16(&body);
        if (mtu > headers && mss > mtu - headers)
            mss = (uint32_t)(mtu - headers);
        mss = mss > option_space ? mss - (uint32_t)option_space : 0;
        hdr[o.octets - hdr + 2] = (uint8_t)(mss >> 8);
        hdr[o.octets - hdr + 3] = (uint8_t)mss;
    }
}

#include "tunnel/limit.h"

#include "ipsec/header.h"
#include "wire/rd.h"

enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44 };
enum { OPTION_PAD1 = 0, OPTION_PADN = 1, OPTION_LIMIT = 4, IPV6_NEXT_AT = 6 };

static size_t find_option(struct gh_rd options, const uint8_t *packet)
{
    while (gh_rd_left(&options) > 0) {
        uint8_t type = gh_rd_u8(&options), len;

        if (type == OPTION_PAD1)
            continue;
        len = gh_rd_u8(&options);
        if (type == OPTION_LIMIT && len == 1 && gh_rd_left(&options) > 0)
            return (size_t)(options.p - packet);
        gh_rd_skip(&options, len);
    }
    return 0;
}

size_t tunnel_limit_find(const uint8_t *packet, size_t len)
{
    struct gh_rd r = gh_rd_make(packet, len);
    uint8_t next;

    gh_rd_skip(&r, IPV6_NEXT_AT);
    next = gh_rd_u8(&r);
    gh_rd_skip(&r, IPSEC_IPV6_HEADER - IPV6_NEXT_AT - 1);
    while (!r.bad && (next == HOP_BY_HOP || next == ROUTING || next == FRAGMENT ||
                      next == TUNNEL_PROTO_DEST_OPTIONS)) {
        uint8_t this = next, units;
        struct gh_rd body;
        size_t at;

        next = gh_rd_u8(&r);
        units = gh_rd_u8(&r);
        body = gh_rd_sub(&r, 6 + (this == FRAGMENT ? 0 : (size_t)units * 8));
        at = this == TUNNEL_PROTO_DEST_OPTIONS ? find_option(body, packet) : 0;
        if (at != 0)
            return at;
        if (this == FRAGMENT && body.end - body.p >= 2 && ((body.p[0] << 8 | body.p[1]) & 0xfff8))
            break; /* what follows is in the middle of a datagram */
    }
    return 0;
}

void tunnel_limit_put(struct gh_wr *w, uint8_t next, uint8_t limit)
{
    gh_wr_u8(w, next);
    gh_wr_u8(w, 0);
    gh_wr_u8(w, OPTION_LIMIT);
    gh_wr_u8(w, 1);
    gh_wr_u8(w, limit);
    gh_wr_u8(w, OPTION_PADN);
    gh_wr_u8(w, 1);
    gh_wr_u8(w, 0);
}

#include "tunnel/gre.h"

#include <string.h>

#include "wire/checksum.h"

/* RFC 2784 2.1, RFC 2890 2; of RFC 1701 the routing that we refuse. Bits 6 to 12 MUST be ignored.
 */
enum {
    CHECKSUM = 0x8000,
    ROUTING = 0x4000,
    KEY = 0x2000,
    SEQUENCE = 0x1000,
    RESERVED = 0x0c00,
    VERSION = 0x0007
};

size_t tunnel_gre_len(const struct tunnel_gre *g)
{
    return 4 + (g->has_checksum ? 4u : 0) + (g->has_key ? 4u : 0) + (g->has_sequence ? 4u : 0);
}

enum tunnel_result tunnel_gre_read(struct gh_rd *r, struct tunnel_gre *out)
{
    uint16_t flags = gh_rd_u16(r);

    memset(out, 0, sizeof(*out));
    out->protocol = gh_rd_u16(r);
    if (r->bad)
        return TUNNEL_MALFORMED;
    if (flags & VERSION)
        return TUNNEL_GRE_VERSION;
    if (flags & ROUTING)
        return TUNNEL_GRE_ROUTING;
    if (flags & RESERVED)
        return TUNNEL_GRE_RESERVED;
    out->has_checksum = flags & CHECKSUM;
    out->has_key = flags & KEY;
    out->has_sequence = flags & SEQUENCE;
    if (out->has_checksum)
        gh_rd_skip(r, 4);
    if (out->has_key)
        out->key = gh_rd_u32(r);
    if (out->has_sequence)
        out->sequence = gh_rd_u32(r);
    return r->bad ? TUNNEL_MALFORMED : TUNNEL_OK;
}

bool tunnel_gre_checksum_right(const uint8_t *gre, size_t len, const struct tunnel_gre *g)
{
    return !g->has_checksum || gh_sum_fold(gh_sum(gre, len, 0)) == 0;
}

void tunnel_gre_put(struct gh_wr *w, const struct tunnel_gre *g, size_t len)
{
    size_t at = w->len;

    gh_wr_u16(w, (g->has_checksum ? CHECKSUM : 0) | (g->has_key ? KEY : 0) |
                     (g->has_sequence ? SEQUENCE : 0));
    gh_wr_u16(w, g->protocol);
    if (g->has_checksum)
        gh_wr_u32(w, 0);
    if (g->has_key)
        gh_wr_u32(w, g->key);
    if (g->has_sequence)
        gh_wr_u32(w, g->sequence);
    if (g->has_checksum && gh_wr_ok(w))
        gh_wr_put_u16(w, at + 4, gh_sum_fold(gh_sum(w->base + at, len, 0)));
}

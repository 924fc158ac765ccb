#include "ipsec/outer.h"

#include "ipsec/ecn.h"
#include "wire/wr.h"

enum { IPV4_DF = 0x4000, DSCP = 0xfc, ECN = 3 };

size_t ipsec_outer_len(const struct gh_addr *local)
{
    return local->len == 4 ? IPSEC_IPV4_HEADER : IPSEC_IPV6_HEADER;
}

static uint8_t outer_ds(const struct ipsec_tunnel *t, uint8_t inner)
{
    uint8_t dscp = t->set_dscp ? (uint8_t)(t->dscp << 2) : inner & DSCP;

    return dscp | ipsec_ecn_outer(inner & ECN, !t->no_ecn);
}

static void put_v4(struct gh_wr *out, const struct ipsec_work *w, size_t total, uint8_t protocol)
{
    const struct ipsec_tunnel *t = &w->sa->p.tunnel;
    bool df = t->df == IPSEC_DF_COPY ? w->layout.df : t->df == IPSEC_DF_SET;

    gh_wr_u8(out, 0x45);
    gh_wr_u8(out, outer_ds(t, w->layout.ds));
    gh_wr_u16(out, total);
    gh_wr_u16(out, df ? 0 : w->ip_id); /* RFC 6864 4.1: needed for fragments alone */
    gh_wr_u16(out, df ? IPV4_DF : 0);
    gh_wr_u8(out, t->ttl);
    gh_wr_u8(out, protocol);
    gh_wr_u16(out, 0);
}

static void put_v6(struct gh_wr *out, const struct ipsec_work *w, size_t total, uint8_t protocol)
{
    const struct ipsec_tunnel *t = &w->sa->p.tunnel;

    gh_wr_u32(out, UINT32_C(6) << 28 | (uint32_t)outer_ds(t, w->layout.ds) << 20);
    gh_wr_u16(out, total - IPSEC_IPV6_HEADER);
    gh_wr_u8(out, protocol);
    gh_wr_u8(out, t->ttl);
}

bool ipsec_outer_put(const struct ipsec_work *w, uint8_t *at, size_t total, uint8_t protocol)
{
    const struct gh_addr *local = &w->sa->p.local, *remote = &w->sa->p.remote;
    struct gh_wr out = gh_wr_make(at, ipsec_outer_len(local));

    if (local->len == 4)
        put_v4(&out, w, total, protocol);
    else
        put_v6(&out, w, total, protocol);
    gh_wr_bytes(&out, local->octets, local->len);
    gh_wr_bytes(&out, remote->octets, remote->len);
    if (local->len == 4 && gh_wr_ok(&out))
        ipsec_header_set_checksum(at);
    return gh_wr_ok(&out);
}

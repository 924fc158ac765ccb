#include "tunnel/mtu.h"

#include "tunnel/fragment.h"

static bool in_range(uint16_t mtu)
{
    return mtu == 0 || (mtu >= TUNNEL_MTU_MIN && mtu <= TUNNEL_MTU_MAX);
}

bool tunnel_mtu_valid(const struct tunnel_mtu *m)
{
    return in_range(m->ip_mtu) && in_range(m->encapsulated_ip_mtu);
}

bool tunnel_mtu_conflict(const struct tunnel_mtu *m, size_t overhead)
{
    return m->ip_mtu != 0 && m->encapsulated_ip_mtu != 0 &&
           m->ip_mtu + overhead > m->encapsulated_ip_mtu;
}

/* 0 is no limit. */
static uint16_t lower_of(uint16_t a, uint16_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static enum tunnel_result before_v6(const struct tunnel_mtu *m, uint16_t limit, size_t len,
                                    struct ipsec_packet *p)
{
    if (m->ipv6 == TUNNEL_MTU_IPV6_WHOLE) {
        p->mtu = limit;
        return len < TUNNEL_IPV6_MTU_MIN ? TUNNEL_TOO_BIG : TUNNEL_OK;
    }
    p->mtu = limit < TUNNEL_IPV6_MTU_MIN ? TUNNEL_IPV6_MTU_MIN : limit;
    return len > p->mtu ? TUNNEL_TOO_BIG : TUNNEL_OK;
}

enum tunnel_result tunnel_mtu_before(const struct tunnel_mtu *m, uint16_t path, uint16_t ip_id,
                                     struct ipsec_packet *p)
{
    uint16_t limit = lower_of(m->ip_mtu, path);
    struct tunnel_fragment f;

    if (limit == 0 || p->len <= limit)
        return TUNNEL_OK;
    if (tunnel_fragment_read(ipsec_packet_data(p), p->len, &f) != TUNNEL_OK)
        return TUNNEL_MALFORMED;
    if (f.total_len <= limit)
        return TUNNEL_OK;
    if (f.version == 6)
        return before_v6(m, limit, f.total_len, p);
    p->mtu = limit;
    if (f.df && !m->clear_df)
        return TUNNEL_TOO_BIG;
    if (f.df)
        tunnel_clear_df(ipsec_packet_data(p), ip_id);
    return TUNNEL_TO_FRAGMENT;
}

enum tunnel_result tunnel_mtu_after(const struct tunnel_mtu *m, uint16_t path, uint16_t ip_id,
                                    struct ipsec_packet *p)
{
    uint16_t limit = lower_of(m->encapsulated_ip_mtu, path);
    struct tunnel_fragment f;

    if (limit == 0 || p->len <= limit)
        return TUNNEL_OK;
    if (tunnel_fragment_read(ipsec_packet_data(p), p->len, &f) != TUNNEL_OK)
        return TUNNEL_MALFORMED;
    p->mtu = limit;
    if (f.version == 4 && f.df)
        tunnel_clear_df(ipsec_packet_data(p), ip_id);
    return TUNNEL_TO_FRAGMENT;
}

#include "config/sizes.h"

#include "tunnel/mtu.h"
#include "tunnel/rate.h"

void gh_sizes_put(struct gh_wr *w, const struct ike2_child_path *s)
{
    gh_wr_u16(w, s->ip_mtu);
    gh_wr_u16(w, s->encapsulated_ip_mtu);
    gh_wr_u16(w, s->mss);
    gh_wr_u8(w, s->clear_df);
    gh_wr_u8(w, s->ipv6_whole);
    gh_wr_u8(w, s->ignores_icmp);
    gh_wr_u8(w, s->df);
    gh_wr_u16(w, s->too_big_messages);
    gh_wr_u16(w, s->too_big_seconds);
}

static bool in_range(uint16_t value)
{
    return value >= TUNNEL_MTU_MIN && value <= TUNNEL_MTU_MAX;
}

void gh_sizes_get(struct gh_rd *r, struct ike2_child_path *s)
{
    s->ip_mtu = gh_rd_u16(r);
    s->encapsulated_ip_mtu = gh_rd_u16(r);
    s->mss = gh_rd_u16(r);
    s->clear_df = gh_get_flag(r);
    s->ipv6_whole = gh_get_flag(r);
    s->ignores_icmp = gh_get_flag(r);
    s->df = (enum ike2_outer_df)gh_get_below(r, gh_rd_u8(r), IKE2_DF_SET + 1);
    s->too_big_messages = (uint16_t)gh_get_below(r, gh_rd_u16(r), TUNNEL_RATE_MESSAGES_MAX + 1);
    s->too_big_seconds = (uint16_t)gh_get_below(r, gh_rd_u16(r), TUNNEL_RATE_SECONDS_MAX + 1);
    if (!in_range(s->ip_mtu) ||
        (s->encapsulated_ip_mtu != 0 && !in_range(s->encapsulated_ip_mtu)) ||
        (s->mss != 0 && s->mss != IKE2_MSS_AUTO && !in_range(s->mss)) || s->too_big_seconds == 0 ||
        (s->too_big_messages != 0 && s->too_big_messages < TUNNEL_RATE_MESSAGES_MIN))
        r->bad = true;
}

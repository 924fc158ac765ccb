#include "config/tunnels.h"

#include <stdlib.h>
#include <string.h>

#include "tunnel/rate.h"
#include "tunnel/reassembly.h"

void gh_tunnel_free(struct gh_tunnel *t)
{
    free(t->name);
    free(t->device);
    free(t->netns);
    free(t->vrf);
    free(t->peer);
    free(t->not_kernel);
}

static void put_address(struct gh_wr *w, const struct gh_prefix *p)
{
    gh_put_addr(w, &p->addr);
    gh_wr_u8(w, p->bits);
}

static void put_params(struct gh_wr *w, const struct tunnel_params *p)
{
    gh_wr_u8(w, p->kind);
    gh_put_addr(w, &p->local);
    gh_put_addr(w, &p->remote);
    gh_put_addr(w, &p->backup);
    gh_wr_u8(w, p->dest_count);
    for (size_t i = 0; i < p->dest_count; i++)
        gh_put_addr(w, &p->dests[i]);
    gh_wr_u8(w, p->has_send_key);
    gh_wr_u8(w, p->has_receive_key);
    gh_wr_u32(w, p->send_key);
    gh_wr_u32(w, p->receive_key);
    gh_wr_u8(w, p->ignore_key);
    gh_wr_u8(w, p->send_checksum);
    gh_wr_u8(w, p->send_sequence);
    gh_wr_u8(w, p->check_sequence);
    gh_wr_u8(w, p->ttl);
    gh_wr_u8(w, p->set_dscp);
    gh_wr_u8(w, p->dscp);
    gh_wr_u8(w, p->df);
    gh_wr_u8(w, p->has_encapsulation_limit);
    gh_wr_u8(w, p->encapsulation_limit);
    gh_wr_u16(w, p->mtu.ip_mtu);
    gh_wr_u16(w, p->mtu.encapsulated_ip_mtu);
    gh_wr_u8(w, p->mtu.clear_df);
    gh_wr_u8(w, p->mtu.ipv6);
    gh_wr_u16(w, p->mss);
}

static void put_tunnel(struct gh_wr *w, const struct gh_tunnel *t)
{
    gh_put_text(w, t->name);
    gh_put_text(w, t->device);
    gh_put_text(w, t->netns);
    gh_put_text(w, t->vrf);
    gh_put_text(w, t->peer);
    gh_wr_u16(w, t->zone);
    gh_wr_u8(w, t->kernel);
    put_params(w, &t->p);
    gh_wr_u16(w, t->reassembly_ms);
    gh_wr_u16(w, t->too_big_messages);
    gh_wr_u16(w, t->too_big_seconds);
    gh_wr_u8(w, t->address_count);
    for (size_t i = 0; i < t->address_count; i++)
        put_address(w, &t->addresses[i]);
}

void gh_tunnels_put(struct gh_wr *w, const struct gh_tunnel *list, size_t count)
{
    gh_wr_u16(w, count);
    for (size_t i = 0; i < count; i++)
        put_tunnel(w, &list[i]);
}

static void get_params(struct gh_rd *r, struct tunnel_params *p)
{
    size_t dests;

    p->kind = (enum tunnel_kind)gh_get_below(r, gh_rd_u8(r), TUNNEL_IP_IP + 1);
    gh_get_addr(r, true, &p->local);
    gh_get_addr(r, true, &p->remote);
    gh_get_addr(r, false, &p->backup);
    dests = gh_get_below(r, gh_rd_u8(r), TUNNEL_DESTS_MAX + 1);
    while (!r->bad && p->dest_count < dests)
        gh_get_addr(r, true, &p->dests[p->dest_count++]);
    p->has_send_key = gh_get_flag(r);
    p->has_receive_key = gh_get_flag(r);
    p->send_key = gh_rd_u32(r);
    p->receive_key = gh_rd_u32(r);
    p->ignore_key = gh_get_flag(r);
    p->send_checksum = gh_get_flag(r);
    p->send_sequence = gh_get_flag(r);
    p->check_sequence = gh_get_flag(r);
    p->ttl = gh_rd_u8(r);
    p->set_dscp = gh_get_flag(r);
    p->dscp = gh_rd_u8(r);
    p->df = (enum tunnel_df)gh_get_below(r, gh_rd_u8(r), TUNNEL_DF_CLEAR + 1);
    p->has_encapsulation_limit = gh_get_flag(r);
    p->encapsulation_limit = gh_rd_u8(r);
    p->mtu.ip_mtu = gh_rd_u16(r);
    p->mtu.encapsulated_ip_mtu = gh_rd_u16(r);
    p->mtu.clear_df = gh_get_flag(r);
    p->mtu.ipv6 = (enum tunnel_mtu_ipv6)gh_get_below(r, gh_rd_u8(r), TUNNEL_MTU_IPV6_WHOLE + 1);
    p->mss = gh_rd_u16(r);
    if (!r->bad && (!tunnel_params_valid(p) || p->mtu.ip_mtu == 0))
        r->bad = true;
}

static void get_address(struct gh_rd *r, struct gh_prefix *p)
{
    gh_get_addr(r, true, &p->addr);
    p->bits = (uint8_t)gh_get_below(r, gh_rd_u8(r), 8u * p->addr.len + 1);
}

static void get_tunnel(struct gh_rd *r, size_t zones, struct gh_tunnel *t)
{
    size_t count;

    t->name = gh_get_text(r, true);
    t->device = gh_get_text(r, true);
    t->netns = gh_get_text(r, false);
    t->vrf = gh_get_text(r, false);
    t->peer = gh_get_text(r, false);
    t->zone = (uint16_t)gh_get_below(r, gh_rd_u16(r), zones + 1);
    t->kernel = gh_get_flag(r);
    get_params(r, &t->p);
    t->reassembly_ms = gh_get_below(r, gh_rd_u16(r), TUNNEL_REASSEMBLY_WAIT_MAX_MS + 1);
    t->p.reassembly = t->reassembly_ms != 0;
    t->too_big_messages = (uint16_t)gh_get_below(r, gh_rd_u16(r), TUNNEL_RATE_MESSAGES_MAX + 1);
    t->too_big_seconds = (uint16_t)gh_get_below(r, gh_rd_u16(r), TUNNEL_RATE_SECONDS_MAX + 1);
    count = gh_get_below(r, gh_rd_u8(r), GH_TUNNEL_ADDRESSES + 1);
    while (!r->bad && t->address_count < count)
        get_address(r, &t->addresses[t->address_count++]);
    if (!r->bad && (strlen(t->device) > GH_TUNNEL_DEVICE || t->too_big_seconds == 0 ||
                    (t->too_big_messages != 0 && t->too_big_messages < TUNNEL_RATE_MESSAGES_MIN)))
        r->bad = true;
}

void gh_tunnels_get(struct gh_rd *r, size_t zones, struct gh_tunnel **list, size_t *count)
{
    size_t wanted = gh_get_below(r, gh_rd_u16(r), GH_TUNNELS + 1);

    *list = gh_get_array(r, wanted, GH_TUNNEL_MIN, sizeof(**list));
    while (!r->bad && *count < wanted)
        get_tunnel(r, zones, &(*list)[(*count)++]);
}

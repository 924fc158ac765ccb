#include "config/traffic.h"

#include "ipsec/replay.h"
#include "tunnel/mtu.h"

enum { DSCP_MAX = 63 };

void gh_traffic_put(struct gh_wr *w, const struct ike2_child_traffic *t)
{
    gh_wr_u16(w, t->window);
    gh_wr_u16(w, t->tfc);
    gh_wr_u8(w, t->set_dscp);
    gh_wr_u8(w, t->dscp);
    gh_wr_u8(w, t->dscp_from_outer);
    gh_wr_u8(w, t->no_ecn);
}

void gh_traffic_get(struct gh_rd *r, struct ike2_child_traffic *t)
{
    t->window = gh_rd_u16(r);
    t->tfc = gh_rd_u16(r);
    t->set_dscp = gh_get_flag(r);
    t->dscp = (uint8_t)gh_get_below(r, gh_rd_u8(r), DSCP_MAX + 1);
    t->dscp_from_outer = gh_get_flag(r);
    t->no_ecn = gh_get_flag(r);
    if ((t->window != 0 && (t->window < IPSEC_WINDOW_MIN || t->window > IPSEC_WINDOW_MAX)) ||
        (t->tfc != 0 && t->tfc != IKE2_TFC_MTU &&
         (t->tfc < TUNNEL_MTU_MIN || t->tfc > TUNNEL_MTU_MAX)))
        r->bad = true;
}

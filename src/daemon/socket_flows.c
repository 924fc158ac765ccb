#include "daemon/socket_flows.h"

void gh_socket_flow_put(struct gh_wr *w, const struct gh_socket_flow *f)
{
    static const struct gh_socket_flow strict = {.kind = GH_FLOW_STRICT, .peer.addr.len = 4};

    if (f->kind == GH_FLOW_STRICT)
        f = &strict;
    gh_wr_u8(w, f->kind);
    gh_wr_u8(w, f->peer.addr.len);
    gh_wr_bytes(w, f->peer.addr.octets, f->peer.addr.len);
    gh_wr_u8(w, f->peer.bits);
    gh_wr_u8(w, f->local.len);
    gh_wr_bytes(w, f->local.octets, f->local.len);
    gh_wr_u16(w, f->local_port);
    gh_wr_u16(w, f->remote_port);
}

static struct gh_addr take_addr(struct gh_rd *r, uint8_t len)
{
    uint8_t octets[16] = {0};

    gh_rd_copy(r, octets, len);
    return len != 0 ? gh_addr_from(octets, len) : (struct gh_addr){.len = 0};
}

/* One encoding for each prefix; and what is not a network must not reach a firewall program. */
static bool is_prefix(const struct gh_prefix *p)
{
    size_t bits = (size_t)p->addr.len * 8;

    if (p->bits > bits)
        return false;
    for (size_t i = p->bits; i < bits; i++)
        if ((p->addr.octets[i / 8] >> (7 - i % 8) & 1) != 0)
            return false;
    return true;
}

bool gh_socket_flow_take(struct gh_rd *r, struct gh_socket_flow *out)
{
    uint8_t kind = gh_rd_u8(r), len = gh_rd_u8(r), local_len;

    *out = (struct gh_socket_flow){.kind = GH_FLOW_STRICT};
    if (kind > GH_FLOW_KEYED || (len != 4 && len != 16))
        return false;
    out->kind = kind;
    out->peer.addr = take_addr(r, len);
    out->peer.bits = gh_rd_u8(r);
    local_len = gh_rd_u8(r);
    if (local_len != 0 && local_len != len)
        return false;
    out->local = take_addr(r, local_len);
    out->local_port = gh_rd_u16(r);
    out->remote_port = gh_rd_u16(r);
    return !r->bad && is_prefix(&out->peer);
}

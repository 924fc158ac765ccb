#include "daemon/ends.h"

static void put_end(struct gh_wr *w, const struct tcpao_endpoint *end)
{
    gh_wr_u8(w, end->addr_len);
    gh_wr_bytes(w, end->addr, end->addr_len);
    gh_wr_u16(w, end->port);
}

void gh_ends_put(struct gh_wr *w, uint16_t zone, const struct tcpao_endpoint *local,
                 const struct tcpao_endpoint *remote)
{
    gh_wr_u16(w, zone);
    put_end(w, local);
    put_end(w, remote);
}

static struct tcpao_endpoint take_end(struct gh_rd *r)
{
    struct tcpao_endpoint end = {.addr_len = gh_rd_u8(r)};

    if (end.addr_len != 4 && end.addr_len != 16)
        r->bad = true;
    else
        gh_rd_copy(r, end.addr, end.addr_len);
    end.port = gh_rd_u16(r);
    return end;
}

bool gh_ends_take(struct gh_rd *r, struct gh_ends *out)
{
    out->zone = gh_rd_u16(r);
    out->local = take_end(r);
    out->remote = take_end(r);
    return gh_rd_done(r) && out->local.addr_len == out->remote.addr_len;
}

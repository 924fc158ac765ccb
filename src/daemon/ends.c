#include "daemon/ends.h"

#include "tcpao/endpoint.h"

void gh_ends_put(struct gh_wr *w, uint16_t zone, const struct tcpao_endpoint *local,
                 const struct tcpao_endpoint *remote)
{
    gh_wr_u16(w, zone);
    ao_endpoint_put(w, local);
    ao_endpoint_put(w, remote);
}

bool gh_ends_take(struct gh_rd *r, struct gh_ends *out)
{
    out->zone = gh_rd_u16(r);
    out->local = ao_endpoint_take(r);
    out->remote = ao_endpoint_take(r);
    return gh_rd_done(r) && out->local.addr_len != 0 && out->local.addr_len == out->remote.addr_len;
}

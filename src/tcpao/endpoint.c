#include "tcpao/endpoint.h"

#include <string.h>

struct tcpao_endpoint ao_endpoint_of(const struct gh_addr *addr, uint16_t port)
{
    struct tcpao_endpoint end = {.addr_len = addr->len, .port = port};

    memcpy(end.addr, addr->octets, addr->len);
    return end;
}

bool ao_endpoint_equal(const struct tcpao_endpoint *a, const struct tcpao_endpoint *b)
{
    return a->port == b->port && a->addr_len == b->addr_len &&
           memcmp(a->addr, b->addr, a->addr_len) == 0;
}

void ao_endpoint_put(struct gh_wr *w, const struct tcpao_endpoint *end)
{
    gh_wr_u8(w, end->addr_len);
    gh_wr_bytes(w, end->addr, end->addr_len);
    gh_wr_u16(w, end->port);
}

struct tcpao_endpoint ao_endpoint_take(struct gh_rd *r)
{
    struct tcpao_endpoint end = {.addr_len = gh_rd_u8(r)};

    if (end.addr_len != 0 && end.addr_len != 4 && end.addr_len != 16) {
        end.addr_len = 0;
        r->bad = true;
    }
    gh_rd_copy(r, end.addr, end.addr_len);
    end.port = gh_rd_u16(r);
    return end;
}

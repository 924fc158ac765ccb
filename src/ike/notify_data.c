/* Notifications with a layout, by the RFC that defines each. */
#include "ike/notify_data.h"

#include "wire/rd.h"

enum ike_fault ike_invalid_ke_read(struct gh_view data, uint16_t *method)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    uint16_t value = gh_rd_u16(&r);

    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    *method = value;
    return IKE_OK;
}

enum ike_fault ike_u32_read(struct gh_view data, uint32_t *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    uint32_t value = gh_rd_u32(&r);

    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    *out = value;
    return IKE_OK;
}

enum ike_fault ike_address_read(struct gh_view data, struct gh_addr *out)
{
    if (data.len != 4 && data.len != 16)
        return IKE_SYNTAX;
    *out = gh_addr_from(data.p, (uint8_t)data.len);
    return IKE_OK;
}

enum ike_fault ike_ipcomp_read(struct gh_view data, struct ike_ipcomp *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct ike_ipcomp ipcomp;

    ipcomp.cpi = gh_rd_u16(&r);
    ipcomp.transform = gh_rd_u8(&r);
    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    *out = ipcomp;
    return IKE_OK;
}

enum ike_fault ike_hashes_read(struct gh_view data, uint32_t *set)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    uint32_t found = 0;

    while (gh_rd_left(&r) > 0) {
        uint16_t hash = gh_rd_u16(&r);

        if (!r.bad && hash < 32)
            found |= UINT32_C(1) << hash;
    }
    if (!gh_rd_done(&r) || data.len == 0)
        return IKE_SYNTAX;
    *set = found;
    return IKE_OK;
}

void ike_hashes_put(struct gh_wr *w, uint32_t set)
{
    for (unsigned hash = 0; hash < 32; hash++)
        if (set & UINT32_C(1) << hash)
            gh_wr_u16(w, hash);
}

enum ike_fault ike_redirect_read(struct gh_view data, struct ike_redirect *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct ike_redirect redirect = {.type = gh_rd_u8(&r)};
    uint8_t len = gh_rd_u8(&r);
    bool fits;

    redirect.gateway = gh_view_of(gh_rd_bytes(&r, len), len);
    redirect.nonce = gh_view_of(r.p, gh_rd_left(&r));
    fits = redirect.type == IKE_GATEWAY_IPV4   ? len == 4
           : redirect.type == IKE_GATEWAY_IPV6 ? len == 16
                                               : len > 0;
    if (r.bad || !fits)
        return IKE_SYNTAX;
    *out = redirect;
    return IKE_OK;
}

void ike_redirect_put(struct gh_wr *w, const struct ike_redirect *redirect)
{
    gh_wr_u8(w, redirect->type);
    gh_wr_u8(w, redirect->gateway.len);
    gh_wr_bytes(w, redirect->gateway.p, redirect->gateway.len);
    if (redirect->nonce.len > 0)
        gh_wr_bytes(w, redirect->nonce.p, redirect->nonce.len);
}

enum ike_fault ike_ticket_read(struct gh_view data, struct ike_ticket *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct ike_ticket ticket = {.lifetime = gh_rd_u32(&r)};

    ticket.ticket = gh_view_of(r.p, gh_rd_left(&r));
    if (r.bad || ticket.ticket.len == 0)
        return IKE_SYNTAX;
    *out = ticket;
    return IKE_OK;
}

void ike_ticket_put(struct gh_wr *w, const struct ike_ticket *ticket)
{
    gh_wr_u32(w, ticket->lifetime);
    gh_wr_bytes(w, ticket->ticket.p, ticket->ticket.len);
}

enum ike_fault ike_id_sync_read(struct gh_view data, struct ike_id_sync *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct ike_id_sync sync;

    gh_rd_copy(&r, sync.nonce, sizeof(sync.nonce));
    sync.send = gh_rd_u32(&r);
    sync.receive = gh_rd_u32(&r);
    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    *out = sync;
    return IKE_OK;
}

void ike_id_sync_put(struct gh_wr *w, const struct ike_id_sync *sync)
{
    gh_wr_bytes(w, sync->nonce, sizeof(sync->nonce));
    gh_wr_u32(w, sync->send);
    gh_wr_u32(w, sync->receive);
}

enum ike_fault ike_counter_sync_read(struct gh_view data, uint64_t *delta)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    uint64_t value = data.len == 8 ? gh_rd_u64(&r) : gh_rd_u32(&r);

    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    *delta = value;
    return IKE_OK;
}

enum ike_fault ike_ppk_id_read(struct gh_view data, struct ike_ppk_id *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct ike_ppk_id id = {.type = gh_rd_u8(&r)};

    id.id = gh_view_of(r.p, gh_rd_left(&r));
    if (r.bad || id.id.len == 0)
        return IKE_SYNTAX;
    *out = id;
    return IKE_OK;
}

void ike_ppk_id_put(struct gh_wr *w, const struct ike_ppk_id *id)
{
    gh_wr_u8(w, id->type);
    gh_wr_bytes(w, id->id.p, id->id.len);
}

enum ike_fault ike_puzzle_read(struct gh_view data, struct ike_puzzle *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct ike_puzzle puzzle = {.prf = gh_rd_u16(&r)};

    puzzle.difficulty = gh_rd_u8(&r);
    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    *out = puzzle;
    return IKE_OK;
}

void ike_puzzle_put(struct gh_wr *w, const struct ike_puzzle *puzzle)
{
    gh_wr_u16(w, puzzle->prf);
    gh_wr_u8(w, puzzle->difficulty);
}

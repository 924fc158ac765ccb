#include "keeper/request.h"

#include "keeper/store.h"
#include "wire/rd.h"

static struct gh_view take(struct gh_rd *r, size_t len)
{
    const uint8_t *p = gh_rd_bytes(r, len);

    return gh_view_of(p, p != NULL ? len : 0);
}

static struct gh_view take_rest(struct gh_rd *r)
{
    return take(r, gh_rd_left(r));
}

static bool has_prf(const struct gh_keeper_request *q)
{
    return q->kind == GH_KEEPER_PSK || q->kind == GH_KEEPER_PPK;
}

/* What both directions hold to. */
static bool is_valid(const struct gh_keeper_request *q)
{
    if ((unsigned)q->kind > GH_KEEPER_LIST)
        return false;
    if (q->kind == GH_KEEPER_LIST)
        return q->octets.len == 0 && q->name.len == 0;
    if (!gh_keeper_name_valid(q->name) || q->octets.len == 0 ||
        q->octets.len > GH_KEEPER_OCTETS_MAX)
        return false;
    if (has_prf(q) && gh_prf_len(q->prf) == 0)
        return false;
    if (q->also.len > (q->kind == GH_KEEPER_PSK ? GH_KEEPER_OCTETS_MAX : 0))
        return false;
    return q->kind != GH_KEEPER_PPK || q->len > 0;
}

bool gh_keeper_request_put(struct gh_wr *w, const struct gh_keeper_request *q)
{
    if (!is_valid(q))
        return false;
    gh_wr_u8(w, q->kind);
    gh_wr_u32(w, q->id);
    if (q->kind == GH_KEEPER_LIST)
        return gh_wr_ok(w);
    gh_wr_u8(w, q->name.len);
    gh_wr_bytes(w, q->name.p, q->name.len);
    if (has_prf(q)) {
        gh_wr_u8(w, q->prf);
    } else {
        gh_wr_u8(w, q->params.method);
        gh_wr_u8(w, q->params.hash);
        gh_wr_u8(w, q->params.pss);
    }
    if (q->kind == GH_KEEPER_PPK)
        gh_wr_u8(w, q->len);
    if (q->kind == GH_KEEPER_PSK)
        gh_wr_u32(w, q->octets.len);
    gh_wr_bytes(w, q->octets.p, q->octets.len);
    gh_wr_bytes(w, q->also.p, q->also.len);
    return gh_wr_ok(w);
}

bool gh_keeper_request_parse(struct gh_view data, struct gh_keeper_request *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct gh_keeper_request q = {.kind = gh_rd_u8(&r), .id = gh_rd_u32(&r)};
    uint8_t pss = 0;

    if ((unsigned)q.kind < GH_KEEPER_LIST) {
        q.name = take(&r, gh_rd_u8(&r));
        if (has_prf(&q)) {
            q.prf = gh_rd_u8(&r);
        } else {
            q.params.method = gh_rd_u8(&r);
            q.params.hash = gh_rd_u8(&r);
            pss = gh_rd_u8(&r);
            q.params.pss = pss == 1;
        }
        if (q.kind == GH_KEEPER_PPK)
            q.len = gh_rd_u8(&r);
        if (q.kind == GH_KEEPER_PSK) {
            q.octets = take(&r, gh_rd_u32(&r));
            q.also = take_rest(&r);
        } else {
            q.octets = take_rest(&r);
        }
    }
    if (!gh_rd_done(&r) || pss > 1 || !is_valid(&q))
        return false;
    *out = q;
    return true;
}

/* ---- Answers -------------------------------------------------------------------------------- */

bool gh_keeper_answer_put(struct gh_wr *w, const struct gh_keeper_answer *a)
{
    if ((unsigned)a->result > GH_KEEPER_REFUSED)
        return false;
    gh_wr_u32(w, a->id);
    gh_wr_u8(w, a->result);
    gh_wr_bytes(w, a->value.p, a->value.len);
    return gh_wr_ok(w);
}

bool gh_keeper_answer_parse(struct gh_view data, struct gh_keeper_answer *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct gh_keeper_answer a = {.id = gh_rd_u32(&r), .result = gh_rd_u8(&r)};

    a.value = take_rest(&r);
    if (!gh_rd_done(&r) || (unsigned)a.result > GH_KEEPER_REFUSED)
        return false;
    *out = a;
    return true;
}

/* ---- The list ------------------------------------------------------------------------------- */

static void take_key(struct gh_rd *r, struct gh_keeper_entry *e)
{
    e->key_type = gh_rd_u8(r);
    e->bits = gh_rd_u16(r);
    e->spki = take(r, gh_rd_u16(r));
    e->cert_count = gh_rd_u8(r);
    e->certs.p = r->p;
    for (size_t i = 0; i < e->cert_count; i++)
        gh_rd_skip(r, gh_rd_u16(r));
    e->certs.len = r->bad ? 0 : (size_t)(r->p - e->certs.p);
}

bool gh_keeper_entry_next(struct gh_view *rest, struct gh_keeper_entry *out)
{
    struct gh_rd r = gh_rd_make(rest->p, rest->len);
    struct gh_keeper_entry e = {.kind = gh_rd_u8(&r)};

    e.name = take(&r, gh_rd_u8(&r));
    if (e.kind == GH_SECRET_KEY)
        take_key(&r, &e);
    if (r.bad || (unsigned)e.kind > GH_SECRET_PPK || !gh_keeper_name_valid(e.name))
        return false;
    *out = e;
    *rest = take_rest(&r);
    return true;
}

struct gh_view gh_keeper_entry_cert(const struct gh_keeper_entry *e, size_t i)
{
    struct gh_rd r = gh_rd_make(e->certs.p, e->certs.len);

    while (i-- > 0)
        gh_rd_skip(&r, gh_rd_u16(&r));
    return take(&r, gh_rd_u16(&r));
}

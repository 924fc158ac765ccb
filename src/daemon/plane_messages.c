#include "daemon/plane_messages.h"

#include <string.h>

#include "config/octets.h"

static enum ipsec_protocol take_protocol(struct gh_rd *r)
{
    uint8_t protocol = gh_rd_u8(r);

    if (protocol != IPSEC_ESP && protocol != IPSEC_AH)
        r->bad = true;
    return (enum ipsec_protocol)protocol;
}

void gh_plane_put_sa(struct gh_wr *w, const struct gh_plane_sa *sa)
{
    gh_wr_u64(w, sa->id);
    gh_wr_u8(w, sa->way);
    gh_wr_u32(w, sa->tie);
    gh_wr_u8(w, sa->there);
    gh_esp_put_child(w, &sa->child);
}

bool gh_plane_take_sa(struct gh_rd *r, struct gh_plane_sa *out)
{
    memset(out, 0, sizeof(*out));
    out->id = gh_rd_u64(r);
    out->way = (enum ipsec_way)gh_get_below(r, gh_rd_u8(r), IPSEC_IN + 1);
    out->tie = gh_rd_u32(r);
    out->there = gh_get_flag(r);
    return gh_esp_take_child(r, &out->child) && out->id != 0;
}

void gh_plane_put_policy(struct gh_wr *w, const struct gh_plane_policy *p)
{
    gh_wr_u32(w, p->number);
    gh_wr_u32(w, p->tie);
    gh_wr_u8(w, p->action);
    gh_wr_u8(w, p->out);
    gh_wr_u8(w, p->in);
    gh_wr_u8(w, p->protocol);
    gh_wr_u8(w, p->mode);
    gh_put_addr(w, &p->local);
    gh_put_addr(w, &p->remote);
    gh_esp_put_ts_list(w, &p->ts_local);
    gh_esp_put_ts_list(w, &p->ts_remote);
}

bool gh_plane_take_policy(struct gh_rd *r, struct gh_plane_policy *p)
{
    memset(p, 0, sizeof(*p));
    p->number = gh_rd_u32(r);
    p->tie = gh_rd_u32(r);
    p->action = (enum ipsec_action)gh_get_below(r, gh_rd_u8(r), IPSEC_PROTECT + 1);
    p->out = gh_get_flag(r);
    p->in = gh_get_flag(r);
    p->protocol = take_protocol(r);
    p->mode = (enum ipsec_mode)gh_get_below(r, gh_rd_u8(r), IPSEC_TRANSPORT + 1);
    gh_get_addr(r, false, &p->local);
    gh_get_addr(r, false, &p->remote);
    gh_esp_take_ts_list(r, &p->ts_local);
    gh_esp_take_ts_list(r, &p->ts_remote);
    return !r->bad;
}

void gh_plane_put_used(struct gh_wr *w, const struct gh_plane_used *u)
{
    gh_wr_u64(w, u->id);
    gh_wr_u64(w, u->packets);
    gh_wr_u64(w, u->octets);
    gh_wr_u64(w, u->sequence);
    gh_wr_u64(w, u->old);
    gh_wr_u64(w, u->replay);
    gh_wr_u64(w, u->icv);
    gh_wr_u64(w, u->last_used);
    gh_wr_u8(w, u->incoming);
}

bool gh_plane_take_used(struct gh_rd *r, struct gh_plane_used *u)
{
    memset(u, 0, sizeof(*u));
    u->id = gh_rd_u64(r);
    u->packets = gh_rd_u64(r);
    u->octets = gh_rd_u64(r);
    u->sequence = gh_rd_u64(r);
    u->old = gh_rd_u64(r);
    u->replay = gh_rd_u64(r);
    u->icv = gh_rd_u64(r);
    u->last_used = gh_rd_u64(r);
    u->incoming = gh_get_flag(r);
    return gh_rd_done(r);
}

void gh_plane_put_wanted(struct gh_wr *w, const struct gh_plane_wanted *x)
{
    gh_wr_u32(w, x->tie);
    gh_put_addr(w, &x->flow.local);
    gh_put_addr(w, &x->flow.remote);
    gh_wr_u16(w, x->flow.local_port);
    gh_wr_u16(w, x->flow.remote_port);
    gh_wr_u8(w, x->flow.protocol);
    gh_wr_u8(w, x->flow.ports);
    gh_wr_u8(w, x->flow.one_sided);
}

bool gh_plane_take_wanted(struct gh_rd *r, struct gh_plane_wanted *x)
{
    memset(x, 0, sizeof(*x));
    x->tie = gh_rd_u32(r);
    gh_get_addr(r, true, &x->flow.local);
    gh_get_addr(r, true, &x->flow.remote);
    x->flow.local_port = gh_rd_u16(r);
    x->flow.remote_port = gh_rd_u16(r);
    x->flow.protocol = gh_rd_u8(r);
    x->flow.ports = gh_get_flag(r);
    x->flow.one_sided = gh_get_flag(r);
    return gh_rd_done(r) && x->flow.local.len == x->flow.remote.len;
}

void gh_plane_put_moved(struct gh_wr *w, const struct gh_plane_moved *m)
{
    gh_wr_u64(w, m->id);
    gh_put_addr(w, &m->from);
    gh_wr_u16(w, m->from_port);
}

bool gh_plane_take_moved(struct gh_rd *r, struct gh_plane_moved *m)
{
    memset(m, 0, sizeof(*m));
    m->id = gh_rd_u64(r);
    gh_get_addr(r, true, &m->from);
    m->from_port = gh_rd_u16(r);
    return gh_rd_done(r);
}

void gh_plane_put_refused(struct gh_wr *w, const struct gh_plane_refused *x)
{
    gh_wr_u64(w, x->id);
    gh_wr_u32(w, x->number);
    gh_esp_put_string(w, x->why);
}

bool gh_plane_take_refused(struct gh_rd *r, struct gh_plane_refused *x)
{
    memset(x, 0, sizeof(*x));
    x->id = gh_rd_u64(r);
    x->number = gh_rd_u32(r);
    gh_esp_take_string(r, x->why, sizeof(x->why));
    return gh_rd_done(r);
}

void gh_plane_put_counts(struct gh_wr *w, const struct gh_plane_counts *x)
{
    for (int way = IPSEC_OUT; way <= IPSEC_IN; way++)
        for (int i = 0; i < IPSEC_RESULT_COUNT; i++)
            gh_wr_u64(w, x->counts[way][i]);
}

bool gh_plane_take_counts(struct gh_rd *r, struct gh_plane_counts *x)
{
    for (int way = IPSEC_OUT; way <= IPSEC_IN; way++)
        for (int i = 0; i < IPSEC_RESULT_COUNT; i++)
            x->counts[way][i] = gh_rd_u64(r);
    return gh_rd_done(r);
}

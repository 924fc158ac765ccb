#include "daemon/esp_children_priv.h"

/* ---- Packets and time ----------------------------------------------------------------------- */

/* What was used up is written down. */
static void note(struct gh_esp_children *c, size_t at, const struct ipsec_sa *sa)
{
    if (sa->p.way == IPSEC_OUT)
        c->slots[at].seq_out = sa->seq;
    else
        c->slots[at].top_in = sa->replay.top;
    c->slots[at].octets[sa->p.way] = sa->counts.octets;
    c->slots[at].packets[sa->p.way] = sa->counts.packets;
}

void gh_esp_children_passed(struct gh_esp_children *c, const struct ipsec_packet *packets,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ipsec_sa *sa = packets[i].result == IPSEC_OK || packets[i].sa != 0
                                        ? ipsec_get_sa(c->engine, packets[i].sa)
                                        : NULL;
        size_t at;

        if (sa == NULL)
            continue;
        at = gh_esp_slot_of(packets[i].sa);
        note(c, at, sa);
        if (c->list[at].other > 0) { /* AH around ESP: it went through both */
            const size_t other = c->list[at].other - 1;
            const struct ipsec_sa *its = gh_esp_child_sa(c, other, sa->p.way);

            if (its != NULL)
                note(c, other, its);
        }
        if (sa->p.way == IPSEC_IN && packets[i].result == IPSEC_OK && c->list[at].out_due_ms != 0)
            gh_esp_child_add_out(c, at);
    }
}

static void tell_use(struct gh_esp_children *c, size_t at, enum ipsec_way way)
{
    const struct ipsec_sa *sa = gh_esp_child_sa(c, at, way);
    struct child *child = &c->list[at];
    struct gh_esp_usage u = {.id = child->id, .incoming = way == IPSEC_IN};

    if (sa == NULL || gh_esp_child_is_orphan(c, at))
        return;
    if (child->kernel && child->taken_over[way] && sa->counts.packets > 0) {
        child->taken_over[way] = false; /* an earlier instance told of these */
        child->told_octets[way] = sa->counts.octets;
        child->told_packets[way] = sa->counts.packets;
    }
    u.octets = sa->counts.octets - child->told_octets[way];
    u.packets = sa->counts.packets - child->told_packets[way];
    child->told_octets[way] = sa->counts.octets;
    child->told_packets[way] = sa->counts.packets;
    if (u.packets > 0)
        c->ops->used(c->ctx, &u);
}

static bool is_used_up(const struct gh_esp_children *c, size_t at)
{
    const struct ipsec_sa *in = gh_esp_child_sa(c, at, IPSEC_IN),
                          *out = gh_esp_child_sa(c, at, IPSEC_OUT);

    return (in != NULL && in->told_hard) || (out != NULL && out->told_hard);
}

static void expire(struct gh_esp_children *c, size_t at)
{
    uint32_t id = c->list[at].id;
    bool told = !gh_esp_child_is_orphan(c, at) && c->list[at].end_ms == 0;

    gh_esp_child_drop(c, at);
    if (told)
        c->ops->used_up(c->ctx, id);
}

void gh_esp_children_tick(struct gh_esp_children *c, uint64_t now_ms)
{
    for (size_t i = c->top; i-- > 0;) {
        struct child *child = &c->list[i];

        if (!child->there)
            continue;
        tell_use(c, i, IPSEC_OUT);
        tell_use(c, i, IPSEC_IN);
        if ((child->end_ms != 0 && now_ms >= child->end_ms) ||
            (c->slots[i].until_ms != 0 && now_ms >= c->slots[i].until_ms))
            gh_esp_child_drop(c, i);
        else if (is_used_up(c, i))
            expire(c, i);
        else if (child->out_due_ms != 0 && now_ms >= child->out_due_ms)
            gh_esp_child_add_out(c, i);
    }
}

/* ---- Looking -------------------------------------------------------------------------------- */

bool gh_esp_children_id(const struct gh_esp_children *c, uint64_t sa, uint32_t *id)
{
    size_t at = gh_esp_slot_of(sa);

    if (sa == 0 || at >= c->top || !c->list[at].there || gh_esp_child_is_orphan(c, at))
        return false;
    *id = c->list[at].id;
    return true;
}

bool gh_esp_children_policy(const struct gh_esp_children *c, uint32_t id, uint32_t *policy)
{
    size_t at = gh_esp_child_find(c, id);

    if (at != SIZE_MAX)
        *policy = c->list[at].policy;
    return at != SIZE_MAX;
}

void gh_esp_children_each_out(const struct gh_esp_children *c, void (*fn)(void *ctx, uint64_t sa),
                              void *ctx)
{
    for (size_t i = 0; i < c->top; i++)
        if (c->list[i].there && c->list[i].out && !c->list[i].around)
            fn(ctx, gh_esp_sa_id(i, IPSEC_OUT));
}

void gh_esp_children_each(const struct gh_esp_children *c,
                          void (*fn)(void *ctx, const struct gh_esp_child_view *v), void *ctx)
{
    for (size_t i = 0; i < c->top; i++) {
        struct gh_esp_child d;
        struct gh_esp_child_view v = {.child = &d};

        if (!c->list[i].there || !gh_esp_slot_decode(&c->slots[i], &d))
            continue;
        d.key_in = d.key_out = gh_view_of(NULL, 0);
        v.in = gh_esp_child_sa(c, i, IPSEC_IN);
        v.out = gh_esp_child_sa(c, i, IPSEC_OUT);
        v.owner = (uint32_t)i;
        v.manual = gh_esp_child_is_manual(c, i);
        v.orphan = gh_esp_child_is_orphan(c, i) && !v.manual;
        v.until_ms = c->slots[i].until_ms;
        fn(ctx, &v);
    }
}

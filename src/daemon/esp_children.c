#include "daemon/esp_children_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "ike/ts_set.h"

enum {
    HANDOVER_MS = 30000, /* from the new child of a new `ike` to the end of the old one */
    ANSWERED_MS = 2000   /* by then the peer has our answer to its rekeying */
};

bool gh_esp_slot_decode(const struct slot *s, struct gh_esp_child *out)
{
    struct gh_rd r = gh_rd_make(s->body, s->len <= sizeof(s->body) ? s->len : 0);

    return gh_esp_take_child(&r, out);
}

/* ---- In the engine -------------------------------------------------------------------------- */

static struct gh_esp_plane_sa for_kernel(struct gh_esp_children *c, size_t at,
                                         const struct gh_esp_child *d, enum ipsec_way way)
{
    return (struct gh_esp_plane_sa){.id = gh_esp_sa_id(at, way),
                                    .way = way,
                                    .policy = c->list[at].policy,
                                    .tie = &c->slots[at].tie,
                                    .there = c->list[at].taken_over[way],
                                    .child = d};
}

static bool add_sa(struct gh_esp_children *c, size_t at, const struct gh_esp_child *d,
                   enum ipsec_way way)
{
    struct ipsec_selector selectors[IPSEC_SELECTORS_MAX];
    struct ipsec_sa_params p;

    if (c->list[at].kernel) {
        const struct gh_esp_plane_sa sa = for_kernel(c, at, d, way);

        return c->kernel != NULL && c->kernel->add(c->kernel->ctx, &sa);
    }
    if (!gh_esp_child_params(d, way, selectors, &p))
        return false;
    p.id = gh_esp_sa_id(at, way);
    p.place = c->list[at].place;
    p.policy = c->list[at].policy;
    p.last_seq = way == IPSEC_IN ? c->slots[at].top_in : c->slots[at].seq_out;
    p.used_octets = c->slots[at].octets[way];
    p.used_packets = c->slots[at].packets[way];
    if (d->bundle == GH_ESP_AROUND)
        p.policy = UINT32_MAX; /* no packet is for it alone */
    if (d->bundle == GH_ESP_INSIDE && c->list[at].other == 0)
        return false;
    if (d->bundle == GH_ESP_INSIDE)
        p.outer = gh_esp_sa_id(c->list[at].other - 1, way);
    return p.place != UINT32_MAX && ipsec_add_sa(c->engine, &p);
}

static void remove_sa(struct gh_esp_children *c, size_t at, enum ipsec_way way)
{
    if (!c->list[at].kernel)
        ipsec_remove_sa(c->engine, gh_esp_sa_id(at, way));
    else if (c->kernel != NULL)
        c->kernel->remove(c->kernel->ctx, gh_esp_sa_id(at, way));
}

const struct ipsec_sa *gh_esp_child_sa(const struct gh_esp_children *c, size_t at,
                                       enum ipsec_way way)
{
    if (!c->list[at].kernel)
        return ipsec_get_sa(c->engine, gh_esp_sa_id(at, way));
    return c->kernel != NULL ? c->kernel->get(c->kernel->ctx, gh_esp_sa_id(at, way)) : NULL;
}

static void tell_changed(const struct gh_esp_children *c, size_t at)
{
    if (c->list[at].out && !c->list[at].around && c->ops->changed != NULL)
        c->ops->changed(c->ctx, gh_esp_sa_id(at, IPSEC_OUT));
}

static void drop_out(struct gh_esp_children *c, size_t at)
{
    c->list[at].out_due_ms = 0;
    if (c->list[at].out)
        remove_sa(c, at, IPSEC_OUT);
    c->list[at].out = false;
}

/* The engine takes the newest SA of several. The kernel knows their seconds only: of two from the
 * same one it may go on with the old, which the peer ends now. */
static void drop_replaced(struct gh_esp_children *c, uint32_t id)
{
    size_t old = id != 0 ? gh_esp_child_find(c, id) : SIZE_MAX;

    if (old != SIZE_MAX)
        drop_out(c, old);
}

bool gh_esp_child_add_out(struct gh_esp_children *c, size_t at)
{
    struct gh_esp_child d;

    c->list[at].out_due_ms = 0;
    if (!c->list[at].out && gh_esp_slot_decode(&c->slots[at], &d))
        c->list[at].out = add_sa(c, at, &d, IPSEC_OUT);
    if (c->list[at].kernel && c->list[at].out)
        drop_replaced(c, c->list[at].replaces);
    tell_changed(c, at);
    return c->list[at].out;
}

void gh_esp_child_drop(struct gh_esp_children *c, size_t at)
{
    struct slot *s = &c->slots[at];
    struct gh_esp_child d;

    if (c->ops->gone != NULL && !c->list[at].around && gh_esp_slot_decode(s, &d) && !d.kernel)
        c->ops->gone(c->ctx, (uint32_t)at, &d);
    drop_out(c, at);
    if (c->list[at].in)
        remove_sa(c, at, IPSEC_IN);
    if (c->list[at].other > 0)
        c->list[c->list[at].other - 1].other = 0;
    c->list[at] = (struct child){.there = false};
    c->used[at] = 0;
    gh_wipe(s, sizeof(*s));
    while (c->top > 0 && !c->list[c->top - 1].there)
        c->top--;
}

bool gh_esp_child_begin(struct gh_esp_children *c, size_t at, const struct gh_esp_child *d,
                        bool restored)
{
    struct child *child = &c->list[at];

    *child = (struct child){.there = true,
                            .kernel = d->kernel,
                            .around = d->bundle == GH_ESP_AROUND,
                            .taken_over = {restored, restored},
                            .id = d->id,
                            .replaces = d->replaces,
                            .policy = gh_esp_number(c->policies, d->peer, d->name),
                            .place = gh_esp_number(c->places, d->netns, d->vrf),
                            .remote = d->remote};
    memcpy(child->told_octets, c->slots[at].octets, sizeof(child->told_octets));
    memcpy(child->told_packets, c->slots[at].packets, sizeof(child->told_packets));
    if (c->top <= at)
        c->top = at + 1;
    if (d->bundle == GH_ESP_INSIDE)
        gh_esp_child_join(c, at);
    child->in = child->policy != UINT32_MAX &&
                (d->kernel || child->around || c->ops->came == NULL ||
                 c->ops->came(c->ctx, (uint32_t)at, d)) &&
                add_sa(c, at, d, IPSEC_IN);
    return child->in;
}

/* ---- What `ike` says ------------------------------------------------------------------------ */

size_t gh_esp_child_find(const struct gh_esp_children *c, uint32_t id)
{
    for (size_t i = 0; i < c->top; i++)
        if (c->list[i].there && c->list[i].id == id && !gh_esp_child_is_orphan(c, i))
            return i;
    return SIZE_MAX;
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The numbers in order, to be freed. NULL: no memory. */
static uint32_t *sorted(struct gh_rd ids, size_t *count)
{
    uint32_t *list = malloc(gh_rd_left(&ids) + sizeof(*list));

    *count = 0;
    while (list != NULL && gh_rd_left(&ids) > 0)
        list[(*count)++] = gh_rd_u32(&ids);
    if (list != NULL)
        qsort(list, *count, sizeof(*list), by_number);
    return list;
}

/* What one side has and the other has not was lost with an instance of ours. */
static void compare(struct gh_esp_children *c, const uint32_t *ids, size_t count, bool *seen)
{
    for (size_t i = c->top; i-- > 0;) {
        const struct child *child = &c->list[i];
        const uint32_t *id;

        if (!child->there || gh_esp_child_is_orphan(c, i))
            continue;
        id = bsearch(&child->id, ids, count, sizeof(*ids), by_number);
        if (id != NULL)
            seen[id - ids] = true;
        else if (child->end_ms == 0)
            gh_esp_child_drop(c, i);
    }
    for (size_t i = 0; i < count; i++)
        if (!seen[i])
            c->ops->missing(c->ctx, ids[i]);
}

bool gh_esp_children_hello(struct gh_esp_children *c, struct gh_rd *body)
{
    struct gh_rd ids;
    uint32_t *list;
    size_t count;
    bool *seen;

    if (!gh_esp_take_hello(body, &c->epoch, &ids))
        return false;
    list = sorted(ids, &count);
    seen = calloc(count + 1, sizeof(*seen));
    if (list != NULL && seen != NULL)
        compare(c, list, count, seen);
    free(list);
    free(seen);
    return true;
}

/* Others that carry the same between the same ends. */
static bool is_sibling(const struct child *a, const struct child *b)
{
    return a != b && a->there && a->policy == b->policy && gh_addr_equal(&a->remote, &b->remote);
}

/* Is there another SA to the same peer that carries all that this one is to carry? Not one of an
 * `ike` that has ended: the peer begins anew because it has given that up. */
static bool has_elder(const struct gh_esp_children *c, size_t at, const struct gh_esp_child *d)
{
    struct gh_esp_child elder;

    for (size_t i = 0; i < c->top; i++)
        if (is_sibling(&c->list[i], &c->list[at]) && !gh_esp_child_is_orphan(c, i) &&
            c->list[i].out && c->list[i].end_ms == 0 && gh_esp_slot_decode(&c->slots[i], &elder) &&
            memcmp(elder.tunnel, d->tunnel, GH_ESP_TUNNEL) == 0 &&
            ike_ts_list_contains(&elder.ts_local, &d->ts_local) &&
            ike_ts_list_contains(&elder.ts_remote, &d->ts_remote))
            return true;
    return false;
}

static void supersede_orphans(struct gh_esp_children *c, size_t at, uint64_t now_ms)
{
    for (size_t i = 0; i < c->top; i++)
        if (is_sibling(&c->list[i], &c->list[at]) && gh_esp_child_is_orphan(c, i) &&
            c->list[i].end_ms == 0)
            c->list[i].end_ms = now_ms + HANDOVER_MS;
}

size_t gh_esp_slot_free(const struct gh_esp_children *c)
{
    size_t at = 0;

    while (at < c->top && c->list[at].there)
        at++;
    return at;
}

void gh_esp_slot_fill(struct gh_esp_children *c, size_t at, const struct gh_esp_child *d,
                      uint64_t now_ms)
{
    struct slot *s = &c->slots[at];
    struct gh_wr w = gh_wr_make(s->body, sizeof(s->body));

    s->epoch = c->epoch;
    s->order = ++c->order;
    s->going = 0;
    s->tie = 0;
    s->seq_out = s->top_in = 0;
    memset(s->octets, 0, sizeof(s->octets));
    memset(s->packets, 0, sizeof(s->packets));
    s->until_ms = d->seconds > 0 ? now_ms + 1000 * (uint64_t)d->seconds : 0;
    gh_esp_put_child(&w, d);
    s->len = gh_wr_ok(&w) ? (uint32_t)w.len : 0;
    c->used[at] = 1;
}

bool gh_esp_children_install(struct gh_esp_children *c, struct gh_rd *body, uint64_t now_ms,
                             uint32_t *id, bool *refused)
{
    struct gh_esp_child d;
    size_t at = gh_esp_slot_free(c);

    if (!gh_esp_take_child(body, &d))
        return false;
    *id = d.id;
    *refused = at >= GH_ESP_CHILDREN_MAX || c->slots == NULL;
    if (*refused)
        return true;
    gh_esp_slot_fill(c, at, &d, now_ms);
    *refused = !gh_esp_child_begin(c, at, &d, false);
    /* The peer that asked for new keys cannot use them before it has our answer (RFC 7296 2.8):
     * until it does, we send by the old ones; also where it did not ask for them in the old ones'
     * place, as when both ends begin at once. */
    if (!*refused && !d.initiator &&
        (gh_esp_child_find(c, d.replaces) != SIZE_MAX || has_elder(c, at, &d)))
        c->list[at].out_due_ms = now_ms + ANSWERED_MS;
    else if (!*refused)
        *refused = !gh_esp_child_add_out(c, at);
    if (*refused)
        gh_esp_child_drop(c, at);
    else
        supersede_orphans(c, at, now_ms);
    return true;
}

static void move_in_kernel(struct gh_esp_children *c, size_t at, const struct gh_esp_child *d)
{
    const struct child *child = &c->list[at];

    for (enum ipsec_way way = IPSEC_OUT; way <= IPSEC_IN; way++) {
        const struct gh_esp_plane_sa sa = for_kernel(c, at, d, way);

        if (way == IPSEC_IN ? child->in : child->out)
            c->kernel->move(c->kernel->ctx, &sa);
    }
}

static void move(struct gh_esp_children *c, size_t at, struct gh_esp_child *d,
                 const struct gh_esp_ends *e)
{
    uint8_t octets[GH_ESP_CHILD_MAX]; /* not in place: d's keys are there */
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));

    for (enum ipsec_way way = IPSEC_OUT; way <= IPSEC_IN && !c->list[at].kernel; way++)
        ipsec_move_sa(c->engine, gh_esp_sa_id(at, way), &e->local, e->local_port, &e->remote,
                      e->remote_port);
    c->list[at].remote = d->remote = e->remote;
    d->local = e->local;
    d->local_port = e->local_port;
    d->remote_port = e->remote_port;
    if (c->list[at].kernel)
        move_in_kernel(c, at, d);
    else
        tell_changed(c, at);
    gh_esp_put_child(&w, d);
    if (gh_wr_ok(&w)) {
        memcpy(c->slots[at].body, octets, w.len);
        c->slots[at].len = (uint32_t)w.len;
    }
    gh_wipe(octets, sizeof(octets));
}

bool gh_esp_children_move(struct gh_esp_children *c, struct gh_rd *body)
{
    struct gh_esp_ends e;
    struct gh_esp_child d;
    size_t at;

    if (!gh_esp_take_ends(body, &e))
        return false;
    at = gh_esp_child_find(c, e.id);
    if (at != SIZE_MAX && gh_esp_slot_decode(&c->slots[at], &d))
        move(c, at, &d, &e);
    return true;
}

void gh_esp_children_moved(struct gh_esp_children *c, uint64_t sa, const struct gh_addr *from,
                           uint16_t from_port)
{
    size_t at = gh_esp_slot_of(sa);
    struct gh_esp_child d;

    if (at < c->top && c->list[at].there && gh_esp_slot_decode(&c->slots[at], &d) && d.follows &&
        from_port != 0)
        move(c, at, &d,
             &(struct gh_esp_ends){.local = d.local,
                                   .remote = *from,
                                   .local_port = d.local_port,
                                   .remote_port = from_port});
}

/* Whoever was to take its place does so now. */
static void succeed(struct gh_esp_children *c, uint32_t replaced, size_t at)
{
    for (size_t i = 0; i < c->top; i++)
        if (c->list[i].there && c->list[i].out_due_ms != 0 &&
            (c->list[i].replaces == replaced ||
             (c->list[i].replaces == 0 && is_sibling(&c->list[i], &c->list[at]))))
            gh_esp_child_add_out(c, i);
}

static bool has_sibling(const struct gh_esp_children *c, size_t at)
{
    for (size_t i = 0; i < c->top; i++)
        if (is_sibling(&c->list[i], &c->list[at]) && c->list[i].end_ms == 0)
            return true;
    return false;
}

bool gh_esp_children_remove(struct gh_esp_children *c, struct gh_rd *body, uint64_t now_ms)
{
    uint32_t id = gh_rd_u32(body);
    uint8_t why = gh_rd_u8(body);
    size_t at = gh_esp_child_find(c, id);

    if (at == SIZE_MAX)
        return true;
    succeed(c, id, at);
    /* The peer has another in its place; what it sent before is let in. */
    if (why == IKE2_REMOVED_REPLACED || (why == IKE2_REMOVED_LOST && has_sibling(c, at))) {
        drop_out(c, at);
        c->slots[at].going = 1;
        c->list[at].end_ms = now_ms + GH_ESP_LATE_MS;
    } else {
        gh_esp_child_drop(c, at);
    }
    return true;
}

void gh_esp_children_yield(struct gh_esp_children *c, uint32_t owner)
{
    if (owner < c->top && c->list[owner].there && gh_esp_child_is_orphan(c, owner))
        gh_esp_child_drop(c, owner);
}

/* ---- The kernel ----------------------------------------------------------------------------- */

void gh_esp_children_set_kernel(struct gh_esp_children *c, const struct gh_esp_plane *kernel)
{
    c->kernel = kernel;
}

void gh_esp_children_again(struct gh_esp_children *c)
{
    for (size_t i = 0; i < c->top; i++) {
        struct gh_esp_child d;

        if (!c->list[i].there || !c->list[i].kernel || !gh_esp_slot_decode(&c->slots[i], &d))
            continue;
        for (enum ipsec_way way = IPSEC_OUT; way <= IPSEC_IN; way++)
            if (way == IPSEC_IN ? c->list[i].in : c->list[i].out)
                (void)add_sa(c, i, &d, way); /* what it refuses, it tells */
    }
}

void gh_esp_children_came(struct gh_esp_children *c, uint64_t sa)
{
    size_t at = gh_esp_slot_of(sa);

    if (at < c->top && c->list[at].there && c->list[at].out_due_ms != 0)
        gh_esp_child_add_out(c, at);
}

bool gh_esp_children_fail(struct gh_esp_children *c, uint64_t sa, uint32_t *id,
                          struct gh_esp_child *child)
{
    size_t at = gh_esp_slot_of(sa);
    bool told;

    if (sa == 0 || at >= c->top || !c->list[at].there || !gh_esp_slot_decode(&c->slots[at], child))
        return false;
    child->key_in = child->key_out = gh_view_of(NULL, 0);
    told = !gh_esp_child_is_orphan(c, at);
    *id = told ? c->list[at].id : 0;
    gh_esp_child_drop(c, at);
    return true;
}

void gh_esp_children_check(struct gh_esp_children *c,
                           bool (*fits)(void *ctx, uint32_t policy, uint32_t place, bool kernel),
                           void *ctx)
{
    for (size_t i = c->top; i-- > 0;) {
        uint32_t id = c->list[i].id;
        bool orphan;

        if (!c->list[i].there || fits(ctx, c->list[i].policy, c->list[i].place, c->list[i].kernel))
            continue;
        orphan = gh_esp_child_is_orphan(c, i);
        gh_esp_child_drop(c, i);
        if (!orphan)
            c->ops->missing(c->ctx, id);
    }
}

bool gh_esp_children_check_one(struct gh_esp_children *c, uint32_t id,
                               bool (*fits)(void *ctx, uint32_t policy, uint32_t place,
                                            bool kernel),
                               void *ctx)
{
    size_t at = gh_esp_child_find(c, id);

    if (at == SIZE_MAX || fits(ctx, c->list[at].policy, c->list[at].place, c->list[at].kernel))
        return at != SIZE_MAX;
    gh_esp_child_drop(c, at);
    return false;
}

#include "tcpao/kernel_plan.h"

#include <string.h>

#include "keys/chain.h"
#include "tcpao/conn.h"

/* A key on the socket, or one that is to come. */
struct slot {
    const struct tcpao_mkt *mkt; /* NULL: the lock, or one that is not the chain's */
    uint8_t send_id, recv_id;
    bool lock;
    bool present;
    bool wanted;
};

struct work {
    const struct tcpao_chain *chain;
    int64_t now;
    enum ao_kernel_role role;
    struct ao_kernel_plan *out;
    struct slot slots[AO_KERNEL_KEYS_MAX + TCPAO_CHAIN_KEYS_MAX + 2];
    size_t count;
    struct slot *current, *rnext; /* as they are after the steps so far; NULL: none */
};

/* ---- What should be there ------------------------------------------------------------------- */

static void take_keys(struct work *w, const struct ao_kernel_key *keys, size_t count)
{
    for (size_t i = 0; i < count && w->count < AO_KERNEL_KEYS_MAX; i++) {
        struct slot *s = &w->slots[w->count++];

        *s = (struct slot){.mkt = keys[i].known ? tcpao_chain_find(w->chain, keys[i].number) : NULL,
                           .send_id = keys[i].send_id,
                           .recv_id = keys[i].recv_id,
                           .lock = keys[i].lock,
                           .present = true};
        if (keys[i].current)
            w->current = s;
        if (keys[i].rnext)
            w->rnext = s;
    }
}

static struct slot *slot_of(struct work *w, const struct tcpao_mkt *mkt)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->slots[i].mkt == mkt)
            return &w->slots[i];
    w->slots[w->count] =
        (struct slot){.mkt = mkt, .send_id = mkt->send_id, .recv_id = mkt->recv_id};
    return &w->slots[w->count++];
}

static bool clash(const struct slot *a, const struct slot *b)
{
    return a != b && (a->send_id == b->send_id || a->recv_id == b->recv_id);
}

/* Of two keys with the same id the one in use, then the one whose time it is, then the newer. */
static bool goes_first(const struct work *w, const struct tcpao_mkt *a, const struct tcpao_mkt *b)
{
    const struct tcpao_conn_state *st = &w->out->st;
    bool now_a = tcpao_lifetime_includes(a->accept, w->now, 0);
    bool now_b = tcpao_lifetime_includes(b->accept, w->now, 0);

    for (size_t i = 0; i < 2; i++) {
        bool known = i == 0 ? st->current_known : st->rnext_known;
        uint32_t number = i == 0 ? st->current_key : st->rnext_key;

        if (known && a->number == number)
            return true;
        if (known && b->number == number)
            return false;
    }
    if (now_a != now_b)
        return now_a;
    if (a->accept.from != b->accept.from)
        return a->accept.from > b->accept.from;
    return a->number > b->number;
}

static bool acceptable(const struct work *w, const struct tcpao_mkt *mkt)
{
    return tcpao_lifetime_includes(mkt->accept, w->now, tcpao_chain_tolerance(w->chain)) &&
           !chain_key_retired(&w->out->st, mkt, w->now);
}

static void want(struct work *w)
{
    const struct tcpao_conn_state *st = &w->out->st;

    for (size_t i = 0; i < tcpao_chain_count(w->chain); i++) {
        const struct tcpao_mkt *mkt = tcpao_chain_at(w->chain, i);
        bool in_use = (st->current_known && st->current_key == mkt->number) ||
                      (st->rnext_known && st->rnext_key == mkt->number);

        if (in_use || acceptable(w, mkt))
            slot_of(w, mkt)->wanted = true;
    }
    for (size_t i = 0; i < w->count; i++) {
        for (size_t k = 0; w->slots[i].wanted && k < w->count; k++) {
            struct slot *a = &w->slots[i], *b = &w->slots[k];

            if (b->wanted && clash(a, b) && !goes_first(w, a->mkt, b->mkt))
                a->wanted = false;
        }
    }
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static struct ao_kernel_step *step(struct work *w, enum ao_kernel_step_kind kind,
                                   const struct slot *s)
{
    struct ao_kernel_step *x = &w->out->steps[w->out->count++];

    *x = (struct ao_kernel_step){
        .kind = kind, .mkt = s->mkt, .send_id = s->send_id, .recv_id = s->recv_id};
    return x;
}

static void add(struct work *w, struct slot *s)
{
    step(w, s->lock ? AO_KERNEL_ADD_LOCK : AO_KERNEL_ADD, s);
    s->present = true;
}

static void take_away(struct work *w, struct slot *s)
{
    step(w, AO_KERNEL_DELETE, s);
    s->present = false;
}

static void move(struct work *w, struct slot *current, struct slot *rnext)
{
    if (w->role == AO_KERNEL_LISTENER || (w->current == current && w->rnext == rnext))
        return;
    step(w, AO_KERNEL_MOVE, current)->recv_id = rnext->recv_id;
    w->current = current;
    w->rnext = rnext;
}

static bool blocked(struct work *w, const struct slot *s)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->slots[i].present && clash(&w->slots[i], s))
            return true;
    return false;
}

static void add_what_fits(struct work *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->slots[i].wanted && !w->slots[i].present && !blocked(w, &w->slots[i]))
            add(w, &w->slots[i]);
}

/* An id that no key of the socket or of the chain has. */
static uint8_t free_id(const struct work *w, bool send)
{
    bool used[256] = {false};
    unsigned id = 255;

    for (size_t i = 0; i < w->count; i++)
        used[send ? w->slots[i].send_id : w->slots[i].recv_id] = true;
    for (size_t i = 0; i < tcpao_chain_count(w->chain); i++) {
        const struct tcpao_mkt *mkt = tcpao_chain_at(w->chain, i);

        used[send ? mkt->send_id : mkt->recv_id] = true;
    }
    while (id > 0 && used[id])
        id--;
    return (uint8_t)id;
}

/* One that is there already, but for `except`, or a new one. */
static struct slot *lock(struct work *w, const struct slot *except)
{
    struct slot *s = NULL;

    for (size_t i = 0; i < w->count; i++)
        if (w->slots[i].lock && w->slots[i].present && &w->slots[i] != except)
            s = &w->slots[i];
    if (s == NULL) {
        s = &w->slots[w->count];
        *s = (struct slot){.send_id = free_id(w, true), .recv_id = free_id(w, false), .lock = true};
        w->count++;
        add(w, s);
    }
    return s;
}

static struct slot *wanted_slot(struct work *w, bool known, uint32_t number)
{
    for (size_t i = 0; known && i < w->count; i++)
        if (w->slots[i].wanted && w->slots[i].mkt != NULL && w->slots[i].mkt->number == number)
            return &w->slots[i];
    return NULL;
}

/* A key that stays, to stand in while another with the ids of the one in use takes its place. */
static struct slot *stand_in(struct work *w, const struct slot *leaving)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->slots[i].wanted && w->slots[i].present)
            return &w->slots[i];
    return lock(w, leaving);
}

static void delete_clashing(struct work *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct slot *s = &w->slots[i];
        bool in_the_way = false;

        for (size_t k = 0; s->present && !s->wanted && k < w->count; k++)
            in_the_way |= w->slots[k].wanted && !w->slots[k].present && clash(s, &w->slots[k]);
        if (!in_the_way)
            continue;
        if (s == w->current || s == w->rnext) {
            struct slot *other = stand_in(w, s);

            move(w, s == w->current ? other : w->current, s == w->rnext ? other : w->rnext);
        }
        take_away(w, s);
    }
}

static bool any_wanted(const struct work *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->slots[i].wanted)
            return true;
    return false;
}

static void finish_connection(struct work *w)
{
    struct tcpao_conn_state *st = &w->out->st;
    struct slot *current = wanted_slot(w, st->current_known, st->current_key);
    struct slot *rnext = wanted_slot(w, st->rnext_known, st->rnext_key);

    w->out->locked = current == NULL;
    if (current == NULL) {
        current = lock(w, NULL);
        current->wanted = true;
        st->current_known = false;
    }
    if (rnext == NULL)
        rnext = current;
    st->rnext_known = rnext->mkt != NULL;
    if (st->rnext_known)
        st->rnext_key = rnext->mkt->number;
    move(w, current, rnext);
}

void ao_kernel_plan(const struct tcpao_chain *chain, int64_t now, enum ao_kernel_role role,
                    const struct ao_kernel_key *keys, size_t count,
                    const struct tcpao_conn_state *st, struct ao_kernel_plan *out)
{
    struct work w = {.chain = chain, .now = now, .role = role, .out = out};

    out->count = 0;
    out->locked = false;
    out->st = *st;
    take_keys(&w, keys, count);
    if (role == AO_KERNEL_CONNECTION) {
        const struct tcpao_mkt *current = w.current != NULL ? w.current->mkt : NULL;
        const struct tcpao_mkt *rnext = w.rnext != NULL ? w.rnext->mkt : NULL;

        out->st.current_known = current != NULL;
        out->st.current_key = current != NULL ? current->number : 0;
        out->st.rnext_known = rnext != NULL;
        out->st.rnext_key = rnext != NULL ? rnext->number : 0;
        chain_keys_by_time(chain, &out->st, now);
    }
    want(&w);
    add_what_fits(&w);
    delete_clashing(&w);
    add_what_fits(&w);
    if (role == AO_KERNEL_CONNECTION) {
        finish_connection(&w);
    } else if (!any_wanted(&w)) {
        out->locked = true;
        lock(&w, NULL)->wanted = true;
    }
    for (size_t i = 0; i < w.count; i++)
        if (w.slots[i].present && !w.slots[i].wanted)
            take_away(&w, &w.slots[i]);
}

int64_t ao_kernel_next_change(const struct tcpao_chain *chain, int64_t now,
                              const struct tcpao_conn_state *st)
{
    int64_t next = tcpao_chain_next_change(chain, now);

    if (st->last_recv_known && st->last_recv_since + TCPAO_DRAIN > now &&
        st->last_recv_since + TCPAO_DRAIN < next)
        next = st->last_recv_since + TCPAO_DRAIN;
    return next;
}

/* The sockets by cookie, and their keys. */
#include "emulate/emulate_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { BUCKETS_MIN = 64, ORIGINS_MIN = 256 };

static size_t bucket_of(const struct emu *e, uint64_t cookie)
{
    return (size_t)(cookie * 0x9e3779b97f4a7c15U >> 32) & e->mask;
}

struct emu_table *emu_find(const struct emu *e, uint64_t cookie)
{
    struct emu_table *t = e->buckets != NULL ? e->buckets[bucket_of(e, cookie)] : NULL;

    while (t != NULL && t->cookie != cookie)
        t = t->next;
    return t;
}

static bool grow(struct emu *e)
{
    size_t room = e->buckets == NULL ? BUCKETS_MIN : 2 * (e->mask + 1), old = e->mask;
    struct emu_table **buckets = calloc(room, sizeof(struct emu_table *)), **before = e->buckets;

    if (buckets == NULL)
        return before != NULL;
    e->buckets = buckets;
    e->mask = room - 1;
    for (size_t i = 0; before != NULL && i <= old; i++) {
        for (struct emu_table *t = before[i], *next; t != NULL; t = next) {
            size_t b = bucket_of(e, t->cookie);

            next = t->next;
            t->next = buckets[b];
            buckets[b] = t;
        }
    }
    free(before);
    return true;
}

struct emu_table *emu_table_add(struct emu *e, uint64_t cookie)
{
    struct emu_table *t;
    size_t b;

    if ((e->buckets == NULL || e->count > e->mask) && !grow(e))
        return NULL;
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    b = bucket_of(e, cookie);
    t->cookie = cookie;
    t->next = e->buckets[b];
    e->buckets[b] = t;
    e->count++;
    return t;
}

void emu_table_clear_ao(struct emu *e, struct emu_table *t)
{
    emu_chains_clear(t);
    while (t->keys != NULL)
        emu_key_drop(e, t, t->keys);
    t->has_ao = t->ao_required = t->accept_icmps = false;
    memset(t->counters, 0, sizeof(t->counters));
    memset(&t->repair, 0, sizeof(t->repair));
}

void emu_table_remove(struct emu *e, struct emu_table *t)
{
    struct emu_table **at = &e->buckets[bucket_of(e, t->cookie)];

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    e->count--;
    emu_table_clear_ao(e, t);
    emu_md5_clear(t);
    free(t);
}

void emu_each_table(const struct emu *e, void (*fn)(void *ctx, struct emu_table *t), void *ctx)
{
    for (size_t i = 0; e->buckets != NULL && i <= e->mask; i++) {
        for (struct emu_table *t = e->buckets[i], *next; t != NULL; t = next) {
            next = t->next;
            fn(ctx, t);
        }
    }
}

/* ---- Keys ----------------------------------------------------------------------------------- */

struct emu_key *emu_key_new(struct emu *e)
{
    struct emu_key *k = calloc(1, sizeof(*k));

    if (k != NULL)
        k->number = ++e->last_number;
    return k;
}

void emu_key_free(struct emu_key *k)
{
    gh_wipe(k, sizeof(*k));
    free(k);
}

static bool same_peer(const struct emu_scope *a, const struct emu_scope *b)
{
    return a->bits == b->bits && ((a->flags ^ b->flags) & EMU_KEYF_IFINDEX) == 0 &&
           a->ifindex == b->ifindex && gh_addr_equal(&a->addr, &b->addr);
}

/* The first from here on that is for this peer. */
static struct emu_key *next_of_peer(struct emu_key *from, const struct emu_scope *scope)
{
    while (from != NULL && !same_peer(&from->scope, scope))
        from = from->next;
    return from;
}

void emu_key_unlink(struct emu_table *t, struct emu_key *k)
{
    struct emu_key **at = &t->keys, *heir = k->newest ? next_of_peer(k->next, &k->scope) : NULL;

    emu_chains_forget(t, &k->scope);
    t->vrf_keys -= (k->scope.flags & EMU_KEYF_IFINDEX) != 0;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    if (heir != NULL)
        heir->newest = true;
}

void emu_key_insert(struct emu_table *t, struct emu_key **at, struct emu_key *k)
{
    struct emu_key *newest = next_of_peer(t->keys, &k->scope), *later = *at;

    emu_chains_forget(t, &k->scope);
    t->vrf_keys += (k->scope.flags & EMU_KEYF_IFINDEX) != 0;
    later = next_of_peer(later, &k->scope);
    k->newest = newest == later; /* none before it: also where there is none at all */
    if (k->newest && later != NULL)
        later->newest = false;
    k->next = *at;
    *at = k;
}

void emu_key_link(struct emu_table *t, struct emu_key *k)
{
    emu_key_insert(t, &t->keys, k);
}

struct emu_key *emu_key_by_number(const struct emu_table *t, uint32_t number)
{
    struct emu_key *k = t->keys;

    while (k != NULL && k->number != number)
        k = k->next;
    return k;
}

struct emu_key *emu_key_by_ids(const struct emu_table *t, int send_id, int recv_id)
{
    struct emu_key *k = t->keys;

    while (k != NULL &&
           ((send_id >= 0 && k->send_id != send_id) || (recv_id >= 0 && k->recv_id != recv_id)))
        k = k->next;
    return k;
}

size_t emu_key_charge(const struct emu_key *k)
{
    return EMU_KEY_CHARGE + 2 * tcpao_mac_len_max(k->alg);
}

size_t emu_table_charge(const struct emu_table *t)
{
    size_t charge = 0;

    for (const struct emu_key *k = t->keys; k != NULL; k = k->next)
        charge += emu_key_charge(k);
    return charge;
}

/* ---- Whose a key was ------------------------------------------------------------------------ */

static void mark_used_origins(void *ctx, const struct ao_connection_view *view)
{
    struct emu *e = ctx;
    size_t n = view->own_keys ? tcpao_chain_count(view->chain) : 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t number = emu_turned(tcpao_chain_at(view->chain, i)->number);

        for (size_t j = 0; j < e->origin_count; j++)
            if (e->origins[j].number == number)
                e->origins[j].used = true;
    }
}

/* Forgets those that no connection has any more. */
static void sweep_origins(struct emu *e)
{
    size_t kept = 0;

    ao_engine_each_connection(e->settings.engine, mark_used_origins, e);
    for (size_t i = 0; i < e->origin_count; i++) {
        if (e->origins[i].used) {
            e->origins[kept] = e->origins[i];
            e->origins[kept++].used = false;
        }
    }
    e->origin_count = kept;
    e->origin_limit = 2 * kept > ORIGINS_MIN ? 2 * kept : ORIGINS_MIN;
}

static void remember_origin(struct emu *e, const struct emu_key *k)
{
    struct emu_origin *more;

    if (e->origin_count >= (e->origin_limit > 0 ? e->origin_limit : ORIGINS_MIN))
        sweep_origins(e);
    if (e->origin_count == e->origin_room) {
        more = realloc(e->origins, (2 * e->origin_room + 16) * sizeof(*more));
        if (more == NULL)
            return; /* children then say that the key is for their peer alone */
        e->origins = more;
        e->origin_room = 2 * e->origin_room + 16;
    }
    e->origins[e->origin_count++] = (struct emu_origin){.number = k->number, .scope = k->scope};
}

void emu_key_drop(struct emu *e, struct emu_table *t, struct emu_key *k)
{
    emu_key_unlink(t, k);
    emu_key_retire(e, t, k);
}

void emu_key_retire(struct emu *e, struct emu_table *t, struct emu_key *k)
{
    if (t->current_known && t->current == k->number)
        t->current_known = false;
    if (t->rnext_known && t->rnext == k->number)
        t->rnext_known = false;
    if (t->role == EMU_LISTENS)
        remember_origin(e, k);
    emu_key_free(k);
}

struct origin_search {
    uint32_t number;
    const struct emu_key *found;
};

static void look_in_listener(void *ctx, struct emu_table *t)
{
    struct origin_search *s = ctx;

    if (t->role == EMU_LISTENS && s->found == NULL)
        s->found = emu_key_by_number(t, s->number);
}

bool emu_origin_find(const struct emu *e, uint32_t number, const struct emu_key **key,
                     struct emu_scope *scope)
{
    struct origin_search s = {.number = emu_turned(number)};

    emu_each_table(e, look_in_listener, &s);
    *key = s.found;
    if (s.found != NULL) {
        *scope = s.found->scope;
        return true;
    }
    for (size_t i = 0; i < e->origin_count; i++) {
        if (e->origins[i].number == s.number) {
            *scope = e->origins[i].scope;
            return true;
        }
    }
    return false;
}

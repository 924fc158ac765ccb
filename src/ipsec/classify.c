#include "ipsec/classify.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 16 };

struct node {
    struct node *next; /* in the bucket, by order */
    struct ipsec_selector selector;
    uint64_t order;
    uint32_t place;
    void *owner;
};

/* All selectors with one pair of prefix lengths. */
struct tuple {
    uint8_t addr_len, local_bits, remote_bits;
    uint64_t first; /* no node has a lower order */
    struct node **buckets;
    size_t bucket_count, count; /* the former is a power of two */
};

struct ipsec_classifier {
    uint64_t seed;
    struct tuple *tuples; /* by `first` */
    size_t count, room;
};

struct ipsec_classifier *ipsec_classifier_new(uint64_t seed)
{
    struct ipsec_classifier *c = calloc(1, sizeof(*c));

    if (c != NULL)
        c->seed = seed;
    return c;
}

void ipsec_classifier_free(struct ipsec_classifier *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->count; i++) {
        for (size_t b = 0; b < c->tuples[i].bucket_count; b++)
            for (struct node *n = c->tuples[i].buckets[b], *next; n != NULL; n = next) {
                next = n->next;
                free(n);
            }
        free(c->tuples[i].buckets);
    }
    free(c->tuples);
    free(c);
}

uint8_t ipsec_range_bits(const struct ipsec_range *r)
{
    return (uint8_t)gh_addr_common_bits(&r->start, &r->end);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t hash_prefix(uint64_t h, const struct gh_addr *a, unsigned bits)
{
    for (unsigned i = 0; i < a->len && bits > 0; i += 4) {
        uint32_t word = (uint32_t)a->octets[i] << 24 | (uint32_t)a->octets[i + 1] << 16 |
                        (uint32_t)a->octets[i + 2] << 8 | a->octets[i + 3];
        unsigned n = bits < 32 ? bits : 32;

        h = mix(h, word >> (32 - n));
        bits -= n;
    }
    return h;
}

static size_t bucket_of(const struct ipsec_classifier *c, const struct tuple *t, uint32_t place,
                        const struct gh_addr *local, const struct gh_addr *remote)
{
    uint64_t h = hash_prefix(mix(c->seed, place), local, t->local_bits);

    h = mix(hash_prefix(h, remote, t->remote_bits), c->seed);
    return (size_t)(h >> 32) & (t->bucket_count - 1);
}

static size_t bucket_of_node(const struct ipsec_classifier *c, const struct tuple *t,
                             const struct node *n)
{
    return bucket_of(c, t, n->place, &n->selector.local.start, &n->selector.remote.start);
}

static void insert(struct node **list, struct node *n)
{
    while (*list != NULL && (*list)->order <= n->order)
        list = &(*list)->next;
    n->next = *list;
    *list = n;
}

/* Doubles the buckets. False: no memory, and all is as it was. */
static bool grow(const struct ipsec_classifier *c, struct tuple *t)
{
    struct tuple wider = *t;

    wider.bucket_count = t->bucket_count == 0 ? FIRST_BUCKETS : t->bucket_count * 2;
    wider.buckets = calloc(wider.bucket_count, sizeof(struct node *));
    if (wider.buckets == NULL)
        return false;
    for (size_t b = 0; b < t->bucket_count; b++)
        for (struct node *n = t->buckets[b], *next; n != NULL; n = next) {
            next = n->next;
            insert(&wider.buckets[bucket_of_node(c, &wider, n)], n);
        }
    free(t->buckets);
    *t = wider;
    return true;
}

static struct tuple *find_tuple(const struct ipsec_classifier *c, const struct ipsec_selector *s)
{
    uint8_t local = ipsec_range_bits(&s->local), remote = ipsec_range_bits(&s->remote);

    for (size_t i = 0; i < c->count; i++) {
        struct tuple *t = &c->tuples[i];

        if (t->addr_len == s->local.start.len && t->local_bits == local && t->remote_bits == remote)
            return t;
    }
    return NULL;
}

static struct tuple *add_tuple(struct ipsec_classifier *c, const struct ipsec_selector *s)
{
    struct tuple t = {.addr_len = s->local.start.len,
                      .local_bits = ipsec_range_bits(&s->local),
                      .remote_bits = ipsec_range_bits(&s->remote),
                      .first = UINT64_MAX};

    if (c->count == c->room) {
        size_t room = c->room == 0 ? 8 : c->room * 2;
        struct tuple *more = realloc(c->tuples, room * sizeof(*more));

        if (more == NULL)
            return NULL;
        c->tuples = more;
        c->room = room;
    }
    if (!grow(c, &t))
        return NULL;
    c->tuples[c->count] = t;
    return &c->tuples[c->count++];
}

/* Keeps the tuples by their first selector. */
static void sort_up(struct ipsec_classifier *c, struct tuple *t)
{
    for (; t > c->tuples && t[-1].first > t->first; t--) {
        struct tuple swap = *t;

        *t = t[-1];
        t[-1] = swap;
    }
}

bool ipsec_classifier_add(struct ipsec_classifier *c, uint32_t place, uint64_t order,
                          const struct ipsec_selector *s, void *owner)
{
    struct tuple *t;
    struct node *n;

    if (!ipsec_selector_valid(s))
        return false;
    t = find_tuple(c, s);
    if (t == NULL)
        t = add_tuple(c, s);
    if (t == NULL || (t->count >= t->bucket_count && !grow(c, t)))
        return false;
    n = malloc(sizeof(*n));
    if (n == NULL)
        return false;
    *n = (struct node){.selector = *s, .order = order, .place = place, .owner = owner};
    insert(&t->buckets[bucket_of_node(c, t, n)], n);
    t->count++;
    if (order < t->first) {
        t->first = order;
        sort_up(c, t);
    }
    return true;
}

void ipsec_classifier_remove(struct ipsec_classifier *c, uint32_t place, uint64_t order,
                             const struct ipsec_selector *s, const void *owner)
{
    struct tuple *t = ipsec_selector_valid(s) ? find_tuple(c, s) : NULL;
    struct node **list;

    if (t == NULL)
        return;
    list = &t->buckets[bucket_of(c, t, place, &s->local.start, &s->remote.start)];
    for (; *list != NULL; list = &(*list)->next) {
        struct node *n = *list;

        if (n->owner != owner || n->order != order || n->place != place ||
            !ipsec_selector_equal(&n->selector, s))
            continue;
        *list = n->next;
        free(n);
        t->count--;
        break;
    }
    if (t->count > 0)
        return; /* `first` may now be too low, which costs time and nothing else */
    free(t->buckets);
    c->count--;
    memmove(t, t + 1, (size_t)(&c->tuples[c->count] - t) * sizeof(*t));
}

void *ipsec_classify(const struct ipsec_classifier *c, uint32_t place, const struct ipsec_flow *f,
                     bool (*wanted)(const void *owner, const void *arg), const void *arg)
{
    uint64_t best = UINT64_MAX;
    void *found = NULL;

    for (size_t i = 0; i < c->count && c->tuples[i].first < best; i++) {
        const struct tuple *t = &c->tuples[i];
        const struct node *n;

        if (t->addr_len != f->local.len)
            continue;
        n = t->buckets[bucket_of(c, t, place, &f->local, &f->remote)];
        for (; n != NULL && n->order < best; n = n->next) {
            if (n->place != place || !ipsec_selector_matches(&n->selector, f) ||
                (wanted != NULL && !wanted(n->owner, arg)))
                continue;
            best = n->order;
            found = n->owner;
            break;
        }
    }
    return found;
}

void ipsec_ahead_begin(const struct ipsec_classifier *c, uint32_t place, const struct ipsec_flow *f,
                       struct ipsec_ahead *a)
{
    a->count = 0;
    for (size_t i = 0; i < c->count && a->count < IPSEC_AHEAD; i++) {
        const struct tuple *t = &c->tuples[i];

        if (t->addr_len != f->local.len)
            continue;
        a->at[a->count] = &t->buckets[bucket_of(c, t, place, &f->local, &f->remote)];
        __builtin_prefetch(a->at[a->count++]);
    }
}

void ipsec_ahead_selectors(struct ipsec_ahead *a)
{
    for (size_t i = 0; i < a->count; i++) {
        a->at[i] = *(struct node *const *)a->at[i];
        if (a->at[i] == NULL)
            continue;
        __builtin_prefetch(a->at[i]);
        __builtin_prefetch((const char *)a->at[i] + sizeof(struct node) - 1);
    }
}

const void *ipsec_ahead_owner(const struct ipsec_ahead *a, size_t i)
{
    const struct node *n = a->at[i];

    return n == NULL ? NULL : n->owner;
}

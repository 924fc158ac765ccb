#include "tunnel/pmtu.h"

#include <stdlib.h>
#include <string.h>

enum { IPV6_MTU_MIN = 1280, IPV4_MTU_MIN = 68 };

/* Without gaps, for it is hashed as octets. */
struct key {
    uint8_t local[16], remote[16];
    uint32_t place, version;
};

struct entry {
    struct key key;
    struct tunnel_path path;
    struct entry *next_in_bucket, *older, *newer;
    size_t bucket;
    uint64_t until;
    uint16_t mtu;
};

struct tunnel_pmtu {
    struct gh_hash_seed seed;
    uint64_t age_ms;
    uint16_t floor;
    uint32_t paths, used;
    size_t bucket_count; /* a power of two */
    struct entry **buckets, *entries, *unused, *oldest, *newest;
};

struct tunnel_pmtu *tunnel_pmtu_new(const struct tunnel_pmtu_setup *setup,
                                    const struct gh_hash_seed *seed)
{
    uint32_t age = setup->age_s != 0 ? setup->age_s : TUNNEL_PMTU_AGE_S;
    uint16_t floor = setup->floor != 0 ? setup->floor : TUNNEL_PMTU_FLOOR;
    struct tunnel_pmtu *t;

    if (age < TUNNEL_PMTU_AGE_MIN_S || age > TUNNEL_PMTU_AGE_MAX_S || floor < IPV4_MTU_MIN)
        return NULL;
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->seed = *seed;
    t->age_ms = (uint64_t)age * 1000;
    t->floor = floor;
    t->paths = setup->paths != 0 ? setup->paths : TUNNEL_PMTU_PATHS;
    for (t->bucket_count = 16; t->bucket_count < t->paths; t->bucket_count *= 2)
        ;
    t->buckets = calloc(t->bucket_count, sizeof(struct entry *));
    t->entries = calloc(t->paths, sizeof(struct entry));
    if (t->buckets == NULL || t->entries == NULL) {
        tunnel_pmtu_free(t);
        return NULL;
    }
    return t;
}

bool tunnel_pmtu_set_age(struct tunnel_pmtu *t, uint32_t age_s)
{
    if (age_s < TUNNEL_PMTU_AGE_MIN_S || age_s > TUNNEL_PMTU_AGE_MAX_S)
        return false;
    t->age_ms = (uint64_t)age_s * 1000;
    return true;
}

void tunnel_pmtu_free(struct tunnel_pmtu *t)
{
    if (t == NULL)
        return;
    free(t->buckets);
    free(t->entries);
    free(t);
}

static struct key key_of(const struct tunnel_path *path)
{
    struct key k;

    memset(&k, 0, sizeof(k));
    memcpy(k.local, path->local.octets, sizeof(k.local));
    memcpy(k.remote, path->remote.octets, sizeof(k.remote));
    k.place = path->place;
    k.version = path->local.len;
    return k;
}

static size_t bucket_of(const struct tunnel_pmtu *t, const struct key *k)
{
    return (size_t)gh_siphash(&t->seed, k, sizeof(*k)) & (t->bucket_count - 1);
}

static struct entry *find(const struct tunnel_pmtu *t, const struct key *k)
{
    struct entry *e = t->buckets[bucket_of(t, k)];

    while (e != NULL && memcmp(&e->key, k, sizeof(*k)) != 0)
        e = e->next_in_bucket;
    return e;
}

static void take_from_ages(struct tunnel_pmtu *t, struct entry *e)
{
    *(e->older != NULL ? &e->older->newer : &t->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &t->newest) = e->older;
}

static void make_newest(struct tunnel_pmtu *t, struct entry *e)
{
    e->newer = NULL;
    e->older = t->newest;
    *(t->newest != NULL ? &t->newest->newer : &t->oldest) = e;
    t->newest = e;
}

static void forget(struct tunnel_pmtu *t, struct entry *e)
{
    struct entry **link = &t->buckets[e->bucket];

    while (*link != e)
        link = &(*link)->next_in_bucket;
    *link = e->next_in_bucket;
    take_from_ages(t, e);
    e->next_in_bucket = t->unused;
    t->unused = e;
}

static struct entry *add(struct tunnel_pmtu *t, const struct tunnel_path *path, const struct key *k)
{
    struct entry *e;

    if (t->unused == NULL && t->used == t->paths)
        forget(t, t->oldest);
    e = t->unused;
    if (e != NULL)
        t->unused = e->next_in_bucket;
    else
        e = &t->entries[t->used++];
    *e = (struct entry){.key = *k, .path = *path, .bucket = bucket_of(t, k)};
    e->next_in_bucket = t->buckets[e->bucket];
    t->buckets[e->bucket] = e;
    make_newest(t, e);
    return e;
}

/* RFC 1191 7.1: of a router that does not say, the next plateau below the packet's length. */
static uint32_t plateau(size_t len)
{
    static const uint16_t plateaus[] = {65535, 32000, 17914, 8166, 4352, 2002,
                                        1492,  1006,  508,   296,  68};
    size_t i = 0;

    while (i < sizeof(plateaus) / sizeof(plateaus[0]) - 1 && plateaus[i] >= len)
        i++;
    return plateaus[i];
}

/* What the error says of the path; 0: nothing to believe. */
static uint16_t said(const struct tunnel_pmtu *t, const struct tunnel_quote *q)
{
    uint32_t mtu = q->mtu;

    if (q->kind != TUNNEL_QUOTE_TOO_BIG)
        return 0;
    if (q->version == 4 && mtu == 0)
        mtu = plateau(q->total_len);
    if (mtu >= q->total_len || mtu < (q->version == 4 ? IPV4_MTU_MIN : IPV6_MTU_MIN))
        return 0;
    return (uint16_t)(q->version == 4 && mtu < t->floor ? t->floor : mtu);
}

enum tunnel_result tunnel_pmtu_learn(struct tunnel_pmtu *t, uint64_t now_ms, uint32_t place,
                                     const struct tunnel_quote *q, uint16_t *mtu, bool *lower)
{
    struct tunnel_path path = {.place = place, .local = q->local, .remote = q->remote};
    struct key k = key_of(&path);
    struct entry *e = find(t, &k);
    uint16_t now = said(t, q);

    if (e != NULL && e->until <= now_ms) {
        forget(t, e);
        e = NULL;
    }
    if (now == 0 || (e != NULL && now > e->mtu))
        return TUNNEL_MTU_IGNORED;
    *lower = e == NULL || now < e->mtu;
    if (e == NULL) {
        e = add(t, &path, &k);
    } else {
        take_from_ages(t, e);
        make_newest(t, e);
    }
    e->mtu = *mtu = now;
    e->until = now_ms + t->age_ms;
    return TUNNEL_OK;
}

uint16_t tunnel_pmtu_get(const struct tunnel_pmtu *t, uint64_t now_ms,
                         const struct tunnel_path *path)
{
    struct key k = key_of(path);
    const struct entry *e = find(t, &k);

    return e != NULL && e->until > now_ms ? e->mtu : 0;
}

void tunnel_pmtu_tick(struct tunnel_pmtu *t, uint64_t now_ms,
                      void (*aged)(void *arg, const struct tunnel_path *path), void *arg)
{
    while (t->oldest != NULL && t->oldest->until <= now_ms) {
        struct tunnel_path path = t->oldest->path;

        forget(t, t->oldest);
        if (aged != NULL)
            aged(arg, &path);
    }
}

uint64_t tunnel_pmtu_deadline(const struct tunnel_pmtu *t)
{
    return t->oldest != NULL ? t->oldest->until : UINT64_MAX;
}

void tunnel_pmtu_each(const struct tunnel_pmtu *t,
                      void (*each)(void *arg, const struct tunnel_path *path, uint16_t mtu,
                                   uint64_t until_ms),
                      void *arg)
{
    for (const struct entry *e = t->oldest; e != NULL; e = e->newer)
        each(arg, &e->path, e->mtu, e->until);
}

#include "daemon/ike_spread.h"

#include <stdlib.h>
#include <string.h>

#include "config/ike_slots.h"
#include "daemon/esp_claims.h"
#include "daemon/esp_names.h"

enum { FIRST_BUCKETS = 256, NONE = UINT32_MAX };

struct client {
    struct client *next;          /* of the same hash */
    struct client *older, *newer; /* among those without a child, in the order of their ends */
    uint8_t name[GH_ESP_TUNNEL];
    uint8_t slot;
    bool chosen; /* it got its slot from here: it counts */
    uint32_t children;
    uint64_t since_ms; /* without a child */
};

/* One child. Its place in the list is its number among the claims. */
struct entry {
    struct client *client; /* NULL: free */
    uint32_t id;           /* ours, or held: the owner's number */
    uint32_t next;         /* of the same hash, or free; NONE: the last */
    uint32_t place;
    uint8_t slot;
    bool held;
    uint8_t *octets; /* what it was claimed with: a child without its keys */
    size_t len;
};

struct gh_ike_spread {
    struct gh_esp_claims claims;
    struct gh_esp_names policies, places;
    size_t peers[GH_SLOTS], clients[GH_SLOTS];
    struct client **by_name; /* [buckets] */
    size_t client_count;
    struct client *oldest, *newest; /* without a child */
    struct entry *entries;
    uint32_t *by_id; /* [buckets] */
    size_t entry_count, entry_room, buckets;
    uint32_t free;
};

static void no_route(void *ctx, uint32_t place, const struct gh_esp_route_wish *wish)
{
}

static bool make_buckets(struct gh_ike_spread *s, size_t count)
{
    struct client **by_name = calloc(count, sizeof(struct client *));
    uint32_t *by_id = malloc(count * sizeof(*by_id));

    if (by_name == NULL || by_id == NULL) {
        free(by_name);
        free(by_id);
        return false;
    }
    free(s->by_name);
    free(s->by_id);
    s->by_name = by_name;
    s->by_id = by_id;
    s->buckets = count;
    memset(by_id, 0xff, count * sizeof(*by_id)); /* NONE */
    return true;
}

struct gh_ike_spread *gh_ike_spread_new(void)
{
    static const struct gh_esp_reverse_ops ops = {.route = no_route};
    struct gh_ike_spread *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->free = NONE;
    if (gh_esp_claims_init(&s->claims, &ops, s) && make_buckets(s, FIRST_BUCKETS))
        return s;
    gh_ike_spread_free(s);
    return NULL;
}

void gh_ike_spread_free(struct gh_ike_spread *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->buckets; i++)
        while (s->by_name[i] != NULL) {
            struct client *c = s->by_name[i];

            s->by_name[i] = c->next;
            free(c);
        }
    for (size_t i = 0; i < s->entry_count; i++)
        free(s->entries[i].octets);
    free(s->entries);
    free(s->by_name);
    free(s->by_id);
    gh_esp_claims_free(&s->claims);
    gh_esp_names_free(&s->policies);
    gh_esp_names_free(&s->places);
    free(s);
}

void gh_ike_spread_configure(struct gh_ike_spread *s, struct ike2_policy *const *policies,
                             size_t count)
{
    memset(s->peers, 0, sizeof(s->peers));
    for (size_t i = 0; i < count; i++)
        if (gh_ike_has_ipsec(policies[i]) && !gh_ike_is_spread(policies[i]))
            s->peers[gh_ike_slot(policies[i])]++;
}

/* ---- Clients -------------------------------------------------------------------------------- */

/* A digest already. */
static struct client **bucket_of(const struct gh_ike_spread *s, const uint8_t name[GH_ESP_TUNNEL])
{
    uint32_t hash;

    memcpy(&hash, name, sizeof(hash));
    return &s->by_name[hash & (s->buckets - 1)];
}

static struct client *find_client(const struct gh_ike_spread *s, const uint8_t name[GH_ESP_TUNNEL])
{
    struct client *c = *bucket_of(s, name);

    while (c != NULL && memcmp(c->name, name, GH_ESP_TUNNEL) != 0)
        c = c->next;
    return c;
}

static void put_last(struct gh_ike_spread *s, struct client *c, uint64_t now_ms)
{
    c->since_ms = now_ms;
    c->older = s->newest;
    c->newer = NULL;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = c;
    s->newest = c;
}

static void take_out(struct gh_ike_spread *s, struct client *c)
{
    *(c->older != NULL ? &c->older->newer : &s->oldest) = c->newer;
    *(c->newer != NULL ? &c->newer->older : &s->newest) = c->older;
}

static void forget(struct gh_ike_spread *s, struct client *c)
{
    struct client **at = bucket_of(s, c->name);

    take_out(s, c);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    s->clients[c->slot] -= c->chosen;
    s->client_count--;
    free(c);
}

static void forget_old(struct gh_ike_spread *s, uint64_t now_ms)
{
    while (s->oldest != NULL && now_ms >= s->oldest->since_ms + GH_SPREAD_KEEP_MS)
        forget(s, s->oldest);
}

/* Twice as many buckets; without memory the lists become longer. */
static void grow_buckets(struct gh_ike_spread *s)
{
    struct client **by_name = s->by_name;
    const size_t before = s->buckets;

    s->by_name = NULL;
    if (!make_buckets(s, 2 * before)) {
        s->by_name = by_name;
        return;
    }
    for (size_t i = 0; i < before; i++)
        while (by_name[i] != NULL) {
            struct client *c = by_name[i], **at = bucket_of(s, c->name);

            by_name[i] = c->next;
            c->next = *at;
            *at = c;
        }
    free(by_name);
    for (uint32_t i = 0; i < s->entry_count; i++) {
        struct entry *e = &s->entries[i];

        if (e->client == NULL)
            continue;
        e->next = s->by_id[e->id & (s->buckets - 1)];
        s->by_id[e->id & (s->buckets - 1)] = i;
    }
}

/* Without a child. NULL: no memory. */
static struct client *add_client(struct gh_ike_spread *s, const uint8_t name[GH_ESP_TUNNEL],
                                 uint8_t slot, uint64_t now_ms)
{
    struct client *c = calloc(1, sizeof(*c)), **at;

    if (c == NULL)
        return NULL;
    if (++s->client_count > s->buckets)
        grow_buckets(s);
    memcpy(c->name, name, GH_ESP_TUNNEL);
    c->slot = slot;
    at = bucket_of(s, name);
    c->next = *at;
    *at = c;
    put_last(s, c, now_ms);
    return c;
}

/* ---- Children ------------------------------------------------------------------------------- */

static uint32_t find_entry(const struct gh_ike_spread *s, bool held, uint8_t slot, uint32_t id)
{
    uint32_t at = s->by_id[id & (s->buckets - 1)];

    while (at != NONE && (s->entries[at].id != id || s->entries[at].held != held ||
                          (held && s->entries[at].slot != slot)))
        at = s->entries[at].next;
    return at;
}

static uint32_t free_entry(struct gh_ike_spread *s)
{
    uint32_t at = s->free;

    if (at != NONE) {
        s->free = s->entries[at].next;
        return at;
    }
    if (s->entry_count == s->entry_room) {
        size_t room = 2 * s->entry_room + 64;
        struct entry *more = realloc(s->entries, room * sizeof(*more));

        if (more == NULL)
            return NONE;
        s->entries = more;
        s->entry_room = room;
    }
    s->entries[s->entry_count].octets = NULL;
    return (uint32_t)s->entry_count++;
}

static void give_back(struct gh_ike_spread *s, uint32_t at)
{
    free(s->entries[at].octets);
    s->entries[at] = (struct entry){.next = s->free};
    s->free = at;
}

/* Its keys stay where they are. */
static bool copy_child(struct entry *e, const struct gh_esp_child *d)
{
    uint8_t octets[GH_ESP_CHILD_MAX];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));
    struct gh_esp_child without = *d;

    without.key_in = without.key_out = gh_view_of(NULL, 0);
    gh_esp_put_child(&w, &without);
    e->octets = gh_wr_ok(&w) ? malloc(w.len) : NULL;
    if (e->octets == NULL)
        return false;
    memcpy(e->octets, octets, w.len);
    e->len = w.len;
    return true;
}

static bool add_entry(struct gh_ike_spread *s, struct client *c, const struct entry *what,
                      const struct gh_esp_child *d, char why[GH_ESP_WHY])
{
    uint32_t at = free_entry(s), *bucket = &s->by_id[what->id & (s->buckets - 1)];
    struct entry *e;

    strcpy(why, "no memory");
    if (at == NONE)
        return false;
    e = &s->entries[at];
    *e = *what;
    e->place = gh_esp_number(&s->places, d->netns, d->vrf);
    if (!copy_child(e, d) ||
        !gh_esp_claims_take(&s->claims, at, e->place, gh_esp_number(&s->policies, d->peer, d->name),
                            d, why)) {
        give_back(s, at);
        return false;
    }
    e->client = c;
    e->next = *bucket;
    *bucket = at;
    if (c->children++ == 0)
        take_out(s, c);
    return true;
}

static void remove_entry(struct gh_ike_spread *s, uint32_t at, uint64_t now_ms)
{
    struct entry *e = &s->entries[at];
    uint32_t *link = &s->by_id[e->id & (s->buckets - 1)];
    struct gh_rd r = gh_rd_make(e->octets, e->len);
    struct gh_esp_child d;

    while (*link != at)
        link = &s->entries[*link].next;
    *link = e->next;
    if (gh_esp_take_child(&r, &d))
        gh_esp_claims_release(&s->claims, at, e->place, &d);
    if (--e->client->children == 0)
        put_last(s, e->client, now_ms);
    give_back(s, at);
}

/* ---- The choice ----------------------------------------------------------------------------- */

static uint8_t least(const struct gh_ike_spread *s, uint8_t first, uint8_t last, uint32_t ready)
{
    uint8_t best = first;
    bool any = false;

    for (unsigned i = first; i <= last; i++) {
        const bool is_ready = (ready >> i & 1) != 0;

        if ((is_ready && !any) ||
            (is_ready == any && s->peers[i] + s->clients[i] < s->peers[best] + s->clients[best]))
            best = (uint8_t)i;
        any |= is_ready;
    }
    return best;
}

static uint8_t choose(struct gh_ike_spread *s, struct client *c)
{
    s->clients[c->slot] += !c->chosen;
    c->chosen = true;
    return c->slot;
}

uint8_t gh_ike_spread_choose(struct gh_ike_spread *s, const uint8_t tunnel[GH_ESP_TUNNEL],
                             uint32_t replaces, uint8_t first, uint8_t last, uint32_t ready,
                             uint64_t now_ms)
{
    const uint32_t old = replaces != 0 ? find_entry(s, false, 0, replaces) : NONE;
    struct client *c = old != NONE ? s->entries[old].client : NULL;
    uint8_t slot;

    forget_old(s, now_ms);
    if (c == NULL)
        c = find_client(s, tunnel);
    if (c != NULL && c->children == 0 &&
        (c->slot < first || c->slot > last || (ready >> c->slot & 1) == 0)) {
        forget(s, c);
        c = NULL;
    }
    if (c != NULL && c->slot >= first && c->slot <= last)
        return choose(s, c);
    slot = least(s, first, last, ready);
    if (c == NULL && (c = add_client(s, tunnel, slot, now_ms)) != NULL)
        return choose(s, c);
    return slot;
}

/* It took longer than its slot was kept, or the configuration says another. */
static void put_into(struct gh_ike_spread *s, struct client *c, uint8_t slot)
{
    s->clients[c->slot] -= c->chosen;
    s->clients[slot] += c->chosen;
    c->slot = slot;
}

/* ---- What there is -------------------------------------------------------------------------- */

bool gh_ike_spread_come(struct gh_ike_spread *s, uint8_t slot, const struct gh_esp_child *d,
                        char why[GH_ESP_WHY])
{
    struct client *c;

    if (!d->reverse || d->kernel)
        return true;
    c = find_client(s, d->tunnel);
    if (c == NULL)
        c = add_client(s, d->tunnel, slot, 0);
    if (c == NULL) {
        strcpy(why, "no memory");
        return false;
    }
    if (c->slot != slot && c->chosen && c->children > 0) {
        strcpy(why, "another child of it is carried by another process");
        return false;
    }
    put_into(s, c, slot);
    return add_entry(s, c, &(struct entry){.id = d->id, .slot = slot}, d, why);
}

void gh_ike_spread_go(struct gh_ike_spread *s, uint32_t id, uint64_t now_ms)
{
    const uint32_t at = find_entry(s, false, 0, id);

    if (at != NONE)
        remove_entry(s, at, now_ms);
}

bool gh_ike_spread_held(struct gh_ike_spread *s, uint8_t slot, uint32_t owner,
                        const struct gh_esp_child *d)
{
    const uint32_t before = find_entry(s, true, slot, owner);
    struct client *c = find_client(s, d->tunnel);
    char why[GH_ESP_WHY];

    if (before != NONE)
        remove_entry(s, before, 0);
    if (c == NULL)
        c = add_client(s, d->tunnel, slot, 0);
    if (c == NULL)
        return true;
    if (c->slot != slot && c->chosen && c->children > 0)
        return false;
    put_into(s, c, slot);
    (void)add_entry(s, c, &(struct entry){.id = owner, .slot = slot, .held = true}, d, why);
    return true;
}

void gh_ike_spread_left(struct gh_ike_spread *s, uint8_t slot, uint32_t owner, uint64_t now_ms)
{
    const uint32_t at = find_entry(s, true, slot, owner);

    if (at != NONE)
        remove_entry(s, at, now_ms);
}

void gh_ike_spread_forget_held(struct gh_ike_spread *s, uint8_t slot, uint64_t now_ms)
{
    for (uint32_t i = 0; i < s->entry_count; i++)
        if (s->entries[i].client != NULL && s->entries[i].held && s->entries[i].slot == slot)
            remove_entry(s, i, now_ms);
}

size_t gh_ike_spread_count(struct gh_ike_spread *s, uint8_t slot, uint64_t now_ms)
{
    forget_old(s, now_ms);
    return s->clients[slot];
}

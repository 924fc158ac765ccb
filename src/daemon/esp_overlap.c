#include "daemon/esp_overlap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a child has claimed. */
struct holder {
    uint32_t owner, policy;
    uint32_t id, replaces; /* as in struct gh_esp_child */
    uint8_t tunnel[GH_ESP_TUNNEL];
    bool overlap;
    char who[GH_ESP_WHO];
    size_t local_count, remote_count;
    struct ike_ts ts[]; /* local ones, then remote ones */
};

/* One selector of the peer's side, under the smallest prefix around it. */
struct claim {
    const struct holder *holder;
    const struct ike_ts *remote;
    struct gh_prefix around;
};

struct gh_esp_overlap {
    struct claim *claims; /* in order: compare() */
    size_t count, room;
    struct holder **holders; /* [owner] */
    size_t holder_room;
};

struct gh_esp_overlap *gh_esp_overlap_new(void)
{
    return calloc(1, sizeof(struct gh_esp_overlap));
}

void gh_esp_overlap_free(struct gh_esp_overlap *o)
{
    if (o == NULL)
        return;
    for (size_t i = 0; i < o->holder_room; i++)
        free(o->holders[i]);
    free(o->holders);
    free(o->claims);
    free(o);
}

/* ---- Prefixes ------------------------------------------------------------------------------- */

static struct gh_prefix shortened(const struct gh_addr *a, unsigned bits)
{
    struct gh_prefix p = {.addr = *a, .bits = (uint8_t)bits};

    for (unsigned i = bits; i < 8u * a->len; i++)
        p.addr.octets[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    return p;
}

static struct gh_prefix around(const struct ike_ts *ts)
{
    return shortened(&ts->start, gh_addr_common_bits(&ts->start, &ts->end));
}

static int compare(uint32_t policy, const struct gh_prefix *p, const struct claim *c)
{
    if (policy != c->holder->policy)
        return policy < c->holder->policy ? -1 : 1;
    return gh_prefix_compare(p, &c->around);
}

/* The first that is not before it. */
static size_t place_of(const struct gh_esp_overlap *o, uint32_t policy, const struct gh_prefix *p)
{
    size_t low = 0, high = o->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (compare(policy, p, &o->claims[mid]) > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool is_in(const struct claim *c, uint32_t policy, const struct gh_prefix *p)
{
    return c->holder->policy == policy && c->around.addr.len == p->addr.len &&
           c->around.bits >= p->bits && gh_prefix_contains(p, &c->around.addr);
}

/* ---- Selectors ------------------------------------------------------------------------------ */

static bool is_opaque(const struct ike_ts *t)
{
    return t->start_port > t->end_port;
}

/* OPAQUE and ANY have packets in common (RFC 4301 4.4.1.1). */
static bool ports_meet(const struct ike_ts *a, const struct ike_ts *b)
{
    if (is_opaque(a) || is_opaque(b))
        return (is_opaque(a) || (a->start_port == 0 && a->end_port == UINT16_MAX)) &&
               (is_opaque(b) || (b->start_port == 0 && b->end_port == UINT16_MAX));
    return a->start_port <= b->end_port && b->start_port <= a->end_port;
}

static bool ts_meet(const struct ike_ts *a, const struct ike_ts *b)
{
    return a->start.len == b->start.len &&
           memcmp(a->start.octets, b->end.octets, a->start.len) <= 0 &&
           memcmp(b->start.octets, a->end.octets, a->start.len) <= 0 && ports_meet(a, b) &&
           (a->protocol == b->protocol || a->protocol == 0 || b->protocol == 0);
}

/* Of both sides of one child, as far as they make a selector. */
static uint8_t protocol_of(const struct ike_ts *local, const struct ike_ts *remote, bool *good)
{
    *good = local->start.len == remote->start.len &&
            (local->protocol == remote->protocol || local->protocol == 0 || remote->protocol == 0);
    return local->protocol != 0 ? local->protocol : remote->protocol;
}

/* Do they have packets in common, whose remote side is in these two? */
static bool meet(const struct holder *a, const struct ike_ts *a_remote, const struct holder *b,
                 const struct ike_ts *b_remote)
{
    if (!ts_meet(a_remote, b_remote))
        return false;
    for (size_t i = 0; i < a->local_count; i++)
        for (size_t k = 0; k < b->local_count; k++) {
            bool a_good, b_good;
            uint8_t ours = protocol_of(&a->ts[i], a_remote, &a_good);
            uint8_t theirs = protocol_of(&b->ts[k], b_remote, &b_good);

            if (a_good && b_good && ts_meet(&a->ts[i], &b->ts[k]) &&
                (ours == theirs || ours == 0 || theirs == 0))
                return true;
        }
    return false;
}

/* Transport mode is to the peer alone. */
static size_t remotes_of(const struct gh_esp_child *d, struct ike_ts out[IKE_TS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < d->ts_remote.count; i++) {
        struct ike_ts ts = d->ts_remote.ts[i];

        if (d->mode == IPSEC_TRANSPORT) {
            if (ts.start.len != d->remote.len)
                continue;
            ts.start = ts.end = d->remote;
        }
        out[n++] = ts;
    }
    return n;
}

/* ---- Claims --------------------------------------------------------------------------------- */

static bool excludes(const struct holder *a, const struct claim *c, const struct ike_ts *remote)
{
    const struct holder *b = c->holder;

    if (a->replaces != 0 && a->replaces == b->id) /* a peer without identity may have moved */
        return false;
    return memcmp(a->tunnel, b->tunnel, GH_ESP_TUNNEL) != 0 && !(a->overlap && b->overlap) &&
           meet(a, remote, b, c->remote);
}

/* Ranges overlap only if of the prefixes around them one is in the other. */
static const struct claim *conflict(const struct gh_esp_overlap *o, const struct holder *h,
                                    const struct ike_ts *remote)
{
    const struct gh_prefix own = around(remote);

    for (unsigned bits = 0; bits < own.bits; bits++) {
        const struct gh_prefix wider = shortened(&own.addr, bits);

        for (size_t i = place_of(o, h->policy, &wider);
             i < o->count && compare(h->policy, &wider, &o->claims[i]) == 0; i++)
            if (excludes(h, &o->claims[i], remote))
                return &o->claims[i];
    }
    for (size_t i = place_of(o, h->policy, &own);
         i < o->count && is_in(&o->claims[i], h->policy, &own); i++)
        if (excludes(h, &o->claims[i], remote))
            return &o->claims[i];
    return NULL;
}

static struct holder *describe(uint32_t owner, uint32_t policy, const struct gh_esp_child *d)
{
    struct ike_ts remotes[IKE_TS_MAX];
    size_t local = d->ts_local.count, remote = remotes_of(d, remotes);
    struct holder *h = malloc(sizeof(*h) + (local + remote) * sizeof(h->ts[0]));

    if (h == NULL)
        return NULL;
    *h = (struct holder){.owner = owner,
                         .policy = policy,
                         .id = d->id,
                         .replaces = d->replaces,
                         .overlap = d->overlap,
                         .local_count = local,
                         .remote_count = remote};
    memcpy(h->tunnel, d->tunnel, sizeof(h->tunnel));
    memcpy(h->who, d->who, sizeof(h->who));
    memcpy(h->ts, d->ts_local.ts, local * sizeof(h->ts[0]));
    memcpy(h->ts + local, remotes, remote * sizeof(h->ts[0]));
    return h;
}

static bool make_room(struct gh_esp_overlap *o, uint32_t owner, size_t claims)
{
    if (owner >= o->holder_room) {
        size_t room = 2 * (size_t)owner + 16;
        struct holder **more = realloc(o->holders, room * sizeof(struct holder *));

        if (more == NULL)
            return false;
        memset(more + o->holder_room, 0, (room - o->holder_room) * sizeof(struct holder *));
        o->holders = more;
        o->holder_room = room;
    }
    if (o->count + claims > o->room) {
        size_t room = 2 * (o->count + claims);
        struct claim *more = realloc(o->claims, room * sizeof(*more));

        if (more == NULL)
            return false;
        o->claims = more;
        o->room = room;
    }
    return true;
}

static void file(struct gh_esp_overlap *o, const struct holder *h)
{
    for (size_t i = 0; i < h->remote_count; i++) {
        const struct ike_ts *remote = &h->ts[h->local_count + i];
        struct claim c = {.holder = h, .remote = remote, .around = around(remote)};
        size_t at = place_of(o, h->policy, &c.around);

        memmove(&o->claims[at + 1], &o->claims[at], (o->count++ - at) * sizeof(c));
        o->claims[at] = c;
    }
}

bool gh_esp_overlap_claim(struct gh_esp_overlap *o, uint32_t owner, uint32_t policy,
                          const struct gh_esp_child *d, char why[GH_ESP_WHY])
{
    struct holder *h = describe(owner, policy, d);
    char ours[IKE_TS_TEXT], theirs[IKE_TS_TEXT];

    gh_esp_overlap_release(o, owner);
    if (h == NULL || !make_room(o, owner, h->remote_count)) {
        free(h);
        snprintf(why, GH_ESP_WHY, "no memory");
        return false;
    }
    for (size_t i = 0; i < h->remote_count; i++) {
        const struct ike_ts *remote = &h->ts[h->local_count + i];
        const struct claim *c = conflict(o, h, remote);

        if (c == NULL)
            continue;
        snprintf(why, GH_ESP_WHY, "%.54s of %.60s overlaps %.54s of %.60s",
                 ike_ts_format(remote, ours), h->who, ike_ts_format(c->remote, theirs),
                 c->holder->who);
        free(h);
        return false;
    }
    o->holders[owner] = h;
    file(o, h);
    return true;
}

void gh_esp_overlap_release(struct gh_esp_overlap *o, uint32_t owner)
{
    struct holder *h = owner < o->holder_room ? o->holders[owner] : NULL;

    if (h == NULL)
        return;
    for (size_t i = 0; i < h->remote_count; i++) {
        const struct gh_prefix p = around(&h->ts[h->local_count + i]);
        size_t at = place_of(o, h->policy, &p);

        while (o->claims[at].holder != h)
            at++;
        o->count--;
        memmove(&o->claims[at], &o->claims[at + 1], (o->count - at) * sizeof(o->claims[0]));
    }
    o->holders[owner] = NULL;
    free(h);
}

#include "daemon/esp_reverse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/range.h"

struct claim {
    uint32_t owner;
    uint8_t tunnel[GH_ESP_TUNNEL];
    bool overlap;
    struct gh_esp_route_wish wish;
};

/* One prefix in one place. */
struct node {
    uint32_t place;
    struct gh_prefix to;
    struct claim *claims; /* the newest last */
    size_t count;
    struct gh_esp_route_wish told; /* up: there is a route */
};

struct gh_esp_reverse {
    const struct gh_esp_reverse_ops *ops;
    void *ctx;
    struct node *nodes; /* in order: compare() */
    size_t count;
};

struct gh_esp_reverse *gh_esp_reverse_new(const struct gh_esp_reverse_ops *ops, void *ctx)
{
    struct gh_esp_reverse *r = calloc(1, sizeof(*r));

    if (r != NULL)
        *r = (struct gh_esp_reverse){.ops = ops, .ctx = ctx};
    return r;
}

void gh_esp_reverse_free(struct gh_esp_reverse *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++)
        free(r->nodes[i].claims);
    free(r->nodes);
    free(r);
}

/* ---- Prefixes ------------------------------------------------------------------------------- */

static int compare(uint32_t place, const struct gh_prefix *to, const struct node *n)
{
    if (place != n->place)
        return place < n->place ? -1 : 1;
    return gh_prefix_compare(to, &n->to);
}

/* Where it is, or would be. */
static size_t place_of(const struct gh_esp_reverse *r, uint32_t place, const struct gh_prefix *to)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (compare(place, to, &r->nodes[mid]) > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct node *find(const struct gh_esp_reverse *r, uint32_t place, const struct gh_prefix *to)
{
    size_t at = place_of(r, place, to);

    return at < r->count && compare(place, to, &r->nodes[at]) == 0 ? &r->nodes[at] : NULL;
}

static bool is_in(const struct node *n, uint32_t place, const struct gh_prefix *to)
{
    return n->place == place && n->to.addr.len == to->addr.len && n->to.bits >= to->bits &&
           gh_prefix_contains(to, &n->to.addr);
}

static struct gh_prefix shorter(const struct gh_prefix *p, unsigned bits)
{
    struct gh_prefix out = *p;

    out.bits = (uint8_t)bits;
    for (unsigned i = bits; i < p->bits; i++)
        out.addr.octets[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    return out;
}

static struct gh_prefix host(const struct gh_addr *a)
{
    return (struct gh_prefix){.addr = *a, .bits = (uint8_t)(8 * a->len)};
}

/* Of the peer's selectors. SIZE_MAX: too many. Transport mode goes to the peer alone. */
static size_t prefixes_of(const struct gh_esp_child *d,
                          struct gh_prefix out[GH_ESP_REVERSE_PREFIXES])
{
    struct gh_prefix list[GH_RANGE_PREFIXES];
    size_t n = 0;

    if (!d->reverse)
        return 0;
    if (d->mode == IPSEC_TRANSPORT) {
        out[0] = host(&d->remote);
        return 1;
    }
    for (size_t i = 0; i < d->ts_remote.count; i++) {
        const struct ike_ts *ts = &d->ts_remote.ts[i];
        size_t count = gh_range_prefixes(&ts->start, &ts->end, list);

        for (size_t k = 0; k < count; k++) {
            if (list[k].bits == 0)
                continue;
            if (n == GH_ESP_REVERSE_PREFIXES)
                return SIZE_MAX;
            out[n++] = list[k];
        }
    }
    return n;
}

/* ---- What routes there are ------------------------------------------------------------------ */

static bool same_tunnel(const struct claim *c, const uint8_t tunnel[GH_ESP_TUNNEL])
{
    return memcmp(c->tunnel, tunnel, GH_ESP_TUNNEL) == 0;
}

static bool claims(const struct node *n, const uint8_t tunnel[GH_ESP_TUNNEL])
{
    for (size_t i = 0; n != NULL && i < n->count; i++)
        if (same_tunnel(&n->claims[i], tunnel))
            return true;
    return false;
}

/* Its tunnel has a larger prefix around this one. */
static bool is_covered(const struct gh_esp_reverse *r, const struct node *n, const struct claim *c)
{
    for (unsigned bits = n->to.bits; bits-- > 1;) {
        const struct gh_prefix around = shorter(&n->to, bits);

        if (claims(find(r, n->place, &around), c->tunnel))
            return true;
    }
    return false;
}

static bool same_wish(const struct gh_esp_route_wish *a, const struct gh_esp_route_wish *b)
{
    return a->up == b->up && (!a->up || (a->metric == b->metric && a->holds_peer == b->holds_peer &&
                                         gh_addr_equal(&a->source, &b->source)));
}

static void follow(struct gh_esp_reverse *r, struct node *n)
{
    struct gh_esp_route_wish wish = {.to = n->to};
    size_t i = n->count;

    while (i > 0 && is_covered(r, n, &n->claims[i - 1]))
        i--;
    if (i > 0)
        wish = n->claims[i - 1].wish;
    for (size_t k = 0; k < n->count; k++) /* whoever it is: its packets must not go in */
        wish.holds_peer |= n->claims[k].wish.holds_peer;
    if (same_wish(&n->told, &wish))
        return;
    if (n->told.up) {
        n->told.up = false;
        r->ops->route(r->ctx, n->place, &n->told);
    }
    n->told = wish;
    if (wish.up)
        r->ops->route(r->ctx, n->place, &wish);
}

/* The prefix that came, and all in it: its route is there before others go. */
static void follow_all(struct gh_esp_reverse *r, uint32_t place, const struct gh_prefix *to)
{
    for (size_t i = place_of(r, place, to); i < r->count && is_in(&r->nodes[i], place, to); i++)
        follow(r, &r->nodes[i]);
}

/* The prefix goes: what is in it has routes of its own before. */
static void follow_back(struct gh_esp_reverse *r, uint32_t place, const struct gh_prefix *to)
{
    size_t first = place_of(r, place, to), end = first;

    while (end < r->count && is_in(&r->nodes[end], place, to))
        end++;
    while (end-- > first)
        follow(r, &r->nodes[end]);
}

/* ---- Claims --------------------------------------------------------------------------------- */

/* Does another tunnel have any of it? */
static const struct node *conflict(const struct gh_esp_reverse *r, uint32_t place,
                                   const struct gh_prefix *to, const struct gh_esp_child *d)
{
    for (unsigned bits = 0; bits <= to->bits; bits++) {
        const struct gh_prefix around = shorter(to, bits);
        const struct node *n = find(r, place, &around);

        for (size_t i = 0; n != NULL && i < n->count; i++)
            if (!same_tunnel(&n->claims[i], d->tunnel) && !(n->claims[i].overlap && d->overlap))
                return n;
    }
    for (size_t at = place_of(r, place, to); at < r->count && is_in(&r->nodes[at], place, to); at++)
        for (size_t i = 0; i < r->nodes[at].count; i++)
            if (!same_tunnel(&r->nodes[at].claims[i], d->tunnel) &&
                !(r->nodes[at].claims[i].overlap && d->overlap))
                return &r->nodes[at];
    return NULL;
}

static struct node *make(struct gh_esp_reverse *r, uint32_t place, const struct gh_prefix *to)
{
    struct node *n = find(r, place, to), *more;
    size_t at;

    if (n != NULL || r->count == GH_ESP_REVERSE_MAX)
        return n;
    more = realloc(r->nodes, (r->count + 1) * sizeof(*more));
    if (more == NULL)
        return NULL;
    r->nodes = more;
    at = place_of(r, place, to);
    memmove(&more[at + 1], &more[at], (r->count++ - at) * sizeof(*more));
    more[at] = (struct node){.place = place, .to = *to};
    return &more[at];
}

/* Where our side is one address, this host itself is what is protected: it sends from there. */
static struct gh_addr source_of(const struct gh_esp_child *d, uint8_t len)
{
    const struct ike_ts *ts = &d->ts_local.ts[0];
    bool one =
        d->ts_local.count == 1 && ts->start.len == len && gh_addr_equal(&ts->start, &ts->end);

    return one ? ts->start : (struct gh_addr){.len = 0};
}

static bool add(struct gh_esp_reverse *r, uint32_t owner, uint32_t place,
                const struct gh_prefix *to, const struct gh_esp_child *d)
{
    struct node *n = make(r, place, to);
    struct claim *more = n != NULL ? realloc(n->claims, (n->count + 1) * sizeof(*more)) : NULL;

    if (more == NULL)
        return false;
    n->claims = more;
    more[n->count] = (struct claim){
        .owner = owner,
        .overlap = d->overlap,
        .wish = {.up = true,
                 .to = *to,
                 .metric = d->metric,
                 .holds_peer = gh_prefix_contains(to, &d->remote),
                 .source = source_of(d, to->addr.len)},
    };
    memcpy(more[n->count++].tunnel, d->tunnel, GH_ESP_TUNNEL);
    follow_all(r, place, to);
    return true;
}

bool gh_esp_reverse_claim(struct gh_esp_reverse *r, uint32_t owner, uint32_t place,
                          const struct gh_esp_child *d, char why[GH_ESP_REVERSE_WHY])
{
    struct gh_prefix list[GH_ESP_REVERSE_PREFIXES];
    size_t count = prefixes_of(d, list);
    char mine[GH_PREFIX_TEXT], theirs[GH_PREFIX_TEXT];

    if (count == SIZE_MAX) {
        snprintf(why, GH_ESP_REVERSE_WHY, "its selectors are more than %d prefixes",
                 (int)GH_ESP_REVERSE_PREFIXES);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct node *n = conflict(r, place, &list[i], d);

        if (n == NULL)
            continue;
        snprintf(why, GH_ESP_REVERSE_WHY, "%s: the route to %s is another tunnel's",
                 gh_prefix_format(&list[i], mine), gh_prefix_format(&n->to, theirs));
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (add(r, owner, place, &list[i], d))
            continue;
        gh_esp_reverse_release(r, owner, place, d);
        snprintf(why, GH_ESP_REVERSE_WHY, "too many routes");
        return false;
    }
    return true;
}

static bool disown(struct node *n, uint32_t owner)
{
    size_t kept = 0, before = n->count;

    for (size_t i = 0; i < n->count; i++)
        if (n->claims[i].owner != owner)
            n->claims[kept++] = n->claims[i];
    n->count = kept;
    return kept < before;
}

void gh_esp_reverse_release(struct gh_esp_reverse *r, uint32_t owner, uint32_t place,
                            const struct gh_esp_child *d)
{
    struct gh_prefix list[GH_ESP_REVERSE_PREFIXES];
    size_t count = prefixes_of(d, list);

    for (size_t i = 0; count != SIZE_MAX && i < count; i++) {
        struct node *n = find(r, place, &list[i]);

        if (n == NULL || !disown(n, owner))
            continue;
        follow_back(r, place, &list[i]);
        if (n->count > 0)
            continue;
        free(n->claims);
        r->count--;
        memmove(n, n + 1, (size_t)(&r->nodes[r->count] - n) * sizeof(*n));
    }
}

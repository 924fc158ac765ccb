#include "daemon/esp_route_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "config/alloc.h"

enum { SMALLEST = 64, NONE = UINT32_MAX };

static uint32_t *bucket_of(const struct gh_esp_routes *t, uint32_t table,
                           const struct gh_prefix *to)
{
    struct {
        uint32_t table;
        uint8_t bits, len, octets[16];
        uint8_t rest[2];
    } key = {.table = table, .bits = to->bits, .len = to->addr.len};

    memcpy(key.octets, to->addr.octets, to->addr.len);
    return &t->buckets[(size_t)gh_siphash(&t->seed, &key, sizeof(key)) & (t->bucket_count - 1)];
}

static void link_in(struct gh_esp_routes *t, size_t at)
{
    struct gh_esp_route *r = &t->list[at];
    uint32_t *bucket = bucket_of(t, r->table, &r->to);

    r->next = *bucket;
    *bucket = (uint32_t)at;
}

/* What leads to this position. */
static uint32_t *link_to(struct gh_esp_routes *t, size_t at)
{
    uint32_t *link = bucket_of(t, t->list[at].table, &t->list[at].to);

    while (*link != at)
        link = &t->list[*link].next;
    return link;
}

static void grow(struct gh_esp_routes *t)
{
    size_t room = t->room > 0 ? 2 * t->room : SMALLEST;

    if (t->room == 0 && getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
        abort();
    t->list = gh_config_must(realloc(t->list, room * sizeof(*t->list)));
    free(t->buckets);
    t->buckets = gh_config_must(malloc(room * sizeof(*t->buckets)));
    t->room = t->bucket_count = room;
    memset(t->buckets, 0xff, room * sizeof(*t->buckets)); /* NONE */
    for (size_t i = 0; i < t->count; i++)
        link_in(t, i);
}

void gh_esp_routes_free(struct gh_esp_routes *t)
{
    free(t->list);
    free(t->buckets);
    *t = (struct gh_esp_routes){.count = 0};
}

struct gh_esp_route *gh_esp_routes_find(const struct gh_esp_routes *t, uint32_t table,
                                        const struct gh_prefix *to)
{
    uint32_t at = t->count > 0 ? *bucket_of(t, table, to) : NONE;

    while (at != NONE && (t->list[at].table != table || !gh_prefix_equal(&t->list[at].to, to)))
        at = t->list[at].next;
    return at != NONE ? &t->list[at] : NULL;
}

struct gh_esp_route *gh_esp_routes_make(struct gh_esp_routes *t, uint32_t table,
                                        const struct gh_prefix *to)
{
    struct gh_esp_route *r = gh_esp_routes_find(t, table, to);

    if (r != NULL)
        return r;
    if (t->count == t->room)
        grow(t);
    t->list[t->count] = (struct gh_esp_route){.to = *to, .table = table};
    link_in(t, t->count);
    return &t->list[t->count++];
}

void gh_esp_routes_remove(struct gh_esp_routes *t, struct gh_esp_route *r)
{
    size_t at = (size_t)(r - t->list), last = t->count - 1;

    *link_to(t, at) = r->next;
    if (at != last) {
        *link_to(t, last) = (uint32_t)at;
        *r = t->list[last];
    }
    t->count--;
}

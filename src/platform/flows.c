#include <stdlib.h>
#include <string.h>

#include "platform/rules_text.h"

static int compare_vrf(const struct gh_flow *a, const struct gh_flow *b)
{
    if (a->vrf == NULL || b->vrf == NULL)
        return (a->vrf == NULL) - (b->vrf == NULL);
    return strcmp(a->vrf, b->vrf);
}

static int compare_prefix(const struct gh_prefix *a, const struct gh_prefix *b)
{
    int c = (int)a->addr.len - b->addr.len;

    if (c == 0)
        c = memcmp(a->addr.octets, b->addr.octets, sizeof(a->addr.octets));
    return c != 0 ? c : (int)a->bits - b->bits;
}

static int compare_kind(const struct gh_flow *a, const struct gh_flow *b)
{
    int c = compare_vrf(a, b);

    if (c == 0)
        c = (int)a->queue - b->queue;
    if (c == 0)
        c = (int)a->peer.addr.len - b->peer.addr.len;
    if (c == 0)
        c = compare_prefix(&a->local, &b->local);
    return c != 0 ? c : (int)a->port - b->port;
}

static int compare_flow(const void *x, const void *y)
{
    const struct gh_flow *a = x, *b = y;
    int c = compare_kind(a, b);

    return c != 0 ? c : compare_prefix(&a->peer, &b->peer);
}

bool gh_flow_same_vrf(const struct gh_flow *a, const struct gh_flow *b)
{
    return compare_vrf(a, b) == 0;
}

bool gh_flow_follows_vrfs(const struct gh_flow *flows, size_t i)
{
    return i > 0 && flows[i].vrf == NULL && flows[i - 1].vrf != NULL;
}

bool gh_flow_same_kind(const struct gh_flow *a, const struct gh_flow *b)
{
    return compare_kind(a, b) == 0;
}

struct gh_flow *gh_flows_sorted(const struct gh_flow *flows, size_t *count)
{
    struct gh_flow *list = calloc(*count + 1, sizeof(*list));
    size_t kept = 0;

    if (list == NULL)
        return NULL;
    if (*count > 0) {
        memcpy(list, flows, *count * sizeof(*list));
        qsort(list, *count, sizeof(*list), compare_flow);
    }
    /* Prefixes nest or are disjoint, and the wider one sorts first. */
    for (size_t i = 0; i < *count; i++) {
        const struct gh_flow *last = kept > 0 ? &list[kept - 1] : NULL;

        if (last == NULL || !gh_flow_same_kind(last, &list[i]) ||
            !gh_prefix_contains(&last->peer, &list[i].peer.addr))
            list[kept++] = list[i];
    }
    *count = kept;
    return list;
}

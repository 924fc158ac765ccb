#include <stdlib.h>
#include <string.h>

#include "platform/rules_text.h"

/* The order in the chains. */
static int rank(enum gh_rule_kind kind)
{
    static const int ranks[] = {[GH_RULE_GUARD] = 0,
                                [GH_RULE_KEYED] = 1,
                                [GH_RULE_QUEUE] = 2,
                                [GH_RULE_DROP] = 3,
                                [GH_RULE_STRICT] = 4};

    return ranks[kind];
}

static unsigned shape(const struct gh_socket_rule *r)
{
    return (gh_prefix_is_host(&r->peer) ? 0u : 8u) | (r->local.len != 0 ? 0u : 4u) |
           (r->local_port != 0 ? 0u : 2u) | (r->remote_port != 0 ? 0u : 1u);
}

static int compare_shape(const struct gh_socket_rule *a, const struct gh_socket_rule *b)
{
    int c = rank(a->kind) - rank(b->kind);

    if (c == 0)
        c = (int)a->queue - b->queue;
    if (c == 0)
        c = (int)a->peer.addr.len - b->peer.addr.len;
    return c != 0 ? c : (int)shape(a) - (int)shape(b);
}

static int compare(const void *x, const void *y)
{
    const struct gh_socket_rule *a = x, *b = y;
    int c = compare_shape(a, b);

    if (c == 0)
        c = memcmp(a->peer.addr.octets, b->peer.addr.octets, sizeof(a->peer.addr.octets));
    if (c == 0)
        c = (int)a->peer.bits - b->peer.bits;
    if (c == 0)
        c = memcmp(a->local.octets, b->local.octets, sizeof(a->local.octets));
    if (c == 0)
        c = (int)a->local_port - b->local_port;
    return c != 0 ? c : (int)a->remote_port - b->remote_port;
}

size_t gh_socket_rules_alike(const struct gh_socket_rule *rules, size_t count)
{
    size_t n = 1;

    if (rules[0].kind == GH_RULE_STRICT || !gh_prefix_is_host(&rules[0].peer))
        return 1;
    while (n < count && compare_shape(&rules[0], &rules[n]) == 0)
        n++;
    return n;
}

struct gh_socket_rule *gh_socket_rules_sorted(const struct gh_socket_rule *rules, size_t *count)
{
    struct gh_socket_rule *list = calloc(*count + 1, sizeof(*list));
    size_t kept = 0;

    if (list == NULL)
        return NULL;
    if (*count > 0) {
        memcpy(list, rules, *count * sizeof(*list));
        qsort(list, *count, sizeof(*list), compare);
    }
    for (size_t i = 0; i < *count; i++)
        if (kept == 0 || compare(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    *count = kept;
    return list;
}

const struct gh_socket_rule *gh_socket_rules_strict(const struct gh_socket_rule *rules,
                                                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].kind == GH_RULE_STRICT)
            return &rules[i];
    return NULL;
}

const struct gh_socket_rule *gh_socket_rules_icmp(const struct gh_socket_rule *rules, size_t count,
                                                  const struct gh_flow *flows, size_t flow_count,
                                                  uint8_t family)
{
    for (size_t i = 0; i < flow_count; i++)
        if (flows[i].vrf == NULL && flows[i].peer.addr.len == family)
            return NULL;
    for (size_t i = 0; i < count; i++)
        if (rules[i].kind == GH_RULE_QUEUE && rules[i].peer.addr.len == family)
            return &rules[i];
    return NULL;
}

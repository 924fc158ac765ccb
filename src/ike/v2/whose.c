/*
 * Whose a message is: policies by the peer's address, and by name. Most gateways with many peers
 * know their addresses, so policies for one address are found by it; those for more are looked at
 * one after the other.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/priv.h"
#include "ike/v2/whose.h"

/* FNV-1a: addresses and names are of the configuration. */
static uint32_t hash_of(const void *octets, size_t len)
{
    const uint8_t *p = octets;
    uint32_t h = 0x811c9dc5;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x01000193;
    return h ^ h >> 15;
}

static size_t name_bucket(const struct ike2_whose *w, const char *name)
{
    return hash_of(name, strlen(name)) & w->mask;
}

static size_t addr_bucket(const struct ike2_whose *w, const struct gh_addr *addr)
{
    return hash_of(addr->octets, addr->len) & w->mask;
}

static bool has_one_address(const struct ike2_policy *p)
{
    return gh_prefix_is_host(&p->remote) && p->backup_count == 0;
}

void ike2_whose_clear(struct ike2_whose *w)
{
    free(w->policies);
    free(w->by_addr);
    free(w->by_name);
    free(w->next_addr);
    free(w->next_name);
    free(w->wide);
    *w = (struct ike2_whose){.count = 0};
}

bool ike2_whose_make(struct ike2_whose *w, struct ike2_policy **policies, size_t count)
{
    size_t buckets = 1;

    while (buckets < count)
        buckets *= 2;
    *w = (struct ike2_whose){.policies = policies,
                             .count = count,
                             .mask = buckets - 1,
                             .by_addr = calloc(buckets, sizeof(uint32_t)),
                             .by_name = calloc(buckets, sizeof(uint32_t)),
                             .next_addr = calloc(count + 1, sizeof(uint32_t)),
                             .next_name = calloc(count + 1, sizeof(uint32_t)),
                             .wide = calloc(count + 1, sizeof(uint32_t))};
    if (w->by_addr == NULL || w->by_name == NULL || w->next_addr == NULL || w->next_name == NULL ||
        w->wide == NULL) {
        w->policies = NULL; /* the caller's still */
        ike2_whose_clear(w);
        return false;
    }
    for (size_t i = count; i-- > 0;) { /* from the end, so that chains begin with the first */
        size_t name = name_bucket(w, policies[i]->name);

        w->next_name[i] = w->by_name[name];
        w->by_name[name] = (uint32_t)i + 1;
        if (has_one_address(policies[i])) {
            size_t addr = addr_bucket(w, &policies[i]->remote.addr);

            w->next_addr[i] = w->by_addr[addr];
            w->by_addr[addr] = (uint32_t)i + 1;
        }
    }
    for (size_t i = 0; i < count; i++) {
        policies[i]->place = i;
        if (!has_one_address(policies[i]))
            w->wide[w->wide_count++] = (uint32_t)i;
    }
    return true;
}

struct ike2_policy *ike2_policy_named(const struct ike2_whose *w, const char *name)
{
    uint32_t at = w->count > 0 ? w->by_name[name_bucket(w, name)] : 0;

    while (at != 0 && strcmp(w->policies[at - 1]->name, name) != 0)
        at = w->next_name[at - 1];
    return at != 0 ? w->policies[at - 1] : NULL;
}

static bool is_for(const struct ike2_policy *p, const struct ike2_endpoint *local,
                   const struct gh_addr *remote)
{
    return p->zone == local->zone &&
           (p->local.len == 0 || gh_addr_equal(&p->local, &local->addr)) &&
           ((p->remote.bits == 0 ? p->remote.addr.len == 0 || p->remote.addr.len == remote->len
                                 : gh_prefix_contains(&p->remote, remote)) ||
            (p->backup_count > 0 && ike2_gateway_is(p, remote)));
}

struct ike2_policy *ike2_policy_any(const struct ike2_whose *w, const struct ike2_endpoint *local,
                                    const struct gh_addr *remote, const struct ike2_policy *after)
{
    size_t from = after != NULL ? after->place + 1 : 0, found = w->count;

    if (w->count == 0)
        return NULL;
    for (uint32_t at = w->by_addr[addr_bucket(w, remote)]; at != 0 && found == w->count;
         at = w->next_addr[at - 1])
        if (at - 1 >= from && is_for(w->policies[at - 1], local, remote))
            found = at - 1;
    for (size_t i = 0; i < w->wide_count && w->wide[i] < found; i++)
        if (w->wide[i] >= from && is_for(w->policies[w->wide[i]], local, remote))
            found = w->wide[i];
    return found < w->count ? w->policies[found] : NULL;
}

struct ike2_policy *ike2_policy_for(const struct ike2_whose *w, const struct ike2_endpoint *local,
                                    const struct gh_addr *remote, const struct ike2_policy *after)
{
    struct ike2_policy *p = ike2_policy_any(w, local, remote, after);

    while (p != NULL && p->stands_down)
        p = ike2_policy_any(w, local, remote, p);
    return p;
}

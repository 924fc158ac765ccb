/* Which policy a packet belongs to: the longest peer prefix, then the longest local one. */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: the table is no secret and its size is bounded. */
uint64_t ao_hash(const void *data, size_t len, uint64_t start)
{
    const uint8_t *p = data;
    uint64_t h = start != 0 ? start : 0xcbf29ce484222325ull;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}

uint64_t ao_zone_id(const char *name)
{
    return name != NULL && name[0] != '\0' ? ao_hash(name, strlen(name), 0) : 0;
}

const struct ao_session *ao_policy_in_zone(const struct ao_engine *e, uint64_t zone_id)
{
    for (size_t i = 0; i < e->session_count; i++) {
        if (e->sessions[i].zone_id == zone_id)
            return &e->sessions[i];
    }
    return NULL;
}

static size_t host_slot(const struct ao_engine *e, uint16_t zone, const uint8_t *addr, uint8_t len)
{
    return ao_hash(addr, len, ao_hash(&zone, sizeof(zone), 0)) & e->host_mask;
}

static int by_prefix_length(const void *a, const void *b)
{
    const struct ao_session *const *x = a, *const *y = b;

    return (int)(*y)->policy.peer.bits - (int)(*x)->policy.peer.bits;
}

bool ao_sessions_index(struct ao_engine *e)
{
    size_t size = 16;
    struct ao_session **index, **prefixes;

    while (size < e->session_count * 2)
        size *= 2;
    index = calloc(size, sizeof(struct ao_session *));
    prefixes = calloc(e->session_count + 1, sizeof(struct ao_session *));
    if (index == NULL || prefixes == NULL) {
        free(index);
        free(prefixes);
        return false;
    }
    free(e->host_index);
    free(e->prefixes);
    e->host_index = index;
    e->host_mask = size - 1;
    e->prefixes = prefixes;
    e->prefix_count = 0;
    for (size_t i = 0; i < e->session_count; i++) {
        struct ao_session *s = &e->sessions[i];

        if (gh_prefix_is_host(&s->policy.peer)) {
            size_t at =
                host_slot(e, s->policy.zone, s->policy.peer.addr.octets, s->policy.peer.addr.len);

            s->next_same_hash = index[at];
            index[at] = s;
        } else {
            prefixes[e->prefix_count++] = s;
        }
    }
    qsort(prefixes, e->prefix_count, sizeof(struct ao_session *), by_prefix_length);
    return true;
}

static struct gh_addr address_of(const struct tcpao_endpoint *end)
{
    return gh_addr_from(end->addr, end->addr_len);
}

static bool is_source(const struct ao_policy *p, uint16_t port)
{
    return p->source_last == 0 || (port >= p->source_first && port <= p->source_last);
}

/* Whoever opens, the service's port is at one of the ends. Direction is checked at the SYN, so
 * that a connection the wrong way round is refused and not let through unprotected. */
static bool covers(const struct ao_session *s, uint16_t zone, const struct gh_addr *local,
                   const struct gh_addr *remote, uint16_t local_port, uint16_t remote_port)
{
    const struct ao_policy *p = &s->policy;
    bool opens = p->port == remote_port && is_source(p, local_port);
    bool serves = p->port == local_port && is_source(p, remote_port);

    return p->zone == zone && (opens || serves) && gh_prefix_contains(&p->peer, remote) &&
           (p->local.addr.len == 0 || gh_prefix_contains(&p->local, local));
}

static unsigned local_bits(const struct ao_session *s)
{
    return s->policy.local.addr.len == 0 ? 0 : s->policy.local.bits + 1u;
}

/* The longer peer prefix wins, then the longer local prefix, then who names the opening side's
 * ports, then the earlier in the list. But
 * where two sessions know the connection by one end's port each, the one that requires the option
 * wins: a peer that chooses its own port must not choose the laxer policy. */
static struct ao_session *better(struct ao_session *a, struct ao_session *b)
{
    if (a == NULL)
        return b;
    if (a->policy.port != b->policy.port &&
        (a->policy.mode == AO_REQUIRED) != (b->policy.mode == AO_REQUIRED))
        return a->policy.mode == AO_REQUIRED ? a : b;
    if (a->policy.peer.bits != b->policy.peer.bits)
        return b->policy.peer.bits > a->policy.peer.bits ? b : a;
    if (local_bits(a) != local_bits(b))
        return local_bits(b) > local_bits(a) ? b : a;
    if ((a->policy.source_last == 0) != (b->policy.source_last == 0))
        return a->policy.source_last == 0 ? b : a;
    return b < a ? b : a;
}

struct ao_session *ao_policy_find(const struct ao_engine *e, uint16_t zone,
                                  const struct tcpao_endpoint *local,
                                  const struct tcpao_endpoint *remote)
{
    struct gh_addr l = address_of(local), r = address_of(remote);
    struct ao_session *found = NULL;

    if (e->session_count == 0)
        return NULL;
    for (struct ao_session *s = e->host_index[host_slot(e, zone, r.octets, r.len)]; s != NULL;
         s = s->next_same_hash) {
        if (covers(s, zone, &l, &r, local->port, remote->port))
            found = better(found, s);
    }
    if (found != NULL && found->policy.mode == AO_REQUIRED)
        return found;
    for (size_t i = 0; i < e->prefix_count; i++) {
        struct ao_session *s = e->prefixes[i];

        if (found != NULL && found->policy.mode == AO_REQUIRED &&
            s->policy.peer.bits < found->policy.peer.bits)
            break;
        if (covers(s, zone, &l, &r, local->port, remote->port))
            found = better(found, s);
    }
    return found;
}

struct ao_session *ao_session_find(const struct ao_engine *e, uint16_t zone,
                                   const struct tcpao_endpoint *local,
                                   const struct tcpao_endpoint *remote)
{
    struct ao_session *flow = ao_flow_find(e, zone, local, remote), *policy;

    if (flow != NULL && !flow->flow.others)
        return flow;
    policy = ao_policy_find(e, zone, local, remote);
    return policy != NULL ? policy : flow;
}

bool ao_session_elsewhere(const struct ao_engine *e, const struct tcpao_endpoint *local,
                          const struct tcpao_endpoint *remote)
{
    struct gh_addr l = address_of(local), r = address_of(remote);

    for (size_t i = 0; i < e->session_count; i++) {
        const struct ao_session *s = &e->sessions[i];

        if (covers(s, s->policy.zone, &l, &r, local->port, remote->port))
            return true;
    }
    return false;
}

/*
 * Sockets with keys of their own: their flows, found by place and by owner.
 *
 * A place is zone, local port and, for a flow with one host, that host: a listener may have
 * thousands of peers and a host thousands of sockets. One owner's flows are replaced without a look
 * at the others'. A flow that is taken away lives on, unseen, until its last connection is gone.
 */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

#include "keys/chain.h"

static size_t place_of(const struct ao_engine *e, uint16_t zone, uint16_t port,
                       const struct gh_addr *host)
{
    uint64_t h = ao_hash(&port, sizeof(port), ao_hash(&zone, sizeof(zone), 0));

    if (host != NULL)
        h = ao_hash(host->octets, host->len, h);
    return (h ^ h >> 32) & e->flow_mask;
}

static size_t flow_place(const struct ao_engine *e, uint16_t zone, const struct ao_socket_flow *f)
{
    return place_of(e, zone, f->local_port, gh_prefix_is_host(&f->peer) ? &f->peer.addr : NULL);
}

static size_t own_place(const struct ao_engine *e, const struct ao_session *s)
{
    return flow_place(e, s->policy.zone, &s->flow);
}

static size_t owner_slot(const struct ao_engine *e, uint64_t owner)
{
    uint64_t h = ao_hash(&owner, sizeof(owner), 0);

    return (h ^ h >> 32) & e->flow_mask;
}

/* ---- Finding -------------------------------------------------------------------------------- */

static bool covers(const struct ao_session *s, uint16_t zone, const struct gh_addr *local,
                   const struct gh_addr *remote, uint16_t local_port, uint16_t remote_port)
{
    const struct ao_socket_flow *f = &s->flow;

    return s->policy.zone == zone && f->local_port == local_port &&
           (f->remote_port == 0 || f->remote_port == remote_port) &&
           gh_prefix_contains(&f->peer, remote) &&
           (f->local.len == 0 || gh_addr_equal(&f->local, local));
}

/* One connection's flow before a listener's, then the longer peer prefix, then the local address
 * that is said; else the one that came last. */
static bool is_better(const struct ao_session *a, const struct ao_session *b)
{
    const struct ao_socket_flow *x = &a->flow, *y = &b->flow;

    if ((x->remote_port != 0) != (y->remote_port != 0))
        return x->remote_port != 0;
    if (x->peer.bits != y->peer.bits)
        return x->peer.bits > y->peer.bits;
    return x->local.len > y->local.len;
}

struct ao_session *ao_flow_find(const struct ao_engine *e, uint16_t zone,
                                const struct tcpao_endpoint *local,
                                const struct tcpao_endpoint *remote)
{
    struct gh_addr l = gh_addr_from(local->addr, local->addr_len);
    struct gh_addr r = gh_addr_from(remote->addr, remote->addr_len);
    const struct gh_addr *hosts[] = {&r, NULL};
    struct ao_session *found = NULL;

    for (size_t i = 0; e->flow_count > 0 && i < 2; i++) {
        struct ao_session *s = e->places[place_of(e, zone, local->port, hosts[i])];

        for (; s != NULL; s = s->next_same_hash) {
            if (covers(s, zone, &l, &r, local->port, remote->port) &&
                (found == NULL || is_better(s, found)))
                found = s;
        }
    }
    return found;
}

bool ao_flows_zone(const struct ao_engine *e, uint64_t zone_id, uint16_t *zone)
{
    for (const struct ao_session *s = e->flows; s != NULL; s = s->next_flow) {
        if (s->zone_id == zone_id) {
            *zone = s->policy.zone;
            return true;
        }
    }
    return false;
}

/* ---- Lists and indexes ---------------------------------------------------------------------- */

static void put_in_place(struct ao_engine *e, struct ao_session *s)
{
    struct ao_session **at = &e->places[own_place(e, s)];

    s->next_same_hash = *at;
    *at = s;
}

static void put_under_owner(struct ao_engine *e, struct ao_session *s)
{
    struct ao_session **at = &e->owners[owner_slot(e, s->flow.owner)];

    s->next_same_owner = *at;
    *at = s;
}

static void index_anew(struct ao_engine *e)
{
    memset(e->places, 0, (e->flow_mask + 1) * sizeof(struct ao_session *));
    memset(e->owners, 0, (e->flow_mask + 1) * sizeof(struct ao_session *));
    for (struct ao_session *s = e->flows; s != NULL; s = s->next_flow) {
        if (s->gone)
            continue;
        put_in_place(e, s);
        put_under_owner(e, s);
    }
}

/* Room for so many more flows. */
static bool reserve(struct ao_engine *e, size_t more)
{
    size_t size = e->places == NULL ? 16 : e->flow_mask + 1;
    struct ao_session **places, **owners;

    if (e->places != NULL && e->flow_count + more <= size)
        return true;
    while (size < e->flow_count + more)
        size *= 2;
    places = calloc(size, sizeof(struct ao_session *));
    owners = calloc(size, sizeof(struct ao_session *));
    if (places == NULL || owners == NULL) {
        free(places);
        free(owners);
        return false;
    }
    free(e->places);
    free(e->owners);
    e->places = places;
    e->owners = owners;
    e->flow_mask = size - 1;
    index_anew(e);
    return true;
}

static void link_flow(struct ao_engine *e, struct ao_session *s)
{
    s->next_flow = e->flows;
    s->previous_flow = NULL;
    if (e->flows != NULL)
        e->flows->previous_flow = s;
    e->flows = s;
    e->flow_count++;
    put_in_place(e, s);
    put_under_owner(e, s);
}

static void free_flow(struct ao_session *s)
{
    ao_session_clear(s);
    free(s);
}

static void unlink_and_free(struct ao_engine *e, struct ao_session *s)
{
    for (size_t i = 0; i < AO_ORPHANS; i++) {
        if (e->orphans[i].session == s)
            e->orphans[i].session = NULL;
    }
    if (s->previous_flow != NULL)
        s->previous_flow->next_flow = s->next_flow;
    else
        e->flows = s->next_flow;
    if (s->next_flow != NULL)
        s->next_flow->previous_flow = s->previous_flow;
    free_flow(s);
}

static void retire(struct ao_engine *e, struct ao_session *s)
{
    struct ao_session **at = &e->places[own_place(e, s)];

    while (*at != s)
        at = &(*at)->next_same_hash;
    *at = s->next_same_hash;
    at = &e->owners[owner_slot(e, s->flow.owner)];
    while (*at != s)
        at = &(*at)->next_same_owner;
    *at = s->next_same_owner;
    e->flow_count--;
    s->gone = true;
    ao_flow_released(e, s);
}

void ao_flow_released(struct ao_engine *e, struct ao_session *s)
{
    if (s->gone && s->connections == 0)
        unlink_and_free(e, s);
}

void ao_flows_free(struct ao_engine *e)
{
    while (e->flows != NULL)
        unlink_and_free(e, e->flows);
    free(e->places);
    free(e->owners);
}

/* ---- Zones ---------------------------------------------------------------------------------- */

static void follow_zones(struct ao_engine *e)
{
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        for (struct ao_connection *c = e->buckets[i]; c != NULL; c = c->next) {
            if (c->session->own_keys)
                c->zone = c->session->policy.zone;
        }
    }
    if (e->flow_count > 0)
        index_anew(e);
}

void ao_flows_renumber(struct ao_engine *e)
{
    for (struct ao_session *s = e->flows; s != NULL; s = s->next_flow) {
        const struct ao_session *policy = ao_policy_in_zone(e, s->zone_id);

        if (policy != NULL)
            s->policy.zone = policy->policy.zone;
    }
    follow_zones(e);
    for (const struct ao_session *s = e->flows; s != NULL; s = s->next_flow)
        ao_zone_name(e, s->policy.zone, s->zone_id); /* else its counters stay behind */
}

/* The zone of a new flow has a number that its earlier flows do not know. */
static void move_zone(struct ao_engine *e, uint64_t id, uint16_t zone)
{
    for (struct ao_session *s = e->flows; s != NULL; s = s->next_flow) {
        if (s->zone_id == id)
            s->policy.zone = zone;
    }
    follow_zones(e);
    ao_table_rehash(e);
}

static bool name_zones(struct ao_engine *e, const struct ao_socket_flow *flows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t id = ao_zone_id(flows[i].zone_name);
        uint16_t zone;

        if (!ao_zone_name(e, flows[i].zone, id))
            return false;
        if (ao_flows_zone(e, id, &zone) && zone != flows[i].zone)
            move_zone(e, id, flows[i].zone);
    }
    return true;
}

/* ---- An owner's word ------------------------------------------------------------------------ */

static struct ao_session *make_flow(uint64_t owner, const struct ao_socket_flow *f)
{
    struct ao_session *s = calloc(1, sizeof(*s));
    struct ao_policy p = {.name = f->name,
                          .chain_name = AO_SOCKET_CHAIN,
                          .chain = f->chain,
                          .zone = f->zone,
                          .zone_name = f->zone_name,
                          .peer = f->peer,
                          .local = {.addr = f->local, .bits = (uint8_t)(f->local.len * 8)},
                          .port = f->remote_port != 0 ? f->remote_port : f->local_port,
                          .mode = AO_REQUIRED,
                          .accept_icmp = f->accept_icmp};

    if (s == NULL)
        return NULL;
    s->own_keys = true;
    s->flow = *f;
    s->flow.owner = owner;
    s->flow.name = NULL;
    s->flow.chain = NULL;
    s->generation = tcpao_chain_generation(f->chain);
    if (!ao_session_init(s, &p)) {
        free_flow(s);
        return NULL;
    }
    s->flow.zone_name = s->policy.zone_name;
    return s;
}

static void free_list(struct ao_session *list)
{
    while (list != NULL) {
        struct ao_session *s = list;

        list = s->next_flow;
        free_flow(s);
    }
}

static bool same_ends(const struct ao_session *s, uint64_t owner, const struct ao_socket_flow *f)
{
    const struct ao_socket_flow *x = &s->flow;

    return x->owner == owner && x->local_port == f->local_port &&
           x->remote_port == f->remote_port && x->peer.bits == f->peer.bits &&
           gh_addr_equal(&x->peer.addr, &f->peer.addr) && gh_addr_equal(&x->local, &f->local) &&
           s->zone_id == ao_zone_id(f->zone_name);
}

/* The owner's flow with these ends that nobody has claimed yet. */
static struct ao_session *find_same(const struct ao_engine *e, uint64_t owner,
                                    const struct ao_socket_flow *f)
{
    struct ao_session *s = e->places[flow_place(e, f->zone, f)];

    while (s != NULL && (s->kept || !same_ends(s, owner, f)))
        s = s->next_same_hash;
    return s;
}

static bool unchanged(const struct ao_session *s, const struct ao_socket_flow *f)
{
    return s->policy.chain == f->chain && s->generation == tcpao_chain_generation(f->chain) &&
           s->policy.accept_icmp == f->accept_icmp && s->flow.others == f->others &&
           strcmp(s->policy.name, f->name) == 0 && s->flow.current_known == f->current_known &&
           s->flow.rnext_known == f->rnext_known && s->flow.current_key == f->current_key &&
           s->flow.rnext_key == f->rnext_key;
}

/* Those that are not in force as they are, the last one first: link_flow() turns them round again.
 * The others are kept. */
static bool make_flows(struct ao_engine *e, uint64_t owner, const struct ao_socket_flow *flows,
                       size_t count, struct ao_session **list)
{
    *list = NULL;
    for (size_t i = 0; i < count; i++) {
        struct ao_session *s = find_same(e, owner, &flows[i]);

        if (s != NULL && unchanged(s, &flows[i])) {
            s->kept = true;
            continue;
        }
        s = make_flow(owner, &flows[i]);
        if (s == NULL) {
            free_list(*list);
            return false;
        }
        s->next_flow = *list;
        *list = s;
    }
    return true;
}

/* The flow stays where it is, with its connections and counters, and is what `fresh` says. */
static void take_over(struct ao_session *s, struct ao_session *fresh)
{
    struct ao_policy policy = s->policy;
    struct ao_key_counters *keys = s->keys;
    size_t key_count = s->key_count;

    ao_session_carry_keys(fresh, s);
    s->policy = fresh->policy;
    s->flow = fresh->flow;
    s->keys = fresh->keys;
    s->key_count = fresh->key_count;
    s->option_space = fresh->option_space;
    s->generation = fresh->generation;
    fresh->policy = policy;
    fresh->keys = keys;
    fresh->key_count = key_count;
    free_flow(fresh);
}

static void mark_unkept(struct ao_engine *e, uint64_t owner)
{
    struct ao_session *s = e->owners[owner_slot(e, owner)];

    for (; s != NULL; s = s->next_same_owner) {
        if (s->flow.owner == owner)
            s->kept = false;
    }
}

static void retire_unkept(struct ao_engine *e, uint64_t owner)
{
    struct ao_session *next, *s = e->owners[owner_slot(e, owner)];

    for (; s != NULL; s = next) {
        next = s->next_same_owner;
        if (s->flow.owner == owner && !s->kept)
            retire(e, s);
    }
}

bool ao_engine_set_socket(struct ao_engine *e, struct gh_now now, uint64_t owner,
                          const struct ao_socket_flow *flows, size_t count)
{
    struct ao_session *fresh;

    if (!reserve(e, count) || !name_zones(e, flows, count))
        return false;
    mark_unkept(e, owner);
    if (!make_flows(e, owner, flows, count, &fresh))
        return false;
    while (fresh != NULL) {
        struct ao_session *s = fresh, *same = find_same(e, owner, &s->flow);

        fresh = s->next_flow;
        if (same != NULL) {
            take_over(same, s);
            same->kept = true;
        } else {
            s->kept = true;
            link_flow(e, s);
        }
    }
    retire_unkept(e, owner);
    return true;
}

void ao_engine_each_flow(const struct ao_engine *e, uint64_t owner,
                         void (*fn)(void *ctx, const struct ao_flow_counters *flow), void *ctx)
{
    const struct ao_session *s = e->owners != NULL ? e->owners[owner_slot(e, owner)] : NULL;

    for (; s != NULL; s = s->next_same_owner) {
        const struct ao_flow_counters flow = {.chain = s->policy.chain,
                                              .counters = s->counters,
                                              .keys = s->keys,
                                              .key_count = s->key_count};

        if (s->flow.owner == owner)
            fn(ctx, &flow);
    }
}

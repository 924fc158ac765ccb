/* The connections: found by zone and socket pair, bounded in number, forgotten in time. */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

static uint64_t endpoint_hash(const struct tcpao_endpoint *end, uint64_t start)
{
    return ao_hash(&end->port, sizeof(end->port), ao_hash(end->addr, end->addr_len, start));
}

static size_t bucket_of(const struct ao_engine *e, uint16_t zone,
                        const struct tcpao_endpoint *local, const struct tcpao_endpoint *remote)
{
    uint64_t h = endpoint_hash(remote, endpoint_hash(local, ao_hash(&zone, sizeof(zone), 0)));

    return (h ^ h >> 32) & e->bucket_mask;
}

struct ao_connection *ao_table_find(const struct ao_engine *e, uint16_t zone,
                                    const struct tcpao_endpoint *local,
                                    const struct tcpao_endpoint *remote)
{
    struct ao_connection *c = e->buckets[bucket_of(e, zone, local, remote)];

    while (c != NULL && !(c->zone == zone && ao_endpoint_equal(&c->local, local) &&
                          ao_endpoint_equal(&c->remote, remote)))
        c = c->next;
    return c;
}

static void link_connection(struct ao_engine *e, struct ao_connection *c)
{
    size_t at = bucket_of(e, c->zone, &c->local, &c->remote);

    c->next = e->buckets[at];
    e->buckets[at] = c;
}

/* An established connection may be silent for ever: the stack alone knows whether it lives. */
static uint64_t patience_ms(const struct ao_connection *c)
{
    if (c->in_kernel)
        return AO_FOREIGN_MS;
    switch (c->state) {
    case AO_STATE_SYN_SENT:
    case AO_STATE_SYN_RECEIVED:
        return AO_HALF_OPEN_MS;
    case AO_STATE_CLOSING:
        return AO_CLOSING_MS;
    case AO_STATE_CLOSED:
        return AO_CLOSED_MS;
    case AO_STATE_ESTABLISHED:
        break;
    }
    return UINT64_MAX;
}

static bool may_give_way(const struct ao_connection *c, struct gh_now now)
{
    if (c->in_kernel)
        return false;
    if (c->state == AO_STATE_ESTABLISHED)
        return now.mono_ms - c->last_ms >= AO_IDLE_MS;
    return c->state != AO_STATE_CLOSING;
}

/* Makes room: the connection that has been silent longest among those that are not established, or
 * established and silent for a day. */
static bool evict_one(struct ao_engine *e, struct gh_now now)
{
    struct ao_connection *victim = NULL;

    for (size_t i = 0; i <= e->bucket_mask; i++) {
        for (struct ao_connection *c = e->buckets[i]; c != NULL; c = c->next) {
            if (may_give_way(c, now) && (victim == NULL || c->last_ms < victim->last_ms))
                victim = c;
        }
    }
    if (victim == NULL)
        return false;
    ao_table_remove(e, victim);
    return true;
}

static void free_connection(struct ao_connection *c)
{
    ao_pending_drop(c);
    tcpao_conn_free(c->conn);
    tcpao_chain_put(c->chain);
    free(c->keys);
    free(c);
}

struct ao_connection *ao_table_add(struct ao_engine *e, struct gh_now now, struct ao_session *s,
                                   const struct tcpao_endpoint *local,
                                   const struct tcpao_endpoint *remote)
{
    struct ao_connection *c;

    /* Slots may hold connections of the instance before until they were restored. */
    if (e->settings.memory != NULL && !e->restored)
        return NULL;
    if (e->free_slot_count == 0 && !evict_one(e, now))
        return NULL;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->conn = ao_keys_begin(s, local, remote, &c->chain);
    c->own_keys = s->own_keys;
    c->accept_icmp = s->policy.accept_icmp;
    if (c->conn == NULL ||
        (c->own_keys && !ao_counters_follow(&c->keys, &c->key_count, c->chain))) {
        free_connection(c);
        return NULL;
    }
    strcpy(c->chain_name, s->policy.chain_name);
    c->session = s;
    c->zone = s->policy.zone;
    c->local = *local;
    c->remote = *remote;
    c->slot = e->free_slots[--e->free_slot_count];
    c->since = now.wall;
    c->last_ms = c->last_in_ms = now.mono_ms;
    link_connection(e, c);
    e->connection_count++;
    s->connections++;
    return c;
}

void ao_pending_drop(struct ao_connection *c)
{
    tcpao_conn_free(c->pending);
    tcpao_chain_put(c->pending_chain);
    c->pending = NULL;
    c->pending_chain = NULL;
}

void ao_table_rehome(struct ao_engine *e, struct ao_connection *c, struct ao_session *s)
{
    struct ao_session *before = c->session;

    s->connections++;
    c->session = s;
    before->connections--;
    ao_flow_released(e, before);
}

static void unlink_connection(struct ao_engine *e, struct ao_connection *c)
{
    struct ao_connection **at = &e->buckets[bucket_of(e, c->zone, &c->local, &c->remote)];

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

/* Its session may go with it. */
void ao_table_remove(struct ao_engine *e, struct ao_connection *c)
{
    unlink_connection(e, c);
    ao_saved_erase(e, c->slot);
    e->free_slots[e->free_slot_count++] = c->slot;
    e->connection_count--;
    c->session->connections--;
    ao_flow_released(e, c->session);
    free_connection(c);
}

void ao_table_sweep(struct ao_engine *e, struct gh_now now)
{
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        struct ao_connection *next, *c = e->buckets[i];

        for (; c != NULL; c = next) {
            next = c->next;
            if (now.mono_ms - c->last_ms >= patience_ms(c))
                ao_table_remove(e, c);
        }
    }
}

void ao_table_clear(struct ao_engine *e)
{
    for (size_t i = 0; i <= e->bucket_mask; i++) {
        while (e->buckets[i] != NULL)
            ao_table_remove(e, e->buckets[i]);
    }
}

void ao_table_rehash(struct ao_engine *e)
{
    struct ao_connection *all = NULL;

    for (size_t i = 0; i <= e->bucket_mask; i++) {
        while (e->buckets[i] != NULL) {
            struct ao_connection *c = e->buckets[i];

            e->buckets[i] = c->next;
            c->next = all;
            all = c;
        }
    }
    while (all != NULL) {
        struct ao_connection *c = all;

        all = c->next;
        link_connection(e, c);
    }
}

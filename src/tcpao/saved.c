/*
 * What survives the process: one record a connection in memory that the shell maps from a file.
 *
 * A record holds ISNs, SNEs and key numbers, never a secret. It is written before the verdict that
 * depends on it leaves. Each slot has two copies and the index of the good one, so that a process
 * killed in the middle of a write leaves the older copy whole.
 */
#include "tcpao/engine_priv.h"

#include <stdatomic.h>
#include <string.h>

enum { SAVED_MAGIC = 0x47484131, SAVED_LAYOUT = 1, SAVED_FREE = 2 };

struct saved_header {
    uint32_t magic, layout;
    uint32_t record_size, slots;
};

struct saved_record {
    uint64_t zone_id, chain_id;
    struct tcpao_endpoint local, remote;
    struct tcpao_conn_state conn;
    int64_t since;
    uint32_t last_ack_out;
    uint8_t state;
    bool active, without_ao, mismatched, fin_in, fin_out;
    uint64_t segments_in, segments_out, octets_in, octets_out;
};

struct saved_slot {
    struct saved_record copy[2];
    _Atomic uint32_t good; /* 0, 1 or SAVED_FREE */
    uint32_t pad;
};

size_t ao_engine_memory_size(uint32_t max_connections)
{
    return sizeof(struct saved_header) + sizeof(struct saved_slot) * (size_t)max_connections;
}

static struct saved_header *header_of(const struct ao_engine *e)
{
    return e->settings.memory;
}

static struct saved_slot *slot_of(const struct ao_engine *e, uint32_t i)
{
    return (struct saved_slot *)(header_of(e) + 1) + i;
}

static bool header_fits(const struct ao_engine *e)
{
    const struct saved_header *h = header_of(e);

    return h->magic == SAVED_MAGIC && h->layout == SAVED_LAYOUT &&
           h->record_size == sizeof(struct saved_record) && h->slots == e->settings.max_connections;
}

bool ao_saved_setup(struct ao_engine *e)
{
    uint32_t slots = e->settings.max_connections;

    if (e->settings.memory == NULL)
        return true;
    if (e->settings.memory_len < ao_engine_memory_size(slots))
        return false;
    if (!header_fits(e)) {
        *header_of(e) = (struct saved_header){.magic = SAVED_MAGIC,
                                              .layout = SAVED_LAYOUT,
                                              .record_size = sizeof(struct saved_record),
                                              .slots = slots};
        for (uint32_t i = 0; i < slots; i++)
            atomic_store(&slot_of(e, i)->good, SAVED_FREE);
    }
    return true;
}

/* A name that no chain of the configuration can have: connections of sockets' flows. */
static uint64_t socket_chain_id(void)
{
    return ao_zone_id("\n" AO_SOCKET_CHAIN);
}

static uint64_t chain_id_of(const struct ao_connection *c)
{
    return c->own_keys ? socket_chain_id() : ao_zone_id(c->chain_name);
}

void ao_saved_write(struct ao_engine *e, const struct ao_connection *c)
{
    struct saved_slot *slot;
    struct saved_record *r;
    uint32_t other;

    if (e->settings.memory == NULL || c->in_kernel)
        return;
    slot = slot_of(e, c->slot);
    other = atomic_load_explicit(&slot->good, memory_order_relaxed) == 0 ? 1 : 0;
    r = &slot->copy[other];
    r->zone_id = c->session->zone_id;
    r->chain_id = chain_id_of(c);
    r->local = c->local;
    r->remote = c->remote;
    tcpao_conn_export(c->conn, &r->conn);
    r->since = c->since;
    r->last_ack_out = c->last_ack_out;
    r->state = (uint8_t)c->state;
    r->active = c->active;
    r->without_ao = c->without_ao;
    r->mismatched = c->mismatched;
    r->fin_in = c->fin_in;
    r->fin_out = c->fin_out;
    r->segments_in = c->segments_in;
    r->segments_out = c->segments_out;
    r->octets_in = c->octets_in;
    r->octets_out = c->octets_out;
    atomic_store_explicit(&slot->good, other, memory_order_release);
}

void ao_saved_erase(struct ao_engine *e, uint32_t i)
{
    if (e->settings.memory != NULL)
        atomic_store_explicit(&slot_of(e, i)->good, SAVED_FREE, memory_order_release);
}

/* The memory may come from anywhere: nothing in it may lead outside an array. */
static bool record_sane(const struct saved_record *r)
{
    return (r->local.addr_len == 4 || r->local.addr_len == 16) &&
           r->remote.addr_len == r->local.addr_len && r->state <= AO_STATE_CLOSED;
}

/* The flow or policy under which the connection goes on, or NULL. */
static struct ao_session *session_of(const struct ao_engine *e, const struct saved_record *r)
{
    const struct ao_session *zone = ao_policy_in_zone(e, r->zone_id);
    struct ao_session *s;
    uint16_t number;

    if (r->chain_id == socket_chain_id())
        return ao_flows_zone(e, r->zone_id, &number)
                   ? ao_flow_find(e, number, &r->local, &r->remote)
                   : NULL;
    s = zone != NULL ? ao_policy_find(e, zone->policy.zone, &r->local, &r->remote) : NULL;
    return s != NULL && ao_zone_id(s->policy.chain_name) == r->chain_id ? s : NULL;
}

static void restore_one(struct ao_engine *e, struct gh_now now, const struct saved_record *r)
{
    struct ao_session *s = session_of(e, r);
    struct ao_connection *c;

    if (s == NULL || (r->without_ao && s->policy.mode != AO_ALLOW_WITHOUT) ||
        ao_table_find(e, s->policy.zone, &r->local, &r->remote) != NULL)
        return;
    c = ao_table_add(e, now, s, &r->local, &r->remote);
    if (c == NULL)
        return;
    tcpao_conn_import(c->conn, &r->conn);
    c->since = r->since;
    c->last_ack_out = r->last_ack_out;
    c->state = r->state;
    c->active = r->active;
    c->without_ao = r->without_ao;
    c->mismatched = r->mismatched;
    c->fin_in = r->fin_in;
    c->fin_out = r->fin_out;
    c->segments_in = r->segments_in;
    c->segments_out = r->segments_out;
    c->octets_in = r->octets_in;
    c->octets_out = r->octets_out;
    c->restored = true;
    ao_saved_write(e, c);
    ao_tell(e, now, AO_EVENT_CONNECTION_RESTORED, s, c,
            "taken over from an earlier instance in state %s", ao_state_name(c->state));
}

/* Each record goes back into the slot that it comes from, so that a process killed in the middle of
 * this leaves all of them to the next one. */
void ao_saved_restore(struct ao_engine *e, struct gh_now now)
{
    if (e->settings.memory == NULL)
        return;
    for (uint32_t i = 0; i < e->settings.max_connections; i++) {
        struct saved_slot *slot = slot_of(e, i);
        uint32_t good = atomic_load_explicit(&slot->good, memory_order_acquire);

        e->free_slots[0] = i; /* what ao_table_add() takes */
        e->free_slot_count = 1;
        if (good <= 1 && record_sane(&slot->copy[good]))
            restore_one(e, now, &slot->copy[good]);
        if (e->free_slot_count > 0)
            ao_saved_erase(e, i);
    }
    e->free_slot_count = 0;
    for (uint32_t i = e->settings.max_connections; i-- > 0;)
        if (atomic_load(&slot_of(e, i)->good) == SAVED_FREE)
            e->free_slots[e->free_slot_count++] = i;
}

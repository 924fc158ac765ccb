/*
 * Connections whose keys are their own: a copy of their flow's, moved by hand. And what their
 * socket asks and sets, which every connection in the table answers as far as it can.
 */
#include "tcpao/engine_priv.h"

#include <stdlib.h>
#include <string.h>

struct tcpao_conn *ao_keys_begin(const struct ao_session *s, const struct tcpao_endpoint *local,
                                 const struct tcpao_endpoint *remote, struct tcpao_chain **chain)
{
    struct tcpao_conn *conn;

    *chain = s->own_keys ? ao_chain_copy(s->policy.chain, false) : tcpao_chain_get(s->policy.chain);
    if (*chain == NULL)
        return NULL;
    conn = tcpao_conn_new(*chain, local, remote);
    if (conn == NULL) {
        tcpao_chain_put(*chain);
        *chain = NULL;
    } else if (s->own_keys) {
        tcpao_conn_set_manual(conn, true);
        if (s->flow.current_known)
            tcpao_conn_set_current(conn, s->flow.current_key);
        if (s->flow.rnext_known)
            tcpao_conn_set_rnext(conn, s->flow.rnext_key);
    }
    return conn;
}

static struct ao_key_counters *counters_at(struct ao_key_counters *keys, size_t count,
                                           const struct tcpao_chain *chain, uint32_t key_number)
{
    for (size_t i = 0; i < count; i++) {
        const struct tcpao_mkt *mkt = tcpao_chain_at(chain, i);

        if (mkt != NULL && mkt->number == key_number)
            return &keys[i];
    }
    return NULL;
}

struct ao_key_counters *ao_keys_counters(struct ao_connection *c, uint32_t key_number)
{
    return counters_at(c->keys, c->key_count, c->chain, key_number);
}

bool ao_keys_make_counters(struct ao_connection *c, const struct tcpao_chain *before)
{
    size_t count = tcpao_chain_count(c->chain);
    struct ao_key_counters *keys = calloc(count + 1, sizeof(*keys));

    if (keys == NULL)
        return false;
    for (size_t i = 0; before != NULL && i < count; i++) {
        const struct ao_key_counters *k =
            counters_at(c->keys, c->key_count, before, tcpao_chain_at(c->chain, i)->number);

        if (k != NULL)
            keys[i] = *k;
    }
    free(c->keys);
    c->keys = keys;
    c->key_count = count;
    return true;
}

size_t ao_option_space(const struct ao_transit *t)
{
    const struct ao_connection *c = t->connection;

    return c != NULL && c->own_keys ? ao_largest_option(c->chain) : t->session->option_space;
}

size_t ao_option_reserve(const struct ao_transit *t)
{
    size_t space = ao_option_space(t);

    return space < AO_RESERVED_OPTION ? AO_RESERVED_OPTION : space;
}

/* ---- Asked and set by the socket ------------------------------------------------------------ */

bool ao_engine_get_keys(const struct ao_engine *e, uint16_t zone,
                        const struct tcpao_endpoint *local, const struct tcpao_endpoint *remote,
                        struct ao_connection_keys *out)
{
    const struct ao_connection *c = ao_table_find(e, zone, local, remote);

    if (c == NULL)
        return false;
    *out = (struct ao_connection_keys){.chain = c->chain,
                                       .accept_icmp = c->accept_icmp,
                                       .counters = c->counters,
                                       .keys = c->own_keys ? c->keys : NULL,
                                       .key_count = c->own_keys ? c->key_count : 0};
    tcpao_conn_export(c->conn, &out->conn);
    return true;
}

static bool is_possible(const struct ao_connection *c, const struct ao_keys_change *change)
{
    const struct tcpao_chain *chain = change->chain != NULL ? change->chain : c->chain;

    if (change->chain == NULL && !change->set_current && !change->set_rnext)
        return true;
    return c->own_keys &&
           (!change->set_current || tcpao_chain_find(chain, change->current_key) != NULL) &&
           (!change->set_rnext || tcpao_chain_find(chain, change->rnext_key) != NULL);
}

static bool change_chain(struct ao_connection *c, const struct tcpao_chain *chain)
{
    struct tcpao_chain *before = c->chain, *copy = ao_chain_copy(chain, false);

    if (copy == NULL)
        return false;
    c->chain = copy;
    if (!ao_keys_make_counters(c, before)) {
        c->chain = before;
        tcpao_chain_put(copy);
        return false;
    }
    tcpao_conn_set_chain(c->conn, copy);
    tcpao_chain_put(before);
    return true;
}

bool ao_engine_change_keys(struct ao_engine *e, struct gh_now now, uint16_t zone,
                           const struct tcpao_endpoint *local, const struct tcpao_endpoint *remote,
                           const struct ao_keys_change *change)
{
    struct ao_connection *c = ao_table_find(e, zone, local, remote);

    if (c == NULL || !is_possible(c, change))
        return false;
    if (change->chain != NULL && !change_chain(c, change->chain))
        return false;
    if (change->set_current)
        tcpao_conn_set_current(c->conn, change->current_key);
    if (change->set_rnext)
        tcpao_conn_set_rnext(c->conn, change->rnext_key);
    if (change->set_accept_icmp)
        c->accept_icmp = change->accept_icmp;
    if (change->counters != NULL)
        memcpy(c->counters, change->counters, sizeof(c->counters));
    tcpao_conn_tick(c->conn, now.wall); /* what was sent with may be no more */
    ao_note_keys(e, now, c);
    ao_saved_write(e, c);
    return true;
}

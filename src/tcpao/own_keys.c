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
    if (!ao_counters_follow(&c->keys, &c->key_count, copy)) {
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

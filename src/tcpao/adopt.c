/* Connections that change hands: taken over from somebody else, given to somebody else. */
#include "tcpao/engine_priv.h"

static struct ao_session *session_for(const struct ao_engine *e, const struct ao_adoption *a)
{
    return a->manual ? ao_flow_find(e, a->zone, &a->local, &a->remote)
                     : ao_policy_find(e, a->zone, &a->local, &a->remote);
}

static bool has_key(const struct tcpao_chain *chain, bool known, uint32_t number)
{
    return !known || tcpao_chain_find(chain, number) != NULL;
}

/* The connection under the adopted chain instead of the session's. */
static bool put_under(struct ao_connection *c, struct tcpao_chain *chain)
{
    struct tcpao_chain *taken = c->own_keys ? ao_chain_copy(chain, false) : tcpao_chain_get(chain);

    if (taken == NULL)
        return false;
    tcpao_conn_set_chain(c->conn, taken);
    tcpao_chain_put(c->chain);
    c->chain = taken;
    return !c->own_keys || ao_counters_follow(&c->keys, &c->key_count, c->chain);
}

enum ao_adopt_result ao_engine_adopt(struct ao_engine *e, struct gh_now now,
                                     const struct ao_adoption *a)
{
    struct ao_session *s = session_for(e, a);
    struct tcpao_conn_state state = a->conn;
    const struct tcpao_chain *chain;
    struct ao_connection *c;

    if (s == NULL)
        return AO_ADOPT_NO_SESSION;
    chain = a->chain != NULL ? a->chain : s->policy.chain;
    if (!has_key(chain, state.current_known, state.current_key) ||
        !has_key(chain, state.rnext_known, state.rnext_key))
        return AO_ADOPT_NO_KEY;
    c = ao_table_find(e, a->zone, &a->local, &a->remote);
    if (c != NULL)
        ao_table_remove(e, c);
    c = ao_table_add(e, now, s, &a->local, &a->remote);
    if (c == NULL)
        return AO_ADOPT_FULL;
    if (a->chain != NULL && !put_under(c, a->chain)) {
        ao_table_remove(e, c);
        return AO_ADOPT_FULL;
    }
    /* The key of the peer's latest segment may be no more: nothing depends on it but status. */
    state.last_recv_known &= tcpao_chain_find(chain, state.last_recv_key) != NULL;
    tcpao_conn_import(c->conn, &state);
    tcpao_conn_set_manual(c->conn, c->own_keys);
    c->state = a->state;
    c->active = a->active;
    c->restored = true;
    tcpao_conn_tick(c->conn, now.wall);
    ao_note_keys(e, now, c);
    ao_saved_write(e, c);
    ao_tell(e, now, AO_EVENT_CONNECTION_RESTORED, s, c, "adopted in state %s",
            ao_state_name(c->state));
    return AO_ADOPTED;
}

bool ao_engine_release(struct ao_engine *e, uint16_t zone, const struct tcpao_endpoint *local,
                       const struct tcpao_endpoint *remote)
{
    struct ao_connection *c = ao_table_find(e, zone, local, remote);

    if (c != NULL)
        ao_table_remove(e, c);
    return c != NULL;
}

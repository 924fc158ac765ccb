/*
 * A connection's life cycle: making it, its state across a restart, and a peer's SYN.
 */
#include "tcpao/conn.h"

#include <stdlib.h>

#include "base/secret.h"

struct tcpao_conn *tcpao_conn_new(struct tcpao_chain *chain, const struct tcpao_endpoint *local,
                                  const struct tcpao_endpoint *remote)
{
    struct tcpao_conn *c = calloc(1, sizeof(*c));

    if (c != NULL) {
        c->chain = tcpao_chain_get(chain);
        c->local = *local;
        c->remote = *remote;
    }
    return c;
}

void tcpao_conn_free(struct tcpao_conn *c)
{
    if (c == NULL)
        return;
    conn_drop_traffic_keys(c);
    tcpao_chain_put(c->chain);
    free(c);
}

void tcpao_conn_set_chain(struct tcpao_conn *c, struct tcpao_chain *chain)
{
    struct tcpao_chain *old = c->chain;

    c->chain = tcpao_chain_get(chain);
    tcpao_chain_put(old);
    conn_drop_traffic_keys(c);
}

void tcpao_conn_export(const struct tcpao_conn *c, struct tcpao_conn_state *out)
{
    *out = c->st;
}

void tcpao_conn_import(struct tcpao_conn *c, const struct tcpao_conn_state *in)
{
    c->st = *in;
    c->next_life_known = false;
    conn_drop_traffic_keys(c);
}

void conn_commit(struct tcpao_conn *c, const struct tcpao_conn_state *next)
{
    if (next->local_isn_known != c->st.local_isn_known || next->local_isn != c->st.local_isn ||
        next->remote_isn_known != c->st.remote_isn_known || next->remote_isn != c->st.remote_isn)
        conn_drop_traffic_keys(c);
    c->st = *next;
}

/* The state that a verified SYN begins: remote ISN, and the keys it asks for (RFC 5925 7.5). */
static struct tcpao_conn_state life_of_syn(const struct tcpao_conn *c, int64_t now, uint32_t seq,
                                           const struct tcpao_seen *seen)
{
    struct tcpao_conn_state st = {.remote_isn_known = true, .remote_isn = seq};

    tcpao_sne_init(&st.rcv, seq);
    st.last_keyid = seen->option.keyid;
    st.last_rnext = seen->option.rnext;
    if (seen->key_known && !seen->mismatch) {
        st.rnext_known = st.last_recv_known = true;
        st.rnext_key = st.last_recv_key = seen->key_number;
        st.last_recv_since = now;
        conn_follow_rnext(c, &st, seen->option.rnext, now);
    }
    conn_keys_by_time(c, &st, now);
    return st;
}

void tcpao_conn_accept_syn(struct tcpao_conn *c, int64_t now, uint32_t seq,
                           const struct tcpao_seen *seen)
{
    struct tcpao_conn_state life;

    if (c->st.remote_isn_known && c->st.remote_isn == seq)
        return; /* a retransmission */
    life = life_of_syn(c, now, seq, seen);
    if (c->st.local_isn_known && c->st.remote_isn_known) {
        c->next_life_known = true;
        c->next_life = life;
        return;
    }
    life.local_isn_known = c->st.local_isn_known;
    life.local_isn = c->st.local_isn;
    life.snd = c->st.snd;
    if (c->manual && c->st.local_isn_known) { /* our own SYN said already which keys */
        life.current_known = c->st.current_known;
        life.current_key = c->st.current_key;
        life.rnext_known = c->st.rnext_known;
        life.rnext_key = c->st.rnext_key;
    }
    conn_commit(c, &life);
}

bool tcpao_conn_tick(struct tcpao_conn *c, int64_t now)
{
    conn_check_generation(c);
    return conn_keys_by_time(c, &c->st, now);
}

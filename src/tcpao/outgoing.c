/* Segments of the local stack: RFC 5925 7.4, for a stack that knows nothing of it. */
#include "tcpao/engine_priv.h"

#include <string.h>

static bool is(const struct ao_transit *t, uint8_t flags)
{
    return (t->tcp.flags & (GH_TCP_SYN | GH_TCP_ACK)) == flags;
}

static void pass_unsigned(struct ao_transit *t)
{
    t->result->verdict = AO_PASS;
    t->result->counter = AO_COUNT_SENT_UNSIGNED;
    ao_count(t->engine, t->session, t->connection, AO_COUNT_SENT_UNSIGNED);
}

/* The local header as it may leave: what does not fit beside the option is left out. */
static size_t make_room(const struct ao_transit *t, uint8_t out[TCPAO_TCP_HEADER_MAX])
{
    size_t room = TCPAO_TCP_HEADER_MAX - TCPAO_TCP_HEADER_MIN - ao_option_space(t);

    if (t->tcp.flags & GH_TCP_SYN)
        return ao_options_limit_syn(t->hdr, t->tcp.header_len, room, out);
    return ao_options_trim_sack(t->hdr, t->tcp.header_len, room, out);
}

static void note_sent(struct ao_transit *t)
{
    struct ao_connection *c = t->connection;
    struct tcpao_conn_state state;
    struct ao_key_counters *k;

    ao_count(t->engine, t->session, c, AO_COUNT_SIGNED);
    t->result->counter = AO_COUNT_SIGNED;
    c->segments_out++;
    c->octets_out += t->tcp.payload_len;
    tcpao_conn_export(c->conn, &state);
    k = ao_key_counters(t->session, state.current_key);
    if (k != NULL) {
        k->out++;
        k->octets += t->tcp.payload_len;
    }
    k = c->own_keys ? ao_counters_at(c->keys, c->key_count, state.current_key) : NULL;
    if (k != NULL)
        k->out++;
}

static void sign(struct ao_transit *t)
{
    uint8_t bare[TCPAO_TCP_HEADER_MAX], hdr[TCPAO_TCP_HEADER_MAX];
    size_t bare_len = make_room(t, bare), len = 0;
    enum tcpao_result r = tcpao_conn_sign(t->connection->conn, t->now.wall, bare, bare_len,
                                          t->payload, t->tcp.payload_len, hdr, &len);

    if (r != TCPAO_OK) {
        ao_refuse(t, r);
        return;
    }
    note_sent(t);
    ao_rewrite_header(t, hdr, len);
}

/* FIN and RST of the local stack; a data segment after a RST that the stack did not honour. */
static void follow_state(struct ao_transit *t)
{
    struct ao_connection *c = t->connection;

    if (t->tcp.flags & GH_TCP_RST) {
        ao_set_state(t->engine, t->now, c, AO_STATE_CLOSED);
        return;
    }
    if (t->tcp.flags & GH_TCP_FIN)
        c->fin_out = true;
    if (t->tcp.flags & GH_TCP_ACK)
        c->last_ack_out = t->tcp.ack;
    /* Data after a RST: the local stack did not take the RST for one of this connection. */
    if (c->state == AO_STATE_CLOSED && t->tcp.payload_len > 0 && !c->fin_in && !c->fin_out)
        ao_set_state(t->engine, t->now, c, AO_STATE_ESTABLISHED);
    if (c->state == AO_STATE_ESTABLISHED && (c->fin_in || c->fin_out))
        ao_set_state(t->engine, t->now, c, AO_STATE_CLOSING);
}

static bool add_connection(struct ao_transit *t)
{
    if (t->connection == NULL)
        t->connection = ao_table_add(t->engine, t->now, t->session, &t->local, &t->remote);
    if (t->connection == NULL)
        ao_refuse(t, AO_COUNT_TABLE_FULL);
    return t->connection != NULL;
}

/* A new life on an old socket pair: nothing of the old one counts any more. */
static void start_over(struct ao_connection *c)
{
    ao_pending_drop(c);
    c->without_ao = c->mismatched = c->restored = c->plain_syn = false;
    c->fin_in = c->fin_out = c->reset_wanted = false;
    c->keys_known = c->leaving_known = false;
    c->segments_in = c->segments_out = c->octets_in = c->octets_out = 0;
    memset(c->counters, 0, sizeof(c->counters));
    c->since = 0;
    c->asked_ms = 0;
}

/* The old chain stays with old connections only: a new life takes the session's chain of today. */
static void adopt_session_chain(struct ao_connection *c)
{
    if (c->chain == c->session->policy.chain)
        return;
    tcpao_chain_put(c->chain);
    c->chain = tcpao_chain_get(c->session->policy.chain);
    strcpy(c->chain_name, c->session->policy.chain_name);
    tcpao_conn_set_chain(c->conn, c->chain);
}

static void send_syn(struct ao_transit *t)
{
    struct tcpao_conn_state state = {0};

    if (t->session->policy.direction == AO_PASSIVE && t->session->policy.port == t->remote.port) {
        ao_refuse(t, AO_COUNT_REFUSED_DIRECTION);
        return;
    }
    if (t->session->policy.negotiated &&
        tcpao_chain_preferred(t->session->policy.chain, t->now.wall) == NULL) {
        ao_hold(t);
        return;
    }
    if (!add_connection(t))
        return;
    tcpao_conn_export(t->connection->conn, &state);
    if (t->connection->state != AO_STATE_SYN_SENT || !state.local_isn_known ||
        state.local_isn != t->tcp.seq) {
        start_over(t->connection);
        adopt_session_chain(t->connection);
        t->connection->active = true;
        ao_set_state(t->engine, t->now, t->connection, AO_STATE_SYN_SENT);
    }
    sign(t);
}

/* The answer to a verified SYN that came while an older connection stood here: it takes over, under
 * the flow or policy of today. */
static bool answer_pending(struct ao_transit *t)
{
    struct ao_connection *c = t->connection;
    struct ao_session *s = ao_session_find(t->engine, c->zone, &c->local, &c->remote);

    if (s == NULL || s->own_keys != c->pending_own) {
        ao_pending_drop(c);
        ao_refuse(t, AO_COUNT_NO_CONNECTION);
        return false;
    }
    tcpao_conn_free(c->conn);
    tcpao_chain_put(c->chain);
    c->conn = c->pending;
    c->chain = c->pending_chain;
    c->pending = NULL;
    c->pending_chain = NULL;
    c->own_keys = c->pending_own;
    ao_table_rehome(t->engine, c, s);
    t->session = s;
    strcpy(c->chain_name, s->policy.chain_name);
    c->accept_icmp = s->policy.accept_icmp;
    c->key_count = 0; /* where there is no memory for the counters nothing is counted */
    if (c->own_keys)
        ao_counters_follow(&c->keys, &c->key_count, c->chain);
    start_over(c);
    c->active = false;
    ao_set_state(t->engine, t->now, c, AO_STATE_SYN_RECEIVED);
    return true;
}

/* The answer to a SYN without the option, which only allow-without-ao lets in. */
static bool answer_plain_syn(struct ao_transit *t)
{
    if (t->session->policy.mode != AO_ALLOW_WITHOUT) {
        ao_refuse(t, AO_COUNT_NO_CONNECTION);
        return false;
    }
    if (!add_connection(t))
        return false;
    start_over(t->connection);
    t->connection->without_ao = true;
    t->connection->active = false;
    ao_set_state(t->engine, t->now, t->connection, AO_STATE_SYN_RECEIVED);
    return true;
}

static void send_syn_ack(struct ao_transit *t)
{
    struct ao_connection *c = t->connection;
    uint32_t peer_isn = t->tcp.ack - 1;

    if (c != NULL && c->pending != NULL && peer_isn == c->pending_isn) {
        if (!answer_pending(t))
            return;
    } else if (c == NULL || (c->plain_syn && peer_isn == c->plain_isn)) {
        if (!answer_plain_syn(t))
            return;
    }
    if (t->connection->without_ao)
        pass_unsigned(t);
    else
        sign(t);
}

static void remember_orphan(struct ao_transit *t)
{
    struct ao_orphan *slot = &t->engine->orphans[0];

    for (size_t i = 0; i < AO_ORPHANS; i++) {
        struct ao_orphan *o = &t->engine->orphans[i];

        if (o->session != NULL && o->zone == t->packet->zone &&
            ao_endpoint_equal(&o->local, &t->local) && ao_endpoint_equal(&o->remote, &t->remote)) {
            o->last_ack_out = t->tcp.ack;
            o->last_ms = t->now.mono_ms;
            return;
        }
        if (o->session == NULL || o->last_ms < slot->last_ms)
            slot = o;
    }
    *slot = (struct ao_orphan){.session = t->session,
                               .zone = t->packet->zone,
                               .local = t->local,
                               .remote = t->remote,
                               .last_ack_out = t->tcp.ack,
                               .last_ms = t->now.mono_ms};
}

/* A connection whose handshake the engine did not see: there is no traffic key for it. */
static void send_unknown(struct ao_transit *t)
{
    bool reset = (t->tcp.flags & GH_TCP_RST) != 0;

    if (t->session->policy.mode == AO_ALLOW_WITHOUT && !reset) {
        if (!add_connection(t))
            return;
        t->connection->without_ao = true;
        t->connection->since = 0;
        ao_set_state(t->engine, t->now, t->connection, AO_STATE_ESTABLISHED);
        pass_unsigned(t);
        return;
    }
    if (!reset)
        remember_orphan(t);
    ao_refuse(t, AO_COUNT_NO_CONNECTION);
}

void ao_outgoing(struct ao_transit *t)
{
    if (t->session->flow.others && t->connection == NULL && !t->option.ao) {
        t->result->verdict = AO_PASS;
        return;
    }
    if (t->option.ao || t->option.md5) {
        /* The daemon or the kernel authenticates by itself: never two on one connection. */
        ao_refuse(t, t->option.md5 ? TCPAO_MD5_CLASH : TCPAO_DUPLICATE_OPTION);
        return;
    }
    if (is(t, GH_TCP_SYN))
        send_syn(t);
    else if (is(t, GH_TCP_SYN | GH_TCP_ACK))
        send_syn_ack(t);
    else if (t->connection == NULL)
        send_unknown(t);
    else if (t->connection->without_ao)
        pass_unsigned(t);
    else
        sign(t);
    if (t->connection == NULL || t->result->verdict == AO_DROP || t->result->verdict == AO_HOLD)
        return;
    t->connection->last_ms = t->now.mono_ms;
    if (!(t->tcp.flags & GH_TCP_SYN))
        follow_state(t);
    ao_note_keys(t->engine, t->now, t->connection);
    ao_saved_write(t->engine, t->connection);
}

/* Segments of the peer: RFC 5925 7.5. What passes has been verified and carries no option. */
#include "tcpao/engine_priv.h"

#include <string.h>

static bool is(const struct ao_transit *t, uint8_t flags)
{
    return (t->tcp.flags & (GH_TCP_SYN | GH_TCP_ACK)) == flags;
}

static void pass_unsigned(struct ao_transit *t)
{
    t->result->verdict = AO_PASS;
    t->result->counter = AO_COUNT_RECEIVED_UNSIGNED;
    ao_count(t->engine, t->session, t->connection, AO_COUNT_RECEIVED_UNSIGNED);
}

/* The segment as the local stack may see it: no option, and an MSS that leaves room for ours.
 *
 * The MSS cannot be lowered once more when a later reload brings a key with a longer MAC: what a
 * MAC of 16 octets needs is kept free from the start. */
static void deliver(struct ao_transit *t)
{
    size_t space = ao_option_space(t), len;
    uint8_t bare[TCPAO_TCP_HEADER_MAX], hdr[TCPAO_TCP_HEADER_MAX];
    enum tcpao_result r = tcpao_option_strip(t->hdr, t->tcp.header_len, bare, &len);

    if (r != TCPAO_OK) {
        ao_refuse(t, r);
        return;
    }
    if (!(t->tcp.flags & GH_TCP_SYN)) {
        ao_rewrite_header(t, bare, len);
        return;
    }
    len = ao_options_limit_syn(bare, len, TCPAO_TCP_HEADER_MAX - TCPAO_TCP_HEADER_MIN - space, hdr);
    ao_options_lower_mss(hdr, len, t->ip.version == 4 ? 20 : 40, t->packet->mtu,
                         ao_option_reserve(t));
    ao_rewrite_header(t, hdr, len);
}

static void note_key(struct ao_transit *t, const struct tcpao_seen *seen, bool good)
{
    struct ao_key_counters *k[] = {NULL, NULL};

    if (!seen->key_known)
        return;
    k[0] = ao_key_counters(t->session, seen->key_number);
    if (t->connection != NULL && t->connection->own_keys)
        k[1] = ao_counters_at(t->connection->keys, t->connection->key_count, seen->key_number);
    for (size_t i = 0; i < 2; i++) {
        if (k[i] == NULL)
            continue;
        if (good) {
            k[i]->good_in++;
            k[i]->octets += t->tcp.payload_len;
        } else {
            k[i]->bad_in++;
        }
    }
}

/* The peer sent it again, or somebody replays it: the MAC is right in both cases, and TCP drops it.
 */
static bool is_repeated(const struct ao_transit *t)
{
    uint32_t end = t->tcp.seq + (uint32_t)t->tcp.payload_len;

    return t->tcp.payload_len > 0 && t->connection->state == AO_STATE_ESTABLISHED &&
           t->connection->last_ack_out != 0 && (int32_t)(end - t->connection->last_ack_out) <= 0;
}

static void note_received(struct ao_transit *t, const struct tcpao_seen *seen)
{
    struct ao_connection *c = t->connection;
    unsigned counter = seen->mismatch ? AO_COUNT_MISMATCH_ACCEPTED : TCPAO_OK;

    t->result->counter = (int)counter;
    ao_count(t->engine, t->session, c, counter);
    note_key(t, seen, !seen->mismatch);
    if (is_repeated(t))
        ao_count(t->engine, t->session, c, AO_COUNT_REPEATED);
    c->segments_in++;
    c->octets_in += t->tcp.payload_len;
    if (seen->mismatch && !c->mismatched) {
        c->mismatched = true;
        ao_tell(t->engine, t->now, AO_EVENT_DOWNGRADE, t->session, c,
                "a wrong MAC was accepted by configuration: this connection is not protected");
    }
}

static void refuse(struct ao_transit *t, enum tcpao_result r, const struct tcpao_seen *seen)
{
    if (r == TCPAO_BAD_MAC || (r == TCPAO_BAD_LENGTH && t->session->own_keys))
        note_key(t, seen, false);
    ao_refuse(t, r);
}

/* A verified SYN while a connection exists: its answer decides, so the old one stays until then. */
static bool hold_as_pending(struct ao_transit *t, const struct tcpao_seen *seen)
{
    struct ao_connection *c = t->connection;

    if (c->pending == NULL || c->pending_isn != t->tcp.seq ||
        c->pending_own != t->session->own_keys) {
        struct tcpao_chain *chain;
        struct tcpao_conn *fresh = ao_keys_begin(t->session, &t->local, &t->remote, &chain);

        if (fresh == NULL)
            return false;
        ao_pending_drop(c);
        c->pending = fresh;
        c->pending_chain = chain;
        c->pending_own = t->session->own_keys;
        c->pending_isn = t->tcp.seq;
    }
    tcpao_conn_accept_syn(c->pending, t->now.wall, t->tcp.seq, seen);
    return true;
}

static bool take_syn(struct ao_transit *t, const struct tcpao_seen *seen)
{
    struct tcpao_conn_state state;
    struct ao_connection *c = t->connection;

    if (c == NULL) {
        c = ao_table_add(t->engine, t->now, t->session, &t->local, &t->remote);
        if (c == NULL)
            return false;
        t->connection = c;
        c->since = 0;
        ao_set_state(t->engine, t->now, c, AO_STATE_SYN_RECEIVED);
        tcpao_conn_accept_syn(c->conn, t->now.wall, t->tcp.seq, seen);
        return true;
    }
    tcpao_conn_export(c->conn, &state);
    if (c->own_keys == t->session->own_keys &&
        (c->state == AO_STATE_SYN_SENT ||
         (c->state == AO_STATE_SYN_RECEIVED && !state.local_isn_known && !c->without_ao))) {
        tcpao_conn_accept_syn(c->conn, t->now.wall, t->tcp.seq, seen);
        return true;
    }
    /* Once more the SYN that it began with: its keys may have been moved by hand since. */
    if (c->own_keys && t->session->own_keys && c->state != AO_STATE_CLOSED &&
        state.remote_isn_known && state.remote_isn == t->tcp.seq)
        return true;
    return hold_as_pending(t, seen);
}

/* The answer tells whether the local stack takes it: an older connection stays until then. */
static void receive_plain_syn(struct ao_transit *t)
{
    if (t->connection != NULL) {
        t->connection->plain_syn = true;
        t->connection->plain_isn = t->tcp.seq;
    }
    pass_unsigned(t);
}

static void receive_syn(struct ao_transit *t)
{
    const struct ao_policy *p = &t->session->policy;
    struct tcpao_seen seen = {.key_known = false};
    enum tcpao_result r;

    if (p->direction == AO_ACTIVE && p->port == t->local.port) {
        ao_refuse(t, AO_COUNT_REFUSED_DIRECTION);
        return;
    }
    if (!t->option.ao) {
        if (p->mode == AO_ALLOW_WITHOUT && !t->option.md5)
            receive_plain_syn(t);
        else
            ao_refuse(t, t->option.md5 ? TCPAO_MD5_CLASH : TCPAO_MISSING_AO);
        return;
    }
    r = tcpao_verify_syn(p->chain, &t->local, &t->remote, t->now.wall, t->hdr, t->tcp.header_len,
                         t->payload, t->tcp.payload_len, &seen);
    if (r == TCPAO_UNKNOWN_KEYID && p->negotiated) {
        ao_hold(t); /* the key may be on its way to us */
        return;
    }
    if (r != TCPAO_OK) {
        refuse(t, r, &seen);
        return;
    }
    if (!take_syn(t, &seen)) {
        ao_refuse(t, AO_COUNT_TABLE_FULL);
        return;
    }
    note_received(t, &seen);
    deliver(t);
}

/* The operator wants this connection gone: the local stack gets a RST where it expects data. */
static void inject_reset(struct ao_transit *t, uint32_t seq)
{
    t->result->counter = AO_COUNT_RESET_INJECTED;
    ao_count(t->engine, t->session, t->connection, AO_COUNT_RESET_INJECTED);
    ao_rewrite_as_reset(t, seq);
    ao_tell(t->engine, t->now, AO_EVENT_CONNECTION_RESET, t->session, t->connection,
            "the local stack was told to reset the connection");
}

static struct ao_orphan *orphan_to_reset(const struct ao_transit *t)
{
    for (size_t i = 0; i < AO_ORPHANS; i++) {
        struct ao_orphan *o = &t->engine->orphans[i];

        if (o->session == t->session && o->reset_wanted && o->zone == t->packet->zone &&
            ao_endpoint_equal(&o->local, &t->local) && ao_endpoint_equal(&o->remote, &t->remote))
            return o;
    }
    return NULL;
}

static void receive_unknown(struct ao_transit *t)
{
    struct ao_orphan *orphan = orphan_to_reset(t);

    if (orphan != NULL) {
        inject_reset(t, orphan->last_ack_out);
        orphan->session = NULL;
    } else if (t->option.ao) {
        ao_refuse(t, AO_COUNT_NO_CONNECTION);
    } else if (t->session->policy.mode == AO_ALLOW_WITHOUT && !t->option.md5) {
        pass_unsigned(t);
    } else {
        ao_refuse(t, t->option.md5 ? TCPAO_MD5_CLASH : TCPAO_MISSING_AO);
    }
}

/* Junos allow-without-tcpao: the answer to our SYN has no option, so the connection has none. */
static bool downgraded_by_peer(struct ao_transit *t)
{
    struct ao_connection *c = t->connection;
    struct tcpao_conn_state state;

    if (t->option.ao || t->option.md5 || t->session->policy.mode != AO_ALLOW_WITHOUT ||
        c->state != AO_STATE_SYN_SENT || !is(t, GH_TCP_SYN | GH_TCP_ACK))
        return false;
    tcpao_conn_export(c->conn, &state);
    if (!state.local_isn_known || t->tcp.ack - 1 != state.local_isn)
        return false; /* no answer, but a guess */
    c->without_ao = true;
    ao_tell(t->engine, t->now, AO_EVENT_DOWNGRADE, t->session, c,
            "the peer answered without TCP-AO: this connection is not protected");
    return true;
}

static void receive_without_ao(struct ao_transit *t)
{
    if (t->option.ao)
        ao_refuse(t, AO_COUNT_UNEXPECTED_AO);
    else if (t->option.md5)
        ao_refuse(t, TCPAO_MD5_CLASH);
    else if (t->connection->reset_wanted)
        inject_reset(t, t->connection->last_ack_out);
    else
        pass_unsigned(t);
}

static void receive_protected(struct ao_transit *t)
{
    struct tcpao_seen seen = {.key_known = false};
    enum tcpao_result r;

    /* Whatever comes will do: it is when nothing verifies any more that a reset is wanted. */
    if (t->connection->reset_wanted && !(t->tcp.flags & GH_TCP_SYN)) {
        t->connection->reset_wanted = false;
        inject_reset(t, t->connection->last_ack_out);
        return;
    }
    if (!t->option.ao) {
        ao_refuse(t, t->option.md5 ? TCPAO_MD5_CLASH : TCPAO_MISSING_AO);
        return;
    }
    r = tcpao_conn_verify(t->connection->conn, t->now.wall, t->hdr, t->tcp.header_len, t->payload,
                          t->tcp.payload_len, &seen);
    if (r != TCPAO_OK) {
        refuse(t, r, &seen);
        return;
    }
    note_received(t, &seen);
    deliver(t);
}

static void follow_state(struct ao_transit *t)
{
    struct ao_connection *c = t->connection;

    if (t->tcp.flags & GH_TCP_RST) {
        ao_set_state(t->engine, t->now, c, AO_STATE_CLOSED);
        return;
    }
    if ((c->state == AO_STATE_SYN_SENT || c->state == AO_STATE_SYN_RECEIVED) &&
        (t->tcp.flags & GH_TCP_ACK))
        ao_set_state(t->engine, t->now, c, AO_STATE_ESTABLISHED);
    if (t->tcp.flags & GH_TCP_FIN)
        c->fin_in = true;
    if (c->state == AO_STATE_ESTABLISHED && (c->fin_in || c->fin_out))
        ao_set_state(t->engine, t->now, c, AO_STATE_CLOSING);
}

/* Is it for the local stack to judge? */
static bool is_not_ours(const struct ao_transit *t)
{
    if (!t->session->own_keys || t->option.ao)
        return false;
    if (t->option.md5)
        return t->engine->settings.kernel_has_md5;
    return t->session->flow.others && t->connection == NULL;
}

void ao_incoming(struct ao_transit *t)
{
    bool syn = is(t, GH_TCP_SYN);

    if (is_not_ours(t)) {
        t->result->verdict = AO_PASS;
        return;
    }
    if (t->session->flow.others && t->connection == NULL) {
        ao_refuse(t, TCPAO_UNKNOWN_KEYID);
        return;
    }
    if (syn)
        receive_syn(t);
    else if (t->connection == NULL)
        receive_unknown(t);
    else if (t->connection->without_ao || downgraded_by_peer(t))
        receive_without_ao(t);
    else
        receive_protected(t);
    if (t->connection == NULL || t->result->verdict == AO_DROP || t->result->verdict == AO_HOLD)
        return;
    t->connection->last_ms = t->connection->last_in_ms = t->now.mono_ms;
    if (!syn)
        follow_state(t);
    ao_note_keys(t->engine, t->now, t->connection);
    ao_saved_write(t->engine, t->connection);
}

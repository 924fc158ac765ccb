/*
 * Which key a connection uses, and the traffic keys derived from it.
 *
 * Three things move keys: lifetimes (conn_keys_by_time), the peer's RNextKeyID (conn_follow_rnext)
 * and the removal of a key. rnext follows our own clock at once: it tells the peer what to use.
 * current waits for the peer to ask, until its own send lifetime is over. A manual connection knows
 * no lifetimes; its owner sets both.
 */
#include "tcpao/conn.h"

#include "base/secret.h"
#include "keys/chain.h"
#include "tcpao/segment.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- Traffic keys --------------------------------------------------------------------------- */

static void drop(struct traffic_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        keys[i].valid = false;
        gh_mac_key_clear(&keys[i].key);
    }
}

void conn_drop_traffic_keys(struct tcpao_conn *c)
{
    drop(c->send, ARRAY_LEN(c->send));
    drop(c->recv, ARRAY_LEN(c->recv));
    c->generation = tcpao_chain_generation(c->chain);
}

void conn_check_generation(struct tcpao_conn *c)
{
    if (c->generation != tcpao_chain_generation(c->chain))
        conn_drop_traffic_keys(c);
}

static struct traffic_key *cached(struct traffic_key *keys, size_t count, uint32_t number)
{
    for (size_t i = 0; i < count; i++)
        if (keys[i].valid && keys[i].number == number)
            return &keys[i];
    return NULL;
}

struct gh_mac_key *conn_send_key(struct tcpao_conn *c, const struct tcpao_mkt *mkt)
{
    struct traffic_key *k = cached(c->send, SEND_KEYS, mkt->number);

    if (k == NULL) {
        k = &c->send[c->send_victim++ % SEND_KEYS];
        k->number = mkt->number;
        k->valid = tcpao_traffic_key(&k->key, mkt, &c->local, &c->remote, c->st.local_isn,
                                     c->st.remote_isn) == TCPAO_OK;
    }
    return k->valid ? &k->key : NULL;
}

/* Forged KeyIDs may fill the slots of received keys, but not push out the one in use. */
static struct traffic_key *recv_victim(struct tcpao_conn *c)
{
    struct traffic_key *k = &c->recv[c->recv_victim++ % RECV_KEYS];

    if (k->valid && c->st.last_recv_known && k->number == c->st.last_recv_key)
        k = &c->recv[c->recv_victim++ % RECV_KEYS];
    return k;
}

struct gh_mac_key *conn_recv_key(struct tcpao_conn *c, const struct tcpao_mkt *mkt)
{
    struct traffic_key *k = cached(c->recv, RECV_KEYS, mkt->number);

    if (k == NULL) {
        k = recv_victim(c);
        k->number = mkt->number;
        k->valid = tcpao_traffic_key(&k->key, mkt, &c->remote, &c->local, c->st.remote_isn,
                                     c->st.local_isn) == TCPAO_OK;
    }
    return k->valid ? &k->key : NULL;
}

/* ---- Choice --------------------------------------------------------------------------------- */

/* The key's own send lifetime, without tolerance, is over (or never begins). */
static bool send_is_over(const struct tcpao_mkt *mkt, int64_t now)
{
    if (mkt->send.from >= mkt->send.until)
        return true;
    return mkt->send.until != TCPAO_TIME_MAX && now >= mkt->send.until;
}

static const struct tcpao_mkt *named(const struct tcpao_chain *chain, bool known, uint32_t number)
{
    return known ? tcpao_chain_find(chain, number) : NULL;
}

static const struct tcpao_mkt *choose_current(const struct tcpao_chain *chain,
                                              const struct tcpao_conn_state *st, int64_t now)
{
    const struct tcpao_mkt *mkt = named(chain, st->current_known, st->current_key);

    return mkt != NULL && !send_is_over(mkt, now) ? mkt : tcpao_chain_preferred(chain, now);
}

/* The acceptable key that began last: what to ask for when we would not accept what we send. */
static const struct tcpao_mkt *newest_acceptable(const struct tcpao_chain *chain, int64_t now)
{
    const struct tcpao_mkt *best = NULL;

    for (size_t i = 0; i < tcpao_chain_count(chain); i++) {
        const struct tcpao_mkt *mkt = tcpao_chain_at(chain, i);

        if (tcpao_lifetime_includes(mkt->accept, now, 0) &&
            (best == NULL || mkt->accept.from > best->accept.from))
            best = mkt;
    }
    return best;
}

static const struct tcpao_mkt *choose_rnext(const struct tcpao_chain *chain,
                                            const struct tcpao_conn_state *st, int64_t now)
{
    const struct tcpao_mkt *preferred = tcpao_chain_preferred(chain, now), *mkt;

    if (preferred != NULL && tcpao_lifetime_includes(preferred->accept, now, 0))
        return preferred;
    mkt = named(chain, st->rnext_known, st->rnext_key);
    if (mkt != NULL && tcpao_lifetime_includes(mkt->accept, now, tcpao_chain_tolerance(chain)))
        return mkt;
    mkt = newest_acceptable(chain, now);
    return mkt != NULL ? mkt : preferred;
}

/* ---- The same by hand ---- */

static const struct tcpao_mkt *named_or_highest(const struct tcpao_chain *chain, bool known,
                                                uint32_t number)
{
    const struct tcpao_mkt *best = named(chain, known, number);
    size_t n = best == NULL ? tcpao_chain_count(chain) : 0;

    for (size_t i = 0; i < n; i++) {
        const struct tcpao_mkt *mkt = tcpao_chain_at(chain, i);

        if (best == NULL || mkt->number > best->number)
            best = mkt;
    }
    return best;
}

/* Whatever its lifetimes; of several the highest number. */
static const struct tcpao_mkt *any_with_id(const struct tcpao_chain *chain, uint8_t id, bool send)
{
    const struct tcpao_mkt *best = NULL;
    size_t n = tcpao_chain_count(chain);

    for (size_t i = 0; i < n; i++) {
        const struct tcpao_mkt *mkt = tcpao_chain_at(chain, i);

        if ((send ? mkt->send_id : mkt->recv_id) == id &&
            (best == NULL || mkt->number > best->number))
            best = mkt;
    }
    return best;
}

static bool set_key(bool *known, uint32_t *number, const struct tcpao_mkt *mkt)
{
    bool moved = *known != (mkt != NULL) || (mkt != NULL && *number != mkt->number);

    *known = mkt != NULL;
    if (mkt != NULL)
        *number = mkt->number;
    return moved;
}

static bool set_keys(struct tcpao_conn_state *st, const struct tcpao_mkt *current,
                     const struct tcpao_mkt *rnext)
{
    bool moved = set_key(&st->current_known, &st->current_key, current);

    return set_key(&st->rnext_known, &st->rnext_key, rnext) || moved;
}

bool chain_keys_by_time(const struct tcpao_chain *chain, struct tcpao_conn_state *st, int64_t now)
{
    const struct tcpao_mkt *current = choose_current(chain, st, now);

    return set_keys(st, current, choose_rnext(chain, st, now));
}

bool conn_keys_by_time(const struct tcpao_conn *c, struct tcpao_conn_state *st, int64_t now)
{
    if (!c->manual)
        return chain_keys_by_time(c->chain, st, now);
    return set_keys(st, named_or_highest(c->chain, st->current_known, st->current_key),
                    named_or_highest(c->chain, st->rnext_known, st->rnext_key));
}

/* Ahead of our clock within the tolerance, yes; back to a key that is over, no. */
static const struct tcpao_mkt *key_asked_for(const struct tcpao_conn *c, uint8_t rnext, int64_t now)
{
    const struct tcpao_mkt *mkt;

    if (c->manual)
        return any_with_id(c->chain, rnext, true);
    mkt = tcpao_chain_by_send_id(c->chain, rnext, now);
    return mkt != NULL && !send_is_over(mkt, now) ? mkt : NULL;
}

bool conn_follow_rnext(const struct tcpao_conn *c, struct tcpao_conn_state *st, uint8_t rnext,
                       int64_t now)
{
    const struct tcpao_mkt *mkt = named(c->chain, st->current_known, st->current_key);

    if (mkt != NULL && mkt->send_id == rnext)
        return false;
    mkt = key_asked_for(c, rnext, now);
    return mkt != NULL && set_key(&st->current_known, &st->current_key, mkt);
}

const struct tcpao_mkt *conn_key_of_keyid(const struct tcpao_conn *c, uint8_t keyid, int64_t now)
{
    return c->manual ? any_with_id(c->chain, keyid, false)
                     : tcpao_chain_by_recv_id(c->chain, keyid, now);
}

bool chain_key_retired(const struct tcpao_conn_state *st, const struct tcpao_mkt *mkt, int64_t now)
{
    bool over = mkt->accept.until != TCPAO_TIME_MAX && now >= mkt->accept.until;

    return over && st->current_known && st->current_key != mkt->number && st->last_recv_known &&
           st->last_recv_key != mkt->number && now - TCPAO_DRAIN >= st->last_recv_since;
}

bool conn_key_retired(const struct tcpao_conn *c, const struct tcpao_conn_state *st,
                      const struct tcpao_mkt *mkt, int64_t now)
{
    return !c->manual && chain_key_retired(st, mkt, now);
}

bool tcpao_conn_use_key(struct tcpao_conn *c, uint32_t key_number, int64_t now)
{
    const struct tcpao_mkt *mkt = tcpao_chain_find(c->chain, key_number);

    if (mkt == NULL || !tcpao_lifetime_includes(mkt->send, now, 0))
        return false;
    set_key(&c->st.current_known, &c->st.current_key, mkt);
    return true;
}

void tcpao_conn_set_manual(struct tcpao_conn *c, bool manual)
{
    c->manual = manual;
}

static bool set_by_hand(const struct tcpao_conn *c, bool *known, uint32_t *key, uint32_t number)
{
    const struct tcpao_mkt *mkt = tcpao_chain_find(c->chain, number);

    if (!c->manual || mkt == NULL)
        return false;
    set_key(known, key, mkt);
    return true;
}

bool tcpao_conn_set_current(struct tcpao_conn *c, uint32_t key_number)
{
    return set_by_hand(c, &c->st.current_known, &c->st.current_key, key_number);
}

bool tcpao_conn_set_rnext(struct tcpao_conn *c, uint32_t key_number)
{
    return set_by_hand(c, &c->st.rnext_known, &c->st.rnext_key, key_number);
}

bool tcpao_conn_accepts(const struct tcpao_conn *c, uint32_t key_number, int64_t now)
{
    const struct tcpao_mkt *mkt = tcpao_chain_find(c->chain, key_number);

    if (mkt == NULL || c->manual)
        return mkt != NULL;
    return tcpao_lifetime_includes(mkt->accept, now, tcpao_chain_tolerance(c->chain)) &&
           !conn_key_retired(c, &c->st, mkt, now);
}

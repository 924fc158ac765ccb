/*
 * RFC 5925 7.5: verifying incoming segments.
 */
#include "tcpao/conn.h"

#include <string.h>

#include "base/secret.h"
#include "tcpao/header.h"
#include "tcpao/segment.h"

static bool is_syn(const struct tcp_fields *f)
{
    return (f->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

static bool is_syn_ack(const struct tcp_fields *f)
{
    return (f->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == (TCP_FLAG_SYN | TCP_FLAG_ACK);
}

/* The option, and the MKT that its KeyID and length name; `c` may be NULL. */
static enum tcpao_result identify(const struct tcpao_conn *c, const struct tcpao_chain *chain,
                                  int64_t now, const uint8_t *hdr, size_t hdr_len,
                                  struct tcp_fields *f, struct tcpao_seen *seen,
                                  const struct tcpao_mkt **mkt)
{
    enum tcpao_result result;

    *seen = (struct tcpao_seen){0};
    result = tcpao_option_find(hdr, hdr_len, &seen->option);
    if (result != TCPAO_OK)
        return result;
    if (!tcp_fields_read(hdr, hdr_len, f))
        return TCPAO_MALFORMED;
    if (seen->option.md5)
        return TCPAO_MD5_CLASH;
    if (!seen->option.ao)
        return TCPAO_MISSING_AO;
    *mkt = c != NULL ? conn_key_of_keyid(c, seen->option.keyid, now)
                     : tcpao_chain_by_recv_id(chain, seen->option.keyid, now);
    if (*mkt == NULL)
        return tcpao_chain_knows_recv_id(chain, seen->option.keyid) ? TCPAO_KEY_NOT_VALID
                                                                    : TCPAO_UNKNOWN_KEYID;
    seen->key_known = true;
    seen->key_number = (*mkt)->number;
    return seen->option.mac_len == (*mkt)->mac_len ? TCPAO_OK : TCPAO_BAD_LENGTH;
}

static enum tcpao_result check_mac(struct gh_mac_key *key, const struct tcpao_mkt *mkt,
                                   const struct tcpao_segment *s, struct tcpao_seen *seen)
{
    uint8_t mac[TCPAO_MAC_MAX];
    enum tcpao_result result = tcpao_mac_over(key, mkt->options_covered, s, mac);

    if (result == TCPAO_OK &&
        !gh_ct_equal(mac, s->hdr + s->option->offset + TCPAO_OPTION_HEADER, mkt->mac_len)) {
        if (mkt->accept_mismatch)
            seen->mismatch = true;
        else
            result = TCPAO_BAD_MAC;
    }
    gh_wipe(mac, sizeof(mac));
    return result;
}

/* The same with a traffic key for this segment only. */
static enum tcpao_result check_mac_once(const struct tcpao_mkt *mkt, const struct tcpao_segment *s,
                                        uint32_t src_isn, uint32_t dst_isn, struct tcpao_seen *seen)
{
    struct gh_mac_key key = {0};
    enum tcpao_result result = tcpao_traffic_key(&key, mkt, s->src, s->dst, src_isn, dst_isn);

    if (result == TCPAO_OK)
        result = check_mac(&key, mkt, s, seen);
    gh_mac_key_clear(&key);
    return result;
}

enum tcpao_result tcpao_verify_syn(const struct tcpao_chain *chain,
                                   const struct tcpao_endpoint *local,
                                   const struct tcpao_endpoint *remote, int64_t now,
                                   const uint8_t *hdr, size_t hdr_len, const uint8_t *payload,
                                   size_t payload_len, struct tcpao_seen *seen)
{
    const struct tcpao_segment s = {.src = remote,
                                    .dst = local,
                                    .hdr = hdr,
                                    .hdr_len = hdr_len,
                                    .option = &seen->option,
                                    .payload = payload,
                                    .payload_len = payload_len};
    const struct tcpao_mkt *mkt;
    struct tcp_fields f;
    enum tcpao_result result = identify(NULL, chain, now, hdr, hdr_len, &f, seen, &mkt);

    if (result == TCPAO_OK && !is_syn(&f))
        result = TCPAO_ISN_UNKNOWN;
    return result == TCPAO_OK ? check_mac_once(mkt, &s, f.seq, 0, seen) : result;
}

/*
 * Segments whose traffic key is not that of the connection's ISN pair: a SYN-ACK, which brings the
 * remote ISN along, and a RST that refuses our SYN (its sender has no ISN: the SEQ stands for it,
 * see conn_sign.c). Both must acknowledge our SYN.
 */
static enum tcpao_result verify_answer(const struct tcpao_conn_state *st,
                                       const struct tcpao_mkt *mkt, const struct tcp_fields *f,
                                       const struct tcpao_segment *s, struct tcpao_seen *seen)
{
    if (!st->local_isn_known || st->local_isn != f->ack - 1)
        return TCPAO_ISN_UNKNOWN;
    return check_mac_once(mkt, s, f->seq, st->local_isn, seen);
}

/* The local stack answered the SYN-ACK that it took: another one is late (a peer with SYN cookies
 * answers each copy of a SYN with another ISN) or replayed. */
static bool is_settled(const struct tcpao_conn_state *st)
{
    return st->remote_isn_known && st->snd.highest != st->local_isn;
}

static void learn_syn_ack(struct tcpao_conn_state *st, uint32_t isn)
{
    if (st->remote_isn_known && st->remote_isn == isn)
        return;
    st->remote_isn_known = true;
    st->remote_isn = isn;
    tcpao_sne_init(&st->rcv, isn);
    st->last_recv_known = false;
}

/* What a good segment tells of keys. RNextKeyID counts unless something newer was seen before, so
 * that neither a late nor a replayed segment turns a rollover back. */
static void learn_keys(const struct tcpao_conn *c, struct tcpao_conn_state *st, int64_t now,
                       bool newest, struct tcpao_seen *seen)
{
    st->last_keyid = seen->option.keyid;
    st->last_rnext = seen->option.rnext;
    if (seen->mismatch)
        return;
    if (!st->last_recv_known || st->last_recv_key != seen->key_number)
        st->last_recv_since = now;
    st->last_recv_known = true;
    st->last_recv_key = seen->key_number;
    if (newest)
        seen->current_moved = conn_follow_rnext(c, st, seen->option.rnext, now);
}

static enum tcpao_result verify_established(struct tcpao_conn *c, const struct tcpao_conn_state *st,
                                            const struct tcpao_mkt *mkt, uint32_t seq,
                                            struct tcpao_segment *s, uint64_t *position,
                                            struct tcpao_seen *seen)
{
    struct gh_mac_key *key;

    if (!st->local_isn_known || !st->remote_isn_known)
        return TCPAO_ISN_UNKNOWN;
    if (!tcpao_sne_extend(&st->rcv, seq, position))
        return TCPAO_OLD_SEQUENCE;
    s->sne = (uint32_t)(*position >> 32);
    key = conn_recv_key(c, mkt);
    return key == NULL ? TCPAO_CRYPTO_FAILED : check_mac(key, mkt, s, seen);
}

enum tcpao_result tcpao_conn_verify(struct tcpao_conn *c, int64_t now, const uint8_t *hdr,
                                    size_t hdr_len, const uint8_t *payload, size_t payload_len,
                                    struct tcpao_seen *seen)
{
    struct tcpao_segment s = {.src = &c->remote,
                              .dst = &c->local,
                              .hdr = hdr,
                              .hdr_len = hdr_len,
                              .option = &seen->option,
                              .payload = payload,
                              .payload_len = payload_len};
    struct tcpao_conn_state next = c->st;
    const struct tcpao_mkt *mkt;
    struct tcp_fields f;
    uint64_t position = 0;
    bool newest = true;
    enum tcpao_result result;

    conn_check_generation(c);
    result = identify(c, c->chain, now, hdr, hdr_len, &f, seen, &mkt);
    if (result != TCPAO_OK)
        return result;
    conn_keys_by_time(c, &next, now);
    if (is_syn(&f))
        return check_mac_once(mkt, &s, f.seq, 0, seen); /* accept_syn() decides what it means */
    if (conn_key_retired(c, &next, mkt, now))
        return TCPAO_KEY_NOT_VALID;
    if (is_syn_ack(&f)) {
        result = verify_answer(&next, mkt, &f, &s, seen);
        if (result == TCPAO_OK && is_settled(&next) && next.remote_isn != f.seq)
            result = TCPAO_OLD_SEQUENCE;
        if (result == TCPAO_OK)
            learn_syn_ack(&next, f.seq);
        newest = next.rcv.highest == f.seq;
    } else if ((f.flags & TCP_FLAG_RST) && (f.flags & TCP_FLAG_ACK) && !next.remote_isn_known) {
        result = verify_answer(&next, mkt, &f, &s, seen);
    } else {
        result = verify_established(c, &next, mkt, f.seq, &s, &position, seen);
        newest = position + 1 >= next.rcv.highest; /* a keep-alive is one octet behind */
        if (result == TCPAO_OK)
            tcpao_sne_commit(&next.rcv, position);
    }
    if (result != TCPAO_OK)
        return result;
    learn_keys(c, &next, now, newest, seen);
    conn_commit(c, &next);
    return TCPAO_OK;
}

/*
 * RFC 5925 7.4: signing outgoing segments, and what a connection learns from them.
 */
#include "tcpao/conn.h"

#include <string.h>

#include "tcpao/header.h"
#include "tcpao/segment.h"

/* Which ISNs go into the traffic key. */
enum key_kind {
    KEY_SYN,         /* send_SYN_traffic_key: the destination's ISN is zero */
    KEY_HANDSHAKE,   /* both ISNs, from the segment itself: a SYN-ACK */
    KEY_REFUSAL,     /* a RST that answers a SYN before there is a local ISN */
    KEY_ESTABLISHED, /* send_other_traffic_key, cached */
};

/* A SYN: another ISN than before begins a new life, the same one is a retransmission. A peer's SYN
 * that crossed it on the way (simultaneous open) still counts. */
static void learn_syn(const struct tcpao_conn *c, struct tcpao_conn_state *st, uint32_t isn)
{
    if (st->local_isn_known && st->local_isn == isn)
        return;
    if (st->local_isn_known)
        *st = c->next_life_known ? c->next_life : (struct tcpao_conn_state){0};
    st->local_isn_known = true;
    st->local_isn = isn;
    tcpao_sne_init(&st->snd, isn);
}

/* A SYN-ACK names both ISNs. */
static void learn_syn_ack(const struct tcpao_conn *c, struct tcpao_conn_state *st, uint32_t local,
                          uint32_t remote)
{
    if (st->local_isn_known && st->remote_isn_known && st->local_isn == local &&
        st->remote_isn == remote)
        return;
    if (c->next_life_known && c->next_life.remote_isn == remote)
        *st = c->next_life;
    st->local_isn_known = st->remote_isn_known = true;
    st->local_isn = local;
    st->remote_isn = remote;
    tcpao_sne_init(&st->snd, local);
    tcpao_sne_init(&st->rcv, remote);
}

/*
 * The answer to a SYN for a port where nobody listens: RST with ACK, SEQ 0 (RFC 9293 3.10.7.1).
 * There is no local ISN and never will be; the segment's SEQ stands for it, as in a SYN-ACK, so
 * that the key is bound to the peer's ISN. Linux verifies a RST in SYN-SENT in this way.
 */
static bool is_refusal(const struct tcpao_conn *c, const struct tcp_fields *f)
{
    uint32_t remote = f->ack - 1;

    if ((f->flags & (TCP_FLAG_RST | TCP_FLAG_ACK)) != (TCP_FLAG_RST | TCP_FLAG_ACK))
        return false;
    if (!c->st.local_isn_known)
        return c->st.remote_isn_known && c->st.remote_isn == remote;
    return c->next_life_known && c->next_life.remote_isn == remote && f->seq == 0;
}

static enum key_kind learn(const struct tcpao_conn *c, const struct tcp_fields *f,
                           struct tcpao_conn_state *st)
{
    if ((f->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN) {
        learn_syn(c, st, f->seq);
        return KEY_SYN;
    }
    if (f->flags & TCP_FLAG_SYN) {
        learn_syn_ack(c, st, f->seq, f->ack - 1);
        return KEY_HANDSHAKE;
    }
    return is_refusal(c, f) ? KEY_REFUSAL : KEY_ESTABLISHED;
}

/* MAC over `s` with the traffic key of `kind`. */
static enum tcpao_result make_mac(struct tcpao_conn *c, enum key_kind kind,
                                  const struct tcpao_mkt *mkt, const struct tcp_fields *f,
                                  const struct tcpao_segment *s, uint8_t mac[TCPAO_MAC_MAX])
{
    struct gh_mac_key once = {0}, *key = &once;
    uint32_t dst_isn = kind == KEY_SYN ? 0 : f->ack - 1;
    enum tcpao_result result = TCPAO_OK;

    if (kind == KEY_ESTABLISHED) {
        key = conn_send_key(c, mkt);
        if (key == NULL)
            return TCPAO_CRYPTO_FAILED;
    } else {
        result = tcpao_traffic_key(key, mkt, &c->local, &c->remote, f->seq, dst_isn);
    }
    if (result == TCPAO_OK)
        result = tcpao_mac_over(key, mkt->options_covered, s, mac);
    gh_mac_key_clear(&once);
    return result;
}

static enum tcpao_result check_unsigned(const uint8_t *hdr, size_t hdr_len, struct tcp_fields *f)
{
    struct tcpao_option option;
    enum tcpao_result result = tcpao_option_find(hdr, hdr_len, &option);

    if (result == TCPAO_OK && option.md5)
        return TCPAO_MD5_CLASH;
    if (result == TCPAO_OK && option.ao)
        return TCPAO_DUPLICATE_OPTION;
    if (result == TCPAO_OK && !tcp_fields_read(hdr, hdr_len, f))
        return TCPAO_MALFORMED;
    return result;
}

enum tcpao_result tcpao_conn_sign(struct tcpao_conn *c, int64_t now, const uint8_t *hdr,
                                  size_t hdr_len, const uint8_t *payload, size_t payload_len,
                                  uint8_t out[TCPAO_TCP_HEADER_MAX], size_t *out_len)
{
    struct tcpao_conn_state next = c->st;
    struct tcpao_option ao = {.ao = true};
    struct tcp_fields f;
    const struct tcpao_mkt *mkt, *rnext;
    uint8_t mac[TCPAO_MAC_MAX];
    uint64_t position = 0;
    enum key_kind kind;
    enum tcpao_result result = check_unsigned(hdr, hdr_len, &f);

    if (result != TCPAO_OK)
        return result;
    conn_check_generation(c);
    kind = learn(c, &f, &next);
    if (kind == KEY_ESTABLISHED && !(next.local_isn_known && next.remote_isn_known))
        return TCPAO_ISN_UNKNOWN;
    if (kind != KEY_REFUSAL && !tcpao_sne_extend(&next.snd, f.seq, &position))
        return TCPAO_OLD_SEQUENCE;
    conn_keys_by_time(c->chain, &next, now);
    if (!next.current_known)
        return TCPAO_NO_SEND_KEY;
    mkt = tcpao_chain_find(c->chain, next.current_key);
    rnext = next.rnext_known ? tcpao_chain_find(c->chain, next.rnext_key) : mkt;
    ao.keyid = mkt->send_id;
    ao.rnext = rnext->recv_id;
    ao.mac_len = mkt->mac_len;
    result = tcpao_option_append(hdr, hdr_len, &ao, out, out_len);
    if (result == TCPAO_OK) {
        const struct tcpao_segment s = {.src = &c->local,
                                        .dst = &c->remote,
                                        .sne = (uint32_t)(position >> 32),
                                        .hdr = out,
                                        .hdr_len = *out_len,
                                        .option = &ao,
                                        .payload = payload,
                                        .payload_len = payload_len};
        result = make_mac(c, kind, mkt, &f, &s, mac);
    }
    if (result != TCPAO_OK)
        return result;
    memcpy(out + ao.offset + TCPAO_OPTION_HEADER, mac, ao.mac_len);
    if (kind != KEY_REFUSAL)
        tcpao_sne_commit(&next.snd, position);
    if (kind == KEY_SYN || kind == KEY_HANDSHAKE)
        c->next_life_known = false;
    conn_commit(c, &next);
    return TCPAO_OK;
}

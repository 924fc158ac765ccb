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

/* All that is decided about one segment before anything of the connection changes. */
struct signing {
    struct tcp_fields fields;
    enum key_kind kind;
    struct tcpao_conn_state next;
    uint64_t position; /* extended sequence number */
    const struct tcpao_mkt *mkt;
    struct tcpao_option ao;
};

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

/* RFC 5925 7.4 step 1 and 2a, 2b, 2d: state, SNE and keys. */
static enum tcpao_result decide(const struct tcpao_conn *c, int64_t now, struct signing *s)
{
    struct tcpao_conn_state *next = &s->next;
    const struct tcpao_mkt *rnext;

    *next = c->st;
    s->position = 0;
    s->kind = learn(c, &s->fields, next);
    if (s->kind == KEY_ESTABLISHED && !(next->local_isn_known && next->remote_isn_known))
        return TCPAO_ISN_UNKNOWN;
    if (s->kind != KEY_REFUSAL) {
        if (!tcpao_sne_extend(&next->snd, s->fields.seq, &s->position))
            return TCPAO_OLD_SEQUENCE;
        tcpao_sne_commit(&next->snd, s->position);
    }
    conn_keys_by_time(c, next, now);
    if (!next->current_known)
        return TCPAO_NO_SEND_KEY;
    s->mkt = tcpao_chain_find(c->chain, next->current_key);
    rnext = next->rnext_known ? tcpao_chain_find(c->chain, next->rnext_key) : s->mkt;
    s->ao = (struct tcpao_option){
        .ao = true, .keyid = s->mkt->send_id, .rnext = rnext->recv_id, .mac_len = s->mkt->mac_len};
    return TCPAO_OK;
}

/* Steps 2c and 2e: the MAC with the traffic key of this kind of segment. */
static enum tcpao_result make_mac(struct tcpao_conn *c, const struct signing *s,
                                  const struct tcpao_segment *segment, uint8_t mac[TCPAO_MAC_MAX])
{
    struct gh_mac_key once = {0}, *key = &once;
    uint32_t dst_isn = s->kind == KEY_SYN ? 0 : s->fields.ack - 1;
    enum tcpao_result result = TCPAO_OK;

    if (s->kind == KEY_ESTABLISHED) {
        key = conn_send_key(c, s->mkt);
        if (key == NULL)
            return TCPAO_CRYPTO_FAILED;
    } else {
        result = tcpao_traffic_key(key, s->mkt, &c->local, &c->remote, s->fields.seq, dst_isn);
    }
    if (result == TCPAO_OK)
        result = tcpao_mac_over(key, s->mkt->options_covered, segment, mac);
    gh_mac_key_clear(&once);
    return result;
}

enum tcpao_result tcpao_conn_sign(struct tcpao_conn *c, int64_t now, const uint8_t *hdr,
                                  size_t hdr_len, const uint8_t *payload, size_t payload_len,
                                  uint8_t out[TCPAO_TCP_HEADER_MAX], size_t *out_len)
{
    struct signing s;
    struct tcpao_segment segment = {.src = &c->local,
                                    .dst = &c->remote,
                                    .hdr = out,
                                    .option = &s.ao,
                                    .payload = payload,
                                    .payload_len = payload_len};
    uint8_t mac[TCPAO_MAC_MAX];
    enum tcpao_result result = check_unsigned(hdr, hdr_len, &s.fields);

    *out_len = 0;
    conn_check_generation(c);
    if (result == TCPAO_OK)
        result = decide(c, now, &s);
    if (result == TCPAO_OK)
        result = tcpao_option_append(hdr, hdr_len, &s.ao, out, &segment.hdr_len);
    if (result == TCPAO_OK) {
        segment.sne = (uint32_t)(s.position >> 32);
        result = make_mac(c, &s, &segment, mac);
    }
    if (result != TCPAO_OK)
        return result;
    memcpy(out + s.ao.offset + TCPAO_OPTION_HEADER, mac, s.ao.mac_len);
    *out_len = segment.hdr_len;
    if (s.kind == KEY_SYN || s.kind == KEY_HANDSHAKE)
        c->next_life_known = false;
    conn_commit(c, &s.next);
    return TCPAO_OK;
}

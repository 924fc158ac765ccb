/*
 * SYNs of sessions that the kernel's own TCP-AO carries and whose keys are negotiated. The rules
 * send them here, the kernel has signed them or will verify them: nothing of a connection is kept.
 *
 * A SYN of ours may have been signed when there was no key, with a lock (kernel_plan.h), or with
 * one that has been replaced since. It waits until the socket has a key, and gets that one's MAC
 * here: the kernel does not send it again before a second has passed. A SYN of the peer's waits
 * until the listener has the key that it names.
 */
#include "tcpao/engine_priv.h"

bool ao_is_foreign_syn(const struct ao_transit *t)
{
    return t->session->foreign != AO_FOREIGN_NOT && t->option.ao && !t->option.md5 &&
           (t->tcp.flags & (GH_TCP_SYN | GH_TCP_ACK)) == GH_TCP_SYN;
}

static enum tcpao_result sign(const struct ao_transit *t, uint8_t hdr[TCPAO_TCP_HEADER_MAX],
                              size_t *len)
{
    uint8_t bare[TCPAO_TCP_HEADER_MAX];
    size_t bare_len;
    enum tcpao_result r = tcpao_option_strip(t->hdr, t->tcp.header_len, bare, &bare_len);
    struct tcpao_conn *once = tcpao_conn_new(t->session->policy.chain, &t->local, &t->remote);

    if (r == TCPAO_OK)
        r = once == NULL ? TCPAO_CRYPTO_FAILED
                         : tcpao_conn_sign(once, t->now.wall, bare, bare_len, t->payload,
                                           t->tcp.payload_len, hdr, len);
    tcpao_conn_free(once);
    return r;
}

static void outgoing(struct ao_transit *t)
{
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    size_t len;
    enum tcpao_result r;

    if (t->session->foreign != AO_FOREIGN_READY ||
        tcpao_chain_preferred(t->session->policy.chain, t->now.wall) == NULL) {
        ao_hold(t);
        return;
    }
    r = sign(t, hdr, &len);
    if (r == TCPAO_OK)
        ao_rewrite_header(t, hdr, len);
    else
        ao_refuse(t, r);
}

static void incoming(struct ao_transit *t)
{
    const struct ao_policy *p = &t->session->policy;

    if (p->direction == AO_ACTIVE && p->port == t->local.port)
        ao_refuse(t, AO_COUNT_REFUSED_DIRECTION);
    else if (t->session->foreign != AO_FOREIGN_READY ||
             tcpao_chain_by_recv_id(p->chain, t->option.keyid, t->now.wall) == NULL)
        ao_hold(t);
    else
        t->result->verdict = AO_PASS;
}

void ao_foreign_syn(struct ao_transit *t)
{
    if (t->packet->way == AO_OUT)
        outgoing(t);
    else
        incoming(t);
}

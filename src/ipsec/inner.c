#include "ipsec/inner.h"

#include <string.h>

#include "ipsec/ecn.h"
#include "ipsec/udp.h"

enum { DSCP = 0xfc, ECN = 3 };

enum ipsec_result ipsec_inner_seq(struct ipsec_work *w, uint32_t low)
{
    w->seq = low;
    if (w->sa->p.esn && !ipsec_replay_infer(&w->sa->replay, low, &w->seq))
        return IPSEC_OLD;
    return ipsec_replay_check(&w->sa->replay, w->seq);
}

/* RFC 6040 4.2; RFC 4301 5.1.2.2 note 9. */
static enum ipsec_result pass_ds(const struct ipsec_work *w, const struct ipsec_layout *inner)
{
    uint8_t ecn, dscp = inner->ds & DSCP, ds;

    if (!ipsec_ecn_inner(inner->ds & ECN, w->layout.ds & ECN, &ecn))
        return IPSEC_ECN;
    if (w->sa->p.tunnel.dscp_to_inner)
        dscp = w->layout.ds & DSCP;
    ds = dscp | ecn;
    if (ds != inner->ds)
        ipsec_header_set_ds(ipsec_packet_data(w->packet), ds);
    return IPSEC_OK;
}

static enum ipsec_result from_tunnel(struct ipsec_work *w, size_t at, size_t len, uint8_t next)
{
    struct ipsec_packet *p = w->packet;
    struct ipsec_layout inner;

    if (next != IPSEC_PROTO_IPV4 && next != IPSEC_PROTO_IPV6)
        return IPSEC_NEXT_HEADER;
    if (!ipsec_layout_read(ipsec_packet_data(p) + at, len, &inner) ||
        inner.version != (next == IPSEC_PROTO_IPV4 ? 4 : 6))
        return IPSEC_INNER;
    p->at += at;
    p->len = inner.total_len;
    return pass_ds(w, &inner);
}

static enum ipsec_result from_transport(struct ipsec_work *w, size_t at, size_t len, uint8_t next)
{
    struct ipsec_packet *p = w->packet;
    size_t header = w->layout.l4_at;
    uint8_t *data = ipsec_packet_data(p);

    memmove(data + at - header, data, header);
    p->at += at - header;
    p->len = header + len;
    if (!ipsec_header_fix(ipsec_packet_data(p), p->len, w->layout.l4_next_at, next))
        return IPSEC_INNER;
    if (w->data_at != w->layout.l4_at) /* it came in UDP, so perhaps through a NAT */
        ipsec_udp_fix_inner(ipsec_packet_data(p) + header, len, next, &w->layout);
    return IPSEC_OK;
}

enum ipsec_result ipsec_inner(struct ipsec_work *w, size_t at, size_t len, uint8_t next)
{
    if (next == IPSEC_PROTO_NONE)
        return IPSEC_DUMMY;
    return w->sa->p.mode == IPSEC_TUNNEL ? from_tunnel(w, at, len, next)
                                         : from_transport(w, at, len, next);
}

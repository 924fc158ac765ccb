#include <string.h>

#include "ipsec/ah.h"
#include "ipsec/outer.h"
#include "wire/wr.h"

enum { PACKET_MAX = 65535, UNIT_V4 = 4, UNIT_V6 = 8 };

size_t ipsec_ah_len(const struct ipsec_sa *sa)
{
    size_t unit = sa->p.local.len == 4 ? UNIT_V4 : UNIT_V6;

    return (IPSEC_AH_FIXED + sa->iv_len + sa->icv_len + unit - 1) / unit * unit;
}

static void put_ah(const struct ipsec_work *w, uint8_t *at, uint8_t next)
{
    struct gh_wr out = gh_wr_make(at, w->ah_len);

    gh_wr_u8(&out, next);
    gh_wr_u8(&out, w->ah_len / 4 - 2);
    gh_wr_u16(&out, 0);
    gh_wr_u32(&out, w->sa->p.spi);
    gh_wr_u32(&out, w->seq & UINT32_MAX);
    if (w->sa->iv_len > 0)
        gh_wr_u64(&out, w->seq);
    gh_wr_zero(&out, w->ah_len - out.len);
}

enum ipsec_result ipsec_ah_wrap(struct ipsec_work *w)
{
    bool tunnel = w->sa->p.mode == IPSEC_TUNNEL, ok;
    struct ipsec_packet *p = w->packet;
    size_t outer = tunnel ? ipsec_outer_len(&w->sa->p.local) : 0;
    size_t header = tunnel ? 0 : w->layout.insert_at;
    uint8_t next = ipsec_packet_data(p)[w->layout.insert_next_at], *data;

    w->ah_len = ipsec_ah_len(w->sa);
    w->data_at = outer + header;
    if (p->len + outer + w->ah_len > PACKET_MAX)
        return IPSEC_TOO_BIG;
    if (tunnel)
        next = w->layout.version == 4 ? IPSEC_PROTO_IPV4 : IPSEC_PROTO_IPV6;
    data = ipsec_packet_push(p, outer + w->ah_len);
    if (data == NULL)
        return IPSEC_NO_ROOM;
    memmove(data, data + w->ah_len, header);
    put_ah(w, data + w->data_at, next);
    ok = tunnel ? ipsec_outer_put(w, data, p->len, IPSEC_PROTO_AH)
                : ipsec_header_fix(data, p->len, w->layout.insert_next_at, IPSEC_PROTO_AH);
    return ok ? ipsec_ah_cover(w, w->data_at) : IPSEC_TOO_BIG;
}

void ipsec_ah_wrapped(struct ipsec_work *w)
{
    size_t icv_at = w->data_at + IPSEC_AH_FIXED + w->sa->iv_len;

    memcpy(ipsec_packet_data(w->packet) + icv_at, w->icv, w->sa->icv_len);
}

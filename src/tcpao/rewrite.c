/* The packet that leaves: new headers in front of the old payload. */
#include "tcpao/engine_priv.h"

#include <string.h>

#include "wire/checksum.h"
#include "wire/wr.h"

enum { TCP_CHECKSUM_AT = 16, IPV4_LENGTH_AT = 2, IPV4_CHECKSUM_AT = 10, IPV6_LENGTH_AT = 4 };

/* A TCP header's sum with its checksum field left out. */
static uint32_t header_sum(const uint8_t *hdr, size_t len)
{
    uint32_t sum = gh_sum(hdr, TCP_CHECKSUM_AT, 0);

    return gh_sum(hdr + TCP_CHECKSUM_AT + 2, len - TCP_CHECKSUM_AT - 2, sum);
}

/* The IP header of the packet with another length, into the result's head. */
static void put_ip_header(struct ao_transit *t, struct gh_wr *w, size_t l4_len)
{
    gh_wr_bytes(w, t->packet->data, t->ip.header_len);
    if (t->ip.version == 4) {
        gh_wr_put_u16(w, IPV4_LENGTH_AT, t->ip.header_len + l4_len);
        gh_wr_put_u16(w, IPV4_CHECKSUM_AT, 0);
        if (gh_wr_ok(w))
            gh_wr_put_u16(w, IPV4_CHECKSUM_AT, gh_sum_fold(gh_sum(w->base, t->ip.header_len, 0)));
    } else {
        gh_wr_put_u16(w, IPV6_LENGTH_AT, t->ip.header_len - 40 + l4_len);
    }
}

static void finish(struct ao_transit *t, const struct gh_wr *w, size_t tail)
{
    if (!gh_wr_ok(w)) {
        ao_refuse(t, TCPAO_MALFORMED);
        return;
    }
    t->result->head_len = w->len;
    t->result->tail = tail;
    t->result->verdict = AO_REPLACE;
}

void ao_rewrite_header(struct ao_transit *t, const uint8_t *hdr, size_t len)
{
    struct gh_wr w = gh_wr_make(t->result->head, sizeof(t->result->head));
    size_t old_len = t->tcp.header_len;
    uint32_t old_sum, new_sum;

    /* RFC 1624: HC' = ~(~HC + ~m + m'), for the header and the pseudo-header's length. */
    old_sum = header_sum(t->hdr, old_len) + (uint32_t)(old_len + t->tcp.payload_len);
    new_sum = header_sum(hdr, len) + (uint32_t)(len + t->tcp.payload_len);
    new_sum += (uint16_t)~t->tcp.checksum;
    new_sum += gh_sum_fold(old_sum); /* the complement of the folded sum */

    put_ip_header(t, &w, len + t->tcp.payload_len);
    gh_wr_bytes(&w, hdr, len);
    gh_wr_put_u16(&w, t->ip.header_len + TCP_CHECKSUM_AT, gh_sum_fold(new_sum));
    finish(t, &w, t->ip.header_len + old_len);
}

void ao_rewrite_as_reset(struct ao_transit *t, uint32_t seq)
{
    struct gh_wr w = gh_wr_make(t->result->head, sizeof(t->result->head));
    size_t at = t->ip.header_len;
    uint32_t sum;

    put_ip_header(t, &w, TCPAO_TCP_HEADER_MIN);
    gh_wr_u16(&w, t->tcp.src_port);
    gh_wr_u16(&w, t->tcp.dst_port);
    gh_wr_u32(&w, seq);
    gh_wr_u32(&w, 0);
    gh_wr_u16(&w, (TCPAO_TCP_HEADER_MIN / 4) << 12 | GH_TCP_RST);
    gh_wr_zero(&w, 6); /* window, checksum, urgent pointer */
    if (gh_wr_ok(&w)) {
        sum = gh_sum_pseudo(&t->ip.src, &t->ip.dst, GH_IP_TCP, TCPAO_TCP_HEADER_MIN);
        sum = gh_sum(w.base + at, TCPAO_TCP_HEADER_MIN, sum);
        gh_wr_put_u16(&w, at + TCP_CHECKSUM_AT, gh_sum_fold(sum));
    }
    finish(t, &w, t->packet->len);
}

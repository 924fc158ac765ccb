#include "ipsec/udp.h"

#include "wire/checksum.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { KEEPALIVE = 0xff, TCP = 6, TCP_CHECKSUM_AT = 16, UDP_CHECKSUM_AT = 6 };

enum ipsec_udp ipsec_udp_kind(const uint8_t *udp, size_t len, uint16_t *src_port,
                              uint16_t *dst_port)
{
    struct gh_rd r = gh_rd_make(udp, len), data;
    size_t total;
    uint32_t first;

    *src_port = gh_rd_u16(&r);
    *dst_port = gh_rd_u16(&r);
    total = gh_rd_u16(&r);
    gh_rd_skip(&r, 2);
    if (r.bad || total != len)
        return IPSEC_UDP_BAD;
    data = r;
    if (gh_rd_left(&data) == 1 && gh_rd_u8(&data) == KEEPALIVE)
        return IPSEC_UDP_KEEPALIVE;
    first = gh_rd_u32(&r);
    if (r.bad)
        return IPSEC_UDP_BAD;
    return first == 0 ? IPSEC_UDP_IKE : IPSEC_UDP_ESP;
}

void ipsec_udp_write(uint8_t *at, uint16_t src_port, uint16_t dst_port, size_t len)
{
    struct gh_wr w = gh_wr_make(at, IPSEC_UDP_HEADER);

    gh_wr_u16(&w, src_port);
    gh_wr_u16(&w, dst_port);
    gh_wr_u16(&w, len);
    gh_wr_u16(&w, 0);
}

static void set_checksum(uint8_t *l4, size_t len, size_t at, uint8_t protocol,
                         const struct ipsec_layout *ip)
{
    struct gh_wr w = gh_wr_make(l4 + at, 2);
    uint16_t sum;

    gh_wr_u16(&w, 0);
    sum = gh_sum_fold(gh_sum(l4, len, gh_sum_pseudo(&ip->src, &ip->dst, protocol, (uint32_t)len)));
    gh_wr_put_u16(&w, 0, sum == 0 && protocol == IPSEC_PROTO_UDP ? 0xffff : sum);
}

void ipsec_udp_set_checksum(uint8_t *packet, size_t len)
{
    struct ipsec_layout ip;

    if (ipsec_layout_read(packet, len, &ip) && len >= ip.l4_at + IPSEC_UDP_HEADER)
        set_checksum(packet + ip.l4_at, len - ip.l4_at, UDP_CHECKSUM_AT, IPSEC_PROTO_UDP, &ip);
}

void ipsec_udp_fix_inner(uint8_t *l4, size_t len, uint8_t protocol,
                         const struct ipsec_layout *outer)
{
    if (protocol == TCP && len >= TCP_CHECKSUM_AT + 2)
        set_checksum(l4, len, TCP_CHECKSUM_AT, protocol, outer);
    else if (protocol == IPSEC_PROTO_UDP && len >= IPSEC_UDP_HEADER &&
             (l4[UDP_CHECKSUM_AT] | l4[UDP_CHECKSUM_AT + 1]) != 0)
        set_checksum(l4, len, UDP_CHECKSUM_AT, protocol, outer);
}

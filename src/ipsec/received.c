#include "ipsec/received.h"

#include "ipsec/header.h"
#include "ipsec/udp.h"
#include "wire/wr.h"

enum { ANY_TTL = 64, PACKET_MAX = 65535 };

static bool put_ip(struct gh_wr *w, const struct ipsec_received *r, size_t total, uint8_t protocol)
{
    if (r->src.len == 4) {
        gh_wr_u8(w, 0x45);
        gh_wr_u8(w, r->ds);
        gh_wr_u16(w, total);
        gh_wr_u32(w, 0);
        gh_wr_u8(w, ANY_TTL);
        gh_wr_u8(w, protocol);
        gh_wr_u16(w, 0);
    } else {
        gh_wr_u32(w, UINT32_C(6) << 28 | (uint32_t)r->ds << 20);
        gh_wr_u16(w, total - IPSEC_IPV6_HEADER);
        gh_wr_u8(w, protocol);
        gh_wr_u8(w, ANY_TTL);
    }
    gh_wr_bytes(w, r->src.octets, r->src.len);
    gh_wr_bytes(w, r->dst.octets, r->dst.len);
    return gh_wr_ok(w);
}

bool ipsec_received(struct ipsec_packet *p, const struct ipsec_received *r)
{
    bool udp = r->src_port != 0 || r->dst_port != 0;
    size_t ip_len = r->src.len == 4 ? IPSEC_IPV4_HEADER : IPSEC_IPV6_HEADER;
    size_t headers = ip_len + (udp ? IPSEC_UDP_HEADER : 0), data_len = p->len;
    struct gh_wr w;

    if (r->src.len == 0 || r->src.len != r->dst.len || headers + data_len > PACKET_MAX ||
        ipsec_packet_push(p, headers) == NULL)
        return false;
    w = gh_wr_make(ipsec_packet_data(p), ip_len);
    if (!put_ip(&w, r, p->len, udp ? IPSEC_PROTO_UDP : r->protocol))
        return false;
    if (r->src.len == 4)
        ipsec_header_set_checksum(ipsec_packet_data(p));
    if (udp)
        ipsec_udp_write(ipsec_packet_data(p) + ip_len, r->src_port, r->dst_port,
                        IPSEC_UDP_HEADER + data_len);
    return true;
}

#include "tunnel/icmp.h"

#include <string.h>

#include "ipsec/header.h"
#include "tunnel/fragment.h"
#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    ICMP_UNREACHABLE = 3,
    ICMP_HOST_UNREACHABLE = 1,
    ICMP_FRAGMENTATION_NEEDED = 4,
    ICMP_PROHIBITED = 13,
    ICMPV6_UNREACHABLE = 1,
    ICMPV6_PROHIBITED = 1,
    ICMPV6_ADDRESS_UNREACHABLE = 3,
    ICMPV6_TOO_BIG = 2,
    ICMPV6_PARAMETER = 4
};
enum { ICMP_HEADER = 8, TTL = 64 };
/* RFC 1812 4.3.2.3, RFC 4443 2.4 (c): the whole error, with its IP header. */
enum { IPV4_MOST = 576, IPV6_MOST = 1280 };

static bool is_multicast(const struct gh_addr *a)
{
    return a->len == 4 ? a->octets[0] >> 4 == 0xe : a->octets[0] == 0xff;
}

bool tunnel_source_valid(const struct gh_addr *a)
{
    static const uint8_t zeros[12], loopback[16] = {[15] = 1};

    if (is_multicast(a))
        return false;
    if (a->len == 4)
        return a->octets[0] != 127 && a->octets[0] < 0xf0;
    if (memcmp(a->octets, loopback, 16) == 0 || gh_addr_is_mapped(a->octets))
        return false;
    return memcmp(a->octets, zeros, 12) != 0 || gh_addr_is_any(a); /* IPv4-compatible */
}

static bool is_icmp_error(const struct gh_ip_packet *ip, const uint8_t *packet)
{
    struct gh_rd r = gh_rd_make(packet + ip->header_len, ip->l4_len);
    uint8_t type = gh_rd_u8(&r);

    if (ip->version == 6)
        return ip->protocol == GH_IP_ICMPV6 && (r.bad || type < 128);
    /* Of ICMPv4, only what is known to be none. */
    return ip->protocol == GH_IP_ICMP &&
           (r.bad || !(type == 0 || type == 8 || (type >= 13 && type <= 18)));
}

/* too_big: ICMPv6 lets this one be sent about multicast (RFC 4443 2.4 (e.3)). */
static enum tunnel_result may_send(const struct ipsec_packet *packet, bool too_big,
                                   const struct gh_addr *from, struct gh_ip_packet *ip)
{
    const uint8_t *p = ipsec_packet_data(packet);

    if (gh_ip_parse(p, packet->len, ip) != GH_IP_OK)
        return TUNNEL_MALFORMED;
    if (from->len != ip->src.len || !tunnel_source_valid(&ip->src) || gh_addr_is_any(&ip->src) ||
        ip->fragment_offset != 0 || is_icmp_error(ip, p))
        return TUNNEL_NO_ICMP;
    if (ip->version == 4 ? !tunnel_source_valid(&ip->dst) : is_multicast(&ip->dst) && !too_big)
        return TUNNEL_NO_ICMP;
    return TUNNEL_OK;
}

static enum tunnel_result put(const struct ipsec_packet *packet, const struct gh_ip_packet *ip,
                              uint8_t type, uint8_t code, uint32_t rest, const struct gh_addr *from,
                              struct ipsec_packet *out)
{
    bool v4 = ip->version == 4;
    size_t header = v4 ? IPSEC_IPV4_HEADER : IPSEC_IPV6_HEADER;
    size_t most = (v4 ? IPV4_MOST : IPV6_MOST) - header - ICMP_HEADER;
    size_t quoted = ip->total_len < most ? ip->total_len : most, l4 = ICMP_HEADER + quoted;
    struct gh_wr w = gh_wr_make(out->mem + out->at, out->cap - out->at);

    if (v4) {
        gh_wr_u16(&w, 0x4500);
        gh_wr_u16(&w, header + l4);
        gh_wr_u32(&w, 0);
        gh_wr_u8(&w, TTL);
        gh_wr_u8(&w, GH_IP_ICMP);
        gh_wr_u16(&w, 0);
    } else {
        gh_wr_u32(&w, 0x60000000);
        gh_wr_u16(&w, l4);
        gh_wr_u8(&w, GH_IP_ICMPV6);
        gh_wr_u8(&w, TTL);
    }
    gh_wr_bytes(&w, from->octets, from->len);
    gh_wr_bytes(&w, ip->src.octets, ip->src.len);
    gh_wr_u8(&w, type);
    gh_wr_u8(&w, code);
    gh_wr_u16(&w, 0);
    gh_wr_u32(&w, rest);
    gh_wr_bytes(&w, ipsec_packet_data(packet), quoted);
    if (!gh_wr_ok(&w))
        return TUNNEL_NO_ROOM;
    gh_wr_put_u16(
        &w, header + 2,
        gh_sum_fold(gh_sum(w.base + header, l4,
                           v4 ? 0 : gh_sum_pseudo(from, &ip->src, GH_IP_ICMPV6, (uint32_t)l4))));
    if (v4)
        ipsec_header_set_checksum(w.base);
    out->len = w.len;
    out->place = packet->place;
    return TUNNEL_OK;
}

enum tunnel_result tunnel_icmp_too_big(const struct ipsec_packet *packet, uint16_t mtu,
                                       const struct gh_addr *from, struct ipsec_packet *out)
{
    struct gh_ip_packet ip;
    enum tunnel_result result = may_send(packet, true, from, &ip);

    if (result != TUNNEL_OK)
        return result;
    return ip.version == 4
               ? put(packet, &ip, ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, mtu, from, out)
               : put(packet, &ip, ICMPV6_TOO_BIG, 0, mtu, from, out);
}

enum tunnel_result tunnel_icmp_parameter(const struct ipsec_packet *packet, uint32_t pointer,
                                         const struct gh_addr *from, struct ipsec_packet *out)
{
    struct gh_ip_packet ip;
    enum tunnel_result result = may_send(packet, false, from, &ip);

    if (result == TUNNEL_OK && ip.version != 6)
        result = TUNNEL_NO_ICMP;
    return result == TUNNEL_OK ? put(packet, &ip, ICMPV6_PARAMETER, 0, pointer, from, out) : result;
}

enum tunnel_result tunnel_icmp_unreachable(const struct ipsec_packet *packet,
                                           enum tunnel_unreachable why, const struct gh_addr *from,
                                           struct ipsec_packet *out)
{
    bool prohibited = why == TUNNEL_PROHIBITED;
    struct gh_ip_packet ip;
    enum tunnel_result result = may_send(packet, false, from, &ip);

    if (result != TUNNEL_OK)
        return result;
    if (ip.version == 4)
        return put(packet, &ip, ICMP_UNREACHABLE,
                   prohibited ? ICMP_PROHIBITED : ICMP_HOST_UNREACHABLE, 0, from, out);
    return put(packet, &ip, ICMPV6_UNREACHABLE,
               prohibited ? ICMPV6_PROHIBITED : ICMPV6_ADDRESS_UNREACHABLE, 0, from, out);
}

#include "tunnel/mss.h"

#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { TCP_HEADER = 20, CHECKSUM_AT = 16, OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2 };

uint16_t tunnel_mss_for(uint8_t version, uint16_t mtu)
{
    uint16_t headers = version == 4 ? 20 + TCP_HEADER : 40 + TCP_HEADER;

    return mtu > headers ? mtu - headers : 0;
}

/* Where the value stands in the segment; 0: nowhere. */
static size_t find(const uint8_t *segment, size_t header_len)
{
    struct gh_rd r = gh_rd_make(segment, header_len);

    gh_rd_skip(&r, TCP_HEADER);
    while (gh_rd_left(&r) > 0) {
        uint8_t kind = gh_rd_u8(&r), len;

        if (kind == OPTION_END)
            break;
        if (kind == OPTION_NOP)
            continue;
        len = gh_rd_u8(&r);
        if (kind == OPTION_MSS)
            return len == 4 && gh_rd_left(&r) >= 2 ? (size_t)(r.p - segment) : 0;
        gh_rd_skip(&r, len >= 2 ? len - 2u : SIZE_MAX);
    }
    return 0;
}

/* What a value adds to the sum: at an odd place its octets belong to two words. */
static uint16_t word(uint16_t value, size_t at)
{
    return at % 2 == 0 ? value : (uint16_t)(value << 8 | value >> 8);
}

static bool lower(uint8_t *segment, size_t at, uint16_t mss)
{
    struct gh_rd old = gh_rd_make(segment + at, 2);
    struct gh_rd sum = gh_rd_make(segment + CHECKSUM_AT, 2);
    struct gh_wr value = gh_wr_make(segment + at, 2);
    struct gh_wr checksum = gh_wr_make(segment + CHECKSUM_AT, 2);
    uint16_t announced = gh_rd_u16(&old);

    if (announced <= mss)
        return false;
    gh_wr_u16(&checksum, gh_sum_fold((uint32_t)(uint16_t)~gh_rd_u16(&sum) +
                                     (uint16_t)~word(announced, at) + word(mss, at)));
    gh_wr_u16(&value, mss);
    return true;
}

bool tunnel_mss_lower(uint8_t *packet, size_t len, uint16_t mss)
{
    struct gh_ip_packet ip;
    struct gh_tcp_segment tcp;
    size_t at;

    if (gh_ip_parse(packet, len, &ip) != GH_IP_OK || ip.protocol != GH_IP_TCP ||
        ip.fragment_offset != 0 ||
        gh_tcp_parse(packet + ip.header_len, ip.l4_len, &tcp) != GH_IP_OK ||
        !(tcp.flags & GH_TCP_SYN))
        return false;
    at = find(packet + ip.header_len, tcp.header_len);
    return at != 0 && lower(packet + ip.header_len, at, mss);
}

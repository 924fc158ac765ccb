#include "offload/split.h"

#include <string.h>

#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/wr.h"

enum {
    IPV4_MIN = 20,
    IPV4_LENGTH = 2,
    IPV4_ID = 4,
    IPV4_SUM = 10,
    IPV6_HEADER = 40,
    IPV6_LENGTH = 4,
    TCP_SEQ = 4,
    TCP_FLAGS = 13,
    UDP_LENGTH = 4,
    UDP_PROTOCOL = 17,
    CWR = 0x80
};

static void put16(uint8_t *at, size_t value)
{
    struct gh_wr w = gh_wr_make(at, 2);

    gh_wr_u16(&w, value & UINT16_MAX);
}

static uint32_t word(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

/* UDP's 0 means that there is none (RFC 768). */
static uint16_t checksum(uint32_t sum, bool tcp)
{
    uint16_t value = gh_sum_fold(sum);

    return value == 0 && !tcp ? UINT16_MAX : value;
}

bool offload_complete(const struct offload_note *n, uint8_t *packet, size_t len)
{
    size_t at = (size_t)n->sum_start + n->sum_offset;

    if (!n->checksum_due)
        return true;
    if (n->sum_start >= len || at + 2 > len)
        return false;
    put16(packet + at, checksum(gh_sum(packet + n->sum_start, len - n->sum_start, 0),
                                n->sum_offset != OFFLOAD_UDP_SUM));
    return true;
}

static uint8_t protocol_of(const struct offload_split *s)
{
    return s->tcp ? GH_IP_TCP : UDP_PROTOCOL;
}

/* What every segment's checksum begins with. Both the length and what a segment changes are left
 * out: sequence number and flags, or UDP's length. */
static uint32_t common_sum(const struct offload_split *s, const struct gh_ip_packet *ip)
{
    uint8_t l4[60];
    size_t len = s->header - s->ip;

    memcpy(l4, s->packet + s->ip, len);
    if (s->tcp) {
        memset(l4 + TCP_SEQ, 0, 4);
        l4[TCP_FLAGS] = 0;
        put16(l4 + OFFLOAD_TCP_SUM, 0);
    } else {
        put16(l4 + UDP_LENGTH, 0);
        put16(l4 + OFFLOAD_UDP_SUM, 0);
    }
    return gh_sum(l4, len, gh_sum_pseudo(&ip->src, &ip->dst, protocol_of(s), 0));
}

static bool read_l4(struct offload_split *s, size_t l4_len)
{
    const uint8_t *l4 = s->packet + s->ip;
    struct gh_tcp_segment tcp;

    if (!s->tcp) {
        s->header = s->ip + OFFLOAD_UDP_HEADER;
        return l4_len >= OFFLOAD_UDP_HEADER;
    }
    if (gh_tcp_parse(l4, l4_len, &tcp) != GH_IP_OK)
        return false;
    s->seq = tcp.seq;
    s->flags = l4[TCP_FLAGS];
    s->header = s->ip + tcp.header_len;
    return true;
}

bool offload_split(struct offload_split *s, const struct offload_note *n, const uint8_t *packet,
                   size_t len)
{
    struct gh_ip_packet ip;

    /* A packet to be cut may be longer than its length field can say, or not have it set. */
    if (n->cut == OFFLOAD_WHOLE || n->size == 0 || len > OFFLOAD_PACKET_MAX ||
        gh_ip_parse(packet, len, &ip) != GH_IP_OK || ip.total_len != len || ip.fragment)
        return false;
    *s = (struct offload_split){.packet = packet,
                                .size = n->size,
                                .ip = ip.header_len,
                                .v6 = ip.version == 6,
                                .tcp = n->cut != OFFLOAD_UDP};
    if (ip.protocol != protocol_of(s) || (n->cut == OFFLOAD_TCP4 && s->v6) ||
        (n->cut == OFFLOAD_TCP6 && !s->v6) || !read_l4(s, ip.l4_len))
        return false;
    s->payload = len - s->header;
    s->count = s->payload > 0 ? (s->payload + s->size - 1) / s->size : 1;
    s->id = s->v6 ? 0 : (uint16_t)word(packet + IPV4_ID);
    s->sum = common_sum(s, &ip);
    return true;
}

static size_t payload_of(const struct offload_split *s, size_t i)
{
    size_t left = s->payload - i * s->size;

    return left < s->size ? left : s->size;
}

size_t offload_segment_len(const struct offload_split *s, size_t i)
{
    return s->header + payload_of(s, i);
}

static void put_ip(const struct offload_split *s, size_t i, uint8_t *out, size_t len)
{
    if (s->v6) {
        put16(out + IPV6_LENGTH, len - IPV6_HEADER);
        return;
    }
    put16(out + IPV4_LENGTH, len);
    put16(out + IPV4_ID, s->id + i);
    put16(out + IPV4_SUM, 0);
    put16(out + IPV4_SUM, gh_sum_fold(gh_sum(out, s->ip, 0)));
}

/* FIN and PSH are the last one's, CWR the first one's (RFC 3168 6.1.2). The sum of the octets. */
static uint32_t put_tcp(const struct offload_split *s, size_t i, uint8_t *l4)
{
    struct gh_wr w = gh_wr_make(l4 + TCP_SEQ, 4);
    uint8_t flags = s->flags;

    if (i + 1 < s->count)
        flags &= (uint8_t) ~(GH_TCP_FIN | GH_TCP_PSH);
    if (i > 0)
        flags &= (uint8_t)~CWR;
    gh_wr_u32(&w, s->seq + (uint32_t)(i * s->size));
    l4[TCP_FLAGS] = flags;
    return word(l4 + TCP_SEQ) + word(l4 + TCP_SEQ + 2) + flags;
}

void offload_segment(const struct offload_split *s, size_t i, uint8_t *out)
{
    size_t payload = payload_of(s, i), l4_len = s->header - s->ip + payload;
    uint8_t *l4 = out + s->ip;
    uint32_t sum = s->sum + (uint32_t)l4_len;

    memcpy(out, s->packet, s->header);
    memcpy(out + s->header, s->packet + s->header + i * s->size, payload);
    put_ip(s, i, out, s->header + payload);
    if (s->tcp) {
        sum += put_tcp(s, i, l4);
    } else {
        put16(l4 + UDP_LENGTH, l4_len);
        sum += (uint32_t)l4_len;
    }
    sum = gh_sum(out + s->header, payload, sum);
    put16(l4 + (s->tcp ? OFFLOAD_TCP_SUM : OFFLOAD_UDP_SUM), checksum(sum, s->tcp));
}

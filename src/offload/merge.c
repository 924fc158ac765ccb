#include "offload/merge.h"

#include <string.h>

#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/wr.h"

enum {
    OPEN_MAX = 16, /* groups that may still grow, the latest ones */
    IPV4_HEADER = 20,
    IPV4_LENGTH = 2,
    IPV4_ID = 4,
    IPV4_DF = 0x40,
    IPV4_FRAGMENT = 6,
    IPV4_TTL = 8,
    IPV4_SUM = 10,
    IPV4_ADDRESSES = 12,
    IPV6_HEADER = 40,
    IPV6_LENGTH = 4,
    TCP_SEQ = 4,
    TCP_ACK = 8,
    TCP_FLAGS = 13,
    TCP_WINDOW = 14,
    TCP_URGENT = 18,
    UDP_LENGTH = 4,
    PORTS = 4,
    UDP_PROTOCOL = 17
};

/* What one packet has to do with merging. */
struct segment {
    bool fits;  /* it may stand in a group */
    bool ports; /* it is of one flow; else it may be of any between its addresses */
    bool tcp, last;
    size_t payload;
    uint32_t seq;
    uint16_t id;
    struct gh_ip_packet ip;
    size_t header;
};

struct merging {
    struct offload_packet *packets;
    struct offload_group *groups;
    size_t count;
    size_t open[OPEN_MAX], open_count; /* the latest last */
};

static void put16(uint8_t *at, size_t value)
{
    struct gh_wr w = gh_wr_make(at, 2);

    gh_wr_u16(&w, value & UINT16_MAX);
}

/* ---- A packet ------------------------------------------------------------------------------- */

static bool sum_is_right(const uint8_t *l4, const struct segment *s)
{
    uint32_t sum = gh_sum_pseudo(&s->ip.src, &s->ip.dst, s->ip.protocol, (uint32_t)s->ip.l4_len);

    return gh_sum_fold(gh_sum(l4, s->ip.l4_len, sum)) == 0;
}

static bool read_tcp(const uint8_t *l4, struct segment *s)
{
    struct gh_tcp_segment tcp;

    if (gh_tcp_parse(l4, s->ip.l4_len, &tcp) != GH_IP_OK)
        return false;
    s->tcp = true;
    s->header = s->ip.header_len + tcp.header_len;
    s->payload = tcp.payload_len;
    s->seq = tcp.seq;
    s->last = (l4[TCP_FLAGS] & GH_TCP_PSH) != 0;
    return (l4[TCP_FLAGS] & ~GH_TCP_PSH) == GH_TCP_ACK && tcp.payload_len > 0;
}

static bool read_udp(const uint8_t *l4, struct segment *s)
{
    s->header = s->ip.header_len + OFFLOAD_UDP_HEADER;
    if (s->ip.l4_len <= OFFLOAD_UDP_HEADER)
        return false;
    s->payload = s->ip.l4_len - OFFLOAD_UDP_HEADER;
    return (size_t)(l4[UDP_LENGTH] << 8 | l4[UDP_LENGTH + 1]) == s->ip.l4_len &&
           (l4[OFFLOAD_UDP_SUM] | l4[OFFLOAD_UDP_SUM + 1]) != 0;
}

/* Without options and extension headers, which every segment would have to repeat. */
static bool read_ip(const struct offload_packet *p, struct segment *s)
{
    const uint8_t *d = p->data;

    *s = (struct segment){.fits = false};
    if (gh_ip_parse(d, p->len, &s->ip) != GH_IP_OK) {
        s->ip.version = 0; /* there may be less of it than that promises */
        return false;
    }
    if (s->ip.total_len != p->len || s->ip.fragment)
        return false;
    s->ports = s->ip.l4_len >= PORTS;
    if (s->ip.version == 6)
        return s->ip.header_len == IPV6_HEADER;
    s->id = (uint16_t)(d[IPV4_ID] << 8 | d[IPV4_ID + 1]);
    return s->ip.header_len == IPV4_HEADER && gh_sum_fold(gh_sum(d, IPV4_HEADER, 0)) == 0;
}

static struct segment segment_of(const struct offload_packet *p, bool udp)
{
    struct segment s;
    const uint8_t *l4;

    if (!read_ip(p, &s))
        return s;
    l4 = p->data + s.ip.header_len;
    if (s.ip.protocol == GH_IP_TCP)
        s.fits = read_tcp(l4, &s);
    else if (s.ip.protocol == UDP_PROTOCOL && udp)
        s.fits = read_udp(l4, &s);
    s.fits = s.fits && sum_is_right(l4, &s);
    return s;
}

/* ---- A group -------------------------------------------------------------------------------- */

/* The next of the same addresses and, of TCP and UDP, ports: if it does not fit, the group ends,
 * for what comes after it must not overtake it. */
static bool same_flow(const struct offload_group *g, const uint8_t *a, const uint8_t *b,
                      const struct segment *s)
{
    size_t at = g->v6 ? 8 : IPV4_ADDRESSES, len = g->v6 ? 32 : 8;

    if (g->v6 != (s->ip.version == 6) || memcmp(a + at, b + at, len) != 0)
        return false;
    return !s->ports || (s->ip.protocol == (g->tcp ? GH_IP_TCP : UDP_PROTOCOL) &&
                         memcmp(a + g->ip, b + s->ip.header_len, 4) == 0);
}

static bool same_ip(const struct offload_group *g, const uint8_t *a, const uint8_t *b,
                    const struct segment *s)
{
    if (g->v6)
        return memcmp(a, b, IPV6_LENGTH) == 0 && memcmp(a + 6, b + 6, IPV6_HEADER - 6) == 0;
    if (memcmp(a, b, IPV4_LENGTH) != 0 || memcmp(a + IPV4_FRAGMENT, b + IPV4_FRAGMENT, 4) != 0)
        return false;
    return s->id == g->next_id || (b[IPV4_FRAGMENT] & IPV4_DF) != 0;
}

static bool same_tcp(const struct offload_group *g, const uint8_t *a, const uint8_t *b,
                     const struct segment *s)
{
    size_t options = g->ip + TCP_URGENT;

    return s->seq == g->next_seq && memcmp(a + g->ip + TCP_ACK, b + g->ip + TCP_ACK, 5) == 0 &&
           memcmp(a + g->ip + TCP_WINDOW, b + g->ip + TCP_WINDOW, 2) == 0 &&
           memcmp(a + options, b + options, g->header - options) == 0;
}

static bool follows(const struct offload_group *g, const uint8_t *first, const uint8_t *data,
                    const struct segment *s)
{
    return s->fits && s->header == g->header && s->payload <= g->note.size &&
           g->len + s->payload <= OFFLOAD_PACKET_MAX && same_ip(g, first, data, s) &&
           (!g->tcp || same_tcp(g, first, data, s));
}

static void append(struct merging *m, struct offload_group *g, size_t i, const struct segment *s)
{
    m->packets[g->last].next = i;
    m->packets[i].skip = g->header;
    g->last = i;
    g->count++;
    g->len += s->payload;
    g->next_seq += (uint32_t)s->payload;
    g->next_id++;
    g->open = s->payload == g->note.size && !s->last;
    if (s->last) /* the group's flags are the first's */
        m->packets[g->first].data[g->ip + TCP_FLAGS] |= GH_TCP_PSH;
}

static void begin(struct merging *m, size_t i, const struct segment *s)
{
    struct offload_group *g = &m->groups[m->count];

    *g = (struct offload_group){.first = i,
                                .last = i,
                                .count = 1,
                                .len = m->packets[i].len,
                                .open = s->fits && !s->last,
                                .v6 = s->ip.version == 6,
                                .tcp = s->tcp,
                                .ip = s->ip.header_len,
                                .header = s->header,
                                .next_seq = s->seq + (uint32_t)s->payload,
                                .next_id = (uint16_t)(s->id + 1),
                                .note = {.size = (uint16_t)s->payload, .checksum_good = s->fits}};
    if (!g->open) {
        m->count++;
        return;
    }
    if (m->open_count == OPEN_MAX) {
        memmove(m->open, m->open + 1, (OPEN_MAX - 1) * sizeof(m->open[0]));
        m->open_count--;
    }
    m->open[m->open_count++] = m->count++;
}

static void close_at(struct merging *m, size_t k)
{
    m->open_count--;
    memmove(m->open + k, m->open + k + 1, (m->open_count - k) * sizeof(m->open[0]));
}

static void place(struct merging *m, size_t i, const struct segment *s)
{
    for (size_t k = m->open_count; k-- > 0;) {
        struct offload_group *g = &m->groups[m->open[k]];
        const uint8_t *first = m->packets[g->first].data, *data = m->packets[i].data;

        if (s->ip.version == 0 || !same_flow(g, first, data, s))
            continue;
        if (follows(g, first, data, s)) {
            append(m, g, i, s);
            if (!g->open)
                close_at(m, k);
            return;
        }
        close_at(m, k);
    }
    begin(m, i, s);
}

/* ---- The head ------------------------------------------------------------------------------- */

/* The headers that say how long all of it is; the checksum of the pseudo-header alone. */
static void seal(const struct merging *m, struct offload_group *g)
{
    uint8_t *d = m->packets[g->first].data, *l4 = d + g->ip;
    size_t l4_len = g->len - g->ip, at = g->v6 ? 8 : IPV4_ADDRESSES, len = g->v6 ? 16 : 4;
    const struct gh_addr src = gh_addr_from(d + at, len), dst = gh_addr_from(d + at + len, len);
    uint32_t sum = gh_sum_pseudo(&src, &dst, g->tcp ? GH_IP_TCP : UDP_PROTOCOL, (uint32_t)l4_len);

    if (g->v6) {
        put16(d + IPV6_LENGTH, g->len - IPV6_HEADER);
    } else {
        put16(d + IPV4_LENGTH, g->len);
        put16(d + IPV4_SUM, 0);
        put16(d + IPV4_SUM, gh_sum_fold(gh_sum(d, IPV4_HEADER, 0)));
    }
    if (!g->tcp)
        put16(l4 + UDP_LENGTH, l4_len);
    g->note.cut = !g->tcp ? OFFLOAD_UDP : g->v6 ? OFFLOAD_TCP6 : OFFLOAD_TCP4;
    g->note.checksum_good = false;
    g->note.checksum_due = true;
    g->note.header_len = (uint16_t)g->header;
    g->note.sum_start = (uint16_t)g->ip;
    g->note.sum_offset = g->tcp ? OFFLOAD_TCP_SUM : OFFLOAD_UDP_SUM;
    put16(l4 + g->note.sum_offset, (uint16_t)~gh_sum_fold(sum));
}

size_t offload_merge(struct offload_packet *packets, size_t count, bool udp,
                     struct offload_group *groups)
{
    struct merging m = {.packets = packets, .groups = groups};

    for (size_t i = 0; i < count; i++) {
        struct segment s = segment_of(&packets[i], udp);

        packets[i].skip = 0;
        packets[i].next = OFFLOAD_MERGE_MAX;
        place(&m, i, &s);
    }
    for (size_t k = 0; k < m.count; k++) {
        if (groups[k].count > 1)
            seal(&m, &groups[k]);
        else
            groups[k].note.size = 0;
    }
    return m.count;
}

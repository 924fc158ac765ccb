#include "forge.h"

#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/wr.h"

enum { AO = 29, MD5 = 19, NOP = 1, PAYLOAD = 20, OPTIONS_MAX = 40, CUT_TO = 12, HOP_LIMIT = 64 };
enum { V4_UNREACHABLE = 3, V4_CODES_FROM = 2, V6_UNREACHABLE = 1, V6_TOO_BIG = 2 };

const char *forge_name(enum forge_kind kind)
{
    static const char *const names[] = {
#define FORGE_NAME(id, name) name,
        FORGE_KINDS(FORGE_NAME)
#undef FORGE_NAME
    };

    return names[kind];
}

static uint64_t draw(struct forge *f)
{
    f->random = f->random * 6364136223846793005u + 1442695040888963407u;
    return f->random >> 16;
}

static void put_random(struct forge *f, struct gh_wr *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gh_wr_u8(w, draw(f) & 0xff);
}

/* ---- Options -------------------------------------------------------------------------------- */

static void put_ao(struct forge *f, struct gh_wr *w, uint8_t keyid, uint8_t mac_len)
{
    gh_wr_u8(w, AO);
    gh_wr_u8(w, 4u + mac_len);
    gh_wr_u8(w, keyid);
    gh_wr_u8(w, f->rnext);
    put_random(f, w, mac_len);
}

static void put_md5(struct forge *f, struct gh_wr *w)
{
    gh_wr_u8(w, MD5);
    gh_wr_u8(w, 18);
    put_random(f, w, 16);
}

/* An option of some kind with a length that is not its own. */
static void put_odd(struct gh_wr *w, uint8_t kind, uint8_t length)
{
    gh_wr_u8(w, kind);
    gh_wr_u8(w, length);
    gh_wr_u8(w, 3);
    gh_wr_u8(w, NOP);
}

static void put_options(struct forge *f, enum forge_kind kind, struct gh_wr *w)
{
    switch (kind) {
    case FORGE_BAD_MAC:
    case FORGE_BAD_MAC_RST:
    case FORGE_BAD_MAC_FIN:
    case FORGE_BAD_MAC_SYN:
        put_ao(f, w, f->keyid, f->mac_len);
        break;
    case FORGE_UNKNOWN_KEYID:
        put_ao(f, w, f->unknown_keyid, f->mac_len);
        break;
    case FORGE_MD5:
        put_md5(f, w);
        break;
    case FORGE_DUPLICATE:
        put_ao(f, w, f->keyid, f->mac_len);
        put_ao(f, w, f->keyid, f->mac_len);
        break;
    case FORGE_AO_AND_MD5:
        put_ao(f, w, f->keyid, f->mac_len);
        put_md5(f, w);
        break;
    case FORGE_BAD_LENGTH:
        put_ao(f, w, f->keyid, f->mac_len - 4u);
        break;
    case FORGE_SHORT_OPTION:
        put_odd(w, AO, 3);
        break;
    case FORGE_OVERRUN:
        put_odd(w, AO, 20);
        break;
    case FORGE_ZERO_LENGTH:
        put_odd(w, AO, 0);
        break;
    case FORGE_GARBAGE:
        put_random(f, w, 4 + draw(f) % (OPTIONS_MAX - 4));
        break;
    default:
        break;
    }
    while (w->len % 4 != 0)
        gh_wr_u8(w, NOP);
}

/* ---- Segments ------------------------------------------------------------------------------- */

static uint8_t flags_of(enum forge_kind kind)
{
    switch (kind) {
    case FORGE_RST:
    case FORGE_BAD_MAC_RST:
        return GH_TCP_RST | GH_TCP_ACK;
    case FORGE_FIN:
    case FORGE_BAD_MAC_FIN:
        return GH_TCP_FIN | GH_TCP_ACK;
    case FORGE_SYN:
    case FORGE_BAD_MAC_SYN:
        return GH_TCP_SYN;
    default:
        return GH_TCP_PSH | GH_TCP_ACK;
    }
}

static uint32_t sequence(struct forge *f)
{
    return f->seq + (f->window > 0 ? (uint32_t)(draw(f) % f->window) : 0);
}

static void put_tcp(struct forge *f, enum forge_kind kind, struct gh_wr *w)
{
    uint8_t options[OPTIONS_MAX + 4], flags = flags_of(kind);
    struct gh_wr o = gh_wr_make(options, sizeof(options));
    size_t start = w->len;
    uint32_t sum;

    put_options(f, kind, &o);
    gh_wr_u16(w, f->src_port);
    gh_wr_u16(w, f->dst_port);
    gh_wr_u32(w, sequence(f));
    gh_wr_u32(w, (flags & GH_TCP_ACK) != 0 ? f->ack : 0);
    gh_wr_u8(w, kind == FORGE_DATA_OFFSET ? 0xf0 : (20 + o.len) / 4 << 4);
    gh_wr_u8(w, flags);
    gh_wr_u16(w, 8192);
    gh_wr_zero(w, 4);
    gh_wr_bytes(w, options, o.len);
    if ((flags & GH_TCP_PSH) != 0)
        put_random(f, w, PAYLOAD);
    if (kind == FORGE_TRUNCATED)
        w->len = start + CUT_TO;
    if (w->len - start >= 20) {
        sum = gh_sum_pseudo(&f->src, &f->dst, GH_IP_TCP, (uint32_t)(w->len - start));
        gh_wr_put_u16(w, start + 16, gh_sum_fold(gh_sum(w->base + start, w->len - start, sum)));
    }
}

/* ---- Packets -------------------------------------------------------------------------------- */

static void put_ip(struct gh_wr *w, const struct gh_addr *src, const struct gh_addr *dst,
                   uint8_t protocol, size_t l4_len)
{
    size_t start = w->len;

    if (src->len == 4) {
        gh_wr_u16(w, 0x4500);
        gh_wr_u16(w, 20 + l4_len);
        gh_wr_zero(w, 4);
        gh_wr_u8(w, HOP_LIMIT);
        gh_wr_u8(w, protocol);
        gh_wr_zero(w, 2);
    } else {
        gh_wr_u32(w, 0x60000000);
        gh_wr_u16(w, l4_len);
        gh_wr_u8(w, protocol);
        gh_wr_u8(w, HOP_LIMIT);
    }
    gh_wr_bytes(w, src->octets, src->len);
    gh_wr_bytes(w, dst->octets, dst->len);
    if (src->len == 4)
        gh_wr_put_u16(w, start + 10, gh_sum_fold(gh_sum(w->base + start, 20, 0)));
}

/* "Protocol or port unreachable, fragmentation needed" about a segment that the victim sent; which
 * the forger knows to be in flight. */
static void put_icmp(struct forge *f, struct gh_wr *w)
{
    size_t start = w->len;
    unsigned which = (unsigned)(draw(f) % 3);
    uint32_t sum = 0;

    if (f->src.len == 4)
        gh_wr_u16(w, V4_UNREACHABLE << 8 | (V4_CODES_FROM + which));
    else
        gh_wr_u16(w, which == 2 ? V6_TOO_BIG << 8 : V6_UNREACHABLE << 8 | (which == 0 ? 1u : 4u));
    gh_wr_u16(w, 0);
    gh_wr_u32(w, which == 2 ? 1280 : 0);
    put_ip(w, &f->dst, &f->src, GH_IP_TCP, 40);
    gh_wr_u16(w, f->dst_port);
    gh_wr_u16(w, f->src_port);
    /* "Too big" of what was never sent: a true one may have to pass (RFC 8201). */
    gh_wr_u32(w, f->src.len == 16 && which == 2 ? f->ack + 0x40000000 : f->ack);
    gh_wr_zero(w, 32);
    if (f->src.len == 16)
        sum = gh_sum_pseudo(&f->src, &f->dst, GH_IP_ICMPV6, (uint32_t)(w->len - start));
    gh_wr_put_u16(w, start + 2, gh_sum_fold(gh_sum(w->base + start, w->len - start, sum)));
}

size_t forge_packet(struct forge *f, enum forge_kind kind, uint8_t out[FORGE_PACKET_MAX])
{
    uint8_t l4[FORGE_PACKET_MAX];
    struct gh_wr w = gh_wr_make(out, FORGE_PACKET_MAX);
    struct gh_wr body = gh_wr_make(l4, sizeof(l4));
    uint8_t protocol = GH_IP_TCP;

    if (kind == FORGE_ICMP) {
        put_icmp(f, &body);
        protocol = f->src.len == 4 ? GH_IP_ICMP : GH_IP_ICMPV6;
    } else {
        put_tcp(f, kind, &body);
    }
    put_ip(&w, &f->src, &f->dst, protocol, body.len);
    gh_wr_bytes(&w, l4, body.len);
    return w.len;
}

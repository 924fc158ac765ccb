/* A packet enters a tunnel. */
#include "ipsec/ecn.h"
#include "ipsec/header.h"
#include "tunnel/fragment.h"
#include "tunnel/limit.h"
#include "tunnel/mss.h"
#include "tunnel/tunnel.h"

enum { IPV4_DF = 0x4000, DSCP = 0xfc, ECN = 3 };

/* The headers to put in front. */
struct front {
    const struct gh_addr *remote;
    uint8_t ds;
    bool df;
    uint16_t ip_id;
    bool has_limit;
    uint8_t limit;
    bool has_gre;
    struct tunnel_gre gre;
    uint8_t inside; /* what follows the IP header and its options */
    size_t len;
};

static void put_ip(struct gh_wr *w, const struct tunnel_params *p, const struct front *f,
                   size_t total)
{
    uint8_t ttl = p->ttl != 0 ? p->ttl : TUNNEL_TTL;

    if (p->local.len == 4) {
        gh_wr_u8(w, 0x45);
        gh_wr_u8(w, f->ds);
        gh_wr_u16(w, total);
        gh_wr_u16(w, f->df ? 0 : f->ip_id);
        gh_wr_u16(w, f->df ? IPV4_DF : 0);
        gh_wr_u8(w, ttl);
        gh_wr_u8(w, f->inside);
        gh_wr_u16(w, 0);
    } else {
        gh_wr_u32(w, UINT32_C(6) << 28 | (uint32_t)f->ds << 20);
        gh_wr_u16(w, total - IPSEC_IPV6_HEADER);
        gh_wr_u8(w, f->has_limit ? TUNNEL_PROTO_DEST_OPTIONS : f->inside);
        gh_wr_u8(w, ttl);
    }
    gh_wr_bytes(w, p->local.octets, p->local.len);
    gh_wr_bytes(w, f->remote->octets, f->remote->len);
}

/* In front of the packet. False: no room, or it would be larger than an IP packet can be. */
static bool push(const struct tunnel_params *p, const struct front *f, struct ipsec_packet *packet)
{
    size_t inside = packet->len;
    struct gh_wr w;

    if (ipsec_packet_push(packet, f->len) == NULL)
        return false;
    /* The GRE checksum is over what is there already, beyond what is written here. */
    w = gh_wr_make(ipsec_packet_data(packet), f->len);
    put_ip(&w, p, f, packet->len);
    if (f->has_limit)
        tunnel_limit_put(&w, f->inside, f->limit);
    if (f->has_gre)
        tunnel_gre_put(&w, &f->gre, tunnel_gre_len(&f->gre) + inside);
    if (gh_wr_ok(&w) && p->local.len == 4)
        ipsec_header_set_checksum(w.base);
    if (!gh_wr_ok(&w))
        ipsec_packet_pull(packet, f->len);
    return gh_wr_ok(&w);
}

/* RFC 2003 3.1, RFC 2473 4.1.2: what came out of this tunnel, or is on its way to its end, does not
 * go into it. Where inside and outside are apart, their addresses say nothing of each other. */
static bool loops(const struct tunnel *t, const struct gh_addr *src, const struct gh_addr *dst)
{
    const struct gh_addr *remote = tunnel_remote(t);

    return t->p.place == t->p.private_place &&
           (gh_addr_equal(src, remote) || gh_addr_equal(dst, remote));
}

static enum tunnel_result limit_of(const struct tunnel_params *p, const struct ipsec_packet *packet,
                                   uint8_t version, struct front *f, uint32_t *pointer)
{
    const uint8_t *octets = ipsec_packet_data(packet);
    size_t at = version == 6 ? tunnel_limit_find(octets, packet->len) : 0;

    f->has_limit = p->has_encapsulation_limit;
    f->limit = p->encapsulation_limit;
    if (at == 0)
        return TUNNEL_OK;
    if (octets[at] == 0) {
        *pointer = (uint32_t)at;
        return TUNNEL_ENCAPSULATION_LIMIT;
    }
    f->has_limit = p->local.len == 16;
    f->limit = octets[at] - 1;
    return TUNNEL_OK;
}

static void plan(const struct tunnel_params *p, const struct tunnel_fragment *inner,
                 struct front *f)
{
    uint8_t dscp = p->set_dscp ? (uint8_t)(p->dscp << 2) : inner->ds & DSCP;

    f->ds = dscp | ipsec_ecn_outer(inner->ds & ECN, !p->no_ecn);
    f->df = p->df == TUNNEL_DF_COPY ? inner->df : p->df == TUNNEL_DF_SET;
    f->has_gre = p->kind == TUNNEL_GRE;
    f->inside = f->has_gre            ? TUNNEL_PROTO_GRE
                : inner->version == 4 ? IPSEC_PROTO_IPV4
                                      : IPSEC_PROTO_IPV6;
    f->gre = (struct tunnel_gre){.protocol = inner->version == 4 ? TUNNEL_ETHERTYPE_IPV4
                                                                 : TUNNEL_ETHERTYPE_IPV6,
                                 .has_checksum = p->send_checksum,
                                 .has_key = p->has_send_key,
                                 .key = p->send_key,
                                 .has_sequence = p->send_sequence};
    f->len = (p->local.len == 4 ? IPSEC_IPV4_HEADER : IPSEC_IPV6_HEADER) +
             (f->has_limit ? TUNNEL_LIMIT_HEADER : 0u) + (f->has_gre ? tunnel_gre_len(&f->gre) : 0);
}

static enum tunnel_result encapsulate(struct tunnel *t, uint16_t ip_id, struct ipsec_packet *p,
                                      uint32_t *pointer)
{
    struct front f = {.remote = tunnel_remote(t), .ip_id = ip_id};
    struct tunnel_fragment inner;
    enum tunnel_result result;

    if (f.remote == NULL)
        return TUNNEL_DOWN;
    if (tunnel_fragment_read(ipsec_packet_data(p), p->len, &inner) != TUNNEL_OK)
        return TUNNEL_MALFORMED;
    if (inner.ttl == 0)
        return TUNNEL_TTL_EXPIRED;
    if (loops(t, &inner.src, &inner.dst))
        return TUNNEL_LOOP;
    p->len = inner.total_len;
    result = limit_of(&t->p, p, inner.version, &f, pointer);
    if (result != TUNNEL_OK)
        return result;
    if (t->p.mss != 0)
        tunnel_mss_lower(ipsec_packet_data(p), p->len, t->p.mss);
    plan(&t->p, &inner, &f);
    f.gre.sequence = t->sent_sequence + 1;
    if (!push(&t->p, &f, p))
        return TUNNEL_NO_ROOM;
    if (t->p.send_sequence)
        t->sent_sequence++;
    p->place = t->p.place;
    t->out.packets++;
    t->out.octets += inner.total_len;
    return TUNNEL_OK;
}

enum tunnel_result tunnel_encapsulate(struct tunnel *t, uint16_t ip_id, struct ipsec_packet *p,
                                      uint32_t *pointer)
{
    enum tunnel_result result = encapsulate(t, ip_id, p, pointer);

    tunnel_count(&t->out, result);
    return result;
}

/* IP from us to the other end, GRE, IP from there to us, GRE, nothing. */
static enum tunnel_result keepalive(struct tunnel *t, struct ipsec_packet *p)
{
    const struct gh_addr *remote = tunnel_remote(t);
    struct tunnel_params back = t->p;
    struct front f = {.inside = TUNNEL_PROTO_GRE, .has_gre = true, .remote = &t->p.local};

    if (remote == NULL)
        return TUNNEL_DOWN;
    if (t->p.kind != TUNNEL_GRE || t->p.local.len != 4)
        return TUNNEL_PROTOCOL;
    /* What comes back is for us to receive. */
    back.local = *remote;
    f.ds = t->p.set_dscp ? (uint8_t)(t->p.dscp << 2) : 0;
    f.gre = (struct tunnel_gre){.protocol = TUNNEL_ETHERTYPE_KEEPALIVE,
                                .has_key = t->p.has_receive_key,
                                .key = t->p.receive_key};
    f.df = true;
    f.len = IPSEC_IPV4_HEADER + tunnel_gre_len(&f.gre);
    p->len = 0;
    if (!push(&back, &f, p))
        return TUNNEL_NO_ROOM;
    f.remote = remote;
    f.gre = (struct tunnel_gre){.protocol = TUNNEL_ETHERTYPE_IPV4,
                                .has_key = t->p.has_send_key,
                                .key = t->p.send_key,
                                .has_checksum = t->p.send_checksum};
    f.len = IPSEC_IPV4_HEADER + tunnel_gre_len(&f.gre);
    p->place = t->p.place;
    return push(&t->p, &f, p) ? TUNNEL_KEEPALIVE : TUNNEL_NO_ROOM;
}

enum tunnel_result tunnel_keepalive(struct tunnel *t, struct ipsec_packet *p)
{
    enum tunnel_result result = keepalive(t, p);

    tunnel_count(&t->out, result);
    return result;
}

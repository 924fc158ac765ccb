/* A packet leaves a tunnel. */
#include "ipsec/ecn.h"
#include "ipsec/header.h"
#include "tunnel/fragment.h"
#include "tunnel/icmp.h"
#include "tunnel/mss.h"
#include "tunnel/tunnel.h"

enum { DSCP = 0xfc, ECN = 3 };

/* The number is not behind the last one (RFC 2890 2.2: by at most 2**31 - 1). */
static bool in_sequence(const struct tunnel *t, const struct tunnel_gre *g)
{
    return !g->has_sequence || !t->p.check_sequence ||
           t->received_sequence - g->sequence >= UINT32_C(1) << 31;
}

/* Of what was successfully decapsulated. */
static void note_sequence(struct tunnel *t, const struct tunnel_gre *g)
{
    if (!g->has_sequence)
        return;
    if (!t->p.check_sequence)
        t->sequence_ignored++;
    t->received_sequence = g->sequence;
}

/* version: what the header in front says that it is. */
static enum tunnel_result open_inner(struct tunnel *t, uint8_t version, uint8_t outer_ds,
                                     struct ipsec_packet *p)
{
    struct tunnel_fragment inner;
    uint8_t ecn;

    if (tunnel_fragment_read(ipsec_packet_data(p), p->len, &inner) != TUNNEL_OK ||
        inner.version != version)
        return TUNNEL_INNER;
    if (!tunnel_source_valid(&inner.src))
        return TUNNEL_INNER_SOURCE;
    if (inner.ttl == 0)
        return TUNNEL_TTL_EXPIRED;
    p->len = inner.total_len;
    if (!ipsec_ecn_inner(inner.ds & ECN, outer_ds & ECN, &ecn))
        return TUNNEL_ECN;
    if (ecn != (inner.ds & ECN))
        ipsec_header_set_ds(ipsec_packet_data(p), (inner.ds & DSCP) | ecn);
    if (t->p.mss != 0)
        tunnel_mss_lower(ipsec_packet_data(p), p->len, t->p.mss);
    p->place = t->p.private_place;
    t->in.packets++;
    t->in.octets += p->len;
    return TUNNEL_OK;
}

/* What Cisco's routers send to hear whether the tunnel is up: a GRE packet from us to them with
 * nothing in it, which we would only have to route. Only to where the tunnel goes. */
static bool is_keepalive(const struct tunnel *t, const struct gh_addr *from,
                         const struct ipsec_packet *p)
{
    const uint8_t *octets = ipsec_packet_data(p);
    struct tunnel_fragment inner;
    struct tunnel_gre gre;
    struct gh_rd r;

    if (tunnel_fragment_read(octets, p->len, &inner) != TUNNEL_OK || inner.is_fragment ||
        inner.protocol != TUNNEL_PROTO_GRE || !gh_addr_equal(&inner.src, &t->p.local) ||
        !gh_addr_equal(&inner.dst, from))
        return false;
    r = gh_rd_make(octets + inner.data_at, inner.data_len);
    return tunnel_gre_read(&r, &gre) == TUNNEL_OK && gre.protocol == TUNNEL_ETHERTYPE_KEEPALIVE;
}

static enum tunnel_result open_gre(struct tunnel *t, const struct ipsec_layout *outer,
                                   struct ipsec_packet *p)
{
    struct gh_rd r = gh_rd_make(ipsec_packet_data(p), p->len);
    struct tunnel_gre gre;
    enum tunnel_result result = tunnel_gre_read(&r, &gre);

    if (result != TUNNEL_OK)
        return result;
    if (!tunnel_gre_checksum_right(ipsec_packet_data(p), p->len, &gre))
        return TUNNEL_GRE_CHECKSUM;
    /* The table has chosen by the key; here it is told whether one was only tolerated. */
    if (gre.has_key && !t->p.has_receive_key) {
        if (!t->p.ignore_key)
            return TUNNEL_NO_TUNNEL;
        t->key_ignored++;
    }
    ipsec_packet_pull(p, tunnel_gre_len(&gre));
    if (gre.protocol == TUNNEL_ETHERTYPE_KEEPALIVE) {
        p->len = 0;
        return TUNNEL_KEEPALIVE;
    }
    if (gre.protocol != TUNNEL_ETHERTYPE_IPV4 && gre.protocol != TUNNEL_ETHERTYPE_IPV6)
        return TUNNEL_PROTOCOL;
    if (is_keepalive(t, &outer->src, p))
        return TUNNEL_KEEPALIVE;
    if (!in_sequence(t, &gre))
        return TUNNEL_GRE_SEQUENCE;
    result = open_inner(t, gre.protocol == TUNNEL_ETHERTYPE_IPV4 ? 4 : 6, outer->ds, p);
    if (result == TUNNEL_OK)
        note_sequence(t, &gre);
    return result;
}

static enum tunnel_result decapsulate(struct tunnel *t, struct ipsec_packet *p)
{
    struct ipsec_layout outer;
    uint8_t protocol;

    if (!ipsec_layout_read(ipsec_packet_data(p), p->len, &outer))
        return TUNNEL_MALFORMED;
    if (outer.fragment)
        return TUNNEL_REASSEMBLY_OFF;
    protocol = ipsec_packet_data(p)[outer.l4_next_at];
    p->len = outer.total_len;
    ipsec_packet_pull(p, outer.l4_at);
    if (t->p.kind == TUNNEL_GRE)
        return protocol == TUNNEL_PROTO_GRE ? open_gre(t, &outer, p) : TUNNEL_PROTOCOL;
    if (protocol != IPSEC_PROTO_IPV4 && protocol != IPSEC_PROTO_IPV6)
        return TUNNEL_PROTOCOL;
    return open_inner(t, protocol == IPSEC_PROTO_IPV4 ? 4 : 6, outer.ds, p);
}

enum tunnel_result tunnel_decapsulate(struct tunnel *t, struct ipsec_packet *p)
{
    enum tunnel_result result = decapsulate(t, p);

    tunnel_count(&t->in, result);
    return result;
}

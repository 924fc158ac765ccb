/* SAs as messages to the kernel. */
#include <arpa/inet.h>
#include <linux/udp.h>
#include <stdio.h>
#include <string.h>

#include "platform/xfrm_algs.h"
#include "platform/xfrm_message.h"
#include "platform/xfrm_select.h"

enum {
    WINDOW_MAX = XFRMA_REPLAY_ESN_MAX, /* packets */
    WORDS_MAX = WINDOW_MAX / 32,
    OUT_WINDOW = 32, /* of an SA that receives nothing: with ESN the kernel wants one */
    DEFAULT_TTL = 64
};

bool gh_xfrm_refuse(struct gh_xfrm_why *why, const char *text)
{
    snprintf(why->text, sizeof(why->text), "%s", text);
    return false;
}

static const struct gh_addr *src_of(const struct ipsec_sa_params *p)
{
    return p->way == IPSEC_OUT ? &p->local : &p->remote;
}

static const struct gh_addr *dst_of(const struct ipsec_sa_params *p)
{
    return p->way == IPSEC_OUT ? &p->remote : &p->local;
}

/* ---- What the kernel cannot do -------------------------------------------------------------- */

static bool tunnel_fits(const struct ipsec_sa_params *p, struct gh_xfrm_why *why)
{
    if (p->way == IPSEC_IN || p->mode != IPSEC_TUNNEL)
        return true;
    if (p->tunnel.df == IPSEC_DF_SET && p->local.len == 4)
        return gh_xfrm_refuse(why, "the kernel copies or clears DF, it cannot set it");
    if (p->tunnel.ttl != 0 && p->tunnel.ttl != DEFAULT_TTL)
        return gh_xfrm_refuse(why, "the kernel takes the outer TTL from its route");
    if (p->tunnel.set_dscp && p->tunnel.dscp != 0)
        return gh_xfrm_refuse(why, "the kernel copies the DSCP or sends 0");
    return true;
}

static bool fits(const struct gh_xfrm_sa *sa, struct gh_xfrm_why *why)
{
    const struct ipsec_sa_params *p = sa->params;

    if (!gh_xfrm_reqid_is_ours(sa->tie.reqid))
        return gh_xfrm_refuse(why, "a reqid that is not ours");
    if (p->spi <= 255 || !ipsec_sa_addresses_fit(p))
        return gh_xfrm_refuse(why, "SPI, addresses and ports do not go together");
    if (p->way == IPSEC_IN && p->esn && p->window == 0)
        return gh_xfrm_refuse(why, "extended sequence numbers need a replay window");
    if (p->way == IPSEC_IN && p->window > WINDOW_MAX)
        return gh_xfrm_refuse(why, "the kernel's replay window has at most 4096 packets");
    if (!p->esn && p->last_seq > UINT32_MAX)
        return gh_xfrm_refuse(why, "the sequence numbers are used up");
    if (p->tfc > 0 && (p->mode != IPSEC_TUNNEL || p->protocol != IPSEC_ESP))
        return gh_xfrm_refuse(why, "padding against traffic analysis is for ESP tunnels");
    return tunnel_fits(p, why);
}

/* ---- The parts of a message ----------------------------------------------------------------- */

/* Its selector, if it has one that the kernel knows as one; else anything: then the policies of the
 * same reqid are what restricts it. */
static void set_selector(struct xfrm_usersa_info *info, const struct ipsec_sa_params *p)
{
    uint8_t dir = p->way == IPSEC_OUT ? XFRM_POLICY_OUT : XFRM_POLICY_IN;
    struct xfrm_selector all[GH_XFRM_EXPANDED];
    struct gh_xfrm_why ignored;
    bool v4 = false, v6 = false;

    if (p->selector_count == 1 && gh_xfrm_expand(&p->selectors[0], dir, all, &ignored) == 1) {
        info->sel = all[0];
        return;
    }
    for (size_t i = 0; i < p->selector_count; i++) {
        v4 |= p->selectors[i].local.start.len == 4;
        v6 |= p->selectors[i].local.start.len == 16;
    }
    if (p->mode == IPSEC_TRANSPORT)
        info->sel.family = gh_xfrm_family(&p->local);
    else if (v4 != v6)
        info->sel.family = v6 ? AF_INET6 : AF_INET;
    else
        info->flags |= XFRM_STATE_AF_UNSPEC;
}

static uint64_t limit(uint64_t value)
{
    return value == 0 ? XFRM_INF : value;
}

static void set_lifetime(struct xfrm_lifetime_cfg *lft, const struct gh_xfrm_sa *sa)
{
    const struct ipsec_lifetime *l = &sa->params->lifetime;

    *lft = (struct xfrm_lifetime_cfg){.soft_byte_limit = limit(l->soft_octets),
                                      .hard_byte_limit = limit(l->hard_octets),
                                      .soft_packet_limit = limit(l->soft_packets),
                                      .hard_packet_limit = limit(l->hard_packets),
                                      .soft_add_expires_seconds = sa->soft_seconds,
                                      .hard_add_expires_seconds = sa->hard_seconds};
}

static void set_flags(struct xfrm_usersa_info *info, const struct ipsec_sa_params *p)
{
    if (p->esn)
        info->flags |= XFRM_STATE_ESN;
    if (p->tunnel.no_ecn)
        info->flags |= XFRM_STATE_NOECN;
    if (p->tunnel.dscp_to_inner)
        info->flags |= XFRM_STATE_DECAP_DSCP;
    if (p->tunnel.df == IPSEC_DF_CLEAR)
        info->flags |= XFRM_STATE_NOPMTUDISC;
    /* As RFC 4302 3.3.3.2.1 has it over IPv4; the kernel's own way is IPv6's. */
    if (p->protocol == IPSEC_AH && p->local.len == 4)
        info->flags |= XFRM_STATE_ALIGN4;
}

static void put_info(struct gh_wr *w, const struct gh_xfrm_sa *sa)
{
    const struct ipsec_sa_params *p = sa->params;
    struct xfrm_usersa_info info;

    memset(&info, 0, sizeof(info)); /* its padding goes to the kernel too */
    set_selector(&info, p);
    set_lifetime(&info.lft, sa);
    set_flags(&info, p);
    gh_xfrm_address(dst_of(p), &info.id.daddr);
    gh_xfrm_address(src_of(p), &info.saddr);
    info.id.spi = htonl(p->spi);
    info.id.proto = (uint8_t)p->protocol;
    info.seq = sa->acquire;
    info.reqid = sa->tie.reqid;
    info.family = gh_xfrm_family(&p->local);
    info.mode = p->mode == IPSEC_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
    gh_wr_bytes(w, &info, sizeof(info));
}

/* The window of what comes in, and what sequence numbers go on from. */
static void put_replay(struct gh_wr *w, const struct ipsec_sa_params *p)
{
    bool out = p->way == IPSEC_OUT;
    uint32_t low = (uint32_t)p->last_seq, high = (uint32_t)(p->last_seq >> 32);
    uint32_t window = out ? OUT_WINDOW : p->window, words = (window + 31) / 32;
    uint8_t seen[4 * WORDS_MAX];

    if (!p->esn && (out || window == 0)) {
        const struct xfrm_replay_state plain = {.oseq = out ? low : 0, .seq = out ? 0 : low};

        if (low > 0)
            gh_nl_put_attr(w, XFRMA_REPLAY_VAL, &plain, sizeof(plain));
        return;
    }
    /* Of an earlier instance's numbers none may come again. */
    memset(seen, !out && p->last_seq > 0 ? 0xff : 0, sizeof(seen));
    gh_nl_put_attr_header(w, XFRMA_REPLAY_ESN_VAL, 24 + 4 * words);
    gh_nl_put_u32(w, words);
    gh_nl_put_u32(w, out ? low : 0);
    gh_nl_put_u32(w, out ? 0 : low);
    gh_nl_put_u32(w, out ? high : 0);
    gh_nl_put_u32(w, out ? 0 : high);
    gh_nl_put_u32(w, window);
    gh_wr_bytes(w, seen, 4 * words);
}

static void put_encapsulation(struct gh_wr *w, const struct ipsec_sa_params *p)
{
    struct xfrm_encap_tmpl encap;

    memset(&encap, 0, sizeof(encap));
    encap.encap_type = UDP_ENCAP_ESPINUDP;
    encap.encap_sport = htons(p->way == IPSEC_OUT ? p->local_port : p->remote_port);
    encap.encap_dport = htons(p->way == IPSEC_OUT ? p->remote_port : p->local_port);
    gh_nl_put_attr(w, XFRMA_ENCAP, &encap, sizeof(encap));
}

static void put_u32(struct gh_wr *w, uint16_t type, uint32_t value)
{
    if (value != 0)
        gh_nl_put_attr(w, type, &value, sizeof(value));
}

static void put_mark(struct gh_wr *w, uint32_t value, uint32_t mask)
{
    const struct xfrm_mark mark = {value, mask};

    if (mask != 0)
        gh_nl_put_attr(w, XFRMA_MARK, &mark, sizeof(mark));
}

static void put_more(struct gh_wr *w, const struct gh_xfrm_sa *sa)
{
    const struct ipsec_sa_params *p = sa->params;

    if (p->local_port != 0)
        put_encapsulation(w, p);
    put_replay(w, p);
    put_mark(w, sa->tie.mark, sa->tie.mark_mask);
    put_u32(w, XFRMA_IF_ID, sa->tie.if_id);
    put_u32(w, XFRMA_SET_MARK, sa->set_mark);
    put_u32(w, XFRMA_SET_MARK_MASK, sa->set_mark_mask);
    put_u32(w, XFRMA_SA_EXTRA_FLAGS, p->tunnel.set_dscp ? XFRM_SA_XFLAG_DONT_ENCAP_DSCP : 0);
    if (p->way == IPSEC_OUT)
        put_u32(w, XFRMA_TFCPAD, p->tfc);
}

/* ---- Messages ------------------------------------------------------------------------------- */

bool gh_xfrm_put_sa(struct gh_wr *w, uint16_t type, uint32_t seq, const struct gh_xfrm_sa *sa,
                    struct gh_xfrm_why *why)
{
    uint16_t flags = NLM_F_REQUEST | NLM_F_ACK;
    size_t begin;

    if (!fits(sa, why))
        return false;
    begin = gh_nl_begin(w, type, type == XFRM_MSG_NEWSA ? flags | NLM_F_CREATE | NLM_F_EXCL : flags,
                        seq);
    put_info(w, sa);
    if (!gh_xfrm_put_algs(w, sa->params->protocol, &sa->params->algs, why))
        return false;
    put_more(w, sa);
    gh_nl_end(w, begin);
    return gh_wr_ok(w) || gh_xfrm_refuse(why, "the message has no room for it");
}

struct gh_xfrm_sa_id gh_xfrm_sa_id_of(const struct gh_xfrm_sa *sa)
{
    return (struct gh_xfrm_sa_id){.spi = sa->params->spi,
                                  .protocol = (uint8_t)sa->params->protocol,
                                  .dst = *dst_of(sa->params),
                                  .mark = sa->tie.mark,
                                  .mark_mask = sa->tie.mark_mask};
}

void gh_xfrm_put_sa_id(struct gh_wr *w, uint16_t type, uint32_t seq, const struct gh_xfrm_sa_id *id)
{
    size_t begin = gh_nl_begin(w, type, NLM_F_REQUEST | NLM_F_ACK, seq);
    struct xfrm_usersa_id x;

    memset(&x, 0, sizeof(x));
    gh_xfrm_address(&id->dst, &x.daddr);
    x.spi = htonl(id->spi);
    x.family = gh_xfrm_family(&id->dst);
    x.proto = id->protocol;
    gh_wr_bytes(w, &x, sizeof(x));
    put_mark(w, id->mark, id->mark_mask);
    gh_nl_end(w, begin);
}

void gh_xfrm_put_dump(struct gh_wr *w, uint16_t type, uint32_t seq)
{
    size_t begin = gh_nl_begin(w, type, NLM_F_REQUEST | NLM_F_DUMP, seq);

    gh_nl_end(w, begin);
}

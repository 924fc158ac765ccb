/* What the kernel says of SAs and policies, and when something happens to them. */
#include <arpa/inet.h>
#include <string.h>

#include "platform/xfrm_message.h"
#include "platform/xfrm_select.h"
#include "wire/ip.h"

/* ---- Attributes ----------------------------------------------------------------------------- */

/* Those that are not there are zero; `bad`: one is not as it must be. */
struct attrs {
    uint32_t if_id;
    struct xfrm_mark mark;
    struct xfrm_encap_tmpl encap;
    struct xfrm_user_tmpl tmpl; /* the first */
    uint64_t last_used;
    uint64_t sent_seq, received_seq;
    uint32_t window;
    bool bad;
};

/* A fixed part of an attribute, which a newer kernel may have made longer. */
static void copy_part(struct attrs *out, struct gh_rd *r, void *part, size_t len)
{
    gh_rd_copy(r, part, len);
    out->bad |= r->bad;
}

static void read_replay_esn(struct attrs *out, struct gh_rd *r)
{
    uint32_t oseq, seq, oseq_hi, seq_hi;

    gh_rd_skip(r, 4); /* words of the bitmap */
    oseq = gh_nl_u32(r);
    seq = gh_nl_u32(r);
    oseq_hi = gh_nl_u32(r);
    seq_hi = gh_nl_u32(r);
    out->window = gh_nl_u32(r);
    out->sent_seq = (uint64_t)oseq_hi << 32 | oseq;
    out->received_seq = (uint64_t)seq_hi << 32 | seq;
    out->bad |= r->bad;
}

static struct attrs read_attrs(struct gh_rd *r)
{
    struct xfrm_replay_state replay;
    struct attrs out;
    struct gh_nl_attr a;

    memset(&out, 0, sizeof(out));
    while (gh_nl_next_attr(r, &a)) {
        if (a.type == XFRMA_IF_ID) {
            copy_part(&out, &a.body, &out.if_id, sizeof(out.if_id));
        } else if (a.type == XFRMA_MARK) {
            copy_part(&out, &a.body, &out.mark, sizeof(out.mark));
        } else if (a.type == XFRMA_ENCAP) {
            copy_part(&out, &a.body, &out.encap, sizeof(out.encap));
        } else if (a.type == XFRMA_TMPL && gh_rd_left(&a.body) > 0) {
            copy_part(&out, &a.body, &out.tmpl, sizeof(out.tmpl));
        } else if (a.type == XFRMA_LASTUSED) {
            copy_part(&out, &a.body, &out.last_used, sizeof(out.last_used));
        } else if (a.type == XFRMA_REPLAY_VAL) {
            copy_part(&out, &a.body, &replay, sizeof(replay));
            out.sent_seq = replay.oseq;
            out.received_seq = replay.seq;
        } else if (a.type == XFRMA_REPLAY_ESN_VAL) {
            read_replay_esn(&out, &a.body);
        }
    }
    out.bad |= r->bad;
    return out;
}

/* ---- SAs ------------------------------------------------------------------------------------ */

static struct gh_xfrm_sa_id id_of(const xfrm_address_t *dst, uint32_t spi, uint8_t protocol,
                                  uint16_t family, const struct attrs *a)
{
    return (struct gh_xfrm_sa_id){.spi = ntohl(spi),
                                  .protocol = protocol,
                                  .dst = gh_xfrm_address_of(dst, family),
                                  .mark = a->mark.v,
                                  .mark_mask = a->mark.m};
}

static bool of_the_core(const struct gh_xfrm_sa_id *id)
{
    return id->dst.len != 0 && (id->protocol == IPSEC_ESP || id->protocol == IPSEC_AH);
}

/* As selector.h has it: of ICMP, type and code are the sender's port. */
static struct ipsec_flow flow_of(const struct xfrm_selector *s)
{
    struct ipsec_flow f = {.local = gh_xfrm_address_of(&s->saddr, s->family),
                           .remote = gh_xfrm_address_of(&s->daddr, s->family),
                           .protocol = s->proto,
                           .ports = s->sport_mask != 0 || s->dport_mask != 0,
                           .one_sided = s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6,
                           .way = IPSEC_OUT};

    f.local_port = ntohs(s->sport);
    f.remote_port = ntohs(s->dport);
    if (f.one_sided) {
        f.local_port = (uint16_t)(f.local_port << 8 | (f.remote_port & 0xff));
        f.remote_port = 0;
    }
    return f;
}

bool gh_xfrm_parse_sa(const struct gh_nl_message *m, struct gh_xfrm_sa_info *out)
{
    struct gh_rd r = m->body;
    struct xfrm_usersa_info x;
    struct attrs a;

    gh_rd_copy(&r, &x, sizeof(x));
    a = read_attrs(&r);
    if (m->type != XFRM_MSG_NEWSA || a.bad || x.mode > XFRM_MODE_TUNNEL)
        return false;
    *out = (struct gh_xfrm_sa_info){
        .id = id_of(&x.id.daddr, x.id.spi, x.id.proto, x.family, &a),
        .src = gh_xfrm_address_of(&x.saddr, x.family),
        .reqid = x.reqid,
        .if_id = a.if_id,
        .mode = x.mode == XFRM_MODE_TUNNEL ? IPSEC_TUNNEL : IPSEC_TRANSPORT,
        .esn = x.flags & XFRM_STATE_ESN,
        .window = a.window != 0 ? a.window : x.replay_window,
        .sent_seq = a.sent_seq,
        .received_seq = a.received_seq,
        .counts = {.packets = x.curlft.packets, .octets = x.curlft.bytes},
        .added = x.curlft.add_time,
        .last_used = a.last_used,
        .src_port = ntohs(a.encap.encap_sport),
        .dst_port = ntohs(a.encap.encap_dport),
    };
    if (x.id.spi == 0)
        out->flow = flow_of(&x.sel);
    out->counts.results[IPSEC_OK] = x.curlft.packets;
    out->counts.results[IPSEC_OLD] = x.stats.replay_window;
    out->counts.results[IPSEC_REPLAY] = x.stats.replay;
    out->counts.results[IPSEC_ICV] = x.stats.integrity_failed;
    return of_the_core(&out->id);
}

/* ---- Policies ------------------------------------------------------------------------------- */

bool gh_xfrm_parse_policy(const struct gh_nl_message *m, struct gh_xfrm_policy_info *out)
{
    struct gh_rd r = m->body;
    struct xfrm_userpolicy_info x;
    struct attrs a;

    gh_rd_copy(&r, &x, sizeof(x));
    a = read_attrs(&r);
    if (m->type != XFRM_MSG_NEWPOLICY || a.bad || x.dir >= XFRM_POLICY_MAX)
        return false;
    *out = (struct gh_xfrm_policy_info){.id = {.selector = x.sel,
                                               .index = x.index,
                                               .dir = x.dir,
                                               .if_id = a.if_id,
                                               .mark = a.mark.v,
                                               .mark_mask = a.mark.m},
                                        .priority = x.priority,
                                        .reqid = a.tmpl.reqid,
                                        .action = x.action == XFRM_POLICY_BLOCK ? IPSEC_DISCARD
                                                  : a.tmpl.id.proto != 0        ? IPSEC_PROTECT
                                                                                : IPSEC_PASS};
    return true;
}

/* ---- Events --------------------------------------------------------------------------------- */

static struct gh_xfrm_tie tie_of(uint32_t reqid, const struct attrs *a)
{
    return (struct gh_xfrm_tie){
        .reqid = reqid, .if_id = a->if_id, .mark = a->mark.v, .mark_mask = a->mark.m};
}

static bool read_acquire(struct gh_rd *r, struct gh_xfrm_event *out)
{
    struct xfrm_user_acquire x;
    struct attrs a;

    gh_rd_copy(r, &x, sizeof(x));
    a = read_attrs(r);
    if (a.bad)
        return false;
    *out = (struct gh_xfrm_event){.kind = GH_XFRM_ACQUIRE,
                                  .id = id_of(&x.id.daddr, x.id.spi, x.id.proto, x.sel.family, &a),
                                  .src = gh_xfrm_address_of(&x.saddr, x.sel.family),
                                  .tie = tie_of(a.tmpl.reqid, &a),
                                  .flow = flow_of(&x.sel),
                                  .acquire = x.seq,
                                  .priority = x.policy.priority};
    if (a.tmpl.id.proto != 0 && a.tmpl.mode == XFRM_MODE_TUNNEL) {
        out->id.dst = gh_xfrm_address_of(&x.id.daddr, a.tmpl.family);
        out->src = gh_xfrm_address_of(&x.saddr, a.tmpl.family);
    }
    return out->flow.local.len != 0;
}

static bool read_expire(struct gh_rd *r, struct gh_xfrm_event *out)
{
    struct xfrm_user_expire x;
    struct attrs a;

    gh_rd_copy(r, &x, sizeof(x));
    a = read_attrs(r);
    if (a.bad)
        return false;
    *out = (struct gh_xfrm_event){
        .kind = x.hard ? GH_XFRM_HARD : GH_XFRM_SOFT,
        .id = id_of(&x.state.id.daddr, x.state.id.spi, x.state.id.proto, x.state.family, &a),
        .src = gh_xfrm_address_of(&x.state.saddr, x.state.family),
        .tie = tie_of(x.state.reqid, &a)};
    return out->id.spi != 0; /* 0: nobody answered an acquire */
}

static bool read_mapping(struct gh_rd *r, struct gh_xfrm_event *out)
{
    struct xfrm_user_mapping x;
    struct attrs a;

    gh_rd_copy(r, &x, sizeof(x));
    a = read_attrs(r);
    if (a.bad)
        return false;
    *out = (struct gh_xfrm_event){.kind = GH_XFRM_MOVED,
                                  .id = id_of(&x.id.daddr, x.id.spi, x.id.proto, x.id.family, &a),
                                  .src = gh_xfrm_address_of(&x.old_saddr, x.id.family),
                                  .tie = tie_of(x.reqid, &a),
                                  .from = gh_xfrm_address_of(&x.new_saddr, x.id.family),
                                  .from_port = ntohs(x.new_sport)};
    return true;
}

bool gh_xfrm_parse_event(const struct gh_nl_message *m, struct gh_xfrm_event *out)
{
    struct gh_rd r = m->body;
    bool good = false;

    if (m->type == XFRM_MSG_ACQUIRE)
        good = read_acquire(&r, out);
    else if (m->type == XFRM_MSG_EXPIRE)
        good = read_expire(&r, out);
    else if (m->type == XFRM_MSG_MAPPING)
        good = read_mapping(&r, out);
    return good && of_the_core(&out->id) && gh_xfrm_reqid_is_ours(out->tie.reqid);
}

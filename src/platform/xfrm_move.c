/* An outgoing SA at a new place: what the kernel told of it is given back with other addresses. */
#include <arpa/inet.h>
#include <linux/udp.h>
#include <string.h>

#include "platform/xfrm_message.h"
#include "platform/xfrm_select.h"

/* The length of struct xfrm_algo, and of the two that have the ICV's length besides. */
enum { ALGO = 68, ALGO_ICV = 72 };

static uint64_t rest(uint64_t limit, uint64_t used)
{
    if (limit == XFRM_INF)
        return limit;
    return limit > used ? limit - used : 1;
}

static uint64_t rest_of_time(uint64_t limit, uint64_t added, uint64_t now)
{
    return limit == 0 ? 0 : rest(limit, now > added ? now - added : 0);
}

static void put_info(struct gh_wr *w, struct xfrm_usersa_info x, const struct gh_xfrm_move *to,
                     uint64_t now)
{
    const struct xfrm_lifetime_cur *used = &x.curlft;

    gh_xfrm_address(&to->remote, &x.id.daddr);
    gh_xfrm_address(&to->local, &x.saddr);
    x.family = gh_xfrm_family(&to->remote);
    x.lft.soft_byte_limit = rest(x.lft.soft_byte_limit, used->bytes);
    x.lft.hard_byte_limit = rest(x.lft.hard_byte_limit, used->bytes);
    x.lft.soft_packet_limit = rest(x.lft.soft_packet_limit, used->packets);
    x.lft.hard_packet_limit = rest(x.lft.hard_packet_limit, used->packets);
    x.lft.soft_add_expires_seconds =
        rest_of_time(x.lft.soft_add_expires_seconds, used->add_time, now);
    x.lft.hard_add_expires_seconds =
        rest_of_time(x.lft.hard_add_expires_seconds, used->add_time, now);
    gh_wr_bytes(w, &x, sizeof(x));
}

/* A kernel that is locked down tells zeroes instead of keys. */
static bool has_key(struct gh_rd alg, size_t head)
{
    uint8_t all = 0;

    gh_rd_skip(&alg, head);
    if (gh_rd_left(&alg) == 0)
        return !alg.bad; /* an algorithm without */
    while (gh_rd_left(&alg) > 0)
        all |= gh_rd_u8(&alg);
    return all != 0;
}

static bool put_replay(struct gh_wr *w, struct gh_rd r)
{
    struct xfrm_replay_state x;

    gh_rd_copy(&r, &x, sizeof(x));
    x.oseq = x.oseq > UINT32_MAX - GH_XFRM_LEFT_OUT ? UINT32_MAX : x.oseq + GH_XFRM_LEFT_OUT;
    gh_nl_put_attr(w, XFRMA_REPLAY_VAL, &x, sizeof(x));
    return !r.bad;
}

static bool put_replay_esn(struct gh_wr *w, struct gh_rd r)
{
    struct xfrm_replay_state_esn x;
    size_t bitmap;
    uint64_t seq;

    gh_rd_copy(&r, &x, sizeof(x));
    seq = ((uint64_t)x.oseq_hi << 32 | x.oseq) + GH_XFRM_LEFT_OUT;
    x.oseq = (uint32_t)seq;
    x.oseq_hi = (uint32_t)(seq >> 32);
    bitmap = gh_rd_left(&r);
    gh_nl_put_attr_header(w, XFRMA_REPLAY_ESN_VAL, sizeof(x) + bitmap);
    gh_wr_bytes(w, &x, sizeof(x));
    gh_wr_zero(w, bitmap);
    gh_wr_zero(w, gh_nl_padding(bitmap));
    return !r.bad && seq >= GH_XFRM_LEFT_OUT;
}

/* What is not known here is left out; ALG_AUTH stands in ALG_AUTH_TRUNC again. */
static bool put_again(struct gh_wr *w, const struct gh_nl_attr *a, struct gh_xfrm_why *why)
{
    switch (a->type) {
    case XFRMA_REPLAY_VAL:
        return put_replay(w, a->body) || gh_xfrm_refuse(why, "not what a kernel says of an SA");
    case XFRMA_REPLAY_ESN_VAL:
        return put_replay_esn(w, a->body) || gh_xfrm_refuse(why, "not what a kernel says of an SA");
    case XFRMA_ALG_CRYPT:
    case XFRMA_ALG_AEAD:
    case XFRMA_ALG_AUTH_TRUNC:
        if (!has_key(a->body, a->type == XFRMA_ALG_CRYPT ? ALGO : ALGO_ICV))
            return gh_xfrm_refuse(why, "the kernel does not tell keys");
        break;
    case XFRMA_TFCPAD:
    case XFRMA_MARK:
    case XFRMA_SET_MARK:
    case XFRMA_SET_MARK_MASK:
    case XFRMA_IF_ID:
    case XFRMA_SA_EXTRA_FLAGS:
        break;
    default:
        return true;
    }
    gh_nl_put_attr(w, a->type, a->body.p, gh_rd_left(&a->body));
    return true;
}

static void put_encapsulation(struct gh_wr *w, const struct gh_xfrm_move *to)
{
    struct xfrm_encap_tmpl encap;

    memset(&encap, 0, sizeof(encap));
    encap.encap_type = UDP_ENCAP_ESPINUDP;
    encap.encap_sport = htons(to->local_port);
    encap.encap_dport = htons(to->remote_port);
    gh_nl_put_attr(w, XFRMA_ENCAP, &encap, sizeof(encap));
}

bool gh_xfrm_put_moved(struct gh_wr *w, uint32_t seq, const struct gh_nl_message *sa,
                       const struct gh_xfrm_move *to, uint64_t now, struct gh_xfrm_why *why)
{
    struct gh_rd r = sa->body;
    struct xfrm_usersa_info info;
    struct gh_nl_attr a;
    size_t begin;

    gh_rd_copy(&r, &info, sizeof(info));
    if (r.bad || sa->type != XFRM_MSG_NEWSA)
        return gh_xfrm_refuse(why, "not what a kernel says of an SA");
    if (info.mode != XFRM_MODE_TUNNEL || to->local.len == 0 || to->local.len != to->remote.len ||
        (to->local_port == 0) != (to->remote_port == 0))
        return gh_xfrm_refuse(why, "only a tunnel moves, and between two addresses");
    begin =
        gh_nl_begin(w, XFRM_MSG_NEWSA, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, seq);
    put_info(w, info, to, now);
    while (gh_nl_next_attr(&r, &a))
        if (!put_again(w, &a, why))
            return false;
    if (r.bad)
        return gh_xfrm_refuse(why, "not what a kernel says of an SA");
    if (to->local_port != 0)
        put_encapsulation(w, to);
    gh_nl_end(w, begin);
    return gh_wr_ok(w) || gh_xfrm_refuse(why, "the message has no room for it");
}

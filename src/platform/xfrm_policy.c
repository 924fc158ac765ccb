/* Policies as messages to the kernel. */
#include <string.h>

#include "platform/xfrm_message.h"
#include "platform/xfrm_select.h"

static void put_tie(struct gh_wr *w, uint32_t if_id, uint32_t mark, uint32_t mask)
{
    const struct xfrm_mark x = {mark, mask};

    if (mask != 0)
        gh_nl_put_attr(w, XFRMA_MARK, &x, sizeof(x));
    if (if_id != 0)
        gh_nl_put_attr(w, XFRMA_IF_ID, &if_id, sizeof(if_id));
}

static void set_template(struct xfrm_user_tmpl *x, const struct gh_xfrm_template *t, uint8_t dir,
                         uint32_t reqid, uint16_t family)
{
    bool sends = dir == XFRM_POLICY_OUT;

    if (t->mode == IPSEC_TUNNEL) {
        gh_xfrm_address(sends ? &t->remote : &t->local, &x->id.daddr);
        if (sends) /* of what comes in, the reqid says enough: its peer may have moved */
            gh_xfrm_address(&t->local, &x->saddr);
    }
    x->id.proto = (uint8_t)t->protocol;
    x->family = t->remote.len != 0 ? gh_xfrm_family(&t->remote) : family;
    x->reqid = reqid;
    x->mode = t->mode == IPSEC_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
    x->share = XFRM_SHARE_ANY;
    x->aalgos = x->ealgos = x->calgos = UINT32_MAX; /* the SAs say which */
}

static bool fits(const struct gh_xfrm_policy *p, struct gh_xfrm_why *why)
{
    bool protects = p->policy->action == IPSEC_PROTECT;

    if (protects && !gh_xfrm_reqid_is_ours(p->tie.reqid))
        return gh_xfrm_refuse(why, "a reqid that is not ours");
    if (protects ? p->template_count == 0 || p->template_count > GH_XFRM_TEMPLATES
                 : p->template_count != 0)
        return gh_xfrm_refuse(why, "a policy that protects, and no other, needs templates");
    for (size_t i = 0; i < p->template_count; i++)
        if (p->templates[i].mode == IPSEC_TUNNEL &&
            (p->templates[i].remote.len == 0 ||
             p->templates[i].remote.len != p->templates[i].local.len))
            return gh_xfrm_refuse(why, "the kernel needs both addresses of a tunnel");
    return true;
}

static void put_info(struct gh_wr *w, const struct gh_xfrm_policy *p,
                     const struct xfrm_selector *selector, uint32_t index)
{
    struct xfrm_userpolicy_info info;

    memset(&info, 0, sizeof(info)); /* its padding goes to the kernel too */
    info.sel = *selector;
    info.lft.soft_byte_limit = info.lft.hard_byte_limit = XFRM_INF;
    info.lft.soft_packet_limit = info.lft.hard_packet_limit = XFRM_INF;
    info.priority = p->priority;
    info.index = index;
    info.dir = index & 7;
    info.action = p->policy->action == IPSEC_DISCARD ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
    info.share = XFRM_SHARE_ANY;
    gh_wr_bytes(w, &info, sizeof(info));
}

bool gh_xfrm_put_policy(struct gh_wr *w, uint16_t type, uint32_t seq,
                        const struct gh_xfrm_policy *policy, const struct xfrm_selector *selector,
                        uint32_t index, struct gh_xfrm_why *why)
{
    struct xfrm_user_tmpl templates[GH_XFRM_TEMPLATES];
    size_t begin;

    if (!fits(policy, why))
        return false;
    begin = gh_nl_begin(w, type, NLM_F_REQUEST | NLM_F_ACK, seq);
    put_info(w, policy, selector, index);
    memset(templates, 0, sizeof(templates));
    for (size_t i = 0; i < policy->template_count; i++)
        set_template(&templates[i], &policy->templates[i], index & 7, policy->tie.reqid,
                     selector->family);
    if (policy->template_count > 0)
        gh_nl_put_attr(w, XFRMA_TMPL, templates, policy->template_count * sizeof(templates[0]));
    put_tie(w, policy->tie.if_id, policy->tie.mark, policy->tie.mark_mask);
    gh_nl_end(w, begin);
    return gh_wr_ok(w) || gh_xfrm_refuse(why, "the message has no room for it");
}

void gh_xfrm_put_policy_id(struct gh_wr *w, uint16_t type, uint32_t seq,
                           const struct gh_xfrm_policy_id *id)
{
    size_t begin = gh_nl_begin(w, type, NLM_F_REQUEST | NLM_F_ACK, seq);
    struct xfrm_userpolicy_id x;

    memset(&x, 0, sizeof(x));
    x.sel = id->selector;
    x.index = id->index;
    x.dir = id->dir;
    gh_wr_bytes(w, &x, sizeof(x));
    put_tie(w, id->if_id, id->mark, id->mark_mask);
    gh_nl_end(w, begin);
}

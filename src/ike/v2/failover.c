/*
 * Several gateways of one peer: a primary, and backups in their order. When the one in use does not
 * answer the next is tried, after the last the first. Which is in use belongs to the policy in
 * force; SAs that are up stay where they are.
 *
 * Back to the primary goes a tunnel by the operator's word or by the policy's `revert_ms`, and make
 * before break: an IKE SA is begun there beside the one in use, which ends when that is up.
 */
#include <string.h>

#include "ike/v2/command.h"
#include "ike/v2/core_priv.h"
#include "ike/v2/failover.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tell.h"
#include "ike/v2/whose.h"

static void use(struct ike2 *c, struct ike2_policy *p, uint8_t n)
{
    p->gateway_now = n;
    p->gateway_since = c->now.wall;
}

void ike2_failover_keep(struct ike2_policy *p, const struct ike2_policy *was)
{
    bool same = ike2_gateway_count(p) == ike2_gateway_count(was);

    for (size_t i = 0; same && i < ike2_gateway_count(p); i++)
        same = gh_addr_equal(ike2_gateway(p, i), ike2_gateway(was, i));
    if (!same)
        return;
    p->gateway_now = was->gateway_now;
    p->gateway_since = was->gateway_since;
    p->failovers = was->failovers;
}

/* A part of them, by index in `p`, of those that the policy's SAs have now. */
static uint32_t children_of(const struct ike2_policy *p)
{
    uint32_t wanted = 0;

    for (const struct ike2_sa *sa = p->sas; sa != NULL; sa = sa->next_peer)
        for (const struct ike2_child *child = sa->children; child != NULL; child = child->next)
            if (sa->state == IKE2_STATE_ESTABLISHED && !child->replaced)
                wanted |= 1u << (child->policy - p->children);
    return wanted;
}

static struct ike2_sa *attempt_of(const struct ike2_policy *p)
{
    struct ike2_sa *sa = p->sas;

    while (sa != NULL && !(sa->reverting && sa->state < IKE2_STATE_ESTABLISHED))
        sa = sa->next_peer;
    return sa;
}

static bool revert(struct ike2 *c, struct ike2_policy *p)
{
    uint32_t wanted = children_of(p);
    struct ike2_sa *sa;

    if (p->gateway_now == 0 || p->stands_down || attempt_of(p) != NULL)
        return false;
    sa = ike2_begin_at(c, p, &p->gateway);
    if (sa == NULL)
        return false;
    sa->reverting = true;
    sa->wanted = wanted;
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "the primary gateway is tried again");
    ike2_settle(c, sa);
    return true;
}

void ike2_failover_tick(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_policy *p = ike2_policy_named(&c->whose, sa->policy->name);

    sa->revert_at = 0;
    if (p == NULL || p != sa->policy || sa->state != IKE2_STATE_ESTABLISHED || p->revert_ms == 0 ||
        p->gateway_now == 0)
        return;
    sa->revert_at = c->now.mono_ms + p->revert_ms;
    revert(c, p);
}

void ike2_failover_up(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_policy *p = sa->policy;
    char text[GH_ADDR_TEXT];

    if (!sa->reverting) {
        sa->revert_at =
            p->gateway_now != 0 && p->revert_ms != 0 ? c->now.mono_ms + p->revert_ms : 0;
        return;
    }
    sa->reverting = false;
    use(c, p, 0);
    ike2_tell(c, sa, IKE2_EVENT_GATEWAY, 0, "back at the primary gateway %s",
              gh_addr_format(&sa->remote.addr, text));
    for (struct ike2_sa *other = p->sas; other != NULL; other = other->next_peer)
        if (other != sa && other->state == IKE2_STATE_ESTABLISHED) {
            ike2_set_state(c, other, IKE2_STATE_REKEYED);
            other->reauthenticated = true;
            other->revert_at = 0;
        }
}

/* The next one, if `sa` was with the one in use. False: there is no other, or all had their turn.
 */
static bool advance(struct ike2 *c, struct ike2_policy *p, const struct ike2_sa *sa)
{
    char from[GH_ADDR_TEXT], to[GH_ADDR_TEXT];
    size_t count = ike2_gateway_count(p);
    const struct gh_addr *now = ike2_gateway(p, p->gateway_now);

    if (count < 2 || !gh_addr_equal(now, &sa->remote.addr))
        return false;
    use(c, p, (uint8_t)((p->gateway_now + 1U) % count));
    p->failovers++;
    ike2_tell(c, sa, IKE2_EVENT_GATEWAY, 0, "%s does not answer: %s is next",
              gh_addr_format(now, from), gh_addr_format(ike2_gateway(p, p->gateway_now), to));
    return p->gateway_now != 0;
}

bool ike2_failover(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_policy *p = ike2_policy_named(&c->whose, sa->policy->name);

    if (sa->reverting) {
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        if (p != NULL)
            ike2_begin_again(c, p);
        return true;
    }
    if (p == NULL || !advance(c, p, sa) || !sa->initiator || sa->state >= IKE2_STATE_ESTABLISHED ||
        p != sa->policy)
        return false;
    ike2_begin_anew(c, sa, "the next gateway");
    return true;
}

bool ike2_revert(struct ike2 *c, struct gh_now now, const char *policy)
{
    struct ike2_policy *p = ike2_policy_named(&c->whose, policy);
    struct ike2_sa *sa;

    c->now = now;
    if (p == NULL || p->gateway_now == 0)
        return false;
    for (sa = p->sas; sa != NULL && sa->state != IKE2_STATE_ESTABLISHED; sa = sa->next_peer)
        ;
    if (sa != NULL)
        return revert(c, p);
    use(c, p, 0);
    for (sa = p->sas; sa != NULL && !(sa->initiator && sa->state < IKE2_STATE_ESTABLISHED);
         sa = sa->next_peer)
        ;
    if (sa != NULL)
        ike2_begin_anew(c, sa, "the primary gateway, by the operator's word");
    ike2_bury(c);
    return true;
}

/*
 * Child SAs that were asked for packets which they then do not have: the peer narrows selectors to
 * what it grants (RFC 7296 2.9), and need not grant what met no SA. Asked again and again, each
 * such packet would leave one more Child SA behind.
 */
#include "ike/ts_set.h"
#include "ike/v2/priv.h"
#include "ike/v2/vain.h"

enum { VAIN_MS = 60000 };

static bool equal(const struct ike_ts *a, const struct ike_ts *b)
{
    return ike_ts_contains(a, b) && ike_ts_contains(b, a);
}

bool ike2_asked_in_vain(const struct ike2 *c, const struct ike2_sa *sa,
                        const struct ike2_child_policy *p, const struct ike2_packets *packets)
{
    const struct ike2_vain *v = &sa->vain;

    return v->until != 0 && c->now.mono_ms < v->until && v->policy == p &&
           equal(&v->packets.local, &packets->local) && equal(&v->packets.remote, &packets->remote);
}

void ike2_ask_no_more(const struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t)
{
    if (t->packets != NULL && t->policy->mode != IKE2_TCP_AO)
        sa->vain = (struct ike2_vain){
            .policy = t->policy, .packets = *t->packets, .until = c->now.mono_ms + VAIN_MS};
}

static bool within(const struct ike_ts *list, size_t count, const struct ike_ts *ts)
{
    for (size_t i = 0; i < count; i++)
        if (ike_ts_contains(&list[i], ts))
            return true;
    return false;
}

static bool has_packets(const struct ike2_child *child, const struct ike2_packets *packets)
{
    return within(child->ts, child->local_count, &packets->local) &&
           within(child->ts + child->local_count, child->remote_count, &packets->remote);
}

/* `all` has every selector of `some`. */
static bool covers(const struct ike2_child *all, const struct ike2_child *some)
{
    for (size_t i = 0; i < some->local_count; i++)
        if (!within(all->ts, all->local_count, &some->ts[i]))
            return false;
    for (size_t i = 0; i < some->remote_count; i++)
        if (!within(all->ts + all->local_count, all->remote_count,
                    &some->ts[some->local_count + i]))
            return false;
    return true;
}

bool ike2_made_in_vain(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                       const struct ike2_child *fresh)
{
    if (t->packets == NULL || t->policy->mode == IKE2_TCP_AO || has_packets(fresh, t->packets))
        return false;
    ike2_ask_no_more(c, sa, t);
    for (const struct ike2_child *old = sa->children; old != NULL; old = old->next)
        if (old != fresh && old->policy == fresh->policy && !old->replaced && covers(old, fresh))
            return true;
    return false;
}

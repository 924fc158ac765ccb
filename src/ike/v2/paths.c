/*
 * From where: our end of the path to a peer.
 *
 * A policy with `local` says it itself, and with `others` what else may do. For all others the
 * system is asked (ops.source), which may answer later: an IKE SA that begins waits until then.
 * core.c asks here when it begins one and when paths changed, mobike.c when an IKE SA moves.
 */
#include "ike/v2/command.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/paths.h"
#include "ike/v2/priv.h"
#include "ike/v2/tasks.h"

uint64_t ike2_begin_ms(const struct ike2_policy *p)
{
    return p->half_open_ms + ike2_policy_patience_ms(p);
}

bool ike2_path_has(const struct ike2 *c, uint16_t zone, const struct gh_addr *a)
{
    size_t count = 0, fit;
    const struct gh_addr *list =
        c->ops.addresses != NULL ? c->ops.addresses(c->ops.ctx, zone, &count, &fit) : NULL;

    for (size_t i = 0; i < count; i++)
        if (gh_addr_equal(&list[i], a))
            return true;
    return list == NULL; /* not known: it is believed to be there */
}

static bool take(const struct ike2 *c, const struct ike2_policy *p, const struct gh_addr *ours,
                 const struct gh_addr *remote, struct gh_addr *out)
{
    if (ours->len != remote->len || !ike2_path_has(c, p->zone, ours))
        return false;
    *out = *ours;
    return true;
}

enum ike2_way ike2_path_from(const struct ike2 *c, const struct ike2_policy *p,
                             const struct gh_addr *remote, struct gh_addr *out)
{
    if (p->local.len == 0)
        return c->ops.source != NULL ? c->ops.source(c->ops.ctx, p->zone, remote, out)
                                     : IKE2_WAY_UNKNOWN;
    if (take(c, p, &p->local, remote, out))
        return IKE2_WAY_THERE;
    for (size_t i = 0; i < p->other_count; i++)
        if (take(c, p, &p->others[i], remote, out))
            return IKE2_WAY_THERE;
    return IKE2_WAY_NONE;
}

size_t ike2_path_others(const struct ike2 *c, const struct ike2_sa *sa,
                        struct gh_addr out[IKE2_ADDRESSES])
{
    const struct ike2_policy *p = sa->policy;
    const struct gh_addr *all = p->others;
    size_t count = p->other_count, n = 0, have;

    if (p->others_all) {
        count = 0;
        all =
            c->ops.addresses != NULL ? c->ops.addresses(c->ops.ctx, p->zone, &have, &count) : NULL;
    }
    if (p->local.len > 0 && !gh_addr_equal(&p->local, &sa->local.addr) &&
        ike2_path_has(c, p->zone, &p->local))
        out[n++] = p->local;
    for (size_t i = 0; all != NULL && i < count && n < IKE2_ADDRESSES; i++)
        if (!gh_addr_equal(&all[i], &sa->local.addr) && ike2_path_has(c, p->zone, &all[i]))
            out[n++] = all[i];
    return n;
}

bool ike2_path_begin(struct ike2 *c, struct ike2_sa *sa)
{
    struct gh_addr from;

    if (ike2_path_from(c, sa->policy, &sa->remote.addr, &from) != IKE2_WAY_THERE)
        return false;
    sa->local.addr = from;
    sa->local_seen = true;
    sa->expire_at = c->now.mono_ms + ike2_begin_ms(sa->policy);
    ike2_schedule(c, sa);
    return true;
}

/* Only a hint is what the system says (RFC 4555 3.5): what cannot move is asked whether it lives.
 */
void ike2_path_lost(struct ike2 *c, struct ike2_sa *sa)
{
    /* One that was never seen here may be had all the same, as a whole network by its route. */
    if (sa->local.addr.len == 0 || !sa->local_seen ||
        ike2_path_has(c, sa->local.zone, &sa->local.addr))
        return;
    if (sa->initiator && sa->state < IKE2_STATE_ESTABLISHED)
        ike2_begin_anew(c, sa, "our address is gone");
    else if (sa->state == IKE2_STATE_ESTABLISHED && !ike2_task_waits(sa, IKE2_TASK_LIVENESS))
        ike2_task_add(c, sa, IKE2_TASK_LIVENESS);
}

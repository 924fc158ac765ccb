/*
 * MOBIKE (RFC 4555): an IKE SA and its Child SAs go on from other addresses.
 *
 * Whoever began the first IKE SA decides where it runs, and says so; the other believes where it is
 * only when it answered there. The users of the Child SAs are told when a move is settled.
 */
#include "ike/v2/child.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/flight.h"
#include "ike/v2/mobike.h"
#include "ike/v2/mobike_parts.h"
#include "ike/v2/paths.h"
#include "ike/v2/priv.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

enum { PATIENCE_MS = 5 * 60 * 1000 };

void ike2_children_moved(struct ike2 *c, struct ike2_sa *sa)
{
    for (const struct ike2_child *child = sa->children; child != NULL; child = child->next) {
        struct ike_ts_list local, remote;
        struct ike_proposal suite;
        struct ike2_child_view v;

        if (c->ops.child_update == NULL)
            return;
        ike2_child_view_of(sa, child, &v, &suite, &local, &remote);
        c->ops.child_update(c->ops.ctx, &v);
    }
}

bool ike2_mobike_same_endpoint(const struct ike2_endpoint *a, const struct ike2_endpoint *b)
{
    return gh_addr_equal(&a->addr, &b->addr) && a->port == b->port;
}

void ike2_mobike_remember(struct ike2_sa *sa)
{
    struct ike2_mobile *m = sa->mobile;

    if (m->moved)
        return;
    m->moved = true;
    m->was_local = sa->local;
    m->was_remote = sa->remote;
    m->marked = sa->marker;
}

void ike2_mobike_settled(struct ike2 *c, struct ike2_sa *sa)
{
    char here[GH_ADDR_TEXT], there[GH_ADDR_TEXT];

    sa->mobile->moved = false;
    ike2_tell(c, sa, IKE2_EVENT_MOVED, 0, "%s port %u to %s port %u%s",
              gh_addr_format(&sa->local.addr, here), sa->local.port,
              gh_addr_format(&sa->remote.addr, there), sa->remote.port,
              sa->nat_local || sa->nat_remote ? ", through a NAT" : "");
    ike2_children_moved(c, sa);
}

void ike2_mobike_inherited(struct ike2 *c, const struct ike2_sa *old, struct ike2_sa *sa)
{
    if (sa->mobile != NULL && !sa->mobile->moved &&
        (!ike2_mobike_same_endpoint(&old->local, &sa->local) ||
         !ike2_mobike_same_endpoint(&old->remote, &sa->remote) ||
         (old->mobile != NULL && old->mobile->moved)))
        ike2_children_moved(c, sa);
}

void ike2_mobike_go_back(struct ike2 *c, struct ike2_sa *sa, const char *why)
{
    struct ike2_mobile *m = sa->mobile;

    if (m->moved) {
        sa->local = m->was_local;
        sa->remote = m->was_remote;
        sa->marker = m->marked;
    }
    m->moved = false;
    ike2_fail(c, sa, IKE2_COUNT_NOT_MOVED, "%s", why);
}

bool ike2_mobike_asks(const struct ike2_sa *sa, enum ike2_task_kind kind)
{
    return sa->task != NULL && sa->task->kind == kind;
}

void ike2_mobike_tell_peer(struct ike2 *c, struct ike2_sa *sa)
{
    for (const struct ike2_task *t = sa->waiting; t != NULL; t = t->next)
        if (t->kind == IKE2_TASK_MOVE)
            return;
    if (ike2_mobike_asks(sa, IKE2_TASK_MOVE))
        sa->mobile->again = true;
    else
        ike2_task_first(c, sa, IKE2_TASK_MOVE);
}

void ike2_mobike_take_along(struct ike2 *c, const struct ike2_sa *sa)
{
    struct ike2_sa *others[] = {sa->rival_of, sa->task != NULL ? sa->task->their_sa : NULL};

    for (size_t i = 0; i < 2; i++) {
        if (others[i] == NULL || others[i]->mobile == NULL)
            continue;
        others[i]->local = sa->local;
        others[i]->remote = sa->remote;
        others[i]->marker = sa->marker;
        ike2_send_requests(c, others[i]);
    }
}

void ike2_mobike_go_from(struct ike2 *c, struct ike2_sa *sa, const struct ike2_endpoint *local)
{
    ike2_mobike_remember(sa);
    sa->local.addr = local->addr;
    sa->local_seen = ike2_path_has(c, sa->local.zone, &local->addr);
    if (local->port != 0)
        sa->local.port = local->port;
    sa->marker = sa->local.port == IKE2_PORT_NAT_T;
    sa->mobile->refusals = 0;
    ike2_send_requests(c, sa); /* by the new way */
    ike2_mobike_tell_peer(c, sa);
}

bool ike2_mobike_move(struct ike2 *c, struct ike2_sa *sa, const struct ike2_endpoint *local)
{
    if (sa->state != IKE2_STATE_ESTABLISHED || sa->mobile == NULL || !sa->mobile->first)
        return false;
    ike2_mobike_go_from(c, sa, local);
    ike2_mobike_take_along(c, sa);
    /* One that was rekeyed may be all that the peer knows, if our answer never came. */
    for (struct ike2_sa *old = sa->policy->sas; old != NULL; old = old->next_peer) {
        if (old == sa || old->state != IKE2_STATE_REKEYED || old->mobile == NULL ||
            !old->mobile->first || !gh_identity_equal(old->remote_id, sa->remote_id))
            continue;
        ike2_mobike_go_from(c, old, local);
        ike2_tasks_run(c, old);
        ike2_schedule(c, old);
    }
    return true;
}

bool ike2_mobike_way_from(const struct ike2 *c, const struct ike2_sa *sa,
                          const struct gh_addr *there, struct gh_addr *from)
{
    const struct gh_addr *here = &sa->local.addr;
    bool stays = here->len == there->len && ike2_path_has(c, sa->local.zone, here);

    *from = *here;
    return (stays && sa->policy->local.len > 0) ||
           ike2_path_from(c, sa->policy, there, from) == IKE2_WAY_THERE || stays;
}

/* To another address of the peer, from wherever that can be reached. */
static bool try_theirs(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_mobile *m = sa->mobile;
    struct gh_addr here = sa->remote.addr, from = sa->local.addr;

    while (m->tried < m->other_count) {
        struct gh_addr *there = &m->others[m->tried++];

        if (!ike2_mobike_way_from(c, sa, there, &from))
            continue;
        ike2_mobike_remember(sa);
        sa->remote.addr = *there;
        sa->local.addr = from;
        *there = here;
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "no answer: another address of the peer is tried");
        return true;
    }
    return false;
}

/* From another address of ours: routes may depend on it. */
static bool try_ours(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_mobile *m = sa->mobile;
    struct gh_addr list[IKE2_ADDRESSES], to = m->moved ? m->was_remote.addr : sa->remote.addr;
    size_t count = ike2_path_others(c, sa, list);

    while (m->tried_own < count) {
        const struct gh_addr *from = &list[m->tried_own++];

        if (from->len != to.len)
            continue;
        ike2_mobike_remember(sa);
        sa->local.addr = *from;
        sa->remote.addr = to;
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "no answer: another address of ours is tried");
        return true;
    }
    return false;
}

bool ike2_mobike_other_way(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_mobile *m = sa->mobile;

    if (sa->state != IKE2_STATE_ESTABLISHED)
        return false;
    if (ike2_mobike_asks(sa, IKE2_TASK_ROUTABILITY) && m->moved) {
        ike2_mobike_go_back(c, sa, "nobody answers there");
        ike2_send_requests(c, sa);
        ike2_begin_retransmission(c, sa);
        return true;
    }
    if (!m->first || (!try_theirs(c, sa) && !try_ours(c, sa)))
        return false;
    ike2_send_requests(c, sa);
    ike2_begin_retransmission(c, sa);
    ike2_mobike_tell_peer(c, sa);
    return true;
}

/* Where we decide: to where the way is now, if need be to another address of the peer. */
static void follow_way(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_mobile *m = sa->mobile;
    struct ike2_endpoint to = {.port = 0};
    struct gh_addr here = sa->remote.addr;

    enum ike2_way way = ike2_path_from(c, sa->policy, &here, &to.addr);

    if (way == IKE2_WAY_THERE && !gh_addr_equal(&to.addr, &sa->local.addr))
        ike2_mobike_move(c, sa, &to);
    for (size_t i = 0; way == IKE2_WAY_NONE && i < m->other_count; i++) {
        if (ike2_path_from(c, sa->policy, &m->others[i], &to.addr) != IKE2_WAY_THERE)
            continue;
        ike2_mobike_remember(sa);
        sa->remote.addr = m->others[i];
        m->others[i] = here;
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "no way to the peer: another address of it is tried");
        ike2_mobike_move(c, sa, &to);
        return;
    }
}

/* Where the peer decides: we leave only what we have lost, and the peer hears of it by the list of
 * our addresses, at any address of it that can be reached (RFC 4555 3.5, 3.6). */
static void flee(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_mobile *m = sa->mobile;
    char text[GH_ADDR_TEXT];
    struct gh_addr from, here = sa->remote.addr;
    enum ike2_way way;

    if (!sa->local_seen || ike2_path_has(c, sa->local.zone, &sa->local.addr))
        return;
    way = ike2_path_from(c, sa->policy, &sa->remote.addr, &from);
    for (size_t i = 0; way == IKE2_WAY_NONE && i < m->other_count; i++) {
        way = ike2_path_from(c, sa->policy, &m->others[i], &from);
        if (way != IKE2_WAY_THERE)
            continue;
        sa->remote.addr = m->others[i];
        m->others[i] = here;
    }
    if (way != IKE2_WAY_THERE)
        return;
    sa->local.addr = from;
    ike2_tell(c, sa, IKE2_EVENT_MOVED, 0, "our address is gone, another is used: %s",
              gh_addr_format(&from, text));
    ike2_children_moved(c, sa);
    ike2_send_requests(c, sa);
}

void ike2_mobike_look(struct ike2 *c, struct ike2_sa *sa)
{
    if (c->ops.source == NULL || c->ops.addresses == NULL)
        return; /* whoever calls us says it by ike2_move() */
    ike2_mobike_ask_ways(c, sa);
    if (sa->mobile->first)
        follow_way(c, sa);
    else
        flee(c, sa);
    if (!ike2_mobike_is_told(c, sa) && !ike2_task_waits(sa, IKE2_TASK_ADDRESSES) &&
        !ike2_task_waits(sa, IKE2_TASK_MOVE)) /* which has the list, too */
        ike2_task_first(c, sa, IKE2_TASK_ADDRESSES);
}

bool ike2_mobike_is_patient(const struct ike2_sa *sa, const struct ike2_task *t)
{
    uint64_t waited = 0;

    for (unsigned i = 0; i < t->transmissions; i++)
        waited += (uint64_t)sa->policy->retransmit_ms << (i < 6 ? i : 6);
    return sa->state == IKE2_STATE_ESTABLISHED && !sa->mobile->first && waited < PATIENCE_MS;
}

bool ike2_mobike_wonders(const struct ike2_sa *sa)
{
    return sa->mobile->moved && !sa->mobile->first && ike2_mobike_asks(sa, IKE2_TASK_ROUTABILITY) &&
           !ike2_mobike_same_endpoint(&sa->remote, &sa->asked.remote);
}

void ike2_mobike_try(struct ike2 *c, struct ike2_sa *sa)
{
    sa->local = sa->asked.local;
    sa->remote = sa->asked.remote;
    sa->marker = sa->asked.marker;
    ike2_send_requests(c, sa); /* by the new way */
}

/*
 * MOBIKE (RFC 4555): an IKE SA and its Child SAs go on from other addresses.
 *
 * Whoever began the first IKE SA decides where it runs, and says so; the other believes where it is
 * only when it answered there. The users of the Child SAs are told when a move is settled.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/child.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/flight.h"
#include "ike/v2/init.h"
#include "ike/v2/mobike.h"
#include "ike/v2/paths.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

enum { NO_NATS_MAX = 2 * 16 + 4, PATIENCE_MS = 5 * 60 * 1000 };

/* ---- IKE_AUTH ------------------------------------------------------------------------------- */

/* Our list, as it is now. */
static void put_addresses(const struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    struct ike2_mobile *m = sa->mobile;
    struct gh_addr list[IKE2_ADDRESSES];
    size_t count = ike2_path_others(c, sa, list);

    for (size_t i = 0; i < count; i++)
        ike_notify_emit_data(
            o, list[i].len == 4 ? IKE_N_ADDITIONAL_IP4_ADDRESS : IKE_N_ADDITIONAL_IP6_ADDRESS,
            gh_view_of(list[i].octets, list[i].len));
    sa->listed = c->path_changes;
    if (m == NULL) /* the initiator's IKE_AUTH */
        return;
    memcpy(m->told, list, count * sizeof(list[0]));
    m->told_count = (uint8_t)count;
    m->told_from = sa->local.addr;
}

/* The same in INFORMATIONAL, where an empty list has to be said. */
static void put_list(const struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    put_addresses(c, sa, o);
    if (sa->mobile->told_count == 0)
        ike_notify_emit_data(o, IKE_N_NO_ADDITIONAL_ADDRESSES, gh_view_of(NULL, 0));
}

static bool is_told(const struct ike2 *c, const struct ike2_sa *sa)
{
    const struct ike2_mobile *m = sa->mobile;
    struct gh_addr list[IKE2_ADDRESSES];
    size_t count = ike2_path_others(c, sa, list);
    bool same = count == m->told_count && gh_addr_equal(&m->told_from, &sa->local.addr);

    for (size_t i = 0; same && i < count; i++)
        same = gh_addr_equal(&list[i], &m->told[i]);
    return same;
}

/* The ways to where the peer may be: asked for early, for the system may answer later. Who follows
 * needs them only when its own address is gone, and may have many thousand peers. */
static void ask_ways(const struct ike2 *c, const struct ike2_sa *sa)
{
    struct gh_addr from;

    for (size_t i = 0; sa->mobile->first && i < sa->mobile->other_count; i++)
        ike2_path_from(c, sa->policy, &sa->mobile->others[i], &from);
}

/* True: it says something of them. */
static bool take_addresses(struct ike2_mobile *m, const struct ike_payloads *in)
{
    bool any = ike_has_notify(in, IKE_N_NO_ADDITIONAL_ADDRESSES);
    struct gh_addr list[IKE2_ADDRESSES];
    struct ike_notify n;
    uint8_t count = 0;

    for (unsigned family = 0; family < 2; family++) {
        uint16_t type = family == 0 ? IKE_N_ADDITIONAL_IP4_ADDRESS : IKE_N_ADDITIONAL_IP6_ADDRESS;

        for (size_t i = 0; count < IKE2_ADDRESSES && ike_find_notify(in, type, i, &n); i++)
            if (n.data.len == (family == 0 ? 4 : 16) &&
                ike_address_read(n.data, &list[count]) == IKE_OK)
                count++;
    }
    if (count == 0 && !any)
        return false;
    memcpy(m->others, list, count * sizeof(list[0]));
    m->other_count = count;
    m->tried = 0;
    return true;
}

static size_t no_nats_of(const struct ike2_endpoint *from, const struct ike2_endpoint *to,
                         uint8_t out[NO_NATS_MAX])
{
    struct gh_wr w = gh_wr_make(out, NO_NATS_MAX);

    gh_wr_bytes(&w, from->addr.octets, from->addr.len);
    gh_wr_bytes(&w, to->addr.octets, to->addr.len);
    gh_wr_u16(&w, from->port);
    gh_wr_u16(&w, to->port);
    return w.len;
}

static void put_no_nats(const struct ike2_sa *sa, struct ike_out *o)
{
    uint8_t octets[NO_NATS_MAX];

    if (sa->policy->no_nats)
        ike_notify_emit_data(o, IKE_N_NO_NATS_ALLOWED,
                             gh_view_of(octets, no_nats_of(&sa->local, &sa->remote, octets)));
}

bool ike2_mobike_no_nat(const struct ike2 *c, const struct ike2_sa *sa,
                        const struct ike_payloads *in)
{
    uint8_t octets[NO_NATS_MAX];
    struct ike_notify n;

    if (!sa->policy->mobike || c->arriving == NULL)
        return true;
    if (!ike_find_notify(in, IKE_N_NO_NATS_ALLOWED, 0, &n))
        return !sa->policy->no_nats;
    return gh_view_equal(
        n.data, gh_view_of(octets, no_nats_of(&c->arriving->remote, &c->arriving->local, octets)));
}

void ike2_mobike_put(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    if (!sa->policy->mobike || (!sa->initiator && sa->mobile == NULL))
        return;
    ike_notify_emit_data(o, IKE_N_MOBIKE_SUPPORTED, gh_view_of(NULL, 0));
    put_addresses(c, sa, o);
    if (sa->initiator)
        put_no_nats(sa, o);
}

void ike2_mobike_take(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    if (!sa->policy->mobike || !ike_has_notify(in, IKE_N_MOBIKE_SUPPORTED))
        return;
    sa->mobile = calloc(1, sizeof(*sa->mobile));
    if (sa->mobile == NULL) { /* it goes on without */
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return;
    }
    sa->mobile->first = sa->initiator;
    take_addresses(sa->mobile, in);
    ask_ways(c, sa);
    if (sa->initiator && sa->listed == c->path_changes) { /* as IKE_AUTH said it */
        sa->mobile->told_count = (uint8_t)ike2_path_others(c, sa, sa->mobile->told);
        sa->mobile->told_from = sa->local.addr;
    }
}

void ike2_mobike_inherit(struct ike2 *c, struct ike2_sa *sa, const struct ike2_sa *old)
{
    if (old->mobile == NULL)
        return;
    sa->mobile = malloc(sizeof(*sa->mobile));
    if (sa->mobile == NULL)
        return;
    *sa->mobile = *old->mobile;
    sa->mobile->has_seen = false; /* SPIs are in it */
    sa->mobile->updated = 0;
    if (old->mobile->moved) /* not settled: the old one may end before it is */
        ike2_task_add(c, sa, old->mobile->first ? IKE2_TASK_MOVE : IKE2_TASK_ROUTABILITY);
}

/* ---- Moved ---------------------------------------------------------------------------------- */

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

static bool same_endpoint(const struct ike2_endpoint *a, const struct ike2_endpoint *b)
{
    return gh_addr_equal(&a->addr, &b->addr) && a->port == b->port;
}

static void remember(struct ike2_sa *sa)
{
    struct ike2_mobile *m = sa->mobile;

    if (m->moved)
        return;
    m->moved = true;
    m->was_local = sa->local;
    m->was_remote = sa->remote;
    m->marked = sa->marker;
}

static void settled(struct ike2 *c, struct ike2_sa *sa)
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
        (!same_endpoint(&old->local, &sa->local) || !same_endpoint(&old->remote, &sa->remote) ||
         (old->mobile != NULL && old->mobile->moved)))
        ike2_children_moved(c, sa);
}

static void go_back(struct ike2 *c, struct ike2_sa *sa, const char *why)
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

static bool is_under_way(const struct ike2_sa *sa, enum ike2_task_kind kind)
{
    return sa->task != NULL && sa->task->kind == kind;
}

static void tell_peer(struct ike2 *c, struct ike2_sa *sa)
{
    for (const struct ike2_task *t = sa->waiting; t != NULL; t = t->next)
        if (t->kind == IKE2_TASK_MOVE)
            return;
    if (is_under_way(sa, IKE2_TASK_MOVE))
        sa->mobile->again = true;
    else
        ike2_task_first(c, sa, IKE2_TASK_MOVE);
}

/* While both ends rekey, there are two IKE SAs, of which one will stay: both go. */
static void take_along(struct ike2 *c, const struct ike2_sa *sa)
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

static void go_from(struct ike2 *c, struct ike2_sa *sa, const struct ike2_endpoint *local)
{
    remember(sa);
    sa->local.addr = local->addr;
    sa->local_seen = ike2_path_has(c, sa->local.zone, &local->addr);
    if (local->port != 0)
        sa->local.port = local->port;
    sa->marker = sa->local.port == IKE2_PORT_NAT_T;
    sa->mobile->refusals = 0;
    ike2_send_requests(c, sa); /* by the new way */
    tell_peer(c, sa);
}

bool ike2_mobike_move(struct ike2 *c, struct ike2_sa *sa, const struct ike2_endpoint *local)
{
    if (sa->state != IKE2_STATE_ESTABLISHED || sa->mobile == NULL || !sa->mobile->first)
        return false;
    go_from(c, sa, local);
    take_along(c, sa);
    /* One that was rekeyed may be all that the peer knows, if our answer never came. */
    for (struct ike2_sa *old = sa->policy->sas; old != NULL; old = old->next_peer) {
        if (old == sa || old->state != IKE2_STATE_REKEYED || old->mobile == NULL ||
            !old->mobile->first || !gh_identity_equal(old->remote_id, sa->remote_id))
            continue;
        go_from(c, old, local);
        ike2_tasks_run(c, old);
        ike2_schedule(c, old);
    }
    return true;
}

/* From where we are, if that can be. */
static bool way_from(const struct ike2 *c, const struct ike2_sa *sa, const struct gh_addr *there,
                     struct gh_addr *from)
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

        if (!way_from(c, sa, there, &from))
            continue;
        remember(sa);
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
        remember(sa);
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
    if (is_under_way(sa, IKE2_TASK_ROUTABILITY) && m->moved) {
        go_back(c, sa, "nobody answers there");
        ike2_send_requests(c, sa);
        ike2_begin_retransmission(c, sa);
        return true;
    }
    if (!m->first || (!try_theirs(c, sa) && !try_ours(c, sa)))
        return false;
    ike2_send_requests(c, sa);
    ike2_begin_retransmission(c, sa);
    tell_peer(c, sa);
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
        remember(sa);
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
    ask_ways(c, sa);
    if (sa->mobile->first)
        follow_way(c, sa);
    else
        flee(c, sa);
    if (!is_told(c, sa) && !ike2_task_waits(sa, IKE2_TASK_ADDRESSES) &&
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
    return sa->mobile->moved && !sa->mobile->first && is_under_way(sa, IKE2_TASK_ROUTABILITY) &&
           !same_endpoint(&sa->remote, &sa->asked.remote);
}

void ike2_mobike_try(struct ike2 *c, struct ike2_sa *sa)
{
    sa->local = sa->asked.local;
    sa->remote = sa->asked.remote;
    sa->marker = sa->asked.marker;
    ike2_send_requests(c, sa); /* by the new way */
}

/* ---- Our requests --------------------------------------------------------------------------- */

static void put_cookie(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    c->ops.random(c->ops.ctx, sa->mobile->cookie, IKE2_COOKIE2);
    sa->mobile->asked = sa->remote;
    ike_notify_emit_data(o, IKE_N_COOKIE2, gh_view_of(sa->mobile->cookie, IKE2_COOKIE2));
}

void ike2_mobike_request(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                         struct ike_out *o)
{
    switch (t->kind) {
    case IKE2_TASK_MOVE:
        sa->mobile->again = false;
        ike_notify_emit_data(o, IKE_N_UPDATE_SA_ADDRESSES, gh_view_of(NULL, 0));
        put_list(c, sa, o);
        ike2_put_nat(o, sa->spi_i, sa->spi_r, sa);
        put_no_nats(sa, o);
        put_cookie(c, sa, o);
        break;
    case IKE2_TASK_ROUTABILITY:
        put_cookie(c, sa, o);
        break;
    case IKE2_TASK_ADDRESSES:
        put_list(c, sa, o);
        put_no_nats(sa, o);
        break;
    case IKE2_TASK_LIVENESS:
        if (sa->mobile->first && sa->nat_local) /* does the NAT still have us where it had us */
            ike2_put_nat(o, sa->spi_i, sa->spi_r, sa);
        break;
    default:
        break;
    }
}

/* Remembers what the peer sees of us. True: it is something else than before. */
static bool sees_otherwise(struct ike2_mobile *m, const struct ike_payloads *in)
{
    struct ike_notify n;
    bool changed;

    if (!ike_find_notify(in, IKE_N_NAT_DETECTION_DESTINATION_IP, 0, &n) ||
        n.data.len != sizeof(m->seen))
        return false;
    changed = m->has_seen && memcmp(m->seen, n.data.p, sizeof(m->seen)) != 0;
    memcpy(m->seen, n.data.p, sizeof(m->seen));
    m->has_seen = true;
    return changed;
}

static bool cookie_came_back(const struct ike2_mobile *m, const struct ike_payloads *in)
{
    struct ike_notify n;

    return ike_find_notify(in, IKE_N_COOKIE2, 0, &n) && n.data.len == IKE2_COOKIE2 &&
           gh_ct_equal(n.data.p, m->cookie, IKE2_COOKIE2);
}

/* RFC 4555 3.7: an IKE SA with such an answer MUST be closed. */
static void close_it(struct ike2 *c, struct ike2_sa *sa)
{
    ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED, "COOKIE2 came back as another");
    ike2_sa_lost(c, sa, 0);
}

static void move_answered(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_mobile *m = sa->mobile;

    if (m->again) {
        tell_peer(c, sa);
        return;
    }
    if (ike_has_notify(in, IKE_N_UNEXPECTED_NAT_DETECTED)) {
        if (m->refusals++ < sa->policy->retransmits) {
            tell_peer(c, sa);
            return;
        }
        go_back(c, sa, "something on the way changes addresses");
        return;
    }
    if (ike_has_notify(in, IKE_N_UNACCEPTABLE_ADDRESSES)) {
        go_back(c, sa, "the peer does not take these addresses");
        return;
    }
    if (ike_has_notify(in, IKE_N_NAT_DETECTION_SOURCE_IP))
        ike2_detect_nat(sa, sa->spi_i, sa->spi_r, in);
    sees_otherwise(m, in);
    settled(c, sa);
}

/* RFC 4555 3.6: one that was sent from several addresses is said again. */
static void list_answered(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_mobile *m = sa->mobile;
    bool refused = ike_has_notify(in, IKE_N_UNEXPECTED_NAT_DETECTED);

    if (refused && m->refusals++ >= sa->policy->retransmits) {
        ike2_fail(c, sa, IKE2_COUNT_NOT_MOVED, "something on the way changes addresses");
        return;
    }
    if (!refused)
        m->refusals = 0;
    if ((refused || !is_told(c, sa)) && !ike2_task_waits(sa, IKE2_TASK_MOVE))
        ike2_task_first(c, sa, IKE2_TASK_ADDRESSES);
}

void ike2_mobike_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind,
                          const struct ike_payloads *in)
{
    struct ike2_mobile *m = sa->mobile;

    m->tried = m->tried_own = 0;
    if (kind == IKE2_TASK_ADDRESSES) {
        list_answered(c, sa, in);
        return;
    }
    if (kind == IKE2_TASK_LIVENESS) {
        if (m->first && sees_otherwise(m, in))
            tell_peer(c, sa);
        return;
    }
    if (kind != IKE2_TASK_MOVE && kind != IKE2_TASK_ROUTABILITY)
        return;
    if (!cookie_came_back(m, in)) {
        close_it(c, sa);
        return;
    }
    if (kind == IKE2_TASK_MOVE)
        move_answered(c, sa, in);
    else if (!same_endpoint(&m->asked, &sa->remote)) /* it may have come to either place */
        ike2_task_first(c, sa, IKE2_TASK_ROUTABILITY);
    else if (m->moved)
        settled(c, sa);
}

/* ---- The peer's requests -------------------------------------------------------------------- */

/* Requests may come out of order; an older one than what is known is only answered (RFC 4555 3.5,
 * 3.6). */
static bool is_newest(struct ike2_sa *sa)
{
    if (sa->asked_id < sa->mobile->updated)
        return false;
    sa->mobile->updated = sa->asked_id;
    return true;
}

static bool acceptable(const struct ike2_policy *p, const struct gh_addr *a)
{
    return p->moves_to.addr.len == 0 ||
           (p->moves_to.addr.len == a->len && gh_prefix_contains(&p->moves_to, a));
}

static void follow(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    remember(sa);
    sa->local = c->arriving->local;
    sa->remote = c->arriving->remote;
    sa->marker = c->arriving->marker;
    if (ike_has_notify(in, IKE_N_NAT_DETECTION_SOURCE_IP))
        ike2_detect_nat(sa, sa->spi_i, sa->spi_r, in);
    ike2_send_requests(c, sa); /* by the new way */
    take_along(c, sa);
    if (!sa->policy->routability)
        settled(c, sa);
    else if (!is_under_way(sa, IKE2_TASK_ROUTABILITY))
        ike2_task_first(c, sa, IKE2_TASK_ROUTABILITY);
}

static bool take_out(struct ike2_mobile *m, const struct gh_addr *a)
{
    for (uint8_t i = 0; i < m->other_count; i++) {
        if (!gh_addr_equal(&m->others[i], a))
            continue;
        m->other_count--;
        memmove(&m->others[i], &m->others[i + 1], (m->other_count - i) * sizeof(*a));
        return true;
    }
    return false;
}

/* The list is that of the notifications and the source address (RFC 4555 3.6); we have it without
 * the address in use. False: that is not in it any more. */
static bool complete_list(struct ike2_sa *sa, const struct gh_addr *source)
{
    struct ike2_mobile *m = sa->mobile;

    if (take_out(m, &sa->remote.addr) || gh_addr_equal(&sa->remote.addr, source))
        return true;
    take_out(m, source);
    if (m->other_count == IKE2_ADDRESSES)
        m->other_count--;
    memmove(&m->others[1], &m->others[0], m->other_count * sizeof(*source));
    m->others[0] = *source;
    m->other_count++;
    return false;
}

/* The peer has lost the address in use; it spoke from another one. */
static void leave_address(struct ike2 *c, struct ike2_sa *sa, const struct gh_addr *to)
{
    struct gh_addr from;

    if (sa->state != IKE2_STATE_ESTABLISHED || !way_from(c, sa, to, &from))
        return;
    remember(sa);
    sa->remote.addr = *to;
    take_out(sa->mobile, to);
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "the peer has left its address: another one is tried");
    go_from(c, sa, &(struct ike2_endpoint){.addr = from});
    take_along(c, sa);
}

void ike2_mobike_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                       struct ike_out *o)
{
    bool update = ike_has_notify(in, IKE_N_UPDATE_SA_ADDRESSES) && !sa->mobile->first;
    bool lists = ike_has_notify(in, IKE_N_ADDITIONAL_IP4_ADDRESS) ||
                 ike_has_notify(in, IKE_N_ADDITIONAL_IP6_ADDRESS) ||
                 ike_has_notify(in, IKE_N_NO_ADDITIONAL_ADDRESSES);
    struct ike_notify n;
    bool listed;

    if (ike_find_notify(in, IKE_N_COOKIE2, 0, &n) && n.data.len >= 8 && n.data.len <= 64)
        ike_notify_emit_data(o, IKE_N_COOKIE2, n.data);
    if (c->arriving == NULL)
        return;
    if ((update || lists) && !is_newest(sa))
        update = lists = false;
    if ((update || lists) && !ike2_mobike_no_nat(c, sa, in)) {
        ike_notify_emit_data(o, IKE_N_UNEXPECTED_NAT_DETECTED, gh_view_of(NULL, 0));
        ike2_fail(c, sa, IKE2_COUNT_NOT_MOVED, "the peer's addresses were changed on the way");
        return;
    }
    if (update && !acceptable(sa->policy, &c->arriving->remote.addr)) {
        ike_notify_emit_data(o, IKE_N_UNACCEPTABLE_ADDRESSES, gh_view_of(NULL, 0));
        ike2_fail(c, sa, IKE2_COUNT_NOT_MOVED, "the peer may not move there");
        return;
    }
    listed = (lists || update) && take_addresses(sa->mobile, in);
    if (update)
        follow(c, sa, in);
    if (listed && !complete_list(sa, &c->arriving->remote.addr) && sa->mobile->first)
        leave_address(c, sa, &c->arriving->remote.addr);
    ask_ways(c, sa);
    if (ike_has_notify(in, IKE_N_NAT_DETECTION_SOURCE_IP)) {
        struct ike2_sa as_seen = *sa; /* what it was asked for: this message's addresses */

        as_seen.local = c->arriving->local;
        as_seen.remote = c->arriving->remote;
        ike2_put_nat(o, sa->spi_i, sa->spi_r, &as_seen);
    }
}

/*
 * MOBIKE (RFC 4555): an IKE SA and its Child SAs go on from other addresses.
 *
 * Whoever began the first IKE SA decides where it runs, and says so; the other believes where it is
 * only when it answered there. The users of the Child SAs are told when a move is settled.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/priv.h"

enum { NO_NATS_MAX = 2 * 16 + 4 };

/* ---- IKE_AUTH ------------------------------------------------------------------------------- */

static void put_addresses(const struct ike2_sa *sa, struct ike_out *o)
{
    const struct ike2_policy *p = sa->policy;

    for (size_t i = 0; i < p->other_count && i < IKE2_ADDRESSES; i++) {
        const struct gh_addr *a = &p->others[i];

        if (!gh_addr_equal(a, &sa->local.addr))
            ike_notify_emit_data(
                o, a->len == 4 ? IKE_N_ADDITIONAL_IP4_ADDRESS : IKE_N_ADDITIONAL_IP6_ADDRESS,
                gh_view_of(a->octets, a->len));
    }
    if (p->local.len > 0 && !gh_addr_equal(&p->local, &sa->local.addr))
        ike_notify_emit_data(
            o, p->local.len == 4 ? IKE_N_ADDITIONAL_IP4_ADDRESS : IKE_N_ADDITIONAL_IP6_ADDRESS,
            gh_view_of(p->local.octets, p->local.len));
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

void ike2_mobike_put(struct ike2 *c, const struct ike2_sa *sa, struct ike_out *o)
{
    if (!sa->policy->mobike || (!sa->initiator && sa->mobile == NULL))
        return;
    ike_notify_emit_data(o, IKE_N_MOBIKE_SUPPORTED, gh_view_of(NULL, 0));
    put_addresses(sa, o);
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
    ike2_fail(c, sa, IKE2_COUNT_NOT_MOVED, "not moved: %s", why);
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

bool ike2_mobike_other_way(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_mobile *m = sa->mobile;
    struct gh_addr here = sa->remote.addr;

    if (sa->state != IKE2_STATE_ESTABLISHED)
        return false;
    if (is_under_way(sa, IKE2_TASK_ROUTABILITY) && m->moved) {
        go_back(c, sa, "nobody answers there");
        ike2_send_requests(c, sa);
        ike2_begin_retransmission(c, sa);
        return true;
    }
    if (!m->first || m->tried >= m->other_count)
        return false;
    remember(sa);
    sa->remote.addr = m->others[m->tried];
    m->others[m->tried++] = here;
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "no answer: another address of the peer is tried");
    ike2_send_requests(c, sa);
    ike2_begin_retransmission(c, sa);
    tell_peer(c, sa);
    return true;
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
        put_addresses(sa, o);
        ike2_put_nat(o, sa->spi_i, sa->spi_r, sa);
        put_no_nats(sa, o);
        put_cookie(c, sa, o);
        break;
    case IKE2_TASK_ROUTABILITY:
        put_cookie(c, sa, o);
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

void ike2_mobike_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind,
                          const struct ike_payloads *in)
{
    struct ike2_mobile *m = sa->mobile;

    m->tried = 0;
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

void ike2_mobike_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                       struct ike_out *o)
{
    bool update = ike_has_notify(in, IKE_N_UPDATE_SA_ADDRESSES) && !sa->mobile->first;
    bool lists = ike_has_notify(in, IKE_N_ADDITIONAL_IP4_ADDRESS) ||
                 ike_has_notify(in, IKE_N_ADDITIONAL_IP6_ADDRESS) ||
                 ike_has_notify(in, IKE_N_NO_ADDITIONAL_ADDRESSES);
    struct ike_notify n;

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
    if (lists || update)
        take_addresses(sa->mobile, in);
    if (update)
        follow(c, sa, in);
    if (ike_has_notify(in, IKE_N_NAT_DETECTION_SOURCE_IP)) {
        struct ike2_sa as_seen = *sa; /* what it was asked for: this message's addresses */

        as_seen.local = c->arriving->local;
        as_seen.remote = c->arriving->remote;
        ike2_put_nat(o, sa->spi_i, sa->spi_r, &as_seen);
    }
}

/* The INFORMATIONAL exchanges of MOBIKE (RFC 4555 3.5 to 3.7): ours and the peer's. */
#include <string.h>

#include "ike/v2/flight.h"
#include "ike/v2/init.h"
#include "ike/v2/mobike.h"
#include "ike/v2/mobike_parts.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

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
        ike2_mobike_put_list(c, sa, o);
        ike2_put_nat(o, sa->spi_i, sa->spi_r, sa);
        ike2_mobike_put_no_nats(sa, o);
        put_cookie(c, sa, o);
        break;
    case IKE2_TASK_ROUTABILITY:
        put_cookie(c, sa, o);
        break;
    case IKE2_TASK_ADDRESSES:
        ike2_mobike_put_list(c, sa, o);
        ike2_mobike_put_no_nats(sa, o);
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
        ike2_mobike_tell_peer(c, sa);
        return;
    }
    if (ike_has_notify(in, IKE_N_UNEXPECTED_NAT_DETECTED)) {
        if (m->refusals++ < sa->policy->retransmits) {
            ike2_mobike_tell_peer(c, sa);
            return;
        }
        ike2_mobike_go_back(c, sa, "something on the way changes addresses");
        return;
    }
    if (ike_has_notify(in, IKE_N_UNACCEPTABLE_ADDRESSES)) {
        ike2_mobike_go_back(c, sa, "the peer does not take these addresses");
        return;
    }
    if (ike_has_notify(in, IKE_N_NAT_DETECTION_SOURCE_IP))
        ike2_detect_nat(sa, sa->spi_i, sa->spi_r, in);
    sees_otherwise(m, in);
    ike2_mobike_settled(c, sa);
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
    if ((refused || !ike2_mobike_is_told(c, sa)) && !ike2_task_waits(sa, IKE2_TASK_MOVE))
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
            ike2_mobike_tell_peer(c, sa);
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
    else if (!ike2_mobike_same_endpoint(&m->asked,
                                        &sa->remote)) /* it may have come to either place */
        ike2_task_first(c, sa, IKE2_TASK_ROUTABILITY);
    else if (m->moved)
        ike2_mobike_settled(c, sa);
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
    ike2_mobike_remember(sa);
    sa->local = c->arriving->local;
    sa->remote = c->arriving->remote;
    sa->marker = c->arriving->marker;
    if (ike_has_notify(in, IKE_N_NAT_DETECTION_SOURCE_IP))
        ike2_detect_nat(sa, sa->spi_i, sa->spi_r, in);
    ike2_send_requests(c, sa); /* by the new way */
    ike2_mobike_take_along(c, sa);
    if (!sa->policy->routability)
        ike2_mobike_settled(c, sa);
    else if (!ike2_mobike_asks(sa, IKE2_TASK_ROUTABILITY))
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

    if (sa->state != IKE2_STATE_ESTABLISHED || !ike2_mobike_way_from(c, sa, to, &from))
        return;
    ike2_mobike_remember(sa);
    sa->remote.addr = *to;
    take_out(sa->mobile, to);
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "the peer has left its address: another one is tried");
    ike2_mobike_go_from(c, sa, &(struct ike2_endpoint){.addr = from});
    ike2_mobike_take_along(c, sa);
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
    listed = (lists || update) && ike2_mobike_take_addresses(sa->mobile, in);
    if (update)
        follow(c, sa, in);
    if (listed && !complete_list(sa, &c->arriving->remote.addr) && sa->mobile->first)
        leave_address(c, sa, &c->arriving->remote.addr);
    ike2_mobike_ask_ways(c, sa);
    if (ike_has_notify(in, IKE_N_NAT_DETECTION_SOURCE_IP)) {
        struct ike2_sa as_seen = *sa; /* what it was asked for: this message's addresses */

        as_seen.local = c->arriving->local;
        as_seen.remote = c->arriving->remote;
        ike2_put_nat(o, sa->spi_i, sa->spi_r, &as_seen);
    }
}

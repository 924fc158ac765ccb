/*
 * Whether the peer knows TCP-AO's keys, and by which protocol number (docs/specs/ikev2-tcp-ao.md).
 *
 * The number is for private use, so whoever has such children says it in IKE_AUTH. It decides
 * nothing: a peer that says nothing is asked as well; but when it refuses, we know why. An IKE SA
 * may be older than the configuration in force, so a change is said again, in INFORMATIONAL.
 */
#include <stdio.h>

#include "ike/v2/priv.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tcp_ao.h"

/* The number of our TCP-AO children; 0: there are none. */
static uint8_t number_of(const struct ike2_policy *p)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (p->children[i].mode == IKE2_TCP_AO)
            return ike_proposals_protocol(&p->children[i].proposals);
    return 0;
}

static void put(struct ike2_sa *sa, struct ike_out *o)
{
    sa->told_tcp_ao = number_of(sa->policy);
    ike_notify_emit_data(o, IKE_N_TCP_AO_SUPPORTED, gh_view_of(&sa->told_tcp_ao, 1));
}

void ike2_tcp_ao_put(struct ike2_sa *sa, struct ike_out *o)
{
    if (number_of(sa->policy) != 0)
        put(sa, o);
}

void ike2_tcp_ao_put_change(struct ike2_sa *sa, struct ike_out *o)
{
    put(sa, o);
}

void ike2_tcp_ao_changed(struct ike2 *c, struct ike2_sa *sa)
{
    if (sa->state == IKE2_STATE_ESTABLISHED && number_of(sa->policy) != sa->told_tcp_ao)
        ike2_task_add(c, sa, IKE2_TASK_TCP_AO);
}

void ike2_tcp_ao_take(struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike_notify n;

    if (ike_find_notify(in, IKE_N_TCP_AO_SUPPORTED, 0, &n) && n.data.len == 1)
        sa->peer_tcp_ao = n.data.p[0];
}

const char *ike2_tcp_ao_reason(const struct ike2_sa *sa, const struct ike2_child_policy *p,
                               uint16_t notify, char text[IKE2_TCP_AO_REASON])
{
    const uint8_t ours = ike_proposals_protocol(&p->proposals);

    text[0] = '\0';
    if (p->mode != IKE2_TCP_AO ||
        (notify != IKE_N_NO_PROPOSAL_CHOSEN && notify != IKE_N_TS_UNACCEPTABLE))
        return text;
    if (sa->peer_tcp_ao == 0) /* which of the two it says depends on what else it has */
        snprintf(text, IKE2_TCP_AO_REASON, ": the peer does not know TCP-AO keys");
    else if (sa->peer_tcp_ao != ours && notify == IKE_N_NO_PROPOSAL_CHOSEN)
        snprintf(text, IKE2_TCP_AO_REASON, ": the peer's number for TCP-AO keys is %u, ours %u",
                 sa->peer_tcp_ao, ours);
    return text;
}

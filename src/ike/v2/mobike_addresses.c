/*
 * What the ends of an IKE SA tell each other of their addresses (RFC 4555 3.4 to 3.6, 3.9): in
 * IKE_AUTH, and as lists thereafter.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/mobike.h"
#include "ike/v2/mobike_parts.h"
#include "ike/v2/paths.h"
#include "ike/v2/priv.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

enum { NO_NATS_MAX = 2 * 16 + 4 };

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

void ike2_mobike_put_list(const struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    put_addresses(c, sa, o);
    if (sa->mobile->told_count == 0)
        ike_notify_emit_data(o, IKE_N_NO_ADDITIONAL_ADDRESSES, gh_view_of(NULL, 0));
}

bool ike2_mobike_is_told(const struct ike2 *c, const struct ike2_sa *sa)
{
    const struct ike2_mobile *m = sa->mobile;
    struct gh_addr list[IKE2_ADDRESSES];
    size_t count = ike2_path_others(c, sa, list);
    bool same = count == m->told_count && gh_addr_equal(&m->told_from, &sa->local.addr);

    for (size_t i = 0; same && i < count; i++)
        same = gh_addr_equal(&list[i], &m->told[i]);
    return same;
}

void ike2_mobike_ask_ways(const struct ike2 *c, const struct ike2_sa *sa)
{
    struct gh_addr from;

    for (size_t i = 0; sa->mobile->first && i < sa->mobile->other_count; i++)
        ike2_path_from(c, sa->policy, &sa->mobile->others[i], &from);
}

bool ike2_mobike_take_addresses(struct ike2_mobile *m, const struct ike_payloads *in)
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

void ike2_mobike_put_no_nats(const struct ike2_sa *sa, struct ike_out *o)
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
        ike2_mobike_put_no_nats(sa, o);
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
    ike2_mobike_take_addresses(sa->mobile, in);
    ike2_mobike_ask_ways(c, sa);
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

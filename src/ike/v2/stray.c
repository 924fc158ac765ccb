/*
 * Packets of ESP and AH whose SPI the receiver does not know (RFC 7296 1.5, 3.10.1): it says
 * INVALID_SPI within an IKE SA with their sender, never beside one. Whoever hears that of an SA
 * that it sends by takes it for a hint.
 */
#include <string.h>

#include "ike/v2/child.h"
#include "ike/v2/core_priv.h"
#include "ike/v2/priv.h"
#include "ike/v2/stray.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

enum {
    PAUSE_MS = 10 * 1000, /* of one IKE SA */
    FRESH_MS = 10 * 1000  /* so young an SA may not be there yet at the other end */
};

static struct ike2_sa *sa_with(const struct ike2 *c, uint16_t zone, const struct gh_addr *local,
                               const struct gh_addr *remote)
{
    struct ike2_sa *sa = c->sas;

    while (sa != NULL &&
           !(sa->state == IKE2_STATE_ESTABLISHED && sa->local.zone == zone &&
             gh_addr_equal(&sa->remote.addr, remote) && gh_addr_equal(&sa->local.addr, local)))
        sa = sa->next;
    return sa;
}

bool ike2_spi_unknown(struct ike2 *c, struct gh_now now, uint16_t zone, const struct gh_addr *local,
                      const struct gh_addr *remote, const uint8_t spi[4])
{
    struct ike2_sa *sa = sa_with(c, zone, local, remote);
    struct ike2_task *t;

    c->now = now;
    if (sa == NULL || now.mono_ms < sa->invalid_spi_at ||
        ike2_task_waits(sa, IKE2_TASK_INVALID_SPI))
        return false;
    /* It sends by one of ours, which is on its way into the engine or out of it. */
    for (const struct ike2_child *child = sa->children; child != NULL; child = child->next)
        if (child->spi_len == 4 && memcmp(child->spi_in, spi, 4) == 0)
            return false;
    t = ike2_task_add(c, sa, IKE2_TASK_INVALID_SPI);
    if (t == NULL)
        return false;
    memcpy(t->spi, spi, 4);
    t->spi_len = 4;
    sa->invalid_spi_at = now.mono_ms + PAUSE_MS;
    ike2_count(c, IKE2_COUNT_CHILD_SPI_SENT);
    ike2_settle(c, sa);
    return true;
}

void ike2_stray_put(const struct ike2_task *t, struct ike_out *o)
{
    ike_notify_emit_data(o, IKE_N_INVALID_SPI, gh_view_of(t->spi, t->spi_len));
}

/* No SA changes by it (2.21.4). It is asked, by rekeying, whether the Child SA is there: if not,
 * the answer says so, and another takes its place (2.25). */
void ike2_stray_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_child *child;
    struct ike2_task *t;
    struct ike_notify n;

    if (!ike_find_notify(in, IKE_N_INVALID_SPI, 0, &n) || n.data.len != 4 ||
        sa->state != IKE2_STATE_ESTABLISHED)
        return;
    child = ike2_child_by_out(sa, IKE_PROTO_ESP, n.data);
    if (child == NULL)
        child = ike2_child_by_out(sa, IKE_PROTO_AH, n.data);
    if (child == NULL || child->replaced || child->going ||
        c->now.mono_ms - child->made_ms < FRESH_MS)
        return;
    t = ike2_task_add(c, sa, IKE2_TASK_CHILD_REKEY);
    if (t == NULL)
        return;
    t->child = child->id;
    t->policy = child->policy;
    child->going = true;
    ike2_fail_child(c, sa, IKE2_COUNT_CHILD_SPI_HEARD, child->id,
                    "%s: the peer says that it does not know the SPI that we send by: rekeyed",
                    child->policy->name);
}

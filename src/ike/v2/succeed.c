/* What takes the place of a Child SA or of an IKE SA (RFC 7296 2.8, 2.18). */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/deadlines.h"
#include "ike/v2/extend.h"
#include "ike/v2/followup.h"
#include "ike/v2/keys.h"
#include "ike/v2/mobike.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/succeed.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "ike/v2/window.h"

void ike2_supersede(struct ike2 *c, struct ike2_child *child)
{
    uint64_t end = c->now.mono_ms + IKE2_DELETE_MS;

    child->replaced = true;
    child->rekey_at = 0;
    if (child->policy->mode == IKE2_TCP_AO)
        return; /* until both directions have left it, or its own lifetime is over */
    if (child->expire_at == 0 || child->expire_at > end)
        child->expire_at = end;
}

static struct ike2_sa *successor(struct ike2 *c, struct ike2_sa *old, bool initiator,
                                 const uint8_t *spi_i, const uint8_t *spi_r,
                                 const struct ike2_suite *suite)
{
    struct ike2_sa *sa = ike2_sa_new(c, old->policy, initiator, &old->local, &old->remote);

    if (sa == NULL)
        return NULL;
    memcpy(sa->spi_i, spi_i, IKE_SPI_LEN);
    memcpy(sa->spi_r, spi_r, IKE_SPI_LEN);
    sa->suite = *suite;
    sa->client = old->client;
    sa->marker = old->marker;
    sa->nat_local = old->nat_local;
    sa->nat_remote = old->nat_remote;
    sa->fragmentation = old->fragmentation;
    sa->rekeys = old->rekeys + 1;
    sa->local_id = malloc(sizeof(*sa->local_id));
    sa->remote_id = malloc(sizeof(*sa->remote_id));
    if (sa->local_id == NULL || sa->remote_id == NULL) {
        ike2_sa_free(sa);
        return NULL;
    }
    *sa->local_id = *old->local_id;
    *sa->remote_id = *old->remote_id;
    ike2_proven_inherit(&sa->proven, &old->proven);
    ike2_extend_successor(c, sa, old);
    return sa;
}

/* All that hangs on the old one goes on with the new one; the old one waits for its deletion. */
void ike2_inherit(struct ike2 *c, struct ike2_sa *old, struct ike2_sa *sa)
{
    if (sa->state == IKE2_STATE_REKEYED)
        ike2_sa_established(c, sa); /* it waited for the outcome */
    sa->children = old->children;
    sa->child_count = old->child_count;
    old->children = NULL;
    old->child_count = 0;
    for (struct ike2_child *child = sa->children; child != NULL; child = child->next)
        child->sa = sa;
    while (old->waiting != NULL) {
        struct ike2_task *t = old->waiting;

        old->waiting = t->next;
        if (t->kind == IKE2_TASK_IKE_REKEY || t->kind == IKE2_TASK_LIVENESS ||
            t->kind == IKE2_TASK_WINDOW || t->kind == IKE2_TASK_BEYOND) {
            ike2_task_free(t);
            continue;
        }
        t->next = NULL;
        if (sa->waiting_tail != NULL)
            sa->waiting_tail->next = t;
        else
            sa->waiting = t;
        sa->waiting_tail = t;
    }
    old->waiting_tail = NULL;
    ike2_window_renew(c, sa);
    ike2_pending_clear(old);
    ike2_mobike_inherited(c, old, sa);
    old->rekey_at = old->task_at = 0;
    old->expire_at = c->now.mono_ms + IKE2_DELETE_MS;
    ike2_set_state(c, old, IKE2_STATE_REKEYED);
    ike2_count(c, IKE2_COUNT_SA_REKEYED);
    ike2_tell(c, sa, IKE2_EVENT_SA_REKEYED, 0, "in the place of SA %llu",
              (unsigned long long)old->id);
    ike2_tasks_run(c, sa);
    ike2_schedule(c, sa);
}

static bool bring_up(struct ike2 *c, struct ike2_sa *sa)
{
    if (!ike2_sa_link(c, sa)) {
        ike2_sa_free(sa);
        return false;
    }
    ike2_log_keys(c, sa);
    ike2_sa_name(c, sa);
    ike2_sa_established(c, sa);
    ike2_schedule(c, sa);
    return true;
}

struct ike2_sa *ike2_make_ike(struct ike2 *c, struct ike2_sa *old, bool initiator,
                              const uint8_t *spi[2], const struct ike2_suite *suite,
                              const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                              struct gh_view more)
{
    struct ike2_sa *sa = successor(c, old, initiator, spi[0], spi[1], suite);

    if (sa != NULL && !ike2_derive_rekeyed(sa, old, shared, ni, nr, more)) {
        ike2_sa_free(sa);
        sa = NULL;
    }
    return sa != NULL && bring_up(c, sa) ? sa : NULL;
}

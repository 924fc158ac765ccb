/* What there is, for who looks. */
#include <string.h>

#include "ike/v2/child.h"
#include "ike/v2/priv.h"
#include "ike/v2/tables.h"
#include "ike/v2/tell.h"

void ike2_each_sa(const struct ike2 *c, void (*fn)(void *ctx, const struct ike2_sa_view *v),
                  void *ctx)
{
    for (const struct ike2_sa *sa = c->sas; sa != NULL; sa = sa->next) {
        const struct ike2_suite *s = &sa->suite;
        struct ike2_sa_view v = {.id = sa->id,
                                 .initiator = sa->initiator,
                                 .state = sa->state,
                                 .policy = sa->policy,
                                 .local = sa->local,
                                 .remote = sa->remote,
                                 .local_id = sa->local_id,
                                 .remote_id = sa->remote_id,
                                 .proven = &sa->proven,
                                 .encr = {IKE_T_ENCR, s->encr, s->encr_bits, {NULL, 0}},
                                 .prf = {IKE_T_PRF, s->prf, 0, {NULL, 0}},
                                 .integ = {IKE_T_INTEG, s->integ, 0, {NULL, 0}},
                                 .ke = {IKE_T_KE, s->ke, 0, {NULL, 0}},
                                 .nat_local = sa->nat_local,
                                 .nat_remote = sa->nat_remote,
                                 .fragmentation = sa->fragmentation,
                                 .mobike = sa->mobile != NULL,
                                 .ppk = sa->ppk_used,
                                 .peer_token = sa->token.len > 0,
                                 .can_redirect = !sa->began && sa->can_redirect,
                                 .established_ms = sa->established_ms,
                                 .rekey_ms = sa->rekey_at,
                                 .expire_ms = sa->expire_at,
                                 .children = sa->child_count,
                                 .next_send_id = sa->send_id,
                                 .next_receive_id = sa->receive_id,
                                 .window = sa->window,
                                 .peer_window = sa->peer_window,
                                 .rekeys = sa->rekeys,
                                 .traffic = sa->traffic};

        memcpy(v.spi_i, sa->spi_i, IKE_SPI_LEN);
        memcpy(v.spi_r, sa->spi_r, IKE_SPI_LEN);
        for (size_t i = 0; i < IKE2_ADDKES; i++)
            if (s->addke[i] != IKE_KE_NONE)
                v.addke[i] =
                    (struct ike_transform){.type = (uint8_t)(IKE_T_ADDKE1 + i), .id = s->addke[i]};
        fn(ctx, &v);
    }
}

void ike2_each_child(const struct ike2 *c, uint64_t id,
                     void (*fn)(void *ctx, const struct ike2_child_view *v), void *ctx)
{
    const struct ike2_sa *sa = ike2_by_number(c, id);

    for (const struct ike2_child *child = sa != NULL ? sa->children : NULL; child != NULL;
         child = child->next) {
        struct ike_ts_list local, remote;
        struct ike_proposal suite;
        struct ike2_child_view v;

        ike2_child_view_of(sa, child, &v, &suite, &local, &remote);
        fn(ctx, &v);
    }
}

const uint64_t *ike2_counters(const struct ike2 *c)
{
    return c->counters;
}

const char *ike2_last_failure(const struct ike2 *c, enum ike2_count reason, int64_t *when)
{
    *when = c->failures[reason].when;
    return c->failures[reason].text[0] != '\0' ? c->failures[reason].text : NULL;
}

struct gh_lockout *ike2_lockout(struct ike2 *c)
{
    return c->lockout;
}

const struct ike2_settings *ike2_get_settings(const struct ike2 *c)
{
    return &c->settings;
}

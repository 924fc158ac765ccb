/*
 * SPIs that one end does not know, and quick crash detection (RFC 7296 1.5, 2.4; RFC 6290).
 *
 * Whoever lost an IKE SA says so in clear, so nobody need believe it: it is a reason to ask whether
 * the peer lives, not more. With the token that only the peer could have given, it is believed at
 * once. Our tokens are made from the SPIs and a secret that outlives us (RFC 6290 5.1).
 */
#include <string.h>

#include "ike/admission.h"
#include "ike/v2/crash.h"
#include "ike/v2/flight.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

enum {
    TOKEN_LEN = 32,
    TOKENS_HEARD = 4,   /* RFC 6290 4.5: of one message */
    HINT_MS = 30 * 1000 /* between questions to which unproven words move us */
};

/* ---- Tokens --------------------------------------------------------------------------------- */

/* Who made it is in it: else an attacker could have us make the peer's by turning a message round.
 */
static bool token_of(const struct ike2 *c, const uint8_t spi_i[IKE_SPI_LEN],
                     const uint8_t spi_r[IKE_SPI_LEN], bool initiator, uint8_t out[GH_PRF_MAX])
{
    const uint8_t role = initiator;
    const struct gh_view parts[] = {gh_view_of(&role, 1), gh_view_of(spi_i, IKE_SPI_LEN),
                                    gh_view_of(spi_r, IKE_SPI_LEN)};

    return c->has_crash_secret &&
           gh_prf(GH_PRF_HMAC_SHA2_256, gh_view_of(c->crash_secret, IKE2_CRASH_SECRET), parts, 3,
                  out);
}

static void put_token(const struct ike2 *c, struct ike_out *o, const uint8_t *spi_i,
                      const uint8_t *spi_r, bool initiator)
{
    uint8_t token[GH_PRF_MAX];

    if (token_of(c, spi_i, spi_r, initiator, token))
        ike_notify_emit(o, &(struct ike_notify){.protocol = IKE_PROTO_IKE,
                                                .type = IKE_N_QUICK_CRASH_DETECTION,
                                                .data = gh_view_of(token, TOKEN_LEN)});
    gh_wipe(token, sizeof(token));
}

void ike2_crash_put(struct ike2 *c, const struct ike2_sa *sa, struct ike_out *o)
{
    if (sa->policy->crash_tokens)
        put_token(c, o, sa->spi_i, sa->spi_r, sa->initiator);
}

void ike2_crash_take(struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike_notify n;

    if (ike_find_notify(in, IKE_N_QUICK_CRASH_DETECTION, 0, &n) && n.data.len >= 16 &&
        n.data.len <= 128)
        gh_secret_set(&sa->token, n.data.p, n.data.len);
}

/* ---- We do not know the SPI ----------------------------------------------------------------- */

static bool may_answer(struct ike2 *c)
{
    if (c->strays.since_ms == 0 || c->now.mono_ms - c->strays.since_ms >= 1000) {
        c->strays.since_ms = c->now.mono_ms;
        c->strays.sent = 0;
    }
    return c->strays.sent++ < c->settings.strays_per_second;
}

void ike2_stray(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m)
{
    uint8_t octets[IKE_HEADER_LEN + 64];
    bool initiator = !ike_header_from_initiator(&m->h); /* were we */
    struct ike_header h = {.version = IKE_VERSION_2, .exchange = m->h.exchange, .id = m->h.id};
    struct gh_view whole;
    struct ike_out o;

    /* A token for an SA that lives would end it: neither SPI may be one of ours, whatever the flag
     * in the header says. */
    if (ike_header_is_response(&m->h) || m->sealed.type == 0 ||
        ike2_by_spi(c, m->h.spi_i) != NULL || ike2_by_spi(c, m->h.spi_r) != NULL || !may_answer(c))
        return;
    memcpy(h.spi_i, m->h.spi_i, IKE_SPI_LEN);
    memcpy(h.spi_r, m->h.spi_r, IKE_SPI_LEN);
    h.flags = (uint8_t)(IKE_FLAG_RESPONSE | (initiator ? IKE_FLAG_INITIATOR : 0));
    o = ike_out_message(octets, sizeof(octets), &h);
    ike_notify_emit_data(&o, IKE_N_INVALID_IKE_SPI, gh_view_of(NULL, 0));
    put_token(c, &o, h.spi_i, h.spi_r, initiator);
    if (!ike_out_done(&o, &whole))
        return;
    ike2_count(c, IKE2_COUNT_INVALID_SPI_SENT);
    ike2_send(c, &d->local, &d->remote, d->marker, whole);
}

/* ---- The peer says so ----------------------------------------------------------------------- */

static bool proves(const struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike_notify n;

    for (size_t i = 0; i < TOKENS_HEARD && ike_find_notify(in, IKE_N_QUICK_CRASH_DETECTION, i, &n);
         i++)
        if (sa->token.len > 0 && n.data.len == sa->token.len &&
            gh_ct_equal(n.data.p, sa->token.data, n.data.len))
            return true;
    return false;
}

static void crashed(struct ike2 *c, struct ike2_sa *sa)
{
    ike2_fail(c, sa, IKE2_COUNT_PEER_CRASHED, "the peer proves that it lost this IKE SA");
    if (sa->state == IKE2_STATE_ESTABLISHED)
        ike2_sa_lost(c, sa, 0);
    else
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
}

void ike2_hint(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m)
{
    struct ike_verdict v;

    if (sa->state < IKE2_STATE_ESTABLISHED ||
        !ike_admit(IKE_STEP_STRAY, true, IKE_STATE_ESTABLISHED, m, NULL, &v) ||
        !ike_has_notify(&m->clear, IKE_N_INVALID_IKE_SPI)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    if (proves(sa, &m->clear)) {
        crashed(c, sa);
        return;
    }
    ike2_fail(c, sa, IKE2_COUNT_INVALID_SPI_HEARD,
              "somebody says without proof that the peer lost this IKE SA");
    /* Without retransmission a question that is lost would be the end, which is what a liar wants.
     */
    if (sa->state != IKE2_STATE_ESTABLISHED || sa->task != NULL || sa->waiting != NULL ||
        sa->policy->liveness_retries == 0 ||
        (sa->hinted_ms != 0 && c->now.mono_ms - sa->hinted_ms < HINT_MS))
        return;
    sa->hinted_ms = c->now.mono_ms;
    ike2_task_add(c, sa, IKE2_TASK_LIVENESS);
}

/* The core: made and freed, what comes in, time, and the keeper's answers. */
#include "ike/v2/admin.h"
#include "ike/v2/auth.h"
#include "ike/v2/core.h"
#include "ike/v2/core_priv.h"
#include "ike/v2/crash.h"
#include "ike/v2/deadlines.h"
#include "ike/v2/flight.h"
#include "ike/v2/init.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tables.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "ike/v2/tickets.h"
#include "ike/v2/whose.h"

#include <stdlib.h>
#include <string.h>

enum { COOKIE_SECRET_MS = 60 * 1000, VERSION_MS = 100 };
#define IDS_LAST UINT32_C(0xffff0000)

/* ---- Made and freed ------------------------------------------------------------------------- */

static void renew_cookies(struct ike2 *c)
{
    uint8_t fresh[IKE_COOKIE_SECRET_LEN];

    c->ops.random(c->ops.ctx, fresh, sizeof(fresh));
    ike_cookie_renew(&c->cookies, fresh);
    gh_wipe(fresh, sizeof(fresh));
    c->cookies_at = c->now.mono_ms + COOKIE_SECRET_MS;
}

struct ike2 *ike2_new(const struct ike2_ops *ops, const struct ike2_settings *settings,
                      struct gh_now now)
{
    struct ike2 *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->ops = *ops;
    c->now = now;
    c->next_id = c->next_child = c->next_job = 1;
    c->asking_end = &c->asking;
    if (!ike2_tables_new(c) || !ike2_configure(c, now, settings)) {
        ike2_free(c);
        return NULL;
    }
    renew_cookies(c);
    return c;
}

void ike2_bury(struct ike2 *c)
{
    while (c->dead != NULL) {
        struct ike2_sa *sa = c->dead;

        c->dead = sa->next_spi;
        ike2_sa_free(sa);
    }
}

void ike2_free(struct ike2 *c)
{
    if (c == NULL)
        return;
    ike2_bury(c);
    while (c->sas != NULL) {
        struct ike2_sa *sa = c->sas;

        c->sas = sa->next;
        sa->policy->sas = NULL;
        ike2_sa_free(sa);
    }
    for (size_t i = 0; i < c->whose.count; i++)
        ike2_policy_free(c->whose.policies[i]);
    ike2_whose_clear(&c->whose);
    ike2_tables_free(c);
    ike2_tickets_leave(c);
    ike2_resume_free(c);
    ike2_redirect_free(c);
    ike2_admin_free(c);
    gh_lockout_free(c->lockout);
    gh_wipe(c, sizeof(*c));
    free(c);
}

/* ---- In ------------------------------------------------------------------------------------- */

/* Before Message IDs begin again at 0, the IKE SA is rekeyed (RFC 7296 2.2). */
static void spare_ids(struct ike2 *c, struct ike2_sa *sa)
{
    uint64_t at = c->now.mono_ms + IKE2_RETRY_MS;

    if (sa->state == IKE2_STATE_ESTABLISHED &&
        (sa->send_id >= IDS_LAST || sa->receive_id >= IDS_LAST) &&
        (sa->rekey_at == 0 || sa->rekey_at > at))
        sa->rekey_at = at;
}

void ike2_settle(struct ike2 *c, struct ike2_sa *sa)
{
    if (sa->state != IKE2_STATE_DEAD)
        ike2_tasks_run(c, sa);
    if (sa->state != IKE2_STATE_DEAD) {
        if (sa->state >= IKE2_STATE_ESTABLISHED) {
            ike2_ciphers_drop(sa);
            if (sa->liveness_at == 0 && sa->state == IKE2_STATE_ESTABLISHED &&
                (sa->policy->liveness_ms > 0 || sa->nat_local))
                sa->liveness_at = c->now.mono_ms + 1;
            spare_ids(c, sa);
        }
        ike2_schedule(c, sa);
    }
}

/* Only a higher major version than ours is answered (RFC 7296 2.5), and nothing of it is believed.
 */
static void answer_version(struct ike2 *c, const struct ike2_datagram *d,
                           const struct ike_header *h)
{
    uint8_t octets[IKE_HEADER_LEN + 16];
    struct ike_header answer = *h;
    struct gh_view whole;
    struct ike_out o;

    if (ike_header_is_response(h) || c->now.mono_ms < c->version_at)
        return;
    c->version_at = c->now.mono_ms + VERSION_MS; /* whoever asks may be anybody */
    answer.version = IKE_VERSION_2;
    answer.flags = IKE_FLAG_RESPONSE;
    o = ike_out_message(octets, sizeof(octets), &answer);
    ike_notify_emit_data(&o, IKE_N_INVALID_MAJOR_VERSION, gh_view_of(NULL, 0));
    if (ike_out_done(&o, &whole))
        ike2_send(c, &d->local, &d->remote, d->marker, whole);
}

static void init_message(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m)
{
    struct ike2_sa *sa;

    if (ike_header_is_response(&m->h)) {
        sa = ike2_by_spi(c, m->h.spi_i);
        if (sa == NULL || !sa->initiator || sa->state != IKE2_STATE_INIT || m->h.id != 0 ||
            ike_header_from_initiator(&m->h) || sa->local.zone != d->local.zone) {
            ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
            return;
        }
        if (sa->task != NULL && sa->task->kind == IKE2_TASK_RESUME)
            ike2_resume_response(c, sa, d, m);
        else
            ike2_init_response(c, sa, d, m);
        ike2_settle(c, sa);
        return;
    }
    if (!ike_header_from_initiator(&m->h) || m->h.id != 0 || !ike2_spi_is_zero(m->h.spi_r) ||
        ike2_spi_is_zero(m->h.spi_i)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    sa = ike2_by_init(c, m->h.spi_i, d);
    if (sa != NULL) { /* said again: answered again, as long as it is still that exchange */
        ike2_count(c, IKE2_COUNT_REPEATED);
        if (sa->state == IKE2_STATE_AUTH && sa->receive_id == 1 && sa->setup != NULL &&
            sa->setup->request.len == d->len &&
            memcmp(sa->setup->request.data, d->data, d->len) == 0) {
            sa->asked = ike2_path_of(d);
            ike2_send_response(c, sa, 0);
        }
        return;
    }
    if (m->h.exchange == IKE_X_SESSION_RESUME)
        ike2_resume_request(c, d, m);
    else
        ike2_init_request(c, d, m);
}

void ike2_input(struct ike2 *c, struct gh_now now, const struct ike2_datagram *d)
{
    struct ike_message m;
    struct ike2_sa *sa;
    enum ike_fault fault;

    c->now = now;
    ike2_count(c, IKE2_COUNT_IN);
    if (c->lockout != NULL && gh_lockout_blocked(c->lockout, now.mono_ms, d->local.zone,
                                                 &d->remote.addr, d->remote.port)) {
        ike2_count(c, IKE2_COUNT_LOCKED_OUT);
        return;
    }
    fault = ike_message_parse(gh_view_of(d->data, d->len), &m);
    if (fault == IKE_NEW_VERSION) {
        struct ike_header h;

        if (ike_header_parse(gh_view_of(d->data, d->len), &h) == IKE_OK)
            answer_version(c, d, &h);
    }
    if (fault != IKE_OK) {
        ike2_count(c, IKE2_COUNT_MALFORMED);
        return;
    }
    if (m.h.exchange == IKE_X_SA_INIT || m.h.exchange == IKE_X_SESSION_RESUME) {
        init_message(c, d, &m);
        ike2_bury(c);
        return;
    }
    sa = ike2_by_spi(c, ike_header_from_initiator(&m.h) ? m.h.spi_r : m.h.spi_i);
    if (sa == NULL || sa->local.zone != d->local.zone ||
        memcmp(sa->initiator ? sa->spi_r : sa->spi_i, sa->initiator ? m.h.spi_r : m.h.spi_i,
               IKE_SPI_LEN) != 0) {
        ike2_count(c, IKE2_COUNT_UNKNOWN_SPI);
        ike2_stray(c, d, &m);
        return;
    }
    c->arriving = d;
    ike2_sealed(c, sa, d, &m);
    c->arriving = NULL;
    ike2_settle(c, sa);
    ike2_bury(c);
}

/* ---- Time and jobs -------------------------------------------------------------------------- */

uint64_t ike2_next_deadline(const struct ike2 *c)
{
    uint64_t first = c->heap_count > 0 ? c->heap[0]->due : UINT64_MAX;

    return c->half_open > 0 && c->cookies_at < first ? c->cookies_at : first;
}

void ike2_tick(struct ike2 *c, struct gh_now now)
{
    c->now = now;
    if (now.mono_ms >= c->cookies_at)
        renew_cookies(c);
    while (c->heap_count > 0 && c->heap[0]->due <= now.mono_ms) {
        struct ike2_sa *sa = c->heap[0];
        uint64_t was = sa->due;

        ike2_sa_tick(c, sa);
        if (sa->state == IKE2_STATE_DEAD)
            continue;
        ike2_settle(c, sa);
        if (sa->heap_at != 0 && sa->due <= was && sa->due <= now.mono_ms) {
            /* A deadline that its tick does not move would be one for ever. */
            ike2_postpone(c, sa, now.mono_ms + 1000);
        }
    }
    ike2_bury(c);
}

void ike2_forget_asking(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_sa **at = &c->asking;

    while (*at != NULL && *at != sa)
        at = &(*at)->next_asking;
    if (*at == NULL)
        return;
    *at = sa->next_asking;
    if (c->asking_end == &sa->next_asking)
        c->asking_end = at;
    sa->next_asking = NULL;
    sa->job = IKE2_JOB_NONE;
}

bool ike2_ask(struct ike2 *c, struct ike2_sa *sa, enum ike2_job job, struct gh_keeper_request *r)
{
    sa->job_id = r->id = c->next_job++;
    sa->job = job;
    sa->next_asking = NULL;
    *c->asking_end = sa;
    c->asking_end = &sa->next_asking;
    if (c->ops.ask(c->ops.ctx, r))
        return true;
    ike2_forget_asking(c, sa);
    return false;
}

void ike2_complete(struct ike2 *c, struct gh_now now, const struct gh_keeper_answer *a)
{
    struct ike2_sa *sa = c->asking;
    enum ike2_job job;

    c->now = now;
    while (sa != NULL && sa->job_id != a->id)
        sa = sa->next_asking;
    if (sa == NULL)
        return; /* its SA is gone */
    job = sa->job;
    ike2_forget_asking(c, sa);
    ike2_auth_answered(c, sa, job, a);
    ike2_settle(c, sa);
    ike2_bury(c);
}

/*
 * Window sizes (RFC 7296 2.3): how many requests of ours may be out at a time, which of the peer's
 * are taken, and what is kept of them until nobody can ask for it again.
 *
 * The peer's requests are told apart by `receive_id`, the first that is not answered, and a bit for
 * each behind it that is. A window of one is the same with nothing behind.
 */
#include <stdlib.h>

#include "ike/fragment.h"
#include "ike/v2/priv.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"
#include "ike/v2/window.h"

enum { BEYOND_MS = 1000 };

void ike2_window_begin(struct ike2_sa *sa)
{
    sa->window = sa->peer_window = 1;
}

void ike2_window_free(struct ike2_sa *sa)
{
    while (sa->responses != NULL) {
        struct ike2_flight *f = sa->responses;

        sa->responses = f->next;
        free(f);
    }
    while (sa->partials != NULL)
        ike2_partial_drop(sa, sa->partials->response, sa->partials->id);
}

/* ---- SET_WINDOW_SIZE ------------------------------------------------------------------------ */

void ike2_window_put(const struct ike2_sa *sa, struct ike_out *o)
{
    const uint8_t size[4] = {0, 0, 0, sa->policy->window};

    if (sa->policy->window > 1)
        ike_notify_emit_data(o, IKE_N_SET_WINDOW_SIZE, gh_view_of(size, sizeof(size)));
}

/* What was promised once is never less (RFC 7296 2.3). */
void ike2_window_promise(struct ike2_sa *sa, struct ike_out *o)
{
    if (sa->state != IKE2_STATE_ESTABLISHED || sa->policy->window <= sa->window)
        return;
    ike2_window_put(sa, o);
    sa->window = sa->policy->window;
}

void ike2_window_heard(struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike_notify n;
    uint32_t size;

    if (!ike_find_notify(in, IKE_N_SET_WINDOW_SIZE, 0, &n) ||
        ike_u32_read(n.data, &size) != IKE_OK || size <= sa->peer_window)
        return;
    sa->peer_window = size < IKE2_WINDOW_MAX ? (uint8_t)size : IKE2_WINDOW_MAX;
}

void ike2_window_open(struct ike2_sa *sa)
{
    if (sa->rekeys == 0)
        sa->window = sa->policy->window;
}

void ike2_window_renew(struct ike2 *c, struct ike2_sa *sa)
{
    if (sa->initiator && sa->policy->window > sa->window)
        ike2_task_first(c, sa, IKE2_TASK_WINDOW);
}

/* ---- Ours ----------------------------------------------------------------------------------- */

bool ike2_window_has(const struct ike2_sa *sa, uint32_t id)
{
    uint32_t size = sa->peer_window < sa->policy->window ? sa->peer_window : sa->policy->window;
    uint32_t oldest = id;

    for (const struct ike2_task *t = sa->task; t != NULL; t = t->next)
        if (t->request != NULL && t->request->id < oldest)
            oldest = t->request->id;
    return id - oldest < size;
}

/* ---- The peer's ----------------------------------------------------------------------------- */

enum ike2_place ike2_window_place(const struct ike2_sa *sa, uint32_t id)
{
    uint32_t ahead = id - sa->receive_id;

    if (id < sa->receive_id)
        return IKE2_PLACE_OLD;
    if (ahead >= sa->window)
        return IKE2_PLACE_BEYOND;
    return sa->answered >> ahead & 1 ? IKE2_PLACE_OLD : IKE2_PLACE_NEW;
}

void ike2_window_answered(struct ike2_sa *sa)
{
    uint32_t ahead = sa->asked_id - sa->receive_id;

    if (ahead >= IKE2_WINDOW_MAX)
        return; /* it was answered before */
    sa->answered |= UINT64_C(1) << ahead;
    for (; sa->answered & 1; sa->answered >>= 1)
        sa->receive_id++;
}

/* Whoever sends a request has the answers to all that are a window older. */
void ike2_keep_response(struct ike2_sa *sa, struct ike2_flight *f)
{
    struct ike2_flight **at = &sa->responses;

    for (; *at != NULL && (*at)->id > f->id; at = &(*at)->next)
        ;
    f->next = *at;
    *at = f;
    at = &sa->responses;
    for (size_t i = 0; i < sa->window && *at != NULL; i++)
        at = &(*at)->next;
    while (*at != NULL) {
        struct ike2_flight *old = *at;

        *at = old->next;
        free(old);
    }
}

const struct ike2_flight *ike2_kept_response(const struct ike2_sa *sa, uint32_t id)
{
    const struct ike2_flight *f = sa->responses;

    while (f != NULL && f->id != id)
        f = f->next;
    return f;
}

/* ---- INVALID_MESSAGE_ID --------------------------------------------------------------------- */

void ike2_window_beyond(struct ike2 *c, struct ike2_sa *sa, uint32_t id)
{
    struct ike2_task *t;

    if (sa->state != IKE2_STATE_ESTABLISHED || c->now.mono_ms < c->beyond_at ||
        ike2_task_waits(sa, IKE2_TASK_BEYOND))
        return;
    c->beyond_at = c->now.mono_ms + BEYOND_MS;
    t = ike2_task_add(c, sa, IKE2_TASK_BEYOND);
    if (t != NULL)
        t->beyond = id;
}

void ike2_window_beyond_put(const struct ike2_task *t, struct ike_out *o)
{
    uint8_t octets[4];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));

    gh_wr_u32(&w, t->beyond);
    ike_notify_emit_data(o, IKE_N_INVALID_MESSAGE_ID, gh_view_of(octets, w.len));
}

/* Ours goes on being repeated: the peer may have room for it later. */
void ike2_window_beyond_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike_notify n;
    uint32_t id;

    if (ike_find_notify(in, IKE_N_INVALID_MESSAGE_ID, 0, &n) && ike_u32_read(n.data, &id) == IKE_OK)
        ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED, "the peer has no room for our request %u", id);
}

/* ---- Fragments ------------------------------------------------------------------------------ */

struct ike_reassembly *ike2_partial(struct ike2 *c, struct ike2_sa *sa, bool response, uint32_t id)
{
    struct ike2_partial **at = &sa->partials, *p;

    while ((p = *at) != NULL) {
        if (p->response == response && p->id == id)
            return &p->r;
        if (!ike_reassembly_expired(&p->r, c->now.mono_ms)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        ike_reassembly_clear(&p->r);
        free(p);
    }
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->response = response;
    p->id = id;
    *at = p;
    return &p->r;
}

void ike2_partial_drop(struct ike2_sa *sa, bool response, uint32_t id)
{
    struct ike2_partial **at = &sa->partials, *p;

    while ((p = *at) != NULL && (p->response != response || p->id != id))
        at = &p->next;
    if (p == NULL)
        return;
    *at = p->next;
    ike_reassembly_clear(&p->r);
    free(p);
}

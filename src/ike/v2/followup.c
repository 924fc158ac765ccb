/*
 * IKE_FOLLOWUP_KE (RFC 9370 2.2.4): the additional key exchanges of a CREATE_CHILD_SA, each in an
 * exchange of its own, linked by ADDITIONAL_KEY_EXCHANGE. Only when all are over is the SA made:
 * create.c begins them, and is called again with SK(1) | SK(2) | … at the end.
 *
 * What the initiator knows hangs on its task, what the responder knows on the IKE SA.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/ke.h"
#include "ike/ke_payload.h"
#include "ike/v2/addke.h"
#include "ike/v2/create.h"
#include "ike/v2/flight.h"
#include "ike/v2/followup.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

enum { WAIT_MS = 20 * 1000, LINK = 8, LOST_MAX = 3 };

/* more = more | shared */
static bool add(struct gh_secret *more, const struct gh_secret *shared)
{
    struct gh_secret all = {.data = malloc(more->len + shared->len),
                            .len = more->len + shared->len};

    if (all.data == NULL)
        return false;
    if (more->len > 0)
        memcpy(all.data, more->data, more->len);
    memcpy(all.data + more->len, shared->data, shared->len);
    gh_secret_clear(more);
    *more = all;
    return true;
}

static void put_link(struct ike_out *o, const struct gh_secret *link)
{
    ike_notify_emit_data(o, IKE_N_ADDITIONAL_KEY_EXCHANGE, ike2_view(link));
}

/* ---- Initiator ------------------------------------------------------------------------------ */

void ike2_followup_free(struct ike2_followup *f)
{
    if (f == NULL)
        return;
    gh_ke_free(f->ke);
    gh_secret_clear(&f->more);
    gh_secret_clear(&f->link);
    gh_secret_clear(&f->answer);
    free(f);
}

bool ike2_followup_wanted(const struct ike2_task *t, const struct ike2_suite *suite)
{
    return ike2_addke(suite, t->followup != NULL ? t->followup->done : 0) != IKE_KE_NONE;
}

struct gh_view ike2_followup_keys(const struct ike2_task *t)
{
    return t->followup != NULL ? ike2_view(&t->followup->more) : gh_view_of(NULL, 0);
}

static bool take_link(struct ike2_followup *f, const struct ike_payloads *in)
{
    struct ike_notify n;

    return ike_find_notify(in, IKE_N_ADDITIONAL_KEY_EXCHANGE, 0, &n) && n.data.len > 0 &&
           gh_secret_set(&f->link, n.data.p, n.data.len);
}

static bool request(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    struct ike2_followup *f = t->followup;
    uint16_t group = ike2_addke(&f->suite, f->done);
    struct ike_out o = ike2_inner(c);

    gh_ke_free(f->ke);
    f->ke = NULL;
    if (!ike2_make_ke(c, group, &f->ke))
        return false;
    ike_ke_emit(&o, &(struct ike_ke){.method = group, .data = gh_ke_public(f->ke)});
    put_link(&o, &f->link);
    return ike2_request(c, sa, t, IKE_X_FOLLOWUP_KE, &o);
}

bool ike2_followup_begin(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                         const struct ike2_suite *suite, const struct ike_payloads *in,
                         uint8_t first, struct gh_view octets)
{
    struct ike2_followup *f = calloc(1, sizeof(*f));

    t->followup = f;
    if (f == NULL)
        return false;
    f->suite = *suite;
    f->answer_first = first;
    return gh_secret_set(&f->answer, octets.p, octets.len) && take_link(f, in) && request(c, sa, t);
}

/* The responder has forgotten it: once more from the beginning, but not for ever. */
static void lost(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED,
              "IKE_FOLLOWUP_KE: the peer has forgotten what it was");
    if (t->their_sa != NULL) {
        ike2_create_abandon(c, sa, t);
        return;
    }
    if (++sa->followups_lost <= LOST_MAX) {
        ike2_task_again(c, sa, t);
        return;
    }
    ike2_create_abandon(c, sa, t);
    t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
    if (t != NULL)
        t->why = IKE2_REMOVED_LOST;
}

static bool take_value(struct ike2_followup *f, const struct ike_payloads *in)
{
    const struct ike_payload *payload = ike_find(in, IKE_P_KE, 0);
    struct gh_secret shared = {.data = NULL};
    struct ike_ke ke;
    bool good = payload != NULL && ike_ke_parse(payload->body, &ke) == IKE_OK &&
                ke.method == gh_ke_group(f->ke) && gh_ke_shared(f->ke, ke.data, &shared) &&
                add(&f->more, &shared);

    gh_secret_clear(&shared);
    return good;
}

void ike2_followup_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                            const struct ike_payloads *in)
{
    struct ike2_followup *f = t->followup;
    struct ike_payloads answer = {.count = 0};
    struct ike_notify n = {.type = 0};

    if (ike_find(in, IKE_P_KE, 0) == NULL && ike_find_error(in, &n) &&
        n.type == IKE_N_STATE_NOT_FOUND) {
        lost(c, sa, t);
        return;
    }
    if (take_value(f, in)) {
        f->done++;
        if (ike2_addke(&f->suite, f->done) != IKE_KE_NONE) {
            if (take_link(f, in) && request(c, sa, t))
                return;
        } else if (ike_payloads_parse(f->answer_first, ike2_view(&f->answer), &answer) == IKE_OK) {
            sa->followups_lost = 0;
            ike2_create_response(c, sa, t, &answer, f->answer_first, ike2_view(&f->answer));
            return;
        }
    }
    ike2_fail(c, sa, IKE2_COUNT_INVALID_KE, "IKE_FOLLOWUP_KE failed: %s",
              n.type != 0 && ike_notify_name(n.type) != NULL ? ike_notify_name(n.type)
                                                             : "its answer is not to be used");
    ike2_create_abandon(c, sa, t);
}

/* ---- Responder ------------------------------------------------------------------------------ */

static void pending_free(struct ike2_pending *p)
{
    gh_secret_clear(&p->shared);
    gh_secret_clear(&p->more);
    gh_secret_clear(&p->link);
    gh_wipe(p, sizeof(*p));
    free(p);
}

/* The owner of `p` is the caller now. */
static void take_out(struct ike2_sa *sa, struct ike2_pending *p)
{
    struct ike2_pending **at = &sa->pending;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

void ike2_pending_clear(struct ike2_sa *sa)
{
    while (sa->pending != NULL) {
        struct ike2_pending *p = sa->pending;

        sa->pending = p->next;
        pending_free(p);
    }
}

void ike2_pending_expire(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_pending *next;

    for (struct ike2_pending *p = sa->pending; p != NULL; p = next) {
        next = p->next;
        if (c->now.mono_ms < p->expire_at)
            continue;
        take_out(sa, p);
        pending_free(p);
    }
}

/* Whoever begins the same anew has forgotten it; and of more than the window nobody can be. */
static void make_room(struct ike2_sa *sa, uint8_t protocol, uint32_t old)
{
    struct ike2_pending *next;
    size_t count = 1;

    for (struct ike2_pending *p = sa->pending; p != NULL; p = next) {
        next = p->next;
        if (++count <= sa->window && (old == 0 || p->old != old) &&
            (protocol != IKE_PROTO_IKE || p->suite.protocol != IKE_PROTO_IKE))
            continue;
        take_out(sa, p);
        pending_free(p);
    }
}

static bool new_link(struct ike2 *c, struct ike2_pending *p)
{
    uint8_t octets[LINK];

    c->ops.random(c->ops.ctx, octets, LINK);
    p->expire_at = c->now.mono_ms + WAIT_MS;
    return gh_secret_set(&p->link, octets, LINK);
}

struct ike2_pending *ike2_pending_new(struct ike2 *c, struct ike2_sa *sa, uint32_t old,
                                      const struct ike2_suite *suite, struct gh_secret *shared,
                                      struct gh_view ni, struct gh_view nr)
{
    struct ike2_pending *p = calloc(1, sizeof(*p));

    make_room(sa, suite->protocol, old);
    if (p == NULL || !new_link(c, p)) {
        free(p);
        return NULL;
    }
    p->next = sa->pending;
    sa->pending = p;
    p->old = old;
    p->suite = *suite;
    p->shared = *shared;
    *shared = (struct gh_secret){.data = NULL};
    memcpy(p->ni, ni.p, ni.len);
    p->ni_len = ni.len;
    memcpy(p->nr, nr.p, nr.len);
    p->nr_len = nr.len;
    return p;
}

void ike2_pending_put(const struct ike2_pending *p, struct ike_out *o)
{
    put_link(o, &p->link);
}

bool ike2_pending_holds(const struct ike2_sa *sa)
{
    const struct ike2_pending *p = sa->pending;

    while (p != NULL && p->suite.protocol != IKE_PROTO_IKE)
        p = p->next;
    return p != NULL;
}

bool ike2_pending_replaces(const struct ike2_sa *sa, uint32_t child)
{
    const struct ike2_pending *p = sa->pending;

    while (p != NULL && p->old != child)
        p = p->next;
    return p != NULL;
}

static struct ike2_pending *linked(const struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_pending *p = sa->pending;
    struct ike_notify n;

    if (!ike_find_notify(in, IKE_N_ADDITIONAL_KEY_EXCHANGE, 0, &n))
        return NULL;
    while (p != NULL && !gh_view_equal(n.data, ike2_view(&p->link)))
        p = p->next;
    return p;
}

static bool answer(struct ike2 *c, struct ike2_pending *p, const struct ike_payloads *in,
                   struct ike_out *o)
{
    uint16_t group = ike2_addke(&p->suite, p->done);
    uint8_t public_value[GH_KE_PUBLIC_MAX];
    struct gh_secret shared = {.data = NULL};
    struct ike_ke ke;
    bool good = ike_ke_parse(ike_find(in, IKE_P_KE, 0)->body, &ke) == IKE_OK &&
                ke.method == group && ike2_answer_ke(c, group, ke.data, public_value, &shared) &&
                add(&p->more, &shared);

    gh_secret_clear(&shared);
    if (!good)
        return false;
    p->done++;
    ike_ke_emit(o,
                &(struct ike_ke){.method = group,
                                 .data = gh_view_of(public_value, gh_ke_public_len(group, true))});
    return true;
}

void ike2_followup_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_pending *p = linked(sa, in);
    struct ike_out o = ike2_inner(c);

    if (sa->state != IKE2_STATE_ESTABLISHED || p == NULL) {
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_STATE_NOT_FOUND, gh_view_of(NULL, 0));
        return;
    }
    take_out(sa, p);
    if (!answer(c, p, in, &o)) {
        ike2_fail(c, sa, IKE2_COUNT_INVALID_KE,
                  "IKE_FOLLOWUP_KE: the peer's key exchange is not the one that was agreed on, or "
                  "refused");
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_INVALID_SYNTAX, gh_view_of(NULL, 0));
    } else if (ike2_addke(&p->suite, p->done) == IKE_KE_NONE) {
        ike2_create_finish(c, sa, p, &o);
    } else if (!new_link(c, p)) {
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_TEMPORARY_FAILURE, gh_view_of(NULL, 0));
    } else {
        p->next = sa->pending;
        sa->pending = p;
        ike2_pending_put(p, &o);
        ike2_respond(c, sa, IKE_X_FOLLOWUP_KE, &o);
        return;
    }
    pending_free(p);
}

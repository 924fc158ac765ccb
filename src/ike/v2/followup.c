/*
 * IKE_FOLLOWUP_KE (RFC 9370 2.2.4): the additional key exchanges of a CREATE_CHILD_SA, each in an
 * exchange of its own, linked by ADDITIONAL_KEY_EXCHANGE. Only when all are over is the SA made:
 * create.c begins them, and is called again with SK(1) | SK(2) | … at the end.
 *
 * What the initiator knows hangs on its task, what the responder knows on the IKE SA.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/ke_payload.h"
#include "ike/v2/priv.h"

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

static bool request(struct ike2 *c, struct ike2_sa *sa, struct ike2_followup *f)
{
    uint16_t group = ike2_addke(&f->suite, f->done);
    struct ike_out o = ike2_inner(c);

    gh_ke_free(f->ke);
    f->ke = NULL;
    if (!ike2_make_ke(c, group, &f->ke))
        return false;
    ike_ke_emit(&o, &(struct ike_ke){.method = group, .data = gh_ke_public(f->ke)});
    put_link(&o, &f->link);
    return ike2_request(c, sa, IKE_X_FOLLOWUP_KE, &o);
}

bool ike2_followup_begin(struct ike2 *c, struct ike2_sa *sa, const struct ike2_suite *suite,
                         const struct ike_payloads *in, uint8_t first, struct gh_view octets)
{
    struct ike2_followup *f = calloc(1, sizeof(*f));

    sa->task->followup = f;
    if (f == NULL)
        return false;
    f->suite = *suite;
    f->answer_first = first;
    return gh_secret_set(&f->answer, octets.p, octets.len) && take_link(f, in) && request(c, sa, f);
}

/* The responder has forgotten it: once more from the beginning, but not for ever. */
static void lost(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_task *t;

    ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED,
              "IKE_FOLLOWUP_KE: the peer has forgotten what it was");
    if (sa->task->their_sa != NULL) {
        ike2_create_abandon(c, sa);
        return;
    }
    if (++sa->followups_lost <= LOST_MAX) {
        ike2_task_again(c, sa);
        return;
    }
    ike2_create_abandon(c, sa);
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

void ike2_followup_response(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike2_followup *f = sa->task->followup;
    struct ike_payloads answer = {.count = 0};
    struct ike_notify n = {.type = 0};

    if (ike_find(in, IKE_P_KE, 0) == NULL && ike_find_error(in, &n) &&
        n.type == IKE_N_STATE_NOT_FOUND) {
        lost(c, sa);
        return;
    }
    if (take_value(f, in)) {
        f->done++;
        if (ike2_addke(&f->suite, f->done) != IKE_KE_NONE) {
            if (take_link(f, in) && request(c, sa, f))
                return;
        } else if (ike_payloads_parse(f->answer_first, ike2_view(&f->answer), &answer) == IKE_OK) {
            sa->followups_lost = 0;
            ike2_create_response(c, sa, &answer, f->answer_first, ike2_view(&f->answer));
            return;
        }
    }
    ike2_fail(c, sa, IKE2_COUNT_INVALID_KE, "IKE_FOLLOWUP_KE failed: %s",
              n.type != 0 && ike_notify_name(n.type) != NULL ? ike_notify_name(n.type)
                                                             : "its answer is not to be used");
    ike2_create_abandon(c, sa);
}

/* ---- Responder ------------------------------------------------------------------------------ */

void ike2_pending_clear(struct ike2_sa *sa)
{
    struct ike2_pending *p = sa->pending;

    if (p == NULL)
        return;
    sa->pending = NULL;
    gh_secret_clear(&p->shared);
    gh_secret_clear(&p->more);
    gh_secret_clear(&p->link);
    gh_wipe(p, sizeof(*p));
    free(p);
}

static bool new_link(struct ike2 *c, struct ike2_pending *p)
{
    uint8_t octets[LINK];

    c->ops.random(c->ops.ctx, octets, LINK);
    p->expire_at = c->now.mono_ms + WAIT_MS;
    return gh_secret_set(&p->link, octets, LINK);
}

struct ike2_pending *ike2_pending_new(struct ike2 *c, struct ike2_sa *sa,
                                      const struct ike2_suite *suite, struct gh_secret *shared,
                                      struct gh_view ni, struct gh_view nr)
{
    struct ike2_pending *p = calloc(1, sizeof(*p));

    ike2_pending_clear(sa); /* whoever begins anew has forgotten it */
    sa->pending = p;
    if (p == NULL || !new_link(c, p)) {
        ike2_pending_clear(sa);
        return NULL;
    }
    p->suite = *suite;
    p->shared = *shared;
    *shared = (struct gh_secret){.data = NULL};
    memcpy(p->ni, ni.p, ni.len);
    p->ni_len = ni.len;
    memcpy(p->nr, nr.p, nr.len);
    p->nr_len = nr.len;
    return p;
}

void ike2_pending_put(const struct ike2_sa *sa, struct ike_out *o)
{
    if (sa->pending != NULL)
        put_link(o, &sa->pending->link);
}

bool ike2_pending_holds(const struct ike2_sa *sa)
{
    return sa->pending != NULL && sa->pending->suite.protocol == IKE_PROTO_IKE;
}

static bool is_linked(const struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike_notify n;

    return sa->pending != NULL && ike_find_notify(in, IKE_N_ADDITIONAL_KEY_EXCHANGE, 0, &n) &&
           gh_view_equal(n.data, ike2_view(&sa->pending->link));
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
    struct ike_out o = ike2_inner(c);

    if (sa->state != IKE2_STATE_ESTABLISHED || !is_linked(sa, in)) {
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_STATE_NOT_FOUND, gh_view_of(NULL, 0));
        return;
    }
    if (!answer(c, sa->pending, in, &o)) {
        ike2_fail(c, sa, IKE2_COUNT_INVALID_KE,
                  "IKE_FOLLOWUP_KE: the peer's key exchange is not the one that was agreed on, or "
                  "refused");
        ike2_pending_clear(sa);
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_INVALID_SYNTAX, gh_view_of(NULL, 0));
        return;
    }
    if (ike2_addke(&sa->pending->suite, sa->pending->done) == IKE_KE_NONE) {
        ike2_create_finish(c, sa, &o);
        ike2_pending_clear(sa);
        return;
    }
    if (!new_link(c, sa->pending)) {
        ike2_pending_clear(sa);
        ike2_respond_notify(c, sa, IKE_X_FOLLOWUP_KE, IKE_N_TEMPORARY_FAILURE, gh_view_of(NULL, 0));
        return;
    }
    ike2_pending_put(sa, &o);
    ike2_respond(c, sa, IKE_X_FOLLOWUP_KE, &o);
}

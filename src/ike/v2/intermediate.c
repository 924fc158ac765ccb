/*
 * IKE_INTERMEDIATE (RFC 9242) with an additional key exchange in each (RFC 9370 2.2.2), between
 * IKE_SA_INIT and IKE_AUTH. What both said there is authenticated by IntAuth in IKE_AUTH.
 */
#include <string.h>

#include "crypto/ke.h"
#include "ike/ke_payload.h"
#include "ike/v2/addke.h"
#include "ike/v2/flight.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

/* ---- IKE_SA_INIT ---------------------------------------------------------------------------- */

void ike2_intermediate_put(struct ike_out *o)
{
    ike_notify_emit_data(o, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED, gh_view_of(NULL, 0));
}

bool ike2_intermediate_heard(const struct ike_message *m)
{
    return ike_has_notify(&m->clear, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED);
}

/* ---- IntAuth -------------------------------------------------------------------------------- */

/* IntAuth_[i/r]n = prf(SK_p[i/r], IntAuth_[i/r](n-1) | A | P): header, payloads in clear and the
 * generic header of SK, as if nothing but the content were in it; then the content. */
bool ike2_int_auth(struct ike2_sa *sa, bool initiator, const struct ike_header *header,
                   struct gh_view clear, uint8_t flags, uint8_t first, struct gh_view inner)
{
    struct ike2_intermediate *in = &sa->setup->intermediate;
    enum gh_prf_alg prf = (enum gh_prf_alg)sa->suite.prf;
    uint8_t *value = in->auth[initiator], octets[IKE_HEADER_LEN], generic[IKE_PAYLOAD_HEADER_LEN];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));
    struct gh_wr g = gh_wr_make(generic, sizeof(generic));
    struct ike_header h = *header;
    uint8_t fresh[GH_PRF_MAX];

    if (clear.len == 0)
        h.next = IKE_P_SK; /* of fragments: SKF */
    h.length = (uint32_t)(IKE_HEADER_LEN + clear.len + IKE_PAYLOAD_HEADER_LEN + inner.len);
    ike_header_emit(&w, &h);
    gh_wr_u8(&g, first);
    gh_wr_u8(&g, flags);
    gh_wr_u16(&g, IKE_PAYLOAD_HEADER_LEN + inner.len);

    const struct gh_view parts[] = {gh_view_of(value, in->done > 0 ? gh_prf_len(prf) : 0),
                                    gh_view_of(octets, sizeof(octets)), clear,
                                    gh_view_of(generic, sizeof(generic)), inner};
    if (!gh_wr_ok(&w) || !gh_wr_ok(&g) || !gh_prf(prf, ike2_sk_p(sa, initiator), parts, 5, fresh))
        return false;
    memcpy(value, fresh, sizeof(fresh));
    return true;
}

static bool note_own(struct ike2_sa *sa, bool response, struct ike_out *o)
{
    struct ike_header h =
        ike2_header(sa, IKE_X_INTERMEDIATE, response ? sa->asked_id : sa->send_id, response);
    struct gh_view inner;

    return ike_out_done(o, &inner) &&
           ike2_int_auth(sa, sa->initiator, &h, gh_view_of(NULL, 0), 0, o->first, inner);
}

static bool note_peers(struct ike2_sa *sa, const struct ike_message *m, uint8_t first,
                       struct gh_view inner)
{
    struct gh_view clear = gh_view_of(NULL, 0);

    if (m->clear.count > 0) {
        if (m->sealed.type == IKE_P_SKF)
            return false; /* only the first fragment would have them; nobody sends any */
        clear = gh_view_of(m->clear.payload[0].body.p - IKE_PAYLOAD_HEADER_LEN,
                           m->sealed.offset - IKE_HEADER_LEN);
    }
    return ike2_int_auth(sa, !sa->initiator, &m->h, clear, m->sealed.flags, first, inner);
}

size_t ike2_int_auth_put(const struct ike2_sa *sa, uint8_t out[IKE2_INT_AUTH_MAX])
{
    const struct ike2_intermediate *in = &sa->setup->intermediate;
    size_t len = gh_prf_len((enum gh_prf_alg)sa->suite.prf);
    struct gh_wr w = gh_wr_make(out, IKE2_INT_AUTH_MAX);

    if (in->done == 0)
        return 0;
    gh_wr_bytes(&w, in->auth[true], len);
    gh_wr_bytes(&w, in->auth[false], len);
    gh_wr_u32(&w, 1 + in->done); /* IKE_AUTH's Message ID */
    return w.len;
}

/* ---- Key exchanges -------------------------------------------------------------------------- */

uint16_t ike2_intermediate_next(const struct ike2_sa *sa)
{
    if (sa->setup->resumed != NULL) /* SK_d of the former IKE SA has them in it */
        return IKE_KE_NONE;
    return ike2_addke(&sa->suite, sa->setup->intermediate.done);
}

/* Our half is done, the exchange is over: SK_*(n) from SK_d(n-1). */
static bool new_keys(struct ike2 *c, struct ike2_sa *sa, struct gh_secret *shared)
{
    const struct ike2_setup *s = sa->setup;
    bool good = ike2_derive_rekeyed(sa, sa, shared, gh_view_of(s->nonce_i, s->nonce_i_len),
                                    gh_view_of(s->nonce_r, s->nonce_r_len), gh_view_of(NULL, 0));

    gh_secret_clear(shared);
    sa->setup->intermediate.done++;
    if (good)
        ike2_log_keys(c, sa);
    return good;
}

static void fail(struct ike2 *c, struct ike2_sa *sa, const char *why)
{
    const char *name = ike_ke_name(ike2_intermediate_next(sa));

    ike2_fail(c, sa, IKE2_COUNT_INVALID_KE, "IKE_INTERMEDIATE with %s: %s",
              name != NULL ? name : "no key exchange", why);
}

void ike2_intermediate_start(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_task *t = sa->task;
    struct ike_out o = ike2_inner(c);

    t->group = ike2_intermediate_next(sa);
    if (ike2_make_ke(c, t->group, &t->ke)) {
        ike_ke_emit(&o, &(struct ike_ke){.method = t->group, .data = gh_ke_public(t->ke)});
        if (note_own(sa, false, &o) && ike2_request(c, sa, t, IKE_X_INTERMEDIATE, &o))
            return;
    }
    fail(c, sa, "it could not be made");
    ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
}

void ike2_intermediate_response(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                                const struct ike_payloads *in, uint8_t first, struct gh_view inner)
{
    const struct ike_payload *payload = ike_find(in, IKE_P_KE, 0);
    struct gh_secret shared = {.data = NULL};
    struct ike_notify n;
    struct ike_ke ke;

    if (payload == NULL || ike_ke_parse(payload->body, &ke) != IKE_OK ||
        ke.method != sa->task->group || !gh_ke_shared(sa->task->ke, ke.data, &shared) ||
        !note_peers(sa, m, first, inner)) {
        const char *name = ike_find_error(in, &n) ? ike_notify_name(n.type) : NULL;

        gh_secret_clear(&shared);
        fail(c, sa, name != NULL ? name : "the answer is not what was asked for");
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    ike2_task_done(sa, sa->task);
    if (!new_keys(c, sa, &shared)) {
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    ike2_intermediate_go_on(c, sa);
}

void ike2_intermediate_go_on(struct ike2 *c, struct ike2_sa *sa)
{
    bool more = ike2_intermediate_next(sa) != IKE_KE_NONE;

    ike2_task_first(c, sa, more ? IKE2_TASK_INTERMEDIATE : IKE2_TASK_AUTH);
}

/* What the request brought and our half of it. False: the peer's value is none. */
static bool answer(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                   struct ike_out *o, struct gh_secret *shared)
{
    const struct ike_payload *payload = ike_find(in, IKE_P_KE, 0);
    uint16_t group = ike2_intermediate_next(sa);
    uint8_t public_value[GH_KE_PUBLIC_MAX];
    struct ike_ke ke;

    if (payload == NULL || ike_ke_parse(payload->body, &ke) != IKE_OK || ke.method != group ||
        !ike2_answer_ke(c, group, ke.data, public_value, shared))
        return false;
    ike_ke_emit(o,
                &(struct ike_ke){.method = group,
                                 .data = gh_view_of(public_value, gh_ke_public_len(group, true))});
    return true;
}

void ike2_intermediate_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                               const struct ike_payloads *in, uint8_t first, struct gh_view inner)
{
    struct gh_secret shared = {.data = NULL};
    struct ike_out o = ike2_inner(c);

    if (sa->initiator || sa->setup == NULL || sa->setup->refused ||
        ike2_intermediate_next(sa) == IKE_KE_NONE) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    if (!note_peers(sa, m, first, inner) || !answer(c, sa, in, &o, &shared)) {
        fail(c, sa, "the peer's key exchange is not the one that was agreed on, or refused");
        gh_secret_clear(&shared);
        ike2_respond_notify(c, sa, IKE_X_INTERMEDIATE, IKE_N_INVALID_SYNTAX, gh_view_of(NULL, 0));
        sa->setup->refused = true;
        return;
    }
    /* Answered under the keys of the request; each exchange has its time. */
    if (!note_own(sa, true, &o) || !ike2_respond(c, sa, IKE_X_INTERMEDIATE, &o) ||
        !new_keys(c, sa, &shared)) {
        gh_secret_clear(&shared);
        ike2_sa_die(c, sa, IKE2_REMOVED_LOST);
        return;
    }
    sa->expire_at = c->now.mono_ms + sa->policy->half_open_ms;
}

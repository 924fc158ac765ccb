/*
 * Post-quantum preshared keys (RFC 8784): USE_PPK, PPK_IDENTITY, NO_PPK_AUTH, and SK_d, SK_pi and
 * SK_pr made anew with the PPK. Only the keeper knows the PPK; it is asked for one key after the
 * other. Called by init.c and auth.c; nothing of it is left once the IKE SA is established.
 *
 * Until the answers are there, sa->sk is as IKE_SA_INIT made it; ike2_ppk_swap() puts the other
 * set in its place.
 */
#include <string.h>

#include "ike/v2/core_priv.h"
#include "ike/v2/keys.h"
#include "ike/v2/ppk.h"
#include "ike/v2/priv.h"
#include "ike/v2/whose.h"

enum { PPK_ID_FIXED = 2, PPK_KEYS = 3 };

static bool configured(const struct ike2_policy *p)
{
    return p->ppk[0] != '\0';
}

/* NULL authentication proves nothing, so the PPK has to (RFC 8784 5.2.3). */
bool ike2_ppk_required(const struct ike2_policy *p)
{
    return p->ppk_required || p->local_auth == IKE2_AUTH_NULL;
}

/* ---- IKE_SA_INIT ---------------------------------------------------------------------------- */

void ike2_ppk_offer(const struct ike2_policy *p, struct ike_out *o)
{
    if (configured(p))
        ike_notify_emit_data(o, IKE_N_USE_PPK, gh_view_of(NULL, 0));
}

/* Whose the initiator is will only be known in IKE_AUTH: a PPK of any peer that it may be counts.
 */
void ike2_ppk_answer(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                     struct ike_out *o)
{
    const struct ike2_policy *p = NULL;

    if (!ike_has_notify(&m->clear, IKE_N_USE_PPK))
        return;
    while ((p = ike2_policy_for(&c->whose, &sa->local, &sa->remote.addr, p)) != NULL) {
        if (!configured(p))
            continue;
        sa->setup->ppk.agreed = true;
        ike_notify_emit_data(o, IKE_N_USE_PPK, gh_view_of(NULL, 0));
        return;
    }
}

bool ike2_ppk_answered(struct ike2_sa *sa, const struct ike_message *m)
{
    sa->setup->ppk.agreed = configured(sa->policy) && ike_has_notify(&m->clear, IKE_N_USE_PPK);
    return sa->setup->ppk.agreed || !configured(sa->policy) || !ike2_ppk_required(sa->policy);
}

/* ---- SK_d, SK_pi, SK_pr --------------------------------------------------------------------- */

/* The nth key that takes the PPK, where it stands in SK_*. */
static struct gh_view key(const struct ike2_sa *sa, unsigned n)
{
    return n == 0 ? ike2_sk_d(sa) : ike2_sk_p(sa, n == 1);
}

static bool ask(struct ike2 *c, struct ike2_sa *sa)
{
    const char *name = sa->policy->ppk;
    struct gh_view octets = key(sa, sa->setup->ppk.keys);
    struct gh_keeper_request r = {.kind = GH_KEEPER_PPK,
                                  .name = gh_view_of(name, strlen(name)),
                                  .prf = (enum gh_prf_alg)sa->suite.prf,
                                  .len = (uint8_t)octets.len,
                                  .octets = octets};

    return ike2_ask(c, sa, IKE2_JOB_PPK, &r);
}

bool ike2_ppk_ask(struct ike2 *c, struct ike2_sa *sa)
{
    struct ike2_ppk *ppk = &sa->setup->ppk;

    ppk->keys = 0;
    return gh_secret_set(&ppk->other, sa->sk.data, sa->sk.len) && ask(c, sa);
}

enum ike2_ppk_state ike2_ppk_take(struct ike2 *c, struct ike2_sa *sa,
                                  const struct gh_keeper_answer *a)
{
    struct ike2_ppk *ppk = &sa->setup->ppk;
    struct gh_view old = key(sa, ppk->keys);

    if (a->result == GH_KEEPER_NO_NAME)
        return IKE2_PPK_UNKNOWN;
    if (a->result != GH_KEEPER_OK || a->value.len != old.len)
        return IKE2_PPK_FAILED;
    memcpy(ppk->other.data + (old.p - sa->sk.data), a->value.p, old.len);
    if (++ppk->keys == PPK_KEYS)
        return IKE2_PPK_READY;
    return ask(c, sa) ? IKE2_PPK_ASKED : IKE2_PPK_FAILED;
}

void ike2_ppk_swap(struct ike2_sa *sa)
{
    struct gh_secret sk = sa->sk;

    sa->sk = sa->setup->ppk.other; /* the ciphers' keys are the same in both */
    sa->setup->ppk.other = sk;
    sa->ppk_used = !sa->ppk_used;
}

void ike2_ppk_clear(struct ike2_ppk *ppk)
{
    gh_secret_clear(&ppk->other);
    gh_secret_clear(&ppk->own_auth);
    gh_secret_clear(&ppk->peer_auth);
}

/* ---- IKE_AUTH, initiator -------------------------------------------------------------------- */

/* Our AUTH value of the keys without PPK is only wanted where the PPK may be left out. */
bool ike2_ppk_keep_auth(struct ike2_sa *sa, struct gh_view value)
{
    struct ike2_ppk *ppk = &sa->setup->ppk;

    if (!ppk->agreed || sa->ppk_used)
        return false;
    if (sa->policy->local_auth != IKE2_AUTH_PSK && value.len >= 4) /* a whole body */
        value = gh_view_of(value.p + 4, value.len - 4);
    if (!gh_secret_set(&ppk->own_auth, value.p, value.len))
        return false;
    ike2_ppk_swap(sa);
    return true;
}

void ike2_ppk_put_identity(const struct ike2_sa *sa, struct ike_out *o)
{
    const struct ike2_ppk *ppk = &sa->setup->ppk;
    uint8_t octets[1 + IKE2_NAME];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));
    const struct ike_ppk_id id = {.type = PPK_ID_FIXED,
                                  .id = gh_view_of(sa->policy->ppk, strlen(sa->policy->ppk))};

    if (!sa->ppk_used)
        return;
    ike_ppk_id_put(&w, &id);
    ike_notify_emit_data(o, IKE_N_PPK_IDENTITY, gh_view_of(octets, w.len));
    if (ppk->own_auth.len > 0)
        ike_notify_emit_data(o, IKE_N_NO_PPK_AUTH, ike2_view(&ppk->own_auth));
}

static bool by_null(const struct ike_payloads *in)
{
    struct gh_view body = ike_find(in, IKE_P_AUTH, 0)->body;

    return body.len > 0 && body.p[0] == GH_AUTH_NULL;
}

bool ike2_ppk_confirm(struct ike2_sa *sa, const struct ike_payloads *in)
{
    if (!sa->ppk_used || ike_has_notify(in, IKE_N_PPK_IDENTITY))
        return true;
    if (sa->setup->ppk.own_auth.len == 0 || by_null(in)) /* it has nothing to believe us by */
        return false;
    ike2_ppk_swap(sa);
    return true;
}

/* ---- IKE_AUTH, responder (RFC 8784 table 1) -------------------------------------------------- */

/* Whether the PPK_ID is the one of this peer. */
static bool is_ours(const struct ike2_policy *p, struct gh_view data)
{
    struct ike_ppk_id id;

    return configured(p) && ike_ppk_id_read(data, &id) == IKE_OK && id.type == PPK_ID_FIXED &&
           gh_view_equal(id.id, gh_view_of(p->ppk, strlen(p->ppk)));
}

enum ike2_ppk_state ike2_ppk_without(struct ike2_sa *sa, const struct ike_payloads *in)
{
    const struct ike_payload *auth = ike_find(in, IKE_P_AUTH, 0);
    struct ike2_ppk *ppk = &sa->setup->ppk;
    struct gh_secret *body = &ppk->peer_auth;
    uint8_t octets[GH_AUTH_BODY_MAX];
    struct ike_notify n;

    if (ike2_ppk_required(sa->policy) || by_null(in) ||
        !ike_find_notify(in, IKE_N_NO_PPK_AUTH, 0, &n) || n.data.len > GH_AUTH_DATA_MAX ||
        auth->body.len < 4)
        return IKE2_PPK_UNKNOWN;
    /* The method is that of the AUTH payload. */
    memcpy(octets, auth->body.p, 4);
    memcpy(octets + 4, n.data.p, n.data.len);
    return gh_secret_set(body, octets, 4 + n.data.len) ? IKE2_PPK_NONE : IKE2_PPK_FAILED;
}

enum ike2_ppk_state ike2_ppk_judge(struct ike2 *c, struct ike2_sa *sa,
                                   const struct ike_payloads *in)
{
    const struct ike2_policy *p = sa->policy;
    struct ike_notify n;

    if (!sa->setup->ppk.agreed)
        return configured(p) && p->ppk_required ? IKE2_PPK_UNKNOWN : IKE2_PPK_NONE;
    if (!ike_find_notify(in, IKE_N_PPK_IDENTITY, 0, &n))
        return IKE2_PPK_UNKNOWN;
    if (!is_ours(p, n.data))
        return ike2_ppk_without(sa, in);
    return ike2_ppk_ask(c, sa) ? IKE2_PPK_ASKED : IKE2_PPK_FAILED;
}

struct gh_view ike2_ppk_peer_auth(const struct ike2_sa *sa, const struct ike_payloads *in)
{
    const struct gh_secret *body = &sa->setup->ppk.peer_auth;

    return body->len > 0 ? ike2_view(body) : ike_find(in, IKE_P_AUTH, 0)->body;
}

/*
 * Redirect (RFC 5685): a gateway sends clients to another one, while they begin, when they have
 * said who they are, or later.
 *
 * As client the core remembers for each policy where it was sent, and how often; the policy itself,
 * and so whom we take for the peer, stays as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/command.h"
#include "ike/v2/init.h"
#include "ike/v2/priv.h"
#include "ike/v2/redirect.h"
#include "ike/v2/sa.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tell.h"

enum { REDIRECTS_MAX = 5, LOOP_MS = 300 * 1000, WAIT_MS = 60 * 1000 };

struct ike2_detour {
    struct ike2_detour *next;
    char policy[IKE2_NAME + 1];
    struct gh_addr to, from;      /* len 0: to its own gateway */
    uint64_t when[REDIRECTS_MAX]; /* the last ones; 0: none */
};

void ike2_redirect_free(struct ike2 *c)
{
    while (c->detours != NULL) {
        struct ike2_detour *x = c->detours;

        c->detours = x->next;
        free(x);
    }
}

void ike2_redirect_forget(struct ike2 *c, const struct ike2_policy *p)
{
    struct ike2_detour **at = &c->detours, *x;

    while (*at != NULL && strcmp((*at)->policy, p->name) != 0)
        at = &(*at)->next;
    x = *at;
    if (x != NULL)
        *at = x->next;
    free(x);
}

static struct ike2_detour *detour_of(const struct ike2 *c, const struct ike2_policy *p)
{
    struct ike2_detour *x = c->detours;

    while (x != NULL && strcmp(x->policy, p->name) != 0)
        x = x->next;
    return x;
}

/* ---- Client --------------------------------------------------------------------------------- */

struct gh_addr ike2_redirect_gateway(const struct ike2 *c, const struct ike2_policy *p)
{
    const struct ike2_detour *x = detour_of(c, p);

    return x != NULL && x->to.len != 0 && p->redirects ? x->to : *ike2_gateway(p, p->gateway_now);
}

void ike2_redirect_failed(struct ike2 *c, const struct ike2_policy *p)
{
    struct ike2_detour *x = detour_of(c, p);

    if (x != NULL)
        x->to.len = 0;
}

void ike2_redirect_put(struct ike2 *c, const struct ike2_sa *sa, struct ike_out *o)
{
    const struct ike2_detour *x = detour_of(c, sa->policy);
    uint8_t octets[2 + 16];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));

    if (!sa->policy->redirects)
        return;
    if (x == NULL || x->to.len == 0 || !gh_addr_equal(&x->to, &sa->remote.addr)) {
        ike_notify_emit_data(o, IKE_N_REDIRECT_SUPPORTED, gh_view_of(NULL, 0));
        return;
    }
    ike_redirect_put(
        &w, &(struct ike_redirect){.type = x->from.len == 4 ? IKE_GATEWAY_IPV4 : IKE_GATEWAY_IPV6,
                                   .gateway = gh_view_of(x->from.octets, x->from.len)});
    ike_notify_emit_data(o, IKE_N_REDIRECTED_FROM, gh_view_of(octets, w.len));
}

/* RFC 5685 7: not the sixth time within five minutes. */
static bool may_follow(struct ike2 *c, struct ike2_detour *x)
{
    size_t oldest = 0;

    for (size_t i = 1; i < REDIRECTS_MAX; i++)
        if (x->when[i] < x->when[oldest])
            oldest = i;
    if (x->when[oldest] != 0 && c->now.mono_ms - x->when[oldest] < LOOP_MS)
        return false;
    x->when[oldest] = c->now.mono_ms;
    return true;
}

static bool is_allowed(const struct ike2_policy *p, const struct gh_addr *to)
{
    return p->follows_to.addr.len == 0 || gh_prefix_contains(&p->follows_to, to);
}

/* Remembers where the policy's next IKE SA begins. False: it is not followed. */
static bool follow(struct ike2 *c, struct ike2_sa *sa, const struct ike_redirect *r)
{
    struct ike2_detour *x = detour_of(c, sa->policy);
    char text[GH_ADDR_TEXT];
    struct gh_addr to;

    if (!sa->policy->redirects)
        return false;
    if (r->type != IKE_GATEWAY_IPV4 && r->type != IKE_GATEWAY_IPV6) {
        ike2_fail(c, sa, IKE2_COUNT_NOT_REDIRECTED,
                  "redirect to a name is not followed: only to addresses");
        return false;
    }
    to = gh_addr_from(r->gateway.p, (uint8_t)r->gateway.len);
    if (x == NULL) {
        x = calloc(1, sizeof(*x));
        if (x == NULL)
            return false;
        memcpy(x->policy, sa->policy->name, sizeof(x->policy));
        x->next = c->detours;
        c->detours = x;
    }
    if (to.len != sa->local.addr.len || gh_addr_is_any(&to) || !is_allowed(sa->policy, &to) ||
        !may_follow(c, x)) {
        ike2_fail(c, sa, IKE2_COUNT_NOT_REDIRECTED, "redirect to %s is not followed",
                  gh_addr_format(&to, text));
        return false;
    }
    x->to = to;
    x->from = sa->remote.addr;
    ike2_count(c, IKE2_COUNT_REDIRECTED);
    ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "the peer sends us to %s", gh_addr_format(&to, text));
    return true;
}

static bool find(const struct ike_payloads *in, struct ike_redirect *r)
{
    struct ike_notify n;

    return ike_find_notify(in, IKE_N_REDIRECT, 0, &n) && ike_redirect_read(n.data, r) == IKE_OK;
}

void ike2_redirect_first(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m)
{
    const struct ike2_setup *s = sa->setup;
    struct ike_redirect r;

    /* Only who saw the request knows its nonce. */
    if (!find(&m->clear, &r) || r.nonce.len != s->nonce_i_len ||
        !gh_ct_equal(r.nonce.p, s->nonce_i, s->nonce_i_len)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    if (follow(c, sa, &r))
        ike2_begin_anew(c, sa, "begun anew there");
}

bool ike2_redirect_auth(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    const struct ike2_policy *p = sa->policy;
    uint32_t wanted = sa->wanted;
    struct ike_redirect r;
    struct ike2_task *t;

    if (!find(in, &r) || !follow(c, sa, &r))
        return false;
    if (sa->task->policy != NULL)
        wanted |= 1u << (sa->task->policy - p->children);
    sa->wanted = 0;
    ike2_task_done(sa, sa->task);
    ike2_sa_established(c, sa);
    ike2_set_state(c, sa, IKE2_STATE_REKEYED);
    t = ike2_task_first(c, sa, IKE2_TASK_IKE_DELETE);
    if (t != NULL)
        t->why = IKE2_REMOVED_REPLACED;
    for (size_t i = 0; i < p->child_count; i++)
        if (wanted & 1u << i)
            ike2_initiate(c, c->now, p->name, p->children[i].name);
    return true;
}

/* ---- Gateway -------------------------------------------------------------------------------- */

static size_t redirect_data(const struct gh_addr *to, struct gh_view nonce, uint8_t *out,
                            size_t room)
{
    struct gh_wr w = gh_wr_make(out, room);

    ike_redirect_put(
        &w, &(struct ike_redirect){.type = to->len == 4 ? IKE_GATEWAY_IPV4 : IKE_GATEWAY_IPV6,
                                   .gateway = gh_view_of(to->octets, to->len),
                                   .nonce = nonce});
    return gh_wr_ok(&w) ? w.len : 0;
}

/* Where from the client was sent to us; len 0: it came by itself. */
static struct gh_addr came_from(const struct ike_message *m)
{
    struct ike_redirect r;
    struct ike_notify n;

    if (ike_find_notify(&m->clear, IKE_N_REDIRECTED_FROM, 0, &n) &&
        ike_redirect_read(n.data, &r) == IKE_OK && r.type != IKE_GATEWAY_FQDN)
        return gh_addr_from(r.gateway.p, (uint8_t)r.gateway.len);
    return (struct gh_addr){.len = 0};
}

bool ike2_redirect_is_heard(const struct ike_message *m)
{
    return ike_has_notify(&m->clear, IKE_N_REDIRECT_SUPPORTED) ||
           ike_has_notify(&m->clear, IKE_N_REDIRECTED_FROM);
}

bool ike2_redirect_away(struct ike2 *c, const struct ike2_policy *p, const struct ike2_datagram *d,
                        const struct ike_message *m, struct gh_view nonce)
{
    uint8_t data[2 + 16 + IKE_NONCE_MAX];
    struct gh_addr from = came_from(m);

    /* Not back to where it comes from: that would be a loop. */
    if (p->redirect_at != IKE2_REDIRECT_INIT || p->redirect_to.len == 0 ||
        !ike2_redirect_is_heard(m) || gh_addr_equal(&from, &p->redirect_to))
        return false;
    ike2_count(c, IKE2_COUNT_REDIRECTS_SENT);
    ike2_answer_plain(c, d, m, IKE_N_REDIRECT,
                      gh_view_of(data, redirect_data(&p->redirect_to, nonce, data, sizeof(data))),
                      NULL);
    return true;
}

static void put_redirect(const struct gh_addr *to, struct ike_out *o)
{
    uint8_t data[2 + 16];

    ike_notify_emit_data(
        o, IKE_N_REDIRECT,
        gh_view_of(data, redirect_data(to, gh_view_of(NULL, 0), data, sizeof(data))));
}

bool ike2_redirect_in_auth(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    const struct ike2_policy *p = sa->policy;

    if (p->redirect_at != IKE2_REDIRECT_AUTH || p->redirect_to.len == 0 || !sa->can_redirect)
        return false;
    ike2_count(c, IKE2_COUNT_REDIRECTS_SENT);
    put_redirect(&p->redirect_to, o);
    return true;
}

/* The client is to delete it; if it does not, we do. */
void ike2_redirect_leave(struct ike2 *c, struct ike2_sa *sa)
{
    sa->rekey_at = 0;
    sa->expire_at = c->now.mono_ms + WAIT_MS;
    ike2_set_state(c, sa, IKE2_STATE_REKEYED);
}

bool ike2_redirect_sa(struct ike2 *c, struct ike2_sa *sa, const struct gh_addr *to)
{
    struct ike2_task *t;

    if (sa->state != IKE2_STATE_ESTABLISHED || sa->began || !sa->can_redirect || to->len == 0)
        return false;
    t = ike2_task_add(c, sa, IKE2_TASK_REDIRECT);
    if (t == NULL)
        return false;
    t->to = *to;
    return true;
}

void ike2_redirect_request(struct ike2 *c, const struct ike2_task *t, struct ike_out *o)
{
    ike2_count(c, IKE2_COUNT_REDIRECTS_SENT);
    put_redirect(&t->to, o);
}

/* As client: the answer is on its way when the new IKE SA begins; the old one goes when it is up.
 */
void ike2_redirect_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    struct ike_redirect r;

    if (sa->state != IKE2_STATE_ESTABLISHED || !sa->began || !find(in, &r))
        return;
    if (follow(c, sa, &r))
        ike2_reauthenticate(c, sa);
}

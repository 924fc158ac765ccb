/*
 * Where extensions take part in exchanges: what they add to IKE_AUTH, to the rekeying of the IKE SA
 * and to INFORMATIONAL, and what they hear there. Each does its own in its own file.
 */
#include "ike/v2/crash.h"
#include "ike/v2/extend.h"
#include "ike/v2/mobike.h"
#include "ike/v2/priv.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/stray.h"
#include "ike/v2/tasks.h"
#include "ike/v2/tcp_ao.h"
#include "ike/v2/window.h"

void ike2_put_childless(struct ike_out *o, const struct ike2_policy *p)
{
    if (p->childless)
        ike_notify_emit(o, &(struct ike_notify){.protocol = IKE_PROTO_IKE,
                                                .type = IKE_N_CHILDLESS_IKEV2_SUPPORTED});
}

void ike2_extend_auth(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    ike2_crash_put(c, sa, o);
    ike2_mobike_put(c, sa, o);
    ike2_tcp_ao_put(sa, o);
    ike2_window_put(sa, o);
    if (sa->initiator)
        ike2_resume_ask(sa, o);
    else if (sa->setup->ticket_wanted)
        ike2_resume_give(c, sa, o);
}

void ike2_extend_auth_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    ike2_crash_take(sa, in);
    ike2_mobike_take(c, sa, in);
    ike2_tcp_ao_take(sa, in);
    ike2_window_heard(sa, in);
    sa->began = sa->initiator;
    sa->setup->ticket_wanted = ike_has_notify(in, IKE_N_TICKET_REQUEST);
    if (sa->began)
        ike2_resume_take(c, sa, in);
}

void ike2_extend_successor(struct ike2 *c, struct ike2_sa *sa, const struct ike2_sa *old)
{
    ike2_mobike_inherit(c, sa, old);
    sa->began = old->began;
    sa->ppk_used = old->ppk_used; /* it is in SK_d */
    sa->peer_tcp_ao = old->peer_tcp_ao;
    sa->told_tcp_ao = old->told_tcp_ao;
    sa->can_redirect = old->can_redirect;
    sa->traffic = old->traffic;
    if (sa->began && sa->policy->resumption)
        ike2_task_add(c, sa, IKE2_TASK_TICKET); /* that of the old one ends with it */
}

void ike2_extend_rekeyed(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    ike2_crash_put(c, sa, o);
}

void ike2_extend_rekeyed_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    ike2_crash_take(sa, in);
    ike2_extend_token(c, sa);
}

void ike2_extend_token(struct ike2 *c, struct ike2_sa *sa)
{
    if (c->has_crash_secret && sa->policy->crash_tokens)
        ike2_task_add(c, sa, IKE2_TASK_TOKEN); /* RFC 6290 4.3: our SPI had no token before */
}

void ike2_extend_inform(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                        struct ike_out *o)
{
    if (t->kind == IKE2_TASK_WINDOW || t->kind == IKE2_TASK_LIVENESS)
        ike2_window_promise(sa, o);
    if (t->kind == IKE2_TASK_BEYOND)
        ike2_window_beyond_put(t, o);
    else if (t->kind == IKE2_TASK_TOKEN)
        ike2_crash_put(c, sa, o);
    else if (t->kind == IKE2_TASK_TICKET)
        ike2_resume_ask(sa, o);
    else if (t->kind == IKE2_TASK_REDIRECT)
        ike2_redirect_request(c, t, o);
    else if (t->kind == IKE2_TASK_TCP_AO)
        ike2_tcp_ao_put_change(sa, o);
    else if (t->kind == IKE2_TASK_INVALID_SPI)
        ike2_stray_put(t, o);
    else if (sa->mobile != NULL)
        ike2_mobike_request(c, sa, t, o);
}

void ike2_extend_inform_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind,
                                 const struct ike_payloads *in)
{
    ike2_window_heard(sa, in);
    if (kind == IKE2_TASK_TICKET)
        ike2_resume_take(c, sa, in);
    if (sa->mobile != NULL)
        ike2_mobike_answered(c, sa, kind, in);
}

void ike2_extend_inform_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                              struct ike_out *o)
{
    ike2_crash_take(sa, in);
    ike2_tcp_ao_take(sa, in);
    ike2_window_heard(sa, in);
    ike2_window_beyond_heard(c, sa, in);
    ike2_stray_heard(c, sa, in);
    ike2_window_promise(sa, o);
    if (sa->mobile != NULL)
        ike2_mobike_heard(c, sa, in, o);
    if (!sa->began && ike_has_notify(in, IKE_N_TICKET_REQUEST))
        ike2_resume_give(c, sa, o);
}

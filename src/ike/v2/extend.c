/*
 * Where extensions take part in exchanges: what they add to IKE_AUTH, to the rekeying of the IKE SA
 * and to INFORMATIONAL, and what they hear there. Each does its own in its own file.
 */
#include "ike/v2/priv.h"

void ike2_extend_auth(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    ike2_crash_put(c, sa, o);
}

void ike2_extend_auth_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    ike2_crash_take(sa, in);
}

void ike2_extend_successor(struct ike2_sa *sa, const struct ike2_sa *old)
{
}

void ike2_extend_rekeyed(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    ike2_crash_put(c, sa, o);
}

void ike2_extend_rekeyed_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in)
{
    ike2_crash_take(sa, in);
    if (c->has_crash_secret && sa->policy->crash_tokens)
        ike2_task_add(c, sa, IKE2_TASK_TOKEN); /* RFC 6290 4.3: our SPI had no token before */
}

void ike2_extend_inform(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    if (sa->task->kind == IKE2_TASK_TOKEN)
        ike2_crash_put(c, sa, o);
}

void ike2_extend_inform_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                              struct ike_out *o)
{
    ike2_crash_take(sa, in);
}

/* Where IKE_AUTH, the rekeying of the IKE SA and INFORMATIONAL ask the extensions: extend.c. */
#ifndef IKE2_EXTEND_H
#define IKE2_EXTEND_H

#include "ike/v2/priv.h"

/* What extensions say in our IKE_AUTH message, behind AUTH. */
void ike2_extend_auth(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
/* As responder in the first exchange (RFC 6023). */
void ike2_put_childless(struct ike_out *o, const struct ike2_policy *p);
/* What the peer says there; it is believed by now. */
void ike2_extend_auth_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* `sa` takes the place of `old`. */
void ike2_extend_successor(struct ike2 *c, struct ike2_sa *sa, const struct ike2_sa *old);
/* The response that rekeys the IKE SA, by which `sa` came to be: ours, the peer's. */
void ike2_extend_rekeyed(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_extend_rekeyed_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* The token that this message of ours has no room for follows it. */
void ike2_extend_token(struct ike2 *c, struct ike2_sa *sa);
/* INFORMATIONAL that a task of ours begins, and its answer; that task is over. */
void ike2_extend_inform(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                        struct ike_out *o);
void ike2_extend_inform_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_task_kind kind,
                                 const struct ike_payloads *in);
/* INFORMATIONAL of the peer's: `o` is the response in the making. */
void ike2_extend_inform_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                              struct ike_out *o);

#endif

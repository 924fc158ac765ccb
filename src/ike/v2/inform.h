/* INFORMATIONAL: inform.c. */
#ifndef IKE2_INFORM_H
#define IKE2_INFORM_H

#include "ike/v2/priv.h"

void ike2_inform_start(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
void ike2_inform_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_inform_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                          const struct ike_payloads *in);

#endif

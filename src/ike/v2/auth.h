/* IKE_AUTH: auth.c. */
#ifndef IKE2_AUTH_H
#define IKE2_AUTH_H

#include "ike/v2/priv.h"

void ike2_auth_start(struct ike2 *c, struct ike2_sa *sa);
void ike2_auth_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                       uint8_t first, struct gh_view octets);
void ike2_auth_response(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                        uint8_t first, struct gh_view octets);
void ike2_auth_answered(struct ike2 *c, struct ike2_sa *sa, enum ike2_job job,
                        const struct gh_keeper_answer *a);

#endif

/* To another gateway (RFC 5685): redirect.c. */
#ifndef IKE2_REDIRECT_H
#define IKE2_REDIRECT_H

#include "ike/v2/priv.h"

void ike2_redirect_free(struct ike2 *c);
void ike2_redirect_forget(struct ike2 *c, const struct ike2_policy *p);
/* Where an IKE SA of this policy begins; nothing came of it. */
struct gh_addr ike2_redirect_gateway(const struct ike2 *c, const struct ike2_policy *p);
void ike2_redirect_failed(struct ike2 *c, const struct ike2_policy *p);
void ike2_redirect_put(struct ike2 *c, const struct ike2_sa *sa, struct ike_out *o);
/* We are sent elsewhere in the first exchange; in IKE_AUTH (true: so it is); later. */
void ike2_redirect_first(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m);
bool ike2_redirect_auth(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_redirect_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* We send the client elsewhere, at the same places. */
bool ike2_redirect_is_heard(const struct ike_message *m);
bool ike2_redirect_away(struct ike2 *c, const struct ike2_policy *p, const struct ike2_datagram *d,
                        const struct ike_message *m, struct gh_view nonce);
bool ike2_redirect_in_auth(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_redirect_leave(struct ike2 *c, struct ike2_sa *sa);
bool ike2_redirect_sa(struct ike2 *c, struct ike2_sa *sa, const struct gh_addr *to);
void ike2_redirect_request(struct ike2 *c, const struct ike2_task *t, struct ike_out *o);

#endif

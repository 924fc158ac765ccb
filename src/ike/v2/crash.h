/* Unknown SPIs, and the peer's crash noticed quickly (RFC 6290): crash.c. */
#ifndef IKE2_CRASH_H
#define IKE2_CRASH_H

#include "ike/v2/priv.h"

/* A message for no SA of ours. */
void ike2_stray(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m);
/* A message for this SA that nobody sealed. */
void ike2_hint(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m);
void ike2_crash_put(struct ike2 *c, const struct ike2_sa *sa, struct ike_out *o);
void ike2_crash_take(struct ike2_sa *sa, const struct ike_payloads *in);

#endif

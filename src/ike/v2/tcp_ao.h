/* That keys of TCP-AO can be negotiated: what the peers tell each other of it (tcp_ao.c). */
#ifndef IKE2_TCP_AO_H
#define IKE2_TCP_AO_H

#include "ike/v2/priv.h"

/* In IKE_AUTH: nothing where there is nothing to say. */
void ike2_tcp_ao_put(struct ike2_sa *sa, struct ike_out *o);
/* In INFORMATIONAL (IKE2_TASK_TCP_AO): also that there is none any more. */
void ike2_tcp_ao_put_change(struct ike2_sa *sa, struct ike_out *o);
/* The SA has another policy: the peer is told if what it knows is stale. */
void ike2_tcp_ao_changed(struct ike2 *c, struct ike2_sa *sa);
void ike2_tcp_ao_take(struct ike2_sa *sa, const struct ike_payloads *in);
enum { IKE2_TCP_AO_REASON = 80 };
/* Why the peer may have answered a child of ours with this: ": …", or "". Returns `text`. */
const char *ike2_tcp_ao_reason(const struct ike2_sa *sa, const struct ike2_child_policy *p,
                               uint16_t notify, char text[IKE2_TCP_AO_REASON]);

#endif

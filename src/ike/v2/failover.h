/* Several gateways of one peer (failover.c). */
#ifndef IKE2_FAILOVER_H
#define IKE2_FAILOVER_H

#include "ike/v2/priv.h"

/* Which gateway is in use goes over to the policy of the same name. */
void ike2_failover_keep(struct ike2_policy *p, const struct ike2_policy *was);
/* The peer answers no more. True: it is done with `sa`, which was not up, and another begun where
 * there is one to try. */
bool ike2_failover(struct ike2 *c, struct ike2_sa *sa);
void ike2_failover_up(struct ike2 *c, struct ike2_sa *sa);   /* it is established */
void ike2_failover_tick(struct ike2 *c, struct ike2_sa *sa); /* its revert_at is over */

#endif

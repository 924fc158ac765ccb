/* What is administratively down (admin.c): asked where an IKE SA begins or a peer calls. */
#ifndef IKE2_ADMIN_H
#define IKE2_ADMIN_H

#include "ike/v2/priv.h"

/* Policies or orders are others: orders that the configuration overrules go, … */
void ike2_admin_review(struct ike2 *c);
/* … and what is down by now ends. */
void ike2_admin_apply(struct ike2 *c);
/* Whoever calls from there would be heard, were it not down. */
bool ike2_admin_blocks(const struct ike2_whose *w, const struct ike2_endpoint *local,
                       const struct gh_addr *remote);
void ike2_admin_free(struct ike2 *c);

#endif

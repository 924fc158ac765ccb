/*
 * The operator's orders of what is administratively down, as octets: `ike` tells them to the
 * parent, which keeps them unread and gives them to the next `ike` before its configuration.
 */
#ifndef GH_DAEMON_IKE_ORDERS_H
#define GH_DAEMON_IKE_ORDERS_H

#include "base/view.h"
#include "ike/v2/core.h"

/* To be freed; NULL: no memory. */
uint8_t *gh_ike_orders_encode(const struct ike2 *core, size_t *len);
/* Into a core without policies. False: malformed, or no memory; what was read before that counts.
 */
bool gh_ike_orders_take(struct ike2 *core, struct gh_view octets);

#endif

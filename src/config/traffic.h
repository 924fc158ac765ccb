/*
 * The words in `child NAME { … }` about what its SAs do with packets (ike/v2/child_traffic.h), in
 * the order of their table, and as octets. For load_ike_child.c, ike_encode.c, ike_decode.c, and
 * for the messages that carry them to the data planes.
 */
#ifndef GH_CONFIG_TRAFFIC_H
#define GH_CONFIG_TRAFFIC_H

#include "config/octets.h"
#include "config/schema.h"
#include "ike/v2/policy.h"

enum {
    GH_TRAFFIC_WINDOW,
    GH_TRAFFIC_TFC,
    GH_TRAFFIC_DSCP,
    GH_TRAFFIC_DSCP_IN,
    GH_TRAFFIC_ECN,
    GH_TRAFFIC_ITEMS
};
/* Of a table of items, a stretch of it. */
#define GH_TRAFFIC_TABLE(first)                                                                    \
    [first + GH_TRAFFIC_WINDOW] = {"replay-window", GH_ITEM_VALUE},                                \
             [first + GH_TRAFFIC_TFC] = {"tfc-padding", GH_ITEM_VALUE},                            \
             [first + GH_TRAFFIC_DSCP] = {"dscp", GH_ITEM_VALUE},                                  \
             [first + GH_TRAFFIC_DSCP_IN] = {"copy-dscp-in", GH_ITEM_VALUE},                       \
             [first + GH_TRAFFIC_ECN] = {"ecn", GH_ITEM_VALUE}

struct gh_ike_loader;

/* Into child->traffic; its mode and proposals are there. got: the nodes of GH_TRAFFIC_TABLE. */
void gh_load_ike_traffic(struct gh_ike_loader *x, const struct gh_node *const *got,
                         struct ike2_child_policy *child);

void gh_traffic_put(struct gh_wr *w, const struct ike2_child_traffic *t);
void gh_traffic_get(struct gh_rd *r, struct ike2_child_traffic *t); /* sticky, as octets.h */

#endif

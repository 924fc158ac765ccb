/*
 * The words about the sizes of packets in `child NAME { … }`, in the order of their table, and as
 * octets. For load_ike*.c, ike_encode.c and ike_decode.c.
 */
#ifndef GH_CONFIG_SIZES_H
#define GH_CONFIG_SIZES_H

#include "config/octets.h"
#include "config/schema.h"
#include "ike/v2/child_path.h"

enum {
    GH_SIZES_IP_MTU,
    GH_SIZES_ENCAPSULATED,
    GH_SIZES_CLEAR_DF,
    GH_SIZES_OUTER_DF,
    GH_SIZES_LONG_IPV6,
    GH_SIZES_PATH_MTU,
    GH_SIZES_MSS,
    GH_SIZES_TOO_BIG,
    GH_SIZES_ITEMS
};
enum { GH_SIZES_OVERHEAD = 54 }; /* at least: IPv4, ESP, an IV, AES-GCM's ICV, padding */
/* Of a table of items, the last ones. */
#define GH_SIZES_TABLE(first)                                                                      \
    [first + GH_SIZES_IP_MTU] = {"ip-mtu", GH_ITEM_VALUE},                                         \
             [first + GH_SIZES_ENCAPSULATED] = {"encapsulated-ip-mtu", GH_ITEM_VALUE},             \
             [first + GH_SIZES_CLEAR_DF] = {"clear-df", GH_ITEM_VALUE},                            \
             [first + GH_SIZES_OUTER_DF] = {"outer-df", GH_ITEM_VALUE},                            \
             [first + GH_SIZES_LONG_IPV6] = {"long-ipv6", GH_ITEM_VALUE},                          \
             [first + GH_SIZES_PATH_MTU] = {"path-mtu", GH_ITEM_VALUE},                            \
             [first + GH_SIZES_MSS] = {"mss", GH_ITEM_VALUE},                                      \
             [first + GH_SIZES_TOO_BIG] = {"icmp-too-big", GH_ITEM_VALUE}

struct gh_ike_loader;

/* got: the nodes of GH_SIZES_TABLE. */
void gh_ike_sizes(struct gh_ike_loader *x, const struct gh_node *const *got,
                  struct ike2_child_path *out);
void gh_ike_sizes_ip_mtu(struct gh_ike_loader *x, const struct gh_node *n, uint16_t *out);
void gh_ike_sizes_mss(struct gh_ike_loader *x, const struct gh_node *n, uint16_t *out);
void gh_ike_sizes_rate(struct gh_ike_loader *x, const struct gh_node *n, uint16_t *messages,
                       uint16_t *seconds);

void gh_sizes_put(struct gh_wr *w, const struct ike2_child_path *s);
void gh_sizes_get(struct gh_rd *r, struct ike2_child_path *s); /* sticky, as octets.h */

#endif

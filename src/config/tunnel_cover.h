/*
 * Whose packets those of a tunnel are, with the tunnel's own header in front: which children of
 * IPsec are for them, and what that means for a device of the kernel's. For the reader of tunnels,
 * and for the parent, which chooses who carries what. Pure.
 */
#ifndef GH_CONFIG_TUNNEL_COVER_H
#define GH_CONFIG_TUNNEL_COVER_H

#include "config/ike.h"

/* IP protocols of its packets. How many: GRE is one, IP in IP two. */
size_t gh_tunnel_protocols(enum tunnel_kind kind, uint8_t out[2]);
/* Is the child for packets of the tunnel, those to `remote`? Of IP in IP one protocol is enough. */
bool gh_tunnel_child_covers(const struct ike2_child_policy *child, const struct tunnel_params *t,
                            const struct gh_addr *remote);
/* The same of any child of a peer. */
bool gh_tunnel_covered(const struct ike2_policy *peer, const struct tunnel_params *t,
                       const struct gh_addr *remote);

/* A tunnel that a peer protects can have a device of the kernel's if the kernel has its children
 * that are for the tunnel, and nothing else is for its packets before them. False: what not.
 * kernel of children is set. */
enum { GH_TUNNEL_WHY = 200 };
bool gh_tunnel_kernel_protects(const struct gh_ike_config *c, const struct gh_tunnel *t,
                               char why[GH_TUNNEL_WHY]);

#endif

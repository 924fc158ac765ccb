/*
 * `private-netns` and `private-vrf` of an `ike-peer`: where what its children protect is, if not
 * where the peer itself is. Called while a peer is read, and once when all have been.
 *
 * A private side has one tunnel device, and one public side by which its packets leave.
 */
#include "config/ike_load_peer.h"

static void check_children(struct gh_ike_loader *x, const struct gh_ike_place *place,
                           const struct ike2_policy *p)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (p->children[i].mode == IKE2_TRANSPORT)
            gh_load_error(x->l, place->child_lines[i], "private-side",
                          "write mode = tunnel, or remove private-netns and private-vrf",
                          "the child \"%s\" is of transport mode, whose packets begin where the "
                          "peer's address is, not at the private side of \"%s\"",
                          p->children[i].name, p->name);
}

void gh_load_ike_private(struct gh_ike_loader *x, const struct gh_node **got,
                         const struct gh_ike_place *place, struct ike2_policy *p)
{
    const struct gh_node *netns = got[PEER_PRIVATE_NETNS], *vrf = got[PEER_PRIVATE_VRF];
    const struct gh_ike_zone *public = gh_ike_public_zone(x->ike, p);
    const struct gh_ike_zone around = {.netns = public != NULL ? public->netns : NULL};

    if (netns == NULL && vrf == NULL)
        return;
    p->private_zone = gh_ike_zone_number(x, netns, vrf, &around);
    if (p->plane == IKE2_PLANE_KERNEL)
        gh_load_error(x->l, got[PEER_DATAPLANE]->line, "private-side",
                      "write dataplane = user, or remove private-netns and private-vrf",
                      "\"%s\" has a private side, which the kernel's policies cannot lead to",
                      p->name);
    p->plane = IKE2_PLANE_USER;
    check_children(x, place, p);
}

static void check_alone(struct gh_ike_loader *x, size_t peer, size_t other)
{
    const struct gh_ike_config *c = x->ike;

    gh_load_error(x->l, c->places[peer].line, "private-side",
                  "name a namespace or VRF in which no ike-peer is",
                  "the private side of \"%s\" is where the ike-peer \"%s\" (line %d) is",
                  c->policies[peer]->name, c->policies[other]->name, c->places[other].line);
}

static void check_same_public(struct gh_ike_loader *x, size_t peer, size_t other)
{
    const struct gh_ike_config *c = x->ike;

    if (c->policies[peer]->zone != c->policies[other]->zone)
        gh_load_error(x->l, c->places[peer].line, "private-side",
                      "give each a private side of its own, or the same netns and vrf",
                      "\"%s\" and \"%s\" (line %d) have one private side, but are in different "
                      "namespaces or VRFs",
                      c->policies[peer]->name, c->policies[other]->name, c->places[other].line);
}

void gh_check_ike_private(struct gh_ike_loader *x)
{
    size_t public[GH_IKE_ZONES + 1] = {0},
                                 private[GH_IKE_ZONES + 1] = {0}; /* the first peer, + 1 */

    for (size_t i = x->ike->policy_count; i-- > 0;) {
        public[x->ike->policies[i]->zone] = i + 1;
        private[x->ike->policies[i]->private_zone] = i + 1;
    }
    for (size_t i = 0; i < x->ike->policy_count; i++) {
        uint16_t zone = x->ike->policies[i]->private_zone;

        if (zone == 0)
            continue;
        if (public[zone] > 0)
            check_alone(x, i, public[zone] - 1);
        check_same_public(x, i, private[zone] - 1);
    }
}

/*
 * `dataplane` of an `ike-peer`: who carries its packets. What this kernel has is the daemon's to
 * find out (daemon/parent_xfrm.c).
 */
#include "config/ike_load_peer.h"
#include "config/kernel_plane.h"

static void check_children(struct gh_ike_loader *x, const struct gh_ike_place *place,
                           const struct ike2_policy *p)
{
    for (size_t i = 0; i < p->child_count; i++) {
        const struct gh_kernel_lack *lack = gh_kernel_child_lacks(&p->children[i]);

        if (lack != NULL)
            gh_load_error(x->l, place->child_lines[i], "range",
                          "write dataplane = user or auto for the peer, or remove it",
                          "the kernel cannot carry the child \"%s\" of \"%s\" with its \"%s\": %s",
                          p->children[i].name, p->name, lack->option, lack->why);
    }
}

void gh_load_ike_plane(struct gh_ike_loader *x, const struct gh_node *n,
                       const struct gh_ike_place *place, struct ike2_policy *p)
{
    static const char *const planes[] = {[IKE2_PLANE_USER] = "user",
                                         [IKE2_PLANE_KERNEL] = "kernel",
                                         [IKE2_PLANE_AUTO] = "auto",
                                         NULL};
    unsigned plane = IKE2_PLANE_USER;

    gh_node_choice(x->l, n, planes, &plane);
    p->plane = (enum ike2_plane)plane;
    if (p->plane == IKE2_PLANE_KERNEL && p->zone > 0 && x->ike->zones[p->zone - 1].vrf != NULL)
        gh_load_error(x->l, n->line, "range", "write user or auto, or give the peer a netns",
                      "\"%s\" is in a VRF, of which the kernel's policies know nothing", p->name);
    if (p->plane == IKE2_PLANE_KERNEL)
        check_children(x, place, p);
}

/*
 * Which tunnels have a device of the kernel's: as many as may and can. It is decided together with
 * who carries their peers' children (parent_xfrm.c), for a tunnel and what protects it are carried
 * by the same.
 */
#include "daemon/parent_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/alloc.h"
#include "config/kernel_plane.h"
#include "config/tunnel_cover.h"

static void refuse(struct gh_tunnel *t, const char *why)
{
    free(t->not_kernel);
    t->not_kernel = gh_config_strdup(why);
    t->kernel = false;
}

static const struct gh_tunnel_kinds *kinds(struct gh_parent *p)
{
    int result = p->esp.kinds_probed ? 0 : gh_tunnel_device_probe(&p->esp.kinds);

    if (result != 0)
        gh_warning("which tunnel devices the kernel has: %s", strerror(-result));
    p->esp.kinds_probed = true;
    return &p->esp.kinds;
}

void gh_parent_tunnels_choose(struct gh_parent *p, struct gh_ike_config *c)
{
    for (size_t i = 0; i < c->tunnel_count; i++) {
        struct gh_tunnel *t = &c->tunnels[i];
        const struct gh_kernel_lack *lack = gh_kernel_tunnel_lacks(t);
        char text[64];

        t->kernel = t->plane != IKE2_PLANE_USER;
        if (!t->kernel)
            continue;
        (void)snprintf(text, sizeof(text), "the kernel has no devices of type %s",
                       gh_tunnel_device_kind(&t->p));
        if (lack != NULL)
            refuse(t, lack->why);
        else if (!gh_tunnel_device_has(kinds(p), &t->p))
            refuse(t, text);
    }
}

bool gh_parent_tunnels_yield(struct gh_ike_config *c)
{
    bool any = false;

    for (size_t i = 0; i < c->tunnel_count; i++) {
        char why[GH_TUNNEL_WHY];

        if (!c->tunnels[i].kernel || gh_tunnel_kernel_protects(c, &c->tunnels[i], why))
            continue;
        refuse(&c->tunnels[i], why);
        any = true;
    }
    return any;
}

bool gh_parent_tunnels_need(const struct gh_ike_config *c, const struct ike2_policy *peer,
                            const struct ike2_child_policy *child)
{
    for (size_t i = 0; i < c->tunnel_count; i++) {
        const struct gh_tunnel *t = &c->tunnels[i];

        if (!t->kernel && gh_config_text_equal(t->peer, peer->name) &&
            (gh_tunnel_child_covers(child, &t->p, &t->p.remote) ||
             gh_tunnel_child_covers(child, &t->p, &t->p.backup)))
            return true;
    }
    return false;
}

void gh_parent_tunnels_report(const struct gh_parent *p, const struct gh_ike_config *c,
                              struct gh_problems *problems)
{
    for (size_t i = 0; i < c->tunnel_count; i++) {
        const struct gh_tunnel *t = &c->tunnels[i];

        if (t->not_kernel == NULL)
            continue;
        if (t->plane == IKE2_PLANE_KERNEL)
            gh_problem_add(problems, GH_PROBLEM_ERROR, p->options->config, t->line, "dataplane",
                           "write dataplane = auto or user for the tunnel",
                           "the kernel cannot have the device of the tunnel \"%s\": %s", t->name,
                           t->not_kernel);
        else
            gh_notice("the device of the tunnel %s is not the kernel's: %s", t->name,
                      t->not_kernel);
    }
}

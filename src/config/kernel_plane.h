/*
 * What of the configuration is for Gatehouse's own data plane alone, for the kernel's has no such
 * thing: one table of reasons for children, one for tunnels. Says nothing of the kernel that runs
 * (daemon/parent_xfrm.c, daemon/parent_tunnel_planes.c do). Pure.
 */
#ifndef GH_CONFIG_KERNEL_PLANE_H
#define GH_CONFIG_KERNEL_PLANE_H

#include "config/tunnels.h"
#include "ike/v2/policy.h"

struct gh_kernel_lack {
    const char *option; /* that asks for it */
    const char *why;    /* a clause */
};

/* NULL: the kernel's plane has all that the child asks for. */
const struct gh_kernel_lack *gh_kernel_child_lacks(const struct ike2_child_policy *child);
/* NULL: a device of the kernel's can be all that the tunnel is to be. */
const struct gh_kernel_lack *gh_kernel_tunnel_lacks(const struct gh_tunnel *t);

#endif

/*
 * What of a child's settings is for Gatehouse's own data plane alone: the kernel's has no such
 * thing. Says nothing of the kernel that runs (daemon/parent_xfrm.c does). Pure.
 */
#ifndef GH_CONFIG_KERNEL_PLANE_H
#define GH_CONFIG_KERNEL_PLANE_H

#include "ike/v2/policy.h"

/* The option's name. NULL: the kernel's plane has all. */
const char *gh_kernel_plane_lacks(const struct ike2_child_policy *child);

#endif

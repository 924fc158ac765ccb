#include "config/kernel_plane.h"

const char *gh_kernel_plane_lacks(const struct ike2_child_policy *child)
{
    const struct ike2_child_path plain = ike2_child_path_default(), *p = &child->path;

    if (child->mode == IKE2_TCP_AO)
        return NULL;
    if (child->fragments_also)
        return "later-fragments";
    if (p->ip_mtu != plain.ip_mtu)
        return "ip-mtu";
    if (p->encapsulated_ip_mtu != plain.encapsulated_ip_mtu)
        return "encapsulated-ip-mtu";
    if (p->clear_df != plain.clear_df)
        return "clear-df";
    if (p->df != plain.df)
        return "outer-df";
    if (p->ipv6_whole != plain.ipv6_whole)
        return "long-ipv6";
    if (p->ignores_icmp != plain.ignores_icmp)
        return "path-mtu";
    if (p->too_big_messages != plain.too_big_messages ||
        p->too_big_seconds != plain.too_big_seconds)
        return "icmp-too-big";
    return NULL;
}

#include "config/kernel_plane.h"

#include "tunnel/reassembly.h"

enum { KERNEL_WINDOW_MAX = 4096 };

/* ---- Children ------------------------------------------------------------------------------- */

static struct ike2_child_path plain(void)
{
    return ike2_child_path_default();
}

static bool later_fragments(const struct ike2_child_policy *c)
{
    return c->fragments_also;
}

static bool ip_mtu(const struct ike2_child_policy *c)
{
    return c->path.ip_mtu != plain().ip_mtu;
}

static bool encapsulated_ip_mtu(const struct ike2_child_policy *c)
{
    return c->path.encapsulated_ip_mtu != plain().encapsulated_ip_mtu;
}

static bool clear_df(const struct ike2_child_policy *c)
{
    return c->path.clear_df != plain().clear_df;
}

static bool outer_df(const struct ike2_child_policy *c)
{
    return c->path.df != plain().df;
}

static bool long_ipv6(const struct ike2_child_policy *c)
{
    return c->path.ipv6_whole != plain().ipv6_whole;
}

static bool path_mtu(const struct ike2_child_policy *c)
{
    return c->path.ignores_icmp != plain().ignores_icmp;
}

static bool too_big(const struct ike2_child_policy *c)
{
    return c->path.too_big_messages != plain().too_big_messages ||
           c->path.too_big_seconds != plain().too_big_seconds;
}

static bool window(const struct ike2_child_policy *c)
{
    return c->traffic.window > KERNEL_WINDOW_MAX;
}

static bool dscp(const struct ike2_child_policy *c)
{
    return c->traffic.set_dscp && c->traffic.dscp != 0;
}

#define NO_WORD(option) "it has \"" option "\", for which the kernel has no word"

static const struct {
    struct gh_kernel_lack lack;
    bool (*asked_for)(const struct ike2_child_policy *c);
} of_children[] = {
    {{"later-fragments", NO_WORD("later-fragments")}, later_fragments},
    {{"ip-mtu", NO_WORD("ip-mtu")}, ip_mtu},
    {{"encapsulated-ip-mtu", NO_WORD("encapsulated-ip-mtu")}, encapsulated_ip_mtu},
    {{"clear-df", NO_WORD("clear-df")}, clear_df},
    {{"outer-df", NO_WORD("outer-df")}, outer_df},
    {{"long-ipv6", NO_WORD("long-ipv6")}, long_ipv6},
    {{"path-mtu", NO_WORD("path-mtu")}, path_mtu},
    {{"icmp-too-big", NO_WORD("icmp-too-big")}, too_big},
    {{"replay-window", "the kernel's replay window has at most 4096 packets"}, window},
    {{"dscp", "the kernel copies the DSCP or sends 0"}, dscp},
};

const struct gh_kernel_lack *gh_kernel_child_lacks(const struct ike2_child_policy *child)
{
    for (size_t i = 0;
         child->mode != IKE2_TCP_AO && i < sizeof(of_children) / sizeof(of_children[0]); i++)
        if (of_children[i].asked_for(child))
            return &of_children[i].lack;
    return NULL;
}

/* ---- Tunnels -------------------------------------------------------------------------------- */

static bool two_remotes(const struct gh_tunnel *t)
{
    return t->p.backup.len != 0;
}

static bool any_key(const struct gh_tunnel *t)
{
    return t->p.ignore_key;
}

/* Only GRE over IPv4 has it; IPv6 has no DF. */
static bool df_never(const struct gh_tunnel *t)
{
    return t->p.df == TUNNEL_DF_CLEAR && t->p.kind != TUNNEL_GRE && t->p.local.len == 4;
}

static bool own_reassembly(const struct gh_tunnel *t)
{
    return t->reassembly_ms != TUNNEL_REASSEMBLY_WAIT_MS;
}

/* A link of less has no IPv6. */
static bool narrow(const struct gh_tunnel *t)
{
    return t->p.mtu.ip_mtu < TUNNEL_IPV6_MTU_MIN;
}

static bool outer_mtu(const struct gh_tunnel *t)
{
    return t->p.mtu.encapsulated_ip_mtu != 0;
}

static bool inner_df(const struct gh_tunnel *t)
{
    return t->p.mtu.clear_df;
}

static bool whole_ipv6(const struct gh_tunnel *t)
{
    return t->p.mtu.ipv6 == TUNNEL_MTU_IPV6_WHOLE;
}

static bool mss(const struct gh_tunnel *t)
{
    return t->p.mss != 0;
}

static bool own_rate(const struct gh_tunnel *t)
{
    return t->too_big_messages != IKE2_TOO_BIG_MESSAGES ||
           t->too_big_seconds != IKE2_TOO_BIG_SECONDS;
}

static const struct {
    struct gh_kernel_lack lack;
    bool (*asked_for)(const struct gh_tunnel *t);
} of_tunnels[] = {
    {{"backup-remote", "the kernel's device has one remote address"}, two_remotes},
    {{"ignore-key", "the kernel's device takes packets of its own key alone"}, any_key},
    {{"outer-df", "the kernel's IP in IP copies or sets DF"}, df_never},
    {{"reassembly", "the kernel reassembles for all of its namespace alike"}, own_reassembly},
    {{"ip-mtu", "the kernel has no IPv6 on a device with an MTU below 1280"}, narrow},
    {{"encapsulated-ip-mtu", NO_WORD("encapsulated-ip-mtu")}, outer_mtu},
    {{"clear-df", NO_WORD("clear-df")}, inner_df},
    {{"long-ipv6", NO_WORD("long-ipv6")}, whole_ipv6},
    {{"mss", NO_WORD("mss")}, mss},
    {{"icmp-too-big", NO_WORD("icmp-too-big")}, own_rate},
};

const struct gh_kernel_lack *gh_kernel_tunnel_lacks(const struct gh_tunnel *t)
{
    for (size_t i = 0; i < sizeof(of_tunnels) / sizeof(of_tunnels[0]); i++)
        if (of_tunnels[i].asked_for(t))
            return &of_tunnels[i].lack;
    return NULL;
}

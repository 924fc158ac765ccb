/*
 * The MTU of a place's tunnel devices: the largest ip-mtu of the children there, for they share the
 * device. So the kernel fragments and refuses what is too long for all of them, as it does on any
 * link, and its own TCP begins with what fits; `esp` sees to those that take less (esp_path.h).
 *
 * A child that is to take packets which the kernel would refuse (clear-df, long-ipv6 = whole) needs
 * a device that takes them all.
 */
#include "daemon/parent_priv.h"

#include <string.h>

#include "base/log.h"
#include "config/ike.h"
#include "platform/tun.h"
#include "tunnel/mtu.h"

static uint32_t wants(const struct ike2_child_policy *child)
{
    if (child->mode == IKE2_TCP_AO)
        return 0;
    if (child->path.clear_df || child->path.ipv6_whole)
        return TUNNEL_MTU_MAX;
    return child->path.ip_mtu;
}

void gh_parent_esp_set_mtu(struct gh_parent *p, struct gh_parent_place *place)
{
    const struct gh_ike_config *c = p->config->ike;
    uint32_t mtu = TUNNEL_IPV6_MTU_MIN; /* with less, the device would have no IPv6 */
    int result;

    for (size_t i = 0; i < c->policy_count; i++)
        for (size_t k = 0; gh_parent_esp_is_protected_in(place, c, c->policies[i]) &&
                           k < c->policies[i]->child_count;
             k++)
            if (wants(&c->policies[i]->children[k]) > mtu)
                mtu = wants(&c->policies[i]->children[k]);
    for (size_t slot = 0; slot < p->esp.slot_count; slot++) {
        struct gh_esp_share *share = &place->esp.shares[slot];

        if (mtu == share->mtu)
            continue;
        result = gh_tun_set_mtu(place->netns, share->ifindex, mtu);
        if (result != 0)
            gh_error("the MTU of the tunnel device: %s", strerror(-result));
        else
            share->mtu = mtu;
    }
}

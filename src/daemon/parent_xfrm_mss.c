/*
 * `mss` of children that the kernel carries: rules of nftables (platform/mss_rules.h), as the
 * configuration has them. Like its policies they stay when the daemon ends.
 */
#include "daemon/parent_priv.h"

#include <stdlib.h>

#include "base/log.h"
#include "config/alloc.h"
#include "config/ike.h"
#include "platform/mss_rules.h"
#include "tunnel/mss.h"

struct wish {
    struct gh_mss_rule *list;
    size_t count;
};

static void add(struct wish *w, const struct ike2_child_policy *child, const struct ike_ts *local,
                const struct ike_ts *remote)
{
    uint16_t mss = child->path.mss;

    if (local->start.len != remote->start.len)
        return;
    if (mss == IKE2_MSS_AUTO)
        mss = tunnel_mss_for(local->start.len == 4 ? 4 : 6, child->path.ip_mtu);
    w->list = gh_config_grow(w->list, w->count, sizeof(*w->list));
    w->list[w->count++] = (struct gh_mss_rule){
        .local = {local->start, local->end}, .remote = {remote->start, remote->end}, .mss = mss};
}

static void add_child(struct wish *w, const struct ike2_child_policy *child)
{
    if (!child->kernel || child->path.mss == 0)
        return;
    for (size_t i = 0; i < child->local.count; i++)
        for (size_t k = 0; k < child->remote.count; k++)
            add(w, child, &child->local.ts[i], &child->remote.ts[k]);
}

void gh_parent_xfrm_mss_follow(const struct gh_parent *p, const struct gh_parent_place *place)
{
    const struct gh_ike_config *c = p->config->ike;
    char said[GH_RULES_SAID] = "";
    struct wish w = {.list = NULL};

    for (size_t i = 0; c != NULL && i < c->policy_count; i++)
        for (size_t k = 0; gh_parent_esp_is_protected_in(place, c, c->policies[i]) &&
                           k < c->policies[i]->child_count;
             k++)
            add_child(&w, &c->policies[i]->children[k]);
    if (w.count == 0)
        (void)gh_mss_remove(place->netns, said); /* without nft there is nothing */
    else if (!gh_mss_install(place->netns, w.list, w.count, said))
        gh_warning("mss of what the kernel's IPsec carries: %s", said);
    free(w.list);
}

void gh_parent_xfrm_mss_remove(const char *netns)
{
    char said[GH_RULES_SAID];

    (void)gh_mss_remove(netns, said);
}

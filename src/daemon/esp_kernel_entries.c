#include "daemon/esp_kernel_entries.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/tunnel_cover.h"
#include "ike/codes.h"
#include "ike/ts_set.h"

bool gh_kernel_entry_leads(const struct gh_kernel_entry *e, const struct gh_plane_policy *sa)
{
    const struct gh_plane_policy *p = &e->policy;

    return p->action == IPSEC_PROTECT && p->protocol == sa->protocol &&
           ike_ts_list_equal(&p->ts_local, &sa->ts_local) &&
           ike_ts_list_equal(&p->ts_remote, &sa->ts_remote) &&
           (p->mode == IPSEC_TRANSPORT ||
            (gh_addr_equal(&p->local, &sa->local) && gh_addr_equal(&p->remote, &sa->remote)));
}

static void name_place(struct gh_kernel_entry *e, const struct gh_ike_config *config, uint16_t zone)
{
    const char *netns = zone > 0 ? config->zones[zone - 1].netns : NULL;

    (void)snprintf(e->netns, sizeof(e->netns), "%s", netns != NULL ? netns : "");
}

static struct gh_kernel_entry of_child(const struct gh_ike_config *config,
                                       struct gh_esp_names *policies, const struct ike2_policy *p,
                                       const struct ike2_child_policy *child)
{
    bool ah = ike_proposals_protocol(&child->proposals) == IKE_PROTO_AH;
    struct gh_kernel_entry e = {
        .child = true,
        .clients = p->client_db != NULL,
        .policy = {.number = gh_esp_number(policies, p->name, child->name),
                   .action = child->mode == IKE2_TUNNEL && p->gateway.len == 0 ? IPSEC_DISCARD
                                                                               : IPSEC_PROTECT,
                   .out = true,
                   .in = true,
                   .protocol = ah ? IPSEC_AH : IPSEC_ESP,
                   .mode = child->mode == IKE2_TRANSPORT ? IPSEC_TRANSPORT : IPSEC_TUNNEL,
                   .local = p->local,
                   .remote = p->gateway,
                   .ts_local = child->local,
                   .ts_remote = child->remote}};

    if (e.policy.local.len == 0) /* the kernel looks it up */
        e.policy.local.len = p->gateway.len;
    name_place(&e, config, p->zone);
    return e;
}

static size_t add_children(const struct gh_ike_config *config, struct gh_esp_names *policies,
                           struct gh_kernel_entry *list)
{
    size_t count = 0;

    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];

        for (size_t c = 0; c < p->child_count; c++)
            if (p->children[c].kernel && p->children[c].mode != IKE2_TCP_AO)
                list[count++] = of_child(config, policies, p, &p->children[c]);
    }
    return count;
}

static size_t add_spd(const struct gh_ike_config *config, struct gh_esp_names *policies, bool after,
                      struct gh_kernel_entry *list)
{
    size_t count = 0;

    for (size_t i = 0; i < config->spd_count; i++) {
        const struct gh_spd_entry *from = &config->spd[i];
        struct gh_kernel_entry e = {.policy = {.number = gh_esp_number(policies, "", from->name),
                                               .action = from->discard ? IPSEC_DISCARD : IPSEC_PASS,
                                               .out = from->out,
                                               .in = from->in,
                                               .protocol = IPSEC_ESP, /* does not count */
                                               .ts_local = from->local,
                                               .ts_remote = from->remote}};
        bool user, kernel;

        gh_spd_planes(config, from->zone, &user, &kernel);
        if (!kernel || from->after != after)
            continue;
        name_place(&e, config, from->zone);
        list[count++] = e;
    }
    return count;
}

static void set_host(struct ike_ts_list *list, const struct gh_addr *a, uint8_t protocol)
{
    list->count = 1;
    list->ts[0] = (struct ike_ts){.type = a->len == 4 ? IKE_TS_IPV4 : IKE_TS_IPV6,
                                  .protocol = protocol,
                                  .end_port = 65535,
                                  .start = *a,
                                  .end = *a};
}

/* What no child of its peer is for never leaves in clear, nor comes in so: behind the children, and
 * before entries that could let it pass. */
static size_t add_tunnels(const struct gh_ike_config *config, struct gh_esp_names *policies,
                          struct gh_kernel_entry *list)
{
    size_t count = 0;

    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct gh_tunnel *t = &config->tunnels[i];
        uint8_t protocols[2];
        size_t n = gh_tunnel_protocols(t->p.kind, protocols);
        char name[GH_IKE_NAME_MAX + 16];

        (void)snprintf(name, sizeof(name), "of the tunnel %s", t->name);
        for (size_t k = 0; t->kernel && t->peer != NULL && k < n; k++) {
            struct gh_kernel_entry e = {.policy = {.number = gh_esp_number(policies, "", name),
                                                   .action = IPSEC_DISCARD,
                                                   .out = true,
                                                   .in = true,
                                                   .protocol = IPSEC_ESP /* does not count */}};

            set_host(&e.policy.ts_local, &t->p.local, protocols[k]);
            set_host(&e.policy.ts_remote, &t->p.remote, protocols[k]);
            name_place(&e, config, t->zone);
            list[count++] = e;
        }
    }
    return count;
}

struct gh_kernel_entry *gh_kernel_entries(const struct gh_ike_config *config,
                                          struct gh_esp_names *policies, size_t *count)
{
    size_t most = config->spd_count + 2 * config->tunnel_count, n = 0;
    struct gh_kernel_entry *list;

    for (size_t i = 0; i < config->policy_count; i++)
        most += config->policies[i]->child_count;
    list = calloc(most + 1, sizeof(*list));
    if (list != NULL) {
        n = add_spd(config, policies, false, list);
        n += add_children(config, policies, list + n);
        n += add_tunnels(config, policies, list + n);
        n += add_spd(config, policies, true, list + n);
    }
    *count = n;
    return list;
}

/*
 * `child NAME { … }` of a peer.
 */
#include <stdio.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/sizes.h"
#include "config/traffic.h"
#include "ike/codes.h"

enum {
    CHILD_MODE,
    CHILD_TRANSFORM,
    CHILD_LOCAL_TS,
    CHILD_REMOTE_TS,
    CHILD_TS_LIST,
    CHILD_LIFETIME,
    CHILD_LIFETIME_OCTETS,
    CHILD_LIFETIME_PACKETS,
    CHILD_START,
    CHILD_ADMIN,
    CHILD_IDLE,
    CHILD_REVERSE_ROUTE,
    CHILD_ROUTE_METRIC,
    CHILD_ROUTE_OVERLAP,
    CHILD_ICMP_QUOTES,
    CHILD_LATER_FRAGMENTS,
    CHILD_SINGLE,
    CHILD_TRAFFIC,
    CHILD_SIZES = CHILD_TRAFFIC + GH_TRAFFIC_ITEMS,
    CHILD_ITEMS = CHILD_SIZES + GH_SIZES_ITEMS
};

static const struct gh_item child_items[CHILD_ITEMS] = {
    [CHILD_MODE] = {"mode", GH_ITEM_VALUE},
    [CHILD_TRANSFORM] = {"ipsec-transform", GH_ITEM_LIST},
    [CHILD_LOCAL_TS] = {"local-ts", GH_ITEM_LIST},
    [CHILD_REMOTE_TS] = {"remote-ts", GH_ITEM_LIST},
    [CHILD_TS_LIST] = {"ts-list", GH_ITEM_VALUE},
    [CHILD_LIFETIME] = {"lifetime", GH_ITEM_VALUE},
    [CHILD_LIFETIME_OCTETS] = {"lifetime-octets", GH_ITEM_VALUE},
    [CHILD_LIFETIME_PACKETS] = {"lifetime-packets", GH_ITEM_VALUE},
    [CHILD_START] = {"start", GH_ITEM_VALUE},
    [CHILD_ADMIN] = {"admin", GH_ITEM_VALUE},
    [CHILD_IDLE] = {"idle-timeout", GH_ITEM_VALUE},
    [CHILD_REVERSE_ROUTE] = {"reverse-route", GH_ITEM_VALUE},
    [CHILD_ROUTE_METRIC] = {"route-metric", GH_ITEM_VALUE},
    [CHILD_ROUTE_OVERLAP] = {"route-overlap", GH_ITEM_VALUE},
    [CHILD_ICMP_QUOTES] = {"icmp-quotes", GH_ITEM_VALUE},
    [CHILD_LATER_FRAGMENTS] = {"later-fragments", GH_ITEM_VALUE},
    [CHILD_SINGLE] = {"single-sa", GH_ITEM_VALUE},
    GH_TRAFFIC_TABLE(CHILD_TRAFFIC),
    GH_SIZES_TABLE(CHILD_SIZES),
};

static void read_selectors(struct gh_ike_loader *x, const struct gh_node *section,
                           const struct gh_node **got, struct ike2_child_policy *child)
{
    bool inside = got[CHILD_LOCAL_TS] != NULL || got[CHILD_REMOTE_TS] != NULL;
    size_t index;

    if (got[CHILD_TS_LIST] != NULL && inside)
        gh_load_error(x->l, got[CHILD_TS_LIST]->line, "duplicate", "keep one of them",
                      "\"ts-list\" and selectors of the child exclude each other");
    if (gh_ike_refer_option(x, got[CHILD_TS_LIST], "ts-list", &index)) {
        child->local = x->ike->ts_lists[index].local;
        child->remote = x->ike->ts_lists[index].remote;
    }
    if (got[CHILD_TS_LIST] != NULL)
        return;
    for (size_t item = CHILD_LOCAL_TS; item <= CHILD_REMOTE_TS; item++) {
        if (got[item] == NULL)
            gh_load_error(x->l, section->line, "missing-option",
                          "add it, as in \"10.1.0.0/16\", or a ts-list",
                          "the child \"%s\" has no \"%s\"", child->name, child_items[item].name);
    }
    gh_ike_selectors(x, got[CHILD_LOCAL_TS], &child->local);
    gh_ike_selectors(x, got[CHILD_REMOTE_TS], &child->remote);
}

static void read_name(struct gh_ike_loader *x, const struct gh_node *section,
                      const struct ike2_policy *policy, const struct gh_ike_place *place,
                      struct ike2_child_policy *child)
{
    (void)snprintf(child->name, sizeof(child->name), "%s", gh_ike_name(x, section));
    for (size_t i = 0; i < policy->child_count; i++) {
        if (strcmp(policy->children[i].name, child->name) == 0)
            gh_load_error(x->l, section->line, "duplicate", "give them different names",
                          "\"%s\" has a child \"%s\" already, on line %d", policy->name,
                          child->name, place->child_lines[i]);
    }
}

static void read_routes(struct gh_ike_loader *x, const struct gh_node **got,
                        struct ike2_child_policy *child)
{
    static const char *const overlaps[] = {"refuse", "allow", NULL};
    uint64_t metric = 0;
    unsigned overlap = 0;

    gh_node_bool(x->l, got[CHILD_REVERSE_ROUTE], &child->reverse_route);
    gh_node_number(x->l, got[CHILD_ROUTE_METRIC], 0, UINT16_MAX, &metric);
    gh_node_choice(x->l, got[CHILD_ROUTE_OVERLAP], overlaps, &overlap);
    child->route_metric = (uint16_t)metric;
    child->route_overlap = overlap == 1;
    if (got[CHILD_ROUTE_METRIC] != NULL && !child->reverse_route)
        gh_load_error(x->l, got[CHILD_ROUTE_METRIC]->line, "range",
                      "add reverse-route = yes, or remove it",
                      "\"%s\" of the child \"%s\" is of use only with reverse routes",
                      child_items[CHILD_ROUTE_METRIC].name, child->name);
}

/* What is looked at in packets beside their own addresses and ports. */
static void read_checks(struct gh_ike_loader *x, const struct gh_node **got,
                        struct ike2_child_policy *child)
{
    static const char *const quotes[] = {"check", "pass", NULL};
    static const char *const later[] = {"drop", "follow", NULL};
    unsigned quote = 0, fragments = 0;

    gh_node_choice(x->l, got[CHILD_ICMP_QUOTES], quotes, &quote);
    gh_node_choice(x->l, got[CHILD_LATER_FRAGMENTS], later, &fragments);
    gh_node_bool(x->l, got[CHILD_SINGLE], &child->single);
    child->icmp_header = quote == 1;
    child->fragments_also = fragments == 1;
    if (child->fragments_also && child->mode != IKE2_TUNNEL)
        gh_load_error(x->l, got[CHILD_LATER_FRAGMENTS]->line, "range",
                      "remove it: transport mode protects whole packets",
                      "\"later-fragments\" of the child \"%s\" is of use only in tunnel mode",
                      child->name);
}

void gh_load_ike_child(struct gh_ike_loader *x, const struct gh_node *section,
                       struct ike2_policy *policy, struct gh_ike_place *place)
{
    static const char *const modes[] = {"tunnel", "transport", NULL};
    const uint64_t most = UINT64_C(999999999999999999); /* what a number may have: 18 digits */
    const struct gh_node *got[CHILD_ITEMS];
    struct ike2_child_policy *child;
    struct ike_sa defaults;
    unsigned mode = 0;

    if (policy->child_count == IKE2_CHILDREN) {
        gh_load_error(x->l, section->line, "too-many-children",
                      "join them: a child may have 32 selectors a side",
                      "\"%s\" has more than %d children", policy->name, (int)IKE2_CHILDREN);
        return;
    }
    policy->children =
        gh_config_grow(policy->children, policy->child_count, sizeof(*policy->children));
    child = &policy->children[policy->child_count];
    read_name(x, section, policy, place, child);
    gh_items_collect(x->l, section, child_items, CHILD_ITEMS, got);
    gh_node_choice(x->l, got[CHILD_MODE], modes, &mode);
    child->mode = mode == 0 ? IKE2_TUNNEL : IKE2_TRANSPORT;
    ike2_default_proposals(IKE_PROTO_ESP, &defaults);
    gh_ike_keep_proposals(&child->proposals, &defaults);
    gh_ike_proposals(x, got[CHILD_TRANSFORM], "ipsec-transform", &child->proposals);
    read_selectors(x, section, got, child);
    child->lifetime.seconds = GH_CHILD_LIFETIME;
    gh_ike_seconds(x, got[CHILD_LIFETIME], GH_LIFETIME_MIN, GH_LIFETIME_MAX,
                   &child->lifetime.seconds);
    gh_node_number(x->l, got[CHILD_LIFETIME_OCTETS], 1048576, most, &child->lifetime.octets);
    gh_node_number(x->l, got[CHILD_LIFETIME_PACKETS], 1024, most, &child->lifetime.packets);
    read_routes(x, got, child);
    read_checks(x, got, child);
    gh_load_ike_traffic(x, &got[CHILD_TRAFFIC], child);
    gh_ike_sizes(x, &got[CHILD_SIZES], &child->path);
    gh_ike_admin(x, got[CHILD_ADMIN], &child->admin);
    gh_ike_seconds(x, got[CHILD_IDLE], GH_IDLE_MIN, GH_IDLE_MAX, &child->idle_seconds);
    child->start = !policy->responder_only;
    gh_node_bool(x->l, got[CHILD_START], &child->start);
    if (child->start && policy->responder_only)
        gh_load_error(x->l, got[CHILD_START]->line, "range",
                      "remove it, or give the peer a gateway and let it initiate",
                      "\"%s\" never initiates, so the child \"%s\" cannot start", policy->name,
                      child->name);
    place->child_lines[policy->child_count++] = section->line;
}

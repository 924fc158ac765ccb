/*
 * `ipsec-policy NAME { … }`: what passes without IPsec, or not at all.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/spd.h"

enum {
    SPD_ACTION,
    SPD_DIRECTION,
    SPD_ORDER,
    SPD_NETNS,
    SPD_VRF,
    SPD_LOCAL_TS,
    SPD_REMOTE_TS,
    SPD_DESCRIPTION,
    SPD_ITEMS
};

static const struct gh_item spd_items[SPD_ITEMS] = {
    [SPD_ACTION] = {"action", GH_ITEM_VALUE},
    [SPD_DIRECTION] = {"direction", GH_ITEM_VALUE},
    [SPD_ORDER] = {"order", GH_ITEM_VALUE},
    [SPD_NETNS] = {"netns", GH_ITEM_VALUE},
    [SPD_VRF] = {"vrf", GH_ITEM_VALUE},
    [SPD_LOCAL_TS] = {"local-ts", GH_ITEM_LIST},
    [SPD_REMOTE_TS] = {"remote-ts", GH_ITEM_LIST},
    [SPD_DESCRIPTION] = {"description", GH_ITEM_VALUE},
};

static void read_needed(struct gh_ike_loader *x, const struct gh_node *section,
                        const struct gh_node **got, const char *name)
{
    static const struct {
        int item;
        const char *remedy;
    } needed[] = {
        {SPD_ACTION, "write action = bypass, or action = discard"},
        {SPD_LOCAL_TS, "add it, as in \"10.1.0.0/16\"; of all addresses, \"0.0.0.0/0\""},
        {SPD_REMOTE_TS, "add it, as in \"10.2.0.0/16\"; of all addresses, \"0.0.0.0/0\""}};

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (got[needed[i].item] == NULL)
            gh_load_error(x->l, section->line, "missing-option", needed[i].remedy,
                          "the ipsec-policy \"%s\" has no \"%s\"", name,
                          spd_items[needed[i].item].name);
}

/* Firewall rules have no word for it. */
static bool beyond_rules(const struct ike_ts *ts)
{
    bool any = ts->start_port == 0 && ts->end_port == UINT16_MAX;

    return ts->start_port > ts->end_port || (ts->protocol == IPPROTO_MH && !any);
}

static bool pairs(const struct ike_ts *a, const struct ike_ts *b)
{
    return a->type == b->type &&
           (a->protocol == 0 || b->protocol == 0 || a->protocol == b->protocol);
}

/* Each selector has a partner, and can be told from the packet alone. */
static void check_side(struct gh_ike_loader *x, const struct gh_node *n,
                       const struct ike_ts_list *list, const struct ike_ts_list *others)
{
    char text[IKE_TS_TEXT];

    for (size_t i = 0; n != NULL && i < list->count; i++) {
        bool any = others->count == 0;

        for (size_t k = 0; k < others->count; k++)
            any |= pairs(&list->ts[i], &others->ts[k]);
        if (!any)
            gh_load_error(x->l, n->line, "traffic-selector",
                          "write selectors of one IP version and protocol on both sides",
                          "%s in \"%s\" has nothing of its kind on the other side",
                          ike_ts_format(&list->ts[i], text), n->name);
        if (beyond_rules(&list->ts[i]))
            gh_load_error(x->l, n->line, "traffic-selector", "name ports, or leave them away",
                          "%s in \"%s\" is for hidden ports or for types of the mobility header, "
                          "which firewall rules have no word for",
                          ike_ts_format(&list->ts[i], text), n->name);
    }
}

static void read_values(struct gh_ike_loader *x, const struct gh_node **got, struct gh_spd_entry *e)
{
    static const char *const actions[] = {"bypass", "discard", NULL};
    static const char *const directions[] = {"both", "in", "out", NULL};
    static const char *const orders[] = {"before", "after", NULL};
    unsigned action = 0, direction = 0, order = 0;
    const char *text;

    gh_node_choice(x->l, got[SPD_ACTION], actions, &action);
    gh_node_choice(x->l, got[SPD_DIRECTION], directions, &direction);
    gh_node_choice(x->l, got[SPD_ORDER], orders, &order);
    gh_node_text(x->l, got[SPD_DESCRIPTION], GH_IKE_DESCRIPTION_MAX, &text);
    e->discard = action == 1;
    e->in = direction != 2;
    e->out = direction != 1;
    e->after = order == 1;
    e->zone = gh_ike_zone_number(x, got[SPD_NETNS], got[SPD_VRF], NULL);
    gh_ike_selectors(x, got[SPD_LOCAL_TS], &e->local);
    gh_ike_selectors(x, got[SPD_REMOTE_TS], &e->remote);
    check_side(x, got[SPD_LOCAL_TS], &e->local, &e->remote);
    check_side(x, got[SPD_REMOTE_TS], &e->remote, &e->local);
}

void gh_load_ipsec_policy(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[SPD_ITEMS];
    struct gh_ike_config *c = x->ike;
    struct gh_spd_entry e = {.name = gh_config_strdup(gh_ike_name(x, section)),
                             .line = section->line};

    gh_items_collect(x->l, section, spd_items, SPD_ITEMS, got);
    if (c->spd_count == GH_SPD_ENTRIES) {
        gh_load_error(x->l, section->line, "too-many-policies",
                      "join them: each may have 32 selectors a side", "at most %d are possible",
                      (int)GH_SPD_ENTRIES);
        free(e.name);
        return;
    }
    gh_ike_define(x, "ipsec-policy", e.name, section->line, c->spd_count);
    c->definitions[c->definition_count - 1].used = true;
    read_needed(x, section, got, e.name);
    read_values(x, got, &e);
    c->spd = gh_config_grow(c->spd, c->spd_count, sizeof(*c->spd));
    c->spd[c->spd_count++] = e;
}

/* A zone is written down once, so that its number tells it. */
static bool is_protected(const struct gh_ike_config *c, uint16_t zone)
{
    bool user, kernel;

    gh_spd_planes(c, zone, &user, &kernel);
    return user || kernel;
}

/* What comes from a private side leaves by the public one, and only through a tunnel. */
static bool is_private(const struct gh_ike_config *c, uint16_t zone)
{
    for (size_t i = 0; i < c->policy_count; i++)
        if (zone > 0 && c->policies[i]->private_zone == zone)
            return true;
    return false;
}

void gh_check_ipsec_policies(struct gh_ike_loader *x)
{
    for (size_t i = 0; i < x->ike->spd_count; i++) {
        const struct gh_spd_entry *e = &x->ike->spd[i];

        if (!e->discard && e->out && is_private(x->ike, e->zone))
            gh_load_error(x->l, e->line, "private-side",
                          "write direction = in, or routes of your own that are longer",
                          "the ipsec-policy \"%s\" cannot let anything out: it is at a private "
                          "side, which tunnels alone lead out of",
                          e->name);
        if (!is_protected(x->ike, e->zone))
            gh_load_error(x->l, x->ike->spd[i].line, "netns",
                          "write the netns and vrf where an ike-peer is, or where its private side "
                          "is",
                          "nothing is protected where the ipsec-policy \"%s\" is: no ike-peer has "
                          "a child in that namespace and VRF",
                          e->name);
    }
}

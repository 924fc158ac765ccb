/*
 * `ike-policy NAME { … }`: how IKE SAs are made and kept, for any number of peers.
 */
#include "config/alloc.h"
#include "config/ike_load.h"
#include "ike/codes.h"

enum {
    POLICY_DESCRIPTION,
    POLICY_TRANSFORM,
    POLICY_PREFER,
    POLICY_LIFETIME,
    POLICY_REAUTHENTICATE,
    POLICY_LIVENESS_INTERVAL,
    POLICY_LIVENESS_RETRIES,
    POLICY_LIVENESS_REPLY_ONLY,
    POLICY_FORCE_NAT_T,
    POLICY_NAT_KEEPALIVE,
    POLICY_FORCE_KEEPALIVE,
    POLICY_FRAGMENTATION,
    POLICY_FRAGMENT_MTU,
    POLICY_EXCHANGE_TIMEOUT,
    POLICY_RETRANSMIT_INTERVAL,
    POLICY_RETRANSMITS,
    POLICY_WINDOW,
    POLICY_MOBIKE,
    POLICY_NO_NATS,
    POLICY_NETNS,
    POLICY_VRF,
    POLICY_CHILDLESS,
    POLICY_INITIAL_CONTACT,
    POLICY_ROUTABILITY,
    POLICY_CRASH_TOKENS,
    POLICY_RESUMPTION,
    POLICY_FOLLOW,
    POLICY_FOLLOW_TO,
    POLICY_REDIRECT_TO,
    POLICY_REDIRECT_AT,
    POLICY_PUZZLE_LIMIT,
    POLICY_ITEMS
};

static const struct gh_item policy_items[POLICY_ITEMS] = {
    [POLICY_DESCRIPTION] = {"description", GH_ITEM_VALUE},
    [POLICY_TRANSFORM] = {"ike-transform", GH_ITEM_LIST},
    [POLICY_PREFER] = {"prefer", GH_ITEM_VALUE},
    [POLICY_LIFETIME] = {"lifetime", GH_ITEM_VALUE},
    [POLICY_REAUTHENTICATE] = {"reauthenticate", GH_ITEM_VALUE},
    [POLICY_LIVENESS_INTERVAL] = {"liveness-interval", GH_ITEM_VALUE},
    [POLICY_LIVENESS_RETRIES] = {"liveness-retries", GH_ITEM_VALUE},
    [POLICY_LIVENESS_REPLY_ONLY] = {"liveness-reply-only", GH_ITEM_VALUE},
    [POLICY_FORCE_NAT_T] = {"force-nat-t", GH_ITEM_VALUE},
    [POLICY_NAT_KEEPALIVE] = {"nat-keepalive", GH_ITEM_VALUE},
    [POLICY_FORCE_KEEPALIVE] = {"force-keepalive", GH_ITEM_VALUE},
    [POLICY_FRAGMENTATION] = {"fragmentation", GH_ITEM_VALUE},
    [POLICY_FRAGMENT_MTU] = {"fragment-mtu", GH_ITEM_VALUE},
    [POLICY_EXCHANGE_TIMEOUT] = {"exchange-timeout", GH_ITEM_VALUE},
    [POLICY_RETRANSMIT_INTERVAL] = {"retransmit-interval", GH_ITEM_VALUE},
    [POLICY_RETRANSMITS] = {"retransmits", GH_ITEM_VALUE},
    [POLICY_WINDOW] = {"window", GH_ITEM_VALUE},
    [POLICY_MOBIKE] = {"mobike", GH_ITEM_VALUE},
    [POLICY_NO_NATS] = {"no-nats", GH_ITEM_VALUE},
    [POLICY_NETNS] = {"netns", GH_ITEM_VALUE},
    [POLICY_VRF] = {"vrf", GH_ITEM_VALUE},
    [POLICY_CHILDLESS] = {"childless", GH_ITEM_VALUE},
    [POLICY_INITIAL_CONTACT] = {"initial-contact", GH_ITEM_VALUE},
    [POLICY_ROUTABILITY] = {"check-routability", GH_ITEM_VALUE},
    [POLICY_CRASH_TOKENS] = {"crash-tokens", GH_ITEM_VALUE},
    [POLICY_RESUMPTION] = {"resumption", GH_ITEM_VALUE},
    [POLICY_FOLLOW] = {"follow-redirect", GH_ITEM_VALUE},
    [POLICY_FOLLOW_TO] = {"follow-redirect-to", GH_ITEM_VALUE},
    [POLICY_REDIRECT_TO] = {"redirect-to", GH_ITEM_VALUE},
    [POLICY_REDIRECT_AT] = {"redirect-at", GH_ITEM_VALUE},
    [POLICY_PUZZLE_LIMIT] = {"puzzle-limit", GH_ITEM_VALUE},
};

static void read_times(struct gh_ike_loader *x, const struct gh_node **got, struct ike2_policy *p)
{
    uint32_t v;
    bool reply_only = false;

    gh_ike_seconds(x, got[POLICY_LIFETIME], GH_LIFETIME_MIN, GH_LIFETIME_MAX, &p->lifetime.seconds);
    if (gh_ike_seconds(x, got[POLICY_LIVENESS_INTERVAL], 10, 300, &v))
        p->liveness_ms = v * 1000;
    if (gh_ike_u32(x, got[POLICY_LIVENESS_RETRIES], 2, 5, &v))
        p->liveness_retries = v;
    gh_node_bool(x->l, got[POLICY_LIVENESS_REPLY_ONLY], &reply_only);
    if (reply_only)
        p->liveness_ms = 0;
    if (gh_ike_seconds(x, got[POLICY_NAT_KEEPALIVE], 120, 600, &v))
        p->nat_keepalive_ms = v * 1000;
    if (gh_ike_seconds(x, got[POLICY_EXCHANGE_TIMEOUT], 2, 60, &v))
        p->half_open_ms = v * 1000;
    if (gh_ike_seconds(x, got[POLICY_RETRANSMIT_INTERVAL], 1, 60, &v))
        p->retransmit_ms = v * 1000;
    if (gh_ike_u32(x, got[POLICY_RETRANSMITS], 1, 10, &v))
        p->retransmits = v;
    if (reply_only && got[POLICY_LIVENESS_INTERVAL] != NULL)
        gh_load_error(x->l, got[POLICY_LIVENESS_INTERVAL]->line, "range", "keep one of them",
                      "\"liveness-interval\" and \"liveness-reply-only\" exclude each other");
}

/* RFC 5685: as client, and as gateway. */
static void read_redirect(struct gh_ike_loader *x, const struct gh_node **got,
                          struct ike2_policy *p)
{
    static const char *const moments[] = {"init", "auth", NULL};
    const struct gh_node *to = got[POLICY_FOLLOW_TO], *at = got[POLICY_REDIRECT_AT];
    unsigned moment = 0; /* strongSwan 5.9.8 does not survive the other */

    gh_node_bool(x->l, got[POLICY_FOLLOW], &p->redirects);
    if (to != NULL && !gh_prefix_parse(to->values[0], &p->follows_to))
        gh_load_error(x->l, to->line, "address", "write such as 192.0.2.0/24 or 2001:db8::/32",
                      "\"%s\" is not an address or prefix", to->name);
    if (to != NULL && !p->redirects)
        gh_load_error(x->l, to->line, "missing-option", "add follow-redirect = yes",
                      "\"%s\" without \"follow-redirect\" has no meaning", to->name);
    gh_node_choice(x->l, at, moments, &moment);
    if (gh_ike_addr(x, got[POLICY_REDIRECT_TO], &p->redirect_to))
        p->redirect_at = moment == 0 ? IKE2_REDIRECT_INIT : IKE2_REDIRECT_AUTH;
    else if (at != NULL && got[POLICY_REDIRECT_TO] == NULL)
        gh_load_error(x->l, at->line, "missing-option", "add redirect-to = ADDRESS",
                      "\"%s\" without \"redirect-to\" has no meaning", at->name);
}

void gh_load_ike_policy(struct gh_ike_loader *x, const struct gh_node *section)
{
    static const char *const preferences[] = {"ours", "theirs", NULL};
    const struct gh_node *got[POLICY_ITEMS];
    const char *name = gh_ike_name(x, section), *text;
    struct ike2_policy *p = gh_config_must(ike2_policy_new(name));
    unsigned prefer = 0;
    uint32_t mtu, bits, window;

    gh_items_collect(x->l, section, policy_items, POLICY_ITEMS, got);
    gh_node_text(x->l, got[POLICY_DESCRIPTION], GH_IKE_DESCRIPTION_MAX, &text);
    gh_ike_proposals(x, got[POLICY_TRANSFORM], "ike-transform", &p->proposals);
    gh_node_choice(x->l, got[POLICY_PREFER], preferences, &prefer);
    p->prefer_theirs = prefer == 1;
    read_times(x, got, p);
    gh_node_bool(x->l, got[POLICY_REAUTHENTICATE], &p->reauthenticate);
    gh_node_bool(x->l, got[POLICY_FORCE_NAT_T], &p->force_nat_t);
    gh_node_bool(x->l, got[POLICY_FORCE_KEEPALIVE], &p->force_keepalive);
    gh_node_bool(x->l, got[POLICY_FRAGMENTATION], &p->fragmentation);
    if (gh_ike_u32(x, got[POLICY_FRAGMENT_MTU], 512, 9000, &mtu))
        p->mtu = (uint16_t)mtu;
    if (gh_ike_u32(x, got[POLICY_WINDOW], 1, IKE2_WINDOW_MAX, &window))
        p->window = (uint8_t)window;
    gh_node_bool(x->l, got[POLICY_MOBIKE], &p->mobike);
    gh_node_bool(x->l, got[POLICY_NO_NATS], &p->no_nats);
    if (p->no_nats && p->force_nat_t)
        gh_load_error(x->l, got[POLICY_NO_NATS]->line, "range", "keep one of them",
                      "\"no-nats\" and \"force-nat-t\" exclude each other");
    gh_ike_zone(x, got[POLICY_NETNS], got[POLICY_VRF], p);
    gh_node_bool(x->l, got[POLICY_CHILDLESS], &p->childless);
    gh_node_bool(x->l, got[POLICY_INITIAL_CONTACT], &p->initial_contact);
    gh_node_bool(x->l, got[POLICY_ROUTABILITY], &p->routability);
    gh_node_bool(x->l, got[POLICY_CRASH_TOKENS], &p->crash_tokens);
    gh_node_bool(x->l, got[POLICY_RESUMPTION], &p->resumption);
    read_redirect(x, got, p);
    if (gh_ike_u32(x, got[POLICY_PUZZLE_LIMIT], 0, GH_PUZZLE_BITS_MAX, &bits))
        p->puzzle_bits = (uint8_t)bits;
    gh_ike_define(x, "ike-policy", name, section->line, x->template_count);
    x->templates = gh_config_grow(x->templates, x->template_count, sizeof(struct ike2_policy *));
    x->templates[x->template_count++] = p;
}

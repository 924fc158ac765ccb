/*
 * `ike-peer NAME { … }`: the gateway at the other end.
 */
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load_peer.h"

static const struct gh_item peer_items[PEER_ITEMS] = {
    [PEER_DESCRIPTION] = {"description", GH_ITEM_VALUE},
    [PEER_REMOTE] = {"remote", GH_ITEM_VALUE},
    [PEER_LOCAL] = {"local", GH_ITEM_VALUE},
    [PEER_ADDITIONAL] = {"additional-addresses", GH_ITEM_LIST},
    [PEER_MOVES_TO] = {"moves-to", GH_ITEM_VALUE},
    [PEER_NETNS] = {"netns", GH_ITEM_VALUE},
    [PEER_VRF] = {"vrf", GH_ITEM_VALUE},
    [PEER_PRIVATE_NETNS] = {"private-netns", GH_ITEM_VALUE},
    [PEER_PRIVATE_VRF] = {"private-vrf", GH_ITEM_VALUE},
    [PEER_GATEWAY] = {"gateway", GH_ITEM_VALUE},
    [PEER_PORT] = {"port", GH_ITEM_VALUE},
    [PEER_RESPONDER_ONLY] = {"responder-only", GH_ITEM_VALUE},
    [PEER_POLICY] = {"ike-policy", GH_ITEM_VALUE},
    [PEER_LOCAL_AUTH] = {"local-auth", GH_ITEM_VALUE},
    [PEER_REMOTE_AUTH] = {"remote-auth", GH_ITEM_LIST},
    [PEER_LOCAL_ID] = {"local-id", GH_ITEM_VALUE},
    [PEER_REMOTE_ID] = {"remote-id", GH_ITEM_VALUE},
    [PEER_MATCH_ID] = {"match-peer-id-to-cert", GH_ITEM_VALUE},
    [PEER_PSK] = {"psk", GH_ITEM_VALUE},
    [PEER_PSK_FILE] = {"psk-file", GH_ITEM_VALUE},
    [PEER_PSK_CREDENTIAL] = {"psk-credential", GH_ITEM_VALUE},
    [PEER_PSK_SECRET] = {"psk-secret", GH_ITEM_VALUE},
    [PEER_PROFILE] = {"cert-profile", GH_ITEM_VALUE},
    [PEER_TRUST] = {"trust-anchor-profile", GH_ITEM_VALUE},
    [PEER_RAW_KEY] = {"raw-key", GH_ITEM_VALUE},
    [PEER_PEER_RAW_KEY] = {"peer-raw-key-file", GH_ITEM_VALUE},
    [PEER_CLIENT_DB] = {"client-db", GH_ITEM_VALUE},
    [PEER_PPK] = {"ppk", GH_ITEM_VALUE},
    [PEER_PPK_REQUIRED] = {"ppk-required", GH_ITEM_VALUE},
    [PEER_BACKUP] = {"backup", GH_ITEM_LIST},
    [PEER_REVERT] = {"revert", GH_ITEM_VALUE},
    [PEER_ADMIN] = {"admin", GH_ITEM_VALUE},
    [PEER_DATAPLANE] = {"dataplane", GH_ITEM_VALUE},
    [PEER_GROUP] = {"tunnel-group", GH_ITEM_VALUE},
    [PEER_CHILD] = {"child", GH_ITEM_TITLED_SECTION},
};
/* ---- Addresses ------------------------------------------------------------------------------ */

static void read_remote(struct gh_ike_loader *x, const struct gh_node *n, struct ike2_policy *p)
{
    if (n == NULL || strcmp(n->values[0], "any") == 0)
        return;
    if (!gh_prefix_parse(n->values[0], &p->remote) ||
        (gh_prefix_is_host(&p->remote) && gh_addr_is_any(&p->remote.addr)))
        gh_load_error(x->l, n->line, "address",
                      "write such as 192.0.2.2, 2001:db8::2, 192.0.2.0/24 or any",
                      "\"%s\" is not an address or prefix", n->name);
}

static void read_addresses(struct gh_ike_loader *x, const struct gh_node *section,
                           const struct gh_node **got, struct ike2_policy *p)
{
    const struct gh_node *gateway = got[PEER_GATEWAY];
    uint64_t port = p->port;

    if (got[PEER_REMOTE] == NULL)
        gh_load_error(x->l, section->line, "missing-option", "add remote = ADDRESS, PREFIX or any",
                      "the ike-peer \"%s\" has no \"remote\"", p->name);
    read_remote(x, got[PEER_REMOTE], p);
    gh_ike_addr(x, got[PEER_LOCAL], &p->local);
    if (p->local.len != 0 && p->remote.addr.len != 0 && p->local.len != p->remote.addr.len)
        gh_load_error(x->l, got[PEER_LOCAL]->line, "address", "write both as IPv4 or both as IPv6",
                      "\"remote\" and \"local\" are of different address families");
    if (p->remote.addr.len != 0 && gh_prefix_is_host(&p->remote))
        p->gateway = p->remote.addr;
    if (gh_ike_addr(x, gateway, &p->gateway) && p->remote.addr.len != 0 &&
        !gh_prefix_contains(&p->remote, &p->gateway))
        gh_load_error(x->l, gateway->line, "address", "write one that is, or widen \"remote\"",
                      "\"gateway\" is not in \"remote\"");
    gh_node_number(x->l, got[PEER_PORT], 1, 65535, &port);
    p->port = (uint16_t)port;
    p->responder_only = p->gateway.len == 0;
    gh_node_bool(x->l, got[PEER_RESPONDER_ONLY], &p->responder_only);
    if (p->gateway.len == 0 && !p->responder_only)
        gh_load_error(x->l, got[PEER_RESPONDER_ONLY]->line, "address", "add gateway = ADDRESS",
                      "\"%s\" is to initiate, but to no one address", p->name);
}

/* Clients that are sent to where they are would come again and again. */
static void check_redirect(struct gh_ike_loader *x, const struct ike2_policy *p,
                           const struct gh_node **got)
{
    if (p->redirect_to.len == 0)
        return;
    if (gh_addr_equal(&p->redirect_to, &p->local))
        gh_load_error(
            x->l, got[PEER_POLICY]->line, "address", "name another gateway in the ike-policy",
            "\"redirect-to\" of the ike-policy is the \"local\" address of \"%s\"", p->name);
    if (p->remote.addr.len != 0 && p->remote.addr.len != p->redirect_to.len)
        gh_load_error(x->l, got[PEER_POLICY]->line, "address", "write both as IPv4 or both as IPv6",
                      "\"redirect-to\" of the ike-policy and \"remote\" of \"%s\" are of different "
                      "address families",
                      p->name);
}

/* ---- Peers among each other ----------------------------------------------------------------- */

static bool same_identities(const struct ike2_policy *a, const struct ike2_policy *b)
{
    if (a->remote_id == NULL || b->remote_id == NULL)
        return a->remote_id == b->remote_id;
    return strcmp(gh_pattern_text(a->remote_id), gh_pattern_text(b->remote_id)) == 0;
}

static void check_others(struct gh_ike_loader *x, const struct ike2_policy *p, int line)
{
    const struct gh_ike_config *c = x->ike;

    for (size_t i = 0; i < c->policy_count; i++) {
        const struct ike2_policy *other = c->policies[i];

        if (!other->manual && p->zone == other->zone &&
            gh_prefix_equal(&p->remote, &other->remote) &&
            gh_addr_equal(&p->local, &other->local) && p->port == other->port &&
            same_identities(p, other))
            gh_load_error(x->l, line, "peer-overlap",
                          "make the children of one peer, or tell them apart by local, remote-id, "
                          "netns or vrf",
                          "the ike-peer \"%s\" has the same ends as \"%s\" (line %d)", p->name,
                          other->name, c->places[i].line);
    }
}

/* A copy of the ike-policy, which has neither pattern nor children, under the peer's name. */
static struct ike2_policy *start_from(struct gh_ike_loader *x, const struct gh_node *n,
                                      const char *name)
{
    size_t index;

    return gh_config_must(gh_ike_refer_option(x, n, "ike-policy", &index)
                              ? ike2_policy_like(x->templates[index], name)
                              : ike2_policy_new(name));
}

void gh_load_ike_peer(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[PEER_ITEMS];
    struct gh_ike_config *c = x->ike;
    const char *name = gh_ike_name(x, section), *text;
    struct gh_ike_place place = {.line = section->line};
    struct ike2_policy *p;

    gh_items_collect(x->l, section, peer_items, PEER_ITEMS, got);
    if (c->policy_count == GH_IKE_PEERS) {
        gh_load_error(x->l, section->line, "too-many-peers", NULL, "at most %d peers are possible",
                      (int)GH_IKE_PEERS);
        return;
    }
    gh_node_text(x->l, got[PEER_DESCRIPTION], GH_IKE_DESCRIPTION_MAX, &text);
    gh_ike_define(x, "ike-peer", name, section->line, c->policy_count);
    c->definitions[c->definition_count - 1].used = true;
    p = start_from(x, got[PEER_POLICY], name);
    p->index = (unsigned)c->policy_count + 1;
    read_addresses(x, section, got, p);
    gh_load_ike_gateways(x, got, p);
    gh_ike_zone(x, got[PEER_NETNS], got[PEER_VRF], p);
    gh_load_ike_moves(x, got, p);
    gh_load_ike_auth(x, section, got, p);
    for (size_t i = 0; i < section->child_count; i++) {
        const struct gh_node *n = &section->children[i];

        if (n->section && n->title != NULL && strcmp(n->name, "child") == 0)
            gh_load_ike_child(x, n, p, &place);
    }
    gh_load_ike_plane(x, got[PEER_DATAPLANE], &place, p);
    gh_load_ike_private(x, got, &place, p);
    gh_load_ike_peer_group(x, got[PEER_GROUP], p, &place);
    check_redirect(x, p, got);
    check_others(x, p, section->line);
    c->policies = gh_config_grow(c->policies, c->policy_count, sizeof(struct ike2_policy *));
    c->places = gh_config_grow(c->places, c->policy_count, sizeof(*c->places));
    c->places[c->policy_count] = place;
    c->policies[c->policy_count++] = p;
}

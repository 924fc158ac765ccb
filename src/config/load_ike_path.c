/*
 * Where an IKE peer is called from: the namespace and VRF, and the addresses of both ends beside
 * those that the first message has.
 */
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load_peer.h"

/* ---- Zones ---------------------------------------------------------------------------------- */

/* Takes both texts. */
static uint16_t zone_of(struct gh_ike_loader *x, char *netns, char *vrf)
{
    struct gh_ike_config *c = x->ike;
    size_t i = 0;

    while (i < c->zone_count && !(gh_config_text_equal(c->zones[i].netns, netns) &&
                                  gh_config_text_equal(c->zones[i].vrf, vrf)))
        i++;
    if (i < c->zone_count) {
        free(netns);
        free(vrf);
        return (uint16_t)(i + 1);
    }
    c->zones = gh_config_grow(c->zones, c->zone_count, sizeof(*c->zones));
    c->zones[c->zone_count++] = (struct gh_ike_zone){.netns = netns, .vrf = vrf};
    return (uint16_t)c->zone_count;
}

static char *copy(const char *text)
{
    return text != NULL ? gh_config_strdup(text) : NULL;
}

uint16_t gh_ike_zone_number(struct gh_ike_loader *x, const struct gh_node *netns,
                            const struct gh_node *vrf, const struct gh_ike_zone *otherwise)
{
    char *its_netns = NULL, *its_vrf = NULL;

    gh_load_place(x->l, netns, vrf, &its_netns, &its_vrf);
    if (netns == NULL && otherwise != NULL)
        its_netns = copy(otherwise->netns);
    if (vrf == NULL && otherwise != NULL)
        its_vrf = copy(otherwise->vrf);
    if (its_netns == NULL && its_vrf == NULL)
        return 0;
    if (x->ike->zone_count == GH_IKE_ZONES) {
        gh_load_error(x->l, (netns != NULL ? netns : vrf)->line, "too-many-zones", NULL,
                      "IKE peers are in more than %d namespaces and VRFs", (int)GH_IKE_ZONES);
        free(its_netns);
        free(its_vrf);
        return 0;
    }
    return zone_of(x, its_netns, its_vrf);
}

void gh_ike_zone(struct gh_ike_loader *x, const struct gh_node *netns, const struct gh_node *vrf,
                 struct ike2_policy *p)
{
    if (netns != NULL || vrf != NULL)
        p->zone = gh_ike_zone_number(x, netns, vrf, gh_ike_public_zone(x->ike, p));
}

/* ---- MOBIKE --------------------------------------------------------------------------------- */

static void needs_mobike(struct gh_ike_loader *x, const struct gh_node *n,
                         const struct ike2_policy *p)
{
    if (n != NULL && !p->mobike)
        gh_load_error(x->l, n->line, "range", "write mobike = yes into the peer's ike-policy",
                      "\"%s\" of the ike-peer \"%s\" is of use only with MOBIKE", n->name, p->name);
}

static bool is_known(const struct ike2_policy *p, const struct gh_addr *a)
{
    for (size_t i = 0; i < p->other_count; i++)
        if (gh_addr_equal(&p->others[i], a))
            return true;
    return gh_addr_equal(&p->local, a);
}

static void read_additional(struct gh_ike_loader *x, const struct gh_node *n, struct ike2_policy *p)
{
    struct gh_addr a;

    p->others_all = p->mobike && n == NULL && p->local.len == 0;
    if (n == NULL || (n->value_count == 1 && strcmp(n->values[0], "none") == 0))
        return;
    if (n->value_count == 1 && strcmp(n->values[0], "all") == 0) {
        p->others_all = true;
        return;
    }
    for (size_t i = 0; i < n->value_count; i++) {
        if (!gh_addr_parse(n->values[i], &a) || gh_addr_is_any(&a))
            gh_load_error(x->l, n->value_lines[i], "address",
                          "write addresses of this host, or all, or none",
                          "\"%s\" is not the address of a host", n->values[i]);
        else if (p->other_count == IKE2_ADDRESSES)
            gh_load_error(x->l, n->value_lines[i], "too-many-addresses", "keep the best ones",
                          "\"%s\" has more than %d addresses", n->name, (int)IKE2_ADDRESSES);
        else if (is_known(p, &a))
            gh_load_error(x->l, n->value_lines[i], "duplicate", "write each once",
                          "\"%s\" is given already", n->values[i]);
        else
            p->others[p->other_count++] = a;
    }
}

void gh_load_ike_moves(struct gh_ike_loader *x, const struct gh_node **got, struct ike2_policy *p)
{
    const struct gh_node *to = got[PEER_MOVES_TO];

    needs_mobike(x, got[PEER_ADDITIONAL], p);
    needs_mobike(x, to, p);
    read_additional(x, got[PEER_ADDITIONAL], p);
    if (to != NULL && !gh_prefix_parse(to->values[0], &p->moves_to))
        gh_load_error(x->l, to->line, "address", "write such as 192.0.2.0/24 or 2001:db8::/32",
                      "\"%s\" is not a prefix", to->name);
}

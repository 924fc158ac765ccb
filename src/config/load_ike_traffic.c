/*
 * What the SAs of a child do with packets: replay-window, tfc-padding, dscp, copy-dscp-in, ecn.
 */
#include <string.h>

#include "config/ike_load.h"
#include "config/traffic.h"
#include "ike/codes.h"
#include "ipsec/replay.h"
#include "tunnel/mtu.h"

enum { ESN = 1, DSCP_MAX = 63 };

static bool is_word(const struct gh_node *n, const char *word)
{
    return n != NULL && strcmp(n->values[0], word) == 0;
}

/* A number, or `word`, which stands for `means`. */
static void read_or(struct gh_ike_loader *x, const struct gh_node *n, const char *word,
                    uint16_t means, uint32_t min, uint32_t max, uint16_t *out)
{
    uint32_t v;

    if (is_word(n, word))
        *out = means;
    else if (gh_ike_u32(x, n, min, max, &v))
        *out = (uint16_t)v;
}

static bool may_have_esn(const struct ike2_child_policy *child)
{
    struct ike_sa sa;

    ike_proposals_get(&child->proposals, &sa);
    for (size_t i = 0; i < sa.count; i++)
        for (size_t t = 0; t < sa.proposal[i].count; t++)
            if (sa.proposal[i].transform[t].type == IKE_T_SN &&
                sa.proposal[i].transform[t].id == ESN)
                return true;
    return false;
}

static void read_window(struct gh_ike_loader *x, const struct gh_node *n,
                        struct ike2_child_policy *child)
{
    read_or(x, n, "off", 0, IPSEC_WINDOW_MIN, IPSEC_WINDOW_MAX, &child->traffic.window);
    if (!is_word(n, "off"))
        return;
    gh_load_warning(x->l, n->line, "replay", "write such as replay-window = 1024",
                    "without \"%s\", whoever repeats packets of the child \"%s\" has them taken "
                    "again",
                    n->name, child->name);
    if (may_have_esn(child))
        gh_load_error(x->l, n->line, "range",
                      "name ipsec-transforms with esn = no, or give it a size",
                      "extended sequence numbers, which the child \"%s\" may have, need a \"%s\"",
                      child->name, n->name);
}

static void read_tfc(struct gh_ike_loader *x, const struct gh_node *n,
                     struct ike2_child_policy *child)
{
    if (is_word(n, "mtu"))
        child->traffic.tfc = IKE2_TFC_MTU;
    else
        read_or(x, n, "off", 0, TUNNEL_MTU_MIN, TUNNEL_MTU_MAX, &child->traffic.tfc);
    if (child->traffic.tfc != 0 && ike_proposals_protocol(&child->proposals) == IKE_PROTO_AH)
        gh_load_error(x->l, n->line, "range", "name ipsec-transforms of ESP, or remove it",
                      "\"%s\" of the child \"%s\" is of use only with ESP, for AH hides nothing",
                      n->name, child->name);
}

/* Where there is one header alone, all of it is the packet's own. */
static void needs_tunnel(struct gh_ike_loader *x, const struct gh_node *n,
                         const struct ike2_child_policy *child)
{
    if (n != NULL && child->mode != IKE2_TUNNEL)
        gh_load_error(x->l, n->line, "range", "write mode = tunnel, or remove it",
                      "\"%s\" of the child \"%s\" is of use only in tunnel mode", n->name,
                      child->name);
}

void gh_load_ike_traffic(struct gh_ike_loader *x, const struct gh_node *const *got,
                         struct ike2_child_policy *child)
{
    static const char *const ecn[] = {"copy", "off", NULL};
    struct ike2_child_traffic *t = &child->traffic;
    const struct gh_node *dscp = got[GH_TRAFFIC_DSCP];
    unsigned choice = 0;
    uint32_t v;

    *t = ike2_child_traffic_default();
    read_window(x, got[GH_TRAFFIC_WINDOW], child);
    read_tfc(x, got[GH_TRAFFIC_TFC], child);
    if (dscp != NULL && !is_word(dscp, "copy") && gh_ike_u32(x, dscp, 0, DSCP_MAX, &v)) {
        t->set_dscp = true;
        t->dscp = (uint8_t)v;
    }
    gh_node_bool(x->l, got[GH_TRAFFIC_DSCP_IN], &t->dscp_from_outer);
    gh_node_choice(x->l, got[GH_TRAFFIC_ECN], ecn, &choice);
    t->no_ecn = choice == 1;
    for (size_t i = GH_TRAFFIC_TFC; i < GH_TRAFFIC_ITEMS; i++)
        needs_tunnel(x, got[i], child);
}

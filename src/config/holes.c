#include "config/holes.h"

#include <string.h>

#include "ike/proposals.h"

enum { IN, OUT };

/* One end of a peer; bits 0: anybody of the family. */
struct end {
    uint8_t family;
    struct gh_prefix prefix;
};

static void rule(FILE *out, int way, const struct end *e, const char *what)
{
    char text[GH_PREFIX_TEXT];

    fputs("        ", out);
    if (e->prefix.bits > 0)
        fprintf(out, "ip%s %saddr %s ", e->family == 4 ? "" : "6", way == IN ? "s" : "d",
                gh_prefix_format(&e->prefix, text));
    else
        fprintf(out, "meta nfproto ipv%d ", e->family);
    fprintf(out, "%s accept\n", what);
}

/* ---- Peers ---------------------------------------------------------------------------------- */

static bool has_protocol(const struct ike2_policy *p, uint8_t protocol)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (p->children[i].mode != IKE2_TCP_AO &&
            ike_proposals_protocol(&p->children[i].proposals) == protocol)
            return true;
    return false;
}

static void peer_rules(FILE *out, int way, const struct ike2_policy *p, const struct end *e)
{
    rule(out, way, e, way == IN ? "udp dport { 500, 4500 }" : "udp sport { 500, 4500 }");
    if (has_protocol(p, IKE_PROTO_ESP) && !p->force_nat_t)
        rule(out, way, e, "meta l4proto esp");
    if (has_protocol(p, IKE_PROTO_AH))
        rule(out, way, e, "meta l4proto ah");
}

static void at_prefix(FILE *out, int way, const struct ike2_policy *p,
                      const struct gh_prefix *prefix)
{
    struct end e = {.family = prefix->addr.len == 16 ? 6 : 4, .prefix = *prefix};

    peer_rules(out, way, p, &e);
}

static void at_address(FILE *out, int way, const struct ike2_policy *p, const struct gh_addr *a)
{
    const struct gh_prefix prefix = {.addr = *a, .bits = (uint8_t)(8 * a->len)};

    at_prefix(out, way, p, &prefix);
}

static void anywhere(FILE *out, int way, const struct ike2_policy *p)
{
    for (uint8_t family = 4; family <= 6; family += 2)
        if (p->local.len == 0 || p->local.len == (family == 4 ? 4 : 16))
            peer_rules(out, way, p, &(struct end){.family = family});
}

static bool covers(const struct gh_prefix *prefix, const struct gh_addr *a)
{
    return prefix->bits > 0 && gh_prefix_contains(prefix, a);
}

/* Where it may be: as configured, at a backup, or where MOBIKE or a redirection takes it. */
static void peer_block(FILE *out, int way, const struct ike2_policy *p)
{
    bool moves = p->mobike && p->moves_to.bits == 0;
    bool follows = p->redirects && p->follows_to.bits == 0;

    fprintf(out, "        # ike-peer %s\n", p->name);
    if (p->remote.bits == 0 || moves || follows) {
        anywhere(out, way, p);
        return;
    }
    at_prefix(out, way, p, &p->remote);
    if (p->gateway.len != 0 && !covers(&p->remote, &p->gateway))
        at_address(out, way, p, &p->gateway);
    for (size_t i = 0; i < p->backup_count; i++)
        if (!covers(&p->remote, &p->backups[i]))
            at_address(out, way, p, &p->backups[i]);
    if (p->mobike)
        at_prefix(out, way, p, &p->moves_to);
    if (p->redirects)
        at_prefix(out, way, p, &p->follows_to);
}

/* ---- Tunnels that nobody protects ----------------------------------------------------------- */

static void tunnel_block(FILE *out, int way, const struct gh_tunnel *t)
{
    const char *what = t->p.kind == TUNNEL_GRE ? "meta l4proto gre" : "meta l4proto { 4, 41 }";
    const struct gh_addr *ends[] = {&t->p.remote, &t->p.backup};

    fprintf(out, "        # tunnel %s\n", t->name);
    for (size_t i = 0; i < 2; i++)
        if (ends[i]->len != 0)
            rule(out, way,
                 &(struct end){.family = ends[i]->len == 16 ? 6 : 4,
                               .prefix = {.addr = *ends[i], .bits = (uint8_t)(8 * ends[i]->len)}},
                 what);
}

/* ---- Namespaces ----------------------------------------------------------------------------- */

static const char *netns_of(const struct gh_ike_config *c, uint16_t zone)
{
    return zone > 0 && c->zones[zone - 1].netns != NULL ? c->zones[zone - 1].netns : "";
}

static bool is_in(const struct gh_ike_config *c, uint16_t zone, const char *netns)
{
    return strcmp(netns_of(c, zone), netns) == 0;
}

static bool is_used(const struct gh_ike_config *c, const char *netns)
{
    for (size_t i = 0; i < c->policy_count; i++)
        if (is_in(c, c->policies[i]->zone, netns))
            return true;
    return false;
}

static void chain(const struct gh_ike_config *c, const char *netns, int way, FILE *out)
{
    fprintf(out, "    chain gatehouse-%s {\n", way == IN ? "in" : "out");
    for (size_t i = 0; i < c->policy_count; i++)
        if (is_in(c, c->policies[i]->zone, netns))
            peer_block(out, way, c->policies[i]);
    for (size_t i = 0; i < c->tunnel_count; i++)
        if (c->tunnels[i].peer == NULL && is_in(c, c->tunnels[i].zone, netns))
            tunnel_block(out, way, &c->tunnels[i]);
    if (way == IN) /* or no path's MTU is ever learned */
        fputs("        icmp type destination-unreachable accept\n"
              "        icmpv6 type { destination-unreachable, packet-too-big } accept\n",
              out);
    fputs("    }\n", out);
}

static void ruleset(const struct gh_ike_config *c, const char *netns, const char *table, FILE *out)
{
    if (!is_used(c, netns))
        return;
    if (netns[0] != '\0')
        fprintf(out, "# Network namespace %s\n", netns);
    fprintf(out, "table inet %s {\n", table);
    chain(c, netns, IN, out);
    chain(c, netns, OUT, out);
    fputs("}\n", out);
}

static bool was_before(const struct gh_ike_config *c, size_t zone)
{
    for (size_t i = 0; i < zone; i++)
        if (strcmp(netns_of(c, (uint16_t)(i + 1)), netns_of(c, (uint16_t)(zone + 1))) == 0)
            return true;
    return false;
}

void gh_holes_write(const struct gh_ike_config *c, const char *table, FILE *out)
{
    ruleset(c, "", table, out);
    for (size_t zone = 0; zone < c->zone_count; zone++)
        if (netns_of(c, (uint16_t)(zone + 1))[0] != '\0' && !was_before(c, zone))
            ruleset(c, netns_of(c, (uint16_t)(zone + 1)), table, out);
}

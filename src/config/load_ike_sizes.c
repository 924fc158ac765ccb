/*
 * How large the packets of a child may be: ip-mtu, encapsulated-ip-mtu and what belongs to them;
 * for children of peers and for tunnels.
 */
#include <stdlib.h>
#include <string.h>

#include "config/ike_load.h"
#include "config/sizes.h"
#include "tunnel/mtu.h"
#include "tunnel/rate.h"

void gh_ike_sizes_ip_mtu(struct gh_ike_loader *x, const struct gh_node *n, uint16_t *out)
{
    uint32_t v;

    if (gh_ike_u32(x, n, TUNNEL_MTU_MIN, TUNNEL_MTU_MAX, &v))
        *out = (uint16_t)v;
}

void gh_ike_sizes_mss(struct gh_ike_loader *x, const struct gh_node *n, uint16_t *out)
{
    uint32_t v;

    if (n != NULL && strcmp(n->values[0], "auto") == 0)
        *out = IKE2_MSS_AUTO;
    else if (n != NULL && strcmp(n->values[0], "off") == 0)
        *out = 0;
    else if (gh_ike_u32(x, n, TUNNEL_MTU_MIN, TUNNEL_MTU_MAX, &v))
        *out = (uint16_t)v;
}

/* "100/10": messages and seconds; or off. */
void gh_ike_sizes_rate(struct gh_ike_loader *x, const struct gh_node *n, uint16_t *messages,
                       uint16_t *seconds)
{
    unsigned long m, s;
    char *end;

    if (n == NULL)
        return;
    if (strcmp(n->values[0], "off") == 0) {
        *messages = 0;
        return;
    }
    m = strtoul(n->values[0], &end, 10);
    s = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
    if (strspn(n->values[0], "0123456789/") != strlen(n->values[0]) || *end != '\0' ||
        m < TUNNEL_RATE_MESSAGES_MIN || m > TUNNEL_RATE_MESSAGES_MAX ||
        s < TUNNEL_RATE_SECONDS_MIN || s > TUNNEL_RATE_SECONDS_MAX) {
        gh_load_error(x->l, n->line, "range",
                      "write such as 100/10: 10 to 1000 messages in 1 to 60 seconds; or off",
                      "\"%s\" is not a number of messages and of seconds", n->name);
        return;
    }
    *messages = (uint16_t)m;
    *seconds = (uint16_t)s;
}

void gh_ike_sizes(struct gh_ike_loader *x, const struct gh_node *const *got,
                  struct ike2_child_path *out)
{
    static const char *const df[] = {"clear", "copy", "set", NULL};
    static const char *const ipv6[] = {"drop", "whole", NULL};
    static const char *const learning[] = {"ignore", "learn", NULL};
    unsigned choice = 0, whole = 0, learn = 1;

    *out = ike2_child_path_default();
    gh_ike_sizes_ip_mtu(x, got[GH_SIZES_IP_MTU], &out->ip_mtu);
    gh_ike_sizes_ip_mtu(x, got[GH_SIZES_ENCAPSULATED], &out->encapsulated_ip_mtu);
    gh_node_bool(x->l, got[GH_SIZES_CLEAR_DF], &out->clear_df);
    gh_node_choice(x->l, got[GH_SIZES_OUTER_DF], df, &choice);
    gh_node_choice(x->l, got[GH_SIZES_LONG_IPV6], ipv6, &whole);
    gh_node_choice(x->l, got[GH_SIZES_PATH_MTU], learning, &learn);
    gh_ike_sizes_mss(x, got[GH_SIZES_MSS], &out->mss);
    gh_ike_sizes_rate(x, got[GH_SIZES_TOO_BIG], &out->too_big_messages, &out->too_big_seconds);
    out->df = (enum ike2_outer_df)choice;
    out->ipv6_whole = whole == 1;
    out->ignores_icmp = learn == 0;
    if (out->encapsulated_ip_mtu != 0 && out->ip_mtu + GH_SIZES_OVERHEAD > out->encapsulated_ip_mtu)
        gh_load_warning(x->l, got[GH_SIZES_ENCAPSULATED]->line, "fragmentation",
                        "lower \"ip-mtu\", or raise this one",
                        "a packet of \"ip-mtu\" (%u octets) is fragmented once it is protected",
                        out->ip_mtu);
    if (out->df != IKE2_DF_CLEAR && out->ignores_icmp)
        gh_load_error(x->l, got[GH_SIZES_PATH_MTU]->line, "range",
                      "write path-mtu = learn, or outer-df = clear",
                      "with DF set, what the path does not take is lost unless its MTU is learned");
}

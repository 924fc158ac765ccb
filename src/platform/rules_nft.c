#include <stdio.h>
#include <stdlib.h>

#include "platform/rules_text.h"

/* Declaring a table before deleting it makes the deletion succeed also where there was none. */
const char gh_rules_nft_removal[] = "table inet gatehouse\n"
                                    "delete table inet gatehouse\n";
const char gh_rules_nft_probe[] = "table inet gatehouse-probe {\n"
                                  "\tchain input {\n"
                                  "\t\ttype filter hook input priority mangle; policy accept;\n"
                                  "\t\ttcp sport 179 queue num 0\n"
                                  "\t}\n"
                                  "}\n";

struct way {
    const char *chain, *interface, *peer, *local;
    bool in;
};

static const struct way ways[] = {{"input", "iifname", "saddr", "daddr", true},
                                  {"output", "oifname", "daddr", "saddr", false}};

static void put_vrf(FILE *out, const struct way *way, const char *vrf)
{
    fputs("\t\t", out);
    if (vrf != NULL)
        fprintf(out, "%s \"%s\" ", way->interface, vrf);
}

static void put_prefix(FILE *out, const struct gh_prefix *p)
{
    char text[GH_PREFIX_TEXT];

    fputs(gh_prefix_format(p, text), out);
}

/* The peers of `count` flows of one kind, as one address, one prefix or a set. */
static void put_peers(FILE *out, const struct way *way, const char *family,
                      const struct gh_flow *flows, size_t count)
{
    if (flows[0].peer.bits == 0) {
        fprintf(out, "meta nfproto %s ", flows[0].peer.addr.len == 4 ? "ipv4" : "ipv6");
        return;
    }
    fprintf(out, "%s %s ", family, way->peer);
    if (count > 1)
        fputs("{ ", out);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputs(", ", out);
        put_prefix(out, &flows[i].peer);
    }
    fputs(count > 1 ? " } " : " ", out);
}

static void put_rule(FILE *out, const struct way *way, const struct gh_flow *flows, size_t count,
                     const char *port)
{
    const char *family = flows[0].peer.addr.len == 4 ? "ip" : "ip6";

    put_vrf(out, way, flows[0].vrf);
    put_peers(out, way, family, flows, count);
    if (flows[0].local.addr.len != 0 && flows[0].local.bits > 0) {
        fprintf(out, "%s %s ", family, way->local);
        put_prefix(out, &flows[0].local);
        fputc(' ', out);
    }
    fprintf(out, "tcp %s %u queue num %u\n", port, flows[0].port, flows[0].queue);
}

/* IPv6 fragments are put together behind the hook. A first one with ports in it is queued like any
 * segment, and refused; where extension headers fill it there are none to be seen, and kernels
 * before 5.11 take it (RFC 7112 forbids it). Nobody needs such fragments. */
static void put_headless(FILE *out, const struct way *way, const struct gh_flow *flows,
                         size_t count)
{
    put_vrf(out, way, flows[0].vrf);
    put_peers(out, way, "ip6", flows, count);
    fputs("frag nexthdr { 0, 43, 44, 51, 60 } drop\n", out);
}

/* ICMP errors may bypass: without an engine there is no segment that they could harm, and those
 * of other connections must not suffer. */
static void put_icmp(FILE *out, const struct way *way, const struct gh_flow *flow)
{
    if (flow->peer.addr.len == 4) {
        put_vrf(out, way, flow->vrf);
        fprintf(out, "icmp type destination-unreachable icmp code 2-4 queue num %u bypass\n",
                flow->queue);
        return;
    }
    put_vrf(out, way, flow->vrf);
    fprintf(out, "icmpv6 type destination-unreachable icmpv6 code { 1, 4 } queue num %u bypass\n",
            flow->queue);
    put_vrf(out, way, flow->vrf);
    fprintf(out, "icmpv6 type packet-too-big queue num %u bypass\n", flow->queue);
}

static size_t same_kind(const struct gh_flow *flows, size_t count)
{
    size_t n = 1;

    while (n < count && gh_flow_same_kind(&flows[0], &flows[n]))
        n++;
    return n;
}

static void put_chain(FILE *out, const struct way *way, const struct gh_flow *flows, size_t count)
{
    fprintf(out,
            "\tchain %s {\n"
            "\t\ttype filter hook %s priority mangle; policy accept;\n"
            "\t\tmeta l4proto != { tcp, icmp, ipv6-icmp } return\n",
            way->chain, way->chain);
    for (size_t i = 0, n; i < count; i += n) {
        bool last_of_vrf;

        n = same_kind(flows + i, count - i);
        if (!way->in && gh_flow_follows_vrfs(flows, i))
            fputs("\t\ttcp option 29 exists return\n", out);
        if (way->in && flows[i].peer.addr.len == 16)
            put_headless(out, way, flows + i, n);
        put_rule(out, way, flows + i, n, "sport");
        put_rule(out, way, flows + i, n, "dport");
        if (way->in && (i + n == count || !gh_flow_same_vrf(&flows[i], &flows[i + n]) ||
                        flows[i].peer.addr.len != flows[i + n].peer.addr.len))
            put_icmp(out, way, &flows[i]);
        last_of_vrf = i + n == count || !gh_flow_same_vrf(&flows[i], &flows[i + n]);
        if (last_of_vrf && flows[i].vrf != NULL) {
            put_vrf(out, way, flows[i].vrf);
            fputs("return\n", out);
        }
    }
    fputs("\t}\n", out);
}

char *gh_rules_nft_text(const struct gh_flow *flows, size_t count)
{
    struct gh_flow *list = gh_flows_sorted(flows, &count);
    char *text = NULL;
    size_t len;
    FILE *out = list != NULL ? open_memstream(&text, &len) : NULL;

    if (out != NULL) {
        fprintf(out, "%stable inet gatehouse {\n", gh_rules_nft_removal);
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
            put_chain(out, &ways[i], list, count);
        fputs("}\n", out);
        fclose(out);
    }
    free(list);
    return text;
}

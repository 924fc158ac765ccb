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
static void put_icmp(FILE *out, const char *vrf, uint8_t family, uint16_t queue)
{
    if (family == 4) {
        put_vrf(out, &ways[0], vrf);
        fprintf(out, "icmp type destination-unreachable icmp code 2-4 queue num %u bypass\n",
                queue);
        return;
    }
    put_vrf(out, &ways[0], vrf);
    fprintf(out, "icmpv6 type destination-unreachable icmpv6 code { 1, 4 } queue num %u bypass\n",
            queue);
    put_vrf(out, &ways[0], vrf);
    fprintf(out, "icmpv6 type packet-too-big queue num %u bypass\n", queue);
}

/* ---- Single sockets ------------------------------------------------------------------------- */

struct field {
    const char *text; /* as the rule matches it */
    bool address;     /* else a port */
    bool local;       /* else the peer's */
};

/* What the rules of one shape match, at most four fields. */
static size_t fields_of(const struct way *way, const struct gh_socket_rule *r,
                        struct field fields[4])
{
    size_t n = 0;

    if (r->peer.bits > 0)
        fields[n++] = (struct field){.text = way->peer, .address = true};
    if (r->local.len != 0)
        fields[n++] = (struct field){.text = way->local, .address = true, .local = true};
    if (r->local_port != 0)
        fields[n++] = (struct field){.text = way->in ? "dport" : "sport", .local = true};
    if (r->remote_port != 0)
        fields[n++] = (struct field){.text = way->in ? "sport" : "dport"};
    return n;
}

static void put_field(FILE *out, const struct field *f, uint8_t family)
{
    fprintf(out, "%s %s", !f->address ? "tcp" : family == 4 ? "ip" : "ip6", f->text);
}

static void put_value(FILE *out, const struct field *f, const struct gh_socket_rule *r)
{
    char text[GH_ADDR_TEXT];

    if (!f->address)
        fprintf(out, "%u", f->local ? r->local_port : r->remote_port);
    else if (f->local)
        fputs(gh_addr_format(&r->local, text), out);
    else
        put_prefix(out, &r->peer);
}

/* One element after the other of a set over all fields. */
static void put_set(FILE *out, const struct field *fields, size_t n,
                    const struct gh_socket_rule *rules, size_t count)
{
    for (size_t i = 0; i < n; i++) {
        fputs(i > 0 ? " . " : "", out);
        put_field(out, &fields[i], rules[0].peer.addr.len);
    }
    for (size_t k = 0; k < count; k++) {
        fputs(k > 0 ? ", " : " { ", out);
        for (size_t i = 0; i < n; i++) {
            fputs(i > 0 ? " . " : "", out);
            put_value(out, &fields[i], &rules[k]);
        }
    }
    fputs(" } ", out);
}

/* A port makes a rule one of TCP; a missing option does not, and would be missing in ICMP. */
static void put_socket_match(FILE *out, const struct way *way, const struct gh_socket_rule *rules,
                             size_t count)
{
    uint8_t family = rules[0].peer.addr.len;
    struct field fields[4];
    size_t n = fields_of(way, &rules[0], fields);

    fputs("\t\t", out);
    if (rules[0].peer.bits == 0)
        fprintf(out, "meta nfproto %s ", family == 4 ? "ipv4" : "ipv6");
    if (count > 1)
        put_set(out, fields, n, rules, count);
    for (size_t i = 0; i < n && count == 1; i++) {
        put_field(out, &fields[i], family);
        fputc(' ', out);
        put_value(out, &fields[i], &rules[0]);
        fputc(' ', out);
    }
    if (rules[0].local_port == 0 && rules[0].remote_port == 0)
        fputs("meta l4proto tcp ", out);
}

/* As put_headless() for sessions. */
static void put_headless_sockets(FILE *out, const struct gh_socket_rule *rules, size_t count)
{
    const struct field peer = {.text = "saddr", .address = true};

    fputs("\t\t", out);
    if (rules[0].peer.bits == 0)
        fputs("meta nfproto ipv6 ", out);
    else
        put_set(out, &peer, 1, rules, count);
    fputs("frag nexthdr { 0, 43, 44, 51, 60 } drop\n", out);
}

/* After the first part of its first rule. */
static void put_guard(FILE *out, const struct way *way, const struct gh_socket_rule *r, size_t n)
{
    if (way->in)
        fprintf(out, "tcp option 29 missing queue num %u\n", r->queue);
    else
        fputs("tcp option 29 missing drop\n", out);
    put_socket_match(out, way, r, n);
    if (r->kind == GH_RULE_KEYED) {
        fprintf(out, "tcp flags & (syn | ack) == syn queue num %u\n", r->queue);
        put_socket_match(out, way, r, n);
    }
    fputs("return\n", out);
}

/* What leaves through a VRF passes OUTPUT twice: the second time it has its option, and whoever
 * signs by other means than the engine does not come to its queue either. */
static void put_sockets(FILE *out, const struct way *way, const struct gh_socket_rule *rules,
                        size_t count)
{
    for (size_t i = 0, n; i < count && rules[i].kind != GH_RULE_STRICT; i += n) {
        const struct gh_socket_rule *r = &rules[i];

        n = gh_socket_rules_alike(r, count - i);
        if (way->in && r->peer.addr.len == 16)
            put_headless_sockets(out, r, n);
        put_socket_match(out, way, r, n);
        if (r->kind == GH_RULE_GUARD || r->kind == GH_RULE_KEYED) {
            put_guard(out, way, r, n);
            continue;
        }
        if (r->kind == GH_RULE_DROP) {
            fputs("drop\n", out);
            continue;
        }
        if (!way->in) {
            fputs("tcp option 29 exists return\n", out);
            put_socket_match(out, way, r, n);
        }
        fprintf(out, "queue num %u\n", r->queue);
    }
}

static void put_strict(FILE *out, const char *vrf, const struct gh_socket_rule *strict)
{
    put_vrf(out, &ways[0], vrf);
    fprintf(out, "tcp option 29 exists queue num %u\n", strict->queue);
}

/* ---- Chains --------------------------------------------------------------------------------- */

static size_t same_kind(const struct gh_flow *flows, size_t count)
{
    size_t n = 1;

    while (n < count && gh_flow_same_kind(&flows[0], &flows[n]))
        n++;
    return n;
}

static void put_chain(FILE *out, const struct way *way, const struct gh_flow *flows, size_t count,
                      const struct gh_socket_rule *sockets, size_t socket_count)
{
    const struct gh_socket_rule *strict =
        way->in ? gh_socket_rules_strict(sockets, socket_count) : NULL;

    fprintf(out,
            "\tchain %s {\n"
            "\t\ttype filter hook %s priority mangle; policy accept;\n"
            "\t\tmeta l4proto != { tcp, icmp, ipv6-icmp } return\n",
            way->chain, way->chain);
    put_sockets(out, way, sockets, socket_count);
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
            put_icmp(out, flows[i].vrf, flows[i].peer.addr.len, flows[i].queue);
        last_of_vrf = i + n == count || !gh_flow_same_vrf(&flows[i], &flows[i + n]);
        if (last_of_vrf && flows[i].vrf != NULL) {
            if (strict != NULL)
                put_strict(out, flows[i].vrf, strict);
            put_vrf(out, way, flows[i].vrf);
            fputs("return\n", out);
        }
    }
    for (uint8_t family = 4; family <= 16 && way->in; family += 12) {
        const struct gh_socket_rule *r =
            gh_socket_rules_icmp(sockets, socket_count, flows, count, family);

        if (r != NULL)
            put_icmp(out, NULL, family, r->queue);
    }
    if (strict != NULL)
        put_strict(out, NULL, strict);
    fputs("\t}\n", out);
}

char *gh_rules_nft_text(const struct gh_flow *flows, size_t count,
                        const struct gh_socket_rule *sockets, size_t socket_count)
{
    struct gh_flow *list = gh_flows_sorted(flows, &count);
    struct gh_socket_rule *socket_list = gh_socket_rules_sorted(sockets, &socket_count);
    char *text = NULL;
    size_t len;
    FILE *out = list != NULL && socket_list != NULL ? open_memstream(&text, &len) : NULL;

    if (out != NULL) {
        fprintf(out, "%stable inet gatehouse {\n", gh_rules_nft_removal);
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
            put_chain(out, &ways[i], list, count, socket_list, socket_count);
        fputs("}\n", out);
        fclose(out);
    }
    free(list);
    free(socket_list);
    return text;
}

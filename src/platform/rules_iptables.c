#include <stdio.h>
#include <stdlib.h>

#include "platform/rules_text.h"

struct way {
    const char *hook, *chain, *interface, *peer, *local;
    bool in;
};

static const struct way ways[] = {{"INPUT", "GATEHOUSE-IN", "-i", "-s", "-d", true},
                                  {"OUTPUT", "GATEHOUSE-OUT", "-o", "-d", "-s", false}};

static void put_append(FILE *out, const struct way *way, const char *suffix, const char *vrf)
{
    fprintf(out, "-A %s%s", way->chain, suffix);
    if (vrf != NULL)
        fprintf(out, " %s %s", way->interface, vrf);
}

static void put_queue(FILE *out, uint16_t queue, const char *more)
{
    fprintf(out, " -j NFQUEUE --queue-num %u%s\n", queue, more);
}

static void put_flow(FILE *out, const struct way *way, const struct gh_flow *flow, const char *port)
{
    char peer[GH_PREFIX_TEXT], local[GH_PREFIX_TEXT];

    put_append(out, way, "-TCP", flow->vrf);
    fprintf(out, " %s %s", way->peer, gh_prefix_format(&flow->peer, peer));
    if (flow->local.addr.len != 0)
        fprintf(out, " %s %s", way->local, gh_prefix_format(&flow->local, local));
    fputs(" -p tcp", out);
    if (port != NULL)
        fprintf(out, " %s %u", port, flow->port);
    put_queue(out, flow->queue, "");
}

/* As with nftables, ICMP errors may bypass a queue that nobody reads. */
static void put_icmp(FILE *out, const char *vrf, uint8_t family, uint16_t queue)
{
    static const char *const v4[] = {"-p icmp --icmp-type 3/2", "-p icmp --icmp-type 3/3",
                                     "-p icmp --icmp-type 3/4"};
    static const char *const v6[] = {"-p icmpv6 --icmpv6-type 1/1", "-p icmpv6 --icmpv6-type 1/4",
                                     "-p icmpv6 --icmpv6-type 2"};

    for (size_t i = 0; i < 3; i++) {
        put_append(out, &ways[0], "", vrf);
        fprintf(out, " %s", family == 4 ? v4[i] : v6[i]);
        put_queue(out, queue, " --queue-bypass");
    }
}

static bool first_with_port(const struct gh_flow *flows, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (flows[k].port == flows[i].port)
            return false;
    return true;
}

/* The first chain sends only the ports in question on, so that other traffic passes few rules. */
static size_t put_dispatch(FILE *out, const struct way *way, const char *suffix,
                           const struct gh_flow *flows, size_t count)
{
    size_t ports = 0;

    for (size_t i = 0; i < count; i++) {
        if (!first_with_port(flows, i))
            continue;
        ports++;
        fprintf(out, "-A %s%s -p tcp --sport %u -g %s-TCP\n", way->chain, suffix, flows[i].port,
                way->chain);
        fprintf(out, "-A %s%s -p tcp --dport %u -g %s-TCP\n", way->chain, suffix, flows[i].port,
                way->chain);
    }
    return ports;
}

/* ---- Single sockets ------------------------------------------------------------------------- */

/* The end of a rule by which the first chain sends segments on: the lower port, which is the
 * service's and so the same for many. */
struct door {
    bool local;
    uint16_t port; /* 0: all TCP */
};

static struct door door_of(const struct gh_socket_rule *r)
{
    bool local = r->remote_port == 0 || (r->local_port != 0 && r->local_port <= r->remote_port);

    return (struct door){.local = local, .port = local ? r->local_port : r->remote_port};
}

static int compare_door(const void *x, const void *y)
{
    const struct door *a = x, *b = y;

    return a->port != b->port ? (int)a->port - b->port : (int)b->local - a->local;
}

static bool put_doors(FILE *out, const struct way *way, const struct gh_socket_rule *rules,
                      size_t count)
{
    struct door *doors = calloc(count + 1, sizeof(*doors));

    if (doors == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        doors[i] = door_of(&rules[i]);
    qsort(doors, count, sizeof(*doors), compare_door);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_door(&doors[i - 1], &doors[i]) == 0)
            continue;
        fprintf(out, "-A %s -p tcp", way->chain);
        if (doors[i].port != 0)
            fprintf(out, " %s %u", doors[i].local == way->in ? "--dport" : "--sport",
                    doors[i].port);
        fprintf(out, " -g %s-SOCK\n", way->chain);
    }
    free(doors);
    return true;
}

static void put_socket(FILE *out, const struct way *way, const struct gh_socket_rule *r)
{
    char peer[GH_PREFIX_TEXT], local[GH_ADDR_TEXT];

    fprintf(out, "-A %s-SOCK", way->chain);
    if (r->peer.bits > 0)
        fprintf(out, " %s %s", way->peer, gh_prefix_format(&r->peer, peer));
    if (r->local.len != 0)
        fprintf(out, " %s %s", way->local, gh_addr_format(&r->local, local));
    fputs(" -p tcp", out);
    if (r->local_port != 0)
        fprintf(out, " %s %u", way->in ? "--dport" : "--sport", r->local_port);
    if (r->remote_port != 0)
        fprintf(out, " %s %u", way->in ? "--sport" : "--dport", r->remote_port);
}

static void put_strict(FILE *out, const char *suffix, const char *vrf,
                       const struct gh_socket_rule *strict)
{
    if (strict == NULL)
        return;
    put_append(out, &ways[0], suffix, vrf);
    fputs(" -p tcp --tcp-option 29", out);
    put_queue(out, strict->queue, "");
}

/* After the first part of its first rule. */
static void put_guard(FILE *out, const struct way *way, const struct gh_socket_rule *r)
{
    fputs(" ! --tcp-option 29", out);
    if (way->in)
        put_queue(out, r->queue, "");
    else
        fputs(" -j DROP\n", out);
    put_socket(out, way, r);
    if (r->kind == GH_RULE_KEYED) {
        fputs(" --tcp-flags SYN,ACK SYN", out);
        put_queue(out, r->queue, "");
        put_socket(out, way, r);
    }
    fputs(" -j RETURN\n", out);
}

/* Without STRICT. A segment leaves our chains by RETURN, because it came by -g; what no socket
 * wants goes on to the sessions. Signed segments that leave: as with nftables. */
static bool put_sockets(FILE *out, const struct way *way, const struct gh_socket_rule *rules,
                        size_t count)
{
    if (!put_doors(out, way, rules, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        put_socket(out, way, &rules[i]);
        if (rules[i].kind == GH_RULE_GUARD || rules[i].kind == GH_RULE_KEYED) {
            put_guard(out, way, &rules[i]);
            continue;
        }
        if (rules[i].kind == GH_RULE_DROP) {
            fputs(" -j DROP\n", out);
            continue;
        }
        if (!way->in) {
            fputs(" --tcp-option 29 -j RETURN\n", out);
            put_socket(out, way, &rules[i]);
        }
        put_queue(out, rules[i].queue, "");
    }
    return true;
}

/* ---- Chains --------------------------------------------------------------------------------- */

static bool put_way(FILE *out, const struct way *way, const struct gh_flow *flows, size_t count,
                    const struct gh_socket_rule *sockets, size_t socket_count, uint8_t family)
{
    const struct gh_socket_rule *icmp =
        gh_socket_rules_icmp(sockets, socket_count, flows, count, family);
    const struct gh_socket_rule *strict = gh_socket_rules_strict(sockets, socket_count);
    size_t single = strict != NULL ? (size_t)(strict - sockets) : socket_count, ports;

    if (!way->in)
        strict = NULL;
    if (!put_sockets(out, way, sockets, single))
        return false;
    if (single > 0)
        put_dispatch(out, way, "-SOCK", flows, count);
    ports = put_dispatch(out, way, "", flows, count);

    for (size_t i = 0; i < count; i++) {
        const struct gh_flow *f = &flows[i];
        bool last_of_vrf = i + 1 == count || !gh_flow_same_vrf(f, &flows[i + 1]);

        if (!way->in && gh_flow_follows_vrfs(flows, i))
            fprintf(out, "-A %s-TCP -p tcp --tcp-option 29 -j RETURN\n", way->chain);
        if (ports == 1) {
            put_flow(out, way, f, NULL);
        } else {
            put_flow(out, way, f, "--sport");
            put_flow(out, way, f, "--dport");
        }
        if (way->in && last_of_vrf)
            put_icmp(out, f->vrf, f->peer.addr.len, f->queue);
        if (last_of_vrf && f->vrf != NULL) {
            put_strict(out, "-TCP", f->vrf, strict);
            put_append(out, way, "-TCP", f->vrf);
            fputs(" -j RETURN\n", out);
            if (way->in) {
                put_strict(out, "", f->vrf, strict);
                put_append(out, way, "", f->vrf);
                fputs(" -j RETURN\n", out);
            }
        }
    }
    if (way->in && icmp != NULL)
        put_icmp(out, NULL, family, icmp->queue);
    put_strict(out, "-SOCK", NULL, strict);
    put_strict(out, "-TCP", NULL, strict);
    put_strict(out, "", NULL, strict);
    return true;
}

static size_t of_family(struct gh_flow *flows, size_t count, uint8_t family)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (flows[i].peer.addr.len == family)
            flows[kept++] = flows[i];
    return kept;
}

static size_t sockets_of_family(struct gh_socket_rule *rules, size_t count, uint8_t family)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (rules[i].kind == GH_RULE_STRICT || rules[i].peer.addr.len == family)
            rules[kept++] = rules[i];
    return kept;
}

/* All our chains, which makes those that there are empty. */
static void put_chains(FILE *out)
{
    fputs("*mangle\n", out);
    for (size_t i = 0; i < 2; i++)
        fprintf(out, ":%s - [0:0]\n:%s-SOCK - [0:0]\n:%s-TCP - [0:0]\n", ways[i].chain,
                ways[i].chain, ways[i].chain);
}

char *gh_rules_iptables_text(const struct gh_flow *flows, size_t count,
                             const struct gh_socket_rule *sockets, size_t socket_count,
                             uint8_t family, bool hooked_in, bool hooked_out)
{
    const bool hooked[2] = {hooked_in, hooked_out};
    struct gh_flow *list = gh_flows_sorted(flows, &count);
    struct gh_socket_rule *singles = gh_socket_rules_sorted(sockets, &socket_count);
    bool good = list != NULL && singles != NULL;
    char *text = NULL;
    size_t len;
    FILE *out = good ? open_memstream(&text, &len) : NULL;

    if (out != NULL) {
        count = of_family(list, count, family);
        socket_count = sockets_of_family(singles, socket_count, family);
        put_chains(out);
        for (size_t i = 0; i < 2 && good; i++) {
            if (!hooked[i])
                fprintf(out, "-I %s 1 -j %s\n", ways[i].hook, ways[i].chain);
            good = put_way(out, &ways[i], list, count, singles, socket_count, family);
        }
        fputs("COMMIT\n", out);
        fclose(out);
        if (!good) {
            free(text);
            text = NULL;
        }
    }
    free(list);
    free(singles);
    return text;
}

char *gh_rules_iptables_removal(bool hooked_in, bool hooked_out)
{
    const bool hooked[2] = {hooked_in, hooked_out};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    put_chains(out);
    for (size_t i = 0; i < 2; i++) {
        if (hooked[i])
            fprintf(out, "-D %s -j %s\n", ways[i].hook, ways[i].chain);
        fprintf(out, "-X %s\n-X %s-SOCK\n-X %s-TCP\n", ways[i].chain, ways[i].chain, ways[i].chain);
    }
    fputs("COMMIT\n", out);
    fclose(out);
    return text;
}

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
static void put_icmp(FILE *out, const struct way *way, const struct gh_flow *flow)
{
    static const char *const v4[] = {"-p icmp --icmp-type 3/2", "-p icmp --icmp-type 3/3",
                                     "-p icmp --icmp-type 3/4"};
    static const char *const v6[] = {"-p icmpv6 --icmpv6-type 1/1", "-p icmpv6 --icmpv6-type 1/4",
                                     "-p icmpv6 --icmpv6-type 2"};

    for (size_t i = 0; i < 3; i++) {
        put_append(out, way, "", flow->vrf);
        fprintf(out, " %s", flow->peer.addr.len == 4 ? v4[i] : v6[i]);
        put_queue(out, flow->queue, " --queue-bypass");
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
static size_t put_dispatch(FILE *out, const struct way *way, const struct gh_flow *flows,
                           size_t count)
{
    size_t ports = 0;

    for (size_t i = 0; i < count; i++) {
        if (!first_with_port(flows, i))
            continue;
        ports++;
        fprintf(out, "-A %s -p tcp --sport %u -g %s-TCP\n", way->chain, flows[i].port, way->chain);
        fprintf(out, "-A %s -p tcp --dport %u -g %s-TCP\n", way->chain, flows[i].port, way->chain);
    }
    return ports;
}

static void put_way(FILE *out, const struct way *way, const struct gh_flow *flows, size_t count)
{
    size_t ports = put_dispatch(out, way, flows, count);

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
            put_icmp(out, way, f);
        if (last_of_vrf && f->vrf != NULL) {
            put_append(out, way, "-TCP", f->vrf);
            fputs(" -j RETURN\n", out);
            if (way->in) {
                put_append(out, way, "", f->vrf);
                fputs(" -j RETURN\n", out);
            }
        }
    }
}

static size_t of_family(struct gh_flow *flows, size_t count, uint8_t family)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (flows[i].peer.addr.len == family)
            flows[kept++] = flows[i];
    return kept;
}

static void put_table(FILE *out, const struct gh_flow *flows, size_t count, const bool hooked[2])
{
    fputs("*mangle\n", out);
    for (size_t i = 0; i < 2; i++)
        fprintf(out, ":%s - [0:0]\n:%s-TCP - [0:0]\n", ways[i].chain, ways[i].chain);
    for (size_t i = 0; i < 2; i++) {
        if (!hooked[i])
            fprintf(out, "-I %s 1 -j %s\n", ways[i].hook, ways[i].chain);
        put_way(out, &ways[i], flows, count);
    }
    fputs("COMMIT\n", out);
}

char *gh_rules_iptables_text(const struct gh_flow *flows, size_t count, uint8_t family,
                             bool hooked_in, bool hooked_out)
{
    const bool hooked[2] = {hooked_in, hooked_out};
    struct gh_flow *list = gh_flows_sorted(flows, &count);
    char *text = NULL;
    size_t len;
    FILE *out = list != NULL ? open_memstream(&text, &len) : NULL;

    if (out != NULL) {
        put_table(out, list, of_family(list, count, family), hooked);
        fclose(out);
    }
    free(list);
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
    fputs("*mangle\n", out);
    for (size_t i = 0; i < 2; i++)
        fprintf(out, ":%s - [0:0]\n:%s-TCP - [0:0]\n", ways[i].chain, ways[i].chain);
    for (size_t i = 0; i < 2; i++) {
        if (hooked[i])
            fprintf(out, "-D %s -j %s\n", ways[i].hook, ways[i].chain);
        fprintf(out, "-X %s\n-X %s-TCP\n", ways[i].chain, ways[i].chain);
    }
    fputs("COMMIT\n", out);
    fclose(out);
    return text;
}

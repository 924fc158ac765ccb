#include "platform/unprotected.h"

#include <stdio.h>
#include <stdlib.h>

#include "platform/nft.h"

static const char head[] =
    "table inet gatehouse-ipsec {\n"
    "\tcounter unprotected { }\n"
    "\tset local4 { type ipv4_addr; flags interval; auto-merge; }\n"
    "\tset local6 { type ipv6_addr; flags interval; auto-merge; }\n"
    "\tchain prerouting { type filter hook prerouting priority raw; policy accept; }\n"
    "\tchain clear { }\n"
    "\tchain carriers { }\n"
    "}\n"
    "flush chain inet gatehouse-ipsec prerouting\n"
    "flush chain inet gatehouse-ipsec clear\n"
    "flush chain inet gatehouse-ipsec carriers\n"
    "flush set inet gatehouse-ipsec local4\n"
    "flush set inet gatehouse-ipsec local6\n";

/* Of a fragment that is not the first, no port is to be seen: without the first it is nothing. Of
 * an ICMP error, the packet in it says whether it is about what carries a tunnel. */
static const char rules[] =
    "table inet gatehouse-ipsec {\n"
    "\tchain carriers {\n"
    "\t\ticmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, "
    "nd-neighbor-advert, nd-redirect } ip6 hoplimit 255 accept\n"
    "\t\tfib daddr type local meta l4proto { esp, ah } accept\n"
    "\t\tfib daddr type local udp dport { 500, 4500 } accept\n"
    "\t\tfib daddr type local ip frag-off & 0x1fff != 0 accept\n"
    "\t\tfib daddr type local frag frag-off != 0 accept\n"
    "\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } "
    "@th,136,8 { 50, 51 } accept\n"
    "\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } @th,136,8 17 "
    "@th,224,16 { 500, 4500 } accept\n"
    "\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } "
    "@th,112,8 { 50, 51 } accept\n"
    "\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } "
    "@th,112,8 17 @th,384,16 { 500, 4500 } accept\n"
    "\t}\n"
    "\tchain prerouting {\n"
    "\t\tiifname { \"lo\", \"gh-ipsec*\" } accept\n"
    /* Once more, as the VRF's: it was here as that of its device. */
    "\t\tmeta iifkind vrf accept\n"
    "\t\tjump entries_in\n"
    "\t\tip daddr @local4 fib saddr oifname \"gh-ipsec*\" goto clear\n"
    "\t\tip6 daddr @local6 fib saddr oifname \"gh-ipsec*\" goto clear\n"
    "\t\tjump entries_in_after\n"
    "\t}\n"
    "\tchain clear {\n"
    "\t\tip daddr 224.0.0.0/4 accept\n"
    "\t\tip6 daddr ff00::/8 accept\n"
    "\t\tjump carriers\n"
    "\t\tcounter name unprotected drop\n"
    "\t}\n"
    "}\n";

static void put_elements(FILE *out, const struct gh_unprotected_range *ours, size_t count,
                         uint8_t len)
{
    char first[GH_ADDR_TEXT], last[GH_ADDR_TEXT];
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (ours[i].first.len != len)
            continue;
        if (any)
            fputs(", ", out);
        else
            fprintf(out, "add element inet gatehouse-ipsec local%c { ", len == 4 ? '4' : '6');
        fputs(gh_addr_format(&ours[i].first, first), out);
        if (!gh_addr_equal(&ours[i].first, &ours[i].last))
            fprintf(out, "-%s", gh_addr_format(&ours[i].last, last));
        any = true;
    }
    if (any)
        fputs(" }\n", out);
}

char *gh_unprotected_text(const struct gh_unprotected_range *ours, size_t count,
                          const struct gh_clear_entry *entries, size_t entry_count)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    fputs(head, out);
    put_elements(out, ours, count, 4);
    put_elements(out, ours, count, 16);
    gh_clear_entries_put(out, entries, entry_count);
    fputs(rules, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

bool gh_unprotected_install(const char *netns, const struct gh_unprotected_range *ours,
                            size_t count, const struct gh_clear_entry *entries, size_t entry_count,
                            char said[GH_RULES_SAID])
{
    return gh_nft_apply(netns, gh_unprotected_text(ours, count, entries, entry_count), said);
}

bool gh_unprotected_remove(const char *netns, char said[GH_RULES_SAID])
{
    return gh_nft_remove_table(netns, "gatehouse-ipsec", said);
}

bool gh_unprotected_read(const char *netns, char json[GH_UNPROTECTED_JSON])
{
    static const char *const words[] = {
        "-j", "list", "counters", "table", "inet", "gatehouse-ipsec", NULL};

    return gh_nft_run(netns, words, NULL, json, GH_UNPROTECTED_JSON);
}

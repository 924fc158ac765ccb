#include "platform/unprotected.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "platform/nft.h"

/* `carriers` are asked where a packet comes in, and so whether it is for this host; of a VRF's that
 * is known: it is about to be delivered, or forwarded. */
static const char head[] =
    "table inet gatehouse-ipsec {\n"
    "\tcounter unprotected { }\n"
    "\tset local4 { type ipv4_addr; flags interval; auto-merge; }\n"
    "\tset local6 { type ipv6_addr; flags interval; auto-merge; }\n"
    "\tset remote4 { type ipv4_addr; flags interval; auto-merge; }\n"
    "\tset remote6 { type ipv6_addr; flags interval; auto-merge; }\n"
    "\tset vrf_members { type ifname; }\n"
    "\tchain prerouting { type filter hook prerouting priority raw; policy accept; }\n"
    "\tchain vrf_input { type filter hook input priority raw; policy accept; }\n"
    "\tchain vrf_forward { type filter hook forward priority raw; policy accept; }\n"
    "\tchain clear { }\n"
    "\tchain carriers { }\n"
    "\tchain carriers_own { }\n"
    "\tchain carriers_errors { }\n"
    "}\n"
    "flush chain inet gatehouse-ipsec prerouting\n"
    "flush chain inet gatehouse-ipsec vrf_input\n"
    "flush chain inet gatehouse-ipsec vrf_forward\n"
    "flush chain inet gatehouse-ipsec clear\n"
    "flush chain inet gatehouse-ipsec carriers\n"
    "flush chain inet gatehouse-ipsec carriers_own\n"
    "flush chain inet gatehouse-ipsec carriers_errors\n"
    "flush set inet gatehouse-ipsec local4\n"
    "flush set inet gatehouse-ipsec local6\n"
    "flush set inet gatehouse-ipsec remote4\n"
    "flush set inet gatehouse-ipsec remote6\n"
    "flush set inet gatehouse-ipsec vrf_members\n";

static const char no_vrfs[] = "delete chain inet gatehouse-ipsec vrf_input\n"
                              "delete chain inet gatehouse-ipsec vrf_forward\n";

/* Of a fragment that is not the first, no port is to be seen: without the first it is nothing. Of
 * an ICMP error, the packet in it says whether it is about what carries a tunnel. */
static const char carriers[] =
    "table inet gatehouse-ipsec {\n"
    "\tchain carriers_own {\n"
    "\t\tmeta l4proto { esp, ah } accept\n"
    "\t\tudp dport { 500, 4500 } accept\n"
    "\t\tip frag-off & 0x1fff != 0 accept\n"
    "\t\tfrag frag-off != 0 accept\n"
    "\t}\n"
    "\tchain carriers_errors {\n"
    "\t\ticmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, "
    "nd-neighbor-advert, nd-redirect } ip6 hoplimit 255 accept\n"
    "\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } "
    "@th,136,8 { 50, 51 } accept\n"
    "\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } @th,136,8 17 "
    "@th,224,16 { 500, 4500 } accept\n"
    "\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } "
    "@th,112,8 { 50, 51 } accept\n"
    "\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } "
    "@th,112,8 17 @th,384,16 { 500, 4500 } accept\n"
    "\t}\n"
    "\tchain carriers {\n"
    "\t\tfib daddr type local jump carriers_own\n"
    "\t\tjump carriers_errors\n"
    "\t}\n"
    "}\n";

static const char clear[] = "\t\tip daddr 224.0.0.0/4 accept\n"
                            "\t\tip6 daddr ff00::/8 accept\n";

static void put_set(FILE *out, const char *prefix, const char *set,
                    const struct gh_unprotected_range *list, size_t count, uint8_t len)
{
    char first[GH_ADDR_TEXT], last[GH_ADDR_TEXT];
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (list[i].first.len != len)
            continue;
        if (any)
            fputs(", ", out);
        else
            fprintf(out, "add element inet gatehouse-ipsec %s%s%c { ", prefix, set,
                    len == 4 ? '4' : '6');
        fputs(gh_addr_format(&list[i].first, first), out);
        if (!gh_addr_equal(&list[i].first, &list[i].last))
            fprintf(out, "-%s", gh_addr_format(&list[i].last, last));
        any = true;
    }
    if (any)
        fputs(" }\n", out);
}

static void put_elements(FILE *out, const char *prefix, const struct gh_clear_place *place)
{
    for (uint8_t len = 4; len <= 16; len += 12) {
        put_set(out, prefix, "local", place->ours, place->our_count, len);
        put_set(out, prefix, "remote", place->theirs, place->their_count, len);
    }
}

/* By its version, since 6.1: there is nothing to be asked. */
bool gh_unprotected_knows_vrfs(void)
{
    struct utsname u;
    unsigned major, minor;

    return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
           (major > 6 || (major == 6 && minor >= 1));
}

/* While no device is there, the way back leads nowhere. */
static void put_nowhere(FILE *out, const char *prefix)
{
    fprintf(out,
            "\t\tip daddr @%slocal4 ip saddr @%sremote4 fib saddr oif missing goto %sclear\n"
            "\t\tip6 daddr @%slocal6 ip6 saddr @%sremote6 fib saddr oif missing goto %sclear\n",
            prefix, prefix, prefix, prefix, prefix, prefix);
}

static void put_members(FILE *out, const struct gh_clear_place *place)
{
    for (size_t i = 0; i < place->member_count; i++)
        if (strpbrk(place->members[i], "\"\\*") == NULL) /* which nft reads otherwise */
            fprintf(out, "add element inet gatehouse-ipsec vrf_members { \"%s\" }\n",
                    place->members[i]);
}

/* Of this place's devices alone: what comes into a VRF is here, too, before it is the VRF's, and
 * its way back may lead into another place's. */
static void put_outside(FILE *out, const struct gh_clear_place *place)
{
    fputs("table inet gatehouse-ipsec {\n"
          "\tchain prerouting {\n"
          "\t\tiifname { \"lo\", \"gh-ipsec*\" } accept\n"
          "\t\tmeta iifkind vrf accept\n"
          "\t\tiifname != @vrf_members jump entries_in\n",
          out);
    for (size_t i = 0; i < place->device_count; i++)
        fprintf(out,
                "\t\tip daddr @local4 fib saddr oifname \"%s\" goto clear\n"
                "\t\tip6 daddr @local6 fib saddr oifname \"%s\" goto clear\n",
                place->devices[i], place->devices[i]);
    fputs("\t\tiifname @vrf_members accept\n", out);
    put_nowhere(out, "");
    fprintf(out,
            "\t\tjump entries_in_after\n"
            "\t}\n"
            "\tchain clear {\n"
            "%s"
            "\t\tjump carriers\n"
            "\t\tcounter name unprotected drop\n"
            "\t}\n"
            "}\n",
            clear);
}

static void declare_vrf(FILE *out, const char *prefix, const char *counter)
{
    static const char *const sets[] = {"local", "remote"}, *const chains[] = {"in", "clear"};

    fprintf(out, "table inet gatehouse-ipsec {\n\tcounter %s { }\n", counter);
    for (size_t i = 0; i < 2; i++)
        fprintf(out,
                "\tset %s%s4 { type ipv4_addr; flags interval; auto-merge; }\n"
                "\tset %s%s6 { type ipv6_addr; flags interval; auto-merge; }\n"
                "\tchain %s%s { }\n",
                prefix, sets[i], prefix, sets[i], prefix, chains[i]);
    fputs("}\n", out);
    for (size_t i = 0; i < 2; i++)
        fprintf(out,
                "flush set inet gatehouse-ipsec %s%s4\n"
                "flush set inet gatehouse-ipsec %s%s6\n"
                "flush chain inet gatehouse-ipsec %s%s\n",
                prefix, sets[i], prefix, sets[i], prefix, chains[i]);
}

static void put_vrf(FILE *out, const struct gh_clear_place *place, size_t n)
{
    char prefix[GH_CLEAR_PREFIX], counter[GH_CLEAR_COUNTER];

    gh_clear_prefix(place, n, prefix);
    gh_unprotected_counter(place->vrf, counter);
    declare_vrf(out, prefix, counter);
    put_elements(out, prefix, place);
    fprintf(out,
            "table inet gatehouse-ipsec {\n"
            "\tchain %sin {\n"
            "\t\tjump %sentries_in\n"
            "\t\tip daddr @%slocal4 fib saddr oifname \"gh-ipsec*\" goto %sclear\n"
            "\t\tip6 daddr @%slocal6 fib saddr oifname \"gh-ipsec*\" goto %sclear\n",
            prefix, prefix, prefix, prefix, prefix, prefix);
    if (gh_unprotected_knows_vrfs())
        put_nowhere(out, prefix);
    fprintf(out,
            "\t\tjump %sentries_in_after\n"
            "\t}\n"
            "\tchain %sclear {\n"
            "%s"
            "\t\tcounter name %s drop\n"
            "\t}\n"
            "}\n",
            prefix, prefix, clear, counter);
}

/* A packet is the VRF's from here on, and still knows by which interface it came: by none, if this
 * host sent it to itself. */
static void put_vrf_hook(FILE *out, const struct gh_clear_place *places, size_t count,
                         const char *chain, bool own)
{
    char prefix[GH_CLEAR_PREFIX];

    fprintf(out,
            "table inet gatehouse-ipsec {\n"
            "\tchain %s {\n"
            "\t\tmeta sdif 0 accept\n"
            "\t\tmeta sdifname \"gh-ipsec*\" accept\n"
            "%s"
            "\t\tjump carriers_errors\n",
            chain, own ? "\t\tjump carriers_own\n" : "");
    for (size_t i = 0; i < count; i++)
        if (places[i].vrf != NULL)
            fprintf(out, "\t\tiifname \"%s\" jump %sin\n", places[i].vrf,
                    gh_clear_prefix(&places[i], i, prefix));
    fputs("\t}\n"
          "}\n",
          out);
}

static void put_places(FILE *out, const struct gh_clear_place *places, size_t count)
{
    bool vrfs = false;

    for (size_t i = 0; i < count; i++) {
        if (places[i].vrf == NULL) {
            put_elements(out, "", &places[i]);
            put_members(out, &places[i]);
            put_outside(out, &places[i]);
        } else {
            put_vrf(out, &places[i], i);
            vrfs = true;
        }
    }
    if (vrfs) {
        put_vrf_hook(out, places, count, "vrf_input", true);
        put_vrf_hook(out, places, count, "vrf_forward", false);
    } else {
        fputs(no_vrfs, out);
    }
}

char *gh_unprotected_text(const struct gh_clear_place *places, size_t count)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    fputs(head, out);
    fputs(carriers, out);
    gh_clear_entries_put(out, places, count);
    put_places(out, places, count);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

const char *gh_unprotected_counter(const char *vrf, char out[GH_CLEAR_COUNTER])
{
    if (vrf != NULL)
        return gh_clear_name(vrf, "_vrf", out);
    (void)snprintf(out, GH_CLEAR_COUNTER, "unprotected");
    return out;
}

bool gh_unprotected_install(const char *netns, const struct gh_clear_place *places, size_t count,
                            char said[GH_RULES_SAID])
{
    return gh_nft_apply(netns, gh_unprotected_text(places, count), said);
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

#include "platform/clear_entries.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "platform/sockmark.h"

static const char head[] =
    "table inet gatehouse-ipsec {\n"
    "\tchain entries_in { }\n"
    "\tchain entries_in_after { }\n"
    "\tchain entries_out { }\n"
    "\tchain forward { type filter hook forward priority filter; policy accept; }\n"
    "\tchain output { type filter hook output priority filter; policy accept; }\n"
    "}\n"
    "flush chain inet gatehouse-ipsec prerouting\n"
    "flush chain inet gatehouse-ipsec forward\n"
    "flush chain inet gatehouse-ipsec output\n"
    "flush chain inet gatehouse-ipsec entries_in\n"
    "flush chain inet gatehouse-ipsec entries_in_after\n"
    "flush chain inet gatehouse-ipsec entries_out\n";

static const char no_hooks[] = "delete chain inet gatehouse-ipsec forward\n"
                               "delete chain inet gatehouse-ipsec output\n";

const char *gh_clear_counter(const char *entry, enum ipsec_way way, char out[GH_CLEAR_COUNTER])
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: names may have what nft's may not */

    for (const char *p = entry; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    snprintf(out, GH_CLEAR_COUNTER, "e%016llx%s", (unsigned long long)h,
             way == IPSEC_IN ? "_in" : "_out");
    return out;
}

static bool any_address(const struct ipsec_range *r)
{
    for (size_t i = 0; i < r->start.len; i++)
        if (r->start.octets[i] != 0 || r->end.octets[i] != 0xff)
            return false;
    return true;
}

static void put_address(FILE *out, const struct ipsec_range *r, const char *side)
{
    char first[GH_ADDR_TEXT], last[GH_ADDR_TEXT];

    if (any_address(r))
        return;
    fprintf(out, " %s %s %s", r->start.len == 4 ? "ip" : "ip6", side,
            gh_addr_format(&r->start, first));
    if (!gh_addr_equal(&r->start, &r->end))
        fprintf(out, "-%s", gh_addr_format(&r->end, last));
}

static void put_ports(FILE *out, const struct ipsec_range *r, const char *field)
{
    if (r->start_port == 0 && r->end_port == UINT16_MAX)
        return;
    fprintf(out, " %s %u", field, r->start_port);
    if (r->end_port != r->start_port)
        fprintf(out, "-%u", r->end_port);
}

static void put_match(FILE *out, const struct ipsec_selector *s, enum ipsec_way way)
{
    const struct ipsec_range *src = way == IPSEC_OUT ? &s->local : &s->remote;
    const struct ipsec_range *dst = way == IPSEC_OUT ? &s->remote : &s->local;

    fprintf(out, "meta nfproto %s", s->local.start.len == 4 ? "ipv4" : "ipv6");
    put_address(out, src, "saddr");
    put_address(out, dst, "daddr");
    if (s->protocol != 0)
        fprintf(out, " meta l4proto %u", s->protocol);
    put_ports(out, src, "@th,0,16"); /* or ICMP's type and code, which have no other side */
    if (s->protocol != IPPROTO_ICMP && s->protocol != IPPROTO_ICMPV6)
        put_ports(out, dst, "@th,16,16");
}

static void put_rules(FILE *out, const struct gh_clear_entry *e, enum ipsec_way way)
{
    char counter[GH_CLEAR_COUNTER];

    for (size_t i = 0; i < e->selector_count; i++) {
        fputs("\t\t", out);
        put_match(out, &e->selectors[i], way);
        fprintf(out, " counter name %s %s\n", gh_clear_counter(e->name, way, counter),
                e->discard ? "drop" : "accept");
    }
}

static void put_chain(FILE *out, const char *name, const struct gh_clear_entry *list, size_t count,
                      enum ipsec_way way, bool before, bool after)
{
    bool any = false;

    fprintf(out, "\tchain %s {\n", name);
    for (size_t i = 0; i < count; i++) {
        const struct gh_clear_entry *e = &list[i];

        if (!(way == IPSEC_OUT ? e->out : e->in) || !(e->after ? after : before))
            continue;
        if (!any && way == IPSEC_IN)
            fputs("\t\tjump carriers\n", out);
        any = true;
        put_rules(out, e, way);
    }
    fputs("\t}\n", out);
}

static void put_counters(FILE *out, const struct gh_clear_entry *list, size_t count)
{
    char name[GH_CLEAR_COUNTER];

    for (size_t i = 0; i < count; i++) {
        if (list[i].out)
            fprintf(out, "\tcounter %s { }\n", gh_clear_counter(list[i].name, IPSEC_OUT, name));
        if (list[i].in)
            fprintf(out, "\tcounter %s { }\n", gh_clear_counter(list[i].name, IPSEC_IN, name));
    }
}

/* What came out of a tunnel was judged, and what goes into one will be. */
static void put_hooks(FILE *out)
{
    fprintf(out,
            "\tchain forward {\n"
            "\t\tiifname \"gh-ipsec*\" accept\n"
            "\t\toifname \"gh-ipsec*\" accept\n"
            "\t\tjump entries_out\n"
            "\t}\n"
            "\tchain output {\n"
            "\t\tmeta mark %d accept\n"
            "\t\toifname { \"lo\", \"gh-ipsec*\" } accept\n"
            "\t\ticmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, "
            "nd-neighbor-advert, nd-redirect } ip6 hoplimit 255 accept\n"
            "\t\tjump entries_out\n"
            "\t}\n",
            (int)GH_SOCKET_MARK);
}

void gh_clear_entries_put(FILE *out, const struct gh_clear_entry *list, size_t count)
{
    bool hooks = false;

    for (size_t i = 0; i < count; i++)
        hooks |= list[i].out;
    fputs(head, out);
    fputs("table inet gatehouse-ipsec {\n", out);
    put_counters(out, list, count);
    put_chain(out, "entries_in", list, count, IPSEC_IN, true, false);
    put_chain(out, "entries_in_after", list, count, IPSEC_IN, false, true);
    put_chain(out, "entries_out", list, count, IPSEC_OUT, true, true);
    if (hooks)
        put_hooks(out);
    fputs("}\n", out);
    if (!hooks)
        fputs(no_hooks, out);
}

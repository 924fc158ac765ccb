#include "platform/clear_entries.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "platform/sockmark.h"

static const char head[] =
    "table inet gatehouse-ipsec {\n"
    "\tchain forward { type filter hook forward priority filter; policy accept; }\n"
    "\tchain output { type filter hook output priority filter; policy accept; }\n"
    "}\n"
    "flush chain inet gatehouse-ipsec prerouting\n"
    "flush chain inet gatehouse-ipsec forward\n"
    "flush chain inet gatehouse-ipsec output\n";

static const char no_hooks[] = "delete chain inet gatehouse-ipsec forward\n"
                               "delete chain inet gatehouse-ipsec output\n";

/* FNV-1a: names may have what nft's may not. */
const char *gh_clear_name(const char *of, const char *what, char out[GH_CLEAR_COUNTER])
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (const char *p = of; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    snprintf(out, GH_CLEAR_COUNTER, "e%016llx%s", (unsigned long long)h, what);
    return out;
}

const char *gh_clear_counter(const char *entry, enum ipsec_way way, char out[GH_CLEAR_COUNTER])
{
    return gh_clear_name(entry, way == IPSEC_IN ? "_in" : "_out", out);
}

const char *gh_clear_prefix(const struct gh_clear_place *place, size_t n, char out[GH_CLEAR_PREFIX])
{
    if (place->vrf == NULL)
        out[0] = '\0';
    else
        (void)snprintf(out, GH_CLEAR_PREFIX, "vrf%zu_", n % 100000);
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

/* Which of a place's entries a chain has, and how. */
struct chain {
    const char *name;
    enum ipsec_way way;
    bool before, after;
    bool carriers; /* what carries a tunnel goes first */
    bool counts;   /* what it lets pass: else somebody does after it */
};

static void put_rules(FILE *out, const struct gh_clear_entry *e, const struct chain *c)
{
    char counter[GH_CLEAR_COUNTER];

    for (size_t i = 0; i < e->selector_count; i++) {
        fputs("\t\t", out);
        put_match(out, &e->selectors[i], c->way);
        if (e->discard || c->counts)
            fprintf(out, " counter name %s", gh_clear_counter(e->name, c->way, counter));
        fputs(e->discard ? " drop\n" : " accept\n", out);
    }
}

static void put_chain(FILE *out, const char *prefix, const struct gh_clear_place *place,
                      const struct chain *c)
{
    bool any = false;

    fprintf(out, "\tchain %s%s {\n", prefix, c->name);
    for (size_t i = 0; i < place->entry_count; i++) {
        const struct gh_clear_entry *e = &place->entries[i];

        if (!(c->way == IPSEC_OUT ? e->out : e->in) || !(e->after ? c->after : c->before))
            continue;
        if (!any && c->carriers)
            fputs("\t\tjump carriers\n", out);
        any = true;
        put_rules(out, e, c);
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

/* Of a VRF what carries a tunnel has gone past them already (unprotected.c). */
static void put_place(FILE *out, const struct gh_clear_place *place, size_t n)
{
    const bool outside = place->vrf == NULL;
    const struct chain chains[] = {
        {"entries_in", IPSEC_IN, .before = true, .carriers = outside, .counts = true},
        {"entries_in_after", IPSEC_IN, .after = true, .carriers = outside, .counts = true},
        {"entries_out", IPSEC_OUT, .before = true, .after = true, .counts = true},
        {"entries_sent", IPSEC_OUT, .before = true}};
    const size_t count = outside ? 3 : 4;
    char prefix[GH_CLEAR_PREFIX];

    gh_clear_prefix(place, n, prefix);
    fputs("table inet gatehouse-ipsec {\n", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "\tchain %s%s { }\n", prefix, chains[i].name);
    fputs("}\n", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "flush chain inet gatehouse-ipsec %s%s\n", prefix, chains[i].name);
    fputs("table inet gatehouse-ipsec {\n", out);
    put_counters(out, place->entries, place->entry_count);
    for (size_t i = 0; i < count; i++)
        put_chain(out, prefix, place, &chains[i]);
    fputs("}\n", out);
}

static bool has_out(const struct gh_clear_place *place)
{
    for (size_t i = 0; i < place->entry_count; i++)
        if (place->entries[i].out)
            return true;
    return false;
}

/* To each VRF's own chain; the chain of what is outside is for none of the others. What this host
 * sends in a VRF comes once more, as its interface's. */
static void put_jumps(FILE *out, const struct gh_clear_place *places, size_t count,
                      const char *side, const char *chain)
{
    char prefix[GH_CLEAR_PREFIX];
    bool outside = false;

    for (size_t i = 0; i < count; i++)
        if (places[i].vrf == NULL)
            outside = has_out(&places[i]);
        else if (has_out(&places[i]))
            fprintf(out, "\t\t%sname \"%s\" jump %s%s\n", side, places[i].vrf,
                    gh_clear_prefix(&places[i], i, prefix), chain);
    fprintf(out, "\t\tmeta %skind vrf accept\n", side);
    if (outside)
        fprintf(out, "\t\t%sname != @vrf_members jump entries_out\n", side);
}

/* What came out of a tunnel was judged, and what goes into one will be. */
static void put_hooks(FILE *out, const struct gh_clear_place *places, size_t count, bool vrfs)
{
    fputs("table inet gatehouse-ipsec {\n"
          "\tchain forward {\n"
          "\t\tiifname \"gh-ipsec*\" accept\n"
          "\t\toifname \"gh-ipsec*\" accept\n",
          out);
    if (vrfs)
        fputs("\t\tmeta sdifname \"gh-ipsec*\" accept\n", out);
    put_jumps(out, places, count, "iif", "entries_out");
    fprintf(out,
            "\t}\n"
            "\tchain output {\n"
            "\t\tmeta mark %d accept\n"
            "\t\toifname { \"lo\", \"gh-ipsec*\" } accept\n"
            "\t\ticmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, "
            "nd-neighbor-advert, nd-redirect } ip6 hoplimit 255 accept\n",
            (int)GH_SOCKET_MARK);
    put_jumps(out, places, count, "oif", "entries_sent");
    fputs("\t}\n"
          "}\n",
          out);
}

void gh_clear_entries_put(FILE *out, const struct gh_clear_place *places, size_t count)
{
    bool hooks = false, vrfs = false;

    fputs(head, out);
    for (size_t i = 0; i < count; i++) {
        hooks |= has_out(&places[i]);
        vrfs |= places[i].vrf != NULL;
        put_place(out, &places[i], i);
    }
    if (hooks)
        put_hooks(out, places, count, vrfs);
    else
        fputs(no_hooks, out);
}

#include "platform/mss_rules.h"

#include <stdio.h>
#include <stdlib.h>

#include "platform/nft.h"

static const char head[] =
    "table inet gatehouse-mss {\n"
    "\tchain forward { type filter hook forward priority mangle; policy accept; }\n"
    "\tchain output { type filter hook output priority mangle; policy accept; }\n"
    "\tchain input { type filter hook input priority mangle; policy accept; }\n"
    "}\n"
    "flush table inet gatehouse-mss\n";

static void put_range(FILE *out, const char *what, const struct gh_unprotected_range *range)
{
    char first[GH_ADDR_TEXT], last[GH_ADDR_TEXT];

    fprintf(out, "%s %s %s-%s ", range->first.len == 4 ? "ip" : "ip6", what,
            gh_addr_format(&range->first, first), gh_addr_format(&range->last, last));
}

static void put_rule(FILE *out, const char *chain, bool outgoing, const struct gh_mss_rule *r)
{
    fprintf(out, "add rule inet gatehouse-mss %s ", chain);
    put_range(out, "saddr", outgoing ? &r->local : &r->remote);
    put_range(out, "daddr", outgoing ? &r->remote : &r->local);
    fprintf(out, "%s exists tcp flags & syn == syn tcp option maxseg size set %u\n",
            outgoing ? "rt ipsec" : "meta ipsec", r->mss);
}

char *gh_mss_text(const struct gh_mss_rule *rules, size_t count)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    fputs(head, out);
    for (size_t i = 0; i < count; i++) {
        put_rule(out, "forward", true, &rules[i]);
        put_rule(out, "output", true, &rules[i]);
        put_rule(out, "forward", false, &rules[i]);
        put_rule(out, "input", false, &rules[i]);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

bool gh_mss_install(const char *netns, const struct gh_mss_rule *rules, size_t count,
                    char said[GH_RULES_SAID])
{
    return gh_nft_apply(netns, gh_mss_text(rules, count), said);
}

bool gh_mss_remove(const char *netns, char said[GH_RULES_SAID])
{
    return gh_nft_remove_table(netns, "gatehouse-mss", said);
}

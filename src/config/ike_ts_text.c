#include "config/ike_ts_text.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"

enum { WORDS = 3, OPAQUE_START = 0xffff, OPAQUE_END = 0, ANY_END = 0xffff };

static bool fail(const char **why, const char *text)
{
    *why = text;
    return false;
}

/* Splits at blanks, in place. How many words; WORDS + 1: more than that. */
static size_t split(char *text, char *words[WORDS])
{
    size_t count = 0;
    char *save = NULL;

    for (char *w = strtok_r(text, " \t", &save); w != NULL; w = strtok_r(NULL, " \t", &save)) {
        if (count == WORDS)
            return WORDS + 1;
        words[count++] = w;
    }
    return count;
}

/* Decimal digits and nothing else, up to max. */
static bool number(const char *text, unsigned max, unsigned *out)
{
    size_t len = strlen(text);
    unsigned long v = strtoul(text, NULL, 10);

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len || v > max)
        return false;
    *out = (unsigned)v;
    return true;
}

static bool take_addresses(char *text, struct ike_ts *ts, const char **why)
{
    char *dash = strchr(text, '-');
    struct gh_addr start, end;
    struct gh_prefix prefix;

    if (dash == NULL) {
        if (!gh_prefix_parse(text, &prefix))
            return fail(why, "write a prefix whose host bits are zero, an address, or FIRST-LAST");
        *ts = ike_ts_from_prefix(&prefix);
        return true;
    }
    *dash = '\0';
    if (!gh_addr_parse(text, &start) || !gh_addr_parse(dash + 1, &end) || start.len != end.len)
        return fail(why, "write a range as FIRST-LAST, both IPv4 or both IPv6");
    if (memcmp(start.octets, end.octets, start.len) > 0)
        return fail(why, "write the smaller address of the range first");
    *ts = ike_ts_from_range(&start, &end);
    return true;
}

static bool take_protocol(const char *text, struct ike_ts *ts, const char **why)
{
    static const struct {
        const char *name;
        uint8_t number;
    } protocols[] = {{"any", 0},
                     {"tcp", IPPROTO_TCP},
                     {"udp", IPPROTO_UDP},
                     {"sctp", IPPROTO_SCTP},
                     {"icmp", IPPROTO_ICMP},
                     {"icmpv6", IPPROTO_ICMPV6},
                     {"mh", IPPROTO_MH},
                     {"mipv6", IPPROTO_MH}};
    unsigned n = 256;

    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (strcmp(protocols[i].name, text) == 0)
            n = protocols[i].number;
    }
    if (n == 256 && !number(text, 255, &n))
        return fail(why, "write the protocol as any, tcp, udp, sctp, icmp, icmpv6, mh or a number");
    if ((n == IPPROTO_ICMP && ts->type == IKE_TS_IPV6) ||
        ((n == IPPROTO_ICMPV6 || n == IPPROTO_MH) && ts->type == IKE_TS_IPV4))
        return fail(why, "icmp belongs to IPv4, icmpv6 and mh to IPv6");
    ts->protocol = (uint8_t)n;
    return true;
}

static bool is_icmp(uint8_t protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* One end of a span. "8" of ICMP is 8/0 … 8/255, of the mobility header likewise. */
static bool take_port(uint8_t protocol, char *text, uint16_t *start, uint16_t *end)
{
    char *slash = strchr(text, '/');
    bool typed = is_icmp(protocol) || protocol == IPPROTO_MH;
    unsigned high, low;

    if (slash == NULL) {
        if (!number(text, typed ? 255 : 65535, &high))
            return false;
        *start = (uint16_t)(typed ? high << 8 : high);
        *end = (uint16_t)(typed ? high << 8 | 255 : high);
        return true;
    }
    *slash = '\0';
    if (!typed || !number(text, 255, &high) || !number(slash + 1, 255, &low))
        return false;
    *start = *end = (uint16_t)(high << 8 | low);
    return true;
}

static bool has_ports(uint8_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
           is_icmp(protocol) || protocol == IPPROTO_MH;
}

static bool take_ports(char *text, struct ike_ts *ts, const char **why)
{
    char *dash = strchr(text, '-');
    uint16_t ignored;

    if (strcmp(text, "any") == 0)
        return true;
    if (!has_ports(ts->protocol))
        return fail(why, "only tcp, udp, sctp, icmp, icmpv6 and mh have ports: name one of them");
    if (strcmp(text, "opaque") == 0) {
        ts->start_port = OPAQUE_START;
        ts->end_port = OPAQUE_END;
        return true;
    }
    if (dash != NULL)
        *dash = '\0';
    if (!take_port(ts->protocol, text, &ts->start_port, &ts->end_port) ||
        (dash != NULL && !take_port(ts->protocol, dash + 1, &ignored, &ts->end_port)))
        return fail(why, "write ports as N, N-M, any or opaque, of icmp as TYPE or TYPE/CODE");
    if (ts->start_port > ts->end_port)
        return fail(why, "write the smaller port of the range first");
    return true;
}

bool gh_ike_ts_parse(const char *text, struct ike_ts *out, const char **why)
{
    char copy[IKE_TS_TEXT], *words[WORDS];
    struct ike_ts ts;
    size_t count;

    if (strlen(text) >= sizeof(copy))
        return fail(why, "write ADDRESSES, PROTOCOL and PORTS, the last two if needed");
    strcpy(copy, text);
    count = split(copy, words);
    if (count == 0 || count > WORDS)
        return fail(why, "write ADDRESSES, PROTOCOL and PORTS, the last two if needed");
    if (!take_addresses(words[0], &ts, why) || (count > 1 && !take_protocol(words[1], &ts, why)) ||
        (count > 2 && !take_ports(words[2], &ts, why)))
        return false;
    *out = ts;
    return true;
}

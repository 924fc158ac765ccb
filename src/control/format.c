#include "control/format.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"

const char *gh_endpoint_format(const struct tcpao_endpoint *e, char buf[GH_ENDPOINT_TEXT])
{
    struct gh_addr a = gh_addr_from(e->addr, e->addr_len);
    char text[GH_ADDR_TEXT];

    gh_addr_format(&a, text);
    if (a.len == 16)
        snprintf(buf, GH_ENDPOINT_TEXT, "[%s]:%u", text, e->port);
    else
        snprintf(buf, GH_ENDPOINT_TEXT, "%s:%u", text, e->port);
    return buf;
}

bool gh_endpoint_parse(const char *text, struct tcpao_endpoint *out)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    char host[GH_ADDR_TEXT];
    struct gh_addr addr;
    char *end;
    long port;

    if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(host) || !isdigit((unsigned char)colon[1]))
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    port = strtol(colon + 1, &end, 10);
    if (*end != '\0' || port > UINT16_MAX || !gh_addr_parse(host, &addr))
        return false;
    *out = (struct tcpao_endpoint){.addr_len = addr.len, .port = (uint16_t)port};
    memcpy(out->addr, addr.octets, addr.len);
    return true;
}

const char *gh_span_format(int64_t seconds, char buf[GH_SPAN_TEXT])
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t u = 0;
    int64_t rest;

    if (seconds < 0)
        seconds = 0;
    while (u < 3 && seconds < units[u].seconds)
        u++;
    rest = u < 3 ? seconds % units[u].seconds / units[u + 1].seconds : 0;
    if (rest > 0)
        snprintf(buf, GH_SPAN_TEXT, "%" PRId64 " %s %" PRId64 " %s", seconds / units[u].seconds,
                 units[u].name, rest, units[u + 1].name);
    else
        snprintf(buf, GH_SPAN_TEXT, "%" PRId64 " %s", seconds / units[u].seconds, units[u].name);
    return buf;
}

const char *gh_tcp_flags_format(uint8_t flags, char buf[GH_FLAGS_TEXT])
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
    size_t n = 0;

    buf[0] = '\0';
    for (unsigned bit = 0; bit < 8; bit++) {
        if ((flags & (1u << bit)) != 0)
            n += (size_t)snprintf(buf + n, GH_FLAGS_TEXT - n, "%s%s", n > 0 ? "+" : "", names[bit]);
    }
    if (n == 0)
        snprintf(buf, GH_FLAGS_TEXT, "none");
    return buf;
}

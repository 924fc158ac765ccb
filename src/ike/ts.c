/*
 * The Traffic Selector payloads: | how many | reserved, 3 octets | selectors …
 * A selector: | type | protocol | length | start port | end port | start address | end address |
 */
#include "ike/ts.h"

#include <netinet/in.h>
#include <stdio.h>

#include "wire/rd.h"

enum { SELECTOR_HEADER = 4, PORTS_LEN = 4, ADDR_TEXT_BOTH = 2 * GH_ADDR_TEXT + 2 };

static uint8_t address_len(uint8_t type)
{
    return type == IKE_TS_IPV4 ? 4 : type == IKE_TS_IPV6 ? 16 : 0;
}

/* A range must not begin behind its end; of ports, OPAQUE is the exception. */
static bool in_order(const struct ike_ts *ts)
{
    return memcmp(ts->start.octets, ts->end.octets, ts->start.len) <= 0 &&
           (ts->start_port <= ts->end_port || ike_ts_opaque(ts));
}

/* One selector into *ts; *known is false for a type that we step over. */
static bool take_selector(struct gh_rd *r, struct ike_ts *ts, bool *known)
{
    struct gh_rd body;
    uint16_t len;

    *ts = (struct ike_ts){.type = gh_rd_u8(r), .protocol = gh_rd_u8(r)};
    len = gh_rd_u16(r);
    if (r->bad || len < SELECTOR_HEADER)
        return false;
    body = gh_rd_sub(r, len - (size_t)SELECTOR_HEADER);
    if (r->bad)
        return false;
    *known = address_len(ts->type) > 0;
    if (!*known)
        return true;
    ts->start.len = ts->end.len = address_len(ts->type);
    ts->start_port = gh_rd_u16(&body);
    ts->end_port = gh_rd_u16(&body);
    gh_rd_copy(&body, ts->start.octets, ts->start.len);
    gh_rd_copy(&body, ts->end.octets, ts->end.len);
    return gh_rd_done(&body) && in_order(ts);
}

enum ike_fault ike_ts_parse(struct gh_view body, struct ike_ts_list *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    uint8_t n = gh_rd_u8(&r);
    struct ike_ts_list list = {0};

    gh_rd_skip(&r, 3);
    for (unsigned i = 0; i < n; i++) {
        struct ike_ts ts;
        bool known = false;

        if (!take_selector(&r, &ts, &known))
            return IKE_SYNTAX;
        if (!known)
            list.unknown++;
        else if (list.count == IKE_TS_MAX)
            list.excess++;
        else
            list.ts[list.count++] = ts;
    }
    if (!gh_rd_done(&r) || n == 0)
        return IKE_SYNTAX;
    *out = list;
    return IKE_OK;
}

void ike_ts_emit(struct ike_out *o, uint8_t payload, const struct ike_ts_list *list)
{
    ike_out_open(o, payload, false);
    gh_wr_u8(&o->w, list->count);
    gh_wr_zero(&o->w, 3);
    for (size_t i = 0; i < list->count; i++) {
        const struct ike_ts *ts = &list->ts[i];

        gh_wr_u8(&o->w, ts->type);
        gh_wr_u8(&o->w, ts->protocol);
        gh_wr_u16(&o->w, SELECTOR_HEADER + PORTS_LEN + 2u * ts->start.len);
        gh_wr_u16(&o->w, ts->start_port);
        gh_wr_u16(&o->w, ts->end_port);
        gh_wr_bytes(&o->w, ts->start.octets, ts->start.len);
        gh_wr_bytes(&o->w, ts->end.octets, ts->start.len);
    }
    ike_out_close(o);
}

struct ike_ts ike_ts_from_range(const struct gh_addr *start, const struct gh_addr *end)
{
    return (struct ike_ts){.type = start->len == 4 ? IKE_TS_IPV4 : IKE_TS_IPV6,
                           .end_port = 0xffff,
                           .start = *start,
                           .end = *end};
}

struct ike_ts ike_ts_from_prefix(const struct gh_prefix *prefix)
{
    struct gh_addr end = prefix->addr;

    for (unsigned bit = prefix->bits; bit < end.len * 8u; bit++)
        end.octets[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    return ike_ts_from_range(&prefix->addr, &end);
}

/* As a prefix where the range is one. */
static void format_addresses(const struct ike_ts *ts, char buf[ADDR_TEXT_BOTH])
{
    char start[GH_ADDR_TEXT], end[GH_ADDR_TEXT], text[GH_PREFIX_TEXT];
    struct gh_prefix p = {.addr = ts->start,
                          .bits = (uint8_t)gh_addr_common_bits(&ts->start, &ts->end)};
    struct ike_ts same = ike_ts_from_prefix(&p);

    if (gh_host_bits_clear(ts->start.octets, ts->start.len, p.bits) &&
        gh_addr_equal(&same.end, &ts->end)) {
        (void)snprintf(buf, ADDR_TEXT_BOTH, "%s", gh_prefix_format(&p, text));
        return;
    }
    (void)snprintf(buf, ADDR_TEXT_BOTH, "%s-%s", gh_addr_format(&ts->start, start),
                   gh_addr_format(&ts->end, end));
}

static const char *protocol_text(uint8_t protocol, char buf[IKE_CODE_TEXT])
{
    switch (protocol) {
    case 0:
        return "any";
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_SCTP:
        return "sctp";
    case IPPROTO_ICMP:
        return "icmp";
    case IPPROTO_ICMPV6:
        return "icmpv6";
    case IPPROTO_MH:
        return "mh";
    default:
        return ike_code_text(NULL, protocol, buf);
    }
}

static void format_port(uint8_t protocol, uint16_t port, char *buf, size_t len)
{
    bool typed = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 || protocol == IPPROTO_MH;

    if (typed)
        (void)snprintf(buf, len, "%u/%u", port >> 8, port & 0xffu);
    else
        (void)snprintf(buf, len, "%u", port);
}

const char *ike_ts_format(const struct ike_ts *ts, char buf[IKE_TS_TEXT])
{
    char addresses[ADDR_TEXT_BOTH], number[IKE_CODE_TEXT], start[IKE_CODE_TEXT], end[IKE_CODE_TEXT];
    const char *protocol = protocol_text(ts->protocol, number);

    format_addresses(ts, addresses);
    format_port(ts->protocol, ts->start_port, start, sizeof(start));
    format_port(ts->protocol, ts->end_port, end, sizeof(end));
    if (ike_ts_opaque(ts))
        (void)snprintf(buf, IKE_TS_TEXT, "%s %s opaque", addresses, protocol);
    else if (ike_ts_any_port(ts) && ts->protocol == 0)
        (void)snprintf(buf, IKE_TS_TEXT, "%s", addresses);
    else if (ike_ts_any_port(ts))
        (void)snprintf(buf, IKE_TS_TEXT, "%s %s", addresses, protocol);
    else if (ts->start_port == ts->end_port)
        (void)snprintf(buf, IKE_TS_TEXT, "%s %s %s", addresses, protocol, start);
    else
        (void)snprintf(buf, IKE_TS_TEXT, "%s %s %s-%s", addresses, protocol, start, end);
    return buf;
}

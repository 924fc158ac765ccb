#include <string.h>

#include "ipsec/ah.h"
#include "wire/rd.h"

enum { HOP_BY_HOP = 0, ROUTING = 43, DESTINATION = 60, MAY_CHANGE = 0x20 };

/* RFC 4302 A1: what is not known to stay as it is, is zeroed. */
static bool v4_option_stays(uint8_t type)
{
    switch (type) {
    case 0x82: /* security */
    case 0x85: /* extended security */
    case 0x86: /* commercial security */
    case 0x94: /* router alert */
    case 0x95: /* sender directed multi-destination delivery */
        return true;
    default:
        return false;
    }
}

static bool zero_v4(uint8_t *header, size_t len)
{
    struct gh_rd r = gh_rd_make(header, len);

    gh_rd_skip(&r, IPSEC_IPV4_HEADER);
    if (r.bad)
        return false;
    header[1] = 0;             /* DSCP, ECN */
    memset(header + 6, 0, 2);  /* flags, fragment offset */
    header[8] = 0;             /* TTL */
    memset(header + 10, 0, 2); /* checksum */
    while (gh_rd_left(&r) > 0) {
        size_t at = (size_t)(r.p - header);
        uint8_t type = gh_rd_u8(&r), n;

        if (type == 0)
            break;
        if (type == 1)
            continue;
        n = gh_rd_u8(&r);
        gh_rd_skip(&r, n >= 2 ? n - 2u : SIZE_MAX);
        if (r.bad)
            return false;
        if (!v4_option_stays(type))
            memset(header + at, 0, n);
    }
    return true;
}

/* RFC 4302 3.3.3.1.2.2: of an option that may change on the way, the data. */
static bool zero_v6_options(uint8_t *header, struct gh_rd r)
{
    while (gh_rd_left(&r) > 0) {
        uint8_t type = gh_rd_u8(&r), n;

        if (type == 0)
            continue;
        n = gh_rd_u8(&r);
        if ((type & MAY_CHANGE) != 0 && !r.bad && n <= gh_rd_left(&r))
            memset(header + (r.p - header), 0, n);
        gh_rd_skip(&r, n);
    }
    return !r.bad;
}

/* A routing header has nothing to zero where it ends: the packet is as its last destination sees
 * it (what is still on a source route is never protected nor accepted). */
static bool zero_v6(uint8_t *header, size_t len)
{
    struct gh_rd r = gh_rd_make(header, len);
    uint8_t next;

    gh_rd_skip(&r, 6);
    next = gh_rd_u8(&r);
    gh_rd_skip(&r, IPSEC_IPV6_HEADER - 7);
    if (r.bad)
        return false;
    header[0] = 0x60; /* class, flow label */
    memset(header + 1, 0, 3);
    header[7] = 0; /* hop limit */
    while (gh_rd_left(&r) > 0) {
        uint8_t this = next;
        struct gh_rd body;

        next = gh_rd_u8(&r);
        body = gh_rd_sub(&r, 6 + (size_t)gh_rd_u8(&r) * 8);
        if (r.bad || (this != HOP_BY_HOP && this != DESTINATION && this != ROUTING) ||
            (this != ROUTING && !zero_v6_options(header, body)))
            return false;
    }
    return true;
}

bool ipsec_ah_zero_mutable(uint8_t *header, size_t len)
{
    return header[0] >> 4 == 4 ? zero_v4(header, len) : zero_v6(header, len);
}

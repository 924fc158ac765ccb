#include "platform/xfrm_select.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/range.h"
#include "wire/ip.h"

enum { PORTS = 32 }; /* masks of a range of ports, at most */

void gh_xfrm_address(const struct gh_addr *a, xfrm_address_t *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out, a->octets, a->len);
}

struct gh_addr gh_xfrm_address_of(const xfrm_address_t *a, uint16_t family)
{
    uint8_t octets[sizeof(*a)];

    memcpy(octets, a, sizeof(octets));
    if (family != AF_INET && family != AF_INET6)
        return (struct gh_addr){.len = 0};
    return gh_addr_from(octets, family == AF_INET6 ? 16 : 4);
}

uint16_t gh_xfrm_family(const struct gh_addr *a)
{
    return a->len == 16 ? AF_INET6 : AF_INET;
}

/* ---- Ranges of ports ------------------------------------------------------------------------ */

struct port_mask {
    uint16_t port, mask; /* host byte order */
};

static size_t masks_of(uint16_t start, uint16_t end, struct port_mask out[PORTS])
{
    uint32_t at = start;
    size_t count = 0;

    while (at <= end && count < PORTS) {
        uint32_t size = 1;

        while (at % (2 * size) == 0 && at + 2 * size - 1 <= end)
            size *= 2;
        out[count++] = (struct port_mask){(uint16_t)at, (uint16_t)(0xffff & ~(size - 1))};
        at += size;
    }
    return count;
}

static bool any_port(const struct ipsec_range *r)
{
    return r->start_port == 0 && r->end_port == UINT16_MAX;
}

/* ---- Both ----------------------------------------------------------------------------------- */

struct ports {
    struct port_mask local[PORTS], remote[PORTS];
    size_t local_count, remote_count;
};

/* Of ICMP the kernel has the type where the source port is and the code where the other is; here
 * both are the sender's port. */
static bool icmp_ports(const struct ipsec_selector *s, uint8_t dir, struct ports *out,
                       struct gh_xfrm_why *why)
{
    bool sends = dir == XFRM_POLICY_OUT;
    const struct ipsec_range *r = sends ? &s->local : &s->remote;
    uint8_t type = (uint8_t)(r->start_port >> 8), code = (uint8_t)r->start_port;
    uint8_t last_type = (uint8_t)(r->end_port >> 8), last_code = (uint8_t)r->end_port;
    struct port_mask *types = sends ? out->local : out->remote;
    struct port_mask *codes = sends ? out->remote : out->local;
    size_t type_count = 1, code_count = 1;

    types[0] = codes[0] = (struct port_mask){0, 0};
    if (!any_port(r)) {
        bool any_code = code == 0 && last_code == UINT8_MAX;

        if (!any_code && type != last_type)
            return gh_xfrm_refuse(why, "a range over types and codes of ICMP at once");
        type_count = masks_of(type, last_type, types);
        if (!any_code)
            code_count = masks_of(code, last_code, codes);
    }
    out->local_count = sends ? type_count : code_count;
    out->remote_count = sends ? code_count : type_count;
    return true;
}

static bool ports_of(const struct ipsec_selector *s, uint8_t dir, struct ports *out,
                     struct gh_xfrm_why *why)
{
    if (s->local.start_port > s->local.end_port || s->remote.start_port > s->remote.end_port)
        return gh_xfrm_refuse(why, "the kernel has no selector for packets whose ports are hidden");
    if (s->protocol == IPPROTO_ICMP || s->protocol == IPPROTO_ICMPV6)
        return icmp_ports(s, dir, out, why);
    if (s->protocol == 0 && !(any_port(&s->local) && any_port(&s->remote)))
        return gh_xfrm_refuse(why, "ports need a protocol");
    out->local_count = masks_of(s->local.start_port, s->local.end_port, out->local);
    out->remote_count = masks_of(s->remote.start_port, s->remote.end_port, out->remote);
    return true;
}

static struct xfrm_selector selector_of(const struct gh_prefix *src, const struct gh_prefix *dst,
                                        struct port_mask sport, struct port_mask dport,
                                        uint8_t protocol)
{
    struct xfrm_selector x;

    memset(&x, 0, sizeof(x)); /* its padding goes to the kernel too */
    gh_xfrm_address(&src->addr, &x.saddr);
    gh_xfrm_address(&dst->addr, &x.daddr);
    x.prefixlen_s = src->bits;
    x.prefixlen_d = dst->bits;
    x.sport = htons(sport.port);
    x.sport_mask = htons(sport.mask);
    x.dport = htons(dport.port);
    x.dport_mask = htons(dport.mask);
    x.family = gh_xfrm_family(&src->addr);
    x.proto = protocol;
    return x;
}

size_t gh_xfrm_expand(const struct ipsec_selector *s, uint8_t dir,
                      struct xfrm_selector out[GH_XFRM_EXPANDED], struct gh_xfrm_why *why)
{
    struct gh_prefix local[GH_RANGE_PREFIXES], remote[GH_RANGE_PREFIXES];
    bool sends = dir == XFRM_POLICY_OUT;
    size_t locals, remotes, ports, count = 0;
    struct ports p = {.local_count = 0};

    if (!ipsec_selector_valid(s))
        return gh_xfrm_refuse(why, "a selector that is not valid");
    if (!ports_of(s, dir, &p, why))
        return 0;
    locals = gh_range_prefixes(&s->local.start, &s->local.end, local);
    remotes = gh_range_prefixes(&s->remote.start, &s->remote.end, remote);
    ports = p.local_count * p.remote_count;
    if (locals * remotes * ports > GH_XFRM_EXPANDED)
        return gh_xfrm_refuse(why, "a selector that is too many prefixes and ports for the kernel");
    for (size_t i = 0; i < locals * remotes * ports; i++) {
        const struct gh_prefix *l = &local[i % locals], *r = &remote[i / locals % remotes];
        size_t j = i / locals / remotes;
        struct port_mask lp = p.local[j % p.local_count], rp = p.remote[j / p.local_count];

        out[count++] =
            sends ? selector_of(l, r, lp, rp, s->protocol) : selector_of(r, l, rp, lp, s->protocol);
    }
    return count;
}

/*
 * What the kernel's IPsec sends, and selectors as prefixes. Input: [kind, …]: 0, datagrams; 1,
 * lines of counters; else two ranges of addresses and of ports, whose pieces must be inside them.
 */
#include <stdlib.h>
#include <string.h>

#include "platform/xfrm_ask.h"
#include "platform/xfrm_message.h"
#include "platform/xfrm_select.h"
#include "platform/xfrm_stat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_messages(struct gh_rd r)
{
    static const struct gh_xfrm_move to = {{.len = 4}, {.len = 4}, 4500, 4501};
    static uint8_t out[GH_XFRM_MESSAGE];
    struct gh_xfrm_policy_info policy;
    struct gh_xfrm_sa_info sa;
    struct gh_xfrm_event event;
    struct gh_xfrm_why why;
    struct gh_nl_message m;
    int result;

    while (gh_nl_next(&r, &m)) {
        struct gh_wr w = gh_wr_make(out, sizeof(out));

        if (gh_xfrm_parse_sa(&m, &sa) && sa.id.dst.len == 0)
            abort();
        (void)gh_xfrm_parse_policy(&m, &policy);
        if (gh_xfrm_parse_event(&m, &event) && !gh_xfrm_reqid_is_ours(event.tie.reqid))
            abort();
        if (gh_xfrm_put_moved(&w, 1, &m, &to, 1000, &why) &&
            w.len < sizeof(struct xfrm_usersa_info))
            abort();
        if (gh_xfrm_parse_end(&m, &result, &why) && result > 0)
            abort();
    }
}

static struct ipsec_range read_range(struct gh_rd *r, uint8_t len)
{
    uint8_t octets[16];
    struct ipsec_range x;

    gh_rd_copy(r, octets, len);
    x.start = gh_addr_from(octets, len);
    gh_rd_copy(r, octets, len);
    x.end = gh_addr_from(octets, len);
    x.start_port = gh_rd_u16(r);
    x.end_port = gh_rd_u16(r);
    return x;
}

static bool inside(const xfrm_address_t *a, unsigned bits, uint16_t family,
                   const struct ipsec_range *range)
{
    struct gh_addr first = gh_xfrm_address_of(a, family), last = first;

    for (unsigned i = bits; i < 8u * last.len; i++)
        last.octets[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return memcmp(first.octets, range->start.octets, first.len) >= 0 &&
           memcmp(last.octets, range->end.octets, last.len) <= 0;
}

static void expand(struct gh_rd r)
{
    static struct xfrm_selector pieces[GH_XFRM_EXPANDED];
    uint8_t len = gh_rd_u8(&r) & 1 ? 16 : 4, dir = gh_rd_u8(&r) % XFRM_POLICY_MAX;
    struct ipsec_selector s = {.protocol = gh_rd_u8(&r)};
    bool sends = dir == XFRM_POLICY_OUT;
    struct gh_xfrm_why why;
    size_t count;

    s.local = read_range(&r, len);
    s.remote = read_range(&r, len);
    count = gh_xfrm_expand(&s, dir, pieces, &why);
    if (count > GH_XFRM_EXPANDED)
        abort();
    for (size_t i = 0; i < count; i++)
        if (!inside(&pieces[i].saddr, pieces[i].prefixlen_s, pieces[i].family,
                    sends ? &s.local : &s.remote) ||
            !inside(&pieces[i].daddr, pieces[i].prefixlen_d, pieces[i].family,
                    sends ? &s.remote : &s.local))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_xfrm_stat stat;
    uint8_t kind = gh_rd_u8(&r);

    if (kind == 0)
        read_messages(r);
    else if (kind == 1)
        gh_xfrm_stat_parse((const char *)r.p, gh_rd_left(&r), &stat);
    else
        expand(r);
    return 0;
}

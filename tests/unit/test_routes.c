/* Ranges of addresses as prefixes, for routes. */
#include "unit.h"

#include <string.h>

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/range.h"
#include "platform/netlink.h"
#include "platform/routes.h"

static void assert_prefixes(const char *start, const char *end, const char *want)
{
    struct gh_prefix list[GH_RANGE_PREFIXES];
    struct gh_addr a, b;
    char text[GH_PREFIX_TEXT], all[2000] = "";
    size_t count;

    assert_true(gh_addr_parse(start, &a) && gh_addr_parse(end, &b));
    count = gh_range_prefixes(&a, &b, list);
    for (size_t i = 0; i < count; i++) {
        assert_true(gh_host_bits_clear(list[i].addr.octets, list[i].addr.len, list[i].bits));
        strcat(all, i > 0 ? " " : "");
        strcat(all, gh_prefix_format(&list[i], text));
    }
    assert_string_equal(all, want);
}

static void ranges(void **state)
{
    assert_prefixes("10.1.0.0", "10.1.255.255", "10.1.0.0/16");
    assert_prefixes("10.1.0.7", "10.1.0.7", "10.1.0.7");
    assert_prefixes("10.1.0.1", "10.1.0.6", "10.1.0.1 10.1.0.2/31 10.1.0.4/31 10.1.0.6");
    assert_prefixes("0.0.0.0", "255.255.255.255", "0.0.0.0/0");
    assert_prefixes("255.255.255.254", "255.255.255.255", "255.255.255.254/31");
    assert_prefixes("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32");
    assert_prefixes("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0");
    assert_prefixes("10.0.0.255", "10.0.1.0", "10.0.0.255 10.0.1.0");
    assert_prefixes("10.0.0.2", "10.0.0.1", "");
}

/* The worst range of all is still whole. */
static void the_longest_list(void **state)
{
    struct gh_prefix list[GH_RANGE_PREFIXES];
    struct gh_addr a, b;
    size_t count;

    assert_true(gh_addr_parse("::1", &a) &&
                gh_addr_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", &b));
    count = gh_range_prefixes(&a, &b, list);
    assert_int_equal(count, 254);
    assert_int_equal(list[count - 1].bits, 128);
    assert_memory_equal(list[count - 1].addr.octets, b.octets, 16);
}

/* ---- What the kernel says ------------------------------------------------------------------- */

static size_t put_route(uint8_t mem[128], const struct rtmsg *route, const void *to, size_t len,
                        uint32_t table)
{
    struct gh_wr w = gh_wr_make(mem, 128);
    size_t start = gh_nl_begin(&w, RTM_NEWROUTE, 0, 1);

    gh_wr_bytes(&w, route, sizeof(*route));
    if (len > 0)
        gh_nl_put_attr(&w, RTA_DST, to, len);
    gh_nl_put_attr(&w, RTA_TABLE, &table, sizeof(table));
    gh_nl_end(&w, start);
    assert_true(gh_wr_ok(&w));
    return w.len;
}

static bool parse(const uint8_t *mem, size_t len, uint32_t *table, struct gh_prefix *to)
{
    struct gh_rd r = gh_rd_make(mem, len);
    struct gh_nl_message m;

    assert_true(gh_nl_next(&r, &m));
    return gh_routes_parse(&m, table, to);
}

static void only_our_routes_to_nowhere(void **state)
{
    const struct rtmsg ours = {.rtm_family = AF_INET,
                               .rtm_dst_len = 24,
                               .rtm_protocol = GH_ROUTE_PROTOCOL,
                               .rtm_type = RTN_UNREACHABLE};
    struct rtmsg other;
    struct gh_prefix to;
    char text[GH_PREFIX_TEXT];
    uint8_t mem[128];
    uint32_t table;

    assert_true(parse(mem, put_route(mem, &ours, "\x0a\x02\x00\x00", 4, 1000), &table, &to));
    assert_int_equal(table, 1000);
    assert_string_equal(gh_prefix_format(&to, text), "10.2.0.0/24");
    other = ours;
    other.rtm_dst_len = 0;
    other.rtm_family = AF_INET6;
    assert_true(parse(mem, put_route(mem, &other, NULL, 0, RT_TABLE_MAIN), &table, &to));
    assert_string_equal(gh_prefix_format(&to, text), "::/0");

    other = ours;
    other.rtm_protocol = RTPROT_STATIC;
    assert_false(parse(mem, put_route(mem, &other, "\x0a\x02\x00\x00", 4, 0), &table, &to));
    other = ours;
    other.rtm_type = RTN_UNICAST;
    assert_false(parse(mem, put_route(mem, &other, "\x0a\x02\x00\x00", 4, 0), &table, &to));
    other = ours;
    other.rtm_dst_len = 33;
    assert_false(parse(mem, put_route(mem, &other, "\x0a\x02\x00\x00", 4, 0), &table, &to));
    other = ours;
    other.rtm_family = AF_UNIX;
    assert_false(parse(mem, put_route(mem, &other, "\x0a\x02\x00\x00", 4, 0), &table, &to));
    assert_false(parse(mem, put_route(mem, &ours, "\x0a\x02", 2, 0), &table, &to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranges), cmocka_unit_test(the_longest_list),
                                       cmocka_unit_test(only_our_routes_to_nowhere)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

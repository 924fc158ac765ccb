/* Ranges of addresses as prefixes, for routes. */
#include "unit.h"

#include <string.h>

#include "platform/routes.h"

static void assert_prefixes(const char *start, const char *end, const char *want)
{
    struct gh_prefix list[GH_ROUTE_PREFIXES];
    struct gh_addr a, b;
    char text[GH_PREFIX_TEXT], all[2000] = "";
    size_t count;

    assert_true(gh_addr_parse(start, &a) && gh_addr_parse(end, &b));
    count = gh_route_prefixes(&a, &b, list);
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
}

/* The worst range of all is still whole. */
static void the_longest_list(void **state)
{
    struct gh_prefix list[GH_ROUTE_PREFIXES];
    struct gh_addr a, b;
    size_t count;

    assert_true(gh_addr_parse("::1", &a) &&
                gh_addr_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", &b));
    count = gh_route_prefixes(&a, &b, list);
    assert_int_equal(count, 254);
    assert_int_equal(list[count - 1].bits, 128);
    assert_memory_equal(list[count - 1].addr.octets, b.octets, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranges),
                                       cmocka_unit_test(the_longest_list)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

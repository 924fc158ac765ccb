/* Addresses, prefixes, secrets, time texts. */
#include "unit.h"

#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/siphash.h"

static void prefixes_parse_print_and_contain(void **state)
{
    struct gh_prefix p, q;
    struct gh_addr a;
    char text[GH_PREFIX_TEXT];

    assert_true(gh_prefix_parse("192.0.2.0/25", &p));
    assert_string_equal(gh_prefix_format(&p, text), "192.0.2.0/25");
    assert_true(gh_addr_parse("192.0.2.127", &a));
    assert_true(gh_prefix_contains(&p, &a));
    assert_true(gh_addr_parse("192.0.2.128", &a));
    assert_false(gh_prefix_contains(&p, &a));
    assert_true(gh_prefix_parse("192.0.0.0/16", &q));
    assert_true(gh_prefix_overlaps(&p, &q));
    assert_true(gh_prefix_parse("2001:db8::1", &q));
    assert_true(gh_prefix_is_host(&q));
    assert_false(gh_prefix_overlaps(&p, &q));
    assert_string_equal(gh_prefix_format(&q, text), "2001:db8::1");
    assert_true(gh_prefix_parse("0.0.0.0/0", &q));
    assert_true(gh_prefix_contains(&q, &a));
}

static void bad_prefixes_are_refused(void **state)
{
    static const char *const bad[] = {
        "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2/24", "2001:db8::/129",
        "::1/64",       "192.0.2.0/+8", "",           "x"};
    struct gh_prefix p;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(gh_prefix_parse(bad[i], &p));
}

static void secrets_compare_and_clear(void **state)
{
    struct gh_secret a = {0}, b = {0};

    assert_true(gh_secret_set(&a, (const uint8_t *)"gate", 4));
    assert_true(gh_secret_set(&b, (const uint8_t *)"gatf", 4));
    assert_false(gh_secret_equal(&a, &b));
    assert_true(gh_secret_set(&b, (const uint8_t *)"gate", 4));
    assert_true(gh_secret_equal(&a, &b));
    gh_secret_clear(&a);
    assert_null(a.data);
    assert_false(gh_secret_equal(&a, &b));
    gh_secret_clear(&b);
    assert_true(gh_secret_equal(&a, &b));
}

static void times_print(void **state)
{
    char text[32];

    assert_string_equal(gh_time_format(0, text, sizeof(text)), "1970-01-01T00:00:00Z");
    assert_string_equal(gh_time_format(1796083200, text, sizeof(text)), "2026-12-01T00:00:00Z");
    assert_string_equal(gh_time_format(INT64_MAX, text, sizeof(text)), "infinite");
    assert_string_equal(gh_time_format(INT64_MIN, text, sizeof(text)), "always");
}

/* The paper's appendix A, and the first of its authors' table of vectors. */
static void siphash_vectors(void **state)
{
    const struct gh_hash_seed seed = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
    const uint8_t in[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

    assert_true(gh_siphash(&seed, in, 15) == UINT64_C(0xa129ca6149be45e5));
    assert_true(gh_siphash(&seed, in, 0) == UINT64_C(0x726fdb47dd0e0e31));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_parse_print_and_contain),
        cmocka_unit_test(bad_prefixes_are_refused),
        cmocka_unit_test(secrets_compare_and_clear),
        cmocka_unit_test(times_print),
        cmocka_unit_test(siphash_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

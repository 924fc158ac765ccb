/* Routes by table and prefix, as many as thousands of peers bring: against a plain list of them. */
#include "unit.h"

#include <stdlib.h>

#include "daemon/esp_route_table.h"

enum { MANY = 10000, TABLES = 3 };

/* 4 and 16 octets, of all lengths: none twice. */
static struct gh_prefix prefix(unsigned i)
{
    struct gh_prefix p = {.addr = {.len = i % 2 == 0 ? 4 : 16}};

    p.addr.octets[0] = 10;
    p.addr.octets[1] = (uint8_t)(i >> 8);
    p.addr.octets[2] = (uint8_t)i;
    p.bits = (uint8_t)(24 + i % 9);
    return p;
}

static uint32_t table(unsigned i)
{
    return i % TABLES == 0 ? 0 : 0x47480000 + i % TABLES;
}

static void all_are_found_and_no_other(void **state)
{
    struct gh_esp_routes t = {.count = 0};
    struct gh_prefix p = prefix(1);

    assert_null(gh_esp_routes_find(&t, 0, &p));
    for (unsigned i = 0; i < MANY; i++) {
        p = prefix(i);
        gh_esp_routes_make(&t, table(i), &p)->metric = (uint16_t)i;
    }
    assert_int_equal(t.count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        const struct gh_esp_route *r;

        p = prefix(i);
        r = gh_esp_routes_find(&t, table(i), &p);
        assert_non_null(r);
        assert_int_equal(r->metric, i);
        assert_ptr_equal(gh_esp_routes_make(&t, table(i), &p), r);
        assert_null(gh_esp_routes_find(&t, table(i) + 7, &p));
        p.bits = 23;
        assert_null(gh_esp_routes_find(&t, table(i), &p));
    }
    gh_esp_routes_free(&t);
    assert_null(gh_esp_routes_find(&t, 0, &p));
}

/* In an order that has nothing to do with that of their coming. */
static void who_goes_takes_nobody_along(void **state)
{
    struct gh_esp_routes t = {.count = 0};
    bool *gone = calloc(MANY, sizeof(*gone));
    struct gh_prefix p;

    for (unsigned i = 0; i < MANY; i++) {
        p = prefix(i);
        gh_esp_routes_make(&t, table(i), &p)->metric = (uint16_t)i;
    }
    for (unsigned n = 0, i = 0; n < MANY; n++, i = (i + 7919) % MANY) {
        p = prefix(i);
        gh_esp_routes_remove(&t, gh_esp_routes_find(&t, table(i), &p));
        gone[i] = true;
        if (n % 1000 != 500)
            continue;
        for (unsigned k = 0; k < MANY; k++) {
            const struct gh_esp_route *r;

            p = prefix(k);
            r = gh_esp_routes_find(&t, table(k), &p);
            assert_true((r == NULL) == gone[k]);
            assert_true(r == NULL || r->metric == k);
        }
    }
    assert_int_equal(t.count, 0);
    free(gone);
    gh_esp_routes_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_found_and_no_other),
        cmocka_unit_test(who_goes_takes_nobody_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Orders of what is down, from one `ike` to the next. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/ike_orders.h"

static void no_random(void *ctx, void *out, size_t len)
{
    memset(out, 1, len);
}

static struct ike2 *core(void)
{
    const struct ike2_ops ops = {.random = no_random};
    const struct ike2_settings settings = ike2_default_settings();
    struct ike2 *c = ike2_new(&ops, &settings, (struct gh_now){.mono_ms = 1});

    assert_non_null(c);
    return c;
}

static void count(void *ctx, const struct ike2_order_view *v)
{
    ++*(unsigned *)ctx;
}

static unsigned orders_of(const struct ike2 *c)
{
    unsigned n = 0;

    ike2_each_order(c, count, &n);
    return n;
}

/* Two orders in octets, to be freed. */
static uint8_t *made(size_t *len)
{
    struct ike2 *c = core();
    uint8_t *octets;

    assert_true(ike2_order_take(c, &(struct ike2_order_view){.policy = "berlin", .down = true}));
    assert_true(ike2_order_take(c, &(struct ike2_order_view){.policy = "berlin",
                                                             .child = "lan",
                                                             .configured = IKE2_ADMIN_DOWN}));
    octets = gh_ike_orders_encode(c, len);
    assert_non_null(octets);
    ike2_free(c);
    return octets;
}

static void there_and_back(void **state)
{
    size_t len, again_len;
    uint8_t *octets = made(&len), *again;
    struct ike2 *c = core();

    assert_true(gh_ike_orders_take(c, gh_view_of(octets, len)));
    assert_int_equal(orders_of(c), 2);
    assert_true(gh_ike_orders_take(c, gh_view_of(octets, len))); /* the same are no others */
    assert_int_equal(orders_of(c), 2);
    again = gh_ike_orders_encode(c, &again_len);
    assert_int_equal(again_len, len);
    free(again);
    ike2_free(c);
    c = core();
    again = gh_ike_orders_encode(c, &again_len);
    assert_non_null(again);
    assert_int_equal(again_len, 0);
    free(again);
    ike2_free(c);
    free(octets);
}

static void what_is_cut_off_is_refused(void **state)
{
    size_t len, first = 0;
    uint8_t *octets = made(&len);

    for (size_t n = 1; n < len; n++) {
        struct ike2 *c = core();

        if (gh_ike_orders_take(c, gh_view_of(octets, n)))
            first++; /* exactly at the end of the first */
        ike2_free(c);
    }
    assert_int_equal(first, 1);
    free(octets);
}

static void names_have_their_length(void **state)
{
    struct ike2 *c = core();
    uint8_t octets[100] = {0};

    assert_false(gh_ike_orders_take(c, gh_view_of(octets, 6))); /* nobody */
    octets[1] = IKE2_NAME + 1;
    memset(octets + 2, 'x', IKE2_NAME + 1);
    assert_false(gh_ike_orders_take(c, gh_view_of(octets, sizeof(octets))));
    assert_int_equal(orders_of(c), 0);
    ike2_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(what_is_cut_off_is_refused),
        cmocka_unit_test(names_have_their_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

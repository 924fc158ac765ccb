/* The bounds-checked reader and writer. */
#include "unit.h"

#include <string.h>

#include "wire/rd.h"
#include "wire/wr.h"

static void reads_in_network_order(void **state)
{
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct gh_rd r = gh_rd_make(bytes, sizeof(bytes));

    assert_int_equal(gh_rd_u8(&r), 1);
    assert_int_equal(gh_rd_u16(&r), 0x0203);
    assert_int_equal(gh_rd_u32(&r), 0x04050607);
    assert_true(gh_rd_u64(&r) == 0x08090a0b0c0d0e0full);
    assert_true(gh_rd_done(&r));
}

static void short_read_is_sticky(void **state)
{
    const uint8_t bytes[] = {1, 2, 3};
    struct gh_rd r = gh_rd_make(bytes, sizeof(bytes));
    uint8_t out[2] = {9, 9};

    assert_int_equal(gh_rd_u32(&r), 0);
    assert_int_equal(gh_rd_u8(&r), 0);
    gh_rd_copy(&r, out, 2);
    assert_int_equal(out[0] | out[1], 0);
    assert_int_equal(gh_rd_left(&r), 0);
    assert_false(gh_rd_done(&r));
    r = gh_rd_make(NULL, 0);
    assert_true(gh_rd_done(&r));
    assert_int_equal(gh_rd_u8(&r), 0);
    assert_false(gh_rd_done(&r));
}

static void child_must_fit_and_parent_steps_over(void **state)
{
    const uint8_t bytes[] = {1, 2, 3, 4};
    struct gh_rd r = gh_rd_make(bytes, sizeof(bytes));
    struct gh_rd sub = gh_rd_sub(&r, 3);

    assert_int_equal(gh_rd_left(&sub), 3);
    assert_int_equal(gh_rd_u8(&r), 4);
    sub = gh_rd_sub(&r, 1);
    assert_true(sub.bad);
    assert_true(r.bad);
}

static void writer_refuses_what_does_not_fit(void **state)
{
    uint8_t mem[4];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));

    gh_wr_u16(&w, 0xffff);
    assert_true(gh_wr_ok(&w));
    gh_wr_put_u16(&w, 0, 0x0102);
    gh_wr_u32(&w, 1);
    assert_false(gh_wr_ok(&w));
    assert_int_equal(w.len, 2);
    assert_int_equal(mem[0], 1);

    w = gh_wr_make(mem, sizeof(mem));
    gh_wr_u16(&w, 0x10000);
    assert_false(gh_wr_ok(&w));
    w = gh_wr_make(mem, sizeof(mem));
    gh_wr_u8(&w, 1);
    gh_wr_put_u8(&w, 1, 1);
    assert_false(gh_wr_ok(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_in_network_order),
        cmocka_unit_test(short_read_is_sticky),
        cmocka_unit_test(child_must_fit_and_parent_steps_over),
        cmocka_unit_test(writer_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

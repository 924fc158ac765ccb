/* Sockets whose end is waited for, and what lists say of them. */
#include "unit.h"

#include "daemon/watches.h"

static void by_cookie(void **state)
{
    struct gh_watches w = {.list = NULL};

    for (uint64_t i = 0; i < 1000; i++)
        assert_true(gh_watches_add(&w, (i * 37) % 1009 + 1, (uint16_t)i));
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(gh_watches_find(&w, (i * 37) % 1009 + 1)->zone, i);
    gh_watches_remove(&w, gh_watches_find(&w, 38));
    assert_null(gh_watches_find(&w, 38));
    assert_non_null(gh_watches_find(&w, 39));
    assert_int_equal(w.count, 999);
    gh_watches_clear(&w);
    assert_null(gh_watches_find(&w, 1));
}

static void no_more_than_so_many(void **state)
{
    struct gh_watches w = {.list = NULL};

    for (uint64_t i = 0; i < GH_WATCHES_MAX; i++)
        assert_true(gh_watches_add(&w, i, 0));
    assert_false(gh_watches_add(&w, GH_WATCHES_MAX, 0));
    gh_watches_clear(&w);
}

struct gone {
    struct gh_watches *watches;
    uint64_t list[4];
    size_t count;
};

static void on_gone(void *ctx, struct gh_watched *watched)
{
    struct gone *gone = ctx;

    assert_true(gone->count < 4);
    gone->list[gone->count++] = watched->cookie;
    gh_watches_remove(gone->watches, watched);
}

/* A list of zone 1 with the cookies, 0: none. */
static void list(struct gone *gone, bool counts, uint64_t a, uint64_t b)
{
    gh_watches_begin(gone->watches);
    gh_watches_there(gone->watches, a);
    gh_watches_there(gone->watches, b);
    gh_watches_judge(gone->watches, 1, counts, on_gone, gone);
}

static void who_was_there_and_is_missing_is_gone(void **state)
{
    struct gh_watches w = {.list = NULL};
    struct gone gone = {.watches = &w};

    for (uint64_t cookie = 10; cookie <= 14; cookie++)
        assert_true(gh_watches_add(&w, cookie, cookie == 14 ? 2 : 1));
    list(&gone, true, 11, 12); /* 10 and 13 are not connected yet, 14 is of another zone */
    for (unsigned i = 1; i < GH_WATCHES_MISSING; i++)
        list(&gone, true, 0, 0);
    assert_int_equal(gone.count, 0);
    list(&gone, true, 12, 0); /* connected again in time */
    assert_int_equal(gone.count, 1);
    assert_int_equal(gone.list[0], 11);
    for (unsigned i = 0; i < GH_WATCHES_MISSING; i++)
        list(&gone, true, 0, 0);
    assert_int_equal(gone.count, 2);
    assert_int_equal(gone.list[1], 12);
    assert_int_equal(w.count, 3); /* who was never seen may be there */
    gh_watches_clear(&w);
}

static void while_the_kernel_tells_no_list_counts(void **state)
{
    struct gh_watches w = {.list = NULL};
    struct gone gone = {.watches = &w};

    assert_true(gh_watches_add(&w, 10, 1));
    list(&gone, false, 10, 0);
    for (unsigned i = 0; i < 2 * GH_WATCHES_MISSING; i++)
        list(&gone, false, 0, 0);
    assert_int_equal(gone.count, 0);
    for (unsigned i = 0; i < GH_WATCHES_MISSING; i++)
        list(&gone, true, 0, 0);
    assert_int_equal(gone.count, 1);
    gh_watches_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_cookie),
        cmocka_unit_test(no_more_than_so_many),
        cmocka_unit_test(who_was_there_and_is_missing_is_gone),
        cmocka_unit_test(while_the_kernel_tells_no_list_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

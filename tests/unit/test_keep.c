/* What the parent keeps for a new `ao`: replaced, forgotten, bounded. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <stdio.h>
#include <unistd.h>

#include "daemon/keep_file.h"

static void expect(const struct gh_keep *k, size_t i, uint64_t cookie, const char *text)
{
    assert_true(i < k->count);
    assert_true(k->list[i].cookie == cookie);
    assert_int_equal(k->list[i].len, strlen(text));
    assert_memory_equal(k->list[i].data, text, strlen(text));
}

static void by_cookie(void **state)
{
    struct gh_keep k = {.list = NULL};

    gh_keep_drop(&k, 1); /* of nothing */
    assert_true(gh_keep_put(&k, 7, "seven", 5));
    assert_true(gh_keep_put(&k, 3, "three", 5));
    assert_true(gh_keep_put(&k, UINT64_MAX, "last", 4));
    assert_true(gh_keep_put(&k, 7, "seven again", 11));
    assert_int_equal(k.count, 3);
    assert_int_equal(k.octets, 20);
    expect(&k, 0, 3, "three");
    expect(&k, 1, 7, "seven again");
    expect(&k, 2, UINT64_MAX, "last");
    gh_keep_drop(&k, 3);
    gh_keep_drop(&k, 3);
    gh_keep_drop(&k, 8);
    assert_int_equal(k.count, 2);
    expect(&k, 0, 7, "seven again");
    gh_keep_clear(&k);
    assert_int_equal(k.count, 0);
    assert_int_equal(k.octets, 0);
}

static void no_more_than_so_many(void **state)
{
    struct gh_keep k = {.list = NULL};

    for (uint64_t i = 0; i < GH_KEEP_ENTRIES; i++)
        assert_true(gh_keep_put(&k, i * 2, "x", 1));
    assert_false(gh_keep_put(&k, 1, "x", 1));
    assert_true(gh_keep_put(&k, 2, "yy", 2)); /* in the place of what there is */
    gh_keep_drop(&k, 4);
    assert_true(gh_keep_put(&k, 1, "x", 1));
    gh_keep_clear(&k);
}

static void no_more_octets_than_so_many(void **state)
{
    const size_t piece = GH_KEEP_OCTETS / 8;
    struct gh_keep k = {.list = NULL};
    uint8_t *data = calloc(1, piece + 1);

    for (uint64_t i = 0; i < 8; i++)
        assert_true(gh_keep_put(&k, i, data, piece));
    assert_false(gh_keep_put(&k, 8, data, 1));
    assert_false(gh_keep_put(&k, 7, data, piece + 1));
    assert_int_equal(k.list[7].len, piece); /* what there was stays */
    assert_true(gh_keep_put(&k, 7, data, piece - 1));
    assert_true(gh_keep_put(&k, 8, data, 1));
    gh_keep_clear(&k);
    free(data);
}

static void only_what_is_no_secret_is_written(void **state)
{
    char directory[] = "/tmp/gh-keep-XXXXXX", path[64];
    struct gh_keep k = {.list = NULL}, next = {.list = NULL};
    FILE *f;

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/sockets", directory);
    gh_keep_load(&next, directory); /* there is none */
    assert_int_equal(next.count, 0);
    assert_true(gh_keep_put(&k, 7, "\0kernel's", 9));
    assert_true(gh_keep_put(&k, 8, "\1 a program's key", 17));
    assert_true(k.changed);
    assert_true(gh_keep_save(&k, directory));
    gh_keep_load(&next, directory);
    assert_int_equal(next.count, 1);
    assert_true(next.list[0].cookie == 7);
    assert_memory_equal(next.list[0].data, "\0kernel's", 9);
    gh_keep_clear(&next);
    assert_int_equal(truncate(path, 20), 0); /* damaged */
    gh_keep_load(&next, directory);
    assert_int_equal(next.count, 0);
    f = fopen(path, "w");
    fputs("something else altogether", f);
    fclose(f);
    gh_keep_load(&next, directory);
    assert_int_equal(next.count, 0);
    unlink(path);
    rmdir(directory);
    gh_keep_clear(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_cookie),
        cmocka_unit_test(only_what_is_no_secret_is_written),
        cmocka_unit_test(no_more_than_so_many),
        cmocka_unit_test(no_more_octets_than_so_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sockets of an earlier instance: what is written of them, and read again. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/orphans.h"
#include "daemon/rundir.h"

static char directory[] = "/tmp/gh-orphans-XXXXXX";

static struct gh_socket_rule rule(const char *peer, const char *local, uint16_t local_port,
                                  uint16_t remote_port)
{
    struct gh_socket_rule r = {.kind = GH_RULE_QUEUE,
                               .queue = 17900,
                               .local_port = local_port,
                               .remote_port = remote_port};

    assert_true(gh_prefix_parse(peer, &r.peer));
    if (local != NULL)
        assert_true(gh_addr_parse(local, &r.local));
    return r;
}

static struct gh_orphan_list made(void)
{
    const struct gh_netns_id own = {.device = 4, .inode = 4026531840},
                             other = {.device = 4, .inode = 77};
    struct gh_socket_rule listener = rule("0.0.0.0/0", NULL, 179, 0);
    struct gh_socket_rule connection = rule("2001:db8::2", "2001:db8::1", 40000, 179);
    struct gh_orphan_list l = {.list = NULL};
    struct gh_orphans *o = gh_orphans_add(&l, &own, "");

    assert_true(gh_orphans_add_cookie(o, 1));
    assert_true(gh_orphans_add_cookie(o, UINT64_MAX));
    assert_true(gh_orphans_add_rule(o, &listener));
    assert_true(gh_orphans_add_rule(o, &connection));
    assert_non_null(gh_orphans_add(&l, &other, NULL));
    return l;
}

static void what_is_written_is_read(void **state)
{
    struct gh_orphan_list l = made(), next = {.list = NULL};
    const struct gh_orphans *o;

    gh_orphans_load(&next, directory); /* there is no file */
    assert_int_equal(next.count, 0);
    assert_true(gh_orphans_save(&l, directory));
    gh_orphans_load(&next, directory);
    assert_int_equal(next.count, 2);
    o = gh_orphans_of(&next, &l.list[0].id);
    assert_non_null(o);
    assert_string_equal(o->netns, "");
    assert_int_equal(o->cookie_count, 2);
    assert_true(o->cookies[1] == UINT64_MAX);
    assert_int_equal(o->rule_count, 2);
    assert_int_equal(o->rules[0].kind, GH_RULE_DROP);
    assert_int_equal(o->rules[0].local_port, 179);
    assert_int_equal(o->rules[0].peer.bits, 0);
    assert_int_equal(o->rules[1].remote_port, 179);
    assert_int_equal(o->rules[1].local.len, 16);
    assert_null(gh_orphans_of(&next, &l.list[1].id)->netns);
    gh_orphans_drop(&next, &next.list[0]);
    assert_int_equal(next.count, 1);
    gh_orphans_clear(&next);
    gh_orphans_clear(&l);
}

/* Whatever the file is, it is read to its damage and not beyond. */
static void damage_ends_the_reading(void **state)
{
    struct gh_orphan_list l = made();
    uint8_t *whole, *bad;
    size_t len;

    assert_true(gh_orphans_save(&l, directory));
    gh_orphans_clear(&l);
    whole = gh_rundir_read(directory, "flows", &len);
    assert_non_null(whole);
    bad = malloc(len);
    for (size_t cut = 0; cut < len; cut++) {
        struct gh_orphan_list next = {.list = NULL};

        assert_true(gh_rundir_write(directory, "flows", whole, cut));
        gh_orphans_load(&next, directory);
        assert_true(next.count <= 2);
        gh_orphans_clear(&next);
        memcpy(bad, whole, len);
        bad[cut] ^= 0xff;
        assert_true(gh_rundir_write(directory, "flows", bad, len));
        gh_orphans_load(&next, directory);
        gh_orphans_clear(&next);
    }
    free(bad);
    free(whole);
}

static int make_directory(void **state)
{
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/flows", directory);
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_written_is_read),
                                       cmocka_unit_test(damage_ends_the_reading)};

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

/* Every sample configuration parses, and lint has nothing against it but what the sample is for. */
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/lint.h"
#include "config/simulate.h"

#define NOW INT64_C(1798761600) /* 2027-01-01T00:00:00Z: all their first keys have begun */

/* The samples that are about something lint warns of. */
static bool expected(const char *file, const char *rule)
{
    return strcmp(file, "migration.conf") == 0 && strcmp(rule, "allow-without-ao") == 0;
}

static void check_problems(const char *file, const struct gh_problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (expected(file, p->list[i].rule))
            continue;
        gh_problems_print(p, stderr);
        fail_msg("%s has problems", file);
    }
}

static void check_sample(const char *dir, const char *file)
{
    static const struct gh_config_options skip_secrets = {.skip_secrets = true};
    struct gh_problems p = {0};
    struct gh_config *c;
    char path[1024];

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    c = gh_config_load(path, &skip_secrets, &p);
    if (c != NULL)
        gh_lint(c, NULL, NOW, &p);
    check_problems(file, &p);
    assert_non_null(c);
    assert_true(c->session_count > 0 || c->ike != NULL);
    for (size_t i = 0; i < c->chain_count; i++) {
        struct gh_sim_setup setup = {
            .here = &c->chains[i], .from = NOW, .to = NOW + 365 * 86400, .skew = 60};
        struct gh_sim sim;

        assert_true(gh_simulate(&setup, &sim));
        assert_int_equal(sim.refusals, 0);
        assert_true(sim.dies == TCPAO_TIME_MAX);
        gh_sim_free(&sim);
    }
    gh_problems_clear(&p);
    gh_config_free(c);
}

static void every_sample_is_sound(void **state)
{
    const char *source = getenv("GATEHOUSE_SOURCE");
    char dir[512];
    struct dirent *entry;
    size_t count = 0;
    DIR *d;

    snprintf(dir, sizeof(dir), "%s/dist/examples", source != NULL ? source : ".");
    d = opendir(dir);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (strstr(entry->d_name, ".conf") == NULL)
            continue;
        check_sample(dir, entry->d_name);
        count++;
    }
    closedir(d);
    assert_true(count >= 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_sample_is_sound)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The grammar of instants, durations and lifetimes. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "config/lifetime.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static void zone(const char *tz)
{
    setenv("TZ", tz, 1);
    tzset();
}

static void assert_instant(const char *text, const char *expected)
{
    const char *why = NULL;
    int64_t t;
    char shown[32];

    if (!gh_instant_parse(text, &t, &why))
        fail_msg("\"%s\": %s", text, why);
    assert_string_equal(gh_time_format(t, shown, sizeof(shown)), expected);
}

static void instants_of_all_systems(void **state)
{
    static const char *const good[][2] = {
        {"2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"},
        {"2026-12-01t00:00:00z", "2026-12-01T00:00:00Z"},
        {"2026-12-01T02:00:00+02:00", "2026-12-01T00:00:00Z"},
        {"2026-12-01T02:00:00+0200", "2026-12-01T00:00:00Z"},
        {"2026-12-01T02:00+02", "2026-12-01T00:00:00Z"},
        {"2026-12-01 07:30 -05:30", "2026-12-01T13:00:00Z"},
        {"2026-12-01 7:30 UTC", "2026-12-01T07:30:00Z"},
        {"2026-12-01", "2026-12-01T00:00:00Z"},
        {"  2026-12-01  ", "2026-12-01T00:00:00Z"},
        {"2028-02-29", "2028-02-29T00:00:00Z"},
        {"2022-5-18.04:00", "2022-05-18T04:00:00Z"},
        {"2022-5-18.04:00:00 -0700", "2022-05-18T11:00:00Z"},
        {"12:00:00 28 Feb 2018", "2018-02-28T12:00:00Z"},
        {"12:00:00 Feb 28 2018", "2018-02-28T12:00:00Z"},
        {"12:00:00 february 28 2018", "2018-02-28T12:00:00Z"},
        {"9000-12-31T23:59:59Z", "9000-12-31T23:59:59Z"},
        {"1970-01-01", "1970-01-01T00:00:00Z"},
    };

    zone("America/New_York"); /* must not matter */
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_instant(good[i][0], good[i][1]);
}

static void wrong_instants_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "now",
        "2026",
        "2026-12",
        "2026-13-01",
        "2026-02-29",
        "2100-02-29",
        "2026-00-10",
        "2026-11-31",
        "26-12-01",
        "12026-12-01",
        "1969-12-31",
        "9001-01-01",
        "1970-01-01T00:00:00+01:00",
        "2026-12-01T24:00:00Z",
        "2026-12-01T23:60:00Z",
        "2026-12-01T23:59:60Z",
        "2026-12-01T23:59:59.5Z",
        "2026-12-01T23",
        "2026-12-01T2:3:4",
        "2026-12-01T00:00:00+15:00",
        "2026-12-01T00:00:00+1:00",
        "2026-12-01T00:00:00Zulu",
        "2026-12-01T00:00:00Z x",
        "12:00 28 Feb 2018",
        "12:00:00 28 Foo 2018",
        "12:00:00 30 Feb 2018",
        "12:00:00 28 Feb",
        "local 2026-12-01T00:00:00Z",
    };
    const char *why;
    int64_t t = 42;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        why = NULL;
        if (gh_instant_parse(wrong[i], &t, &why))
            fail_msg("\"%s\" was accepted", wrong[i]);
        assert_non_null(why);
        assert_int_equal(t, 42);
    }
}

static void local_times_follow_the_zone(void **state)
{
    const char *why;
    int64_t t;

    zone("Europe/Berlin");
    assert_instant("local 2026-01-15T12:00:00", "2026-01-15T11:00:00Z");
    assert_instant("local 2026-07-15T12:00:00", "2026-07-15T10:00:00Z");
    assert_instant("local 12:00:00 28 Feb 2018", "2018-02-28T11:00:00Z");
    assert_instant("local 2026-03-29T01:59:59", "2026-03-29T00:59:59Z");
    assert_instant("local 2026-03-29T03:00:00", "2026-03-29T01:00:00Z");
    assert_false(gh_instant_parse("local 2026-03-29T02:30:00", &t, &why));
    assert_non_null(strstr(why, "does not exist"));
    assert_false(gh_instant_parse("local 2026-10-25T02:30:00", &t, &why));
    assert_non_null(strstr(why, "twice"));
    assert_instant("local 2026-10-25T03:00:00", "2026-10-25T02:00:00Z");
    zone("America/New_York");
    assert_instant("local 2026-01-15T12:00:00", "2026-01-15T17:00:00Z");
    assert_instant("local 2026-07-15T12:00:00", "2026-07-15T16:00:00Z");
    zone("UTC");
    assert_instant("local 2026-07-15T12:00:00", "2026-07-15T12:00:00Z");
}

static void durations_are_seconds(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {
        {"20", 20},        {"20s", 20},
        {"90m", 5400},     {"12h", 43200},
        {"30d", 2592000},  {"4w", 2419200},
        {"1d12h", 129600}, {"P30D", 2592000},
        {"PT20S", 20},     {"P1DT12H", 129600},
        {"P2W", 1209600},  {"PT1H30M", 5400},
        {"pt20s", 20},     {"36500d", 3153600000},
        {" 1h ", 3600},
    };
    static const char *const wrong[] = {
        "",    "0",   "0d", "-1", "1y",   "1.5h", "12h1d",  "1d1d",
        "P1M", "P1Y", "PT", "P",  "PT1D", "P1H",  "40000d", "99999999999999999999",
        "1 d"};
    const char *why;
    int64_t t;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!gh_duration_parse(good[i].text, &t, &why))
            fail_msg("\"%s\": %s", good[i].text, why);
        assert_int_equal(t, good[i].seconds);
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (gh_duration_parse(wrong[i], &t, &why))
            fail_msg("\"%s\" was accepted", wrong[i]);
    }
}

static void lifetimes_in_every_form(void **state)
{
    static const char *const good[][2] = {
        {"2026-12-01T00:00:00Z/2026-12-31T00:00:00Z", "2026-12-01T00:00:00Z/2026-12-31T00:00:00Z"},
        {"2026-12-01/infinite", "2026-12-01T00:00:00Z/infinite"},
        {"2026-12-01 / 30d", "2026-12-01T00:00:00Z/2026-12-31T00:00:00Z"},
        {"2026-12-01/P30D", "2026-12-01T00:00:00Z/2026-12-31T00:00:00Z"},
        {"2026-12-01/20", "2026-12-01T00:00:00Z/2026-12-01T00:00:20Z"},
        {"2026-12-01/duration 20", "2026-12-01T00:00:00Z/2026-12-01T00:00:20Z"},
        {"12:00:00 28 Feb 2018 duration 20", "2018-02-28T12:00:00Z/2018-02-28T12:00:20Z"},
        {"12:00:00 28 Feb 2018 infinite", "2018-02-28T12:00:00Z/infinite"},
        {"12:00:00 28 Feb 2018 13:00:00 28 Feb 2018", "2018-02-28T12:00:00Z/2018-02-28T13:00:00Z"},
        {"local 12:00:00 28 Feb 2018 duration 20", "2018-02-28T11:00:00Z/2018-02-28T11:00:20Z"},
        {"local 2026-07-01T12:00/2026-12-01T12:00", "2026-07-01T10:00:00Z/2026-12-01T11:00:00Z"},
        {"local 2026-07-01T12:00/2026-12-01T12:00Z", "2026-07-01T10:00:00Z/2026-12-01T12:00:00Z"},
        {"2022-5-18.04:00:00 -0700/infinite", "2022-05-18T11:00:00Z/infinite"},
        {"always/2026-12-31", "always/2026-12-31T00:00:00Z"},
        {"always", "infinite"},
        {"always/infinite", "infinite"},
        {"infinite", "infinite"},
        {"never", "never"},
    };
    struct tcpao_lifetime l, again;
    char text[GH_LIFETIME_TEXT];
    const char *why;

    zone("Europe/Berlin");
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!gh_lifetime_parse(good[i][0], &l, &why))
            fail_msg("\"%s\": %s", good[i][0], why);
        assert_string_equal(gh_lifetime_format(&l, text), good[i][1]);
        assert_true(gh_lifetime_parse(text, &again, &why));
        assert_true(again.from == l.from && again.until == l.until);
    }
}

static void wrong_lifetimes_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "2026-12-01",
        "2026-12-01/",
        "/2026-12-01",
        "2026-12-01/2026-12-01",
        "2026-12-02/2026-12-01",
        "2026-12-01/30x",
        "2026-12-01/0",
        "2026-12-01 30d",
        "2026-12-01/2026-12-02/2026-12-03",
        "always/30d",
        "never/2026-12-01",
        "infinite x",
        "2026-12-01 duration",
        "2026-12-01 forever",
    };
    struct tcpao_lifetime l;
    const char *why;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        why = NULL;
        if (gh_lifetime_parse(wrong[i], &l, &why))
            fail_msg("\"%s\" was accepted", wrong[i]);
        assert_non_null(why);
    }
}

static void lifetimes_are_half_open(void **state)
{
    const struct tcpao_lifetime a = {100, 200}, b = {200, 300}, c = {199, 201};
    const struct tcpao_lifetime all = {TCPAO_TIME_MIN, TCPAO_TIME_MAX};
    struct tcpao_lifetime never = gh_lifetime_never(), wide;

    assert_false(gh_lifetime_overlap(&a, &b));
    assert_true(gh_lifetime_overlap(&a, &c));
    assert_true(gh_lifetime_overlap(&all, &a));
    assert_false(gh_lifetime_overlap(&all, &never));
    assert_true(gh_lifetime_includes(&a, 100));
    assert_false(gh_lifetime_includes(&a, 200));
    wide = gh_lifetime_widen(&a, 10);
    assert_true(wide.from == 90 && wide.until == 210);
    wide = gh_lifetime_widen(&all, 10);
    assert_true(wide.from == TCPAO_TIME_MIN && wide.until == TCPAO_TIME_MAX);
    wide = gh_lifetime_widen(&never, 10);
    assert_true(gh_lifetime_empty(&wide));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_of_all_systems),
        cmocka_unit_test(wrong_instants_are_refused),
        cmocka_unit_test(local_times_follow_the_zone),
        cmocka_unit_test(durations_are_seconds),
        cmocka_unit_test(lifetimes_in_every_form),
        cmocka_unit_test(wrong_lifetimes_are_refused),
        cmocka_unit_test(lifetimes_are_half_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Advice: each rule speaks where it should, and a sound pair of configurations hears nothing. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "config/lint.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NOW          INT64_C(1796083200) /* 2026-12-01T00:00:00Z */

/* Secrets that nothing can be said against. */
#define S1 " secret = Qm4vT8zKx2WcR7nLp9Yd "
#define S2 " secret = h3Fg6Js1BvN5tXe0UaZk "

static struct gh_config *parse(const char *name, const char *text)
{
    struct gh_problems p = {0};
    struct gh_config *c = gh_config_parse(name, text, strlen(text), NULL, &p);

    if (c == NULL) {
        gh_problems_print(&p, stderr);
        fail_msg("refused: %s", text);
    }
    gh_problems_clear(&p);
    return c;
}

static const struct gh_problem *find(const struct gh_problems *p, const char *rule)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->list[i].rule, rule) == 0)
            return &p->list[i];
    }
    return NULL;
}

#define SESSION     "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 key-chain = k }\n"
#define CHAIN(keys) "key-chain k {\n" keys "\n}\n" SESSION

static const char here[] =
    CHAIN("key 1 { send-id = 3 recv-id = 8" S1 "lifetime = 2026-01-01/2027-01-31 }\n"
          "key 2 { send-id = 1 recv-id = 2" S2
          "lifetime = 2027-01-01/infinite algorithm = aes-128-cmac }");
static const char there[] =
    "key-chain far {\n"
    "key 7 { send-id = 8 recv-id = 3" S1 "lifetime = 2026-01-01/2027-01-31 }\n"
    "key 9 { send-id = 2 recv-id = 1" S2
    "lifetime = 2027-01-01/infinite algorithm = aes-128-cmac }\n"
    "}\ntcp-ao gate { peer = 192.0.2.0/24 key-chain = far }\n";

static void a_sound_pair_hears_nothing(void **state)
{
    struct gh_config *a = parse("a.conf", here), *b = parse("b.conf", there);
    struct gh_problems p = {0};

    assert_int_equal(gh_lint(a, b, NOW, &p), 0);
    assert_int_equal(gh_lint(b, a, NOW, &p), 0);
    assert_int_equal(p.count, 0);
    gh_config_free(a);
    gh_config_free(b);
}

/* ---- One configuration ---- */

static const struct {
    const char *text;
    const char *rule;
    int line;
    bool error;
} single[] = {
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-01-01/2027-01-01 }\n"
           "key 2 { send-id = 2 recv-id = 2" S2 "lifetime = 2026-12-31T23:45/infinite }\n"
           "key 3 { send-id = 3 recv-id = 3 secret = c3Fg6Js1BvN5tXe0UaZ lifetime = "
           "2027-01-01/infinite }"),
     "spacing", 4, false},
    {CHAIN("key 1 { send-id = 3 recv-id = 8" S1 "lifetime = 2026-01-01/2027-01-01 }\n"
           "key 2 { send-id = 8 recv-id = 2" S2 "lifetime = 2027-01-01/infinite }"),
     "vendor-ids", 3, false},
    {CHAIN("key 1 { send-id = 3 recv-id = 8" S1 "lifetime = 2026-01-01/2027-01-01 }\n"
           "key 2 { send-id = 4 recv-id = 8" S2 "lifetime = 2027-01-01/infinite }"),
     "id-within-tolerance", 3, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-01-01/2027-01-01 }\n"
           "key 2 { send-id = 2 recv-id = 2" S2 "lifetime = 2027-01-02/infinite }"),
     "gap", 3, false},
    {"key-chain k { tolerance = 10\n"
     "key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-01-01/2027-01-01 }\n"
     "key 2 { send-id = 2 recv-id = 2" S2 "lifetime = 2027-01-01/infinite } }\n" SESSION,
     "no-overlap", 3, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1
           "send-lifetime = infinite accept-lifetime = 2026-01-01/2028-01-01 }"),
     "accept-shorter", 2, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-12-01/30m }\n"
           "key 2 { send-id = 2 recv-id = 2" S2 "}"),
     "tolerance-wide", 2, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-01-01/2026-11-30T22:00 }\n"
           "key 2 { send-id = 2 recv-id = 2" S2 "}"),
     "expired-key", 2, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-01-01/2026-11-30T23:30 }"),
     "expired", 1, true},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-12-02/infinite }"),
     "no-current-key", 1, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-01-01/2026-12-30 }"), "expiry", 1,
     false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1 secret = \"$ABC123\" }"), "known-secret", 2, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1 secret = fifteen-octets- }"), "weak-secret", 2, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1 secret = abcabcabcabcabcabcabcabc }"), "weak-secret", 2,
     false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "}\nkey 2 { send-id = 2 recv-id = 2" S1 "}"),
     "same-secret", 3, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "mac-length = 8 }"), "short-mac", 2, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "algorithm = hmac-sha-256-256 }"), "option-space",
     2, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "include-tcp-options = false }"),
     "options-excluded", 2, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "}") "key-chain other {\nkey 1 { send-id = 1 "
                                                     "recv-id = 1" S2 "} }\n",
     "unused-chain", 5, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "}") "tcp-ao p { peer = 198.51.100.0/24 key-chain "
                                                     "= k direction = active }\n",
     "active-prefix", 5, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1
           "}") "tcp-ao p { peer = 0.0.0.0/0 key-chain = k }\n",
     "any-peer", 5, false},
    {CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "}") "tcp-ao p { peer = 192.0.2.9 key-chain = k "
                                                     "accept-icmp = yes }\n",
     "accept-icmp", 5, false},
};

static void each_rule_speaks(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        struct gh_config *c = parse("a.conf", single[i].text);
        struct gh_problems p = {0};
        const struct gh_problem *q;

        gh_lint(c, NULL, NOW, &p);
        q = find(&p, single[i].rule);
        if (q == NULL || p.count != 1) {
            gh_problems_print(&p, stderr);
            fail_msg("wanted [%s] alone for:\n%s", single[i].rule, single[i].text);
        }
        assert_int_equal(q->line, single[i].line);
        assert_int_equal(q->severity == GH_PROBLEM_ERROR, single[i].error);
        assert_non_null(q->remedy);
        gh_problems_clear(&p);
        gh_config_free(c);
    }
}

static void expiry_warns_by_the_nearest_threshold(void **state)
{
    struct gh_config *c = parse(
        "a.conf", CHAIN("key 1 { send-id = 1 recv-id = 1" S1 "lifetime = 2026-01-01/2026-12-30 }"));
    static const struct {
        int64_t before;
        const char *says; /* NULL: nothing */
    } cases[] = {{31, NULL}, {29, "less than 30d"}, {6, "less than 7d"}, {1, "less than 1d"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gh_problems p = {0};

        gh_lint(c, NULL, NOW + (29 - cases[i].before) * 86400, &p);
        assert_int_equal(p.count, cases[i].says != NULL);
        if (p.count > 0)
            assert_non_null(strstr(p.list[0].message, cases[i].says));
        gh_problems_clear(&p);
    }
    gh_config_free(c);
}

/* ---- Two ends ---- */

#define HERE "key-chain k {\n key 1 { send-id = 3 recv-id = 8" S1 "}\n}\n" SESSION
#define THERE(key, session)                                                                        \
    "key-chain k {\n" key                                                                          \
    "\n}\ntcp-ao r { peer = 192.0.2.1 local = 192.0.2.2 key-chain = k " session "}\n"

static const struct {
    const char *there;
    const char *rule;
    bool error;
} pairs[] = {
    {THERE("key 1 { send-id = 3 recv-id = 8" S1 "}", ""), "ids-not-crossed", true},
    {THERE("key 1 { send-id = 8 recv-id = 4" S1 "}", ""), "key-missing", true},
    {THERE("key 1 { send-id = 8 recv-id = 3" S1 "algorithm = aes-128-cmac }", ""),
     "algorithm-mismatch", true},
    {THERE("key 1 { send-id = 8 recv-id = 3" S1 "mac-length = 16 }", ""), "mac-length-mismatch",
     true},
    {THERE("key 1 { send-id = 8 recv-id = 3" S1 "include-tcp-options = no }", ""),
     "options-mismatch", true},
    {THERE("key 1 { send-id = 8 recv-id = 3" S2 "}", ""), "secret-mismatch", true},
    {THERE("key 1 { send-id = 8 recv-id = 3" S1 "lifetime = 2026-01-01/2028-01-01 }", ""),
     "lifetimes-differ", false},
    {THERE("key 1 { send-id = 8 recv-id = 3" S1 "send-lifetime = infinite accept-lifetime = "
           "2026-01-01/infinite }",
           ""),
     "peer-accept-shorter", false},
    {THERE("key 1 { send-id = 8 recv-id = 3" S1 "}", "port = 1179"), "port-mismatch", true},
    {THERE("key 1 { send-id = 8 recv-id = 3" S1 "}", "mode = allow-without-ao"), "mode-differs",
     false},
    {THERE("tolerance = 5m key 1 { send-id = 8 recv-id = 3" S1 "}", ""), "tolerance-differs",
     false},
    {THERE("key 1 { send-id = 8 recv-id = 3" S1 "}\nkey 2 { send-id = 9 recv-id = 9" S2 "}", ""),
     "key-missing", true},
    {"key-chain k { key 1 { send-id = 8 recv-id = 3" S1 "} }\n"
     "tcp-ao r { peer = 198.51.100.1 key-chain = k }\n",
     "no-mirror", true},
};

static void each_difference_of_two_ends_is_found(void **state)
{
    struct gh_config *a = parse("a.conf", HERE);

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct gh_config *b = parse("b.conf", pairs[i].there);
        struct gh_problems p = {0};
        const struct gh_problem *q;

        gh_lint(a, b, NOW, &p);
        q = find(&p, pairs[i].rule);
        if (q == NULL) {
            gh_problems_print(&p, stderr);
            fail_msg("wanted [%s] for:\n%s", pairs[i].rule, pairs[i].there);
        }
        assert_string_equal(q->file, "a.conf");
        assert_int_equal(q->severity == GH_PROBLEM_ERROR, pairs[i].error);
        gh_problems_clear(&p);
        gh_config_free(b);
    }
    gh_config_free(a);
}

static void directions_must_meet(void **state)
{
    static const struct {
        const char *a, *b;
        bool good;
    } cases[] = {{"both", "both", true},
                 {"active", "passive", true},
                 {"active", "both", true},
                 {"passive", "passive", false},
                 {"active", "active", false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gh_problems p = {0};
        struct gh_config *a, *b;
        char text[512];

        snprintf(text, sizeof(text),
                 "key-chain k { key 1 { send-id = 3 recv-id = 8" S1 "} }\ntcp-ao s { peer = "
                 "192.0.2.2 local = 192.0.2.1 key-chain = k direction = %s }\n",
                 cases[i].a);
        a = parse("a.conf", text);
        snprintf(text, sizeof(text),
                 "key-chain k { key 1 { send-id = 8 recv-id = 3" S1 "} }\ntcp-ao s { peer = "
                 "192.0.2.1 local = 192.0.2.2 key-chain = k direction = %s }\n",
                 cases[i].b);
        b = parse("b.conf", text);
        gh_lint(a, b, NOW, &p);
        assert_int_equal(find(&p, "direction-mismatch") == NULL, cases[i].good);
        gh_problems_clear(&p);
        gh_config_free(a);
        gh_config_free(b);
    }
}

/* The Juniper RPKI example: both keys have the secret of the documents. */
static void the_junos_example_is_advised(void **state)
{
    struct gh_config *r1 = parse(
        "r1.conf", "key-chain new_auth_key {\n"
                   "key 0 { send-id = 3 recv-id = 8 secret = \"$ABC123\" start-time = "
                   "\"2022-5-18.04:00:00 -0700\" }\n"
                   "key 1 { send-id = 1 recv-id = 2 secret = \"$ABC123\" start-time = "
                   "\"2022-6-18.04:00:00 -0700\" } }\n"
                   "tcp-ao r2 { peer = 192.168.12.2 port = 8282 key-chain = new_auth_key }\n");
    struct gh_problems p = {0};

    gh_lint(r1, NULL, NOW, &p);
    assert_non_null(find(&p, "known-secret"));
    assert_non_null(find(&p, "same-secret"));
    assert_non_null(find(&p, "expired-key"));
    assert_null(find(&p, "vendor-ids"));
    gh_problems_clear(&p);
    gh_config_free(r1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_pair_hears_nothing),
        cmocka_unit_test(each_rule_speaks),
        cmocka_unit_test(expiry_warns_by_the_nearest_threshold),
        cmocka_unit_test(each_difference_of_two_ends_is_found),
        cmocka_unit_test(directions_must_meet),
        cmocka_unit_test(the_junos_example_is_advised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

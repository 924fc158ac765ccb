/* Which process carries which peer's packets: what belongs together, how the rest is spread, what a
 * reload moves and what it may not change; and what gatectl makes of several processes' answers. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/slots.h"
#include "config/ike_slots.h"
#include "config/lint.h"

static const struct gh_config_options skip = {.skip_secrets = true};

static struct gh_config *parse(const char *text, struct gh_problems *p)
{
    return gh_config_parse("t.conf", text, strlen(text), &skip, p);
}

static struct gh_config *must_parse(const char *text)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse(text, &p);

    if (c == NULL) {
        gh_problems_print(&p, stderr);
        fail_msg("refused: %s", text);
    }
    gh_problems_clear(&p);
    return c;
}

/* As the daemon does after a reload: "0 1-2 0", the slots of all peers in their order. */
static const char *slots(struct gh_config *c, const struct gh_config *current)
{
    static char text[128];
    size_t a, b;

    assert_true(gh_ike_assign_slots(c->ike, current != NULL ? current->ike : NULL, &a, &b));
    text[0] = '\0';
    for (size_t i = 0; i < c->ike->policy_count; i++) {
        const struct ike2_policy *p = c->ike->policies[i];

        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u", i > 0 ? " " : "",
                 gh_ike_slot(p));
        if (gh_ike_is_spread(p))
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "-%u",
                     p->children[0].last_slot);
        for (unsigned slot = 0; slot < GH_SLOTS; slot++)
            assert_int_equal(gh_ike_is_in_slot(p, slot),
                             slot >= gh_ike_slot(p) && slot <= p->children[0].last_slot);
    }
    return text;
}

#define PEER(name, remote, more, networks)                                                         \
    "ike-peer " name " { remote = " remote " psk-file = /k " more                                  \
    " child c { local-ts = 10.1.0.0/16 remote-ts = " networks " } }\n"
#define A PEER("a", "192.0.2.1", "", "10.2.0.0/24")
#define B PEER("b", "192.0.2.2", "", "10.2.1.0/24")
#define C PEER("c", "192.0.2.3", "", "10.2.2.0/24")
#define D PEER("d", "192.0.2.4", "", "10.2.3.0/24")

#define SITES(name, remote, more, networks)                                                        \
    "ike-peer " name " { remote = " remote " psk-file = /k " more                                  \
    " child c { local-ts = 10.1.0.0/16 reverse-route = yes remote-ts = " networks " } }\n"

static const struct {
    const char *text, *slots;
} cases[] = {
    {A B C D, "0 0 0 0"},
    {"ike { workers = 2 }\n" A B C D, "0 1 0 1"},
    {"ike { workers = 16 }\n" A B C D, "0 1 2 3"},
    /* addresses in common: a network in another, an end of a range, an address that all are */
    {"ike { workers = 3 }\n" A PEER("b", "192.0.2.2", "", "10.2.0.128/25") C, "0 0 1"},
    {"ike { workers = 3 }\n" A B PEER("c", "192.0.2.3", "", "10.2.0.255-10.2.1.0"), "0 0 0"},
    {"ike { workers = 3 }\n" A PEER("b", "192.0.2.2", "", "0.0.0.0/0") C, "0 0 0"},
    {"ike { workers = 3 }\n" A PEER("b", "192.0.2.2", "", "\"2001:db8::/32\"") C, "0 1 2"},
    /* … but in places of their own */
    {"ike { workers = 2 }\n" A PEER("b", "192.0.2.2", "private-netns = x", "10.2.0.0/24"), "0 1"},
    {"ike { workers = 2 }\n" A PEER("b", "192.0.2.2", "netns = x", "10.2.0.0/24"), "0 1"},
    /* one gateway, as seen from one address of ours or from any */
    {"ike { workers = 2 }\n" PEER("a", "192.0.2.1", "local = 192.0.2.8", "10.2.0.0/24")
         PEER("b", "192.0.2.1", "local = 192.0.2.9", "10.2.1.0/24"),
     "0 1"},
    {"ike { workers = 3 }\n" PEER("a", "192.0.2.1", "local = 192.0.2.8", "10.2.0.0/24")
         PEER("b", "192.0.2.1", "local = 192.0.2.9", "10.2.1.0/24")
             PEER("c", "192.0.2.1", "", "10.2.2.0/24"),
     "0 0 0"},
    {"ike { workers = 2 }\n" A PEER("b", "192.0.2.2", "backup = { 192.0.2.1 }", "10.2.1.0/24") C,
     "0 0 1"},
    /* transport mode goes to the peer alone */
    {"ike { workers = 2 }\n"
     "ike-peer a { remote = 192.0.2.1 psk-file = /k child c { mode = transport local-ts = "
     "0.0.0.0/0 "
     "remote-ts = 0.0.0.0/0 } }\n" B,
     "0 1"},
    /* groups */
    {"ike { workers = 2 }\ntunnel-group edge { active = 2 }\n" A PEER(
         "b", "192.0.2.2", "tunnel-group = edge", "10.2.1.0/24")
         PEER("c", "192.0.2.3", "tunnel-group = edge", "10.2.2.0/24") D,
     "0 2 3 1"},
    {"tunnel-group default { active = 2 backup = 1 }\n" A B, "0 1"},
    /* many clients, told from each other by their networks: each has a slot of its own */
    {"ike { workers = 3 }\n" SITES("s", "any", "", "10.0.0.0/8") A, "0 0"}, /* a's is in there */
    {"ike { workers = 3 }\n" SITES("s", "any", "", "10.128.0.0/9") A B, "0-2 0 1"},
    {"ike { workers = 3 }\n" A SITES("s", "any", "", "10.128.0.0/9")
         SITES("t", "192.0.2.0/24", "", "10.0.0.0-10.255.255.255") B,
     "0 0 0 0"},
    {"ike { workers = 3 }\n" SITES("s", "any", "", "10.128.0.0/9")
         SITES("t", "192.0.2.0/24", "", "10.192.0.0/16") A,
     "0-2 0-2 0"},
    {"ike { workers = 3 }\n" SITES("s", "any", "", "0.0.0.0/0"), "0"},
    {"ike { workers = 3 }\n" SITES("s", "any", "", "{ \"10.0.0.0/8\", \"::/0\" }"), "0"},
    {"ike { workers = 3 }\n" SITES("s", "any", "", "{ \"0.0.0.0/1\", \"2000::/3\" }"), "0-2"},
    {"ike { workers = 3 }\n" SITES("s", "192.0.2.7", "", "10.0.0.0/8"), "0"},
    {"ike { workers = 3 }\n" PEER("s", "any", "", "10.0.0.0/8"), "0"},
    {"ike { workers = 3 }\nike-peer s { remote = any psk-file = /k child c { local-ts = "
     "10.1.0.0/16 "
     "remote-ts = 10.0.0.0/8 reverse-route = yes route-overlap = allow } }\n",
     "0"},
    {"ike { workers = 3 }\n" SITES("s", "any", "dataplane = auto", "10.0.0.0/8"), "0-2"},
    {"ike { workers = 2 }\ntunnel-group edge { active = 3 }\n" SITES(
         "s", "any", "tunnel-group = edge", "10.128.0.0/9") A B,
     "2-4 0 1"},
    {"tunnel-group edge { }\n" SITES("s", "any", "tunnel-group = edge", "10.128.0.0/9"), "1"},
    /* what protects a tunnel is the first's, whoever else is there */
    {"ike { workers = 2 }\n" A
     "ike-peer b { remote = 192.0.2.2 local = 192.0.2.9 psk-file = /k child c { mode = transport "
     "local-ts = \"192.0.2.9 47\" remote-ts = \"192.0.2.2 47\" } }\n"
     "tunnel t { type = gre local = 192.0.2.9 remote = 192.0.2.2 protect = b device = gre9 }\n" C,
     "1 0 0"},
};

static void what_belongs_together_is_in_one_slot(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gh_config *c = must_parse(cases[i].text);

        if (strcmp(slots(c, NULL), cases[i].slots) != 0)
            fail_msg("case %zu: %s", i, slots(c, NULL));
        gh_config_free(c);
    }
}

#define TOGETHER(text) "all clients of \"s\" are carried by one process, for " text

static const struct {
    const char *text, *advice; /* NULL: none */
} advices[] = {
    {SITES("s", "any", "", "10.0.0.0/8"), NULL},
    {"ike { workers = 2 }\n" SITES("s", "any", "", "10.0.0.0/8"), NULL},
    {"ike { workers = 2 }\n" A, NULL},
    {"ike { workers = 2 }\n" PEER("s", "any", "", "10.0.0.0/8"),
     TOGETHER("it has a child without reverse routes")},
    {"ike { workers = 2 }\nike-peer s { remote = any psk-file = /k child c { local-ts = "
     "10.1.0.0/16 "
     "remote-ts = 10.0.0.0/8 reverse-route = yes route-overlap = allow } }\n",
     TOGETHER("its clients may have the same networks")},
    {"ike { workers = 2 }\n" SITES("s", "any", "", "::/0"),
     TOGETHER("its remote-ts is everything")},
    {"ike { workers = 2 }\n" A SITES("s", "any", "", "10.0.0.0/8"),
     TOGETHER("a peer that is not so has addresses in common with it")},
};

static void why_clients_are_together_is_told(void **state)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        struct gh_config *c = must_parse(advices[i].text);
        struct gh_problems p = {0};
        const char *told = NULL;

        gh_lint(c, NULL, 0, &p);
        for (size_t k = 0; k < p.count; k++)
            if (strcmp(p.list[k].rule, "one-process") == 0)
                told = p.list[k].message;
        if ((told == NULL) != (advices[i].advice == NULL) ||
            (told != NULL && strcmp(told, advices[i].advice) != 0))
            fail_msg("case %zu: %s", i, told != NULL ? told : "nothing");
        gh_problems_clear(&p);
        gh_config_free(c);
    }
}

static void who_is_somewhere_stays(void **state)
{
    struct gh_config *one = must_parse("ike { workers = 2 }\n" A B C);
    struct gh_config *two = must_parse("ike { workers = 2 }\n" C D B);
    struct gh_config *joined =
        must_parse("ike { workers = 2 }\n" A B PEER("d", "192.0.2.4", "", "10.2.1.0/24"));

    assert_string_equal(slots(one, NULL), "0 1 0");
    assert_string_equal(slots(two, one), "0 0 1"); /* the new one where there is most room */
    assert_string_equal(slots(joined, one), "0 1 1");
    gh_config_free(one);
    gh_config_free(two);
    gh_config_free(joined);
}

#define EDGE PEER("a", "192.0.2.1", "tunnel-group = edge", "10.2.0.0/24")
#define DOWN PEER("a", "192.0.2.1", "admin = down", "10.2.0.0/24")

static const struct {
    const char *before, *after, *rule; /* NULL: it is all right */
} reloads[] = {
    {"ike { workers = 2 }\n" A, "ike { workers = 2 }\n" A B, NULL},
    {"ike { workers = 2 }\n" A, "ike { workers = 3 }\n" A, "tunnel-group-frozen"},
    {"ike { workers = auto }\n" A, "ike { workers = auto }\n" A, NULL},
    {A, "tunnel-group edge { }\n" A, "tunnel-group-frozen"},
    {"tunnel-group edge { }\n" A, A, "tunnel-group-frozen"},
    {"tunnel-group edge { }\n" A, "tunnel-group other { }\n" A, "tunnel-group-frozen"},
    {"tunnel-group edge { }\n" A, "tunnel-group edge { backup = 2 }\n" A, NULL},
    {"tunnel-group edge { }\n" A, "tunnel-group edge { }\n" EDGE, "tunnel-group-in-use"},
    {"tunnel-group edge { }\n" DOWN, "tunnel-group edge { }\n" EDGE, NULL},
};

static void what_a_reload_may_not_change(void **state)
{
    for (size_t i = 0; i < sizeof(reloads) / sizeof(reloads[0]); i++) {
        struct gh_config *before = must_parse(reloads[i].before);
        struct gh_config *after = must_parse(reloads[i].after);
        struct gh_problems p = {0};

        gh_ike_keep_slots(after->ike, before->ike, "t.conf", &p);
        if (p.errors != (reloads[i].rule != NULL) ||
            (p.errors > 0 && strcmp(p.list[0].rule, reloads[i].rule) != 0))
            fail_msg("reload %zu: %s", i, p.errors > 0 ? p.list[0].rule : "taken");
        gh_problems_clear(&p);
        gh_config_free(before);
        gh_config_free(after);
    }
}

static const struct {
    const char *text, *rule;
    int line;
} mistakes[] = {
    {"ike {\n workers = 0 }\n" A, "range", 2},
    {"ike {\n workers = 17 }\n" A, "range", 2},
    {"ike {\n workers = some }\n" A, "range", 2},
    {"tunnel-group x {\n active = 17 }\n" A, "range", 2},
    {"tunnel-group x {\n backup = 17 }\n" A, "range", 2},
    {"tunnel-group x {\n activ = 2 }\n" A, "unknown-option", 2},
    {"tunnel-group x { }\ntunnel-group x { }\n" A, "duplicate", 2},
    {"ike { workers = 8 }\ntunnel-group x { active = 9 }\n" A, "range", 2},
    {"tunnel-group x { backup = 9 }\ntunnel-group y { backup = 8 }\n" A, "range", 2},
    {"ike { workers = 2 }\ntunnel-group default {\n active = 3 }\n" A, "duplicate", 3},
    {"tunnel-group edge { }\n" PEER("a", "192.0.2.1", "\ntunnel-group = egde", "10.2.0.0/24"),
     "unknown-reference", 3},
    {"tunnel-group edge { }\n" PEER("a", "192.0.2.1", "dataplane = auto\ntunnel-group = edge",
                                    "10.2.0.0/24"),
     "range", 3},
    {"tunnel-group edge { }\n" EDGE PEER("b", "192.0.2.2", "", "10.2.0.0/16"),
     "tunnel-group-overlap", 3},
    {"tunnel-group edge { }\n"
     "ike-peer b { remote = 192.0.2.2 local = 192.0.2.9 psk-file = /k tunnel-group = edge\n"
     "child c { mode = transport local-ts = \"192.0.2.9 47\" remote-ts = \"192.0.2.2 47\" } }\n"
     "tunnel t { type = gre local = 192.0.2.9 remote = 192.0.2.2 protect = b device = gre9 }\n",
     "range", 2},
};

static void mistakes_are_told_with_their_line(void **state)
{
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct gh_problems p = {0};
        struct gh_config *c = parse(mistakes[i].text, &p);
        bool found = false;

        for (size_t k = 0; k < p.count; k++)
            found |= p.list[k].severity == GH_PROBLEM_ERROR && p.list[k].line == mistakes[i].line &&
                     strcmp(p.list[k].rule, mistakes[i].rule) == 0;
        if (c != NULL || !found) {
            gh_problems_print(&p, stderr);
            fail_msg("mistake %zu: not %s on line %d", i, mistakes[i].rule, mistakes[i].line);
        }
        gh_problems_clear(&p);
    }
}

/* ---- gatectl -------------------------------------------------------------------------------- */

static void answers_become_one(void **state)
{
    json_t *one = json_loads("{\"ok\":true,\"slot\":0,\"slots\":2,\"sas\":[1],\"in\":{\"ok\":5},"
                             "\"kernel\":null,\"back_end\":\"x\",\"sizes\":{\"icmp-received\":5,"
                             "\"icmp-unknown\":3}}",
                             0, NULL);
    json_t *two = json_loads("{\"ok\":true,\"slot\":1,\"slots\":2,\"sas\":[2],\"in\":{\"ok\":7},"
                             "\"kernel\":null,\"back_end\":\"x\",\"sizes\":{\"icmp-received\":5,"
                             "\"icmp-unknown\":4}}",
                             0, NULL);
    json_t *sum = json_loads("{\"ok\":true,\"slot\":0,\"slots\":2,\"sas\":[1,2],\"in\":{\"ok\":12},"
                             "\"kernel\":null,\"back_end\":\"x\",\"sizes\":{\"icmp-received\":5,"
                             "\"icmp-unknown\":2}}",
                             0, NULL);

    cli_slots_merge(one, two);
    cli_slots_settle(one, 2); /* two were nobody's; of the other three each knew its own */
    assert_true(json_equal(one, sum));
    json_decref(one);
    json_decref(two);
    json_decref(sum);
}

static void policies_stay_in_their_order(void **state)
{
    json_t *one =
        json_loads("{\"policies\":[{\"order\":1,\"name\":\"first\",\"hits\":1,\"clear_in\":null},"
                   "{\"order\":2,\"name\":null,\"peer\":\"s\",\"child\":\"x\",\"hits\":1},"
                   "{\"order\":3,\"name\":null,\"peer\":\"s\",\"child\":\"a\",\"hits\":2},"
                   "{\"order\":4,\"name\":\"last\",\"hits\":4,\"clear_in\":1}]}",
                   0, NULL);
    json_t *two =
        json_loads("{\"policies\":[{\"order\":1,\"name\":\"first\",\"hits\":8,\"clear_in\":null},"
                   "{\"order\":2,\"name\":null,\"peer\":\"s\",\"child\":\"x\",\"hits\":6},"
                   "{\"order\":3,\"name\":null,\"peer\":\"t\",\"child\":\"a\",\"hits\":3},"
                   "{\"order\":4,\"name\":\"last\",\"hits\":5,\"clear_in\":2}]}",
                   0, NULL);
    json_t *sum =
        json_loads("{\"policies\":[{\"order\":1,\"name\":\"first\",\"hits\":9,\"clear_in\":null},"
                   "{\"order\":2,\"name\":null,\"peer\":\"s\",\"child\":\"x\",\"hits\":7},"
                   "{\"order\":3,\"name\":null,\"peer\":\"t\",\"child\":\"a\",\"hits\":3},"
                   "{\"order\":4,\"name\":null,\"peer\":\"s\",\"child\":\"a\",\"hits\":2},"
                   "{\"order\":5,\"name\":\"last\",\"hits\":9,\"clear_in\":3}]}",
                   0, NULL);

    cli_slots_merge(one, two);
    assert_true(json_equal(one, sum));
    json_decref(one);
    json_decref(two);
    json_decref(sum);
}

static void clients_are_counted_by_slot(void **state)
{
    json_t *answer = json_loads("{\"groups\":[{\"slots\":[{\"slot\":0},{\"slot\":1}]},"
                                "{\"slots\":[{\"slot\":2}]}]}",
                                0, NULL);
    json_t *clients = json_loads("[3,0]", 0, NULL);
    json_t *counted = json_loads("{\"groups\":[{\"slots\":[{\"slot\":0,\"clients\":3},"
                                 "{\"slot\":1,\"clients\":0}]},"
                                 "{\"slots\":[{\"slot\":2,\"clients\":null}]}]}",
                                 0, NULL);

    cli_slots_count(answer, clients);
    assert_true(json_equal(answer, counted));
    json_decref(answer);
    json_decref(clients);
    json_decref(counted);
}

static void tunnels_of_a_lost_slot_are_marked(void **state)
{
    json_t *tunnels = json_loads("[{\"peer\":\"a\"},{\"peer\":\"b\"}]", 0, NULL);
    json_t *groups = json_loads(
        "{\"groups\":[{\"name\":\"g\",\"slots\":[{\"down\":[]},{\"down\":[\"b\"]}]}]}", 0, NULL);
    json_t *marked = json_loads("[{\"peer\":\"a\"},{\"peer\":\"b\",\"stopped\":\"g\"}]", 0, NULL);

    cli_slots_mark(tunnels, NULL);
    cli_slots_mark(tunnels, groups);
    assert_true(json_equal(tunnels, marked));
    json_decref(tunnels);
    json_decref(groups);
    json_decref(marked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_belongs_together_is_in_one_slot),
        cmocka_unit_test(why_clients_are_together_is_told),
        cmocka_unit_test(who_is_somewhere_stays),
        cmocka_unit_test(what_a_reload_may_not_change),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(answers_become_one),
        cmocka_unit_test(policies_stay_in_their_order),
        cmocka_unit_test(clients_are_counted_by_slot),
        cmocka_unit_test(tunnels_of_a_lost_slot_are_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

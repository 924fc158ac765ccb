/* gatectl: which command is meant, what may follow, how lines and tables are made. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/metrics.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/tunnel.h"

enum { WORDS = 16 };

/* The command that a line names, or what cli_find() says against it. */
static const char *found(const char *line, int *used)
{
    static char said[512];
    char copy[512], *argv[WORDS], *text = NULL;
    size_t len;
    FILE *err = open_memstream(&text, &len);
    const struct cli_command *c;
    int argc;

    snprintf(copy, sizeof(copy), "%s", line);
    argc = cli_split(copy, argv, WORDS);
    c = cli_find(argc, argv, used, err);
    fclose(err);
    snprintf(said, sizeof(said), "%s", c != NULL ? c->words : text);
    free(text);
    return said;
}

static void words_may_be_abbreviated(void **state)
{
    static const struct {
        const char *line, *words;
        int used;
    } cases[] = {
        {"show tcp-ao session", "show tcp-ao session", 3},
        {"sh tcp ses", "show tcp-ao session", 3},
        {"s tc s upstream detail", "show tcp-ao session", 3},
        {"sh key-t", "show key-table", 2},
        {"sh stat", "show status", 2},
        {"show counters", "show counters", 2},
        {"c c upstream", "clear counters", 2},
        {"exp 192.0.2.2", "explain", 1},
        {"rel", "reload", 1},
        {"res upstream", "reset-session", 1},
        {"m", "monitor", 1},
        {"help show status", "help", 1},
        {"sh ike sa", "show ike sa", 3},
        {"sh ike st", "show ike statistics", 3},
        {"ike init core", "ike initiate", 2},
        {"ike t p core", "ike terminate peer", 3},
        {"cl ike l", "clear ike lockout", 3},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int used = 0;

        assert_string_equal(found(cases[i].line, &used), cases[i].words);
        assert_int_equal(used, cases[i].used);
    }
}

static void what_is_not_a_command_is_named_with_what_would_be(void **state)
{
    int used;

    assert_string_equal(found("sh co", &used),
                        "gatectl: which one is meant? counters configuration\n");
    assert_string_equal(found("re", &used), "gatectl: which one is meant? reload reset-session\n");
    assert_string_equal(
        found("show", &used),
        "gatectl: go on with one of: key-chain key-table tcp-ao "
        "counters status processes configuration ike ipsec tunnel metrics gatekeeper\n");
    assert_string_equal(found("show tcp-ao x", &used),
                        "gatectl: there is no command \"x\" here; one of: session\n");
    assert_non_null(
        strstr(found("dance", &used), "there is no command \"dance\" here; one of: show"));
    assert_string_equal(found("show tcp-ao ?", &used), "gatectl: go on with one of: session\n");
    assert_non_null(strstr(found("\"\"", &used), "there is no command \"\""));
}

static void every_command_is_found_by_its_full_words(void **state)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        int used;

        assert_string_equal(found(cli_commands[i].words, &used), cli_commands[i].words);
        assert_true(strlen(cli_commands[i].help) < 80);
        assert_true((cli_commands[i].run == cli_offline) == (cli_commands[i].offline != NULL));
        assert_true(cli_commands[i].run != cli_ask || cli_commands[i].op != NULL);
    }
}

/* ---- Completion ----------------------------------------------------------------------------- */

static void join(void *ctx, const char *word)
{
    char *all = ctx;

    strcat(all, all[0] != '\0' ? " " : "");
    strcat(all, word);
}

static void assert_completes(const char *line, const char *prefix, const char *words,
                             enum cli_arg arg)
{
    char copy[512], *argv[WORDS], all[1024] = "";
    int argc;

    snprintf(copy, sizeof(copy), "%s", line);
    argc = cli_split(copy, argv, WORDS);
    assert_int_equal(cli_complete(argc, argv, prefix, join, all), arg);
    assert_string_equal(all, words);
}

static void completion_follows_the_table(void **state)
{
    assert_completes("", "re", "reload reset-session", CLI_ARG_NONE);
    assert_completes("show", "",
                     "key-chain key-table tcp-ao counters status processes configuration ike ipsec "
                     "tunnel metrics gatekeeper",
                     CLI_ARG_NONE);
    assert_completes("sh", "co", "counters configuration", CLI_ARG_NONE);
    assert_completes("sh tcp", "", "session", CLI_ARG_NONE);
    assert_completes("sh tcp ses", "", "detail", CLI_ARG_SESSION);
    assert_completes("sh tcp ses upstream", "d", "detail", CLI_ARG_NONE);
    assert_completes("sh tcp ses upstream detail", "", "", CLI_ARG_NONE);
    assert_completes("show key-chain", "co", "", CLI_ARG_CHAIN);
    assert_completes("explain", "", "", CLI_ARG_ANYBODY);
    assert_completes("sh ike", "", "peer sa child statistics lockout", CLI_ARG_NONE);
    assert_completes("sh ike sa", "", "detail", CLI_ARG_PEER);
    assert_completes("sh ipsec", "", "tunnel gateway policy sa counters group unprotected",
                     CLI_ARG_NONE);
    assert_completes("ike", "", "down up revert initiate rekey redirect terminate", CLI_ARG_NONE);
    assert_completes("ike rekey", "", "sa child", CLI_ARG_NONE);
    assert_completes("ike rekey child", "", "", CLI_ARG_CHILD);
    assert_completes("ike term sa", "", "", CLI_ARG_SA);
    assert_completes("verify-pcap x.pcap", "", "", CLI_ARG_FILE);
    assert_completes("help show", "st", "status", CLI_ARG_NONE);
    assert_completes("dance", "", "", CLI_ARG_NONE);
    assert_completes("version", "", "", CLI_ARG_NONE);
}

/* ---- Lines ---------------------------------------------------------------------------------- */

static void lines_are_split_like_a_shell_does(void **state)
{
    char line[] = "  show 'a b'\t\"c \\\" d\" e\\ f g\"h\"i \"\" # comment";
    char open[] = "show 'tcp";
    char many[] = "a b c";
    char *argv[WORDS];

    assert_int_equal(cli_split(line, argv, WORDS), 6);
    assert_string_equal(argv[0], "show");
    assert_string_equal(argv[1], "a b");
    assert_string_equal(argv[2], "c \" d");
    assert_string_equal(argv[3], "e f");
    assert_string_equal(argv[4], "ghi");
    assert_string_equal(argv[5], "");
    assert_int_equal(cli_split(open, argv, WORDS), -1);
    assert_int_equal(cli_split(many, argv, 2), -1);
}

/* ---- Tables and texts ----------------------------------------------------------------------- */

struct capture {
    FILE *out;
    char *text;
    size_t len;
};

static void capture_begin(struct capture *c)
{
    c->out = open_memstream(&c->text, &c->len);
    assert_non_null(c->out);
}

static void assert_captured(struct capture *c, const char *expected)
{
    fclose(c->out);
    assert_string_equal(c->text, expected);
    free(c->text);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    static const char *const titles[] = {"Name", ">N", "Never used", "Last"};
    struct cli_table t;
    struct capture c;

    capture_begin(&c);
    cli_table_init(&t, titles, 4);
    cli_table_row(&t);
    cli_table_cell(&t, 0, "zürich");
    cli_table_cell(&t, 1, "%d", 7);
    cli_table_cell(&t, 3, "x\033[2Jy");
    cli_table_row(&t);
    cli_table_cell(&t, 0, "a");
    cli_table_cell(&t, 1, "%d", 1234);
    cli_table_print(&t, 2, c.out);
    assert_captured(&c, "  Name       N  Last\n"
                        "  zürich     7  x?[2Jy\n"
                        "  a       1234\n");
    capture_begin(&c);
    cli_table_init(&t, titles, 4);
    cli_table_print(&t, 0, c.out);
    assert_captured(&c, "");
}

static void long_texts_are_wrapped(void **state)
{
    struct capture c;

    capture_begin(&c);
    cli_wrap("1. ", 3, "one two three four averylongwordindeed x", 12, c.out);
    assert_captured(&c, "1. one two\n   three\n   four\n   averylongwordindeed\n   x\n");
    capture_begin(&c);
    cli_wrap("- ", 2, "one two three", 0, c.out);
    assert_captured(&c, "- one two three\n");
}

static void refusals_name_the_remedy_and_the_problems(void **state)
{
    json_t *answer = json_loads("{\"ok\":false,\"error\":\"the configuration is wrong\","
                                "\"remedy\":\"correct it\",\"problems\":[{\"severity\":\"error\","
                                "\"file\":\"g.conf\",\"line\":3,\"rule\":\"id-in-use\","
                                "\"message\":\"send-id 3 is used twice\",\"remedy\":\"use 4\"}]}",
                                0, NULL);
    struct capture c;

    capture_begin(&c);
    cli_render_refusal(answer, c.out);
    assert_captured(&c, "gatectl: the configuration is wrong\n"
                        "  correct it\n"
                        "g.conf:3: error: send-id 3 is used twice; use 4 [id-in-use]\n");
    json_decref(answer);
}

static void events_are_one_line(void **state)
{
    json_t *event = json_loads("{\"event\":\"key-changed\",\"time\":\"2026-01-01T00:00:00Z\","
                               "\"session\":\"upstream\",\"local\":\"192.0.2.1:179\","
                               "\"remote\":\"192.0.2.2:4000\",\"text\":\"sending\\nwith key 2\"}",
                               0, NULL);
    struct capture c;

    capture_begin(&c);
    cli_render_event(event, c.out);
    assert_captured(&c, "2026-01-01T00:00:00Z key-changed upstream 192.0.2.2:4000: "
                        "sending?with key 2\n");
    json_decref(event);
}

/* An answer of another version may lack every field, or hold other types. */
static void any_answer_can_be_rendered(void **state)
{
    static const char *const ops[] = {"show-key-chain",
                                      "show-key-table",
                                      "show-gatekeeper",
                                      "show-session",
                                      "show-counters",
                                      "show-status",
                                      "explain",
                                      "reset-session",
                                      "show-configuration",
                                      "reload",
                                      "show-processes",
                                      "show-ike-peer",
                                      "show-ike-sa",
                                      "show-ike-child",
                                      "show-ike-statistics",
                                      "show-ike-lockout",
                                      "ike-terminate-peer",
                                      "clear-ike-lockout",
                                      "ike-redirect-peer",
                                      "show-ipsec-tunnel",
                                      "show-ipsec-gateway",
                                      "show-ipsec-policy",
                                      "show-ipsec-group",
                                      "show-tunnel"};
    static const char *const answers[] = {
        "{}",
        ("{\"key_chains\":[{},7],\"sessions\":[{\"connections\":[{},null]},\"x\"],"
         "\"explanations\":[{\"findings\":[{\"checks\":[1]}]}],\"warnings\":[3],\"processes\":[{}],"
         "\"peers\":[{},1],\"sas\":[{\"child_sas\":[{},2]},3],\"children\":[{},4],"
         "\"keys\":[{},8],\"groups\":[{\"slots\":[{},1],\"spares\":[{},2]},3],\"tunnels\":[{"
         "\"sas\":[{},2]},3],\"gateways\":[{\"gateways\":[{},1],"
         "\"failures\":[{},2]},4],\"policies\":[{},3],\"clients\":[{},5],\"sockets\":[{},6],"
         "\"failures\":[{},7],\"enabled\":"
         "true}"),
        "{\"key_chains\":7,\"sessions\":\"x\",\"explanations\":{},\"warnings\":null,\"total\":[]}"};

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        for (size_t j = 0; j < sizeof(answers) / sizeof(answers[0]); j++) {
            json_t *answer = json_loads(answers[j], 0, NULL);
            struct capture c;
            struct cli_render r = {.detail = j == 1};

            capture_begin(&c);
            r.out = c.out;
            cli_renderer(ops[i])(&r, answer);
            fclose(c.out);
            free(c.text);
            json_decref(answer);
        }
    }
}

static void tunnels_of_both_planes(void **state)
{
    json_t *answer = json_loads("{\"tunnels\":[{\"name\":\"a\",\"dataplane\":\"user\"},"
                                "{\"name\":\"b\",\"dataplane\":\"user\"}]}",
                                0, NULL);
    json_t *of_parent = json_loads("{\"not_kernel\":{\"b\":\"it has \\\"mss\\\"\"},\"tunnels\":[{"
                                   "\"name\":\"c\",\"dataplane\":\"kernel\",\"state\":\"waiting\","
                                   "\"why\":\"not yet\"}]}",
                                   0, NULL);
    json_t *tunnels = json_object_get(answer, "tunnels");
    struct capture c;
    struct cli_render r = {.detail = false};

    assert_non_null(answer);
    assert_non_null(of_parent);
    cli_devices_join(answer, of_parent);
    assert_int_equal(json_array_size(tunnels), 3);
    assert_true(json_is_null(json_object_get(json_array_get(tunnels, 0), "why")));
    capture_begin(&c);
    r.out = c.out;
    cli_renderer("show-tunnel")(&r, answer);
    fclose(c.out);
    assert_null(strstr(c.text, "a is"));
    assert_non_null(strstr(c.text, "b is not the kernel's: it has \"mss\""));
    assert_non_null(strstr(c.text, "c is waiting: not yet"));
    free(c.text);
    cli_devices_join(answer, NULL); /* an older daemon */
    assert_int_equal(json_array_size(tunnels), 3);
    json_decref(answer);
    json_decref(of_parent);
}

/* ---- The man page and the help -------------------------------------------------------------- */

static char *read_page(const char *name)
{
    const char *source = getenv("GATEHOUSE_SOURCE");
    char path[4096], *text = calloc(1, 131072);
    FILE *f;

    assert_non_null(text);
    snprintf(path, sizeof(path), "%s/%s", source != NULL ? source : ".", name);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, 131071, f) > 0);
    fclose(f);
    return text;
}

static void the_man_page_names_every_command(void **state)
{
    char *page = read_page("dist/man/gatectl.1");

    for (size_t i = 0; i < cli_command_count; i++) {
        char line[200];

        snprintf(line, sizeof(line), "\n.It Ic %s", cli_commands[i].words);
        if (strstr(page, line) == NULL)
            fail_msg("dist/man/gatectl.1 has no item for \"%s\"", cli_commands[i].words);
    }
    free(page);
}

static void the_help_lists_every_command(void **state)
{
    struct capture c;

    capture_begin(&c);
    cli_usage(c.out);
    fclose(c.out);
    for (size_t i = 0; i < cli_command_count; i++)
        assert_non_null(strstr(c.text, cli_commands[i].help));
    free(c.text);
}

/* Prometheus' text format: names that somebody chose may have anything in them. */
static void metrics(void **state)
{
    static const char answers[] =
        "{\"show-session\":{\"sessions\":[{\"name\":\"a\\\"b\\\\c\\nd\",\"state\":\"up\","
        "\"own_keys\":false},{\"name\":\"x\",\"own_keys\":true,\"state\":\"up\"}]},"
        "\"show-ipsec-sa\":{\"sas\":[{\"peer\":\"p\",\"child\":\"c\",\"id\":7,\"out\":null,\"in\":"
        "{\"spi\":\"0a\",\"packets\":3,\"octets\":300,\"drops\":{\"replay\":2,\"icv\":1}}}]},"
        "\"show-ipsec-unprotected\":{\"namespaces\":[{\"netns\":null,\"packets\":5},"
        "{\"netns\":null,\"vrf\":\"red\",\"packets\":6},"
        "{\"netns\":\"n\",\"packets\":null}]}}";
    static const char expected[] =
        "# HELP gatehouse_tcp_ao_session_up Whether a session of TCP-AO is up.\n"
        "# TYPE gatehouse_tcp_ao_session_up gauge\n"
        "gatehouse_tcp_ao_session_up{session=\"a\\\"b\\\\c\\nd\"} 1\n"
        "# HELP gatehouse_ipsec_sa_packets_total Packets that went through a Child SA.\n"
        "# TYPE gatehouse_ipsec_sa_packets_total counter\n"
        "gatehouse_ipsec_sa_packets_total{peer=\"p\",child=\"c\",sa=\"7\",spi=\"0a\",way=\"in\"} "
        "3\n"
        "# HELP gatehouse_ipsec_sa_bytes_total Octets of these, before protection or after it.\n"
        "# TYPE gatehouse_ipsec_sa_bytes_total counter\n"
        "gatehouse_ipsec_sa_bytes_total{peer=\"p\",child=\"c\",sa=\"7\",spi=\"0a\",way=\"in\"} "
        "300\n"
        "# HELP gatehouse_ipsec_sa_dropped_total Packets of a Child SA that were dropped, by "
        "reason.\n"
        "# TYPE gatehouse_ipsec_sa_dropped_total counter\n"
        "gatehouse_ipsec_sa_dropped_total{peer=\"p\",child=\"c\",sa=\"7\",spi=\"0a\",way=\"in\","
        "reason="
        "\"replay\"} 2\n"
        "gatehouse_ipsec_sa_dropped_total{peer=\"p\",child=\"c\",sa=\"7\",spi=\"0a\",way=\"in\","
        "reason="
        "\"icv\"} 1\n"
        "# HELP gatehouse_ipsec_unprotected_total Packets that came beside a tunnel.\n"
        "# TYPE gatehouse_ipsec_unprotected_total counter\n"
        "gatehouse_ipsec_unprotected_total{netns=\"\",vrf=\"\"} 5\n"
        "gatehouse_ipsec_unprotected_total{netns=\"\",vrf=\"red\"} 6\n";
    json_t *from = json_loads(answers, 0, NULL);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(from);
    cli_metrics_write(from, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    json_decref(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tunnels_of_both_planes),
        cmocka_unit_test(words_may_be_abbreviated),
        cmocka_unit_test(what_is_not_a_command_is_named_with_what_would_be),
        cmocka_unit_test(every_command_is_found_by_its_full_words),
        cmocka_unit_test(completion_follows_the_table),
        cmocka_unit_test(lines_are_split_like_a_shell_does),
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(long_texts_are_wrapped),
        cmocka_unit_test(refusals_name_the_remedy_and_the_problems),
        cmocka_unit_test(events_are_one_line),
        cmocka_unit_test(any_answer_can_be_rendered),
        cmocka_unit_test(the_man_page_names_every_command),
        cmocka_unit_test(metrics),
        cmocka_unit_test(the_help_lists_every_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

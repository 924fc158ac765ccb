/* gatectl against a daemon played by a thread: questions, answers, events, and nobody there. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "cli/interactive.h"

/* Serves connections one after another: reads a line each, sends its reply, closes. */
struct server {
    char dir[64], path[96];
    int listener;
    pthread_t thread;
    const char *const *replies; /* one a connection, NULL ends */
    char requests[2048];        /* all lines that came */
};

static void read_request(struct server *s, int fd)
{
    size_t len = strlen(s->requests);
    char c;

    while (len + 1 < sizeof(s->requests) && read(fd, &c, 1) == 1) {
        s->requests[len++] = c;
        if (c == '\n')
            break;
    }
}

static void *serve(void *ctx)
{
    struct server *s = ctx;

    for (size_t i = 0; s->replies[i] != NULL; i++) {
        int fd = accept(s->listener, NULL, NULL);

        if (fd < 0)
            break;
        read_request(s, fd);
        /* In two pieces: answers need not arrive whole. */
        for (size_t done = 0, len = strlen(s->replies[i]); done < len;) {
            size_t half = done == 0 && len > 1 ? len / 2 : len - done;
            ssize_t n = send(fd, s->replies[i] + done, half, MSG_NOSIGNAL);

            if (n <= 0)
                break;
            done += (size_t)n;
        }
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *s, const char *const *replies)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memset(s, 0, sizeof(*s));
    s->replies = replies;
    strcpy(s->dir, "/tmp/gatectl-test-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof(s->path), "%s/control.sock", s->dir);
    strcpy(addr.sun_path, s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
    unlink(s->path);
    rmdir(s->dir);
}

struct run {
    char *out, *err;
    size_t out_len, err_len;
    int status;
};

static struct cli run_begin(struct run *r, const char *socket_path, bool json)
{
    struct cli cli = {.socket = socket_path, .json = json};

    memset(r, 0, sizeof(*r));
    cli.out = open_memstream(&r->out, &r->out_len);
    cli.err = open_memstream(&r->err, &r->err_len);
    return cli;
}

static void run_end(const struct cli *cli)
{
    fclose(cli->out);
    fclose(cli->err);
}

/* One command line. */
static void run(struct run *r, const char *socket_path, bool json, const char *line)
{
    struct cli cli = run_begin(r, socket_path, json);
    char copy[256], *argv[16];
    int argc;

    snprintf(copy, sizeof(copy), "%s", line);
    argc = cli_split(copy, argv, 16);
    r->status = cli_run(&cli, argc, argv);
    run_end(&cli);
}

static void run_free(struct run *r)
{
    free(r->out);
    free(r->err);
}

static void an_answer_is_printed_as_text_or_as_it_came(void **state)
{
    static const char *const replies[] = {"{\"ok\":true,\"reset\":2}\n",
                                          "{\"ok\":true,\"reset\":2}\n", NULL};
    struct server s;
    struct run r;

    server_start(&s, replies);
    run(&r, s.path, false, "reset-session upstream");
    assert_int_equal(r.status, CLI_OK);
    assert_string_equal(r.out,
                        "2 connections will be reset with the next segment from the peer.\n");
    assert_string_equal(r.err, "");
    run_free(&r);
    run(&r, s.path, false, "reset-session upstream --json");
    assert_int_equal(r.status, CLI_OK);
    assert_string_equal(r.out, "{\n  \"ok\": true,\n  \"reset\": 2\n}\n");
    run_free(&r);
    server_stop(&s);
    assert_string_equal(s.requests, "{\"op\":\"reset-session\",\"name\":\"upstream\"}\n"
                                    "{\"op\":\"reset-session\",\"name\":\"upstream\"}\n");
}

static void arguments_become_fields(void **state)
{
    static const char *const replies[] = {"{\"ok\":true}\n", "{\"ok\":true}\n", "{\"ok\":true}\n",
                                          NULL};
    struct server s;
    struct run r;

    server_start(&s, replies);
    run(&r, s.path, false, "show tcp-ao session 2001:db8::1 detail");
    run_free(&r);
    run(&r, s.path, false, "sh key-chain det");
    run_free(&r);
    run(&r, s.path, false, "clear counters");
    assert_string_equal(r.out, "ok\n");
    run_free(&r);
    server_stop(&s);
    assert_string_equal(s.requests,
                        "{\"op\":\"show-session\",\"name\":\"2001:db8::1\",\"detail\":true}\n"
                        "{\"op\":\"show-key-chain\",\"detail\":true}\n"
                        "{\"op\":\"clear\"}\n");
}

/* Of a session whose keys IKE makes, both layers are asked; what IKE says comes behind what it is
 * the reason of. */
static void an_explanation_is_of_both_layers(void **state)
{
    static const char engine[] =
        "{\"ok\":true,\"explanations\":[{\"session\":\"a\",\"ike_peer\":null,\"headline\":\"A.\","
        "\"findings\":[{\"cause\":\"no-keys\",\"summary\":\"None.\"}]},"
        "{\"session\":\"b\",\"ike_peer\":\"paris\",\"headline\":\"B.\","
        "\"findings\":[{\"cause\":\"no-keys\",\"summary\":\"No key.\"},"
        "{\"cause\":\"no-packets\",\"summary\":\"No packets.\"}]}]}\n";
    static const char ike[] =
        "{\"ok\":true,\"explanations\":[{\"session\":\"paris\",\"headline\":\"P.\","
        "\"findings\":[{\"cause\":\"ike-no-way\",\"summary\":\"No way.\"},"
        "{\"cause\":\"ike-no-answer\",\"summary\":\"Silence.\"}]}]}\n";
    static const char *const replies[] = {engine, ike, engine,
                                          "{\"ok\":false,\"error\":\"it starts again\"}\n", NULL};
    struct server s;
    struct run r;

    server_start(&s, replies);
    run(&r, s.path, false, "explain b");
    assert_int_equal(r.status, CLI_OK);
    assert_string_equal(r.out, "A.\n\n 1. None.\n\nB.\n\n 1. No key.\n\n 2. IKE: No way.\n\n"
                               " 3. IKE: Silence.\n\n 4. No packets.\n");
    run_free(&r);
    run(&r, s.path, false, "explain b");
    assert_string_equal(r.out, "A.\n\n 1. None.\n\nB.\n\n 1. No key.\n\n 2. No packets.\n");
    run_free(&r);
    server_stop(&s);
    assert_string_equal(s.requests, "{\"op\":\"explain\",\"name\":\"b\"}\n"
                                    "{\"op\":\"explain\",\"keys_of\":\"b\"}\n"
                                    "{\"op\":\"explain\",\"name\":\"b\"}\n"
                                    "{\"op\":\"explain\",\"keys_of\":\"b\"}\n");
}

static void a_refusal_is_status_1(void **state)
{
    static const char *const replies[] = {
        "{\"ok\":false,\"error\":\"no session is named \\\"x\\\"\",\"remedy\":\"look\"}\n", NULL};
    struct server s;
    struct run r;

    server_start(&s, replies);
    run(&r, s.path, false, "explain x");
    assert_int_equal(r.status, CLI_REFUSED);
    assert_string_equal(r.out, "");
    assert_string_equal(r.err, "gatectl: no session is named \"x\"\n  look\n");
    run_free(&r);
    server_stop(&s);
}

static void wrong_usage_is_status_2_and_asks_nobody(void **state)
{
    static const char *const lines[] = {"explain", "show status now", "reset-session a b",
                                        "monitor a b", "dance"};
    struct run r;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        run(&r, "/nonexistent/socket", false, lines[i]);
        assert_int_equal(r.status, CLI_USAGE);
        assert_true(strlen(r.err) > 0);
        run_free(&r);
    }
}

static void nobody_there_is_status_3_with_a_remedy(void **state)
{
    static const char *const replies[] = {"", "not json\n", NULL};
    struct server s;
    struct run r;

    run(&r, "/nonexistent/socket", false, "show status");
    assert_int_equal(r.status, CLI_UNREACHABLE);
    assert_non_null(strstr(r.err, "cannot reach gatehoused at /nonexistent/socket"));
    assert_non_null(strstr(r.err, "systemctl status gatehouse"));
    run_free(&r);
    server_start(&s, replies);
    for (int i = 0; i < 2; i++) {
        run(&r, s.path, false, "show status");
        assert_int_equal(r.status, CLI_UNREACHABLE);
        assert_non_null(strstr(r.err, "without an answer"));
        run_free(&r);
    }
    server_stop(&s);
}

static void events_are_printed_until_the_daemon_goes(void **state)
{
    static const char *const replies[] = {
        "{\"ok\":true}\n"
        "{\"event\":\"key-changed\",\"time\":\"T1\",\"session\":\"upstream\",\"text\":\"one\"}\n"
        "{\"event\":\"key-changed\",\"time\":\"T2\",\"session\":\"fabric\",\"text\":\"two\"}\n",
        "{\"ok\":true}\n"
        "{\"event\":\"key-changed\",\"time\":\"T1\",\"session\":\"upstream\",\"text\":\"one\"}\n",
        NULL};
    struct server s;
    struct run r;

    server_start(&s, replies);
    run(&r, s.path, false, "monitor fabric");
    assert_int_equal(r.status, CLI_UNREACHABLE);
    assert_string_equal(r.out, "T2 key-changed fabric: two\n");
    assert_string_equal(r.err, "gatectl: gatehoused has gone\n");
    run_free(&r);
    run(&r, s.path, true, "monitor");
    assert_string_equal(r.out,
                        "{\"event\":\"key-changed\",\"time\":\"T1\",\"session\":\"upstream\","
                        "\"text\":\"one\"}\n");
    run_free(&r);
    server_stop(&s);
}

static void a_batch_runs_all_lines_and_returns_the_first_failure(void **state)
{
    static const char *const replies[] = {"{\"ok\":true}\n", "{\"ok\":false,\"error\":\"no\"}\n",
                                          "{\"ok\":true}\n", NULL};
    char lines[] =
        "# before work\nclear counters\n\nexplain x\n'open\nclear counters\nexit\nreload\n";
    FILE *in = fmemopen(lines, strlen(lines), "r");
    struct server s;
    struct run r;
    struct cli cli;

    server_start(&s, replies);
    cli = run_begin(&r, s.path, false);
    assert_int_equal(cli_batch(&cli, in), CLI_REFUSED);
    run_end(&cli);
    assert_string_equal(r.out, "ok\nok\n");
    run_free(&r);
    fclose(in);
    server_stop(&s);
}

static void join(void *ctx, const char *word)
{
    char *all = ctx;

    strcat(all, word);
    strcat(all, " ");
}

static void names_are_completed_from_the_daemon(void **state)
{
    static const char *const replies[] = {
        "{\"ok\":true,\"sessions\":[{\"name\":\"upstream\"},{\"name\":\"fabric\"}]}\n",
        "{\"ok\":true,\"peers\":[{\"name\":\"uplink\"},{\"name\":\"branch\"}]}\n",
        "{\"ok\":true,\"key_chains\":[{\"name\":\"core\"},{\"name\":\"edge\"}]}\n",
        "{\"ok\":true,\"sas\":[{\"id\":17},{\"id\":23}]}\n", NULL};
    char explain[] = "explain", up[] = "up", show[] = "show", chain[] = "key-chain", none[] = "";
    char ike[] = "ike", rekey[] = "rekey", sa[] = "sa", one[] = "1";
    char *first[] = {explain, up}, *second[] = {show, chain, none},
         *third[] = {ike, rekey, sa, one};
    char all[256] = "";
    struct server s;
    struct cli cli;

    server_start(&s, replies);
    cli = (struct cli){.socket = s.path};
    cli_candidates(&cli, 2, first, join, all);
    assert_string_equal(all, "upstream uplink ");
    all[0] = '\0';
    cli_candidates(&cli, 3, second, join, all);
    assert_string_equal(all, "detail core edge ");
    all[0] = '\0';
    cli_candidates(&cli, 4, third, join, all);
    assert_string_equal(all, "17 ");
    server_stop(&s);
    all[0] = '\0';
    cli_candidates(&cli, 2, first, join, all);
    assert_string_equal(all, "");
}

static void several_answers_in_one_piece_are_told_apart(void **state)
{
    struct cli_client c;
    int ends[2];
    json_t *object;
    static const char both[] = "{\"a\":1}\n{\"a\":2}\n{\"a\":";

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cli_client_adopt(&c, ends[0]);
    assert_int_equal(write(ends[1], both, strlen(both)), strlen(both));
    for (int i = 1; i <= 2; i++) {
        object = cli_client_receive(&c);
        assert_int_equal(json_integer_value(json_object_get(object, "a")), i);
        json_decref(object);
    }
    close(ends[1]);
    assert_null(cli_client_receive(&c));
    cli_client_close(&c);
}

static void a_long_answer_arrives_whole(void **state)
{
    enum { ITEMS = 20000 };
    char *reply = malloc(ITEMS * 8 + 64), *p = reply;
    const char *replies[] = {reply, NULL};
    struct server s;
    struct run r;

    p += sprintf(p, "{\"ok\":true,\"list\":[0");
    for (int i = 1; i < ITEMS; i++)
        p += sprintf(p, ",%d", i);
    sprintf(p, "]}\n");
    server_start(&s, replies);
    run(&r, s.path, true, "show status");
    assert_int_equal(r.status, CLI_OK);
    assert_non_null(strstr(r.out, "19999"));
    run_free(&r);
    server_stop(&s);
    free(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_printed_as_text_or_as_it_came),
        cmocka_unit_test(arguments_become_fields),
        cmocka_unit_test(an_explanation_is_of_both_layers),
        cmocka_unit_test(a_refusal_is_status_1),
        cmocka_unit_test(wrong_usage_is_status_2_and_asks_nobody),
        cmocka_unit_test(nobody_there_is_status_3_with_a_remedy),
        cmocka_unit_test(events_are_printed_until_the_daemon_goes),
        cmocka_unit_test(a_batch_runs_all_lines_and_returns_the_first_failure),
        cmocka_unit_test(names_are_completed_from_the_daemon),
        cmocka_unit_test(several_answers_in_one_piece_are_told_apart),
        cmocka_unit_test(a_long_answer_arrives_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

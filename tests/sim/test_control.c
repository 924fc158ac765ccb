/*
 * The control protocol over a real engine with real connections, and what gatectl makes of it.
 *
 * Texts are compared with tests/golden/NAME.txt; GATEHOUSE_GOLDEN=write writes them anew.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/render.h"
#include "config/config.h"
#include "control/control.h"
#include "sim/world.h"

static const char config_text[] =
    "key-chain core {\n"
    "    tolerance = 3600\n"
    "    key 1 { send-id = 3  recv-id = 8  algorithm = \"hmac-sha-1-96\"  secret = "
    "\"sesame-open\"\n"
    "            send-lifetime = \"2025-12-01T00:00:00Z/2026-01-11T00:00:00Z\" }\n"
    "    key 2 { send-id = 4  recv-id = 9  algorithm = \"aes-128-cmac-96\"  secret = "
    "\"sesame-two\"\n"
    "            send-lifetime = \"2026-01-10T00:00:00Z/2026-01-20T00:00:00Z\" }\n"
    "}\n"
    "key-chain spare {\n"
    "    key 7 { send-id = 7  recv-id = 7  algorithm = \"hmac-sha-256-128\"  secret = "
    "\"sesame-x\"\n"
    "            send-lifetime = \"infinite\" }\n"
    "}\n"
    "tcp-ao upstream { peer = \"192.0.2.2\"  port = 179  key-chain = core\n"
    "                  description = \"transit\" }\n"
    "tcp-ao fabric { peer = \"198.51.100.0/24\"  port = 179  key-chain = spare\n"
    "                mode = \"allow-without-ao\"  direction = \"passive\" }\n";

struct scene {
    struct world *world;
    struct gh_config *config;
    struct gh_control_view view;
};

static void set_policies(struct scene *s)
{
    struct ao_policy list[4] = {0};
    struct tcpao_chain *chains[4];

    for (size_t i = 0; i < s->config->session_count; i++) {
        const struct gh_session *c = &s->config->sessions[i];

        chains[i] = gh_key_chain_build(&s->config->chains[c->chain]);
        list[i] = (struct ao_policy){.name = c->name,
                                     .chain_name = s->config->chains[c->chain].name,
                                     .chain = chains[i],
                                     .peer = c->peer,
                                     .port = c->port,
                                     .mode = (enum ao_mode)c->mode,
                                     .direction = (enum ao_direction)c->direction};
    }
    assert_true(ao_engine_set_policies(s->world->side[0].engine, side_now(&s->world->side[0]), list,
                                       s->config->session_count));
    for (size_t i = 0; i < s->config->session_count; i++)
        tcpao_chain_put(chains[i]);
}

/* Our side as configured above; the peer has key 1 with the given secret. */
static void scene_open(struct scene *s, const char *peer_secret)
{
    struct gh_problems problems = {0};
    struct tcpao_mkt theirs = test_key(1, 8, 3, peer_secret, TCPAO_TIME_MIN, TCPAO_TIME_MAX);
    struct tcpao_chain *chain = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE);

    s->config = gh_config_parse("t.conf", config_text, strlen(config_text), NULL, &problems);
    if (s->config == NULL)
        gh_problems_print(&problems, stderr);
    assert_non_null(s->config);
    gh_problems_clear(&problems);
    s->world = world_new(7, false);
    set_policies(s);
    assert_int_equal(tcpao_chain_add(chain, &theirs, NULL), TCPAO_CHAIN_OK);
    side_protect(&s->world->side[1], chain, "theirs", AO_REQUIRED);
    tcpao_chain_put(chain);
    s->view = (struct gh_control_view){.config = s->config,
                                       .engine = s->world->side[0].engine,
                                       .version = "1.2.3",
                                       .started = side_now(&s->world->side[0])};
    toy_connect(&s->world->side[0].tcp, s->world->now_ms);
    world_run(s->world, s->world->now_ms + 10000);
}

static void scene_close(struct scene *s)
{
    world_free(s->world);
    gh_config_free(s->config);
}

static json_t *ask(const struct scene *s, const char *line)
{
    json_t *refusal, *request = gh_control_parse(line, strlen(line), &refusal), *answer;
    char *text;

    assert_non_null(request);
    assert_null(refusal);
    answer = gh_control_handle(&s->view, side_now(&s->world->side[0]), request);
    assert_non_null(answer);
    text = json_dumps(answer, 0);
    assert_null(strstr(text, "sesame")); /* no answer ever holds a secret */
    free(text);
    json_decref(request);
    return answer;
}

static json_t *ask_well(const struct scene *s, const char *line)
{
    json_t *answer = ask(s, line);

    if (!json_is_true(json_object_get(answer, "ok")))
        fail_msg("%s: %s", line, json_string_value(json_object_get(answer, "error")));
    return answer;
}

/* ---- Golden texts --------------------------------------------------------------------------- */

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 65536);

    assert_non_null(text);
    if (f != NULL) {
        assert_true(fread(text, 1, 65535, f) < 65535);
        fclose(f);
    }
    return text;
}

static void compare(const char *name, const char *text)
{
    const char *source = getenv("GATEHOUSE_SOURCE"), *mode = getenv("GATEHOUSE_GOLDEN");
    char path[4096], *expected;
    FILE *f;

    snprintf(path, sizeof(path), "%s/tests/golden/%s.txt", source != NULL ? source : ".", name);
    if (mode != NULL && strcmp(mode, "write") == 0) {
        f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
    }
    expected = read_all(path);
    if (strcmp(expected, text) != 0)
        fail_msg("%s differs; now it is:\n%s", path, text);
    free(expected);
}

static void golden(const struct scene *s, const char *name, const char *line, bool detail)
{
    json_t *answer = ask_well(s, line);
    json_error_t error;
    json_t *request = json_loads(line, 0, &error);
    char *text = NULL;
    size_t len;
    struct cli_render r = {.out = open_memstream(&text, &len), .width = 100, .detail = detail};

    cli_renderer(gh_control_op(request))(&r, answer);
    fclose(r.out);
    compare(name, text);
    free(text);
    json_decref(request);
    json_decref(answer);
}

/* ---- Sockets, and what the kernel carries ---------------------------------------------------- */

/* A listener for two peers, the world's and another one, in place of the configured session. */
static void give_socket(struct scene *s)
{
    struct side *side = &s->world->side[0];
    struct tcpao_mkt key = test_key(5, 3, 8, "sesame-open", TCPAO_TIME_MIN, TCPAO_TIME_MAX);
    struct ao_socket_flow f[2] = {{.zone_name = "",
                                   .name = "bird[812] *:40000",
                                   .local_port = side->tcp.me.port,
                                   .chain = tcpao_chain_new(0)}};

    assert_int_equal(tcpao_chain_add(f[0].chain, &key, NULL), TCPAO_CHAIN_OK);
    f[0].peer.addr = gh_addr_from(side->tcp.peer.addr, 4);
    f[0].peer.bits = 32;
    f[1] = f[0];
    f[1].peer.addr.octets[3] = 77;
    assert_true(ao_engine_set_socket(side->engine, side_now(side), 1, f, 2));
    tcpao_chain_put(f[0].chain);
}

static void tell_of_the_kernel(struct scene *s)
{
    struct side *side = &s->world->side[0];
    uint64_t counters[AO_COUNTERS] = {[TCPAO_OK] = 12, [AO_COUNT_SIGNED] = 11};
    struct ao_foreign f = {
        .session = "fabric",
        .local = side->tcp.me,
        .remote = side->tcp.peer,
        .state = AO_STATE_ESTABLISHED,
        .conn = {.current_known = true, .current_key = 7, .rnext_known = true, .rnext_key = 7},
        .segments_in = 12,
        .segments_out = 11,
        .octets_in = 1200,
        .octets_out = 1100,
        .counters = counters};

    memcpy(f.remote.addr, (uint8_t[]){198, 51, 100, 9}, 4);
    f.local.port = 179;
    assert_true(ao_engine_foreign(side->engine, side_now(side), &f));
    ao_engine_foreign_refusals(side->engine, side_now(side), "fabric", TCPAO_UNKNOWN_KEYID, 3);
}

static void sockets_and_the_kernel_s_connections_are_shown(void **state)
{
    struct scene s;
    json_t *answer, *session;
    const char *backend;

    scene_open(&s, "sesame-open");
    give_socket(&s);
    s.world->side[0].tcp.state = TOY_CLOSED; /* the next life is the socket's */
    s.world->side[0].tcp.iss += 1000000;
    s.world->side[1].tcp.state = TOY_LISTEN;
    toy_connect(&s.world->side[0].tcp, s.world->now_ms);
    world_run(s.world, s.world->now_ms + 5000);
    assert_int_equal(s.world->side[0].tcp.state, TOY_ESTABLISHED);
    tell_of_the_kernel(&s);
    golden(&s, "session-sockets", "{\"op\":\"show-session\"}", false);
    golden(&s, "session-socket-detail",
           "{\"op\":\"show-session\",\"name\":\"bird[812] *:40000\",\"detail\":true}", true);
    golden(&s, "session-kernel-detail",
           "{\"op\":\"show-session\",\"name\":\"fabric\",\"detail\":true}", true);
    golden(&s, "explain-kernel", "{\"op\":\"explain\",\"name\":\"fabric\"}", false);

    answer = ask_well(&s, "{\"op\":\"show-session\",\"peer\":\"192.0.2.77\"}");
    assert_int_equal(json_array_size(json_object_get(answer, "sessions")), 1);
    session = json_array_get(json_object_get(answer, "sessions"), 0);
    assert_true(json_is_true(json_object_get(session, "own_keys")));
    assert_string_equal(json_string_value(json_object_get(session, "peer")), "192.0.2.77");
    json_decref(answer);
    answer = ask_well(&s, "{\"op\":\"show-session\",\"name\":\"fabric\"}");
    assert_int_equal(json_unpack(answer, "{s:[{s:b, s:[{s:s}]}]}", "sessions", "own_keys",
                                 &(int){1}, "connections", "backend", &backend),
                     0);
    assert_string_equal(backend, "kernel");
    json_decref(answer);
    answer = ask_well(&s, "{\"op\":\"show-status\"}");
    session = json_object_get(answer, "sessions");
    assert_int_equal(json_integer_value(json_object_get(session, "sockets")), 1);
    assert_int_equal(json_integer_value(json_object_get(session, "configured")), 2);
    json_decref(answer);

    /* To be explained there must be a configuration; to be reset there need not. */
    answer = ask(&s, "{\"op\":\"explain\",\"name\":\"bird[812] *:40000\"}");
    assert_true(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
    answer = ask(&s, "{\"op\":\"explain\",\"peer\":\"192.0.2.77\"}");
    assert_true(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
    answer = ask(&s, "{\"op\":\"show-session\",\"peer\":\"192.0.2.78\"}");
    assert_true(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
    answer = ask_well(&s, "{\"op\":\"reset-session\",\"name\":\"bird[812] *:40000\"}");
    assert_int_equal(json_integer_value(json_object_get(answer, "reset")), 1);
    json_decref(answer);
    json_decref(ask_well(&s, "{\"op\":\"clear\",\"name\":\"bird[812] *:40000\"}"));
    answer = ask_well(&s, "{\"op\":\"show-session\",\"name\":\"bird[812] *:40000\"}");
    session = json_array_get(json_object_get(answer, "sessions"), 0);
    assert_int_equal(json_object_size(json_object_get(session, "counters")), 0);
    json_decref(answer);
    scene_close(&s);
}

/* ---- A session that is up ------------------------------------------------------------------- */

static void shows_of_a_session_that_is_up(void **state)
{
    struct scene s;

    scene_open(&s, "sesame-open");
    assert_int_equal(s.world->side[0].tcp.state, TOY_ESTABLISHED);
    toy_write(&s.world->side[0].tcp, s.world->now_ms, 5000);
    world_run(s.world, 3725000);
    golden(&s, "key-chain", "{\"op\":\"show-key-chain\"}", false);
    golden(&s, "key-chain-detail", "{\"op\":\"show-key-chain\"}", true);
    golden(&s, "key-table", "{\"op\":\"show-key-table\"}", false);
    golden(&s, "key-table-detail", "{\"op\":\"show-key-table\",\"name\":\"upstream\"}", true);
    golden(&s, "session", "{\"op\":\"show-session\"}", false);
    golden(&s, "session-detail", "{\"op\":\"show-session\",\"name\":\"upstream\",\"detail\":true}",
           true);
    golden(&s, "counters", "{\"op\":\"show-counters\"}", false);
    golden(&s, "counters-detail", "{\"op\":\"show-counters\",\"name\":\"fabric\"}", true);
    golden(&s, "status", "{\"op\":\"show-status\"}", false);
    golden(&s, "explain-up", "{\"op\":\"explain\",\"name\":\"upstream\"}", false);
    golden(&s, "explain-waiting", "{\"op\":\"explain\",\"peer\":\"198.51.100.7\"}", false);
    scene_close(&s);
}

static void the_json_of_a_session_that_is_up(void **state)
{
    struct scene s;
    json_t *answer;
    const char *name, *peer, *where, *local, *remote, *type, *connection, *auth, *chain, *algorithm;
    int in, out, current, rnext, keyid, rnextkeyid;
    json_int_t isn, uptime;

    scene_open(&s, "sesame-open");
    answer = ask_well(&s, "{\"op\":\"show-session\",\"name\":\"192.0.2.2\",\"detail\":true}");
    assert_int_equal(
        json_unpack(answer,
                    "{s:[{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:I, s:i, s:i, s:{s:s, s:s, s:s}, "
                    "s:{s:{s:i}, s:{s:i}, s:i, s:i}, s:{s:I}}!]}!]}",
                    "sessions", "name", &name, "peer", &peer, "state", &where, "connections",
                    "local", &local, "remote", &remote, "type", &type, "state", &connection,
                    "uptime", &uptime, "segments_in", &in, "segments_out", &out, "authentication",
                    "type", &auth, "key_chain", &chain, "algorithm", &algorithm, "keys", "current",
                    "key", &current, "rnext", "key", &rnext, "peer_keyid", &keyid,
                    "peer_rnextkeyid", &rnextkeyid, "sequence", "local_isn", &isn),
        0);
    assert_string_equal(name, "upstream");
    assert_string_equal(peer, "192.0.2.2");
    assert_string_equal(where, "up");
    assert_string_equal(local, "192.0.2.1:40000");
    assert_string_equal(remote, "192.0.2.2:179");
    assert_string_equal(type, "active");
    assert_string_equal(connection, "established");
    assert_string_equal(auth, "TCP-Auth-Option");
    assert_string_equal(chain, "core");
    assert_string_equal(algorithm, "hmac-sha-1-96");
    assert_int_equal(current, 1);
    assert_int_equal(rnext, 1);
    assert_int_equal(keyid, 8);
    assert_int_equal(rnextkeyid, 3);
    assert_true(isn == 0xfffffe00);
    assert_true(in > 0 && out > 0 && uptime > 0);
    json_decref(answer);
    scene_close(&s);
}

/* ---- A session that is refused -------------------------------------------------------------- */

static void a_wrong_key_is_explained(void **state)
{
    struct scene s;
    struct toy *peer;
    json_t *answer;
    struct ao_engine *theirs;
    const char *verdict, *cause, *way;

    scene_open(&s, "another-secret");
    assert_int_not_equal(s.world->side[0].tcp.state, TOY_ESTABLISHED);
    answer = ask_well(&s, "{\"op\":\"explain\",\"peer\":\"192.0.2.2\"}");
    assert_int_equal(json_unpack(answer, "{s:[{s:s, s:[{s:s}]}!]}", "explanations", "verdict",
                                 &verdict, "findings", "cause", &cause),
                     0);
    assert_string_equal(verdict, "opening");
    assert_string_equal(cause, "silent-peer"); /* it refuses our SYNs in silence, as it must */
    json_decref(answer);

    /* Now the peer opens: its SYN carries a wrong MAC. */
    peer = &s.world->side[1].tcp;
    peer->state = TOY_CLOSED;
    toy_connect(peer, s.world->now_ms);
    world_run(s.world, s.world->now_ms + 1000);
    answer = ask_well(&s, "{\"op\":\"explain\",\"name\":\"upstream\"}");
    assert_int_equal(
        json_unpack(answer, "{s:[{s:[{s:s}]}!]}", "explanations", "findings", "cause", &cause), 0);
    assert_string_equal(cause, "wrong-key");
    json_decref(answer);
    golden(&s, "explain-wrong-key", "{\"op\":\"explain\",\"name\":\"upstream\"}", false);
    golden(&s, "session-refused", "{\"op\":\"show-session\",\"name\":\"upstream\"}", true);

    /* The peer's engine goes: what it sends has no option. The last refusal is shown. */
    theirs = s.world->side[1].engine;
    s.world->side[1].engine = NULL;
    world_run(s.world, s.world->now_ms + 5000);
    toy_emit(peer, 0x10, 1, 0);
    world_run(s.world, s.world->now_ms + 1000);
    s.world->side[1].engine = theirs;
    answer = ask_well(&s, "{\"op\":\"show-session\",\"name\":\"upstream\"}");
    assert_int_equal(json_unpack(answer, "{s:[{s:{s:s, s:s}}]}", "sessions", "last_refusal",
                                 "reason", &cause, "way", &way),
                     0);
    assert_string_equal(cause, "missing-ao");
    assert_string_equal(way, "in");
    json_decref(answer);
    scene_close(&s);
}

/* ---- Changes -------------------------------------------------------------------------------- */

static uint64_t signed_segments(const struct scene *s)
{
    return ao_engine_counters(s->world->side[0].engine)[AO_COUNT_SIGNED];
}

static json_int_t session_counter(const struct scene *s, const char *counter)
{
    json_t *answer = ask_well(s, "{\"op\":\"show-counters\",\"name\":\"upstream\"}");
    json_t *session = json_array_get(json_object_get(answer, "sessions"), 0);
    json_int_t n =
        json_integer_value(json_object_get(json_object_get(session, "counters"), counter));

    json_decref(answer);
    return n;
}

static void counters_are_cleared(void **state)
{
    struct scene s;

    scene_open(&s, "sesame-open");
    assert_true(session_counter(&s, "signed") > 0);
    json_decref(ask_well(&s, "{\"op\":\"clear\",\"name\":\"upstream\"}"));
    assert_int_equal(session_counter(&s, "signed"), 0);
    assert_true(signed_segments(&s) > 0);
    json_decref(ask_well(&s, "{\"op\":\"clear\"}"));
    assert_int_equal(signed_segments(&s), 0);
    scene_close(&s);
}

static void a_session_is_reset(void **state)
{
    struct scene s;
    json_t *answer;

    scene_open(&s, "sesame-open");
    answer = ask_well(&s, "{\"op\":\"reset-session\",\"name\":\"fabric\"}");
    assert_int_equal(json_integer_value(json_object_get(answer, "reset")), 0);
    json_decref(answer);
    answer = ask_well(&s, "{\"op\":\"reset-session\",\"peer\":\"192.0.2.2\"}");
    assert_int_equal(json_integer_value(json_object_get(answer, "reset")), 1);
    json_decref(answer);
    toy_write(&s.world->side[1].tcp, s.world->now_ms, 100);
    world_run(s.world, s.world->now_ms + 1000);
    assert_int_equal(s.world->side[0].tcp.resets, 1);
    scene_close(&s);
}

/* ---- What is refused ------------------------------------------------------------------------ */

static void requests_that_make_no_sense(void **state)
{
    static const struct {
        const char *line, *error;
    } cases[] = {
        {"{\"op\":\"dance\"}", "unknown op"},
        {"{\"op\":\"explain\"}", "is needed"},
        {"{\"op\":\"reset-session\"}", "is needed"},
        {"{\"op\":\"explain\",\"name\":7}", "must be a string"},
        {"{\"op\":\"explain\",\"peer\":\"upstream\"}", "not an address"},
        {"{\"op\":\"explain\",\"peer\":\"203.0.113.1\"}", "no session covers the peer"},
        {"{\"op\":\"explain\",\"name\":\"nobody\"}", "no session is named"},
        {"{\"op\":\"show-session\",\"name\":\"fabric\",\"peer\":\"192.0.2.2\"}",
         "no session fabric covers"},
        {"{\"op\":\"show-key-chain\",\"name\":\"nothing\"}", "no key chain is named"},
        {"{\"op\":\"clear\",\"name\":\"nobody\"}", "no session is named"},
    };
    struct scene s;

    scene_open(&s, "sesame-open");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *answer = ask(&s, cases[i].line);
        const char *error = json_string_value(json_object_get(answer, "error"));

        assert_true(json_is_false(json_object_get(answer, "ok")));
        if (error == NULL || strstr(error, cases[i].error) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].line, error, cases[i].error);
        json_decref(answer);
    }
    scene_close(&s);
}

static void the_configuration_is_shown_without_secrets(void **state)
{
    struct scene s;
    json_t *answer;
    const char *text;

    scene_open(&s, "sesame-open");
    answer = ask_well(&s, "{\"op\":\"show-configuration\"}");
    text = json_string_value(json_object_get(answer, "text"));
    assert_non_null(strstr(text, "core"));
    assert_null(strstr(text, "sesame"));
    json_decref(answer);
    scene_close(&s);
}

static void a_session_that_the_engine_does_not_have(void **state)
{
    struct scene s;
    json_t *answer;
    const char *cause;

    scene_open(&s, "sesame-open");
    assert_true(ao_engine_set_policies(s.view.engine, side_now(&s.world->side[0]), NULL, 0));
    answer = ask_well(&s, "{\"op\":\"explain\",\"name\":\"upstream\"}");
    assert_int_equal(
        json_unpack(answer, "{s:[{s:[{s:s}]}]}", "explanations", "findings", "cause", &cause), 0);
    assert_string_equal(cause, "not-loaded");
    json_decref(answer);
    golden(&s, "status-not-loaded", "{\"op\":\"show-status\"}", false);
    scene_close(&s);
}

/* ---- Status through the life of a chain ----------------------------------------------------- */

static bool warns(const struct scene *s, const char *kind)
{
    json_t *answer = ask_well(s, "{\"op\":\"show-status\"}"), *w;
    bool found = false;
    size_t i;

    json_array_foreach(json_object_get(answer, "warnings"), i, w) found |=
        strcmp(json_string_value(json_object_get(w, "kind")), kind) == 0;
    json_decref(answer);
    return found;
}

static void status_warns_of_chains_and_modes(void **state)
{
    struct scene s;
    const uint64_t day = 86400;

    scene_open(&s, "sesame-open");
    assert_true(warns(&s, "allow-without-ao"));
    assert_true(warns(&s, "chain-expiring")); /* 19 days left, 30 are the first warning */
    assert_false(warns(&s, "chain-expired"));
    s.world->epoch -= 20 * (int64_t)day;
    assert_false(warns(&s, "chain-expiring"));
    s.world->epoch -= 20 * (int64_t)day;
    assert_true(warns(&s, "chain-gap"));
    s.world->epoch += 60 * (int64_t)day;
    assert_true(warns(&s, "chain-expired"));
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_of_a_session_that_is_up),
        cmocka_unit_test(the_json_of_a_session_that_is_up),
        cmocka_unit_test(sockets_and_the_kernel_s_connections_are_shown),
        cmocka_unit_test(a_wrong_key_is_explained),
        cmocka_unit_test(counters_are_cleared),
        cmocka_unit_test(a_session_is_reset),
        cmocka_unit_test(requests_that_make_no_sense),
        cmocka_unit_test(the_configuration_is_shown_without_secrets),
        cmocka_unit_test(a_session_that_the_engine_does_not_have),
        cmocka_unit_test(status_warns_of_chains_and_modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

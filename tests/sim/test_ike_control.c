/* What the operator is told of IKE, and what he can order: the control protocol on whole cores. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ike.h"
#include "ike/codes.h"
#include "ike_world.h"
#include "cli/render.h"
#include "cli/tunnel.h"
#include "control/control.h"
#include "unit.h"

/* The first host, as its operator sees it. */
struct desk {
    struct ike_world *w;
    struct gh_ike_notes *notes;
    struct gh_ike_socket_view sockets[2];
    uint64_t udp[GH_IKE_UDP_COUNT];
    bool no_keeper;
    struct gk *gatekeeper;
};

static void desk_start(struct desk *d)
{
    *d = (struct desk){.w = ike_world_new(7, 2),
                       .notes = gh_ike_notes_new(),
                       .sockets = {{.port = 500, .open = true}, {.port = 4500, .open = true}}};
    ike_world_policy(d->w, 0, 1);
    ike_world_policy(d->w, 1, 0);
}

static void desk_configure(struct desk *d)
{
    ike_world_configure(d->w, 0);
    ike_world_configure(d->w, 1);
    gh_ike_notes_keep(d->notes, d->w->hosts[0].policies, 1);
}

static void desk_end(struct desk *d)
{
    gh_ike_notes_free(d->notes);
    ike_world_free(d->w);
}

static void desk_run(struct desk *d, uint64_t ms)
{
    ike_world_run(d->w, ms);
    gh_ike_notes_look(d->notes, d->w->hosts[0].core);
}

/* A new reference. */
static json_t *ask(struct desk *d, const char *line)
{
    const struct ike_host *h = &d->w->hosts[0];
    const struct gh_ike_view view = {.core = h->core,
                                     .policies = h->policies,
                                     .policy_count = h->policy_count,
                                     .sockets = d->sockets,
                                     .socket_count = 2,
                                     .udp = d->udp,
                                     .notes = d->notes,
                                     .keeper = !d->no_keeper,
                                     .keeper_waiting = d->no_keeper,
                                     .gatekeeper = d->gatekeeper};
    json_t *request = json_loads(line, 0, NULL), *answer;

    assert_non_null(request);
    answer = gh_ike_handle(&view, d->w->now, request);
    assert_non_null(answer);
    json_decref(request);
    return answer;
}

static void assert_good(struct desk *d, const char *line)
{
    json_t *answer = ask(d, line);

    assert_true(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
}

static void assert_refused(struct desk *d, const char *line, const char *words)
{
    json_t *answer = ask(d, line);

    assert_true(json_is_false(json_object_get(answer, "ok")));
    assert_non_null(strstr(json_string_value(json_object_get(answer, "error")), words));
    json_decref(answer);
}

static void initiate(struct desk *d)
{
    assert_good(d, "{\"op\":\"ike-initiate\",\"name\":\"to-1\",\"child\":\"net\"}");
}

static const json_t *first(const json_t *answer, const char *list)
{
    return json_array_get(json_object_get(answer, list), 0);
}

static const char *text(const json_t *object, const char *field)
{
    const char *value = json_string_value(json_object_get(object, field));

    return value != NULL ? value : "";
}

static json_int_t number(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

/* ---- Showing -------------------------------------------------------------------------------- */

static void what_is_up_is_shown(void **state)
{
    struct desk d;
    json_t *answer;
    const json_t *x;

    desk_start(&d);
    desk_configure(&d);
    initiate(&d);
    desk_run(&d, 5000);
    answer = ask(&d, "{\"op\":\"show-ike-sa\",\"detail\":true}");
    x = first(answer, "sas");
    assert_string_equal(text(x, "peer"), "to-1");
    assert_string_equal(text(x, "state"), "established");
    assert_string_equal(text(x, "role"), "initiator");
    assert_int_equal(strlen(text(x, "spi_i")), 16);
    assert_int_equal(number(x, "uptime"), 4);
    assert_true(number(x, "rekey_in") > 0);
    assert_true(number(x, "expires_in") >= number(x, "rekey_in"));
    assert_int_equal(number(x, "children"), 1);
    assert_int_equal(json_array_size(json_object_get(x, "child_sas")), 1);
    json_decref(answer);
    answer = ask(&d, "{\"op\":\"show-ike-peer\"}");
    x = first(answer, "peers");
    assert_string_equal(text(x, "state"), "up");
    assert_int_equal(number(x, "sas"), 1);
    assert_true(json_is_null(json_object_get(x, "last_failure")));
    json_decref(answer);
    answer = ask(&d, "{\"op\":\"show-ike-statistics\"}");
    assert_int_equal(number(json_object_get(answer, "sas"), "established"), 1);
    assert_int_equal(json_array_size(json_object_get(answer, "failures")), 0);
    assert_int_equal(json_array_size(json_object_get(answer, "sockets")), 2);
    json_decref(answer);
    answer = ask(&d, "{\"op\":\"explain\",\"name\":\"to-1\"}");
    x = first(answer, "explanations");
    assert_string_equal(text(x, "verdict"), "up");
    assert_int_equal(json_array_size(json_object_get(x, "findings")), 0);
    json_decref(answer);
    desk_end(&d);
}

static void hex(const uint8_t *octets, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", octets[i]);
}

static void no_answer_has_a_key(void **state)
{
    static const char *const questions[] = {
        "{\"op\":\"show-ike-sa\",\"detail\":true}", "{\"op\":\"show-ike-child\"}",
        "{\"op\":\"show-ike-peer\"}", "{\"op\":\"show-ike-statistics\"}"};
    char in[2 * WORLD_KEY + 1], out[2 * WORLD_KEY + 1];
    const struct world_child *c;
    struct desk d;

    desk_start(&d);
    desk_configure(&d);
    initiate(&d);
    desk_run(&d, 1000);
    c = &d.w->hosts[0].child[0];
    assert_true(c->used && c->key_in_len > 8);
    hex(c->key_in, 8, in);
    hex(c->key_out, 8, out);
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        json_t *answer = ask(&d, questions[i]);
        char *all = json_dumps(answer, 0);

        assert_null(strstr(all, in));
        assert_null(strstr(all, out));
        free(all);
        json_decref(answer);
    }
    desk_end(&d);
}

static void names_choose(void **state)
{
    struct desk d;
    json_t *answer;
    char line[200], addr[GH_ADDR_TEXT];

    desk_start(&d);
    desk_configure(&d);
    initiate(&d);
    desk_run(&d, 1000);
    gh_addr_format(&d.w->hosts[1].addr, addr);
    snprintf(line, sizeof(line), "{\"op\":\"show-ike-sa\",\"name\":\"%s\"}", addr);
    answer = ask(&d, line);
    assert_int_equal(json_array_size(json_object_get(answer, "sas")), 1);
    json_decref(answer);
    assert_refused(&d, "{\"op\":\"show-ike-sa\",\"name\":\"nobody\"}", "no IKE peer");
    assert_refused(&d, "{\"op\":\"show-ike-sa\",\"name\":7}", "must be a string");
    assert_refused(&d, "{\"op\":\"explain\"}", "is needed");
    assert_refused(&d, "{\"op\":\"dance\"}", "unknown op");
    desk_end(&d);
}

/* ---- Commands ------------------------------------------------------------------------------- */

static void commands_reach_the_core(void **state)
{
    struct ike2_sa_view v = {.id = 0};
    struct desk d;
    json_t *answer;
    char line[200];

    desk_start(&d);
    desk_configure(&d);
    assert_refused(&d, "{\"op\":\"ike-initiate\",\"name\":\"to-1\",\"child\":\"x\"}", "no child");
    initiate(&d);
    desk_run(&d, 1000);
    assert_int_equal(ike_world_sas(&d.w->hosts[0], &v), 1);
    snprintf(line, sizeof(line), "{\"op\":\"ike-rekey-sa\",\"id\":%llu}", (unsigned long long)v.id);
    assert_good(&d, line);
    desk_run(&d, 1000);
    assert_int_equal(ike_world_sas(&d.w->hosts[0], &v), 1);
    assert_int_equal(v.rekeys, 1);
    answer = ask(&d, "{\"op\":\"show-ike-child\"}");
    snprintf(line, sizeof(line), "{\"op\":\"ike-terminate-child\",\"id\":%d}",
             (int)number(first(answer, "children"), "id"));
    json_decref(answer);
    assert_good(&d, line);
    desk_run(&d, 1000);
    assert_int_equal(ike_world_children(&d.w->hosts[1]), 0);
    assert_refused(&d, line, "there is no Child SA");
    answer = ask(&d, "{\"op\":\"ike-terminate-peer\",\"name\":\"to-1\"}");
    assert_int_equal(number(answer, "terminated"), 1);
    json_decref(answer);
    desk_run(&d, 1000);
    assert_int_equal(ike_world_sas(&d.w->hosts[1], NULL), 0);
    assert_refused(&d, "{\"op\":\"ike-rekey-sa\",\"id\":4711}", "there is no IKE SA 4711");
    assert_refused(&d, "{\"op\":\"ike-rekey-sa\",\"id\":-1}", "must be the number");
    assert_refused(&d, "{\"op\":\"ike-rekey-child\",\"id\":4294967297}", "must be the number");
    assert_refused(&d, "{\"op\":\"ike-terminate-sa\"}", "must be the number");
    desk_end(&d);
}

static void a_peer_is_sent_elsewhere(void **state)
{
    struct ike2_sa_view v = {.id = 0};
    struct desk d;
    json_t *answer;
    char line[200];

    desk_start(&d);
    d.w->hosts[1].policies[0]->redirects = true;
    desk_configure(&d);
    assert_true(ike2_initiate(d.w->hosts[1].core, d.w->now, "to-0", "net"));
    desk_run(&d, 1000);
    assert_int_equal(ike_world_sas(&d.w->hosts[0], &v), 1);
    answer = ask(&d, "{\"op\":\"show-ike-sa\",\"detail\":true}");
    assert_true(json_is_true(json_object_get(first(answer, "sas"), "can_redirect")));
    json_decref(answer);
    assert_refused(&d, "{\"op\":\"ike-redirect-peer\",\"name\":\"to-1\"}", "address of another");
    assert_refused(&d, "{\"op\":\"ike-redirect-peer\",\"name\":\"to-1\",\"to\":\"0.0.0.0\"}",
                   "address of another");
    assert_refused(&d, "{\"op\":\"ike-redirect-sa\",\"id\":4711,\"to\":\"192.0.2.9\"}",
                   "no IKE SA 4711");
    snprintf(line, sizeof(line), "{\"op\":\"ike-redirect-sa\",\"id\":%llu,\"to\":\"192.0.2.9\"}",
             (unsigned long long)v.id);
    assert_good(&d, line);
    desk_run(&d, 1000);
    answer = ask(&d, "{\"op\":\"show-ike-statistics\"}");
    assert_int_equal(number(json_object_get(answer, "counters"), "redirects-sent"), 1);
    json_decref(answer);
    assert_int_equal(ike2_counters(d.w->hosts[1].core)[IKE2_COUNT_REDIRECTED], 1);
    desk_end(&d);
}

static void who_cannot_go_is_not_sent(void **state)
{
    struct desk d;

    desk_start(&d);
    desk_configure(&d);
    initiate(&d);
    desk_run(&d, 1000);
    assert_refused(&d, "{\"op\":\"ike-redirect-peer\",\"name\":\"to-1\",\"to\":\"192.0.2.9\"}",
                   "no IKE SA of this peer");
    desk_end(&d);
}

/* ---- Why not? ------------------------------------------------------------------------------- */

/* The cause of the likeliest finding; its evidence holds `words`. */
static void assert_explained(struct desk *d, const char *verdict, const char *cause,
                             const char *words)
{
    json_t *answer = ask(d, "{\"op\":\"explain\",\"name\":\"to-1\"}");
    const json_t *x = first(answer, "explanations"), *f = first(x, "findings");

    assert_string_equal(text(x, "verdict"), verdict);
    assert_string_equal(text(f, "cause"), cause);
    if (strstr(text(f, "evidence"), words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, text(f, "evidence"));
    assert_true(json_array_size(json_object_get(f, "checks")) > 0);
    json_decref(answer);
}

static void silence_is_explained(void **state)
{
    struct desk d;

    desk_start(&d);
    desk_configure(&d);
    assert_explained(&d, "down", "ike-nobody-begins", "");
    d.w->hosts[1].dead = true;
    initiate(&d);
    desk_run(&d, 1000);
    assert_explained(&d, "opening", "ike-no-answer", "");
    desk_run(&d, 300000);
    assert_explained(&d, "down", "ike-no-answer", "ago");
    desk_end(&d);
}

static void a_redirect_that_is_not_followed_is_explained(void **state)
{
    struct ike2_policy *p;
    struct desk d;

    desk_start(&d);
    p = d.w->hosts[0].policies[0];
    p->redirects = true;
    p->follows_to = (struct gh_prefix){.addr = d.w->hosts[1].addr, .bits = 32};
    d.w->hosts[1].policies[0]->redirect_at = IKE2_REDIRECT_INIT;
    d.w->hosts[1].policies[0]->redirect_to = d.w->hosts[0].addr;
    desk_configure(&d);
    initiate(&d);
    desk_run(&d, 1000);
    assert_explained(&d, "opening", "ike-redirect", "is not followed");
    desk_end(&d);
}

/* One proposal that nobody else has. */
static void estrange(struct ike2_policy *p)
{
    struct ike_sa sa;

    ike_proposals_get(&p->proposals, &sa);
    for (size_t i = 0; i < sa.count; i++)
        for (size_t t = 0; t < sa.proposal[i].count; t++)
            if (sa.proposal[i].transform[t].type == IKE_T_ENCR) {
                sa.proposal[i].transform[t].id = IKE_ENCR_AES_CCM_8;
                sa.proposal[i].transform[t].key_bits = 192;
            }
    assert_true(ike_proposals_set(&p->proposals, &sa));
}

static void assert_no_proposal(struct desk *d, const char *verdict, const char *words)
{
    json_t *answer = ask(d, "{\"op\":\"show-ike-statistics\"}");
    const json_t *f = first(answer, "failures");

    assert_string_equal(text(f, "reason"), "no-proposal-chosen");
    assert_true(text(f, "text")[0] != '\0' && text(f, "time")[0] != '\0');
    json_decref(answer);
    answer = ask(d, "{\"op\":\"show-ike-peer\"}");
    f = json_object_get(first(answer, "peers"), "last_failure");
    assert_string_equal(text(f, "reason"), "no-proposal-chosen");
    json_decref(answer);
    assert_explained(d, verdict, "ike-no-proposal", words);
}

/* The peer's word is not proof: we go on asking. */
static void proposals_that_the_peer_refuses_are_explained(void **state)
{
    struct desk d;

    desk_start(&d);
    estrange(d.w->hosts[0].policies[0]);
    desk_configure(&d);
    initiate(&d);
    desk_run(&d, 1000);
    assert_no_proposal(&d, "opening", "NO_PROPOSAL_CHOSEN");
    desk_end(&d);
}

/* Nothing is kept of it but the address that it came from. */
static void proposals_that_we_refuse_are_explained(void **state)
{
    struct desk d;

    desk_start(&d);
    estrange(d.w->hosts[0].policies[0]);
    desk_configure(&d);
    assert_true(ike2_initiate(d.w->hosts[1].core, d.w->now, "to-0", "net"));
    desk_run(&d, 1000);
    assert_no_proposal(&d, "down", "ENCR");
    desk_end(&d);
}

static void our_own_end_comes_first(void **state)
{
    struct desk d;

    desk_start(&d);
    desk_configure(&d);
    d.no_keeper = true;
    assert_explained(&d, "down", "ike-no-keeper", "1 requests wait");
    d.sockets[1] = (struct gh_ike_socket_view){.port = 4500, .error = EADDRINUSE};
    assert_explained(&d, "down", "ike-no-socket", "in use");
    /* One of the other family does not matter here. */
    d.no_keeper = false;
    d.sockets[1].v6 = d.w->hosts[1].addr.len == 4;
    assert_explained(&d, "down", "ike-nobody-begins", "");
    desk_end(&d);
}

/* ---- A session without a key ----------------------------------------------------------------- */

static void acquire_nothing(void *ctx, const char *policy, const char *child,
                            const struct ike_ts *local, const struct ike_ts *remote)
{
}

static void tell_nobody(void *ctx, const struct gk_event *e)
{
}

static void child_failed(struct desk *d, const char *words)
{
    const struct ike2_event e = {.kind = IKE2_EVENT_CHILD_FAILED, .policy = "to-1", .text = words};

    gh_ike_notes_event(d->notes, &e, d->w->now);
}

/* The causes that IKE tells of a session, one behind another. */
static void assert_causes_of(struct desk *d, const char *session, const char *verdict,
                             const char *causes)
{
    json_t *request = json_pack("{s:s, s:s}", "op", "explain", "keys_of", session);
    char *line = json_dumps(request, 0);
    json_t *answer = ask(d, line), *f;
    const json_t *x = first(answer, "explanations");
    char found[200] = "";
    size_t i;

    assert_string_equal(text(x, "session"), "to-1");
    assert_string_equal(text(x, "verdict"), verdict);
    json_array_foreach(json_object_get(x, "findings"), i, f)
    {
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s", i > 0 ? " " : "",
                 text(f, "cause"));
        assert_true(json_array_size(json_object_get(f, "checks")) > 0);
    }
    assert_string_equal(found, causes);
    json_decref(answer);
    json_decref(request);
    free(line);
}

static void assert_causes(struct desk *d, const char *verdict, const char *causes)
{
    assert_causes_of(d, "s", verdict, causes);
}

static void why_a_session_has_no_key(void **state)
{
    static const struct gk_ops ops = {.acquire = acquire_nothing, .event = tell_nobody};
    struct gk_policy list[2] = {
        {.name = "s", .ike = "to-1", .active = "s", .passive = "s:passive", .port = 179},
        {.name = "t", .ike = "to-1", .passive = "t:passive", .port = 180}};
    struct desk d;

    desk_start(&d);
    desk_configure(&d);
    d.gatekeeper = gk_new(&ops);
    for (size_t i = 0; i < 2; i++) {
        list[i].local = d.w->hosts[0].addr;
        list[i].remote = d.w->hosts[1].addr;
    }
    assert_true(gk_set_policies(d.gatekeeper, d.w->now, list, 2));
    assert_refused(&d, "{\"op\":\"explain\",\"keys_of\":\"u\"}", "no session with negotiated keys");
    assert_causes(&d, "down", "ike-nobody-begins");
    initiate(&d);
    desk_run(&d, 1000);
    assert_causes(&d, "up", "ike-nobody-begins");
    gk_need(d.gatekeeper, d.w->now, "s");
    assert_causes(&d, "up", "ike-no-answer");
    child_failed(&d, "net: the peer answers with TS_UNACCEPTABLE"); /* of somebody else */
    assert_causes(&d, "up", "ike-no-answer");
    child_failed(&d, "refused with NO_PROPOSAL_CHOSEN: net: another protocol");
    assert_causes(&d, "up", "ike-no-answer");
    child_failed(&d, "refused with NO_PROPOSAL_CHOSEN: another protocol");
    assert_causes(&d, "up", "ike-no-proposal");
    child_failed(&d, "s: the peer answers with TS_UNACCEPTABLE");
    assert_causes(&d, "up", "ike-traffic-selectors");
    child_failed(&d, "net: the peer answers with NO_PROPOSAL_CHOSEN");
    gk_need(d.gatekeeper, d.w->now, "t");
    gk_failed(d.gatekeeper, d.w->now, "to-1", "t:passive: it was refused");
    assert_causes(&d, "up", "ike-no-answer");
    assert_causes_of(&d, "t", "up", "ike-child-refused");
    gk_failed(d.gatekeeper, d.w->now, "to-1", "there is no answer");
    assert_causes(&d, "up", "ike-child-refused");
    gk_free(d.gatekeeper);
    desk_end(&d);
}

/* ---- Tunnels and gateways -------------------------------------------------------------------- */

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

/* tests/golden/NAME.txt; GATEHOUSE_GOLDEN=write writes it anew. */
static void compare(const char *name, const char *text)
{
    const char *source = getenv("GATEHOUSE_SOURCE"), *mode = getenv("GATEHOUSE_GOLDEN");
    char path[4096], *expected;

    snprintf(path, sizeof(path), "%s/tests/golden/%s.txt", source != NULL ? source : ".", name);
    if (mode != NULL && strcmp(mode, "write") == 0) {
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
    }
    expected = read_all(path);
    if (strcmp(expected, text) != 0)
        fail_msg("%s differs; now it is:\n%s", path, text);
    free(expected);
}

/* What the IPsec engine's process would say. */
static const char of_engine[] =
    "{\"ok\":true,\"sas\":[{\"peer\":\"to-9\",\"child\":\"net\"},"
    "{\"peer\":\"to-1\",\"child\":\"net\",\"id\":1,\"protocol\":\"ESP\",\"mode\":\"tunnel\","
    "\"state\":\"installed\",\"udp\":true,\"algorithms\":{\"encryption\":\"ENCR_AES_GCM_16_256\","
    "\"integrity\":null,\"esn\":true,\"iv\":8,\"icv\":16},\"octets_left\":9300,"
    "\"traffic\":{\"replay_window\":1024},\"local_ts\":[\"10.0.0.0/24\"],\"remote_ts\":[\"10.0.1.0/"
    "24\"],"
    "\"expires\":3590,\"overhead\":65,\"path_mtu\":1400,"
    "\"in\":{\"spi\":\"00000101\",\"packets\":7,\"octets\":700,\"drops\":{\"replay\":2},"
    "\"back_end\":\"openssl\"},\"out\":{\"spi\":\"00000102\",\"packets\":8,\"octets\":800,"
    "\"drops\":{},\"back_end\":\"openssl\"}}]}";

static void golden(struct desk *d, const char *name, const char *line, bool detail)
{
    json_t *answer = ask(d, line), *engine = json_loads(of_engine, 0, NULL);
    json_t *request = json_loads(line, 0, NULL);
    char *text = NULL;
    size_t len;
    struct cli_render r = {.out = open_memstream(&text, &len), .width = 100, .detail = detail};

    assert_true(json_is_true(json_object_get(answer, "ok")));
    cli_tunnels_join(answer, engine);
    cli_renderer(gh_control_op(request))(&r, answer);
    fclose(r.out);
    compare(name, text);
    free(text);
    json_decref(request);
    json_decref(engine);
    json_decref(answer);
}

static json_t *order(struct desk *d, const char *line)
{
    json_t *answer = ask(d, line);

    d->w->hosts[0].commanded = d->w->hosts[1].commanded = true;
    desk_run(d, 3000);
    return answer;
}

static void tunnels_and_gateways(void **state)
{
    struct desk d;
    struct ike2_policy *p;

    desk_start(&d);
    p = d.w->hosts[0].policies[0];
    p->children[0].start = true;
    p->children[0].idle_seconds = 600;
    assert_true(gh_addr_parse("192.0.2.77", &p->backups[0]));
    p->backup_count = 1;
    p->revert_ms = 600000;
    ike_world_child(p, 0, 1, 1)->admin = IKE2_ADMIN_DOWN;
    desk_configure(&d);
    desk_run(&d, 5000);
    golden(&d, "ipsec-tunnel", "{\"op\":\"show-ipsec-tunnel\"}", false);
    golden(&d, "ipsec-tunnel-detail", "{\"op\":\"show-ipsec-tunnel\"}", true);
    golden(&d, "ipsec-gateway", "{\"op\":\"show-ipsec-gateway\"}", false);
    golden(&d, "ipsec-gateway-detail", "{\"op\":\"show-ipsec-gateway\",\"name\":\"to-1\"}", true);
    assert_refused(&d, "{\"op\":\"ike-revert\",\"name\":\"to-1\"}", "at its first gateway");
    assert_refused(&d, "{\"op\":\"ike-down\",\"name\":\"to-7\"}", "no IKE peer");
    assert_refused(&d, "{\"op\":\"ike-up\",\"name\":\"to-1\",\"child\":\"x\"}", "no child \"x\"");
    assert_refused(&d, "{\"op\":\"show-ipsec-tunnel\",\"name\":\"to-7\"}", "no IKE peer");
    assert_refused(&d, "{\"op\":\"show-ipsec-gateway\",\"name\":\"to-7\"}", "no IKE peer");
    json_decref(order(&d, "{\"op\":\"ike-down\",\"name\":\"to-1\"}"));
    golden(&d, "ipsec-gateway-down", "{\"op\":\"show-ipsec-gateway\"}", false);
    p->backup_count = 0;
    assert_refused(&d, "{\"op\":\"ike-revert\",\"name\":\"to-1\"}", "one gateway only");
    desk_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_up_is_shown),
        cmocka_unit_test(no_answer_has_a_key),
        cmocka_unit_test(names_choose),
        cmocka_unit_test(commands_reach_the_core),
        cmocka_unit_test(a_peer_is_sent_elsewhere),
        cmocka_unit_test(who_cannot_go_is_not_sent),
        cmocka_unit_test(a_redirect_that_is_not_followed_is_explained),
        cmocka_unit_test(silence_is_explained),
        cmocka_unit_test(proposals_that_the_peer_refuses_are_explained),
        cmocka_unit_test(proposals_that_we_refuse_are_explained),
        cmocka_unit_test(our_own_end_comes_first),
        cmocka_unit_test(why_a_session_has_no_key),
        cmocka_unit_test(tunnels_and_gateways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

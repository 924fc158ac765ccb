/* Sessions whose keys IKE negotiates: what gatehouse.conf says of them, what is refused on which
 * line, and what the engine and the gatekeeper get. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/backend.h"
#include "config/lint.h"
#include "control/control.h"
#include "daemon/policies.h"
#include "ike/codes.h"
#include "tcpao/engine.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NOW          INT64_C(1796083200) /* 2026-12-01T00:00:00Z */

static const struct gh_config_options skip = {.skip_secrets = true};

#define PEER                                                                                       \
    "ike-peer berlin { remote = 192.0.2.2 local = 192.0.2.1 psk-file = /etc/gatehouse/psk }\n"
#define PLACED(where)                                                                              \
    "ike-peer berlin { remote = 192.0.2.2 local = 192.0.2.1 psk-file = /k " where " }\n"
#define CHAIN "key-chain k { key 1 { send-id = 9 recv-id = 255 secret-file = /etc/gatehouse/k } }\n"

static struct gh_config *parse_with(const char *text, struct gh_problems *p)
{
    return gh_config_parse("t.conf", text, strlen(text), &skip, p);
}

static struct gh_config *must_parse(const char *text)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse_with(text, &p);

    if (c == NULL) {
        gh_problems_print(&p, stderr);
        fail_msg("refused: %s", text);
    }
    gh_problems_clear(&p);
    return c;
}

static const struct gh_problem *find(const struct gh_problems *p, const char *rule, int line)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->list[i].rule, rule) == 0 && p->list[i].line == line)
            return &p->list[i];
    }
    return NULL;
}

static char *printed(const struct gh_config *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    gh_config_print(c, out);
    fclose(out);
    return text;
}

/* ---- What is read --------------------------------------------------------------------------- */

static void assert_ts(const struct ike_ts_list *list, const char *addr, unsigned first,
                      unsigned last)
{
    char text[GH_ADDR_TEXT];

    assert_int_equal(list->count, 1);
    assert_int_equal(list->ts[0].protocol, 6);
    assert_string_equal(gh_addr_format(&list->ts[0].start, text), addr);
    assert_true(gh_addr_equal(&list->ts[0].start, &list->ts[0].end));
    assert_int_equal(list->ts[0].start_port, first);
    assert_int_equal(list->ts[0].end_port, last);
}

static void a_session_is_one_line(void **state)
{
    static const char text[] = PEER "tcp-ao up { peer = 192.0.2.2  ike-peer = berlin }\n";
    struct gh_problems problems = {0};
    struct gh_config *c = parse_with(text, &problems);
    const struct ike2_child_policy *active, *passive;
    struct ike_proposals usual = {0};
    struct ike_sa sa;
    const struct gk_policy *gk;

    assert_non_null(c);
    assert_int_equal(problems.count, 0);
    assert_true(c->sessions[0].chain == GH_NO_CHAIN);
    assert_null(gh_config_chain(c, &c->sessions[0]));
    assert_null(c->sessions[0].ike_text);
    assert_int_equal(c->ike->policies[0]->child_count, 2);
    active = &c->ike->policies[0]->children[0];
    passive = &c->ike->policies[0]->children[1];
    assert_string_equal(active->name, "up");
    assert_string_equal(passive->name, "up:passive");
    assert_ts(&active->local, "192.0.2.1", 0, 65535);
    assert_ts(&active->remote, "192.0.2.2", 179, 179);
    assert_ts(&passive->local, "192.0.2.1", 179, 179);
    assert_ts(&passive->remote, "192.0.2.2", 0, 65535);
    ike2_default_proposals(IKE_PROTO_TCP_AO, &sa);
    assert_true(ike_proposals_set(&usual, &sa));
    assert_int_equal(active->proposals.len, usual.len);
    assert_memory_equal(active->proposals.octets, usual.octets, usual.len);
    assert_int_equal(passive->proposals.len, usual.len);
    assert_memory_equal(passive->proposals.octets, usual.octets, usual.len);
    ike_proposals_clear(&usual);
    assert_int_equal(active->mode, IKE2_TCP_AO);
    assert_int_equal(active->tcp_ao.mac_len, 12);
    assert_true(active->tcp_ao.options_covered);
    assert_int_equal(active->lifetime.seconds, 5400); /* rekeyed after about an hour */
    assert_int_equal(active->lifetime.octets, 0);
    assert_int_equal(active->lifetime.packets, 0);
    assert_false(active->start);
    assert_int_equal(c->ike->settings.tcp_ao_protocol, 201);
    assert_int_equal(c->ike->session_count, 1);
    gk = &c->ike->sessions[0];
    assert_string_equal(gk->name, "up");
    assert_string_equal(gk->ike, "berlin");
    assert_string_equal(gk->active, "up");
    assert_string_equal(gk->passive, "up:passive");
    assert_int_equal(gk->port, 179);
    assert_int_equal(gk->source_first, 0);
    assert_int_equal(gk->source_last, 65535);
    assert_false(gk->fallback);
    assert_int_equal(gk->patience_ms, 15000);
    assert_int_equal(gk->settle_ms, 2000);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(gk->static_send[i] | gk->static_recv[i], 0);
    assert_int_equal(gh_lint(c, NULL, NOW, &problems), 0);
    gh_config_free(c);
}

static const char everything[] =
    "ike { tcp-ao-protocol = 210 }\n" CHAIN
    "ike-peer rome { remote = 2001:db8::2 psk-file = /etc/gatehouse/psk }\n"
    "tcp-ao a { peer = 2001:db8::2 local = 2001:db8::1 port = 646 ike-peer = rome\n"
    "  source-port = 4000-4999 direction = passive fallback = yes key-chain = k\n"
    "  algorithm = { hmac-sha-256-128, aes-128-cmac-128 } include-tcp-options = no\n"
    "  ke = { ecp-384, none } additional-ke-1 = { ecp-521, none } additional-ke-7 = 20\n"
    "  rekey = 10m rekey-bytes = 65536 rekey-packets = 1024 patience = 600 }\n"
    "tcp-ao b { peer = 2001:db8::2 local = 2001:db8::1 direction = active ike-peer = rome\n"
    "  source-port = 7 mac-length = 16 rekey = 11 }\n";

static void check_transforms(const struct ike_proposal *p)
{
    static const struct {
        uint8_t type;
        uint16_t id;
    } want[] = {{IKE_T_PRF, IKE_PRF_HMAC_SHA2_256},
                {IKE_T_PRF, IKE_PRF_AES128_CMAC},
                {IKE_T_INTEG, IKE_INTEG_HMAC_SHA2_256_128},
                {IKE_T_INTEG, IKE_INTEG_AES_CMAC_96},
                {IKE_T_KE, IKE_KE_ECP_384},
                {IKE_T_KE, IKE_KE_NONE},
                {IKE_T_ADDKE1, IKE_KE_ECP_521},
                {IKE_T_ADDKE1, IKE_KE_NONE},
                {IKE_T_ADDKE7, IKE_KE_ECP_384}};

    assert_int_equal(p->protocol, 210);
    assert_int_equal(p->number, 1);
    assert_int_equal(p->count, ARRAY_LEN(want));
    for (size_t i = 0; i < p->count; i++) {
        assert_int_equal(p->transform[i].type, want[i].type);
        assert_int_equal(p->transform[i].id, want[i].id);
    }
}

static void check_everything(const struct gh_ike_config *c)
{
    const struct ike2_policy *p = c->policies[0];
    const struct gk_policy *gk = &c->sessions[0];
    struct ike_sa offer;

    assert_int_equal(p->child_count, 2);
    assert_string_equal(p->children[0].name, "a:passive");
    assert_string_equal(p->children[1].name, "b");
    assert_ts(&p->children[0].local, "2001:db8::1", 646, 646);
    assert_ts(&p->children[0].remote, "2001:db8::2", 4000, 4999);
    assert_ts(&p->children[1].local, "2001:db8::1", 7, 7);
    ike_proposals_get(&p->children[0].proposals, &offer);
    check_transforms(&offer.proposal[0]);
    assert_int_equal(p->children[0].tcp_ao.mac_len, 16);
    assert_false(p->children[0].tcp_ao.options_covered);
    assert_int_equal(p->children[0].lifetime.seconds, 900);
    assert_int_equal(p->children[0].lifetime.octets, 65536);
    assert_int_equal(p->children[0].lifetime.packets, 1024);
    assert_int_equal(p->children[1].tcp_ao.mac_len, 16);
    assert_int_equal(p->children[1].lifetime.seconds, 16);
    assert_int_equal(c->settings.tcp_ao_protocol, 210);
    assert_int_equal(c->session_count, 2);
    assert_string_equal(gk->ike, "rome");
    assert_string_equal(gk->active, "");
    assert_string_equal(gk->passive, "a:passive");
    assert_int_equal(gk->port, 646);
    assert_int_equal(gk->source_first, 4000);
    assert_int_equal(gk->source_last, 4999);
    assert_true(gk->fallback);
    assert_int_equal(gk->patience_ms, 600000);
    for (unsigned id = 0; id < 256; id++) {
        assert_int_equal(gk->static_send[id / 8] >> id % 8 & 1, id == 9);
        assert_int_equal(gk->static_recv[id / 8] >> id % 8 & 1, id == 255);
    }
    assert_string_equal(c->sessions[1].active, "b");
    assert_string_equal(c->sessions[1].passive, "");
    assert_int_equal(c->sessions[1].static_send[1], 0);
}

static void every_word_is_read_carried_and_printed(void **state)
{
    struct gh_config *c = must_parse(everything), *again;
    struct gh_ike_config *got;
    size_t len;
    uint8_t *octets = gh_ike_config_encode(c->ike, &len);
    char *text = printed(c), *text_again;

    check_everything(c->ike);
    assert_int_equal(c->sessions[0].chain, 0);
    got = gh_ike_config_decode(gh_view_of(octets, len));
    assert_non_null(got);
    check_everything(got);
    gh_ike_config_free(got);
    again = must_parse(text);
    check_everything(again->ike);
    text_again = printed(again);
    assert_string_equal(text, text_again);
    assert_non_null(strstr(text, "    source-port = 4000-4999\n"));
    assert_non_null(strstr(text, "    source-port = 7\n"));
    assert_non_null(strstr(text, "    ike-peer = \"rome\"\n    fallback = true\n"));
    assert_non_null(strstr(text, "    rekey = \"10m\"\n"));
    free(octets);
    free(text);
    free(text_again);
    gh_config_free(c);
    gh_config_free(again);
}

static bool decodes(const uint8_t *octets, size_t len)
{
    struct gh_ike_config *c = gh_ike_config_decode(gh_view_of(octets, len));
    bool good = c != NULL;

    gh_ike_config_free(c);
    return good;
}

static void octets_of_what_cannot_be_are_refused(void **state)
{
    struct gh_config *c = must_parse(everything);
    struct gk_policy *gk = &c->ike->sessions[1];
    const struct gk_policy good = *gk;
    struct gk_policy bad[9];
    size_t len;
    uint8_t *octets;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        bad[i] = good;
    strcpy(bad[0].name, "");
    strcpy(bad[1].ike, "nobody");
    strcpy(bad[2].active, "none");
    strcpy(bad[3].active, ""); /* for nobody */
    bad[4].port = 0;
    bad[5].source_first = 8;
    bad[6].remote.len = 4;
    bad[7].local.len = 0;
    strcpy(bad[8].passive, "c");
    for (size_t i = 0; i <= ARRAY_LEN(bad); i++) {
        *gk = i < ARRAY_LEN(bad) ? bad[i] : good;
        octets = gh_ike_config_encode(c->ike, &len);
        assert_non_null(octets);
        if (decodes(octets, len) != (i == ARRAY_LEN(bad)))
            fail_msg("case %zu", i);
        free(octets);
    }
    c->ike->settings.tcp_ao_protocol = 3;
    octets = gh_ike_config_encode(c->ike, &len);
    assert_false(decodes(octets, len));
    free(octets);
    gh_config_free(c);
}

/* ---- What is refused ------------------------------------------------------------------------ */

#define S         "tcp-ao s { peer = 192.0.2.2 ike-peer = berlin\n"
#define LONG_NAME "n12345678901234567890123456789012345678901234567890123456"

static const struct {
    const char *text, *rule;
    int line;
} refused[] = {
    {PEER "tcp-ao s {\n peer = 192.0.2.0/24 ike-peer = berlin }", "ike-address", 3},
    {PEER "tcp-ao s {\n peer = 192.0.2.3 ike-peer = berlin }", "ike-address", 3},
    {PEER S " local = 192.0.2.9 }", "ike-address", 3},
    {PEER S " local = 192.0.2.0/24 }", "ike-address", 3},
    {"ike-peer p { remote = any psk-file = /k }\n"
     "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 ike-peer = p }",
     "ike-address", 2},
    {"ike-peer p { remote = 192.0.2.0/24 gateway = 192.0.2.2 psk-file = /k }\n"
     "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 ike-peer = p }",
     "ike-address", 2},
    {"ike-peer p { remote = 192.0.2.2 psk-file = /k }\ntcp-ao s { peer = 192.0.2.2 ike-peer = p }",
     "missing-option", 2},
    {"ike-peer p { remote = 192.0.2.2 local = 192.0.2.1 responder-only = yes psk-file = /k }\n"
     "tcp-ao s { peer = 192.0.2.2 ike-peer = p\n direction = active }",
     "ike-direction", 3},
    {PEER S " netns = blue }", "ike-place", 2},
    {PEER S " vrf = red }", "ike-place", 2},
    {PLACED("netns = blue") S " }", "ike-place", 2},
    {PLACED("netns = blue") S " netns = green }", "ike-place", 2},
    {PLACED("netns = blue vrf = red") S " netns = blue }", "ike-place", 2},
    {PLACED("vrf = red") S " netns = blue vrf = red }", "ike-place", 2},
    {PEER S " mode = allow-without-ao }", "ike-mode", 3},
    {PEER S " mode = accept-mismatch }", "ike-mode", 3},
    {PEER S " backend = kernel source-port = 4000 }", "kernel-backend", 2},
    {PEER S " backend = kernel algorithm = hmac-sha-256-256 }", "kernel-backend", 2},
    {PEER S " backend = kernel }\ntcp-ao t { peer = 192.0.2.2 local = 192.0.2.1 ike-peer = berlin\n"
            "  source-port = 4000 backend = engine }",
     "kernel-backend", 2},
    {PEER "tcp-ao s { peer = 192.0.2.2\n ike-peer = berln }", "unknown-reference", 3},
    {"tcp-ao s { peer = 192.0.2.2\n ike-peer = berlin }", "unknown-reference", 2},
    {PEER S "}\ntcp-ao t { peer = 192.0.2.2 }", "missing-option", 4},
    {PEER CHAIN S " key-chain = k }", "unused-chain", 4},
    {PEER S " fallback = yes }", "missing-option", 3},
    {PEER S " fallback = yes\n key-chain = k }", "unknown-chain", 4},
    {CHAIN "tcp-ao s { peer = 192.0.2.2 key-chain = k\n fallback = no }", "missing-option", 3},
    {CHAIN "tcp-ao s { peer = 192.0.2.2 key-chain = k\n rekey = 60 }", "missing-option", 3},
    {CHAIN "tcp-ao s { peer = 192.0.2.2 key-chain = k\n algorithm = hmac-sha-1-96 }",
     "missing-option", 3},
    {PEER S " algorithm = hmac-md5 }", "algorithm", 3},
    {PEER S " algorithm = { } }", "range", 3},
    {PEER S " algorithm = { aes-128-cmac-96,\n cmac-aes-128 } }", "duplicate", 4},
    {PEER S " algorithm = { aes-128-cmac-96,\n hmac-sha-256-128 } }", "mac-length", 4},
    {PEER S " algorithm = hmac-sha-1-96\n mac-length = 16 }", "mac-length", 3},
    {PEER S " algorithm = aes-128-cmac\n mac-length = 20 }", "mac-length", 3},
    {PEER S " mac-length = 17 }", "range", 3},
    {PEER S " ke = modp-1024 }", "algorithm", 3},
    {PEER S " ke = { } }", "range", 3},
    {PEER S " ke = { x25519,\n 31 } }", "duplicate", 4},
    {PEER S " additional-ke-2 = aes }", "algorithm", 3},
    {PEER S " source-port = 0 }", "range", 3},
    {PEER S " source-port = 65536 }", "range", 3},
    {PEER S " source-port = 5-4 }", "range", 3},
    {PEER S " source-port = 5- }", "range", 3},
    {PEER S " source-port = -5 }", "range", 3},
    {PEER S " source-port = 5-6-7 }", "range", 3},
    {PEER S " source-port = many }", "range", 3},
    {PEER S "}\ntcp-ao t { peer = 192.0.2.2 ike-peer = berlin }", "session-overlap", 4},
    {PEER S " source-port = 1-10 }\ntcp-ao t { peer = 192.0.2.2 ike-peer = berlin source-port = 10 "
            "}",
     "session-overlap", 4},
    {"ike-peer p { remote = 192.0.2.2 local = 192.0.2.1 psk-file = /k\n"
     " child s { local-ts = 10.0.0.0/8 remote-ts = 10.0.0.0/8 } }\n"
     "tcp-ao s { peer = 192.0.2.2 ike-peer = p }",
     "duplicate", 3},
    {PEER "tcp-ao " LONG_NAME " { peer = 192.0.2.2 ike-peer = berlin }", "name-length", 2},
    {PEER, "missing-option", 1},
};

static void mistakes_are_told_with_their_line(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct gh_problems p = {0};
        struct gh_config *c = parse_with(refused[i].text, &p);
        const struct gh_problem *q = find(&p, refused[i].rule, refused[i].line);

        if (c != NULL || q == NULL || q->severity != GH_PROBLEM_ERROR) {
            gh_problems_print(&p, stderr);
            fail_msg("not refused as [%s] on line %d: %s", refused[i].rule, refused[i].line,
                     refused[i].text);
        }
        gh_problems_clear(&p);
        gh_config_free(c);
    }
}

static void an_address_that_differs_is_shown(void **state)
{
    struct gh_problems p = {0};

    assert_null(parse_with(PEER "tcp-ao s { peer = 192.0.2.3 ike-peer = berlin }", &p));
    assert_int_equal(p.count, 1);
    assert_string_equal(p.list[0].message, "the session \"s\" is with 192.0.2.3, but the ike-peer "
                                           "\"berlin\" (line 1) is 192.0.2.2");
    gh_problems_clear(&p);
}

static void a_session_is_where_its_ike_peer_is(void **state)
{
    static const char *const fine[] = {
        PLACED("netns = blue") S " netns = blue }", PLACED("vrf = red") S " vrf = red }",
        PLACED("netns = blue vrf = red") S " netns = blue vrf = red }",
        "ike-policy q { netns = blue }\n" PLACED("ike-policy = q") S " netns = blue }"};
    struct gh_problems p = {0};

    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        struct gh_config *c = must_parse(fine[i]);

        assert_string_equal(c->ike->sessions[0].ike, "berlin");
        gh_config_free(c);
    }
    assert_null(parse_with(PLACED("vrf = red") S " netns = blue vrf = red }", &p));
    assert_int_equal(p.count, 1);
    assert_string_equal(p.list[0].message,
                        "the session \"s\" is in namespace blue, VRF red, but the ike-peer "
                        "\"berlin\" (line 1) in gatehoused's namespace, VRF red");
    gh_problems_clear(&p);
}

static const struct {
    const char *option;
    unsigned long min, max;
} ranges[] = {
    {"rekey", 10, 21024000},
    {"rekey-bytes", 65536, 999999999999999998},
    {"rekey-packets", 1024, 999999999999999998},
    {"patience", 1, 600},
    {"mac-length", 4, 16},
    {"source-port", 1, 65535},
};

static void ranges_are_as_documented(void **state)
{
    char text[512];

    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        const unsigned long values[] = {ranges[i].min, ranges[i].max, ranges[i].min - 1,
                                        ranges[i].max + (ranges[i].max < 999999999 ? 1 : 2)};

        for (size_t k = 0; k < 4; k++) {
            struct gh_problems p = {0};
            struct gh_config *c;

            snprintf(text, sizeof(text), PEER S "%s = %lu }", ranges[i].option, values[k]);
            c = parse_with(text, &p);
            if ((c != NULL) != (k < 2) || (k >= 2 && find(&p, "range", 3) == NULL)) {
                gh_problems_print(&p, stderr);
                fail_msg("%s", text);
            }
            gh_problems_clear(&p);
            gh_config_free(c);
        }
    }
    for (unsigned n = 200; n <= 256; n++) {
        struct gh_problems p = {0};
        struct gh_config *c;

        snprintf(text, sizeof(text), "ike {\n tcp-ao-protocol = %u }", n);
        c = parse_with(text, &p);
        assert_int_equal(c != NULL, n >= 201 && n <= 255);
        assert_int_equal(find(&p, "range", 2) == NULL, c != NULL);
        gh_problems_clear(&p);
        gh_config_free(c);
    }
}

/* Sixteen sessions, of two children each; thirty-two of one. */
static void a_peer_has_thirty_two_children(void **state)
{
    for (unsigned passive = 0; passive <= 1; passive++) {
        unsigned fits = passive ? 32 : 16;

        for (unsigned count = fits; count <= fits + 1; count++) {
            struct gh_problems p = {0};
            char *text = NULL;
            size_t len;
            FILE *out = open_memstream(&text, &len);
            struct gh_config *c;

            fputs(PEER, out);
            for (unsigned i = 1; i <= count; i++)
                fprintf(out, "tcp-ao s%u { peer = 192.0.2.2 ike-peer = berlin port = %u %s }\n", i,
                        i, passive ? "direction = passive" : "");
            fclose(out);
            c = parse_with(text, &p);
            assert_int_equal(c != NULL, count == fits);
            assert_int_equal(find(&p, "too-many-children", (int)count + 1) != NULL, count > fits);
            gh_problems_clear(&p);
            gh_config_free(c);
            free(text);
        }
    }
}

/* Whoever is for certain ports is asked before who is for any. */
static void narrow_children_come_first(void **state)
{
    static const char *const order[] = {"esp",       "b", "b:passive", "c",
                                        "c:passive", "a", "a:passive"};
    struct gh_config *c =
        must_parse("ike-peer p { remote = 192.0.2.2 local = 192.0.2.1 psk-file = /k\n"
                   " child esp { local-ts = 10.0.0.0/8 remote-ts = 10.0.0.0/8 } }\n"
                   "tcp-ao a { peer = 192.0.2.2 ike-peer = p }\n"
                   "tcp-ao b { peer = 192.0.2.2 ike-peer = p source-port = 100-200 }\n"
                   "tcp-ao c { peer = 192.0.2.2 ike-peer = p source-port = 201-300 }\n");
    const struct ike2_policy *p = c->ike->policies[0];

    assert_int_equal(p->child_count, ARRAY_LEN(order));
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        assert_string_equal(p->children[i].name, order[i]);
    assert_int_equal(c->ike->places[0].child_lines[0], 2);
    assert_int_equal(c->ike->places[0].child_lines[1], 4);
    assert_int_equal(c->ike->places[0].child_lines[6], 3);
    gh_config_free(c);
}

/* ---- Others that look ----------------------------------------------------------------------- */

static void what_the_kernel_can_of_them(void **state)
{
    struct gh_config *c =
        must_parse(PEER CHAIN S "backend = kernel mac-length = 16 }\n"
                                "tcp-ao t { peer = 192.0.2.9 key-chain = k "
                                "source-port = 7 }\n"
                                "tcp-ao u { peer = 192.0.2.2 port = 646 ike-peer = berlin "
                                "algorithm = hmac-sha-256-256 }\n");
    char why[GH_BACKEND_WHY_MAX];

    assert_true(gh_backend_kernel_can(c, &c->sessions[0], why, sizeof(why)));
    assert_false(gh_backend_kernel_can(c, &c->sessions[2], why, sizeof(why)));
    assert_non_null(strstr(why, "more than 16 octets"));
    assert_false(gh_backend_kernel_can(c, &c->sessions[1], why, sizeof(why)));
    assert_non_null(strstr(why, "source-port"));
    gh_config_free(c);
}

static const struct {
    const char *before, *after, *rule;
} changes[] = {
    {PEER S "}", PEER S "}", NULL},
    {PEER S "}", PEER S "rekey = 60 algorithm = hmac-sha-1-96 }", NULL},
    {CHAIN "tcp-ao s { peer = 192.0.2.2 key-chain = k }", PEER S "}", "keys-change"},
    {CHAIN "tcp-ao s { peer = 192.0.2.2 key-chain = k }",
     PEER CHAIN S "fallback = yes key-chain = k }", "keys-change"},
    {PEER S "}", CHAIN "tcp-ao s { peer = 192.0.2.2 key-chain = k }", "keys-change"},
    {PEER S "}", PEER CHAIN S "fallback = yes key-chain = k }", NULL},
    {PEER CHAIN S "fallback = yes key-chain = k }", PEER S "}", NULL},
};

static void other_keys_end_connections(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct gh_config *before = must_parse(changes[i].before);
        struct gh_config *after = must_parse(changes[i].after);
        struct gh_problems p = {0};

        gh_config_check_change(before, after, NOW, &p);
        assert_int_equal(p.errors, 0);
        assert_int_equal(p.count, changes[i].rule != NULL);
        if (p.count > 0)
            assert_string_equal(p.list[0].rule, changes[i].rule);
        gh_problems_clear(&p);
        gh_config_free(before);
        gh_config_free(after);
    }
}

#define MIRROR                                                                                     \
    "ike-peer paris { remote = 192.0.2.1 local = 192.0.2.2 psk-file = /etc/gatehouse/psk }\n"
#define T "tcp-ao t { peer = 192.0.2.1 ike-peer = paris "

static const struct {
    const char *here, *there, *rule; /* NULL: nothing to say */
    bool error;
} pairs[] = {
    {PEER S "}", MIRROR T "}", NULL, false},
    {PEER S "algorithm = aes-128-cmac-96 }", MIRROR T "}", NULL, false},
    {PEER S "algorithm = hmac-sha-256-96 }", MIRROR T "}", "algorithm-mismatch", true},
    {PEER S "mac-length = 16 }", MIRROR T "}", "mac-length-mismatch", true},
    {PEER S "include-tcp-options = no }", MIRROR T "}", "options-mismatch", true},
    {"ike { tcp-ao-protocol = 202 }" PEER S "}", MIRROR T "}", "protocol-mismatch", true},
    {PEER S "}", MIRROR T "source-port = 7 }", "source-port-mismatch", true},
    {PEER S "}", CHAIN "tcp-ao t { peer = 192.0.2.1 key-chain = k }", "keys-mismatch", true},
    {PEER S "}", MIRROR CHAIN T "key-chain = k fallback = yes }", "fallback-differs", false},
    {PEER S "direction = passive }", MIRROR T "direction = passive }", "direction-mismatch", true},
    {PEER S "direction = passive }", MIRROR T "direction = active }", NULL, false},
    {PEER S "}\ntcp-ao u { peer = 192.0.2.2 ike-peer = berlin source-port = 9 mac-length = 16 }",
     MIRROR T "source-port = 9 mac-length = 16 }\ntcp-ao v { peer = 192.0.2.1 ike-peer = paris }",
     NULL, false},
};

static void lint_holds_two_ends_together(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct gh_config *a = must_parse(pairs[i].here), *b = must_parse(pairs[i].there);
        struct gh_problems p = {0};

        gh_lint(a, b, NOW, &p);
        if (p.count != (pairs[i].rule != NULL) ||
            (p.count > 0 &&
             (strcmp(p.list[0].rule, pairs[i].rule) != 0 || (p.errors > 0) != pairs[i].error))) {
            gh_problems_print(&p, stderr);
            fail_msg("wanted %s for %s", pairs[i].rule != NULL ? pairs[i].rule : "nothing",
                     pairs[i].here);
        }
        gh_problems_clear(&p);
        gh_config_free(a);
        gh_config_free(b);
    }
}

static void lint_warns_of_a_fallback(void **state)
{
    struct gh_config *c = must_parse(PEER CHAIN S " fallback = yes key-chain = k }");
    struct gh_problems p = {0};

    gh_lint(c, NULL, NOW, &p);
    assert_int_equal(p.count, 1);
    assert_non_null(find(&p, "fallback", 3));
    gh_problems_clear(&p);
    gh_config_free(c);
}

/* ---- The engine's policies ------------------------------------------------------------------ */

struct looked {
    const struct tcpao_chain *chains[4];
    unsigned seen;
};

static void look(void *ctx, const struct ao_session_view *v)
{
    struct looked *l = ctx;
    const struct ao_policy *p = v->policy;
    size_t i = (size_t)(p->name[0] - 'a');

    l->seen++;
    l->chains[i] = p->chain;
    assert_int_equal(p->negotiated, i < 2);
    assert_string_equal(p->chain_name, i == 0   ? "ike-peer rome: a"
                                       : i == 1 ? "ike-peer rome: b"
                                                : "k");
    assert_int_equal(p->source_first, i == 0 ? 4000 : i == 1 ? 7 : 0);
    assert_int_equal(p->source_last, i == 0 ? 4999 : i == 1 ? 7 : 0);
    if (i < 2)
        assert_int_equal(tcpao_chain_count(p->chain), 0);
}

struct table {
    struct tcpao_chain *chain;
    bool no_memory;
    unsigned asked;
};

static struct tcpao_chain *chain_of(void *ctx, const char *session, struct tcpao_chain *fallback)
{
    struct table *t = ctx;

    assert_true(strcmp(session, "a") == 0 || strcmp(session, "b") == 0);
    assert_int_equal(fallback != NULL ? tcpao_chain_count(fallback) : 0, session[0] == 'a');
    t->asked++;
    return t->no_memory ? NULL : t->chain;
}

static void the_engine_asks_for_their_chains(void **state)
{
    static const char more[] = "tcp-ao c { peer = 192.0.2.7 key-chain = k }\n";
    static const struct gh_now now = {.mono_ms = 1000, .wall = NOW};
    struct ao_engine_settings settings = {.max_connections = 16};
    struct ao_engine *e = ao_engine_new(&settings);
    struct table table = {.chain = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE)};
    const struct gh_negotiated_chains from = {.chain_of = chain_of, .ctx = &table};
    struct looked looked = {.seen = 0};
    char text[2048];
    struct gh_setup s = {.config = NULL};

    snprintf(text, sizeof(text), "%s%s", everything, more);
    s.config = must_parse(text);
    gh_secret_set(&s.config->chains[0].keys[0].secret, (const uint8_t *)"a secret", 8);
    s.config->chains[0].keys[0].mkt.secret = s.config->chains[0].keys[0].secret.data;
    s.config->chains[0].keys[0].mkt.secret_len = 8;
    s.zones = calloc(s.config->session_count, sizeof(*s.zones));
    assert_true(gh_policies_apply(e, now, &s, &from));
    ao_engine_each_session(e, look, &looked);
    assert_int_equal(looked.seen, 3);
    assert_int_equal(table.asked, 2);
    assert_ptr_equal(looked.chains[0], table.chain);
    table.no_memory = true;
    assert_false(gh_policies_apply(e, now, &s, &from));
    assert_true(gh_policies_apply(e, now, &s, NULL));
    looked = (struct looked){.seen = 0};
    ao_engine_each_session(e, look, &looked);
    assert_int_equal(looked.seen, 3);
    assert_ptr_not_equal(looked.chains[0], table.chain);
    ao_engine_free(e);
    tcpao_chain_put(table.chain);
    gh_setup_clear(&s);
}

/* ---- What is shown -------------------------------------------------------------------------- */

static json_t *ask(const struct gh_control_view *view, const char *op, const char *name)
{
    json_t *request = json_pack("{s:s, s:s}", "op", op, "name", name), *answer;

    answer = gh_control_handle(view, (struct gh_now){.mono_ms = 1000, .wall = NOW}, request);
    json_decref(request);
    assert_true(json_is_true(json_object_get(answer, "ok")));
    return answer;
}

/* In force or not, with a key chain to fall back to or none. */
static void they_are_shown_and_explained(void **state)
{
    static const struct {
        const char *name;
        bool chain;
    } cases[] = {{"a", true}, {"b", false}};
    struct ao_engine_settings settings = {.max_connections = 16};
    struct gh_setup s = {.config = must_parse(everything)};
    struct gh_control_view view = {.config = s.config, .engine = ao_engine_new(&settings)};

    s.zones = calloc(s.config->session_count, sizeof(*s.zones));
    gh_secret_set(&s.config->chains[0].keys[0].secret, (const uint8_t *)"a secret", 8);
    s.config->chains[0].keys[0].mkt.secret = s.config->chains[0].keys[0].secret.data;
    s.config->chains[0].keys[0].mkt.secret_len = 8;
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            json_t *answer = ask(&view, "show-session", cases[i].name), *o;
            const char *cause;

            o = json_array_get(json_object_get(answer, "sessions"), 0);
            assert_string_equal(json_string_value(json_object_get(o, "ike_peer")), "rome");
            assert_int_equal(json_is_null(json_object_get(o, "key_chain")), !cases[i].chain);
            assert_int_equal(json_is_true(json_object_get(o, "fallback")), cases[i].chain);
            json_decref(answer);
            answer = ask(&view, "explain", cases[i].name);
            o = json_array_get(json_object_get(answer, "explanations"), 0);
            o = json_array_get(json_object_get(o, "findings"), round == 0 ? 1 : 0);
            cause = json_string_value(json_object_get(o, "cause"));
            assert_string_equal(cause != NULL ? cause : "none", "no-keys");
            json_decref(answer);
        }
        assert_true(gh_policies_apply(view.engine, (struct gh_now){.mono_ms = 1000, .wall = NOW},
                                      &s, NULL));
    }
    ao_engine_free(view.engine);
    gh_setup_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_one_line),
        cmocka_unit_test(every_word_is_read_carried_and_printed),
        cmocka_unit_test(octets_of_what_cannot_be_are_refused),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(an_address_that_differs_is_shown),
        cmocka_unit_test(a_session_is_where_its_ike_peer_is),
        cmocka_unit_test(ranges_are_as_documented),
        cmocka_unit_test(a_peer_has_thirty_two_children),
        cmocka_unit_test(narrow_children_come_first),
        cmocka_unit_test(what_the_kernel_can_of_them),
        cmocka_unit_test(other_keys_end_connections),
        cmocka_unit_test(lint_holds_two_ends_together),
        cmocka_unit_test(lint_warns_of_a_fallback),
        cmocka_unit_test(the_engine_asks_for_their_chains),
        cmocka_unit_test(they_are_shown_and_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

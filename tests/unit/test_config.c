/* gatehouse.conf: what is read, what is refused and where, what a reload may change. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/backend.h"
#include "config/config.h"
#include "config/lifetime.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct gh_config_options skip = {.skip_secrets = true};

static struct gh_config *parse_with(const char *text, const struct gh_config_options *options,
                                    struct gh_problems *p)
{
    return gh_config_parse("t.conf", text, strlen(text), options, p);
}

static struct gh_config *must_parse(const char *text, const struct gh_config_options *options)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse_with(text, options, &p);

    if (c == NULL) {
        gh_problems_print(&p, stderr);
        fail_msg("refused: %s", text);
    }
    gh_problems_clear(&p);
    return c;
}

static const char sample[] =
    "key-chain core {\n"
    "    tolerance = 3600\n"
    "    key 1 { send-id = 3  recv-id = 8  algorithm = \"hmac-sha-1-96\"\n"
    "            secret-file = \"/etc/gatehouse/secrets/core-1\"\n"
    "            send-lifetime = \"2026-12-01T00:00:00Z/2026-12-31T00:00:00Z\" }\n"
    "}\n"
    "tcp-ao upstream { peer = \"192.0.2.2\"  port = 179  key-chain = core }\n";

static void the_sample_is_read(void **state)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse_with(sample, &skip, &p);
    const struct gh_key *key;
    char text[GH_PREFIX_TEXT];

    assert_non_null(c);
    assert_int_equal(p.count, 0);
    assert_int_equal(c->chain_count, 1);
    assert_string_equal(c->chains[0].name, "core");
    assert_int_equal(c->chains[0].tolerance, 3600);
    assert_int_equal(c->chains[0].warn_count, 3);
    assert_int_equal(c->chains[0].warn_before[0], 30 * 86400);
    assert_int_equal(c->chains[0].key_count, 1);
    key = &c->chains[0].keys[0];
    assert_int_equal(key->mkt.number, 1);
    assert_int_equal(key->mkt.send_id, 3);
    assert_int_equal(key->mkt.recv_id, 8);
    assert_int_equal(key->mkt.alg, TCPAO_HMAC_SHA_1);
    assert_int_equal(key->mkt.mac_len, 12);
    assert_true(key->mkt.options_covered);
    assert_int_equal(key->mkt.send.from, 1796083200);
    assert_int_equal(key->mkt.accept.until, 1796083200 + 30 * 86400);
    assert_string_equal(key->secret_source, "file /etc/gatehouse/secrets/core-1");
    assert_int_equal(key->line, 3);
    assert_int_equal(c->session_count, 1);
    assert_string_equal(c->sessions[0].name, "upstream");
    assert_string_equal(gh_prefix_format(&c->sessions[0].peer, text), "192.0.2.2");
    assert_int_equal(c->sessions[0].port, 179);
    assert_int_equal(c->sessions[0].mode, GH_REQUIRED);
    assert_int_equal(c->sessions[0].backend, GH_BACKEND_AUTO);
    assert_int_equal(c->sessions[0].line, 7);
    gh_config_free(c);
}

static void defaults_and_every_option(void **state)
{
    struct gh_config *c = must_parse(
        "gatehouse { user = daemon; firewall = iptables queue-base = 100\n"
        "  queue-length = 1000 max-connections = 20\n"
        "  shim-users = { frr, \"@bgp\", _bgpd } } # a comment\n"
        "// another\n"
        "tcp-ao \"b c\" { description = 'x \"y\"' peer = 2001:db8::/32 local = 2001:db8::1\n"
        " port = 646 direction = passive mode = required backend = engine netns = blue vrf = red\n"
        " accept-icmp = yes key-chain = k }\n"
        "/* sessions may\n come first */\n"
        "key-chain k { description = d tolerance = 5m warn-before = { 1d, \"60d\", }\n"
        " key 2147483647 { send-id = 0 recv-id = 255 algorithm = hmac-sha-256 mac-length = 32\n"
        "  include-tcp-options = false accept-ao-mismatch = true secret = \"a\\\"b\"\n"
        "  send-lifetime = 2026-12-01/30d accept-lifetime = infinite }\n"
        " key 0 { send-id = 1 recv-id = 1 secret-hex = 00FF algorithm = cmac(aes128)\n"
        "  lifetime = never }\n"
        "}\n",
        NULL);
    const struct gh_key_chain *k = &c->chains[0];

    assert_string_equal(c->user, "daemon");
    assert_int_equal(c->firewall, GH_FIREWALL_IPTABLES);
    assert_int_equal(c->queue_base, 100);
    assert_int_equal(c->queue_length, 1000);
    assert_int_equal(c->max_connections, 20);
    assert_int_equal(c->shim_user_count, 3);
    assert_string_equal(c->shim_users[1], "@bgp");
    assert_string_equal(c->sessions[0].name, "b c");
    assert_string_equal(c->sessions[0].description, "x \"y\"");
    assert_int_equal(c->sessions[0].peer.bits, 32);
    assert_int_equal(c->sessions[0].direction, GH_PASSIVE);
    assert_string_equal(c->sessions[0].netns, "blue");
    assert_string_equal(c->sessions[0].vrf, "red");
    assert_true(c->sessions[0].accept_icmp);
    assert_int_equal(c->sessions[0].backend, GH_BACKEND_ENGINE);
    assert_int_equal(k->tolerance, 300);
    assert_int_equal(k->warn_count, 2);
    assert_int_equal(k->warn_before[0], 60 * 86400);
    assert_int_equal(k->keys[0].mkt.number, 0);
    assert_int_equal(k->keys[0].mkt.alg, TCPAO_AES_128_CMAC);
    assert_memory_equal(k->keys[0].secret.data, "\x00\xff", 2);
    assert_int_equal(k->keys[1].mkt.mac_len, 32);
    assert_false(k->keys[1].mkt.options_covered);
    assert_true(k->keys[1].mkt.accept_mismatch);
    assert_memory_equal(k->keys[1].mkt.secret, "a\"b", 3);
    assert_true(k->keys[1].mkt.accept.until == TCPAO_TIME_MAX);
    assert_string_equal(k->keys[1].secret_source, "inline");
    gh_config_free(c);
}

/* J5: control passes from key to key at each start-time; the last one has no end. */
static void junos_start_times_follow_each_other(void **state)
{
    struct gh_config *c =
        must_parse("key-chain new_auth_key {\n"
                   " key 1 { send-id = 1 recv-id = 2 secret = a start-time = "
                   "\"2022-6-18.04:00:00 -0700\" }\n"
                   " key 0 { send-id = 3 recv-id = 8 secret = b start-time = "
                   "\"2022-5-18.04:00:00 -0700\" }\n"
                   " key 2 { send-id = 3 recv-id = 8 secret = c start-time = 2022-08-01 duration = "
                   "10d }\n"
                   "}\n",
                   NULL);
    const struct gh_key *keys = c->chains[0].keys;
    struct tcpao_chain *chain = gh_key_chain_build(&c->chains[0]);
    char text[GH_LIFETIME_TEXT];

    assert_string_equal(gh_lifetime_format(&keys[0].mkt.send, text),
                        "2022-05-18T11:00:00Z/2022-06-18T11:00:00Z");
    assert_string_equal(gh_lifetime_format(&keys[1].mkt.send, text),
                        "2022-06-18T11:00:00Z/2022-08-01T00:00:00Z");
    assert_string_equal(gh_lifetime_format(&keys[2].mkt.accept, text),
                        "2022-08-01T00:00:00Z/2022-08-11T00:00:00Z");
    assert_non_null(chain);
    assert_int_equal(tcpao_chain_preferred(chain, keys[1].mkt.send.from - 1)->number, 0);
    assert_int_equal(tcpao_chain_preferred(chain, keys[1].mkt.send.from)->number, 1);
    tcpao_chain_put(chain);
    gh_config_free(c);
}

/* ---- Errors: where, which rule, and whether there is a remedy ---- */

#define KEY1 "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s } }\n"
#define IN_KEY(options)                                                                            \
    "key-chain k { key 1 {\nsend-id = 1 recv-id = 1 secret = s\n" options "\n} }\n"
/* 81 octets */
#define HEX_10              "00112233445566778899"
#define HEX_81              HEX_10 HEX_10 HEX_10 HEX_10 HEX_10 HEX_10 HEX_10 HEX_10 "aa"
#define IN_SESSION(options) KEY1 "tcp-ao s {\nkey-chain = k peer = 192.0.2.1\n" options "\n}\n"

static const struct {
    const char *text;
    int line;
    const char *rule;
    const char *says; /* in the message or the remedy */
} wrong[] = {
    /* syntax */
    {"key-chain k {\n", 1, "syntax", "no end"},
    {"\n}\n", 2, "syntax", "closes nothing"},
    {"gatehouse {\nuser daemon }\n", 2, "syntax", "NAME = VALUE"},
    {"gatehouse {\nuser = }\n", 2, "syntax", "expected a value"},
    {"gatehouse {\nuser = \"x\n}\n", 2, "syntax", "no end"},
    {"gatehouse {\nuser = \"\\q\"\n}\n", 2, "syntax", "escape"},
    {"gatehouse {\n/* x\n\n", 2, "syntax", "no end"},
    {"# 1\n# 2\n/* 3\n4 */\n=\n", 5, "syntax", "expected an option or a section"},
    {"gatehouse {\nuser = { a b }\n}\n", 2, "syntax", "\",\" or \"}\""},
    {"gatehouse {\nuser = { a }\n}\n", 2, "syntax", "takes one value"},
    {"gatehouse x {\n}\n", 1, "syntax", "takes no name"},
    {"key-chain {\n}\n", 1, "syntax", "needs a name"},
    {"tcp-ao = 3\n", 1, "syntax", "is a section"},
    {"gatehouse {\nuser { }\n}\n", 2, "syntax", "is an option"},
    {"a { b { c { d { e { f { g { h {\n i {\n}}}}}}}}}\n", 2, "syntax", "nested"},
    {"gatehouse {\nuser = a\x01z\n}\n", 2, "syntax", "control"},
    /* unknown names */
    {"gatehuose {\n}\n", 1, "unknown-option", "did you mean \"gatehouse\""},
    {"gatehouse {\nqueue-bass = 4\n}\n", 2, "unknown-option", "did you mean \"queue-base\""},
    {"gatehouse {\nfoo = 4\n}\n", 2, "unknown-option", "user, firewall"},
    {IN_KEY("send_lifetime = infinite"), 3, "unknown-option", "did you mean \"send-lifetime\""},
    {IN_SESSION("neighbour = x"), 4, "unknown-option", "write one of"},
    /* duplicates */
    {"gatehouse {\nuser = a\nuser = b\n}\n", 3, "duplicate", "first on line 2"},
    {"gatehouse { }\ngatehouse { }\n", 2, "duplicate", "first on line 1"},
    {KEY1 KEY1, 2, "duplicate", "on line 1"},
    {IN_SESSION("") "tcp-ao s { key-chain = k\npeer = 192.0.2.9 }\n", 6, "duplicate", "on line 2"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s }\n"
     "key 1 { send-id = 2 recv-id = 2 secret = s } }",
     2, "duplicate", "on line 1"},
    /* values */
    {"gatehouse {\nqueue-base = 65536\n}\n", 2, "range", "0 to 65535"},
    {"gatehouse {\nqueue-base = -1\n}\n", 2, "range", "0 to 65535"},
    {"gatehouse {\nqueue-base = 0x10\n}\n", 2, "range", "0 to 65535"},
    {"gatehouse {\nqueue-base = 99999999999999999999\n}\n", 2, "range", "0 to 65535"},
    {"gatehouse {\nfirewall = nftable\n}\n", 2, "range", "did you mean \"nftables\""},
    {"gatehouse {\nuser = root\n}\n", 2, "user", "unprivileged"},
    {"gatehouse {\nmax-connections = 1\n}\n", 2, "range", "16"},
    {"gatehouse {\nshim-users = { \"a b\" }\n}\n", 2, "user", "@"},
    {"gatehouse {\nshim-users = { \"@\" }\n}\n", 2, "user", "@"},
    {"gatehouse {\nshim-users = { \"-x\" }\n}\n", 2, "user", "@"},
    {"gatehouse {\nshim-users = { \"@@bgp\" }\n}\n", 2, "user", "@"},
    /* chains */
    {"key-chain k {\n}\n", 1, "missing-option", "no key"},
    {"key-chain k {\ntolerance = 8640001\n}\n", 2, "range", "8640000"},
    {"key-chain k {\ntolerance = soon\n}\n", 2, "range", "seconds"},
    {"key-chain k {\nwarn-before = { 1y }\n}\n", 2, "lifetime", "units"},
    {"key-chain k {\nwarn-before = { 1,2,3,4,5,6,7,8,9 }\n}\n", 2, "range", "at most 8"},
    {"key-chain k {\nkey 2147483648 { send-id = 1 recv-id = 1 secret = s } }\n", 2, "range",
     "2147483647"},
    {"key-chain k {\nkey x { send-id = 1 recv-id = 1 secret = s } }\n", 2, "range", "number"},
    /* keys */
    {"key-chain k {\nkey 1 { recv-id = 1 secret = s } }\n", 2, "missing-option", "send-id"},
    {"key-chain k {\nkey 1 { send-id = 1 secret = s } }\n", 2, "missing-option", "recv-id"},
    {"key-chain k {\nkey 1 { send-id = 1 recv-id = 1 } }\n", 2, "missing-option", "no secret"},
    {"key-chain k {\nkey 1 { recv-id = 1 secret = s\nsend-id = 256 } }\n", 3, "range", "0 to 255"},
    {IN_KEY("algorithm = md5"), 3, "algorithm", "hmac-sha-1-96"},
    {IN_KEY("algorithm = hmac-sha-1-256"), 3, "algorithm", "MAC length"},
    {IN_KEY("algorithm = aes-128-cmac-96\nmac-length = 16"), 4, "mac-length", "name"},
    {IN_KEY("algorithm = aes-128-cmac\nmac-length = 20"), 4, "range", "4 to 16"},
    {IN_KEY("include-tcp-options = perhaps"), 3, "range", "true or false"},
    {IN_KEY("secret-hex = ff"), 3, "duplicate", "already"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1\nsecret-hex = fff } }\n", 2, "secret-format",
     "hexadecimal"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1\nsecret = \"\" } }\n", 2, "secret-format",
     "empty"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1\nsecret-file = s } }\n", 2, "secret-missing",
     "absolute"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1\nsecret-file = /nowhere/s } }\n", 2,
     "secret-missing", "No such file"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1\nsecret-credential = ../s } }\n", 2,
     "secret-format", "LoadCredential"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1\nsecret-file = / } }\n", 2,
     "secret-permissions", "not a regular file"},
    /* lifetimes */
    {IN_KEY("lifetime = 2026-12-01"), 3, "lifetime", "START/END"},
    {IN_KEY("send-lifetime = 2026-12-02/2026-12-01"), 3, "lifetime", "after the start"},
    {IN_KEY("lifetime = infinite\nsend-lifetime = infinite"), 4, "lifetime", "exclude"},
    {IN_KEY("start-time = 2026-12-01\nsend-lifetime = infinite"), 4, "lifetime", "exclude"},
    {IN_KEY("start-time = soon"), 3, "lifetime", "instant"},
    {IN_KEY("duration = 30d"), 3, "lifetime", "start-time"},
    {IN_KEY("accept-lifetime = infinite"), 3, "lifetime", "send-lifetime"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s start-time = 2026-12-01 }\n"
     "key 2 { send-id = 2 recv-id = 2 secret = s start-time = 2026-12-01 } }\n",
     2, "lifetime", "same time as key 1"},
    /* ids */
    {"key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s }\n"
     "key 2 { send-id = 1 recv-id = 2 secret = s } }\n",
     2, "id-in-use", "key 1 (line 1) and key 2 (line 2) both have send-id 1"},
    {"key-chain k { key 7 { send-id = 1 recv-id = 5 secret = s }\n"
     "key 2 { send-id = 2 recv-id = 5 secret = s } }\n",
     2, "id-in-use", "key 2 (line 2) and key 7 (line 1) both have recv-id 5"},
    /* sessions */
    {KEY1 "tcp-ao s {\nkey-chain = k }\n", 2, "missing-option", "peer"},
    {KEY1 "tcp-ao s {\npeer = 192.0.2.1 }\n", 2, "missing-option", "key-chain"},
    {KEY1 "tcp-ao s { peer = 192.0.2.1\nkey-chain = kk }\n", 3, "unknown-chain",
     "did you mean \"k\""},
    {KEY1 "tcp-ao s { key-chain = k\npeer = 192.0.2.1/24 }\n", 3, "address", "192.0.2.0/24"},
    {KEY1 "tcp-ao s { key-chain = k\npeer = 192.0.2.0/33 }\n", 3, "address", "0 to 32"},
    {KEY1 "tcp-ao s { key-chain = k\npeer = r2.example.net }\n", 3, "address", "192.0.2.2"},
    {KEY1 "tcp-ao s { key-chain = k\npeer = 224.0.0.5 }\n", 3, "address", "multicast"},
    {KEY1 "tcp-ao s { key-chain = k\npeer = ff02::1 }\n", 3, "address", "multicast"},
    {KEY1 "tcp-ao s { key-chain = k\npeer = ::ffff:192.0.2.1 }\n", 3, "address", "mapped"},
    {KEY1 "tcp-ao s { key-chain = k\npeer = 0.0.0.0 }\n", 3, "address", "host"},
    {IN_SESSION("local = 2001:db8::1"), 4, "address", "families"},
    {IN_SESSION("port = 0"), 4, "range", "1 to 65535"},
    {IN_SESSION("direction = in"), 4, "range", "both, active, passive"},
    {IN_SESSION("mode = accept-mismach"), 4, "range", "accept-mismatch"},
    {IN_SESSION("netns = /run/netns/x"), 4, "range", "not a path"},
    {IN_SESSION("vrf = a-name-that-is-too-long"), 4, "range", "1 to 15"},
    {IN_SESSION("") "tcp-ao t { key-chain = k peer = 192.0.2.1 }\n", 6, "session-overlap",
     "\"s\" (line 2)"},
    {IN_SESSION("backend = kernal"), 4, "range", "kernel"},
    {IN_SESSION("backend = kernel mode = allow-without-ao"), 2, "kernel-backend",
     "mode = allow-without-ao"},
    {IN_SESSION("backend = kernel") "tcp-ao t { peer = 192.0.2.0/24 key-chain = k backend = kernel "
                                    "}\n",
     2, "kernel-backend", "\"t\" has it too"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s algorithm = hmac-sha-256-256 } }\n"
     "tcp-ao s { peer = 192.0.2.1 key-chain = k backend = kernel }\n",
     2, "kernel-backend", "key 1 of chain \"k\" has a MAC of more than 16"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s accept-ao-mismatch = true } }\n"
     "tcp-ao s { peer = 192.0.2.1 key-chain = k backend = kernel }\n",
     2, "kernel-backend", "accept-ao-mismatch"},
    {"key-chain k { key 1 { send-id = 1 recv-id = 1 secret-hex = " HEX_81 " } }\n"
     "tcp-ao s { peer = 192.0.2.1 key-chain = k backend = kernel }\n",
     2, "kernel-backend", "more than 80"},
};

static void assert_problem(size_t i, const struct gh_problems *p)
{
    for (size_t k = 0; k < p->count; k++) {
        const struct gh_problem *q = &p->list[k];
        bool says = strstr(q->message, wrong[i].says) != NULL ||
                    (q->remedy != NULL && strstr(q->remedy, wrong[i].says) != NULL);

        if (q->severity == GH_PROBLEM_ERROR && q->line == wrong[i].line &&
            strcmp(q->rule, wrong[i].rule) == 0 && says)
            return;
    }
    gh_problems_print(p, stderr);
    fail_msg("no error [%s] on line %d saying \"%s\" for:\n%s", wrong[i].rule, wrong[i].line,
             wrong[i].says, wrong[i].text);
}

static void each_error_has_its_line_and_rule(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct gh_problems p = {0};
        struct gh_config *c = parse_with(wrong[i].text, NULL, &p);

        if (c != NULL)
            fail_msg("accepted:\n%s", wrong[i].text);
        assert_problem(i, &p);
        gh_problems_clear(&p);
    }
}

static void all_errors_are_listed_in_order(void **state)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse_with("gatehouse {\n"
                                     " user = two words\n"
                                     " queue-base = many\n"
                                     " = 3\n"
                                     " firewall = x\n"
                                     "}\n"
                                     "tcp-ao a { peer = 1 }\n",
                                     NULL, &p);
    static const int lines[] = {2, 3, 4, 5, 7, 7};

    assert_null(c);
    assert_int_equal(p.count, ARRAY_LEN(lines));
    assert_int_equal(p.errors, ARRAY_LEN(lines));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_int_equal(p.list[i].line, lines[i]);
    gh_problems_clear(&p);
}

static void problems_print_one_a_line(void **state)
{
    struct gh_problems p = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    gh_problem_add(&p, GH_PROBLEM_ERROR, "f", 3, "rule", "do that", "wrong %d", 1);
    gh_problem_add(&p, GH_PROBLEM_WARNING, "f", 0, "other", NULL, "odd");
    gh_problems_print(&p, out);
    fclose(out);
    assert_string_equal(text, "f:3: error: wrong 1; do that [rule]\nf: warning: odd [other]\n");
    assert_int_equal(p.errors, 1);
    free(text);
    gh_problems_clear(&p);
}

/* A number of keys in a chain, and a name of a length. */
static char *chain_of(size_t keys, size_t name_len)
{
    char *text = NULL, name[400];
    size_t len;
    FILE *out = open_memstream(&text, &len);

    memset(name, 'n', sizeof(name));
    fprintf(out, "key-chain %.*s {\n", (int)name_len, name);
    for (size_t i = 0; i < keys; i++)
        fprintf(out, "key %zu { send-id = %zu recv-id = %zu secret = s }\n", i, i, i);
    fprintf(out, "}\n");
    fclose(out);
    return text;
}

static void limits_are_exact(void **state)
{
    static const struct {
        size_t keys, name;
        const char *rule; /* NULL: fine */
    } cases[] = {{64, 1, NULL}, {65, 1, "too-many-keys"}, {1, 256, NULL}, {1, 257, "name-length"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gh_problems p = {0};
        char *text = chain_of(cases[i].keys, cases[i].name);
        struct gh_config *c = parse_with(text, NULL, &p);

        assert_int_equal(c != NULL, cases[i].rule == NULL);
        if (cases[i].rule != NULL) {
            assert_int_equal(p.count, 1);
            assert_string_equal(p.list[0].rule, cases[i].rule);
        }
        gh_config_free(c);
        gh_problems_clear(&p);
        free(text);
    }
}

static void ids_may_return_when_lifetimes_do_not_overlap(void **state)
{
    struct gh_config *c =
        must_parse("key-chain k {\n"
                   "key 1 { send-id = 1 recv-id = 1 secret = a lifetime = 2026-01-01/2026-02-01 }\n"
                   "key 2 { send-id = 1 recv-id = 1 secret = b lifetime = 2026-02-01/2026-03-01 }\n"
                   "key 3 { send-id = 2 recv-id = 3 secret = c }\n"
                   "key 4 { send-id = 3 recv-id = 2 secret = d } }\n",
                   NULL);
    struct tcpao_chain *chain = gh_key_chain_build(&c->chains[0]);

    assert_non_null(chain);
    assert_int_equal(tcpao_chain_count(chain), 4);
    tcpao_chain_put(chain);
    gh_config_free(c);
}

static void sessions_are_told_apart(void **state)
{
    struct gh_config *c =
        must_parse(KEY1 "tcp-ao a { key-chain = k peer = 192.0.2.1 }\n"
                        "tcp-ao b { key-chain = k peer = 192.0.2.0/24 }\n"
                        "tcp-ao c { key-chain = k peer = 192.0.2.1 port = 646 }\n"
                        "tcp-ao d { key-chain = k peer = 192.0.2.1 vrf = red }\n"
                        "tcp-ao e { key-chain = k peer = 192.0.2.1 netns = red }\n"
                        "tcp-ao f { key-chain = k peer = 192.0.2.1 local = 192.0.2.9 }\n"
                        "tcp-ao g { key-chain = k peer = 192.0.2.5 direction = active }\n"
                        "tcp-ao h { key-chain = k peer = 192.0.2.5 direction = passive }\n"
                        "tcp-ao i { key-chain = k peer = 192.0.2.1 source-port = 7 }\n"
                        "tcp-ao j { key-chain = k peer = 192.0.2.1 source-port = 8-9 }\n",
                   NULL);

    assert_int_equal(c->session_count, 10);
    gh_config_free(c);
}

static void shouting_modes_warn(void **state)
{
    struct gh_problems p = {0};
    struct gh_config *c =
        parse_with("key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s\n"
                   "accept-ao-mismatch = true } }\n"
                   "tcp-ao a { key-chain = k peer = 192.0.2.1\nmode = accept-mismatch }\n"
                   "tcp-ao b { key-chain = k peer = 192.0.2.2\nmode = allow-without-ao }\n",
                   NULL, &p);

    assert_non_null(c);
    assert_int_equal(p.errors, 0);
    assert_int_equal(p.count, 3);
    assert_string_equal(p.list[0].rule, "accept-mismatch");
    assert_int_equal(p.list[1].line, 4);
    assert_string_equal(p.list[2].rule, "allow-without-ao");
    gh_config_free(c);
    gh_problems_clear(&p);
}

/* ---- Printing ---- */

static char *printed(const struct gh_config *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    gh_config_print(c, out);
    fclose(out);
    return text;
}

/* What the kernel can do, with and without another session in its way. */
static void kernel_can(void **state)
{
    static const char text[] =
        "key-chain k { key 1 { send-id = 1 recv-id = 1 secret-file = /x algorithm = "
        "aes-128-cmac-96 } }\n"
        "tcp-ao a { peer = 192.0.2.1 key-chain = k }\n"
        "tcp-ao b { peer = 192.0.2.0/24 key-chain = k }\n" /* in each other's way */
        "tcp-ao c { peer = 192.0.2.1 key-chain = k port = 646 backend = kernel }\n"
        "tcp-ao d { peer = 192.0.2.0/24 key-chain = k port = 646 }\n" /* gives way */
        "tcp-ao e { peer = 198.51.100.1 key-chain = k mode = accept-mismatch }\n"
        "tcp-ao f { peer = 203.0.113.0/24 key-chain = k }\n" /* its guard would cover g */
        "tcp-ao g { peer = 203.0.113.1 key-chain = k backend = engine }\n"
        "tcp-ao h { peer = 100.64.0.1 key-chain = k }\n"
        "tcp-ao i { peer = 100.64.0.0/24 key-chain = k backend = engine }\n";
    static const bool can[] = {false, false, true, false, false, false, true, true, false};
    struct gh_config *c = must_parse(text, &skip);
    char why[GH_BACKEND_WHY_MAX];

    for (size_t i = 0; i < c->session_count; i++)
        assert_int_equal(gh_backend_kernel_can(c, &c->sessions[i], why, sizeof(why)), can[i]);
    gh_config_free(c);
}

static void print_then_parse_is_the_identity(void **state)
{
    static const char full[] =
        "gatehouse { user = daemon firewall = nftables queue-base = 7\n"
        "  shim-users = { frr, \"@bgp\" } }\n"
        "key-chain \"a \\\"b\\\" \\\\ {\" { description = \"d # e\" tolerance = 0 warn-before = { "
        "}\n"
        " key 9 { send-id = 1 recv-id = 2 secret-file = \"/x y/z\" secret-file-format = hex\n"
        "   algorithm = hmac-sha-256-128 include-tcp-options = off\n"
        "   send-lifetime = 2026-12-01/30d accept-lifetime = always/2027-01-02 }\n"
        " key 3 { send-id = 4 recv-id = 5 secret-credential = c start-time = 2026-12-01 } }\n"
        "tcp-ao t { peer = 2001:db8::/64 local = 2001:db8:1::1 key-chain = 'a \"b\" \\ {'\n"
        " direction = active mode = allow-without-ao backend = engine netns = n vrf = v "
        "accept-icmp = true source-port = 1-65535 }\n";
    struct gh_config *c = must_parse(full, &skip), *again;
    char *first = printed(c), *second;

    again = must_parse(first, &skip);
    second = printed(again);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "algorithm = hmac-sha-256-128"));
    assert_non_null(strstr(first, "secret-file-format = hex"));
    assert_non_null(strstr(first, "shim-users = { \"frr\", \"@bgp\" }"));
    assert_int_equal(again->chains[0].keys[1].mkt.send.until, c->chains[0].keys[1].mkt.send.until);
    assert_true(again->chains[0].keys[1].accept_set);
    assert_int_equal(again->chains[0].warn_count, 0);
    free(first);
    free(second);
    gh_config_free(c);
    gh_config_free(again);
}

static void print_shows_no_secret(void **state)
{
    struct gh_config *c =
        must_parse("key-chain k { key 1 { send-id = 1 recv-id = 1 secret = hushhush } }\n", NULL);
    char *text = printed(c);

    assert_null(strstr(text, "hush"));
    free(text);
    gh_config_free(c);
}

static void errors_show_no_secret(void **state)
{
    static const char *const texts[] = {
        "key-chain k { key 1 { secret = hush hush } }\n",
        "key-chain k { key 1 { secret-hex = hushhush } }\n",
        "key-chain k { key 1 { secret = \"hush\\q\" } }\n",
        "key-chain k { key 1 { secret = \"hush } }\n",
        "key-chain k { key 1 { secret = hush secret = hush secret-hex = hush } }\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct gh_problems p = {0};

        assert_null(parse_with(texts[i], NULL, &p));
        for (size_t k = 0; k < p.count; k++) {
            assert_null(strstr(p.list[k].message, "hush"));
            assert_true(p.list[k].remedy == NULL || strstr(p.list[k].remedy, "hush") == NULL);
        }
        gh_problems_clear(&p);
    }
}

/* ---- Secrets in files ---- */

static char *write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
    char *path = NULL;
    FILE *out;

    assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

/* The rule of the error for a key whose secret is in this file, or NULL. */
static const char *rule_for(const char *path, const char *more, struct gh_secret *secret)
{
    static char rule[64];
    struct gh_problems p = {0};
    struct gh_config *c;
    char text[600];

    snprintf(text, sizeof(text),
             "key-chain k { key 1 { send-id = 1 recv-id = 1 secret-file = \"%s\" %s } }\n", path,
             more);
    c = parse_with(text, NULL, &p);
    if (c != NULL)
        assert_true(gh_secret_set(secret, c->chains[0].keys[0].secret.data,
                                  c->chains[0].keys[0].secret.len));
    else
        snprintf(rule, sizeof(rule), "%s", p.list[0].rule);
    gh_problems_clear(&p);
    gh_config_free(c);
    return c == NULL ? rule : NULL;
}

static void secret_files_are_checked(void **state)
{
    char dir[] = "/tmp/gh-config-XXXXXX", link_path[64], fifo_path[64], long_text[400];
    struct gh_secret s = {0};
    char *path;

    assert_non_null(mkdtemp(dir));
    memset(long_text, 'x', sizeof(long_text));
    long_text[256] = '\0';

    path = write_file(dir, "good", "open sesame\n", 0600);
    assert_null(rule_for(path, "", &s));
    assert_int_equal(s.len, 11);
    assert_memory_equal(s.data, "open sesame", 11);

    snprintf(link_path, sizeof(link_path), "%s/link", dir);
    assert_int_equal(symlink(path, link_path), 0);
    assert_string_equal(rule_for(link_path, "", &s), "secret-permissions");
    assert_int_equal(chmod(path, 0640), 0);
    assert_string_equal(rule_for(path, "", &s), "secret-permissions");
    assert_int_equal(chmod(path, 0604), 0);
    assert_string_equal(rule_for(path, "", &s), "secret-permissions");
    if (geteuid() == 0) {
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_string_equal(rule_for(path, "", &s), "secret-permissions");
    }
    unlink(link_path);
    unlink(path);
    free(path);

    path = write_file(dir, "hex", "DEADbeef\r\n", 0400);
    assert_null(rule_for(path, "secret-file-format = hex", &s));
    assert_int_equal(s.len, 4);
    assert_memory_equal(s.data, "\xde\xad\xbe\xef", 4);
    unlink(path);
    free(path);

    path = write_file(dir, "empty", "\n", 0600);
    assert_string_equal(rule_for(path, "", &s), "secret-format");
    unlink(path);
    free(path);

    path = write_file(dir, "long", long_text, 0600);
    assert_string_equal(rule_for(path, "", &s), "secret-format");
    assert_int_equal(truncate(path, 255), 0);
    assert_null(rule_for(path, "", &s));
    assert_int_equal(s.len, 255);
    unlink(path);
    free(path);

    snprintf(fifo_path, sizeof(fifo_path), "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo_path, 0600), 0);
    assert_string_equal(rule_for(fifo_path, "", &s), "secret-permissions");
    unlink(fifo_path);
    gh_secret_clear(&s);
    rmdir(dir);
}

static void credentials_come_from_systemd(void **state)
{
    static const char text[] =
        "key-chain k { key 1 { send-id = 1 recv-id = 1 secret-credential = core } }\n";
    char dir[] = "/tmp/gh-config-XXXXXX";
    struct gh_problems p = {0};
    struct gh_config *c;
    char *path;

    unsetenv("CREDENTIALS_DIRECTORY");
    assert_null(parse_with(text, NULL, &p));
    assert_non_null(strstr(p.list[0].remedy, "LoadCredential"));
    gh_problems_clear(&p);
    assert_non_null(mkdtemp(dir));
    path = write_file(dir, "core", "from systemd", 0440); /* an ACL shows as group bits */
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    c = must_parse(text, NULL);
    assert_memory_equal(c->chains[0].keys[0].mkt.secret, "from systemd", 12);
    assert_string_equal(c->chains[0].keys[0].secret_source, "credential core");
    gh_config_free(c);
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(path);
    free(path);
    rmdir(dir);
}

static void inline_secrets_in_open_files_warn(void **state)
{
    char dir[] = "/tmp/gh-config-XXXXXX";
    struct gh_problems p = {0};
    struct gh_config *c;
    char *path;

    assert_non_null(mkdtemp(dir));
    path = write_file(dir, "gatehouse.conf", "\n" KEY1, 0644);
    c = gh_config_load(path, NULL, &p);
    assert_non_null(c);
    assert_int_equal(p.count, 1);
    assert_string_equal(p.list[0].rule, "inline-secret");
    assert_string_equal(p.list[0].file, path);
    assert_int_equal(p.list[0].line, 2);
    gh_config_free(c);
    gh_problems_clear(&p);
    assert_int_equal(chmod(path, 0600), 0);
    c = gh_config_load(path, NULL, &p);
    assert_non_null(c);
    assert_int_equal(p.count, 0);
    gh_config_free(c);
    unlink(path);
    assert_null(gh_config_load(path, NULL, &p));
    assert_string_equal(p.list[0].rule, "file");
    gh_problems_clear(&p);
    assert_null(gh_config_load(dir, NULL, &p));
    gh_problems_clear(&p);
    free(path);
    rmdir(dir);
}

/* ---- Changes ---- */

#define CHANGE_NOW INT64_C(1796083200) /* 2026-12-01T00:00:00Z */
#define SESSION    "tcp-ao s { peer = 192.0.2.1 key-chain = "

static const struct {
    const char *before, *after;
    const char *rule; /* NULL: no problem */
    bool error;
} changes[] = {
    /* nothing, a new key, other lifetimes, another tolerance */
    {KEY1 SESSION "k }", KEY1 SESSION "k }", NULL, false},
    {KEY1 SESSION "k }",
     "key-chain k { tolerance = 9 key 1 { send-id = 1 recv-id = 1 secret = s\n"
     "lifetime = 2026-01-01/2027-01-01 } key 2 { send-id = 2 recv-id = 2 secret = t } }" SESSION
     "k }",
     NULL, false},
    /* what makes up a key in use */
    {KEY1 SESSION "k }",
     "key-chain k { key 1 { send-id = 2 recv-id = 1 secret = s } }" SESSION "k }", "key-in-use",
     true},
    {KEY1 SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 2 secret = s } }" SESSION "k }", "key-in-use",
     true},
    {KEY1 SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = t } }" SESSION "k }", "key-in-use",
     true},
    {KEY1 SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s algorithm = aes-128-cmac } }" SESSION
     "k }",
     "key-in-use", true},
    {KEY1 SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s mac-length = 16 } }" SESSION "k }",
     "key-in-use", true},
    {KEY1 SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s include-tcp-options = no } }" SESSION
     "k }",
     "key-in-use", true},
    /* in use only by the tolerance */
    {"key-chain k { tolerance = 60 key 1 { send-id = 1 recv-id = 1 secret = s\n"
     "lifetime = 2026-01-01/2026-11-30T23:59:30 } }" SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = t } }" SESSION "k }", "key-in-use",
     true},
    /* not in use: expired, or no session has the chain */
    {"key-chain k { tolerance = 60 key 1 { send-id = 1 recv-id = 1 secret = s\n"
     "lifetime = 2026-01-01/2026-11-30T23:58:00 } }" SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = t } }" SESSION "k }", NULL, false},
    {KEY1, "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = t } }", NULL, false},
    /* removal is allowed, with a warning */
    {KEY1 SESSION "k }",
     "key-chain k { key 2 { send-id = 2 recv-id = 2 secret = t } }" SESSION "k }",
     "key-in-use-removed", false},
    /* a new key whose MAC is longer: live connections have room for 16 octets */
    {KEY1 SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s } key 2 { send-id = 2 recv-id = 2 "
     "secret = t algorithm = hmac-sha-256-128 } }" SESSION "k }",
     NULL, false},
    {KEY1 SESSION "k }",
     "key-chain k { key 1 { send-id = 1 recv-id = 1 secret = s } key 2 { send-id = 2 recv-id = 2 "
     "secret = t algorithm = hmac-sha-256-256 } }" SESSION "k }",
     "longer-mac", false},
    /* J8: another chain for a living session */
    {KEY1 SESSION "k }",
     "key-chain m { key 1 { send-id = 1 recv-id = 1 secret = t } }" SESSION "m }", "chain-in-use",
     true},
    {KEY1 SESSION "k }",
     "key-chain m { key 1 { send-id = 1 recv-id = 1 secret = s } }" SESSION "m }", NULL, false},
};

static void changes_of_keys_in_use_are_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct gh_config *before = must_parse(changes[i].before, NULL);
        struct gh_config *after = must_parse(changes[i].after, NULL);
        struct gh_problems p = {0};

        gh_config_check_change(before, after, CHANGE_NOW, &p);
        if (p.count != (changes[i].rule != NULL ? 1 : 0)) {
            gh_problems_print(&p, stderr);
            fail_msg("change %zu: %zu problems", i, p.count);
        }
        if (p.count > 0) {
            assert_string_equal(p.list[0].rule, changes[i].rule);
            assert_int_equal(p.errors, changes[i].error);
            assert_non_null(p.list[0].remedy);
        }
        gh_problems_clear(&p);
        gh_config_free(before);
        gh_config_free(after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_is_read),
        cmocka_unit_test(defaults_and_every_option),
        cmocka_unit_test(junos_start_times_follow_each_other),
        cmocka_unit_test(each_error_has_its_line_and_rule),
        cmocka_unit_test(all_errors_are_listed_in_order),
        cmocka_unit_test(problems_print_one_a_line),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(ids_may_return_when_lifetimes_do_not_overlap),
        cmocka_unit_test(sessions_are_told_apart),
        cmocka_unit_test(shouting_modes_warn),
        cmocka_unit_test(kernel_can),
        cmocka_unit_test(print_then_parse_is_the_identity),
        cmocka_unit_test(print_shows_no_secret),
        cmocka_unit_test(errors_show_no_secret),
        cmocka_unit_test(secret_files_are_checked),
        cmocka_unit_test(credentials_come_from_systemd),
        cmocka_unit_test(inline_secrets_in_open_files_warn),
        cmocka_unit_test(changes_of_keys_in_use_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

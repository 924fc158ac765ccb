/* The other end's configuration, vendor by vendor; refusals; generated keys and their files. */
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/commands.h"
#include "config/lint.h"
#include "config/vendor.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NOW          INT64_C(1796083200) /* 2026-12-01T00:00:00Z */

static const char pair_of_keys[] =
    "key-chain core {\n"
    "key 1 { send-id = 3 recv-id = 8 secret = Qm4vT8zKx2WcR7nLp9Yd\n"
    "  lifetime = 2026-12-01/2027-01-31 }\n"
    "key 2 { send-id = 1 recv-id = 2 secret = h3Fg6Js1BvN5tXe0UaZk\n"
    "  lifetime = 2027-01-01/infinite algorithm = aes-128-cmac } }\n"
    "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 key-chain = core }\n";

static struct gh_config *parse(const char *text)
{
    struct gh_problems p = {0};
    struct gh_config *c = gh_config_parse("t.conf", text, strlen(text), NULL, &p);

    if (c == NULL) {
        gh_problems_print(&p, stderr);
        fail_msg("refused: %s", text);
    }
    gh_problems_clear(&p);
    return c;
}

static struct gh_far_end far_end(const struct gh_config *c, bool show_secrets)
{
    return (struct gh_far_end){.chain = &c->chains[0],
                               .session = c->session_count > 0 ? &c->sessions[0] : NULL,
                               .as = 65000,
                               .peer_as = 65001,
                               .now = NOW,
                               .show_secrets = show_secrets};
}

static char *written(enum gh_vendor v, const struct gh_far_end *e)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    gh_vendor_write(v, e, out);
    fclose(out);
    return text;
}

/* Each line must appear, in this order. */
static void assert_lines(enum gh_vendor v, const struct gh_far_end *e, const char *const *lines)
{
    char *text = written(v, e);
    const char *at = text;

    for (; *lines != NULL; lines++) {
        const char *found = strstr(at, *lines);

        if (found == NULL)
            fail_msg("%s: no \"%s\" in the rest of:\n%s", gh_vendor_name(v), *lines, text);
        at = found + strlen(*lines);
    }
    free(text);
}

static void ids_are_crossed_for_every_vendor(void **state)
{
    static const char *const xe[] = {"key chain core tcp\n",
                                     " key 1\n  send-id 8\n  recv-id 3\n",
                                     "cryptographic-algorithm hmac-sha-1\n",
                                     "  include-tcp-options\n",
                                     "send-lifetime 00:00:00 1 Dec 2026 00:00:00 31 Jan 2027\n",
                                     "key-string Qm4vT8zKx2WcR7nLp9Yd\n",
                                     " key 2\n  send-id 2\n  recv-id 1\n",
                                     "cryptographic-algorithm aes-128-cmac\n",
                                     "send-lifetime 00:00:00 1 Jan 2027 infinite\n",
                                     "router bgp 65001\n neighbor 192.0.2.1 remote-as 65000\n",
                                     " neighbor 192.0.2.1 ao core include-tcp-options\n",
                                     NULL};
    static const char *const xr[] = {
        "key chain core\n timezone gmt\n accept-tolerance 3600\n",
        "accept-lifetime 00:00:00 December 01 2026 00:00:00 January 31",
        "key-string clear Qm4vT8zKx2WcR7nLp9Yd\n",
        "send-lifetime 00:00:00 December 01 2026 00:00:00 January 31",
        "cryptographic-algorithm HMAC-SHA1-96\n",
        "cryptographic-algorithm AES-128-CMAC-96\n",
        "tcp ao\n keychain core\n  key 1 SendID 8 ReceiveID 3\n"
        "  key 2 SendID 2 ReceiveID 1\n",
        "  ao core include-tcp-options enable\n",
        NULL};
    static const char *const junos[] = {
        "key-chain core tolerance 3600\n",
        "key 1 secret \"Qm4vT8zKx2WcR7nLp9Yd\"\n",
        "key 1 start-time \"2026-12-1.00:00:00 +0000\"\n",
        "key 1 algorithm ao\n",
        "key 1 ao-attribute send-id 8\n",
        "key 1 ao-attribute recv-id 3\n",
        "key 1 ao-attribute cryptographic-algorithm hmac-sha-1-96\n",
        "key 1 ao-attribute tcp-ao-option enabled\n",
        "key 2 ao-attribute cryptographic-algorithm aes-128-cmac-96\n",
        "neighbor 192.0.2.1 authentication-algorithm ao\n",
        "neighbor 192.0.2.1 authentication-key-chain core\n",
        NULL};
    static const char *const sros[] = {
        "tcp-option-number receive tcp-ao\n",
        "tcp-option-number send tcp-ao\n",
        "receive entry 3 authentication-key \"Qm4vT8zKx2WcR7nLp9Yd\"\n",
        "receive entry 3 algorithm hmac-sha-1-96\n",
        "receive entry 3 begin-time 2026-12-01T00:00:00.0Z\n",
        "receive entry 3 end-time 2027-01-31T00:00:00.0Z\n",
        "send entry 8 authentication-key",
        "receive entry 1 algorithm aes-128-cmac-96\n",
        "send entry 2 algorithm aes-128-cmac-96\n",
        "neighbor \"192.0.2.1\" authentication-keychain \"core\"\n",
        NULL};
    static const char *const bird[] = {"local 192.0.2.2 as 65001;",
                                       "neighbor 192.0.2.1 as 65000;",
                                       "authentication ao;",
                                       "send id 8;",
                                       "recv id 3;",
                                       "secret \"Qm4vT8zKx2WcR7nLp9Yd\";",
                                       "algorithm hmac sha1;",
                                       "preferred;",
                                       "send id 2;",
                                       "algorithm cmac aes128;",
                                       NULL};
    struct gh_config *c = parse(pair_of_keys);
    struct gh_far_end e = far_end(c, true);

    assert_lines(GH_VENDOR_IOS_XE, &e, xe);
    assert_lines(GH_VENDOR_IOS_XR, &e, xr);
    assert_lines(GH_VENDOR_JUNOS, &e, junos);
    assert_lines(GH_VENDOR_SR_OS, &e, sros);
    assert_lines(GH_VENDOR_BIRD, &e, bird);
    gh_config_free(c);
}

static void excluded_options_are_said(void **state)
{
    static const char *const xe[] = {"no include-tcp-options\n", "neighbor 192.0.2.1 ao k\n", NULL};
    static const char *const xr[] = {"include-tcp-options disable\n", NULL};
    static const char *const junos[] = {"tcp-ao-option disabled\n", NULL};
    struct gh_config *c =
        parse("key-chain k { key 1 { send-id = 3 recv-id = 8 secret = Qm4vT8zKx2WcR7nLp9Yd\n"
              "include-tcp-options = no } }\n"
              "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 key-chain = k }\n");
    struct gh_far_end e = far_end(c, true);

    assert_lines(GH_VENDOR_IOS_XE, &e, xe);
    assert_lines(GH_VENDOR_IOS_XR, &e, xr);
    assert_lines(GH_VENDOR_JUNOS, &e, junos);
    gh_config_free(c);
}

/* Of an RPKI-RTR session the end that opens is the router. */
static void junos_is_the_cache_or_the_router(void **state)
{
    static const char *const cache[] = {
        "set routing-options validation local-cache listen-port 8282\n",
        "set routing-options validation group gatehouse session 192.0.2.1 local-cache\n",
        "session 192.0.2.1 local-address 192.0.2.2\n",
        "session 192.0.2.1 authentication-algorithm ao\n",
        "session 192.0.2.1 authentication-key-chain k\n",
        NULL};
    static const char *const router[] = {
        "set routing-options validation group gatehouse session 192.0.2.1 port 8282\n",
        "session 192.0.2.1 authentication-algorithm ao\n", NULL};
    static const struct {
        const char *direction;
        const char *const *lines;
    } cases[] = {{"active", cache}, {"passive", router}, {"both", router}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        struct gh_config *c;
        struct gh_far_end e;

        snprintf(text, sizeof(text),
                 "key-chain k { key 1 { send-id = 3 recv-id = 8 secret = Qm4vT8zKx2WcR7nLp9Yd } }\n"
                 "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 port = 8282 key-chain = k\n"
                 "direction = %s }\n",
                 cases[i].direction);
        c = parse(text);
        e = far_end(c, true);
        assert_lines(GH_VENDOR_JUNOS, &e, cases[i].lines);
        gh_config_free(c);
    }
}

static void secrets_show_only_when_asked(void **state)
{
    struct gh_config *c = parse(pair_of_keys);
    struct gh_far_end e = far_end(c, false);

    for (unsigned v = 0; v < GH_VENDOR_COUNT; v++) {
        char *text = written((enum gh_vendor)v, &e);

        assert_null(strstr(text, "Qm4vT8zK"));
        assert_null(strstr(text, "h3Fg6Js1"));
        free(text);
    }
    gh_config_free(c);
}

/* The mirror of the mirror is the beginning, and both ends fit. */
static void the_gatehouse_at_the_other_end_fits(void **state)
{
    char dir[] = "/tmp/gh-vendor-XXXXXX", path[64], text[1024];
    struct gh_config *a, *b;
    struct gh_problems p = {0};
    struct gh_far_end e;
    char *far_text;
    FILE *out;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/secret", dir);
    out = fopen(path, "w");
    fputs("Qm4vT8zKx2WcR7nLp9Yd\n", out);
    fclose(out);
    chmod(path, 0600);
    snprintf(
        text, sizeof(text),
        "key-chain core { key 1 { send-id = 3 recv-id = 8 secret-file = \"%s\" } }\n"
        "tcp-ao s { peer = 192.0.2.2 local = 192.0.2.1 key-chain = core direction = active }\n",
        path);
    a = parse(text);
    e = far_end(a, false);
    far_text = written(GH_VENDOR_GATEHOUSE, &e);
    b = parse(far_text);
    assert_int_equal(b->sessions[0].direction, GH_PASSIVE);
    if (gh_lint(a, b, NOW, &p) != 0) {
        gh_problems_print(&p, stderr);
        fail();
    }
    free(far_text);
    gh_config_free(a);
    gh_config_free(b);
    unlink(path);
    rmdir(dir);
}

/* ---- What a vendor cannot do ---- */

#define KEY(options)                                                                               \
    "key-chain k { key 1 { send-id = 3 recv-id = 8 secret = Qm4vT8zKx2WcR7nLp9Yd " options " } "   \
    "}\n"
#define TWO_KEYS(first, second)                                                                    \
    "key-chain k { key 1 { secret = Qm4vT8zKx2WcR7nLp9Yd " first " }\n"                            \
    "key 2 { secret = h3Fg6Js1BvN5tXe0UaZk " second " } }\n"

static const struct {
    const char *text;
    const char *vendors; /* that refuse it, as digits of enum gh_vendor */
} refusals[] = {
    {KEY(""), ""},
    {KEY("algorithm = hmac-sha-256-256"), "2345"},
    {KEY("algorithm = hmac-sha-256-128"), "1235"},
    {KEY("algorithm = hmac-sha-256-96"), "123"},
    {KEY("mac-length = 16"), "12345"},
    {KEY("include-tcp-options = no"), "45"},
    {"key-chain k { key 64 { send-id = 3 recv-id = 8 secret = Qm4vT8zKx2WcR7nLp9Yd } }\n", "3"},
    {"key-chain k { key 1 { send-id = 64 recv-id = 8 secret = Qm4vT8zKx2WcR7nLp9Yd } }\n", "4"},
    {"key-chain k { key 1 { send-id = 3 recv-id = 8 secret = \"two words\" } }\n", "12345"},
    {"key-chain \"two words\" { key 1 { send-id = 3 recv-id = 8 secret = s } }\n", "12345"},
    {TWO_KEYS("send-id = 3 recv-id = 8 lifetime = 2026-01-01/2027-01-01",
              "send-id = 8 recv-id = 4 lifetime = 2027-01-01/infinite"),
     "13"},
    {TWO_KEYS("send-id = 3 recv-id = 8 lifetime = 2026-01-01/2027-01-01",
              "send-id = 3 recv-id = 8 lifetime = 2027-01-01/infinite"),
     "12345"},
    {TWO_KEYS("send-id = 3 recv-id = 8", "send-id = 1 recv-id = 2"), "34"},
    {TWO_KEYS("send-id = 3 recv-id = 8 lifetime = 2026-01-01/infinite",
              "send-id = 1 recv-id = 2 lifetime = 2026-06-01/infinite include-tcp-options = no"),
     "1245"},
};

static void what_a_vendor_cannot_do_is_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct gh_config *c = parse(refusals[i].text);
        struct gh_far_end e = far_end(c, true);

        for (unsigned v = 0; v < GH_VENDOR_COUNT; v++) {
            char why[GH_WHY_TEXT] = "";
            bool can = gh_vendor_check((enum gh_vendor)v, &e, why);

            if (can != (strchr(refusals[i].vendors, (int)('0' + v)) == NULL))
                fail_msg("%s: %s %s", gh_vendor_name((enum gh_vendor)v), can ? "accepted" : why,
                         refusals[i].text);
            assert_int_equal(can, why[0] == '\0');
        }
        gh_config_free(c);
    }
}

/* ---- The commands ---- */

/* Runs a command with its standard output in a file; the words end with NULL. */
static int run(int (*command)(int, char **), const char *output, const char *const *words)
{
    char *argv[40];
    int argc = 0, status;
    pid_t child;

    for (; words[argc] != NULL; argc++)
        argv[argc] = strdup(words[argc]);
    argv[argc] = NULL;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        if (freopen(output, "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(99);
        status = command(argc, argv);
        fflush(stdout);
        _exit(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char *read_all(const char *path)
{
    char *text = calloc(1, 65536);
    FILE *in = fopen(path, "r");

    assert_non_null(in);
    assert_true(fread(text, 1, 65535, in) > 0);
    fclose(in);
    return text;
}

static void generated_keys_are_strong_and_private(void **state)
{
    char dir[] = "/tmp/gh-generate-XXXXXX", secrets[64], path[128], output[64];
    struct gh_problems p = {0};
    struct gh_config *c;
    char *text, *end;
    struct stat st;

    assert_non_null(mkdtemp(dir));
    snprintf(secrets, sizeof(secrets), "%s/secrets", dir);
    snprintf(output, sizeof(output), "%s/out", dir);
    const char *const words[] = {"generate",   "core",      "--keys",       "3",      "--start",
                                 "2026-11-01", "--period",  "30d",          "--peer", "192.0.2.2",
                                 "--local",    "192.0.2.1", "--secret-dir", secrets,  "--for",
                                 "all",        NULL};

    assert_int_equal(run(gh_cmd_generate, output, words), 0);
    text = read_all(output);
    end = strstr(text, "# ---- the other end: Gatehouse");
    assert_non_null(end);
    *end = '\0';
    c = parse(text);
    assert_int_equal(c->chains[0].key_count, 3);
    assert_true(c->chains[0].keys[2].mkt.send.until == TCPAO_TIME_MAX);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(c->chains[0].keys[i].secret.len, 43);
        snprintf(path, sizeof(path), "%s/core-%zu", secrets, i + 1);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_null(memmem(text, strlen(text), c->chains[0].keys[i].secret.data, 43));
    }
    if (gh_lint(c, NULL, NOW, &p) != 0) {
        gh_problems_print(&p, stderr);
        fail_msg("lint has something against generated keys");
    }
    gh_config_free(c);
    free(text);
    /* a second time nothing is overwritten */
    assert_int_equal(run(gh_cmd_generate, output, words), 1);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/core-%zu", secrets, i + 1);
        assert_int_equal(unlink(path), 0);
    }
    rmdir(secrets);
    unlink(output);
    rmdir(dir);
}

static void a_refusal_makes_no_secret(void **state)
{
    char dir[] = "/tmp/gh-generate-XXXXXX";

    assert_non_null(mkdtemp(dir));
    const char *const words[] = {"generate",         "core",  "--algorithm",
                                 "hmac-sha-256-256", "--for", "junos",
                                 "--secret-dir",     dir,     NULL};
    assert_int_equal(run(gh_cmd_generate, "/dev/null", words), 1);
    assert_int_equal(rmdir(dir), 0); /* empty */
}

static void wrong_usage_is_two(void **state)
{
    static const char *const generate[] = {"generate", NULL};
    static const char *const vendor[] = {"generate", "x", "--for", "junos,cisco", NULL};
    static const char *const lint[] = {"lint", NULL};
    static const char *const simulate[] = {"simulate", "x", "--skew", "much", NULL};
    static const char *const peer[] = {"peer-config", "x", NULL};
    static const char *const table[] = {"firewall", "x", "--table", "a; flush ruleset", NULL};
    static const char *const no_peer[] = {"firewall", "/dev/null", NULL};
    static const char *const missing[] = {"lint", "/nowhere/gatehouse.conf", NULL};

    assert_int_equal(run(gh_cmd_generate, "/dev/null", generate), 2);
    assert_int_equal(run(gh_cmd_generate, "/dev/null", vendor), 2);
    assert_int_equal(run(gh_cmd_lint, "/dev/null", lint), 2);
    assert_int_equal(run(gh_cmd_simulate, "/dev/null", simulate), 2);
    assert_int_equal(run(gh_cmd_peer_config, "/dev/null", peer), 2);
    assert_int_equal(run(gh_cmd_firewall, "/dev/null", table), 2);
    assert_int_equal(run(gh_cmd_firewall, "/dev/null", no_peer), 1);
    assert_int_equal(run(gh_cmd_lint, "/dev/null", missing), 1);
}

/* ---- BIRD itself reads what is written for it ---- */

static bool newer_bird(char path[256])
{
    char command[512];
    bool found;
    FILE *in;

    snprintf(command, sizeof(command), "%s/tools/bird-newer --cached 2>/dev/null",
             getenv("GATEHOUSE_SOURCE") != NULL ? getenv("GATEHOUSE_SOURCE") : ".");
    in = popen(command, "r");
    if (in == NULL)
        return false;
    found = fgets(path, 256, in) != NULL;
    path[strcspn(path, "\n")] = '\0';
    return pclose(in) == 0 && found;
}

static void bird_reads_its_configuration(void **state)
{
    static const char *const ends[] = {"peer = 192.0.2.2 local = 192.0.2.1",
                                       "peer = 2001:db8::2 local = 2001:db8::1 port = 1179",
                                       "peer = 192.0.2.0/24 local = 192.0.2.1"};
    char bird[256], dir[] = "/tmp/gh-bird-XXXXXX", path[64], command[512];

    if (!newer_bird(bird)) {
        print_message("no BIRD 2.17 or newer is kept (tools/bird-newer)\n");
        skip();
    }
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/bird.conf", dir);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char text[1024];
        struct gh_config *c;
        struct gh_far_end e;
        FILE *out;

        snprintf(text, sizeof(text),
                 "key-chain core {\n"
                 "key 1 { send-id = 3 recv-id = 8 secret = Qm4vT8zKx2WcR7nLp9Yd }\n"
                 "key 2 { send-id = 1 recv-id = 2 secret = h3 algorithm = aes-128-cmac }\n"
                 "key 3 { send-id = 4 recv-id = 4 secret = h4 algorithm = hmac-sha-256-96 } }\n"
                 "tcp-ao s { key-chain = core %s }\n",
                 ends[i]);
        c = parse(text);
        e = far_end(c, i == 0);
        out = fopen(path, "w");
        fprintf(out, "router id 192.0.2.2;\nprotocol device { }\n");
        gh_vendor_write(GH_VENDOR_BIRD, &e, out);
        fclose(out);
        snprintf(command, sizeof(command), "%s -p -c %s", bird, path);
        assert_int_equal(system(command), 0);
        gh_config_free(c);
    }
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_crossed_for_every_vendor),
        cmocka_unit_test(excluded_options_are_said),
        cmocka_unit_test(junos_is_the_cache_or_the_router),
        cmocka_unit_test(secrets_show_only_when_asked),
        cmocka_unit_test(the_gatehouse_at_the_other_end_fits),
        cmocka_unit_test(what_a_vendor_cannot_do_is_refused),
        cmocka_unit_test(generated_keys_are_strong_and_private),
        cmocka_unit_test(a_refusal_makes_no_secret),
        cmocka_unit_test(wrong_usage_is_two),
        cmocka_unit_test(bird_reads_its_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* `manual-sa NAME { … }`: what is read, what goes through octets, and what is wrong with the rest.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

static char directory[] = "/tmp/gh-manual-XXXXXX";

/* A file with so many octets as a key. */
static void write_key(const char *name, size_t octets)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("0x", f);
    for (size_t i = 0; i < octets; i++)
        fprintf(f, "%02x", (unsigned)(i + octets) & 255);
    fputs("\n", f);
    fclose(f);
    assert_int_equal(chmod(path, 0600), 0);
}

static int set_up(void **state)
{
    assert_non_null(mkdtemp(directory));
    write_key("k16", 16);
    write_key("k20", 20);
    write_key("k24", 24);
    write_key("k32", 32);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"k16", "k20", "k24", "k32"};
    char path[64];

    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

/* '@' stands for the directory of the keys. */
static struct gh_config *parse(const char *text, bool skip, struct gh_problems *p)
{
    const struct gh_config_options options = {.skip_secrets = skip};
    char out[8192];
    size_t n = 0;

    for (; *text != '\0' && n + sizeof(directory) < sizeof(out); text++) {
        if (*text == '@')
            n += (size_t)snprintf(out + n, sizeof(out) - n, "%s/", directory);
        else
            out[n++] = *text;
    }
    return gh_config_parse("test.conf", out, n, &options, p);
}

#define ENDS  "local = 192.0.2.1 remote = 192.0.2.2 "
#define NETS  "local-ts = 10.1.0.0/16 remote-ts = 10.2.0.0/16 "
#define KEYS  "encryption-key-file = \"@k32\" integrity-key-file = \"@k32\" "
#define SUITE "encryption = aes-256-cbc integrity = hmac-sha-256-128 "
#define WAYS  "in { spi = 300 " KEYS "} out { spi = 301 " KEYS "} "
#define ESP   "esp { " SUITE WAYS "} "
#define MAC   "integrity-key-file = \"@k20\" "
#define AH    "ah { integrity = hmac-sha-1-96 in { spi = 300 " MAC "} out { spi = 16383 " MAC "} } "

static void check(const struct gh_config *c, bool with_keys)
{
    const struct gh_ike_config *ike = c->ike;
    const struct gh_manual_sa *sa = c->manual.sas;
    const struct ike2_policy *p;
    char text[IKE_TS_TEXT];

    assert_int_equal(ike->policy_count, 3);
    assert_string_equal(ike->policies[0]->name, "first");
    assert_string_equal(ike->policies[1]->name, "p"); /* in the order of the file */
    assert_true(!ike->policies[1]->manual);
    p = ike->policies[2];
    assert_string_equal(p->name, "second");
    assert_true(p->manual && p->remote_auths == 0 && p->child_count == 1);
    assert_int_equal(p->children[0].mode, IKE2_TRANSPORT);
    assert_string_equal(ike_ts_format(&p->children[0].local.ts[0], text), "2001:db8::1");
    assert_string_equal(ike->zones[p->zone - 1].vrf, "red");
    assert_int_equal(p->children[0].traffic.window, 64);
    assert_int_equal(ike->policies[0]->children[0].traffic.window, 0);

    assert_int_equal(c->manual.count, 2);
    assert_true(sa->esp.there && sa->ah.there);
    assert_int_equal(sa->esp.enc, GH_ENC_AES_CBC);
    assert_int_equal(sa->esp.enc_bits, 256);
    assert_int_equal(sa->esp.in.spi, 300);
    assert_int_equal(sa->ah.out.spi, 16383);
    assert_int_equal(sa->esp.in.key.len, with_keys ? 64 : 0);
    assert_int_equal(sa->ah.out.key.len, with_keys ? 20 : 0);
    assert_true(sa[1].ah.there || sa[1].esp.enc == GH_ENC_NULL);
    assert_int_equal(sa[1].esp.out.key.len, with_keys ? 32 : 0);
}

static const char whole[] =
    "manual-sa first { " ENDS NETS ESP AH "ip-mtu = 1300 description = \"x y\" }\n"
    "ike-peer p { remote = 192.0.2.2 psk-secret = \"0123456789abcdefghij\"\n"
    " child c { local-ts = 10.3.0.0/16 remote-ts = 10.4.0.0/16 } }\n"
    "manual-sa second { local = 2001:db8::1 remote = 2001:db8::2 mode = transport vrf = red\n"
    " replay-window = 64 esp { encryption = null integrity = hmac-sha-256-128\n"
    " in { spi = 302 integrity-key-file = \"@k32\" } out { spi = 303 integrity-key-file = \"@k32\" "
    "} "
    "} }\n";

static void all_words_are_read_and_carried(void **state)
{
    struct gh_problems p = {0};
    struct gh_config *c = parse(whole, false, &p);
    struct gh_manual_list again = {.count = 0};
    struct gh_ike_config *decoded;
    uint8_t octets[GH_MANUAL_WIRE_MAX], *config;
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));
    size_t len;

    if (c == NULL)
        gh_problems_print(&p, stderr);
    assert_non_null(c);
    check(c, true);
    gh_manual_put(&w, &c->manual);
    assert_true(gh_wr_ok(&w) && gh_manual_get(gh_view_of(octets, w.len), &again));
    gh_manual_clear(&c->manual);
    c->manual = again;
    check(c, true);
    for (size_t i = 1; i < w.len; i++)
        assert_false(gh_manual_get(gh_view_of(octets, w.len - i), &again));

    config = gh_ike_config_encode(c->ike, &len);
    for (size_t i = 0; i + 32 <= len; i++) /* what all processes get has no key in it */
        assert_memory_not_equal(config + i, c->manual.sas[0].esp.in.key.data, 32);
    decoded = gh_ike_config_decode(gh_view_of(config, len));
    assert_non_null(decoded);
    gh_ike_config_free(c->ike);
    c->ike = decoded;
    check(c, true);
    gh_ike_config_drop_manual(c->ike); /* as `ike` does */
    assert_int_equal(c->ike->policy_count, 1);
    assert_string_equal(c->ike->policies[0]->name, "p");
    free(config);
    gh_config_free(c);
    gh_problems_clear(&p);

    c = parse(whole, true, &p); /* lint of another host's file */
    assert_non_null(c);
    check(c, false);
    gh_config_free(c);
    gh_problems_clear(&p);
}

#define WITH(...)    "manual-sa m { " ENDS NETS __VA_ARGS__ " }"
#define CIPHER(name) WITH("esp {\n encryption = " name " integrity = hmac-sha-256-128 " WAYS "}")

static const struct {
    const char *text, *rule, *words;
    int line;
} wrong[] = {
    {"manual-sa m { remote = 192.0.2.2 " NETS ESP "}", "missing-option", "\"local\"", 1},
    {"manual-sa m { local = 192.0.2.1 " NETS ESP "}", "missing-option", "\"remote\"", 1},
    {"manual-sa m { " ENDS ESP "}", "missing-option", "\"local-ts\"", 1},
    {"manual-sa m {\n local = 192.0.2.1 remote = 2001:db8::1 " NETS ESP "}", "address", "families",
     2},
    {"manual-sa m { local = x " ENDS NETS ESP "}", "address", "host", 1},
    {WITH(""), "missing-option", "\"esp\"", 1},
    {WITH(ESP "\n" ESP), "duplicate", "two \"esp\"", 2},
    {WITH(ESP "\nmtu = 3"), "unknown-option", "mtu", 2},
    {WITH(ESP "\nreplay-window = 5"), "range", "replay-window", 2},
    {WITH(ESP "\nmode = both"), "range", "mode", 2},
    {"manual-sa m { " ENDS "mode = transport\n local-ts = 10.1.0.0/16 " ESP "}", "traffic-selector",
     "between the two hosts", 2},
    {CIPHER("aes-256-gcm"), "counter-mode", "MUST NOT be used with manual keys", 2},
    {CIPHER("aes-128-gmac"), "counter-mode", "MUST NOT", 2},
    {CIPHER("aes-128-ctr"), "counter-mode", "MUST NOT", 2},
    {CIPHER("aes-128-ccm"), "counter-mode", "MUST NOT", 2},
    {CIPHER("chacha20-poly1305"), "counter-mode", "MUST NOT", 2},
    {CIPHER("aes-128-gcm-iiv"), "counter-mode", "MUST NOT", 2},
    {CIPHER("rot13"), "algorithm", "rot13", 2},
    {CIPHER("3des"), "legacy-algorithm", "3des", 2},
    {WITH("esp { integrity = hmac-sha-256-128 " WAYS "}"), "missing-option", "\"encryption\"", 1},
    {WITH("esp { encryption = aes-256-cbc " WAYS "}"), "missing-option", "\"integrity\"", 1},
    {WITH("esp { encryption = aes-256-cbc\n integrity = crc " WAYS "}"), "algorithm", "crc", 2},
    {WITH("ah {\n encryption = null integrity = hmac-sha-1-96 }"), "unknown-option", "encryption",
     2},
    {WITH("esp { " SUITE "in { spi = 300 " KEYS "} }"), "missing-option", "\"out\"", 1},
    {WITH("esp { " SUITE "\n in { " KEYS "} out { spi = 301 " KEYS "} }"), "missing-option",
     "\"spi\"", 2},
    {WITH("esp { " SUITE "\n in { spi = 255 " KEYS "} out { spi = 301 " KEYS "} }"), "range", "spi",
     2},
    {WITH("esp { " SUITE "in { spi = 300 " KEYS "}\n out { spi = 16384 " KEYS "} }"), "range",
     "spi", 2},
    {WITH("esp { " SUITE "\n in { spi = 300 encryption-key-file = \"@k32\" } out { spi = 301 " KEYS
          "} }"),
     "missing-option", "\"integrity-key-file\"", 2},
    {WITH("esp { " SUITE "\n in { spi = 300 integrity-key-file = \"@k32\" } out { spi = 301 " KEYS
          "} }"),
     "missing-option", "\"encryption-key-file\"", 2},
    {WITH("esp { " SUITE "in { spi = 300 " KEYS "} out { spi = 301 encryption-key-file = \"@k32\"\n"
          " integrity-key-file = \"@k20\" } }"),
     "key-length", "20 octets, and \"hmac-sha-256-128\" takes 32", 2},
    {WITH("esp { " SUITE "in { spi = 300 " KEYS "} out { spi = 301 integrity-key-file = \"@k32\"\n"
          " encryption-key-file = \"@k24\" } }"),
     "key-length", "24 octets, and \"aes-256-cbc\" takes 32", 2},
    {WITH("esp { " SUITE "in { spi = 300 " KEYS "} out { spi = 301 integrity-key-file = \"@k32\"\n"
          " encryption-key-file = \"@gone\" } }"),
     "secret-missing", "gone", 2},
    {WITH("esp { " SUITE "in { spi = 300 " KEYS "} out { spi = 301 integrity-key-file = \"@k32\"\n"
          " encryption-key-file = \"k32\" } }"),
     "secret-missing", "absolute", 2},
    {WITH("esp { encryption = null integrity = hmac-sha-256-128\n " WAYS "}"), "range",
     "\"null\" has no key", 2},
    {WITH(ESP) "\nmanual-sa n { " ENDS NETS "\n" ESP "}", "spi-in-use", "300", 3},
    {WITH(AH) "\nmanual-sa n { " ENDS NETS "\n" AH "}", "spi-in-use", "300", 3},
    {WITH(ESP) "\nmanual-sa n { " ENDS NETS "\nesp { " SUITE "in { spi = 400 " KEYS
               "} out { spi = 301 " KEYS "} } }",
     "spi-in-use", "301 of what goes out", 3},
    {WITH(ESP) "\nmanual-sa m { " ENDS NETS AH "}", "duplicate", "\"m\"", 2},
    {WITH(ESP) "\nike-peer m { remote = 192.0.2.3 psk-secret = \"0123456789abcdefghij\"\n"
               " child c { local-ts = 10.3.0.0/16 remote-ts = 10.4.0.0/16 } }",
     "duplicate", "line 2", 1},
};

static void what_is_wrong_is_named(void **state)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct gh_problems p = {0};
        struct gh_config *c = parse(wrong[i].text, false, &p);
        bool found = false;

        for (size_t k = 0; k < p.count; k++)
            found |= strcmp(p.list[k].rule, wrong[i].rule) == 0 &&
                     p.list[k].line == wrong[i].line &&
                     strstr(p.list[k].message, wrong[i].words) != NULL;
        if (c != NULL || !found) {
            gh_problems_print(&p, stderr);
            fail_msg("%s: not told as %s in line %d", wrong[i].text, wrong[i].rule, wrong[i].line);
        }
        gh_config_free(c);
        gh_problems_clear(&p);
    }
}

static void sixteen_are_possible(void **state)
{
    for (int count = 16; count <= 17; count++) {
        struct gh_problems p = {0};
        struct gh_config *c;
        char text[8000];
        size_t n = 0;

        for (int i = 0; i < count; i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n,
                                  "manual-sa s%d { " ENDS NETS "ah { integrity = hmac-sha-1-96\n"
                                  " in { spi = %d " MAC "} out { spi = %d " MAC "} } }\n",
                                  i, 300 + i, 400 + i);
        c = parse(text, true, &p);
        assert_int_equal(c != NULL, count == 16);
        if (count == 17)
            assert_string_equal(p.list[0].rule, "too-many-sas");
        gh_config_free(c);
        gh_problems_clear(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_words_are_read_and_carried),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(sixteen_are_possible),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

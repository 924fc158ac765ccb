/* Identities, patterns over them, the client database. */
#include "made_certs.h"

#include <stdlib.h>

#include "pki/client_db.h"
#include "pki/identity.h"
#include "pki/pattern.h"

static struct gh_identity id_of(const char *text)
{
    struct gh_identity id = {.type = GH_ID_NONE};
    struct gh_pki_error e;

    if (!gh_identity_from_text(text, &id, &e)) {
        print_error("%s: %s\n", text, e.message);
        fail();
    }
    return id;
}

static void text_and_back(void **state)
{
    static const struct {
        const char *text;
        uint8_t type;
        const char *again; /* NULL: the same */
    } cases[] = {
        {"192.0.2.1", GH_ID_IPV4, NULL},
        {"ipv4:192.0.2.1", GH_ID_IPV4, "192.0.2.1"},
        {"2001:db8::1", GH_ID_IPV6, NULL},
        {"gw.example.net", GH_ID_FQDN, NULL},
        {"fqdn:192.0.2.1", GH_ID_FQDN, NULL},
        {"fqdn:null", GH_ID_FQDN, NULL},
        {"fqdn:a@b", GH_ID_FQDN, NULL},
        {"fqdn:fqdn:x", GH_ID_FQDN, NULL},
        {"joe@example.net", GH_ID_RFC822, NULL},
        {"email:joe", GH_ID_RFC822, NULL},
        {"email:a=b@example.net", GH_ID_RFC822, NULL},
        {"email:j\\xc3\\xb6rg@example.net", GH_ID_RFC822, "j\\xc3\\xb6rg@example.net"},
        {"key-id:router 7", GH_ID_KEY_ID, NULL},
        {"key-id:0x00ff", GH_ID_KEY_ID, NULL},
        {"key-id:\\x30x1", GH_ID_KEY_ID, "key-id:0x307831"},
        {"general-name:0x820161", GH_ID_GN, NULL},
        {"null", GH_ID_NULL, NULL},
        {"C=CH, O=Net, CN=gw", GH_ID_DN, NULL},
        {"dn:CN=gw", GH_ID_DN, "CN=gw"},
        {"C=CH,O=Net\\, Inc.,CN=gw+serialNumber=7", GH_ID_DN,
         "C=CH, O=Net\\, Inc., serialNumber=7 + CN=gw"},
        {"E=joe@example.net, 2.5.4.3=#0c026777", GH_ID_DN, "emailAddress=joe@example.net, CN=gw"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gh_identity id = id_of(cases[i].text), again;
        uint8_t mem[GH_ID_BODY];
        struct gh_wr w = gh_wr_make(mem, sizeof(mem));
        char text[GH_ID_TEXT];

        assert_int_equal(id.type, cases[i].type);
        assert_string_equal(gh_identity_format(&id, text, sizeof(text)),
                            cases[i].again != NULL ? cases[i].again : cases[i].text);
        gh_identity_put(&w, &id);
        assert_true(gh_wr_ok(&w));
        mem[1] = mem[2] = mem[3] = 0xff; /* reserved: ignored */
        assert_true(gh_identity_parse(gh_view_of(mem, w.len), &again));
        assert_true(gh_identity_equal(&id, &again));
        again = id_of(text);
        assert_true(gh_identity_equal(&id, &again));
    }
}

static void no_identities(void **state)
{
    static const char *const bad[] = {"",
                                      "fqdn:",
                                      "gw example",
                                      "ipv4:2001:db8::1",
                                      "ipv6:1.2.3.4",
                                      "key-id:",
                                      "key-id:0x1",
                                      "general-name:x",
                                      "general-name:0x00",
                                      "CN=",
                                      "=x",
                                      "dn:x",
                                      "NoSuch=1",
                                      "CN=a,",
                                      "CN=a\\",
                                      "CN=#zz",
                                      "CN=#0101ff",
                                      "email:a\\x00b",
                                      "fqdn:a\\xzz",
                                      "nullx="};
    char text[2048];
    struct gh_identity id = {.type = 77};
    struct gh_pki_error e;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (gh_identity_from_text(bad[i], &id, &e))
            print_error("\"%s\"\n", bad[i]);
        assert_false(gh_identity_from_text(bad[i], &id, &e));
        assert_string_equal(e.rule, "identity");
        assert_int_equal(id.type, 77);
    }
    memset(text, 'a', sizeof(text));
    text[513] = '\0';
    assert_false(gh_identity_from_text(text, &id, &e));
    text[512] = '\0';
    assert_true(gh_identity_from_text(text, &id, &e));
}

static void bad_payloads(void **state)
{
    static const struct {
        uint8_t len, body[24];
    } bad[] = {{0, {0}},
               {3, {GH_ID_NULL, 0, 0}},
               {7, {GH_ID_IPV4, 0, 0, 0, 1, 2, 3}},
               {9, {GH_ID_IPV4, 0, 0, 0, 1, 2, 3, 4, 5}},
               {8, {GH_ID_IPV6, 0, 0, 0, 1, 2, 3, 4}},
               {4, {GH_ID_FQDN}},
               {8, {GH_ID_FQDN, 0, 0, 0, 'a', '.', 'b', 0}},
               {6, {GH_ID_FQDN, 0, 0, 0, 'a', '\n'}},
               {6, {GH_ID_FQDN, 0, 0, 0, 'a', 0xc3}},
               {6, {GH_ID_RFC822, 0, 0, 0, 'a', '\r'}},
               {4, {GH_ID_KEY_ID}},
               {5, {GH_ID_NULL, 0, 0, 0, 1}},
               {6, {GH_ID_DN, 0, 0, 0, 0x30, 0}}, /* empty */
               {7, {GH_ID_DN, 0, 0, 0, 0x30, 0, 0}},
               {5, {4, 0, 0, 0, 1}}, /* unknown */
               {5, {200, 0, 0, 0, 1}}};
    struct gh_identity id = {.type = 77};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(gh_identity_parse(gh_view_of(bad[i].body, bad[i].len), &id));
        assert_int_equal(id.type, 77);
    }
}

static void equality(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {{"GW.Example.net", "gw.example.NET", true},
                 {"gw.example.net", "gw.example.net.", false},
                 {"joe@Example.net", "joe@example.NET", true},
                 {"Joe@example.net", "joe@example.net", false},
                 {"key-id:a", "key-id:A", false},
                 {"CN=gw, O=Net", "CN=gw, O=Net", true},
                 {"CN=GW", "CN= gw ", true}, /* RFC 5280 7.1 */
                 {"CN=gw, O=Net", "O=Net, CN=gw", false},
                 {"2.5.4.3=#13026777", "CN=gw", true}, /* PrintableString, UTF8String */
                 {"192.0.2.1", "192.0.2.1", true},
                 {"192.0.2.1", "fqdn:192.0.2.1", false},
                 {"email:gw", "gw", false}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gh_identity a = id_of(cases[i].a), b = id_of(cases[i].b);

        assert_int_equal(gh_identity_equal(&a, &b), cases[i].equal);
        assert_int_equal(gh_identity_equal(&b, &a), cases[i].equal);
    }
}

static void what_a_certificate_has(void **state)
{
    struct gh_cert *c = made_cert(
        (struct made_plan){.cn = "cn.example.net",
                           .key = made_key("P-256"),
                           .san = "DNS:gw.example.net,DNS:*.wild.net,email:joe@example.net,"
                                  "IP:192.0.2.1,IP:2001:db8::1,URI:http://uri.example.net"});
    struct gh_cert *none = made_cert((struct made_plan){
        .cn = "x", .key = made_key("P-256"), .no_subject = true, .san = "DNS:gw.example.net"});
    static const char *const has[] = {"gw.example.net",
                                      "GW.EXAMPLE.NET",
                                      "joe@example.net",
                                      "192.0.2.1",
                                      "2001:db8::1",
                                      "*.wild.net",
                                      "C=CH, O=Net, CN=cn.example.net"};
    static const char *const not [] = {
        "cn.example.net",  "a.wild.net",        "192.0.2.2",
        "Joe@example.net", "fqdn:192.0.2.1",    "key-id:gw.example.net",
        "uri.example.net", "CN=cn.example.net", "null"};
    struct gh_identity id;
    struct gh_pki_error e;

    for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++) {
        id = id_of(has[i]);
        assert_true(gh_identity_in_cert(&id, c, &e));
    }
    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++) {
        id = id_of(not [i]);
        assert_false(gh_identity_in_cert(&id, c, &e));
        assert_string_equal(e.rule, "cert-identity");
        assert_non_null(strstr(e.message, "CN=cn.example.net"));
    }
    assert_true(gh_identity_of_subject(c, &id));
    assert_true(gh_identity_in_cert(&id, c, &e));
    assert_false(gh_identity_of_subject(none, &id)); /* it has no subject */
    for (size_t i = 0; i < 4; i++) {
        static const char *const first[] = {"gw.example.net", "joe@example.net", "192.0.2.1",
                                            "2001:db8::1"};
        struct gh_identity want = id_of(first[i]);

        assert_true(gh_identity_of_alternative(c, want.type, &id));
        assert_true(gh_identity_equal(&id, &want));
        assert_int_equal(gh_identity_of_alternative(none, want.type, &id), i == 0);
    }
    assert_false(gh_identity_of_alternative(c, GH_ID_KEY_ID, &id));
    id = id_of("gw.example.net");
    assert_true(gh_identity_in_cert(&id, none, &e));
    gh_cert_free(c);
    gh_cert_free(none);
}

/* ---- Patterns ------------------------------------------------------------------------------- */

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *id;
        bool match;
    } cases[] = {{"any", "gw", true},
                 {"any", "null", false},
                 {"null", "null", true},
                 {"192.0.2.0/24", "192.0.2.77", true},
                 {"192.0.2.0/24", "192.0.3.1", false},
                 {"192.0.2.0/24", "fqdn:192.0.2.77", false},
                 {"2001:db8::/32", "2001:db8::1", true},
                 {"0.0.0.0/0", "2001:db8::1", false},
                 {"ipv4:any", "10.0.0.1", true},
                 {"ipv4:any", "::1", false},
                 {"ipv6:any", "::1", true},
                 {"192.0.2.1", "192.0.2.1", true},
                 {"192.0.2.1", "192.0.2.2", false},
                 {"gw.example.net", "GW.example.net", true},
                 {"*.example.net", "a.Example.net", true},
                 {"*.example.net", "a.b.example.net", true},
                 {"*.example.net", "example.net", false},
                 {"*.example.net", ".example.net", false},
                 {"*.example.net", "badexample.net", false},
                 {"*.example.net", "joe@a.example.net", false},
                 {"email:*.example.net", "joe@a.example.net", true},
                 {"*@example.net", "joe@EXAMPLE.net", true},
                 {"*@example.net", "joe@a.example.net", false},
                 {"gw-*", "gw-1.example.net", true},
                 {"gw-*", "GW-1", true},
                 {"gw-*", "gw-", false},
                 {"gw-*", "key-id:gw-1", false},
                 {"key-id:gw-*", "key-id:gw-1", true},
                 {"key-id:gw-*", "key-id:GW-1", false},
                 {"regex:gw[0-9]+\\.example\\.net", "gw12.example.net", true},
                 {"regex:gw[0-9]+\\.example\\.net", "GW12.example.net", true},
                 {"regex:gw1", "evil-gw1", false},
                 {"regex:gw1", "gw1.evil", false},
                 {"regex:a|ab", "ab", true},
                 {"regex:.*@example\\.net", "joe@example.net", true},
                 {"regex:10\\..*", "10.1.2.3", true},
                 {"regex:.*", "null", false},
                 {"regex:.*", "key-id:0x0061", false},
                 {"C=CH, O=Net, CN=gw", "C=CH, O=net, CN=GW", true}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gh_pki_error e = {.message = ""};
        struct gh_pattern *p = gh_pattern_new(cases[i].pattern, &e);
        struct gh_identity id = id_of(cases[i].id);

        if (p == NULL || gh_pattern_match(p, &id) != (cases[i].match ? GH_MATCH_YES : GH_MATCH_NO))
            print_error("%s against %s %s\n", cases[i].pattern, cases[i].id, e.message);
        assert_non_null(p);
        assert_int_equal(gh_pattern_match(p, &id), cases[i].match ? GH_MATCH_YES : GH_MATCH_NO);
        assert_string_equal(gh_pattern_text(p), cases[i].pattern);
        gh_pattern_free(p);
    }
}

static void no_patterns(void **state)
{
    static const char *const bad[] = {"*",      "a*b",       "*a*",          "*example.net",
                                      "regex:", "regex:(",   "regex:(a)\\1", "regex:[z-a]",
                                      "",       "gw example"};
    struct gh_pki_error e;
    char text[1024] = "regex:";

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(gh_pattern_new(bad[i], &e));
        assert_true(e.remedy[0] != '\0');
    }
    memset(text + 6, 'a', sizeof(text) - 6);
    text[6 + 257] = '\0';
    assert_null(gh_pattern_new(text, &e));
    text[6 + 256] = '\0';
    gh_pattern_free(gh_pattern_new(text, &e));
    text[6 + 256] = 'a';
    text[1023] = '\0';
    assert_null(gh_pattern_new(text, &e));
}

static void long_identities_match_no_expression(void **state)
{
    struct gh_pattern *p = gh_pattern_new("regex:a*", NULL);
    char text[300];
    struct gh_identity id;

    memset(text, 'a', sizeof(text));
    text[255] = '\0';
    id = id_of(text);
    assert_int_equal(gh_pattern_match(p, &id), GH_MATCH_YES);
    text[255] = 'a';
    text[256] = '\0';
    id = id_of(text);
    assert_int_equal(gh_pattern_match(p, &id), GH_MATCH_NO);
    gh_pattern_free(p);
}

/* ---- The client database -------------------------------------------------------------------- */

static bool add(struct gh_client_db *db, unsigned index, const char *pattern, const char *prefix,
                struct gh_pki_error *e)
{
    struct gh_client c = {.index = (uint16_t)index};

    snprintf(c.name, sizeof(c.name), "client-%u", index);
    snprintf(c.gets.psk, sizeof(c.gets.psk), "psk-%u", index);
    if (pattern != NULL) {
        c.identity = gh_pattern_new(pattern, e);
        assert_non_null(c.identity);
    }
    c.has_prefix = prefix != NULL && gh_prefix_parse(prefix, &c.prefix);
    return gh_client_db_add(db, &c, e);
}

/* The index found; 0: fall back, -1: fail. */
static int found(const struct gh_client_db *db, const char *id_text, const char *addr_text)
{
    const struct gh_client *c = NULL;
    struct gh_identity id = id_of(id_text);
    struct gh_addr a;

    assert_true(gh_addr_parse(addr_text, &a));
    switch (gh_client_db_find(db, &id, &a, &c)) {
    case GH_CLIENT_FOUND:
        return c->index;
    case GH_CLIENT_FALL_BACK:
        assert_null(c);
        return 0;
    default:
        assert_null(c);
        return -1;
    }
}

static void the_smallest_index_wins(void **state)
{
    struct gh_client_db *db = gh_client_db_new("db", GH_CLIENT_BY_IDENTITY, true);
    struct gh_pki_error e;

    assert_true(add(db, 300, "gw1.example.net", NULL, &e));
    assert_true(add(db, 20, "*.example.net", NULL, &e));
    assert_true(add(db, 8000, "any", NULL, &e));
    assert_true(add(db, 7, "regex:gw[0-9]\\..*", NULL, &e));
    assert_true(add(db, 19, "192.0.2.0/24", NULL, &e));
    assert_int_equal(found(db, "gw1.example.net", "10.0.0.1"), 7);
    assert_int_equal(found(db, "gwx.example.net", "10.0.0.1"), 20);
    assert_int_equal(found(db, "192.0.2.9", "10.0.0.1"), 19);
    assert_int_equal(found(db, "joe@example.org", "10.0.0.1"), 8000);
    assert_int_equal(found(db, "null", "10.0.0.1"), 0);
    gh_client_db_free(db);
}

static void no_match_falls_back_or_fails(void **state)
{
    for (int fall_back = 0; fall_back < 2; fall_back++) {
        struct gh_client_db *db = gh_client_db_new("db", GH_CLIENT_BY_IDENTITY, fall_back == 1);
        struct gh_pki_error e;

        assert_int_equal(found(db, "gw", "10.0.0.1"), fall_back == 1 ? 0 : -1);
        assert_true(add(db, 1, "other", NULL, &e));
        assert_int_equal(found(db, "gw", "10.0.0.1"), fall_back == 1 ? 0 : -1);
        assert_int_equal(found(db, "other", "10.0.0.1"), 1);
        gh_client_db_free(db);
    }
}

static void addresses_and_both(void **state)
{
    struct gh_client_db *db = gh_client_db_new("db", GH_CLIENT_BY_ADDRESS, false);
    struct gh_pki_error e;

    assert_true(add(db, 2, NULL, "10.0.0.0/8", &e));
    assert_true(add(db, 1, NULL, "10.1.0.0/16", &e));
    assert_true(add(db, 3, NULL, "2001:db8::/32", &e));
    assert_int_equal(found(db, "x", "10.1.2.3"), 1);
    assert_int_equal(found(db, "x", "10.2.2.3"), 2);
    assert_int_equal(found(db, "x", "2001:db8::7"), 3);
    assert_int_equal(found(db, "x", "192.0.2.1"), -1);
    gh_client_db_free(db);
    db = gh_client_db_new("db", GH_CLIENT_BY_ADDRESS | GH_CLIENT_BY_IDENTITY, false);
    assert_true(add(db, 1, "gw", "10.0.0.0/8", &e));
    assert_true(add(db, 2, "any", "10.0.0.0/8", &e));
    assert_int_equal(found(db, "gw", "10.1.2.3"), 1);
    assert_int_equal(found(db, "x", "10.1.2.3"), 2);
    assert_int_equal(found(db, "gw", "192.0.2.1"), -1);
    assert_false(add(db, 3, "gw", NULL, &e));
    assert_string_equal(e.rule, "client-match");
    assert_false(add(db, 3, NULL, "10.0.0.0/8", &e));
    assert_string_equal(e.rule, "client-match");
    gh_client_db_free(db);
    assert_null(gh_client_db_new("db", 0, true));
}

static void indexes_and_limits(void **state)
{
    struct gh_client_db *db = gh_client_db_new("db", GH_CLIENT_BY_IDENTITY, true);
    struct gh_pki_error e;

    assert_false(add(db, 0, "any", NULL, &e));
    assert_false(add(db, 8001, "any", NULL, &e));
    for (unsigned i = 1000; i > 0; i--)
        assert_true(add(db, i * 8, "gw", NULL, &e));
    assert_int_equal(gh_client_db_count(db), 1000);
    assert_false(add(db, 8000, "gw", NULL, &e));
    assert_string_equal(e.rule, "client-index");
    assert_false(add(db, 1, "gw", NULL, &e));
    assert_string_equal(e.rule, "client-db");
    assert_int_equal(found(db, "gw", "10.0.0.1"), 8);
    gh_client_db_free(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_back),
        cmocka_unit_test(no_identities),
        cmocka_unit_test(bad_payloads),
        cmocka_unit_test(equality),
        cmocka_unit_test(what_a_certificate_has),
        cmocka_unit_test(patterns),
        cmocka_unit_test(no_patterns),
        cmocka_unit_test(long_identities_match_no_expression),
        cmocka_unit_test(the_smallest_index_wins),
        cmocka_unit_test(no_match_falls_back_or_fails),
        cmocka_unit_test(addresses_and_both),
        cmocka_unit_test(indexes_and_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

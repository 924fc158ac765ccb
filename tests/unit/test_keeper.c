/* The keeper: its requests, its store, orders, keys' files, and the process itself. */
#include "made_certs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/secret_source.h"
#include "daemon/child.h"
#include "daemon/frame.h"
#include "daemon/keeper.h"
#include "daemon/sandbox.h"
#include "keeper/order.h"
#include "keeper/pkcs11_uri.h"
#include "keeper/request.h"
#include "keeper/store.h"
#include "pki/auth.h"
#include "wire/wr.h"

static char directory[] = "/tmp/gh-keeper-XXXXXX";

static const char *path(const char *name)
{
    static char buf[4][128];
    static unsigned n;
    char *to = buf[n++ % 4];

    snprintf(to, sizeof(buf[0]), "%s/%s", directory, name);
    return to;
}

static void run(const char *format, const char *name)
{
    char command[1024], body[900];

    snprintf(body, sizeof(body), format, name);
    snprintf(command, sizeof(command), "cd %s && umask 077 && { %s; } 2>log", directory, body);
    if (system(command) != 0) {
        print_error("%s\n", command);
        fail();
    }
}

static void write_mode(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(path(name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path(name), mode), 0);
}

/* Keys and certificates by the openssl program, in every format. */
static int setup(void **state)
{
    assert_non_null(mkdtemp(directory));
    run("openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.pem -out rsa.crt -subj /CN=rsa%s",
        "");
    run("openssl ecparam -name prime256v1 -genkey -noout -out ec.pem%s", ""); /* traditional */
    run("openssl genpkey -algorithm ed25519 -out ed25519.pem%s", "");
    run("openssl genpkey -algorithm ed448 -out ed448.pem%s", "");
    run("openssl pkey -in rsa.pem -outform DER -out rsa.der%s", "");
    run("openssl rsa -in rsa.pem -traditional -outform DER -out rsa-traditional.der%s", "");
    run("openssl pkcs8 -topk8 -in rsa.pem -passout pass:opensesame -out sealed.pem%s", "");
    run("openssl pkcs8 -topk8 -in ec.pem -outform DER -passout pass:opensesame -out sealed.der%s",
        "");
    run("openssl rsa -in rsa.pem -traditional -aes128 -passout pass:opensesame -out "
        "sealed-old.pem%s",
        "");
    run("openssl pkcs12 -export -in rsa.crt -inkey rsa.pem -passout pass:opensesame -out rsa.p12%s",
        "");
    run("openssl pkcs12 -export -in rsa.crt -inkey rsa.pem -passout pass: -out open.p12%s", "");
    run("openssl pkcs12 -export -nokeys -in rsa.crt -passout pass: -out no-key.p12%s", "");
    run("cat rsa.crt rsa.pem > both.pem%s", "");
    run("cat rsa.crt ed25519.pem > wrong-pair.pem%s", "");
    run("openssl genpkey -algorithm x25519 -out x25519.pem%s", "");
    write_mode("psk", "correct horse battery staple\n", 0600);
    write_mode("psk-hex", "0x00ff10\n", 0600);
    write_mode("psk-64", "0sAP8Q\n", 0600);
    write_mode("psk-open", "leaked\n", 0640);
    write_mode("psk-empty", "\n", 0600);
    write_mode("passphrase", "opensesame\n", 0600);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command);
}

/* ---- Requests ------------------------------------------------------------------------------- */

static struct gh_view text(const char *t)
{
    return gh_view_of(t, strlen(t));
}

static const struct gh_keeper_request samples[] = {
    {.kind = GH_KEEPER_SIGN,
     .id = 7,
     .name = {(const uint8_t *)"gw", 2},
     .params = {.method = 14, .hash = 2, .pss = true},
     .octets = {(const uint8_t *)"octets", 6}},
    {.kind = GH_KEEPER_PSK,
     .id = UINT32_MAX,
     .name = {(const uint8_t *)"peer", 4},
     .prf = GH_PRF_HMAC_SHA2_256,
     .octets = {(const uint8_t *)"octets", 6}},
    {.kind = GH_KEEPER_PPK,
     .id = 0,
     .name = {(const uint8_t *)"ppk", 3},
     .prf = GH_PRF_AES128_CMAC,
     .len = 48,
     .octets = {(const uint8_t *)"octets", 6}},
    {.kind = GH_KEEPER_LIST, .id = 1}};

static size_t emit(const struct gh_keeper_request *r, uint8_t *mem, size_t size)
{
    struct gh_wr w = gh_wr_make(mem, size);

    assert_true(gh_keeper_request_put(&w, r));
    return w.len;
}

static void requests_and_back(void **state)
{
    uint8_t mem[256], again[256];
    struct gh_keeper_request r;

    for (size_t i = 0; i < 4; i++) {
        size_t len = emit(&samples[i], mem, sizeof(mem));

        assert_true(gh_keeper_request_parse(gh_view_of(mem, len), &r));
        assert_int_equal(r.kind, samples[i].kind);
        assert_int_equal(r.id, samples[i].id);
        assert_true(gh_view_equal(r.name, samples[i].name));
        assert_true(gh_view_equal(r.octets, samples[i].octets));
        assert_int_equal(emit(&r, again, sizeof(again)), len);
        assert_memory_equal(mem, again, len);
        /* Cut anywhere before the octets it is malformed, and so is a LIST with more. */
        for (size_t cut = 0; cut <= len - samples[i].octets.len; cut++)
            if (cut < len)
                assert_false(gh_keeper_request_parse(gh_view_of(mem, cut), &r));
    }
    mem[5] = 0;
    assert_false(gh_keeper_request_parse(gh_view_of(mem, 6), &r));
}

static void two_values_by_one_request(void **state)
{
    struct gh_keeper_request r = samples[1], back;
    uint8_t mem[256];
    size_t len;

    r.also = text("more of them");
    len = emit(&r, mem, sizeof(mem));
    assert_true(gh_keeper_request_parse(gh_view_of(mem, len), &back));
    assert_true(gh_view_equal(back.octets, r.octets));
    assert_true(gh_view_equal(back.also, r.also));
    assert_true(gh_keeper_request_parse(gh_view_of(mem, len - r.also.len), &back));
    assert_int_equal(back.also.len, 0);
    assert_false(gh_keeper_request_parse(gh_view_of(mem, len - r.also.len - 1), &back));
}

static void malformed_requests(void **state)
{
    struct gh_keeper_request r = samples[0];
    static uint8_t mem[GH_KEEPER_REQUEST_MAX + 64], long_name[65];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t len;

    memset(long_name, 'a', sizeof(long_name));
    r.name = gh_view_of(long_name, 65);
    assert_false(gh_keeper_request_put(&w, &r));
    r.name = text("");
    assert_false(gh_keeper_request_put(&w, &r));
    r.name = text("a b");
    assert_false(gh_keeper_request_put(&w, &r));
    r = samples[1];
    r.prf = GH_PRF_NONE;
    assert_false(gh_keeper_request_put(&w, &r));
    r = samples[1];
    r.octets.len = 0;
    assert_false(gh_keeper_request_put(&w, &r));
    r.octets = gh_view_of(mem, GH_KEEPER_OCTETS_MAX + 1);
    assert_false(gh_keeper_request_put(&w, &r));
    r = samples[1];
    r.also = gh_view_of(mem, GH_KEEPER_OCTETS_MAX + 1);
    assert_false(gh_keeper_request_put(&w, &r));
    r = samples[2];
    r.also = text("a PPK has one value");
    assert_false(gh_keeper_request_put(&w, &r));
    r = samples[2];
    r.len = 0;
    assert_false(gh_keeper_request_put(&w, &r));

    len = emit(&samples[0], mem, sizeof(mem));
    mem[0] = 4; /* unknown kind */
    assert_false(gh_keeper_request_parse(gh_view_of(mem, len), &r));
    mem[0] = GH_KEEPER_SIGN;
    mem[10] = 2; /* PSS is yes or no */
    assert_false(gh_keeper_request_parse(gh_view_of(mem, len), &r));
    len = emit(&samples[1], mem, sizeof(mem));
    mem[10] = 3; /* no such PRF */
    assert_false(gh_keeper_request_parse(gh_view_of(mem, len), &r));
}

/* ---- PKCS #11 URIs -------------------------------------------------------------------------- */

static void uris_of_tokens(void **state)
{
    static const struct {
        const char *text, *object, *module;
    } good[] = {{"pkcs11:token=t;object=k?module-path=/m.so",
                 "pkcs11:token=t;object=k;type=private", "/m.so"},
                {"PKCS11:serial=7;id=%01%ff;type=private?module-path=%2Fusr%2Fm%20n.so",
                 "pkcs11:serial=7;id=%01%ff;type=private", "/usr/m n.so"},
                {"pkcs11:slot-id=0;model=a%3Bb;manufacturer=c;object=k;x-ours=1?module-path=/m",
                 "pkcs11:slot-id=0;model=a%3Bb;manufacturer=c;object=k;x-ours=1;type=private",
                 "/m"}};
    static const struct {
        const char *text, *words; /* that stand in the message */
    } bad[] = {{"", "begin"},
               {"file:/k", "begin"},
               {"pkcs11:", "no token"},
               {"pkcs11:token=;object=k?module-path=/m", "no token"},
               {"pkcs11:object=k?module-path=/m", "no token"},
               {"pkcs11:token=t?module-path=/m", "no key"},
               {"pkcs11:token=t;object=?module-path=/m", "no key"},
               {"pkcs11:token=t;object=k", "no module"},
               {"pkcs11:token=t;object=k?", "no module"},
               {"pkcs11:token=t;object=k?module-path=m.so", "absolute"},
               {"pkcs11:token=t;object=k?module-path=", "absolute"},
               {"pkcs11:token=t;object=k?module-path=/m%00.so", "absolute"},
               {"pkcs11:token=t;object=k?module-path=/m&module-path=/n", "twice"},
               {"pkcs11:token=t;token=u;object=k?module-path=/m", "twice"},
               {"pkcs11:token=t;object=k;type=cert?module-path=/m", "no private key"},
               {"pkcs11:token=t;objekt=k?module-path=/m", "\"objekt\""},
               {"pkcs11:token=t;object=k?module-name=m", "another attribute"},
               {"pkcs11:token=t;object=k?module-path=/m&pin-value=4711", "PIN"},
               {"pkcs11:token=t;object=k?pin-source=file:4711", "PIN"},
               {"pkcs11:token=t;object=k?module-path=/m&4711", "name=value"},
               {"pkcs11:token=t;4711?module-path=/m", "name=value"},
               {"pkcs11:token=t;=4711?module-path=/m", "name=value"},
               {"pkcs11:token=t t;object=k?module-path=/m", "percent-encoded"},
               {"pkcs11:token=t\xc3\xa4;object=k?module-path=/m", "percent-encoded"},
               {"pkcs11:token=t%;object=k?module-path=/m", "hexadecimal"},
               {"pkcs11:token=t;object=k?module-path=/m%2", "hexadecimal"},
               {"pkcs11:token=t;object=k?module-path=/m%", "hexadecimal"}};
    static char longest[GH_PKCS11_URI_MAX + 2];
    struct gh_pkcs11_uri u;
    struct gh_pki_error e;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(gh_pkcs11_uri_parse(good[i].text, &u, &e));
        assert_string_equal(u.object, good[i].object);
        assert_string_equal(u.module, good[i].module);
        gh_pkcs11_uri_clear(&u);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (gh_pkcs11_uri_parse(bad[i].text, &u, &e) || strstr(e.message, bad[i].words) == NULL)
            fail_msg("%s: %s", bad[i].text, e.message);
        assert_string_equal(e.rule, "key-uri");
        assert_true(e.remedy[0] != '\0');
        assert_null(strstr(e.message, "4711"));
    }
    memset(longest, 'a', sizeof(longest) - 1);
    memcpy(longest, "pkcs11:", 7);
    assert_false(gh_pkcs11_uri_parse(longest, &u, &e));
}

/* ---- Orders and files ----------------------------------------------------------------------- */

struct problems {
    size_t count;
    char name[64];
    struct gh_pki_error e;
};

static void on_problem(void *ctx, const char *name, const struct gh_pki_error *e)
{
    struct problems *p = ctx;

    p->count++;
    snprintf(p->name, sizeof(p->name), "%s", name);
    p->e = *e;
}

static void one_item(struct gh_keeper_order *o, enum gh_secret_kind kind, const char *name,
                     const char *file, const char *passphrase)
{
    assert_true(gh_keeper_order_add(o, kind, name, GH_PLACE_FILE, path(file),
                                    passphrase != NULL ? GH_PLACE_TEXT : GH_PLACE_NONE,
                                    passphrase));
}

/* Loads one file; wants this rule, NULL for none. */
static void loads(enum gh_secret_kind kind, const char *file, const char *passphrase,
                  const char *rule)
{
    struct gh_keeper_order o = {.items = NULL};
    struct gh_keeper_store *s = gh_keeper_store_new();
    struct problems p = {.count = 0};

    one_item(&o, kind, "it", file, passphrase);
    gh_keeper_load(&o, s, on_problem, &p);
    if (p.count != (rule != NULL))
        print_error("%s: %s: %s\n", file, p.e.rule, p.e.message);
    assert_int_equal(p.count, rule != NULL);
    assert_int_equal(gh_keeper_store_count(s), rule == NULL);
    if (rule != NULL) {
        if (strcmp(rule, p.e.rule) != 0)
            print_error("%s: %s: %s\n", file, p.e.rule, p.e.message);
        assert_string_equal(p.e.rule, rule);
        assert_true(p.e.remedy[0] != '\0');
        assert_null(strstr(p.e.message, "leaked"));
        assert_null(strstr(p.e.message, "opensesame"));
    }
    gh_keeper_store_free(s);
    gh_keeper_order_clear(&o);
}

static void keys_in_every_format(void **state)
{
    static const char *const open[] = {"rsa.pem",   "ec.pem",  "ed25519.pem",
                                       "ed448.pem", "rsa.der", "rsa-traditional.der",
                                       "open.p12",  "both.pem"};
    static const char *const sealed[] = {"sealed.pem", "sealed.der", "sealed-old.pem", "rsa.p12"};

    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        loads(GH_SECRET_KEY, open[i], NULL, NULL);
    for (size_t i = 0; i < sizeof(sealed) / sizeof(sealed[0]); i++) {
        loads(GH_SECRET_KEY, sealed[i], "opensesame", NULL);
        loads(GH_SECRET_KEY, sealed[i], NULL, "key-passphrase");
        loads(GH_SECRET_KEY, sealed[i], "wrong", "key-passphrase");
    }
    loads(GH_SECRET_KEY, "no-key.p12", NULL, "key-format");
    loads(GH_SECRET_KEY, "rsa.crt", NULL, "key-format");
    loads(GH_SECRET_KEY, "psk", NULL, "key-format");
    loads(GH_SECRET_KEY, "wrong-pair.pem", NULL, "key-mismatch");
    loads(GH_SECRET_KEY, "x25519.pem", NULL, "key-type");
}

static void files_that_others_read(void **state)
{
    loads(GH_SECRET_PSK, "psk", NULL, NULL);
    loads(GH_SECRET_PSK, "psk-open", NULL, "secret-permissions");
    loads(GH_SECRET_PSK, "psk-empty", NULL, "secret-format");
    loads(GH_SECRET_PSK, "missing", NULL, "secret-missing");
    assert_int_equal(symlink(path("psk"), path("psk-link")), 0);
    loads(GH_SECRET_PSK, "psk-link", NULL, "secret-permissions");
    assert_int_equal(chmod(path("rsa.pem"), 0644), 0);
    loads(GH_SECRET_KEY, "rsa.pem", NULL, "secret-permissions");
    assert_int_equal(chmod(path("rsa.pem"), 0600), 0);
    assert_int_equal(mkfifo(path("fifo"), 0600), 0);
    loads(GH_SECRET_KEY, "fifo", NULL, "secret-permissions");
}

static void credentials(void **state)
{
    struct gh_keeper_order o = {.items = NULL};
    struct gh_keeper_store *s = gh_keeper_store_new();
    struct problems p = {.count = 0};

    assert_true(gh_keeper_order_add(&o, GH_SECRET_KEY, "key", GH_PLACE_CREDENTIAL, "sealed.pem",
                                    GH_PLACE_CREDENTIAL, "passphrase"));
    assert_true(gh_keeper_order_add(&o, GH_SECRET_PSK, "psk", GH_PLACE_CREDENTIAL, "psk",
                                    GH_PLACE_NONE, NULL));
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(gh_keeper_load(&o, s, on_problem, &p), 2);
    assert_string_equal(p.e.rule, "secret-missing");
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    assert_int_equal(gh_keeper_load(&o, s, on_problem, &p), 0);
    unsetenv("CREDENTIALS_DIRECTORY");
    gh_keeper_store_free(s);
    gh_keeper_order_clear(&o);
}

static void secrets_as_text(void **state)
{
    static const struct {
        const char *text, *octets;
        size_t len; /* 0: refused */
    } cases[] = {{"plain", "plain", 5},
                 {"0xff00", "\xff\x00", 2},
                 {"0xFf", "\xff", 1},
                 {"0sAA==", "\x00", 1},
                 {"0sAAA=", "\x00\x00", 2},
                 {"0s+/+/", "\xfb\xff\xbf", 3},
                 {"0", "0", 1},
                 {"0x", "", 0},
                 {"0s", "", 0},
                 {"0x123", "", 0},
                 {"0xgg", "", 0},
                 {"0sAB==", "", 0},
                 {"0sA===", "", 0},
                 {"0sAA", "", 0},
                 {"0sA=AA", "", 0},
                 {"0s====", "", 0},
                 {"0sAA==AA==", "", 0},
                 {"", "", 0}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gh_secret secret = {.data = NULL};
        struct gh_secret_error e;
        bool good = gh_secret_from_text(cases[i].text, strlen(cases[i].text), GH_SECRET_PREFIXED,
                                        &secret, &e);

        if (good != (cases[i].len > 0))
            print_error("%s\n", cases[i].text);
        assert_int_equal(good, cases[i].len > 0);
        assert_int_equal(secret.len, cases[i].len);
        if (good)
            assert_memory_equal(secret.data, cases[i].octets, secret.len);
        else
            assert_string_equal(e.rule, "secret-format");
        gh_secret_clear(&secret);
    }
}

static void orders_as_octets(void **state)
{
    struct gh_keeper_order a = {.items = NULL}, b;
    uint8_t *first, *second;
    size_t first_len, second_len;

    assert_true(gh_keeper_order_add(&a, GH_SECRET_KEY, "gw", GH_PLACE_FILE, "/etc/key",
                                    GH_PLACE_CREDENTIAL, "pass"));
    assert_true(gh_keeper_order_add(&a, GH_SECRET_PSK, "peer", GH_PLACE_TEXT, "secret",
                                    GH_PLACE_NONE, NULL));
    assert_false(gh_keeper_order_add(&a, GH_SECRET_PSK, "a b", GH_PLACE_TEXT, "secret",
                                     GH_PLACE_NONE, NULL));
    assert_false(
        gh_keeper_order_add(&a, GH_SECRET_PSK, "x", GH_PLACE_NONE, "", GH_PLACE_NONE, NULL));
    /* A token has keys alone, its PIN is in no token, and only of it a public half is told. */
    assert_false(gh_keeper_order_add(&a, GH_SECRET_PSK, "x", GH_PLACE_TOKEN,
                                     "pkcs11:", GH_PLACE_NONE, NULL));
    assert_false(gh_keeper_order_add(&a, GH_SECRET_KEY, "x", GH_PLACE_FILE, "/etc/key",
                                     GH_PLACE_TOKEN, "pkcs11:"));
    assert_true(gh_keeper_order_add(&a, GH_SECRET_KEY, "hsm", GH_PLACE_TOKEN,
                                    "pkcs11:", GH_PLACE_FILE, "/etc/pin"));
    assert_true(gh_keeper_order_add(&a, GH_SECRET_KEY, "unused", GH_PLACE_TOKEN,
                                    "pkcs11:", GH_PLACE_NONE, NULL));
    assert_true(gh_keeper_order_in_token(&a, "hsm"));
    assert_false(gh_keeper_order_in_token(&a, "gw"));
    assert_false(gh_keeper_order_expect(&a, "gw", text("spki"), "conf:1"));
    assert_true(gh_keeper_order_expect(&a, "hsm", text("key"), "conf:1"));
    assert_true(gh_keeper_order_expect(&a, "hsm", text("spki"), "conf:2"));
    first = gh_keeper_order_encode(&a, &first_len);
    assert_true(gh_keeper_order_decode(gh_view_of(first, first_len), &b));
    second = gh_keeper_order_encode(&b, &second_len);
    assert_int_equal(first_len, second_len);
    assert_memory_equal(first, second, first_len);
    assert_int_equal(b.count, 4);
    assert_memory_equal(b.items[2].spki, "spki", b.items[2].spki_len);
    assert_string_equal(b.items[2].from, "conf:2");
    assert_int_equal(b.items[3].spki_len, 0);
    gh_keeper_order_clear(&b);
    for (size_t cut = 0; cut < first_len; cut++)
        assert_false(gh_keeper_order_decode(gh_view_of(first, cut), &b));
    free(first);
    free(second);
    gh_keeper_order_clear(&a);
}

/* ---- The store ------------------------------------------------------------------------------ */

static void put_everything(struct gh_keeper_order *o)
{
    one_item(o, GH_SECRET_KEY, "gw", "rsa.p12", "opensesame");
    one_item(o, GH_SECRET_KEY, "ec", "ec.pem", NULL);
    one_item(o, GH_SECRET_PSK, "peer", "psk", NULL);
    one_item(o, GH_SECRET_PSK, "hex", "psk-hex", NULL);
    one_item(o, GH_SECRET_PSK, "base64", "psk-64", NULL);
    one_item(o, GH_SECRET_PPK, "ppk", "psk-hex", NULL);
}

static struct gh_keeper_store *full(void)
{
    struct gh_keeper_order o = {.items = NULL};
    struct gh_keeper_store *s = gh_keeper_store_new();
    struct problems p = {.count = 0};

    put_everything(&o);
    assert_int_equal(gh_keeper_load(&o, s, on_problem, &p), 0);
    gh_keeper_order_clear(&o);
    return s;
}

/* Asks; the answer's value is copied to out. */
static enum gh_keeper_result ask(const struct gh_keeper_store *s, struct gh_keeper_request r,
                                 uint8_t *out, size_t *out_len)
{
    static uint8_t mem[4096];
    size_t len, request_len = emit(&r, mem, sizeof(mem));
    uint8_t *answer = gh_keeper_store_answer(s, gh_view_of(mem, request_len), &len);
    struct gh_keeper_answer a;

    assert_non_null(answer);
    assert_true(gh_keeper_answer_parse(gh_view_of(answer, len), &a));
    assert_int_equal(a.id, r.id);
    memcpy(out, a.value.p, a.value.len);
    *out_len = a.value.len;
    free(answer);
    return a.result;
}

static void answers_and_what_they_are(void **state)
{
    static const uint8_t hex[] = {0x00, 0xff, 0x10};
    struct gh_keeper_store *s = full();
    struct gh_keeper_request r = samples[1];
    uint8_t value[8192], want[96], again[64];
    struct gh_view octets = text("octets"), secret = text("correct horse battery staple");
    size_t len;

    assert_int_equal(ask(s, r, value, &len), GH_KEEPER_OK);
    assert_true(gh_auth_psk(GH_PRF_HMAC_SHA2_256, secret, octets, want));
    assert_int_equal(len, 32);
    assert_memory_equal(value, want, 32);
    assert_true(gh_auth_psk(GH_PRF_HMAC_SHA2_256, gh_view_of(hex, 3), octets, want));
    r.name = text("hex");
    assert_int_equal(ask(s, r, value, &len), GH_KEEPER_OK);
    assert_memory_equal(value, want, 32);
    r.name = text("base64");
    assert_int_equal(ask(s, r, value, &len), GH_KEEPER_OK);
    assert_memory_equal(value, want, 32);
    r.also = text("others");
    assert_true(gh_auth_psk(GH_PRF_HMAC_SHA2_256, gh_view_of(hex, 3), r.also, want + 32));
    assert_int_equal(ask(s, r, value, &len), GH_KEEPER_OK);
    assert_int_equal(len, 64);
    assert_memory_equal(value, want, 64);

    assert_int_equal(ask(s, samples[2], value, &len), GH_KEEPER_OK);
    assert_int_equal(len, 48);
    assert_true(gh_prf_plus(GH_PRF_AES128_CMAC, gh_view_of(hex, 3), &octets, 1, again, 48));
    assert_memory_equal(value, again, 48);

    assert_int_equal(ask(s, samples[0], value, &len), GH_KEEPER_OK);
    assert_int_equal(value[0], 14);
    gh_keeper_store_free(s);
}

static void the_list_verifies_signatures(void **state)
{
    const struct gh_auth_accept accept = {.methods = GH_AUTH_SIGNATURES, .hashes = GH_SIG_DEFAULT};
    struct gh_keeper_store *s = full();
    static uint8_t list[16384], body[4096];
    struct gh_keeper_entry entry;
    struct gh_view rest;
    struct gh_pubkey *pub;
    struct gh_cert *cert;
    size_t len, body_len, n = 0;

    assert_int_equal(ask(s, samples[3], list, &len), GH_KEEPER_OK);
    rest = gh_view_of(list, len);
    assert_true(gh_keeper_entry_next(&rest, &entry));
    assert_true(gh_view_equal(entry.name, text("gw")));
    assert_int_equal(entry.kind, GH_SECRET_KEY);
    assert_int_equal(entry.key_type, GH_KEY_RSA);
    assert_int_equal(entry.bits, 2048);
    assert_int_equal(entry.cert_count, 1);
    cert = gh_cert_parse(gh_keeper_entry_cert(&entry, 0), NULL);
    assert_string_equal(gh_cert_subject(cert), "CN=rsa");
    pub = gh_pubkey_parse(entry.spki, NULL);
    assert_true(gh_pubkey_equal(pub, gh_cert_key(cert)));
    assert_int_equal(ask(s, samples[0], body, &body_len), GH_KEEPER_OK);
    assert_true(gh_auth_verify(pub, &accept, gh_view_of(body, body_len), text("octets"), NULL));
    while (gh_keeper_entry_next(&rest, &entry))
        n++;
    assert_int_equal(n, 5);
    assert_int_equal(rest.len, 0);
    /* None of the secrets stands in it. */
    assert_null(memmem(list, len, "correct horse", 13));
    assert_null(memmem(list, len, "\x00\xff\x10", 3));
    for (size_t cut = 1; cut < len; cut += 3) { /* a cut list ends or is malformed, no more */
        rest = gh_view_of(list, cut);
        while (gh_keeper_entry_next(&rest, &entry))
            ;
    }
    gh_pubkey_free(pub);
    gh_cert_free(cert);
    gh_keeper_store_free(s);
}

static void no_answer_without_the_right_name(void **state)
{
    static const char *const names[] = {"gw", "peer", "ppk", "hex", "nobody", "g", "gww", "GW"};
    struct gh_keeper_store *s = full();
    uint8_t value[8192];
    size_t len;

    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
            struct gh_keeper_request r = samples[i];
            bool right = (i == 0 && j == 0) || (i == 1 && (j == 1 || j == 3)) || (i == 2 && j == 2);

            r.name = text(names[j]);
            assert_int_equal(ask(s, r, value, &len), right ? GH_KEEPER_OK : GH_KEEPER_NO_NAME);
            assert_int_equal(len > 0, right);
        }
    assert_null(gh_keeper_store_answer(s, text("nonsense"), &len));
    assert_null(gh_keeper_store_answer(s, text(""), &len));
    gh_keeper_store_free(s);
}

static void refusals_have_a_reason(void **state)
{
    struct gh_keeper_store *s = full();
    struct gh_keeper_request r = samples[0];
    char value[8192];
    size_t len;

    r.name = text("ec"); /* does not sign by PSS */
    assert_int_equal(ask(s, r, (uint8_t *)value, &len), GH_KEEPER_REFUSED);
    value[len] = '\0';
    assert_non_null(strstr(value, "ECDSA P-256"));
    gh_keeper_store_free(s);
}

static void names_are_unique(void **state)
{
    struct gh_keeper_store *s = full();
    struct gh_secret secret = {.data = NULL};
    struct gh_pki_error e;

    assert_true(gh_secret_set(&secret, (const uint8_t *)"x", 1));
    assert_false(gh_keeper_store_add_secret(s, GH_SECRET_PSK, "peer", &secret, &e));
    assert_string_equal(e.rule, "secret-name");
    assert_null(secret.data); /* wiped, too */
    assert_true(gh_secret_set(&secret, (const uint8_t *)"x", 1));
    assert_true(gh_keeper_store_add_secret(s, GH_SECRET_PPK, "peer", &secret, &e));
    gh_keeper_store_free(s);
}

/* ---- The process ---------------------------------------------------------------------------- */

static void send_frame(int to, enum gh_message type, const void *body, size_t len, int fd)
{
    uint8_t head[GH_FRAME_HEADER];
    struct iovec parts[] = {{head, sizeof(head)}, {.iov_len = len}};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};

    memcpy(&parts[1].iov_base, &body, sizeof(body));
    assert_true(gh_frame_header(type, len, head));
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.room;
        msg.msg_controllen = sizeof(control.room);
        CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(int));
    }
    assert_int_equal(sendmsg(to, &msg, MSG_NOSIGNAL), sizeof(head) + len);
    if (fd >= 0)
        close(fd);
}

/* False: the other end is gone. */
static bool read_all(int from, uint8_t *to, size_t len)
{
    while (len > 0) {
        struct pollfd p = {.fd = from, .events = POLLIN};
        ssize_t n;

        assert_int_equal(poll(&p, 1, 30000), 1);
        n = read(from, to, len);
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

/* The next frame's body; false: the other end is gone. */
static bool next_frame(int from, enum gh_message want, uint8_t *body, size_t *len)
{
    uint8_t head[GH_FRAME_HEADER];

    if (!read_all(from, head, sizeof(head)))
        return false;
    assert_int_equal(head[0] << 8 | head[1], want);
    *len = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];
    return read_all(from, body, *len);
}

static int send_client(int parent)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    send_frame(parent, GH_MESSAGE_KEEPER_CLIENT, NULL, 0, pair[1]);
    return pair[0];
}

static void ask_process(int client, const struct gh_keeper_request *r, enum gh_keeper_result want)
{
    static uint8_t mem[4096], answer[65536];
    size_t len = emit(r, mem, sizeof(mem));
    struct gh_keeper_answer a;

    send_frame(client, GH_MESSAGE_KEEPER_ASK, mem, len, -1);
    assert_true(next_frame(client, GH_MESSAGE_KEEPER_ANSWER, answer, &len));
    assert_true(gh_keeper_answer_parse(gh_view_of(answer, len), &a));
    assert_int_equal(a.id, r->id);
    assert_int_equal(a.result, want);
}

static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#elif defined(__has_feature)
    return __has_feature(address_sanitizer);
#else
    return false;
#endif
}

/* A token's module cannot be found: its key is refused with the reason, again and again, and
 * nothing else is. */
static void ask_for_the_absent(int client)
{
    struct gh_keeper_request r = samples[0];

    r.name = text("hsm");
    for (unsigned i = 0; i < 3; i++) {
        ask_process(client, &r, GH_KEEPER_REFUSED);
        ask_process(client, &samples[i], GH_KEEPER_OK);
    }
    r.name = text("unused");
    ask_process(client, &r, GH_KEEPER_NO_NAME);
}

static void put_tokens(struct gh_keeper_order *o)
{
    static const char uri[] = "pkcs11:token=t;object=k?module-path=/nowhere/module.so";

    assert_true(gh_keeper_order_add(o, GH_SECRET_KEY, "hsm", GH_PLACE_TOKEN, uri, GH_PLACE_FILE,
                                    path("passphrase")));
    assert_true(gh_keeper_order_expect(o, "hsm", text("spki"), "conf:1"));
    assert_true(
        gh_keeper_order_add(o, GH_SECRET_KEY, "unused", GH_PLACE_TOKEN, uri, GH_PLACE_NONE, NULL));
}

/* What others' code may not do in a token's process; it may open files and sockets. */
static void the_sandbox_of_a_token(void **state)
{
    int status;
    pid_t pid;

    if (is_sanitized() || geteuid() != 0) {
        print_message("skipped: only root can give up its rights, and no sanitizer's runtime\n");
        skip();
    }
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char name[] = "true", *words[] = {name, NULL};
        int fd;

        if (!gh_sandbox_enter(GH_SANDBOX_TOKEN, 65534, 65534))
            _exit(1);
        if (execv("/bin/true", words) != -1 || errno != EPERM)
            _exit(2);
        if (unshare(CLONE_NEWUSER) != -1 || errno != EPERM)
            _exit(3);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1 || errno != EPERM)
            _exit(4);
        if (setuid(0) != -1 || open("/etc/shadow", O_RDONLY) >= 0)
            _exit(5);
        fd = open("/etc/passwd", O_RDONLY);
        if (fd < 0 || socket(AF_UNIX, SOCK_STREAM, 0) < 0)
            _exit(6);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_process(void **state)
{
    struct gh_keeper_order o = {.items = NULL};
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));
    int pair[2], fd, client, other, status;
    size_t len;
    char line[256] = "";
    FILE *proc;
    pid_t pid;

    if (is_sanitized()) {
        print_message(
            "skipped: the sanitizer's runtime needs system calls that the sandbox forbids\n");
        skip();
    }
    if (geteuid() != 0) {
        print_message("skipped: only root can give up its rights\n");
        skip();
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pair[1], GH_CHILD_CHANNEL_FD);
        for (int i = GH_CHILD_CHANNEL_FD + 1; i < 64; i++)
            close(i);
        _exit(gh_keeper_main(65534, 65534));
    }
    close(pair[1]);
    put_everything(&o);
    one_item(&o, GH_SECRET_KEY, "ed25519", "ed25519.pem", NULL);
    one_item(&o, GH_SECRET_KEY, "ed448", "ed448.pem", NULL);
    one_item(&o, GH_SECRET_PSK, "bad", "psk-open", NULL);
    put_tokens(&o);
    fd = gh_keeper_order_seal(&o, &len);
    assert_true(fd >= 0);
    gh_wr_u64(&w, len);
    send_frame(pair[0], GH_MESSAGE_KEEPER_ORDER, body, sizeof(body), fd);
    gh_keeper_order_clear(&o);
    assert_true(next_frame(pair[0], GH_MESSAGE_READY, body, &len));

    /* It has no rights, a filter, and no way to more. */
    snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
    proc = fopen(line, "r");
    assert_non_null(proc);
    while (fgets(line, sizeof(line), proc) != NULL) {
        if (strncmp(line, "CapEff:", 7) == 0 || strncmp(line, "CapPrm:", 7) == 0)
            assert_string_equal(line + 8, "0000000000000000\n");
        if (strncmp(line, "Seccomp:", 8) == 0)
            assert_string_equal(line + 9, "2\n");
        if (strncmp(line, "Uid:", 4) == 0)
            assert_string_equal(line + 5, "65534\t65534\t65534\t65534\n");
        if (strncmp(line, "NoNewPrivs:", 11) == 0)
            assert_string_equal(line + 12, "1\n");
    }
    fclose(proc);

    client = send_client(pair[0]);
    other = send_client(pair[0]);
    for (size_t i = 0; i < 4; i++)
        ask_process(i % 2 == 0 ? client : other, &samples[i], GH_KEEPER_OK);
    ask_for_the_absent(client);
    /* Whatever libcrypto does first inside the sandbox: every key, method, hash and PRF. */
    for (unsigned prf = 1; prf <= GH_PRF_AES128_CMAC; prf++) {
        struct gh_keeper_request r = samples[1];

        r.prf = prf;
        if (gh_prf_len(prf) != 0)
            ask_process(client, &r, GH_KEEPER_OK);
    }
    for (unsigned pss = 0; pss < 2; pss++)
        for (uint8_t hash = GH_SIG_SHA1; hash <= GH_SIG_SHA2_512; hash++) {
            struct gh_keeper_request r = samples[0];

            r.params = (struct gh_sign_params){.method = 14, .hash = hash, .pss = pss == 1};
            ask_process(client, &r, GH_KEEPER_OK);
            r.name = text("ec");
            ask_process(client, &r, pss == 1 ? GH_KEEPER_REFUSED : GH_KEEPER_OK);
        }
    for (unsigned i = 0; i < 2; i++) {
        struct gh_keeper_request r = samples[0];

        r.name = text(i == 0 ? "ed25519" : "ed448");
        r.params = (struct gh_sign_params){.method = 14, .hash = GH_SIG_IDENTITY};
        ask_process(client, &r, GH_KEEPER_OK);
        r.name = text("bad"); /* did not load */
        ask_process(client, &r, GH_KEEPER_NO_NAME);
    }
    /* Nonsense costs that client its socket, and no other. */
    send_frame(other, GH_MESSAGE_KEEPER_ASK, "nonsense", 8, -1);
    assert_false(next_frame(other, GH_MESSAGE_KEEPER_ANSWER, body, &len));
    close(other);
    ask_process(client, &samples[0], GH_KEEPER_OK);
    /* A client cannot speak as the parent. */
    other = send_client(pair[0]);
    send_frame(other, GH_MESSAGE_PING, NULL, 0, -1);
    assert_false(next_frame(other, GH_MESSAGE_PONG, body, &len));
    close(other);
    send_frame(pair[0], GH_MESSAGE_PING, NULL, 0, -1);
    assert_true(next_frame(pair[0], GH_MESSAGE_PONG, body, &len));
    close(pair[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_back),
        cmocka_unit_test(two_values_by_one_request),
        cmocka_unit_test(malformed_requests),
        cmocka_unit_test(keys_in_every_format),
        cmocka_unit_test(files_that_others_read),
        cmocka_unit_test(credentials),
        cmocka_unit_test(uris_of_tokens),
        cmocka_unit_test(secrets_as_text),
        cmocka_unit_test(orders_as_octets),
        cmocka_unit_test(answers_and_what_they_are),
        cmocka_unit_test(the_list_verifies_signatures),
        cmocka_unit_test(no_answer_without_the_right_name),
        cmocka_unit_test(refusals_have_a_reason),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(the_sandbox_of_a_token),
        cmocka_unit_test(the_process),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

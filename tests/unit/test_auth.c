/* AUTH: every method with every kind of key, what is refused, the encodings, pre-shared keys. */
#include "made_certs.h"

#include <stdlib.h>

#include "pki/auth.h"
#include "pki/bodies.h"
#include "pki/pki_priv.h"
#include "pki/sigalg.h"

static const struct {
    const char *kind;
    enum gh_key_type type;
} keys[] = {{"rsa", GH_KEY_RSA},          {"rsa-pss", GH_KEY_RSA_PSS},
            {"P-256", GH_KEY_ECDSA_P256}, {"P-384", GH_KEY_ECDSA_P384},
            {"P-521", GH_KEY_ECDSA_P521}, {"brainpoolP256r1", GH_KEY_ECDSA_OTHER},
            {"ed25519", GH_KEY_ED25519},  {"ed448", GH_KEY_ED448}};

enum { KEYS = sizeof(keys) / sizeof(keys[0]), ALL_HASHES = 0x3e, METHODS = 15 };

static struct gh_privkey *privates[KEYS];

static int setup(void **state)
{
    for (size_t i = 0; i < KEYS; i++) {
        EVP_PKEY *key = made_key(keys[i].kind);

        EVP_PKEY_up_ref(key);
        privates[i] = gh_privkey_of(key, NULL);
        assert_non_null(privates[i]);
        assert_int_equal(gh_pubkey_type(gh_privkey_public(privates[i])), keys[i].type);
    }
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < KEYS; i++)
        gh_privkey_free(privates[i]);
    return 0;
}

static const struct gh_auth_accept everything = {
    .methods = GH_AUTH_SIGNATURES, .hashes = ALL_HASHES, .rsa_hashes = ALL_HASHES};

static struct gh_view octets(void)
{
    return gh_view_of("InitiatorSignedOctets", 21);
}

/* What RFC 7296, 4754, 7427 and 8420 say of the combination. */
static bool is_possible(enum gh_key_type type, unsigned method, unsigned hash, bool pss)
{
    bool digest = hash >= GH_SIG_SHA1 && hash <= GH_SIG_SHA2_512;

    switch (method) {
    case GH_AUTH_RSA:
        return type == GH_KEY_RSA && digest && !pss;
    case GH_AUTH_ECDSA_256:
        return type == GH_KEY_ECDSA_P256 && hash == GH_SIG_SHA2_256 && !pss;
    case GH_AUTH_ECDSA_384:
        return type == GH_KEY_ECDSA_P384 && hash == GH_SIG_SHA2_384 && !pss;
    case GH_AUTH_ECDSA_521:
        return type == GH_KEY_ECDSA_P521 && hash == GH_SIG_SHA2_512 && !pss;
    case GH_AUTH_DIGITAL:
        if (type == GH_KEY_ED25519 || type == GH_KEY_ED448)
            return hash == GH_SIG_IDENTITY && !pss;
        if (type == GH_KEY_RSA_PSS)
            return digest && pss;
        return digest && (!pss || type == GH_KEY_RSA);
    default:
        return false;
    }
}

/* A good body does not verify with another key, other octets, or a flipped bit anywhere. */
static void spoil(size_t k, uint8_t *body, size_t len)
{
    const struct gh_pubkey *pub = gh_privkey_public(privates[k]);
    struct gh_pki_error e;

    for (size_t other = 0; other < KEYS; other++)
        if (other != k)
            assert_false(gh_auth_verify(gh_privkey_public(privates[other]), &everything,
                                        gh_view_of(body, len), octets(), &e));
    assert_false(gh_auth_verify(pub, &everything, gh_view_of(body, len), gh_view_of("x", 1), &e));
    assert_false(gh_auth_verify(pub, &everything, gh_view_of(body, len - 1), octets(), &e));
    for (size_t i = 0; i < len; i += 7) {
        if (i >= 1 && i <= 3)
            continue; /* reserved */
        body[i] ^= 0x10;
        assert_false(gh_auth_verify(pub, &everything, gh_view_of(body, len), octets(), &e));
        body[i] ^= 0x10;
    }
}

static void every_method_with_every_key(void **state)
{
    size_t good = 0;

    for (size_t k = 0; k < KEYS; k++)
        for (unsigned method = 0; method < METHODS; method++)
            for (unsigned hash = 0; hash < 7; hash++)
                for (unsigned pss = 0; pss < 2; pss++) {
                    struct gh_sign_params p = {
                        .method = (uint8_t)method, .hash = (uint8_t)hash, .pss = pss};
                    const struct gh_pubkey *pub = gh_privkey_public(privates[k]);
                    uint8_t body[GH_AUTH_BODY_MAX];
                    struct gh_pki_error e;
                    size_t len = 0;
                    bool signs = gh_auth_sign(privates[k], &p, octets(), body, &len, &e);

                    assert_int_equal(signs, is_possible(keys[k].type, method, hash, pss));
                    if (!signs)
                        continue;
                    good++;
                    assert_int_equal(body[0], method);
                    assert_true(
                        gh_auth_verify(pub, &everything, gh_view_of(body, len), octets(), &e));
                    spoil(k, body, len);
                }
    assert_int_equal(good, 4 + 4 + 4 + 4 + 3 + 4 * 4 + 2);
}

static void fixed_widths(void **state)
{
    static const struct {
        size_t key, len;
        struct gh_sign_params p;
    } cases[] = {{2, 4 + 64, {GH_AUTH_ECDSA_256, GH_SIG_SHA2_256, false}},
                 {3, 4 + 96, {GH_AUTH_ECDSA_384, GH_SIG_SHA2_384, false}},
                 {4, 4 + 132, {GH_AUTH_ECDSA_521, GH_SIG_SHA2_512, false}}};

    for (size_t i = 0; i < 3; i++) {
        const struct gh_pubkey *pub = gh_privkey_public(privates[cases[i].key]);
        uint8_t body[GH_AUTH_BODY_MAX];
        size_t len;

        for (unsigned n = 0; n < 40; n++) { /* r or s is short now and then */
            assert_true(
                gh_auth_sign(privates[cases[i].key], &cases[i].p, octets(), body, &len, NULL));
            assert_int_equal(len, cases[i].len);
            assert_true(gh_auth_verify(pub, &everything, gh_view_of(body, len), octets(), NULL));
        }
    }
}

static void what_is_not_allowed(void **state)
{
    struct gh_auth_accept a = everything;
    struct gh_sign_params p = {.method = GH_AUTH_RSA, .hash = GH_SIG_SHA1};
    const struct gh_pubkey *pub = gh_privkey_public(privates[0]);
    uint8_t body[GH_AUTH_BODY_MAX];
    struct gh_pki_error e;
    size_t len;

    assert_true(gh_auth_sign(privates[0], &p, octets(), body, &len, &e));
    a.rsa_hashes = GH_SIG_DEFAULT;
    assert_false(gh_auth_verify(pub, &a, gh_view_of(body, len), octets(), &e));
    assert_string_equal(e.rule, "auth-hash");
    a = everything;
    a.methods = GH_BIT(GH_AUTH_DIGITAL);
    assert_false(gh_auth_verify(pub, &a, gh_view_of(body, len), octets(), &e));
    assert_string_equal(e.rule, "auth-method");
    a = everything;
    a.rsa_bits = 3072;
    assert_false(gh_auth_verify(pub, &a, gh_view_of(body, len), octets(), &e));
    assert_string_equal(e.rule, "cert-key-size");
    p = (struct gh_sign_params){.method = GH_AUTH_DIGITAL, .hash = GH_SIG_SHA2_384};
    assert_true(gh_auth_sign(privates[0], &p, octets(), body, &len, &e));
    a = everything;
    a.hashes = GH_BIT(GH_SIG_SHA2_256);
    assert_false(gh_auth_verify(pub, &a, gh_view_of(body, len), octets(), &e));
    assert_string_equal(e.rule, "auth-hash");
    assert_false(gh_auth_verify(pub, &a, gh_view_of(body, 3), octets(), &e));
    assert_string_equal(e.rule, "auth-format");
    body[0] = 200; /* beyond any mask */
    assert_false(gh_auth_verify(pub, &everything, gh_view_of(body, len), octets(), &e));
}

static void the_key_and_the_peer_choose(void **state)
{
    static const struct {
        enum gh_key_type type;
        unsigned bits, peer, ours;
        bool pss;
        struct gh_sign_params want; /* method 0: no way */
    } cases[] = {
        {GH_KEY_RSA, 2048, 0x3e, GH_SIG_DEFAULT, false, {14, GH_SIG_SHA2_256, false}},
        {GH_KEY_RSA, 2048, 0x3e, GH_SIG_DEFAULT, true, {14, GH_SIG_SHA2_256, true}},
        {GH_KEY_RSA, 4096, 0x3e, GH_SIG_DEFAULT, false, {14, GH_SIG_SHA2_384, false}},
        {GH_KEY_RSA, 2048, 0x10, GH_SIG_DEFAULT, false, {14, GH_SIG_SHA2_512, false}},
        {GH_KEY_RSA, 2048, 0x02, GH_SIG_DEFAULT, false, {0}},
        {GH_KEY_RSA, 2048, 0x02, 0x3e, false, {14, GH_SIG_SHA1, false}},
        {GH_KEY_RSA, 2048, 0, GH_SIG_DEFAULT, true, {1, GH_SIG_SHA2_256, false}},
        {GH_KEY_RSA, 2048, 0, 0x3e, false, {1, GH_SIG_SHA1, false}},
        {GH_KEY_RSA_PSS, 2048, 0x3e, GH_SIG_DEFAULT, false, {14, GH_SIG_SHA2_256, true}},
        {GH_KEY_RSA_PSS, 2048, 0, GH_SIG_DEFAULT, false, {0}},
        {GH_KEY_ECDSA_P256, 256, 0x3e, GH_SIG_DEFAULT, true, {14, GH_SIG_SHA2_256, false}},
        {GH_KEY_ECDSA_P384, 384, 0x3e, GH_SIG_DEFAULT, false, {14, GH_SIG_SHA2_384, false}},
        {GH_KEY_ECDSA_P521, 521, 0x3e, GH_SIG_DEFAULT, false, {14, GH_SIG_SHA2_512, false}},
        {GH_KEY_ECDSA_P521, 521, 0x04, GH_SIG_DEFAULT, false, {14, GH_SIG_SHA2_256, false}},
        {GH_KEY_ECDSA_P256, 256, 0, GH_SIG_DEFAULT, false, {9, GH_SIG_SHA2_256, false}},
        {GH_KEY_ECDSA_P384, 384, 0, GH_SIG_DEFAULT, false, {10, GH_SIG_SHA2_384, false}},
        {GH_KEY_ECDSA_P521, 521, 0, GH_SIG_DEFAULT, false, {11, GH_SIG_SHA2_512, false}},
        {GH_KEY_ECDSA_OTHER, 256, 0, GH_SIG_DEFAULT, false, {0}},
        {GH_KEY_ED25519, 253, 0x3e, GH_SIG_DEFAULT, false, {14, GH_SIG_IDENTITY, false}},
        {GH_KEY_ED448, 456, 0x1e, GH_SIG_DEFAULT, false, {0}}, /* RFC 8420: no identity, no EdDSA */
        {GH_KEY_ED25519, 253, 0, GH_SIG_DEFAULT, false, {0}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gh_sign_params p = {.method = 99};
        struct gh_pki_error e = {.rule = NULL};
        bool good = gh_auth_choose(cases[i].type, cases[i].bits, cases[i].pss, cases[i].peer,
                                   cases[i].ours, &p, &e);

        assert_int_equal(good, cases[i].want.method != 0);
        if (!good) {
            assert_int_equal(p.method, 99);
            assert_non_null(e.rule);
            continue;
        }
        assert_int_equal(p.method, cases[i].want.method);
        assert_int_equal(p.hash, cases[i].want.hash);
        assert_int_equal(p.pss, cases[i].want.pss);
    }
}

static void hash_lists(void **state)
{
    static const uint8_t list[] = {0, 2, 0, 5, 0, 9, 0xff, 2, 0, 4, 0};
    uint8_t mem[32];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));

    assert_int_equal(gh_sig_hashes_parse(gh_view_of(list, sizeof(list))),
                     GH_BIT(2) | GH_BIT(5) | GH_BIT(4));
    gh_sig_hashes_put(&w, GH_SIG_DEFAULT);
    assert_int_equal(w.len, 8);
    assert_int_equal(gh_sig_hashes_parse(gh_view_of(mem, w.len)), GH_SIG_DEFAULT);
}

/* ---- AlgorithmIdentifiers ------------------------------------------------------------------- */

/* libcrypto writes the same ones into the certificates that it signs. */
static void algorithms_are_those_of_certificates(void **state)
{
    static const struct {
        const char *kind;
        enum gh_sig_scheme scheme;
        uint8_t hash;
        const char *md;
    } cases[] = {{"rsa", GH_SCHEME_RSA_PKCS1, GH_SIG_SHA1, "SHA1"},
                 {"rsa", GH_SCHEME_RSA_PKCS1, GH_SIG_SHA2_256, "SHA256"},
                 {"rsa", GH_SCHEME_RSA_PKCS1, GH_SIG_SHA2_384, "SHA384"},
                 {"rsa", GH_SCHEME_RSA_PKCS1, GH_SIG_SHA2_512, "SHA512"},
                 {"rsa", GH_SCHEME_RSA_PSS, GH_SIG_SHA1, "SHA1"},
                 {"rsa", GH_SCHEME_RSA_PSS, GH_SIG_SHA2_256, "SHA256"},
                 {"rsa", GH_SCHEME_RSA_PSS, GH_SIG_SHA2_384, "SHA384"},
                 {"rsa", GH_SCHEME_RSA_PSS, GH_SIG_SHA2_512, "SHA512"},
                 {"P-256", GH_SCHEME_ECDSA, GH_SIG_SHA1, "SHA1"},
                 {"P-256", GH_SCHEME_ECDSA, GH_SIG_SHA2_256, "SHA256"},
                 {"P-256", GH_SCHEME_ECDSA, GH_SIG_SHA2_384, "SHA384"},
                 {"P-256", GH_SCHEME_ECDSA, GH_SIG_SHA2_512, "SHA512"},
                 {"ed25519", GH_SCHEME_ED25519, GH_SIG_IDENTITY, NULL},
                 {"ed448", GH_SCHEME_ED448, GH_SIG_IDENTITY, NULL}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const EVP_MD *md = cases[i].md != NULL ? EVP_get_digestbyname(cases[i].md) : NULL;
        struct gh_view ours = gh_sigalg_der(cases[i].scheme, cases[i].hash);
        struct made_plan plan = {.cn = "x", .key = made_key(cases[i].kind)};
        X509 *x = made_x509(&plan);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *inner;
        struct gh_sigalg parsed;
        uint8_t *der = NULL;
        int len;

        assert_int_equal(EVP_DigestSignInit(ctx, &inner, md, NULL, plan.key), 1);
        if (cases[i].scheme == GH_SCHEME_RSA_PSS) {
            EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING);
            EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST);
        }
        assert_true(X509_sign_ctx(x, ctx) > 0);
        len = i2d_X509_ALGOR(X509_get0_tbs_sigalg(x), &der);
        assert_int_equal(ours.len, len);
        assert_memory_equal(ours.p, der, ours.len);
        assert_true(gh_sigalg_parse(ours, &parsed));
        assert_int_equal(parsed.scheme, cases[i].scheme);
        assert_int_equal(parsed.hash, cases[i].hash);
        OPENSSL_free(der);
        EVP_MD_CTX_free(ctx);
        X509_free(x);
    }
}

/* RFC 7427 A.4.2 and A.4.3 write the defaults out. */
static void other_encodings_of_pss(void **state)
{
    static const uint8_t defaults[] = {
        0x30, 0x3e, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a,
        0x30, 0x31, 0xa0, 0x0b, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a,
        0x05, 0x00, 0xa1, 0x18, 0x30, 0x16, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
        0x0d, 0x01, 0x01, 0x08, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a,
        0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x14, 0xa3, 0x03, 0x02, 0x01, 0x01};
    static const uint8_t sha256[] = {
        0x30, 0x46, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x39,
        0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
        0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20, 0xa3, 0x03, 0x02, 0x01, 0x01};
    struct gh_sigalg a;
    uint8_t bad[sizeof(sha256)];

    assert_true(gh_sigalg_parse(gh_view_of(defaults, sizeof(defaults)), &a));
    assert_int_equal(a.hash, GH_SIG_SHA1);
    assert_int_equal(a.salt, 20);
    assert_true(gh_sigalg_parse(gh_view_of(sha256, sizeof(sha256)), &a));
    assert_int_equal(a.scheme, GH_SCHEME_RSA_PSS);
    assert_int_equal(a.hash, GH_SIG_SHA2_256);
    assert_int_equal(a.salt, 32);
    memcpy(bad, sha256, sizeof(bad));
    bad[59] = 2; /* the mask's hash is another */
    assert_false(gh_sigalg_parse(gh_view_of(bad, sizeof(bad)), &a));
    memcpy(bad, sha256, sizeof(bad));
    bad[71] = 2; /* trailer */
    assert_false(gh_sigalg_parse(gh_view_of(bad, sizeof(bad)), &a));
    assert_false(gh_sigalg_parse(gh_view_of(sha256, sizeof(sha256) - 1), &a));
}

/* RFC 7427 B.1: the AUTH payload begins so. */
static void a_body_as_the_rfc_prints_it(void **state)
{
    static const uint8_t start[] = {0x0e, 0,    0,    0,    0x0f, 0x30, 0x0d, 0x06, 0x09, 0x2a,
                                    0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00};
    struct gh_sign_params p = {.method = GH_AUTH_DIGITAL, .hash = GH_SIG_SHA1};
    uint8_t body[GH_AUTH_BODY_MAX];
    size_t len;

    assert_true(gh_auth_sign(privates[0], &p, octets(), body, &len, NULL));
    assert_int_equal(len, sizeof(start) + 256);
    assert_memory_equal(body, start, sizeof(start));
}

/* ---- The openssl program -------------------------------------------------------------------- */

static void write_file(const char *name, const void *data, size_t len)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

/* What we sign, the program verifies. */
static void the_program_verifies(void **state)
{
    static const struct {
        size_t key;
        struct gh_sign_params p;
        size_t skip; /* octets before the signature */
        const char *options;
    } cases[] = {
        {0,
         {GH_AUTH_RSA, GH_SIG_SHA2_256, false},
         4,
         "dgst -sha256 -verify pub -signature sig msg"},
        {0,
         {GH_AUTH_DIGITAL, GH_SIG_SHA2_384, true},
         4 + 1 + 67,
         "dgst -sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48 -verify pub "
         "-signature sig msg"},
        {3,
         {GH_AUTH_DIGITAL, GH_SIG_SHA2_384, false},
         4 + 1 + 12,
         "dgst -sha384 -verify pub -signature sig msg"},
        {6,
         {GH_AUTH_DIGITAL, GH_SIG_IDENTITY, false},
         4 + 1 + 7,
         "pkeyutl -verify -rawin -pubin -inkey pub -sigfile sig -in msg"}};
    char directory[] = "/tmp/gh-auth-XXXXXX", command[512];

    assert_non_null(mkdtemp(directory));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gh_view spki = gh_pubkey_spki(gh_privkey_public(privates[cases[i].key]));
        uint8_t body[GH_AUTH_BODY_MAX];
        char name[64];
        size_t len;

        assert_true(gh_auth_sign(privates[cases[i].key], &cases[i].p, octets(), body, &len, NULL));
        snprintf(name, sizeof(name), "%s/der", directory);
        write_file(name, spki.p, spki.len);
        snprintf(name, sizeof(name), "%s/msg", directory);
        write_file(name, octets().p, octets().len);
        snprintf(name, sizeof(name), "%s/sig", directory);
        write_file(name, body + cases[i].skip, len - cases[i].skip);
        snprintf(command, sizeof(command),
                 "cd %s && openssl pkey -pubin -inform DER -in der -out pub && openssl %s >out",
                 directory, cases[i].options);
        assert_int_equal(system(command), 0);
    }
    snprintf(command, sizeof(command), "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

/* ---- Shared secrets ------------------------------------------------------------------------- */

static void pre_shared_keys(void **state)
{
    /* By Python's hmac: hmac(hmac(b"secret", b"Key Pad for IKEv2"), b"InitiatorSignedOctets") */
    static const uint8_t sha256[] = {0xca, 0x9b, 0x9f, 0xe9, 0x7e, 0x03, 0xf5, 0xdc,
                                     0x14, 0x89, 0x32, 0xf0, 0x8a, 0xc8, 0xba, 0x0a,
                                     0x87, 0xd8, 0x6a, 0x6a, 0x90, 0xb2, 0xd5, 0xc7,
                                     0xc5, 0xd3, 0xe2, 0xfe, 0x77, 0xa0, 0x65, 0x68};
    uint8_t out[64], body[4 + 32] = {GH_AUTH_PSK};
    struct gh_view secret = gh_view_of("secret", 6);

    assert_true(gh_auth_psk(GH_PRF_HMAC_SHA2_256, secret, octets(), out));
    assert_memory_equal(out, sha256, 32);
    memcpy(body + 4, out, 32);
    assert_true(gh_auth_equal(gh_view_of(body, 36), GH_AUTH_PSK, gh_view_of(out, 32)));
    assert_false(gh_auth_equal(gh_view_of(body, 36), GH_AUTH_NULL, gh_view_of(out, 32)));
    assert_false(gh_auth_equal(gh_view_of(body, 35), GH_AUTH_PSK, gh_view_of(out, 32)));
    assert_false(gh_auth_equal(gh_view_of(body, 4), GH_AUTH_PSK, gh_view_of(out, 0)));
    body[20] ^= 1;
    assert_false(gh_auth_equal(gh_view_of(body, 36), GH_AUTH_PSK, gh_view_of(out, 32)));
    body[20] ^= 1;
    body[2] = 7; /* reserved */
    assert_true(gh_auth_equal(gh_view_of(body, 36), GH_AUTH_PSK, gh_view_of(out, 32)));
    assert_false(gh_auth_psk(GH_PRF_NONE, secret, octets(), out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_with_every_key),
        cmocka_unit_test(fixed_widths),
        cmocka_unit_test(what_is_not_allowed),
        cmocka_unit_test(the_key_and_the_peer_choose),
        cmocka_unit_test(hash_lists),
        cmocka_unit_test(algorithms_are_those_of_certificates),
        cmocka_unit_test(other_encodings_of_pss),
        cmocka_unit_test(a_body_as_the_rfc_prints_it),
        cmocka_unit_test(the_program_verifies),
        cmocka_unit_test(pre_shared_keys),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

/* Certificates, chains, trust-anchor profiles, cert-profiles, payload bodies. */
#include "made_certs.h"

#include <stdlib.h>

#include "pki/bodies.h"
#include "pki/chain.h"
#include "pki/profile.h"
#include "pki/trust.h"
#include "wire/wr.h"

static struct gh_cert *root, *middle, *leaf, *other_root;

static int setup(void **state)
{
    root = made_cert((struct made_plan){.cn = "root",
                                        .key = made_key("rsa"),
                                        .basic = MADE_CA,
                                        .from = MADE_NOW - 2 * MADE_DAY,
                                        .until = MADE_NOW + 2 * MADE_DAY});
    middle = made_cert((struct made_plan){.cn = "middle",
                                          .issuer = "root",
                                          .key = made_key("P-384"),
                                          .signer = made_key("rsa"),
                                          .basic = MADE_CA});
    leaf = made_cert((struct made_plan){.cn = "gw",
                                        .issuer = "middle",
                                        .key = made_key("P-256"),
                                        .signer = made_key("P-384"),
                                        .usage = "digitalSignature",
                                        .san = "DNS:gw.example.net"});
    other_root = made_cert(
        (struct made_plan){.cn = "other", .key = made_key_nth("P-256", 1), .basic = MADE_CA});
    return 0;
}

static int teardown(void **state)
{
    gh_cert_free(root);
    gh_cert_free(middle);
    gh_cert_free(leaf);
    gh_cert_free(other_root);
    return 0;
}

static struct gh_trust *trusting(struct gh_cert *a, struct gh_cert *b)
{
    struct gh_trust *t = gh_trust_new("anchors");
    struct gh_pki_error e;

    assert_true(gh_trust_add(t, a, &e));
    assert_true(b == NULL || gh_trust_add(t, b, &e));
    return t;
}

/* Verifies and wants this reason, NULL for none; the words name the certificate. */
static void verdict(struct gh_trust *t, struct gh_cert *const *sent, size_t count, int64_t now,
                    const char *rule, const char *named)
{
    struct gh_pki_error e = {.rule = "none", .message = ""};
    struct gh_chain chain = {.count = 0};
    bool good = gh_trust_verify(t, sent, count, now, &chain, &e);

    if (rule == NULL) {
        if (!good)
            print_error("%s: %s\n", e.rule, e.message);
        assert_true(good);
        assert_ptr_equal(chain.certs[0], sent[0]);
        gh_chain_clear(&chain);
        return;
    }
    assert_false(good);
    assert_int_equal(chain.count, 0);
    if (strcmp(e.rule, rule) != 0 || strstr(e.message, named) == NULL || e.remedy[0] == '\0')
        print_error("wanted %s of %s: %s: %s\n", rule, named, e.rule, e.message);
    assert_string_equal(e.rule, rule);
    assert_non_null(strstr(e.message, named));
    assert_true(e.remedy[0] != '\0');
}

/* One peer's certificate under `root`. */
static void one(struct made_plan plan, int64_t now, const char *rule, const char *named)
{
    struct gh_trust *t = trusting(root, NULL);
    struct gh_cert *c;

    plan.issuer = "root";
    plan.signer = made_key("rsa");
    if (plan.key == NULL)
        plan.key = made_key("P-256");
    c = made_cert(plan);
    verdict(t, &c, 1, now, rule, named);
    gh_cert_free(c);
    gh_trust_free(t);
}

static void what_a_certificate_says(void **state)
{
    char pem[4096];
    struct gh_cert *c =
        made_cert((struct made_plan){.cn = "a, \"b\" \x01", .key = made_key("rsa")});

    assert_string_equal(gh_cert_subject(leaf), "C=CH, O=Net, CN=gw");
    assert_string_equal(gh_cert_issuer(leaf), "C=CH, O=Net, CN=middle");
    assert_true(gh_cert_not_before(leaf) == MADE_NOW - MADE_DAY);
    assert_true(gh_cert_not_after(leaf) == MADE_NOW + MADE_DAY);
    assert_int_equal(gh_pubkey_type(gh_cert_key(leaf)), GH_KEY_ECDSA_P256);
    assert_false(gh_cert_is_ca(leaf));
    assert_true(gh_cert_is_ca(root));
    assert_string_equal(gh_cert_subject(c), "C=CH, O=Net, CN=a\\, \\\"b\\\" \\01");
    gh_cert_free(c);
    snprintf(pem, sizeof(pem), "no certificate");
    assert_null(gh_cert_parse(gh_view_of(pem, 14), NULL));
    assert_null(gh_cert_parse(gh_view_of(NULL, 0), NULL));
}

static void trailing_octets_are_no_certificate(void **state)
{
    struct gh_view der = gh_cert_der(leaf);
    uint8_t *longer = malloc(der.len + 1);

    memcpy(longer, der.p, der.len);
    longer[der.len] = 0;
    assert_null(gh_cert_parse(gh_view_of(longer, der.len + 1), NULL));
    assert_null(gh_cert_parse(gh_view_of(longer, der.len - 1), NULL));
    free(longer);
}

static void chains_up_to_the_root_and_partial_ones(void **state)
{
    struct gh_cert *both[] = {leaf, middle};
    struct gh_trust *t = trusting(other_root, root);

    verdict(t, both, 2, MADE_NOW, NULL, "");
    verdict(t, both, 1, MADE_NOW, "cert-unknown-ca", "middle"); /* not sent, not known */
    assert_true(gh_trust_know(t, middle, NULL));
    verdict(t, both, 1, MADE_NOW, NULL, "");
    gh_trust_free(t);
    t = trusting(middle, NULL); /* an anchor below the root */
    verdict(t, both, 1, MADE_NOW, NULL, "");
    gh_trust_free(t);
    t = trusting(other_root, NULL);
    verdict(t, both, 2, MADE_NOW, "cert-unknown-ca", "root");
    verdict(t, both, 0, MADE_NOW, "cert-missing", "peer");
    gh_trust_free(t);
}

static void time_is_an_argument(void **state)
{
    struct made_plan p = {.cn = "gw"};

    one(p, MADE_NOW, NULL, "");
    one(p, MADE_NOW + MADE_DAY - 1, NULL, "");
    one(p, MADE_NOW + MADE_DAY, "cert-expired", "CN=gw");
    one(p, MADE_NOW - MADE_DAY, NULL, "");
    one(p, MADE_NOW - MADE_DAY - 1, "cert-not-yet-valid", "CN=gw");
}

static void an_expired_ca(void **state)
{
    struct gh_cert *old = made_cert((struct made_plan){
        .cn = "old", .key = made_key("rsa"), .basic = MADE_CA, .until = MADE_NOW - 10});
    struct gh_cert *c = made_cert((struct made_plan){
        .cn = "gw", .issuer = "old", .key = made_key("P-256"), .signer = made_key("rsa")});
    struct gh_trust *t = trusting(old, NULL);

    verdict(t, &c, 1, MADE_NOW, "cert-expired", "CN=old");
    verdict(t, &c, 1, MADE_NOW - 11, NULL, "");
    gh_trust_free(t);
    gh_cert_free(c);
    gh_cert_free(old);
}

static void usages(void **state)
{
    one((struct made_plan){.cn = "gw", .usage = "digitalSignature"}, MADE_NOW, NULL, "");
    one((struct made_plan){.cn = "gw", .usage = "nonRepudiation"}, MADE_NOW, NULL, "");
    one((struct made_plan){.cn = "gw", .usage = "keyEncipherment"}, MADE_NOW, "cert-key-usage",
        "CN=gw");
    one((struct made_plan){.cn = "gw", .extended = "1.3.6.1.5.5.7.3.17"}, MADE_NOW, NULL, "");
    one((struct made_plan){.cn = "gw", .extended = "serverAuth"}, MADE_NOW, NULL, "");
    one((struct made_plan){.cn = "gw", .extended = "codeSigning,anyExtendedKeyUsage"}, MADE_NOW,
        NULL, "");
    one((struct made_plan){.cn = "gw", .extended = "codeSigning"}, MADE_NOW,
        "cert-extended-key-usage", "CN=gw");
    one((struct made_plan){.cn = "gw", .key = made_key("x25519")}, MADE_NOW, "cert-key-type",
        "CN=gw");
    one((struct made_plan){.cn = "gw", .key = made_key("rsa1024")}, MADE_NOW, "cert-key-size",
        "CN=gw");
    one((struct made_plan){.cn = "gw", .md = EVP_sha1()}, MADE_NOW, "cert-hash", "CN=gw");
    one((struct made_plan){.cn = "gw", .key = made_key("ed25519")}, MADE_NOW, NULL, "");
    one((struct made_plan){.cn = "gw", .key = made_key("ed448")}, MADE_NOW, NULL, "");
    one((struct made_plan){.cn = "gw", .key = made_key("P-521")}, MADE_NOW, NULL, "");
    one((struct made_plan){.cn = "gw", .key = made_key("brainpoolP256r1")}, MADE_NOW, NULL, "");
}

static void a_forged_signature(void **state)
{
    struct gh_trust *t = trusting(root, NULL);
    /* Names the root as its issuer, but somebody else signed. */
    struct gh_cert *c = made_cert((struct made_plan){
        .cn = "gw", .issuer = "root", .key = made_key("P-256"), .signer = made_key_nth("rsa", 1)});

    verdict(t, &c, 1, MADE_NOW, "cert-signature", "CN=gw");
    gh_cert_free(c);
    gh_trust_free(t);
}

/* A chain of `cas` CAs below `root`, each with the path length that `basic` says. */
static void long_chain(size_t cas, const char *basic, const char *rule, const char *named)
{
    struct gh_trust *t = trusting(root, NULL);
    struct gh_cert *sent[12];
    char cn[16], issuer[16] = "root";
    EVP_PKEY *signer = made_key("rsa");

    for (size_t i = 1; i <= cas; i++) {
        EVP_PKEY *key = made_key_nth("P-256", 10 + (unsigned)i);

        snprintf(cn, sizeof(cn), "ca%zu", i);
        sent[cas + 1 - i] = made_cert((struct made_plan){.cn = cn,
                                                         .issuer = issuer,
                                                         .key = key,
                                                         .signer = signer,
                                                         .basic = basic,
                                                         .usage = "keyCertSign,cRLSign"});
        strcpy(issuer, cn);
        signer = key;
    }
    sent[0] = made_cert((struct made_plan){
        .cn = "gw", .issuer = issuer, .key = made_key("P-256"), .signer = signer});
    verdict(t, sent, cas + 1, MADE_NOW, rule, named);
    for (size_t i = 0; i <= cas; i++)
        gh_cert_free(sent[i]);
    gh_trust_free(t);
}

static void paths(void **state)
{
    long_chain(1, "critical,CA:TRUE,pathlen:0", NULL, "");
    long_chain(2, "critical,CA:TRUE,pathlen:0", "cert-path-length", "CN=ca1");
    long_chain(6, "critical,CA:TRUE", NULL, ""); /* with the anchor seven CAs */
    long_chain(7, "critical,CA:TRUE", "cert-chain-too-long", "7");
}

static void a_leaf_is_no_ca(void **state)
{
    struct gh_trust *t = trusting(root, NULL);
    struct gh_cert *sent[2];

    sent[1] = made_cert((struct made_plan){.cn = "user",
                                           .issuer = "root",
                                           .key = made_key("P-384"),
                                           .signer = made_key("rsa"),
                                           .basic = "CA:FALSE"});
    sent[0] = made_cert((struct made_plan){
        .cn = "victim", .issuer = "user", .key = made_key("P-256"), .signer = made_key("P-384")});
    verdict(t, sent, 2, MADE_NOW, "ca-basic-constraints", "CN=user");
    gh_cert_free(sent[1]);
    /* A version 1 certificate cannot say CA either. */
    sent[1] = made_cert((struct made_plan){.cn = "user",
                                           .issuer = "root",
                                           .key = made_key("P-384"),
                                           .signer = made_key("rsa"),
                                           .version1 = true});
    verdict(t, sent, 2, MADE_NOW, "ca-basic-constraints", "CN=user");
    gh_cert_free(sent[1]);
    sent[1] = made_cert((struct made_plan){.cn = "user",
                                           .issuer = "root",
                                           .key = made_key("P-384"),
                                           .signer = made_key("rsa"),
                                           .basic = "CA:TRUE",
                                           .usage = "digitalSignature"});
    verdict(t, sent, 2, MADE_NOW, "ca-key-usage", "CN=user");
    gh_cert_free(sent[1]);
    gh_cert_free(sent[0]);
    gh_trust_free(t);
}

static void name_constraints_hold(void **state)
{
    struct gh_cert *ca = made_cert((struct made_plan){.cn = "limited",
                                                      .key = made_key("rsa"),
                                                      .basic = MADE_CA,
                                                      .names = "permitted;DNS:example.net"});
    struct gh_trust *t = trusting(ca, NULL);

    for (int i = 0; i < 2; i++) {
        struct gh_cert *c = made_cert(
            (struct made_plan){.cn = "gw",
                               .issuer = "limited",
                               .key = made_key("P-256"),
                               .signer = made_key("rsa"),
                               .san = i == 0 ? "DNS:a.example.net" : "DNS:a.example.org"});

        verdict(t, &c, 1, MADE_NOW, i == 0 ? NULL : "cert-chain", "CN=gw");
        gh_cert_free(c);
    }
    gh_trust_free(t);
    gh_cert_free(ca);
}

static void what_may_be_an_anchor(void **state)
{
    static const struct {
        struct made_plan plan;
        const char *rule;
    } bad[] = {{{.cn = "ca", .version1 = true}, "ca-version"},
               {{.cn = "ca"}, "ca-basic-constraints"},
               {{.cn = "ca", .basic = "CA:FALSE"}, "ca-basic-constraints"},
               {{.cn = "ca", .basic = "CA:TRUE", .usage = "cRLSign"}, "ca-key-usage"},
               {{.cn = "ca", .basic = "CA:TRUE", .usage = "keyCertSign"}, "ca-key-usage"}};
    struct gh_trust *t = gh_trust_new("anchors");
    struct gh_pki_error e;
    struct gh_cert *c;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct made_plan p = bad[i].plan;

        p.key = made_key("rsa");
        c = made_cert(p);
        assert_false(gh_trust_add(t, c, &e));
        assert_string_equal(e.rule, bad[i].rule);
        gh_cert_free(c);
    }
    for (unsigned i = 0; i < 9; i++) {
        char cn[8];

        snprintf(cn, sizeof(cn), "ca%u", i);
        /* No key usage at all is every usage. */
        c = made_cert((struct made_plan){.cn = cn, .key = made_key("rsa"), .basic = "CA:TRUE"});
        assert_int_equal(gh_trust_add(t, c, &e), i < 8);
        assert_false(gh_trust_add(t, c, &e)); /* twice */
        assert_string_equal(e.rule, "trust-anchors");
        gh_cert_free(c);
    }
    assert_int_equal(gh_trust_count(t), 8);
    assert_true(gh_cert_may_issue(root, MADE_NOW, &e));
    assert_false(gh_cert_may_issue(root, MADE_NOW + 2 * MADE_DAY, &e));
    assert_string_equal(e.rule, "cert-expired");
    gh_trust_free(t);
}

/* ---- Bodies --------------------------------------------------------------------------------- */

static void bodies(void **state)
{
    static const uint8_t rsa_key[] = {GH_CERT_RAW_KEY}, short_req[] = {GH_CERT_X509, 1, 2, 3},
                         raw_req[] = {GH_CERT_RAW_KEY, 1}, auth[] = {14, 9, 9, 9, 0xaa},
                         other[] = {GH_CERT_CRL, 1, 2};
    uint8_t mem[4096];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_trust *t = trusting(root, middle);
    struct gh_view views[18], spki;
    struct gh_certreq_body req;
    struct gh_auth_body a;
    struct gh_peer_certs p;
    struct gh_pki_error e;

    gh_trust_put_certreq(t, &w);
    assert_true(gh_certreq_body_parse(gh_view_of(mem, w.len), &req));
    assert_int_equal(req.hash_count, 2);
    assert_memory_equal(req.hashes, gh_cert_spki_hash(root), 20);
    assert_memory_equal(req.hashes + 20, gh_cert_spki_hash(middle), 20);
    assert_false(gh_certreq_body_parse(gh_view_of(mem, 0), &req));
    assert_false(gh_certreq_body_parse(gh_view_of(short_req, 4), &req));
    assert_false(gh_certreq_body_parse(gh_view_of(raw_req, 2), &req));
    assert_true(gh_certreq_body_parse(gh_view_of(raw_req, 1), &req));
    assert_true(gh_auth_body_parse(gh_view_of(auth, 5), &a));
    assert_int_equal(a.method, 14);
    assert_int_equal(a.data.len, 1);
    assert_false(gh_auth_body_parse(gh_view_of(auth, 3), &a));

    w = gh_wr_make(mem, sizeof(mem));
    gh_cert_body_put(&w, GH_CERT_X509, gh_cert_der(leaf));
    views[0] = gh_view_of(mem, w.len);
    views[1] = gh_view_of(other, 3);
    views[2] = gh_view_of(mem, w.len);
    assert_true(gh_peer_certs_take(views, 3, &p, &e));
    assert_int_equal(p.count, 2);
    assert_true(gh_cert_equal(p.certs[0], leaf));
    gh_peer_certs_clear(&p);
    for (size_t i = 0; i < 18; i++)
        views[i] = views[0];
    assert_true(gh_peer_certs_take(views, 16, &p, &e));
    gh_peer_certs_clear(&p);
    assert_false(gh_peer_certs_take(views, 17, &p, &e));
    views[1] = gh_view_of(rsa_key, 1);
    assert_false(gh_peer_certs_take(views, 2, &p, &e));
    views[1] = gh_view_of(mem, 0);
    assert_false(gh_peer_certs_take(views, 2, &p, &e));

    w = gh_wr_make(mem, sizeof(mem));
    spki = gh_pubkey_spki(gh_cert_key(leaf));
    gh_cert_body_put(&w, GH_CERT_RAW_KEY, spki);
    views[1] = gh_view_of(mem, w.len);
    assert_true(gh_peer_certs_take(views + 1, 1, &p, &e));
    assert_true(gh_pubkey_equal(p.raw_key, gh_cert_key(leaf)));
    gh_peer_certs_clear(&p);
    gh_trust_free(t);
}

/* RFC 7670 A.1: the payload's data as they are printed there. */
static void a_raw_key_of_the_rfc(void **state)
{
    static const uint8_t spki[] = {
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        0x04, 0xcb, 0x28, 0xe0, 0x99, 0x9b, 0x9c, 0x77, 0x15, 0xfd, 0x0a, 0x80, 0xd8,
        0xe4, 0x7a, 0x77, 0x07, 0x97, 0x16, 0xcb, 0xbf, 0x91, 0x7d, 0xd7, 0x2e, 0x97,
        0x56, 0x6e, 0xa1, 0xc0, 0x66, 0x95, 0x7c, 0x2b, 0x57, 0xc0, 0x23, 0x5f, 0xb7,
        0x48, 0x97, 0x68, 0xd0, 0x58, 0xff, 0x49, 0x11, 0xc2, 0x0f, 0xdb, 0xe7, 0x1e,
        0x36, 0x99, 0xd9, 0x13, 0x39, 0xaf, 0xbb, 0x90, 0x3e, 0xe1, 0x72, 0x55, 0xdc};
    struct gh_pubkey *k = gh_pubkey_parse(gh_view_of(spki, sizeof(spki)), NULL);

    assert_non_null(k);
    assert_int_equal(gh_pubkey_type(k), GH_KEY_ECDSA_P256);
    assert_true(gh_view_equal(gh_pubkey_spki(k), gh_view_of(spki, sizeof(spki))));
    gh_pubkey_free(k);
    assert_null(gh_pubkey_parse(gh_view_of(spki, sizeof(spki) - 1), NULL));
}

/* ---- Cert-profiles -------------------------------------------------------------------------- */

/* A CERTREQ with n hashes of nobody, then `c`'s, then m of nobody. */
static struct gh_view certreq(uint8_t *mem, size_t n, const struct gh_cert *c, size_t m)
{
    memset(mem, 0x55, 1 + 20 * (n + m + 1));
    mem[0] = GH_CERT_X509;
    if (c != NULL)
        memcpy(mem + 1 + 20 * n, gh_cert_spki_hash(c), 20);
    return gh_view_of(mem, 1 + 20 * (n + m + 1));
}

static void the_peers_request_chooses(void **state)
{
    struct gh_cert_profile *p = gh_cert_profile_new("certs");
    struct gh_cert *own = made_cert((struct made_plan){.cn = "gw",
                                                       .issuer = "other",
                                                       .key = made_key("P-256"),
                                                       .signer = made_key_nth("P-256", 1)});
    struct gh_cert *send[] = {middle};
    const struct gh_cert_entry *entry;
    struct gh_view reqs[2];
    struct gh_pki_error e;
    uint8_t mem[2][2048];

    assert_int_equal(gh_cert_profile_choose(p, NULL, 0, &entry), GH_CHOICE_FIRST);
    assert_null(entry);
    /* Entry 0: under "other"; entry 1: under middle (sent) and root (known). */
    assert_true(gh_cert_profile_add(p, "one", own, NULL, 0, &other_root, 1, false, &e));
    assert_true(gh_cert_profile_add(p, "two", leaf, send, 1, &root, 1, true, &e));
    entry = gh_cert_profile_entry(p, 1);
    assert_int_equal(entry->compare.count, 3);
    assert_int_equal(entry->send_count, 1);

    assert_int_equal(gh_cert_profile_choose(p, NULL, 0, &entry), GH_CHOICE_FIRST);
    assert_string_equal(entry->key_name, "one");
    reqs[0] = certreq(mem[0], 3, NULL, 3);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 1, &entry), GH_CHOICE_FIRST);
    assert_string_equal(entry->key_name, "one");
    reqs[0] = certreq(mem[0], 2, root, 0);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 1, &entry), GH_CHOICE_MATCH);
    assert_string_equal(entry->key_name, "two");
    reqs[0] = certreq(mem[0], 2, middle, 0);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 1, &entry), GH_CHOICE_MATCH);
    assert_string_equal(entry->key_name, "two");
    /* Both match: the first entry, not the first hash. */
    reqs[1] = certreq(mem[1], 0, other_root, 0);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 2, &entry), GH_CHOICE_MATCH);
    assert_string_equal(entry->key_name, "one");
    /* The certificate's own key is no CA's. */
    reqs[0] = certreq(mem[0], 0, leaf, 0);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 1, &entry), GH_CHOICE_FIRST);
    gh_cert_profile_free(p);
    gh_cert_free(own);
}

static void only_sixteen_hashes_are_processed(void **state)
{
    struct gh_cert_profile *p = gh_cert_profile_new("certs");
    const struct gh_cert_entry *entry;
    struct gh_view reqs[2];
    struct gh_pki_error e;
    uint8_t mem[2][2048];

    assert_true(gh_cert_profile_add(p, "one", leaf, NULL, 0, &middle, 1, false, &e));
    reqs[0] = certreq(mem[0], 15, middle, 4);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 1, &entry), GH_CHOICE_MATCH);
    reqs[0] = certreq(mem[0], 16, middle, 4);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 1, &entry), GH_CHOICE_BEYOND);
    assert_null(entry);
    reqs[0] = certreq(mem[0], 0, NULL, 14); /* 15 of nobody, and the next payload's first */
    reqs[1] = certreq(mem[1], 0, middle, 0);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 2, &entry), GH_CHOICE_MATCH);
    reqs[0] = certreq(mem[0], 0, NULL, 15);
    assert_int_equal(gh_cert_profile_choose(p, reqs, 2, &entry), GH_CHOICE_BEYOND);
    gh_cert_profile_free(p);
}

static void profiles_are_bounded(void **state)
{
    struct gh_cert_profile *p = gh_cert_profile_new("certs");
    struct gh_cert *send[8] = {root, root, root, root, root, root, root, root};
    struct gh_pki_error e;
    char key[80];

    assert_false(gh_cert_profile_add(p, "key", leaf, send, 8, NULL, 0, false, &e));
    assert_true(gh_cert_profile_add(p, "key", leaf, send, 7, NULL, 0, false, &e));
    memset(key, 'a', sizeof(key));
    key[65] = '\0';
    assert_false(gh_cert_profile_add(p, key, leaf, NULL, 0, NULL, 0, false, &e));
    assert_false(gh_cert_profile_add(p, "", leaf, NULL, 0, NULL, 0, false, &e));
    for (unsigned i = 1; i < 8; i++)
        assert_true(gh_cert_profile_add(p, "key", leaf, NULL, 0, NULL, 0, false, &e));
    assert_false(gh_cert_profile_add(p, "key", leaf, NULL, 0, NULL, 0, false, &e));
    assert_int_equal(gh_cert_profile_count(p), 8);
    gh_cert_profile_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_certificate_says),
        cmocka_unit_test(trailing_octets_are_no_certificate),
        cmocka_unit_test(chains_up_to_the_root_and_partial_ones),
        cmocka_unit_test(time_is_an_argument),
        cmocka_unit_test(an_expired_ca),
        cmocka_unit_test(usages),
        cmocka_unit_test(a_forged_signature),
        cmocka_unit_test(paths),
        cmocka_unit_test(a_leaf_is_no_ca),
        cmocka_unit_test(name_constraints_hold),
        cmocka_unit_test(what_may_be_an_anchor),
        cmocka_unit_test(bodies),
        cmocka_unit_test(a_raw_key_of_the_rfc),
        cmocka_unit_test(the_peers_request_chooses),
        cmocka_unit_test(only_sixteen_hashes_are_processed),
        cmocka_unit_test(profiles_are_bounded),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

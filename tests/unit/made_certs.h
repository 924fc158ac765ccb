/*
 * Keys and certificates made on the spot, for tests. Time is far from today's, so that a look at
 * the system's clock would show.
 */
#ifndef GH_TESTS_MADE_CERTS_H
#define GH_TESTS_MADE_CERTS_H

#include "unit.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "pki/cert.h"

#define MADE_NOW ((int64_t)2000000000) /* 2033 */
enum { MADE_DAY = 86400 };

/* "rsa", "rsa1024", "rsa-pss", a curve, "ed25519" … One key for each name, made once. `nth`:
 * another of the same kind. */
static inline EVP_PKEY *made_key_nth(const char *kind, unsigned nth)
{
    static struct {
        char kind[32];
        unsigned nth;
        EVP_PKEY *key;
    } keys[40];
    EVP_PKEY_CTX *ctx;
    EVP_PKEY *key = NULL;
    size_t i = 0;
    bool rsa = strncmp(kind, "rsa", 3) == 0, pss = strcmp(kind, "rsa-pss") == 0;
    bool ed = kind[0] == 'e' || kind[0] == 'x';

    for (; keys[i].key != NULL; i++)
        if (strcmp(keys[i].kind, kind) == 0 && keys[i].nth == nth)
            return keys[i].key;
    ctx = EVP_PKEY_CTX_new_from_name(NULL, pss ? "RSA-PSS" : rsa ? "RSA" : ed ? kind : "EC", NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    if (rsa)
        EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, strcmp(kind, "rsa1024") == 0   ? 1024
                                              : strcmp(kind, "rsa3072") == 0 ? 3072
                                                                             : 2048);
    else if (!ed)
        assert_int_equal(EVP_PKEY_CTX_set_group_name(ctx, kind), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    strcpy(keys[i].kind, kind);
    keys[i].nth = nth;
    keys[i].key = key;
    return key;
}

static inline EVP_PKEY *made_key(const char *kind)
{
    return made_key_nth(kind, 0);
}

struct made_plan {
    const char *cn, *issuer;                            /* common names; issuer NULL: itself */
    EVP_PKEY *key, *signer;                             /* signer NULL: itself */
    int64_t from, until;                                /* 0: a day around MADE_NOW */
    const char *basic, *usage, *extended, *san, *names; /* extensions' values */
    const EVP_MD *md;
    bool version1, sha1, no_subject;
};

static inline void made_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    if (value == NULL)
        return;
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
}

static inline void made_name(X509_NAME *name, const char *cn)
{
    X509_NAME_add_entry_by_txt(name, "C", MBSTRING_ASC, (const unsigned char *)"CH", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Net", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
}

static inline X509 *made_x509(const struct made_plan *p)
{
    static long serial = 1;
    X509 *x = X509_new();
    EVP_PKEY *signer = p->signer != NULL ? p->signer : p->key;
    int id = EVP_PKEY_get_base_id(signer);
    const EVP_MD *md = p->md != NULL ? p->md : EVP_sha256();

    X509_set_version(x, p->version1 ? X509_VERSION_1 : X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    ASN1_TIME_set(X509_getm_notBefore(x), p->from != 0 ? p->from : MADE_NOW - MADE_DAY);
    ASN1_TIME_set(X509_getm_notAfter(x), p->until != 0 ? p->until : MADE_NOW + MADE_DAY);
    if (!p->no_subject)
        made_name(X509_get_subject_name(x), p->cn);
    made_name(X509_get_issuer_name(x), p->issuer != NULL ? p->issuer : p->cn);
    X509_set_pubkey(x, p->key);
    made_extension(x, NID_basic_constraints, p->basic);
    made_extension(x, NID_key_usage, p->usage);
    made_extension(x, NID_ext_key_usage, p->extended);
    made_extension(x, NID_subject_alt_name, p->san);
    made_extension(x, NID_name_constraints, p->names);
    assert_true(X509_sign(x, signer, id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448 ? NULL : md) >
                0);
    return x;
}

static inline struct gh_cert *made_cert(struct made_plan p)
{
    X509 *x = made_x509(&p);
    uint8_t *der = NULL;
    int len = i2d_X509(x, &der);
    struct gh_pki_error e = {.rule = NULL};
    struct gh_cert *c = gh_cert_parse(gh_view_of(der, (size_t)len), &e);

    if (c == NULL)
        print_error("%s\n", e.message);
    assert_non_null(c);
    OPENSSL_free(der);
    X509_free(x);
    return c;
}

#define MADE_CA "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"

#endif

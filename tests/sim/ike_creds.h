/*
 * Certificates and raw keys for the hosts of an IKE world, made on the spot: one CA, one RSA and
 * one ECDSA key with a certificate under it, and what goes wrong with certificates.
 */
#ifndef IKE_CREDS_H
#define IKE_CREDS_H

#include "ike_world.h"
#include "made_certs.h"

#include <openssl/pem.h>

struct ike_creds {
    struct gh_cert *ca, *other_ca, *rsa, *ecdsa, *expired;
    struct gh_trust *trust, *other_trust;
    struct gh_cert_profile *by_rsa, *by_ecdsa, *by_expired;
    struct gh_pubkey *raw;
};

#define CREDS_FROM  ((int64_t)1700000000) /* around the world's time */
#define CREDS_UNTIL ((int64_t)1900000000)

static inline struct gh_cert *creds_leaf(const char *cn, EVP_PKEY *key, EVP_PKEY *ca, int64_t until)
{
    return made_cert((struct made_plan){.cn = cn,
                                        .issuer = "Simulated CA",
                                        .key = key,
                                        .signer = ca,
                                        .from = CREDS_FROM,
                                        .until = until,
                                        .usage = "critical,digitalSignature"});
}

static inline struct gh_cert_profile *creds_profile(const char *key, struct gh_cert *cert,
                                                    struct gh_cert *ca)
{
    struct gh_cert_profile *p = gh_cert_profile_new(key);

    assert_non_null(p);
    assert_true(gh_cert_profile_add(p, key, cert, NULL, 0, &ca, 1, false, NULL));
    return p;
}

static inline struct gh_trust *creds_trust(struct gh_cert *ca)
{
    struct gh_trust *t = gh_trust_new("sim");

    assert_non_null(t);
    assert_true(gh_trust_add(t, ca, NULL));
    return t;
}

/* Made once, kept to the end of the program. */
static inline const struct ike_creds *creds(void)
{
    static struct ike_creds c;
    EVP_PKEY *ca = made_key_nth("P-256", 1), *other = made_key_nth("P-256", 2);

    if (c.ca != NULL)
        return &c;
    c.ca = made_cert((struct made_plan){.cn = "Simulated CA",
                                        .key = ca,
                                        .from = CREDS_FROM,
                                        .until = CREDS_UNTIL,
                                        .basic = MADE_CA});
    c.other_ca = made_cert((struct made_plan){.cn = "Another CA",
                                              .key = other,
                                              .from = CREDS_FROM,
                                              .until = CREDS_UNTIL,
                                              .basic = MADE_CA});
    c.rsa = creds_leaf("rsa", made_key("rsa"), ca, CREDS_UNTIL);
    c.ecdsa = creds_leaf("ecdsa", made_key("P-256"), ca, CREDS_UNTIL);
    c.expired = creds_leaf("expired", made_key("P-256"), ca, CREDS_FROM + 86400);
    c.trust = creds_trust(c.ca);
    c.other_trust = creds_trust(c.other_ca);
    c.by_rsa = creds_profile("rsa", c.rsa, c.ca);
    c.by_ecdsa = creds_profile("ecdsa", c.ecdsa, c.ca);
    c.by_expired = creds_profile("ecdsa", c.expired, c.ca);
    c.raw = gh_pubkey_parse(gh_pubkey_spki(gh_cert_key(c.ecdsa)), NULL);
    assert_non_null(c.raw);
    return &c;
}

static inline void creds_free(void)
{
    struct ike_creds c = *creds();

    gh_cert_profile_free(c.by_rsa);
    gh_cert_profile_free(c.by_ecdsa);
    gh_cert_profile_free(c.by_expired);
    gh_trust_free(c.trust);
    gh_trust_free(c.other_trust);
    gh_cert_free(c.ca);
    gh_cert_free(c.other_ca);
    gh_cert_free(c.rsa);
    gh_cert_free(c.ecdsa);
    gh_cert_free(c.expired);
    gh_pubkey_free(c.raw);
}

static inline void creds_add(struct gh_keeper_store *store, const char *name, EVP_PKEY *key)
{
    BIO *out = BIO_new(BIO_s_mem());
    struct gh_bundle bundle = {.key = NULL};
    struct gh_pki_error e = {.message = ""};
    char *pem;
    long len;

    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_get_mem_data(out, &pem);
    if (!gh_bundle_parse(gh_view_of((const uint8_t *)pem, (size_t)len), gh_view_of(NULL, 0),
                         &bundle, &e) ||
        !gh_keeper_store_add_key(store, name, &bundle, &e))
        fail_msg("%s", e.message);
    BIO_free(out);
}

/* Both private keys to a host's keeper. */
static inline void creds_give(struct ike_host *h)
{
    creds_add(h->keeper, "rsa", made_key("rsa"));
    creds_add(h->keeper, "ecdsa", made_key("P-256"));
}

/* How a host authenticates by this policy, and what it takes of the peer: the same. */
static inline void creds_use(struct ike2_policy *p, enum ike2_auth auth, bool rsa)
{
    const struct ike_creds *c = creds();

    p->local_auth = auth;
    p->remote_auths |= 1u << auth;
    p->trust = c->trust;
    p->cert_profile = rsa ? c->by_rsa : c->by_ecdsa;
    p->peer_raw_key = c->raw;
    p->raw_key_spki = gh_pubkey_spki(c->raw);
    strcpy(p->raw_key, "ecdsa");
}

#endif

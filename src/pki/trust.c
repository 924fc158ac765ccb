#include "pki/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki/bodies.h"
#include "pki/pki_priv.h"

enum {
    SECURITY_LEVEL = 2,            /* OpenSSL's: 112 bits, so RSA of 2048 and no SHA-1 or MD5 */
    BETWEEN_MAX = GH_CHAIN_CAS - 1 /* CAs between the peer's certificate and the anchor */
};

struct gh_trust {
    char name[65];
    X509_STORE *store; /* the anchors again, as OpenSSL wants them */
    struct gh_cert *anchors[GH_TRUST_ANCHORS];
    size_t anchor_count;
    struct gh_cert *known[GH_TRUST_KNOWN];
    size_t known_count;
};

struct gh_trust *gh_trust_new(const char *name)
{
    struct gh_trust *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->store = X509_STORE_new();
    if (t->store == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void gh_trust_free(struct gh_trust *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->anchor_count; i++)
        gh_cert_free(t->anchors[i]);
    for (size_t i = 0; i < t->known_count; i++)
        gh_cert_free(t->known[i]);
    X509_STORE_free(t->store);
    free(t);
}

static bool has(struct gh_cert *const *list, size_t count, const struct gh_cert *c)
{
    for (size_t i = 0; i < count; i++)
        if (gh_cert_equal(list[i], c))
            return true;
    return false;
}

bool gh_trust_add(struct gh_trust *t, struct gh_cert *ca, struct gh_pki_error *e)
{
    if (t->anchor_count == GH_TRUST_ANCHORS)
        return gh_pki_fail(e, "trust-anchors", "use a second trust-anchor profile",
                           "trust-anchor profile %s has %d CAs already, and %s would be one more",
                           t->name, (int)GH_TRUST_ANCHORS, ca->subject);
    if (has(t->anchors, t->anchor_count, ca))
        return gh_pki_fail(e, "trust-anchors", "name it once",
                           "the CA %s is twice in trust-anchor profile %s", ca->subject, t->name);
    if (!gh_cert_may_issue(ca, ca->not_before, e))
        return false;
    if (X509_STORE_add_cert(t->store, ca->x509) != 1)
        return gh_pki_fail(e, "no-memory", "free some memory", "cannot keep the CA %s: %s",
                           ca->subject, gh_openssl_reason());
    t->anchors[t->anchor_count++] = gh_cert_ref(ca);
    return true;
}

bool gh_trust_know(struct gh_trust *t, struct gh_cert *ca, struct gh_pki_error *e)
{
    if (has(t->known, t->known_count, ca))
        return true;
    if (t->known_count == GH_TRUST_KNOWN)
        return gh_pki_fail(e, "trust-known", "take CAs out that no chain needs", "more than %d CAs",
                           (int)GH_TRUST_KNOWN);
    t->known[t->known_count++] = gh_cert_ref(ca);
    return true;
}

size_t gh_trust_count(const struct gh_trust *t)
{
    return t->anchor_count;
}

const struct gh_cert *gh_trust_anchor(const struct gh_trust *t, size_t i)
{
    return t->anchors[i];
}

void gh_trust_put_certreq(const struct gh_trust *t, struct gh_wr *w)
{
    gh_wr_u8(w, GH_CERT_X509);
    for (size_t i = 0; i < t->anchor_count; i++)
        gh_wr_bytes(w, t->anchors[i]->spki_hash, GH_SPKI_HASH);
}

/* ---- Verification --------------------------------------------------------------------------- */

/* The same object again, so that a chain holds our certificates and not OpenSSL's. */
static struct gh_cert *ours(const struct gh_trust *t, struct gh_cert *const *sent, size_t count,
                            const X509 *x509)
{
    for (size_t i = 0; i < count; i++)
        if (X509_cmp(sent[i]->x509, x509) == 0)
            return sent[i];
    for (size_t i = 0; i < t->anchor_count; i++)
        if (X509_cmp(t->anchors[i]->x509, x509) == 0)
            return t->anchors[i];
    for (size_t i = 0; i < t->known_count; i++)
        if (X509_cmp(t->known[i]->x509, x509) == 0)
            return t->known[i];
    return NULL;
}

static bool no_cert_sign(const struct gh_cert *ca, struct gh_pki_error *e)
{
    return gh_pki_fail(e, "ca-key-usage", "have that CA certified with key usage keyCertSign",
                       "%s stands as a CA in the peer's chain, but its key usage lacks keyCertSign",
                       ca->subject);
}

/* OpenSSL skips a CA that cannot have issued the certificate, and then calls it unknown. If there
 * is one with the right name, say why it was not taken. */
static bool unknown_issuer(const struct gh_trust *t, struct gh_cert *const *sent, size_t count,
                           const struct gh_cert *c, struct gh_pki_error *e)
{
    if (gh_cert_issued_by(c, c))
        return gh_pki_fail(e, "cert-unknown-ca",
                           "add this CA to the profile if it is to be trusted",
                           "the peer's chain ends in %s, which is none of the %zu CAs of "
                           "trust-anchor profile %s",
                           c->subject, t->anchor_count, t->name);
    for (size_t i = 0; i < t->anchor_count + count; i++) {
        const struct gh_cert *ca = i < t->anchor_count ? t->anchors[i] : sent[i - t->anchor_count];
        int why;

        if (ca == c ||
            X509_NAME_cmp(X509_get_subject_name(ca->x509), X509_get_issuer_name(c->x509)) != 0)
            continue;
        why = X509_check_issued(ca->x509, c->x509);
        if (why == X509_V_ERR_KEYUSAGE_NO_CERTSIGN)
            return no_cert_sign(ca, e);
        if (why != X509_V_OK)
            return gh_pki_fail(e, "cert-unknown-ca",
                               "add the CA's certificate with the right key to the profile",
                               "the certificate of %s names %s as its issuer, but another "
                               "certificate of that name than the one that is known (%s)",
                               c->subject, ca->subject, X509_verify_cert_error_string(why));
    }
    return gh_pki_fail(e, "cert-unknown-ca",
                       "add that CA to the profile, or have the peer send the CAs below it",
                       "the certificate of %s was issued by %s, which is none of the %zu CAs of "
                       "trust-anchor profile %s, nor did the peer send it",
                       c->subject, c->issuer, t->anchor_count, t->name);
}

static bool say(const struct gh_trust *t, X509_STORE_CTX *ctx, struct gh_cert *const *sent,
                size_t count, int64_t now, struct gh_pki_error *e)
{
    int error = X509_STORE_CTX_get_error(ctx);
    const X509 *at = X509_STORE_CTX_get_current_cert(ctx);
    const struct gh_cert *c = at != NULL ? ours(t, sent, count, at) : NULL;

    if (c == NULL)
        c = sent[0];
    switch (error) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        if (!gh_cert_valid_at(c, now, e))
            return false;
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return unknown_issuer(t, sent, count, c, e);
    case X509_V_ERR_INVALID_CA:
        if (gh_cert_is_ca(c))
            return no_cert_sign(c, e);
        return gh_pki_fail(e, "ca-basic-constraints", "have that one issued as a CA",
                           "%s stands as a CA in the peer's chain, but its basic constraints do "
                           "not say CA",
                           c->subject);
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
        return gh_pki_fail(
            e, "cert-path-length", "issue from a CA higher up, or raise that CA's path length",
            "the peer's chain is longer than the CA %s allows (path length)", c->subject);
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        return gh_pki_fail(e, "cert-chain-too-long", "take a CA further down as the anchor",
                           "the peer's chain has more than %d CAs", (int)GH_CHAIN_CAS);
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return gh_pki_fail(e, "cert-signature",
                           "look whether the CA's key was replaced under the same name",
                           "the certificate of %s claims to be issued by %s, but its signature "
                           "does not verify",
                           c->subject, c->issuer);
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        return gh_pki_fail(e, "cert-key-size",
                           "take RSA of 2048 bits or more, or an elliptic curve",
                           "the key of %s is too short (%d bits)", c->subject,
                           EVP_PKEY_get_bits(X509_get0_pubkey(c->x509)));
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return gh_pki_fail(e, "cert-hash", "have it issued with SHA-256 or better",
                           "the certificate of %s is signed with a hash that is broken",
                           c->subject);
    default:
        break;
    }
    return gh_pki_fail(e, "cert-chain", "look at the certificate with openssl x509 -text",
                       "the certificate of %s: %s", c->subject,
                       X509_verify_cert_error_string(error));
}

/* NULL: no memory. */
static STACK_OF(X509) * helpers(const struct gh_trust *t, struct gh_cert *const *sent, size_t count)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    bool good = list != NULL;

    for (size_t i = 1; good && i < count; i++)
        good = sk_X509_push(list, sent[i]->x509) > 0;
    for (size_t i = 0; good && i < t->known_count; i++)
        good = sk_X509_push(list, t->known[i]->x509) > 0;
    if (good)
        return list;
    sk_X509_free(list);
    return NULL;
}

/* From OpenSSL's chain; what stands above the leaf must say that it is a CA, which OpenSSL does not
 * ask of old certificates. */
static bool take_chain(const struct gh_trust *t, X509_STORE_CTX *ctx, struct gh_cert *const *sent,
                       size_t count, struct gh_chain *out, struct gh_pki_error *e)
{
    STACK_OF(X509) *list = X509_STORE_CTX_get0_chain(ctx);
    struct gh_chain chain = {.count = 0};

    for (int i = 0; i < sk_X509_num(list); i++) {
        struct gh_cert *c = ours(t, sent, count, sk_X509_value(list, i));

        if (c == NULL || chain.count == GH_CHAIN_MAX || (i > 0 && !gh_cert_is_ca(c))) {
            gh_chain_clear(&chain);
            return gh_pki_fail(e, "ca-basic-constraints", "have that one issued as a CA",
                               "%s stands as a CA in the peer's chain, but is none",
                               c != NULL ? c->subject : "a certificate");
        }
        chain.certs[chain.count++] = gh_cert_ref(c);
    }
    if (out != NULL)
        *out = chain;
    else
        gh_chain_clear(&chain);
    return true;
}

static bool verify(const struct gh_trust *t, X509_STORE_CTX *ctx, STACK_OF(X509) * list,
                   struct gh_cert *const *sent, size_t count, int64_t now, struct gh_chain *chain,
                   struct gh_pki_error *e)
{
    X509_VERIFY_PARAM *param;

    if (list == NULL || ctx == NULL || X509_STORE_CTX_init(ctx, t->store, sent[0]->x509, list) != 1)
        return gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)now);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    X509_VERIFY_PARAM_set_depth(param, BETWEEN_MAX);
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    if (X509_verify_cert(ctx) != 1)
        return say(t, ctx, sent, count, now, e);
    return take_chain(t, ctx, sent, count, chain, e);
}

bool gh_trust_verify(const struct gh_trust *t, struct gh_cert *const *sent, size_t count,
                     int64_t now, struct gh_chain *chain, struct gh_pki_error *e)
{
    STACK_OF(X509) * list;
    X509_STORE_CTX *ctx;
    bool good;

    if (count == 0)
        return gh_pki_fail(e, "cert-missing", "have the peer send its certificate",
                           "the peer sent no certificate");
    if (!gh_cert_may_sign(sent[0], now, e))
        return false;
    list = helpers(t, sent, count);
    ctx = X509_STORE_CTX_new();
    good = verify(t, ctx, list, sent, count, now, chain, e);
    X509_STORE_CTX_free(ctx);
    sk_X509_free(list);
    ERR_clear_error();
    return good;
}

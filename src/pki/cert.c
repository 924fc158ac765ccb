#include "pki/cert.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "pki/pki_priv.h"

/* ---- What it says --------------------------------------------------------------------------- */

/* Names come from peers too: what is not printable ASCII is escaped (\HH). */
char *gh_dn_text(const X509_NAME *name)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL, *data;
    long len;

    if (out == NULL)
        return NULL;
    if (X509_NAME_print_ex(out, name, 0,
                           (XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV & ~XN_FLAG_SEP_MASK) |
                               XN_FLAG_SEP_CPLUS_SPC) >= 0) {
        len = BIO_get_mem_data(out, &data);
        text = OPENSSL_strndup(len > 0 ? data : "", len > 0 ? (size_t)len : 0);
    }
    BIO_free(out);
    return text;
}

static char *serial_text(const X509 *x509)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
    char *text = number != NULL ? BN_bn2hex(number) : NULL;

    BN_free(number);
    return text;
}

static bool read_time(const ASN1_TIME *t, int64_t *out)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days, seconds;
    bool good = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;

    ASN1_TIME_free(epoch);
    if (good)
        *out = (int64_t)days * 86400 + seconds;
    return good;
}

/* The hash that CERTREQ has of it: also for kinds of keys that sign nothing in IKE. */
static bool hash_spki(const X509 *x509, uint8_t out[GH_SPKI_HASH])
{
    uint8_t *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);
    bool good = len > 0 && gh_spki_hash(gh_view_of(der, (size_t)len), out);

    OPENSSL_free(der);
    return good;
}

static bool fill(struct gh_cert *c)
{
    const X509_NAME *subject = X509_get_subject_name(c->x509);
    EVP_PKEY *pkey = X509_get_pubkey(c->x509);
    int len = i2d_X509(c->x509, &c->der);

    if (pkey != NULL)
        c->key = gh_pubkey_of(pkey, NULL);
    if (len <= 0)
        return false;
    c->der_len = (size_t)len;
    len = i2d_X509_NAME(subject, &c->subject_der);
    if (len <= 0)
        return false;
    c->subject_len = (size_t)len;
    c->subject = gh_dn_text(subject);
    c->issuer = gh_dn_text(X509_get_issuer_name(c->x509));
    c->serial = serial_text(c->x509);
    /* Parses the extensions. A certificate with a malformed one is refused here and not later. */
    return (X509_get_extension_flags(c->x509) & EXFLAG_INVALID) == 0 && c->subject != NULL &&
           c->issuer != NULL && c->serial != NULL && hash_spki(c->x509, c->spki_hash) &&
           read_time(X509_get0_notBefore(c->x509), &c->not_before) &&
           read_time(X509_get0_notAfter(c->x509), &c->not_after);
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct gh_cert *gh_cert_of(X509 *x509, struct gh_pki_error *e)
{
    struct gh_cert *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        X509_free(x509);
        gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
        return NULL;
    }
    c->refs = 1;
    c->x509 = x509;
    if (fill(c)) {
        ERR_clear_error(); /* of a key that is none of IKE's */
        return c;
    }
    gh_pki_fail(e, "cert-format", "have it issued anew", "the certificate%s%s is malformed: %s",
                c->subject != NULL ? " of " : "", c->subject != NULL ? c->subject : "",
                gh_openssl_reason());
    gh_cert_free(c);
    return NULL;
}

struct gh_cert *gh_cert_parse(struct gh_view der, struct gh_pki_error *e)
{
    const uint8_t *at = der.p;
    X509 *x509;

    if (der.len == 0 || der.len > GH_CERT_DER_MAX) {
        gh_pki_fail(e, "cert-format", "take a smaller one",
                    "a certificate of %zu octets is not read (1 to %d)", der.len,
                    (int)GH_CERT_DER_MAX);
        return NULL;
    }
    x509 = d2i_X509(NULL, &at, (long)der.len);
    if (x509 != NULL && at == der.p + der.len)
        return gh_cert_of(x509, e);
    gh_pki_fail(e, "cert-format", "give an X.509 certificate in DER", "no certificate: %s",
                x509 != NULL ? "octets follow it" : gh_openssl_reason());
    X509_free(x509);
    return NULL;
}

struct gh_cert *gh_cert_ref(struct gh_cert *c)
{
    c->refs++;
    return c;
}

void gh_cert_free(struct gh_cert *c)
{
    if (c == NULL || --c->refs > 0)
        return;
    gh_pubkey_free(c->key);
    X509_free(c->x509);
    OPENSSL_free(c->der);
    OPENSSL_free(c->subject_der);
    OPENSSL_free(c->subject);
    OPENSSL_free(c->issuer);
    OPENSSL_free(c->serial);
    free(c);
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* Takes the certificate. */
static bool append(X509 *x509, struct gh_cert **out, size_t max, size_t *n, struct gh_pki_error *e)
{
    if (*n == max) {
        X509_free(x509);
        return gh_pki_fail(e, "cert-file", "split the file", "more than %zu certificates", max);
    }
    out[*n] = gh_cert_of(x509, e);
    if (out[*n] == NULL)
        return false;
    ++*n;
    return true;
}

static bool append_pkcs7(PKCS7 *p7, struct gh_cert **out, size_t max, size_t *n,
                         struct gh_pki_error *e)
{
    STACK_OF(X509) *list = NULL;
    bool good = true;

    if (PKCS7_type_is_signed(p7) && p7->d.sign != NULL)
        list = p7->d.sign->cert;
    for (int i = 0; good && i < sk_X509_num(list); i++) {
        X509 *x509 = sk_X509_value(list, i);

        X509_up_ref(x509);
        good = append(x509, out, max, n, e);
    }
    PKCS7_free(p7);
    return good;
}

/* One block of a PEM file. */
static bool append_block(const char *name, const uint8_t *data, long len, struct gh_cert **out,
                         size_t max, size_t *n, struct gh_pki_error *e)
{
    const uint8_t *at = data;
    X509 *x509;
    PKCS7 *p7;

    if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0 ||
        strcmp(name, PEM_STRING_X509_TRUSTED) == 0) {
        x509 = strcmp(name, PEM_STRING_X509_TRUSTED) == 0 ? d2i_X509_AUX(NULL, &at, len)
                                                          : d2i_X509(NULL, &at, len);
        if (x509 == NULL)
            return gh_pki_fail(e, "cert-format", "copy the file anew",
                               "a CERTIFICATE in the file cannot be read: %s", gh_openssl_reason());
        return append(x509, out, max, n, e);
    }
    if (strcmp(name, PEM_STRING_PKCS7) != 0 && strcmp(name, PEM_STRING_PKCS7_SIGNED) != 0)
        return true; /* a key beside it, parameters, a CRL */
    p7 = d2i_PKCS7(NULL, &at, len);
    if (p7 == NULL)
        return gh_pki_fail(e, "cert-format", "copy the file anew", "the PKCS #7 cannot be read: %s",
                           gh_openssl_reason());
    return append_pkcs7(p7, out, max, n, e);
}

static bool parse_pem(struct gh_view file, struct gh_cert **out, size_t max, size_t *n,
                      struct gh_pki_error *e)
{
    BIO *in = BIO_new_mem_buf(file.p, (int)file.len);
    char *name, *header;
    uint8_t *data;
    long len;
    bool good = in != NULL;

    while (good && PEM_read_bio(in, &name, &header, &data, &len) == 1) {
        good = append_block(name, data, len, out, max, n, e);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)len);
    }
    BIO_free(in);
    ERR_clear_error(); /* that there is no further block */
    return good;
}

static bool parse_der(struct gh_view file, struct gh_cert **out, size_t max, size_t *n,
                      struct gh_pki_error *e)
{
    const uint8_t *at = file.p;
    X509 *x509 = d2i_X509(NULL, &at, (long)file.len);
    PKCS7 *p7;

    if (x509 != NULL)
        return append(x509, out, max, n, e);
    at = file.p;
    p7 = d2i_PKCS7(NULL, &at, (long)file.len);
    ERR_clear_error();
    return p7 == NULL || append_pkcs7(p7, out, max, n, e);
}

size_t gh_certs_parse_file(struct gh_view file, struct gh_cert **out, size_t max,
                           struct gh_pki_error *e)
{
    size_t n = 0;
    bool good;

    if (file.len > GH_CERT_FILE_MAX * GH_CERT_DER_MAX) {
        gh_pki_fail(e, "cert-file", "split the file", "the file is too long (%zu octets)",
                    file.len);
        return 0;
    }
    good = file.len > 0 && file.p[0] == 0x30 ? parse_der(file, out, max, &n, e)
                                             : parse_pem(file, out, max, &n, e);
    if (good && n == 0)
        good = gh_pki_fail(e, "cert-file", "give X.509 certificates as PEM, DER or PKCS #7",
                           "there is no certificate in it");
    while (!good && n > 0)
        gh_cert_free(out[--n]);
    return n;
}

/* ---- Questions ------------------------------------------------------------------------------ */

struct gh_view gh_cert_der(const struct gh_cert *c)
{
    return gh_view_of(c->der, c->der_len);
}

struct gh_view gh_cert_subject_der(const struct gh_cert *c)
{
    return gh_view_of(c->subject_der, c->subject_len);
}

const char *gh_cert_subject(const struct gh_cert *c)
{
    return c->subject;
}

const char *gh_cert_issuer(const struct gh_cert *c)
{
    return c->issuer;
}

const char *gh_cert_serial(const struct gh_cert *c)
{
    return c->serial;
}

int64_t gh_cert_not_before(const struct gh_cert *c)
{
    return c->not_before;
}

int64_t gh_cert_not_after(const struct gh_cert *c)
{
    return c->not_after;
}

bool gh_cert_is_ca(const struct gh_cert *c)
{
    return (X509_get_extension_flags(c->x509) & EXFLAG_CA) != 0;
}

bool gh_cert_is_self_issued(const struct gh_cert *c)
{
    return X509_NAME_cmp(X509_get_subject_name(c->x509), X509_get_issuer_name(c->x509)) == 0;
}

const struct gh_pubkey *gh_cert_key(const struct gh_cert *c)
{
    return c->key;
}

const uint8_t *gh_cert_spki_hash(const struct gh_cert *c)
{
    return c->spki_hash;
}

bool gh_cert_equal(const struct gh_cert *a, const struct gh_cert *b)
{
    return gh_view_equal(gh_cert_der(a), gh_cert_der(b));
}

bool gh_cert_valid_at(const struct gh_cert *c, int64_t now, struct gh_pki_error *e)
{
    char when[32], clock[32];

    if (now < c->not_before)
        return gh_pki_fail(e, "cert-not-yet-valid",
                           "wait, or set the clock if it is slow on one side",
                           "the certificate of %s is valid from %s on, and it is %s", c->subject,
                           gh_time_format(c->not_before, when, sizeof(when)),
                           gh_time_format(now, clock, sizeof(clock)));
    if (now >= c->not_after)
        return gh_pki_fail(e, "cert-expired", "have it renewed",
                           "the certificate of %s expired at %s, and it is %s", c->subject,
                           gh_time_format(c->not_after, when, sizeof(when)),
                           gh_time_format(now, clock, sizeof(clock)));
    return true;
}

/* An extended key usage limits a certificate to what it names. Those of IKE are rare in practice
 * (RFC 4945 5.1.3.12), those of TLS are what most CAs give to gateways. */
static bool usage_covers_ike(X509 *x509)
{
    static const int covering[] = {NID_ipsec_IKE,   NID_anyExtendedKeyUsage, NID_ipsecEndSystem,
                                   NID_ipsecTunnel, NID_ipsecUser,           NID_server_auth,
                                   NID_client_auth};
    EXTENDED_KEY_USAGE *usage;
    bool covers = false;

    if ((X509_get_extension_flags(x509) & EXFLAG_XKUSAGE) == 0)
        return true;
    usage = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);
    for (int i = 0; !covers && i < sk_ASN1_OBJECT_num(usage); i++)
        for (size_t j = 0; j < sizeof(covering) / sizeof(covering[0]); j++)
            if (OBJ_obj2nid(sk_ASN1_OBJECT_value(usage, i)) == covering[j])
                covers = true;
    EXTENDED_KEY_USAGE_free(usage);
    return covers;
}

bool gh_cert_may_sign(const struct gh_cert *c, int64_t now, struct gh_pki_error *e)
{
    /* Without the extension every usage is allowed. */
    uint32_t usage = X509_get_key_usage(c->x509);

    if (!gh_cert_valid_at(c, now, e))
        return false;
    if (c->key == NULL)
        return gh_pki_fail(e, "cert-key-type",
                           "take RSA, ECDSA (P-256, P-384, P-521, Brainpool), Ed25519 or Ed448",
                           "the key of %s is of a kind that does not sign in IKEv2", c->subject);
    if ((usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0)
        return gh_pki_fail(e, "cert-key-usage", "have it issued with key usage digitalSignature",
                           "the certificate of %s may not sign: its key usage has neither "
                           "digitalSignature nor nonRepudiation",
                           c->subject);
    if (!usage_covers_ike(c->x509))
        return gh_pki_fail(e, "cert-extended-key-usage",
                           "have it issued with ipsecIKE (1.3.6.1.5.5.7.3.17) or without the "
                           "extension",
                           "the extended key usage of %s does not cover IKE", c->subject);
    return true;
}

bool gh_cert_may_issue(const struct gh_cert *c, int64_t now, struct gh_pki_error *e)
{
    uint32_t usage = X509_get_key_usage(c->x509);

    if (X509_get_version(c->x509) != X509_VERSION_3)
        return gh_pki_fail(e, "ca-version", "have the CA certified by an X.509 version 3 one",
                           "the CA certificate of %s is of X.509 version %ld, not 3", c->subject,
                           X509_get_version(c->x509) + 1);
    if (!gh_cert_is_ca(c))
        return gh_pki_fail(e, "ca-basic-constraints",
                           "give the CA's certificate, not one that it issued",
                           "the certificate of %s is not a CA's: its basic constraints do not say "
                           "CA",
                           c->subject);
    if ((usage & KU_KEY_CERT_SIGN) == 0)
        return gh_pki_fail(e, "ca-key-usage", "have it issued with key usage keyCertSign",
                           "the CA %s may not sign certificates: its key usage lacks keyCertSign",
                           c->subject);
    if ((usage & KU_CRL_SIGN) == 0)
        return gh_pki_fail(e, "ca-key-usage", "have it issued with key usage cRLSign",
                           "the CA %s may not sign CRLs: its key usage lacks cRLSign", c->subject);
    return gh_cert_valid_at(c, now, e);
}

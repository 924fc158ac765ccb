#include "pki/privkey.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "base/secret.h"
#include "pki/pki_priv.h"

enum { FILE_MAX = 1048576, PASSPHRASE_MAX = 255 };

/* Takes both in any case; public_part NULL: nothing comes of it. */
static struct gh_privkey *join(EVP_PKEY *pkey, struct gh_pubkey *public_part,
                               struct gh_pki_error *e)
{
    struct gh_privkey *k = public_part != NULL ? calloc(1, sizeof(*k)) : NULL;

    if (k != NULL) {
        *k = (struct gh_privkey){.pkey = pkey, .public_part = public_part};
        return k;
    }
    if (public_part != NULL)
        gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
    gh_pubkey_free(public_part);
    EVP_PKEY_free(pkey);
    return NULL;
}

struct gh_privkey *gh_privkey_of(EVP_PKEY *pkey, struct gh_pki_error *e)
{
    EVP_PKEY_up_ref(pkey);
    return join(pkey, gh_pubkey_of(pkey, e), e);
}

struct gh_privkey *gh_privkey_of_token(EVP_PKEY *pkey, struct gh_view spki, struct gh_pki_error *e)
{
    return join(pkey, gh_pubkey_parse(spki, e), e);
}

void gh_privkey_free(struct gh_privkey *k)
{
    if (k == NULL)
        return;
    gh_pubkey_free(k->public_part);
    EVP_PKEY_free(k->pkey);
    free(k);
}

const struct gh_pubkey *gh_privkey_public(const struct gh_privkey *k)
{
    return k->public_part;
}

void gh_bundle_clear(struct gh_bundle *b)
{
    gh_privkey_free(b->key);
    for (size_t i = 0; i < b->cert_count; i++)
        gh_cert_free(b->certs[i]);
    *b = (struct gh_bundle){.key = NULL};
}

/* ---- PEM and DER ---------------------------------------------------------------------------- */

/* In place of OpenSSL's, which would ask on a terminal. */
static int give_passphrase(char *buf, int size, int writing, void *ctx)
{
    const struct gh_view *passphrase = ctx;

    if (passphrase->len == 0 || passphrase->len > (size_t)size)
        return -1;
    memcpy(buf, passphrase->p, passphrase->len);
    return (int)passphrase->len;
}

static bool contains(struct gh_view file, const char *word)
{
    return memmem(file.p, file.len, word, strlen(word)) != NULL;
}

/* A SEQUENCE of an AlgorithmIdentifier and an OCTET STRING: it may be an encrypted PKCS #8. */
static EVP_PKEY *read_der(struct gh_view file, struct gh_view passphrase, bool *encrypted)
{
    const uint8_t *at = file.p;
    EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &at, (long)file.len);
    X509_SIG *sealed;
    BIO *in;

    *encrypted = false;
    if (pkey != NULL && at != file.p + file.len) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    if (pkey != NULL)
        return pkey;
    at = file.p;
    sealed = d2i_X509_SIG(NULL, &at, (long)file.len);
    if (sealed == NULL)
        return NULL;
    X509_SIG_free(sealed);
    *encrypted = true;
    in = BIO_new_mem_buf(file.p, (int)file.len);
    if (in != NULL)
        pkey = d2i_PKCS8PrivateKey_bio(in, NULL, give_passphrase, &passphrase);
    BIO_free(in);
    return pkey;
}

static EVP_PKEY *read_pem(struct gh_view file, struct gh_view passphrase, bool *encrypted)
{
    BIO *in = BIO_new_mem_buf(file.p, (int)file.len);
    EVP_PKEY *pkey =
        in != NULL ? PEM_read_bio_PrivateKey(in, NULL, give_passphrase, &passphrase) : NULL;

    BIO_free(in);
    *encrypted = contains(file, "ENCRYPTED");
    return pkey;
}

static bool no_key(bool encrypted, bool passphrase, struct gh_pki_error *e)
{
    const char *reason = gh_openssl_reason();

    if (encrypted && !passphrase)
        return gh_pki_fail(e, "key-passphrase", "configure its passphrase",
                           "the private key is encrypted, and there is no passphrase for it");
    if (encrypted)
        return gh_pki_fail(e, "key-passphrase", "look whether the passphrase is of this key",
                           "the private key cannot be decrypted: wrong passphrase, or damaged");
    return gh_pki_fail(e, "key-format",
                       "give a private key as PEM or DER (PKCS #8 or traditional) or as PKCS #12",
                       "there is no private key that can be read: %s", reason);
}

/* ---- PKCS #12 ------------------------------------------------------------------------------- */

static bool take_pkcs12_certs(X509 *own, STACK_OF(X509) * others, struct gh_bundle *b,
                              struct gh_pki_error *e)
{
    int count = others != NULL ? sk_X509_num(others) : 0;

    for (int i = own != NULL ? -1 : 0; i < count; i++) {
        X509 *x509 = i < 0 ? own : sk_X509_value(others, i);

        if (b->cert_count == GH_CERT_FILE_MAX)
            return gh_pki_fail(e, "cert-file", "leave those out that nobody needs",
                               "more than %d certificates", (int)GH_CERT_FILE_MAX);
        X509_up_ref(x509);
        b->certs[b->cert_count] = gh_cert_of(x509, e);
        if (b->certs[b->cert_count] == NULL)
            return false;
        b->cert_count++;
    }
    return true;
}

static bool open_pkcs12(PKCS12 *p12, const char *passphrase, struct gh_bundle *b,
                        struct gh_pki_error *e)
{
    EVP_PKEY *pkey = NULL;
    X509 *own = NULL;
    STACK_OF(X509) *others = NULL;
    bool good;

    if (PKCS12_mac_present(p12) && PKCS12_verify_mac(p12, passphrase, -1) != 1 &&
        (passphrase[0] != '\0' || PKCS12_verify_mac(p12, NULL, 0) != 1)) {
        ERR_clear_error();
        return no_key(true, passphrase[0] != '\0', e);
    }
    if (PKCS12_parse(p12, passphrase, &pkey, &own, &others) != 1)
        return gh_pki_fail(e, "key-format",
                           "export it again with AES (openssl pkcs12 -export of OpenSSL 3)",
                           "the PKCS #12 cannot be opened: %s", gh_openssl_reason());
    good = take_pkcs12_certs(own, others, b, e);
    if (good && pkey == NULL) {
        good = gh_pki_fail(e, "key-format", "export it with its key",
                           "the PKCS #12 has no private key");
    } else if (good) {
        b->key = gh_privkey_of(pkey, e);
        pkey = NULL;
        good = b->key != NULL;
    }
    EVP_PKEY_free(pkey);
    X509_free(own);
    sk_X509_pop_free(others, X509_free);
    return good;
}

/* NULL: it is none. */
static PKCS12 *read_pkcs12(struct gh_view file)
{
    const uint8_t *at = file.p;
    PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)file.len);

    ERR_clear_error();
    return p12;
}

static bool parse_pkcs12(PKCS12 *p12, struct gh_view passphrase, struct gh_bundle *b,
                         struct gh_pki_error *e)
{
    char text[PASSPHRASE_MAX + 1] = "";
    bool good;

    if (passphrase.len > 0)
        memcpy(text, passphrase.p, passphrase.len);
    good = open_pkcs12(p12, text, b, e);
    gh_wipe(text, sizeof(text));
    return good;
}

/* ---- All together --------------------------------------------------------------------------- */

/* The key's own certificate to the front. Certificates none of which is the key's are a mistake
 * that would show only when a peer refuses us. */
static bool own_first(struct gh_bundle *b, struct gh_pki_error *e)
{
    for (size_t i = 0; i < b->cert_count; i++) {
        struct gh_cert *own = b->certs[i];

        if (own->key == NULL || !gh_pubkey_equal(own->key, b->key->public_part))
            continue;
        memmove(b->certs + 1, b->certs, i * sizeof(b->certs[0]));
        b->certs[0] = own;
        return true;
    }
    return b->cert_count == 0 ||
           gh_pki_fail(e, "key-mismatch", "put the key's certificate there, or none",
                       "the file has a key and certificates, but the certificate of %.200s is not "
                       "the key's",
                       b->certs[0]->subject);
}

static bool parse(struct gh_view file, struct gh_view passphrase, struct gh_bundle *b,
                  struct gh_pki_error *e)
{
    bool pem = contains(file, "-----BEGIN "), encrypted = false;
    PKCS12 *p12 = pem ? NULL : read_pkcs12(file);
    EVP_PKEY *pkey;
    bool good;

    if (p12 != NULL) {
        good = parse_pkcs12(p12, passphrase, b, e);
        PKCS12_free(p12);
        return good && own_first(b, e);
    }
    pkey = pem ? read_pem(file, passphrase, &encrypted) : read_der(file, passphrase, &encrypted);
    if (pkey == NULL)
        return no_key(encrypted, passphrase.len > 0, e);
    b->key = gh_privkey_of(pkey, e);
    if (b->key == NULL)
        return false;
    if (pem && contains(file, "CERTIFICATE-----")) {
        b->cert_count = gh_certs_parse_file(file, b->certs, GH_CERT_FILE_MAX, e);
        if (b->cert_count == 0)
            return false;
    }
    return own_first(b, e);
}

bool gh_bundle_parse(struct gh_view file, struct gh_view passphrase, struct gh_bundle *out,
                     struct gh_pki_error *e)
{
    struct gh_bundle b = {.key = NULL};

    if (file.len == 0 || file.len > FILE_MAX)
        return gh_pki_fail(e, "key-format", "look at the file", "a key's file has 1 to %d octets",
                           (int)FILE_MAX);
    if (passphrase.len > PASSPHRASE_MAX ||
        (passphrase.len > 0 && memchr(passphrase.p, '\0', passphrase.len) != NULL))
        return gh_pki_fail(e, "key-passphrase", "take another passphrase",
                           "a passphrase has at most %d octets, none of them zero",
                           (int)PASSPHRASE_MAX);
    if (parse(file, passphrase, &b, e)) {
        ERR_clear_error();
        *out = b;
        return true;
    }
    gh_bundle_clear(&b);
    return false;
}

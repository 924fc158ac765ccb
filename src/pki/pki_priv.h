/*
 * What the files of src/pki know of each other's objects, and nobody else does.
 */
#ifndef GH_PKI_PKI_PRIV_H
#define GH_PKI_PKI_PRIV_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "pki/cert.h"
#include "pki/privkey.h"
#include "pki/pubkey.h"

struct gh_pubkey {
    EVP_PKEY *pkey;
    enum gh_key_type type;
    unsigned bits;
    uint8_t *spki; /* OpenSSL's memory */
    size_t spki_len;
    uint8_t hash[GH_SPKI_HASH];
};

struct gh_privkey {
    EVP_PKEY *pkey;
    struct gh_pubkey *public_part;
};

struct gh_cert {
    unsigned refs;
    X509 *x509;
    struct gh_pubkey *key;      /* NULL: signs nothing in IKE */
    uint8_t *der, *subject_der; /* OpenSSL's memory */
    size_t der_len, subject_len;
    char *subject, *issuer, *serial; /* OpenSSL's memory */
    uint8_t spki_hash[GH_SPKI_HASH];
    int64_t not_before, not_after;
};

/* Takes the key in any case. */
struct gh_pubkey *gh_pubkey_of(EVP_PKEY *pkey, struct gh_pki_error *e);
struct gh_privkey *gh_privkey_of(EVP_PKEY *pkey, struct gh_pki_error *e);
struct gh_cert *gh_cert_of(X509 *x509, struct gh_pki_error *e);

/* "C=CH, O=Net, CN=gw": as it is encoded, with RFC 2253's escapes. OpenSSL's memory. */
char *gh_dn_text(const X509_NAME *name);
/* The DER of such a text; OpenSSL's memory. NULL: it is none, and the reason. */
uint8_t *gh_dn_parse(const char *text, size_t *len, struct gh_pki_error *e);

/* As CERTREQ has it. */
bool gh_spki_hash(struct gh_view spki, uint8_t out[GH_SPKI_HASH]);

/* OpenSSL's last complaint, which is then forgotten; a static text without secrets. */
const char *gh_openssl_reason(void);

#endif

/*
 * Private keys, and what files bring with them. Only the keeper has any.
 */
#ifndef GH_PKI_PRIVKEY_H
#define GH_PKI_PRIVKEY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/view.h"
#include "pki/cert.h"
#include "pki/error.h"
#include "pki/pubkey.h"

struct gh_privkey;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

void gh_privkey_free(struct gh_privkey *k); /* OpenSSL wipes it; NULL is fine */
/* A key that a token holds: it signs there, so its public half comes from elsewhere, in DER. Takes
 * the key in any case. */
struct gh_privkey *gh_privkey_of_token(struct evp_pkey_st *key, struct gh_view spki,
                                       struct gh_pki_error *e);
const struct gh_pubkey *gh_privkey_public(const struct gh_privkey *k);

/* A key and the certificates beside it. Zero-initialised is empty. */
struct gh_bundle {
    struct gh_privkey *key;
    struct gh_cert *certs[GH_CERT_FILE_MAX]; /* the key's own first */
    size_t cert_count;
};
void gh_bundle_clear(struct gh_bundle *b);

/* A file's octets: PEM (PKCS#8, encrypted or not, or the traditional formats; certificates may
 * stand beside it), DER (PKCS#8 or traditional), PKCS#12. passphrase: empty for none; it is never
 * asked for. False if there is no key in it. */
bool gh_bundle_parse(struct gh_view file, struct gh_view passphrase, struct gh_bundle *out,
                     struct gh_pki_error *e);

#endif

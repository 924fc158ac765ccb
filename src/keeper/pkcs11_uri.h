/*
 * PKCS #11 URIs (RFC 7512): which private key of which token, and the module that reaches it.
 *
 * Pure; the configuration checks by it what the keeper then opens. Of what the RFC allows, what
 * would hold a PIN is refused, and what would leave the choice of key or module to chance.
 */
#ifndef GH_KEEPER_PKCS11_URI_H
#define GH_KEEPER_PKCS11_URI_H

#include <stdbool.h>

#include "pki/error.h"

enum { GH_PKCS11_URI_MAX = 2048 };

/* Zero-initialised is empty. */
struct gh_pkcs11_uri {
    char *object; /* owned: the URI of the private key, without what follows '?' */
    char *module; /* owned: the absolute path of the module */
};

/* No text of an error holds a value of the URI. */
bool gh_pkcs11_uri_parse(const char *text, struct gh_pkcs11_uri *out, struct gh_pki_error *e);
void gh_pkcs11_uri_clear(struct gh_pkcs11_uri *u);

#endif

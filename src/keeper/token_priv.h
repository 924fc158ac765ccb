/* What token.c and token_engine.c know of each other. */
#ifndef GH_KEEPER_TOKEN_PRIV_H
#define GH_KEEPER_TOKEN_PRIV_H

#include <openssl/evp.h>
#include <openssl/ui.h>

#include "keeper/pkcs11_uri.h"

/* `ui` answers with the PIN, and hands `pin` on. NULL: the reason; *there: there is an engine. */
EVP_PKEY *gh_token_engine_load(const struct gh_pkcs11_uri *u, UI_METHOD *ui, void *pin,
                               bool *there);

#endif

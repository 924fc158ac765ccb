/*
 * Private keys in tokens (PKCS #11), through OpenSSL: they sign there and never come out.
 *
 * OpenSSL's provider `pkcs11` is what is meant to do it; where it is not installed, the older
 * engine of that name does (token_engine.c). Either loads the module that the URI names, others'
 * code that goes on to use files, devices or the network: so this is for a process of its own
 * (daemon/keeper_token.h), which opens one key.
 */
#ifndef GH_KEEPER_TOKEN_H
#define GH_KEEPER_TOKEN_H

#include <stdbool.h>

#include "base/view.h"
#include "pki/error.h"
#include "pki/privkey.h"

/* spki: its public half, which the certificate tells. pin: empty for none; borrowed as long as the
 * process lives. *pin_given: the token has been given it, so that whoever tries again and again
 * would lock it. At most once in the life of a process. NULL: the reason. */
struct gh_privkey *gh_token_open(const char *uri, struct gh_view pin, struct gh_view spki,
                                 bool *pin_given, struct gh_pki_error *e);

#endif

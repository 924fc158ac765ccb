/*
 * The keeper's secrets in memory, by kind and name. It owns and wipes them, and gives none away.
 */
#ifndef GH_KEEPER_STORE_H
#define GH_KEEPER_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/secret.h"
#include "base/view.h"
#include "keeper/request.h"
#include "pki/error.h"
#include "pki/privkey.h"

struct gh_keeper_store;

struct gh_keeper_store *gh_keeper_store_new(void);
void gh_keeper_store_free(struct gh_keeper_store *s); /* wipes */

/* Both take what they are given, in any case, and leave the argument empty. Refused: a name that is
 * no name or is taken, an empty secret; a key that does not sign (it is tried). */
bool gh_keeper_store_add_key(struct gh_keeper_store *s, const char *name, struct gh_bundle *bundle,
                             struct gh_pki_error *e);
bool gh_keeper_store_add_secret(struct gh_keeper_store *s, enum gh_secret_kind kind,
                                const char *name, struct gh_secret *secret, struct gh_pki_error *e);
size_t gh_keeper_store_count(const struct gh_keeper_store *s);

/* 1 … GH_KEEPER_NAME_MAX printable ASCII characters without space. */
bool gh_keeper_name_valid(struct gh_view name);

/* The answer to a request, to be wiped and freed by the caller. NULL: the request is malformed, or
 * no memory. Answers only what is asked of a secret by its right kind and name. */
uint8_t *gh_keeper_store_answer(const struct gh_keeper_store *s, struct gh_view request,
                                size_t *len);

#endif

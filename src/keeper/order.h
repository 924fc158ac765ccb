/*
 * What the keeper is to hold, and where each secret is found: the parent's order, from the
 * configuration, and its passage as octets.
 *
 * The octets may hold secrets (those that stand in the configuration): whoever has them wipes them.
 */
#ifndef GH_KEEPER_ORDER_H
#define GH_KEEPER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/view.h"
#include "keeper/request.h"
#include "keeper/store.h"

enum {
    GH_ORDER_ITEMS = 16384,
    GH_ORDER_TOKENS = 64, /* keys in tokens: each has processes of its own */
    GH_ORDER_WHERE_MAX = 4096
};

enum gh_secret_place {
    GH_PLACE_NONE,       /* of a passphrase: there is none */
    GH_PLACE_FILE,       /* where: an absolute path */
    GH_PLACE_CREDENTIAL, /* where: the name of a systemd credential */
    GH_PLACE_TEXT,       /* text: it stands in the configuration */
    GH_PLACE_TOKEN       /* of a KEY; where: a PKCS #11 URI; it never comes out (keeper/token.h) */
};

struct gh_order_source {
    enum gh_secret_place place;
    char *where;           /* owned */
    struct gh_secret text; /* as written: "0x…" and "0s…" are not decoded yet */
};

struct gh_order_item {
    enum gh_secret_kind kind;
    char *name; /* owned */
    struct gh_order_source source;
    struct gh_order_source passphrase; /* of a KEY's file; of a token its PIN */
    /* Of a token's KEY: */
    uint8_t *spki;   /* its public half in DER; owned */
    size_t spki_len; /* 0: nothing in the configuration uses the key */
    char *from;      /* file and line that name the token, for the log; owned */
};

/* Zero-initialised is empty. */
struct gh_keeper_order {
    struct gh_order_item *items; /* owned */
    size_t count;
};
void gh_keeper_order_clear(struct gh_keeper_order *o); /* wipes */

/* Adds a copy. where: path, credential's name, or the text itself. passphrase_place NONE: none. */
bool gh_keeper_order_add(struct gh_keeper_order *o, enum gh_secret_kind kind, const char *name,
                         enum gh_secret_place place, const char *where,
                         enum gh_secret_place passphrase_place, const char *passphrase);

/* What a token's key has for its public half, and where the configuration says so. False: there is
 * no such item, or no memory. */
bool gh_keeper_order_expect(struct gh_keeper_order *o, const char *name, struct gh_view spki,
                            const char *from);

bool gh_keeper_order_in_token(const struct gh_keeper_order *o, const char *name);

/* To be wiped and freed. NULL: no memory, or a value that cannot be. */
uint8_t *gh_keeper_order_encode(const struct gh_keeper_order *o, size_t *len);
bool gh_keeper_order_decode(struct gh_view data, struct gh_keeper_order *out);

/* Reads every secret of the order into the store, except what is in tokens. What cannot be loaded
 * is told and left out, the others are loaded: how many failed. Reads files, so it is called before
 * the sandbox. */
size_t gh_keeper_load(const struct gh_keeper_order *o, struct gh_keeper_store *s,
                      void (*problem)(void *ctx, const char *name, const struct gh_pki_error *e),
                      void *ctx);
/* A secret of one line, a passphrase or PIN, as its source has it; of NONE none. */
bool gh_keeper_read_line(const struct gh_order_source *s, struct gh_secret *out,
                         struct gh_pki_error *e);

#endif

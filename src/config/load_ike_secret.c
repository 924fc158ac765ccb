/*
 * ike-psk, ike-ppk and ike-key: secrets that the keeper is to hold.
 *
 * Each is read once to see that it can be, and forgotten again: what remains is where it is found.
 */
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/lint.h"
#include "config/secret_source.h"
#include "keeper/pkcs11_uri.h"
#include "pki/privkey.h"

enum { KEY_FILE_MAX = 1048576 };

static const struct gh_node *only_one(struct gh_ike_loader *x, const struct gh_node *a,
                                      const struct gh_node *b, const struct gh_node *c)
{
    const struct gh_node *all[] = {a, b, c}, *first = NULL;

    for (size_t i = 0; i < 3; i++) {
        const struct gh_node *n = all[i];

        if (n == NULL)
            continue;
        if (first != NULL && n->line < first->line) {
            n = first;
            first = all[i];
        }
        if (first != NULL)
            gh_load_error(x->l, n->line, "duplicate", "keep one of them",
                          "\"%s\" and \"%s\" (line %d) exclude each other", n->name, first->name,
                          first->line);
        else
            first = n;
    }
    return first;
}

bool gh_ike_secret_given(const struct gh_ike_secret_nodes *n)
{
    return n->file != NULL || n->credential != NULL || n->text != NULL || n->uri != NULL;
}

/* The passphrase is a file's, the PIN a token's. */
static const struct gh_node *passphrase_of(struct gh_ike_loader *x,
                                           const struct gh_ike_secret_nodes *nodes)
{
    const struct gh_node *pass =
        only_one(x, nodes->pass_file, nodes->pass_credential, nodes->pass_text);
    const struct gh_node *pin = only_one(x, nodes->pin_file, nodes->pin_credential, NULL);
    const struct gh_node *wrong = nodes->uri != NULL ? pass : pin;

    if (wrong != NULL)
        gh_load_error(x->l, wrong->line, "key-uri",
                      nodes->uri != NULL ? "write pin-file or pin-credential"
                                         : "write passphrase-file, or key-uri for a token",
                      "\"%s\" is for a key %s", wrong->name,
                      nodes->uri != NULL ? "in a file" : "in a token");
    return nodes->uri != NULL ? pin : pass;
}

static enum gh_secret_place place_of_uri(struct gh_ike_loader *x, const struct gh_node *n)
{
    struct gh_pkcs11_uri uri;
    struct gh_pki_error e;

    if (gh_pkcs11_uri_parse(n->values[0], &uri, &e)) {
        gh_pkcs11_uri_clear(&uri);
        return GH_PLACE_TOKEN;
    }
    gh_ike_pki_error(x, n->line, &e);
    return GH_PLACE_NONE;
}

/* Where the secret of a node is found; NONE: nowhere, or an error. */
static enum gh_secret_place place_of(struct gh_ike_loader *x, const struct gh_node *n,
                                     const struct gh_node *file, const struct gh_node *text)
{
    const char *where;

    if (n == NULL)
        return GH_PLACE_NONE;
    if (n == text) {
        if (x->l->exposed)
            gh_load_warning(x->l, n->line, "inline-secret",
                            "move it to a file, or chmod 600 the configuration",
                            "a secret stands in a configuration that others can read");
        if (n->values[0][0] != '\0')
            return GH_PLACE_TEXT;
        gh_load_error(x->l, n->line, "secret-format", "write it, or name a file", "\"%s\" is empty",
                      n->name);
        return GH_PLACE_NONE;
    }
    if (!gh_node_text(x->l, n, GH_IKE_PATH_MAX, &where))
        return GH_PLACE_NONE;
    if (n != file)
        return GH_PLACE_CREDENTIAL;
    if (where[0] == '/')
        return GH_PLACE_FILE;
    gh_load_error(x->l, n->line, "secret-missing", "write the path from / on",
                  "\"%s\" must be an absolute path", n->name);
    return GH_PLACE_NONE;
}

static void report(struct gh_ike_loader *x, const struct gh_node *n,
                   const struct gh_secret_error *e)
{
    gh_load_error(x->l, n->line, e->rule, e->remedy, "%s", e->message);
}

static bool read_line(struct gh_ike_loader *x, const struct gh_node *n, enum gh_secret_place place,
                      enum gh_secret_format format, struct gh_secret *out)
{
    struct gh_secret_error e;
    const char *value = n->values[0];
    bool good = place == GH_PLACE_FILE ? gh_secret_from_file(value, format, out, &e)
                : place == GH_PLACE_CREDENTIAL
                    ? gh_secret_from_credential(value, format, out, &e)
                    : gh_secret_from_text(value, strlen(value), format, out, &e);

    if (!good)
        report(x, n, &e);
    return good;
}

static void look_at_line(struct gh_ike_loader *x, const struct gh_node *n,
                         enum gh_secret_place place, struct gh_ike_secret *facts)
{
    struct gh_secret secret = {.data = NULL};

    if (!read_line(x, n, place, GH_SECRET_PREFIXED, &secret))
        return;
    facts->len = secret.len;
    facts->published = gh_secret_published(&secret);
    facts->repeats = gh_secret_repeats(&secret);
    gh_secret_clear(&secret);
}

static void look_at_key(struct gh_ike_loader *x, const struct gh_node *n,
                        enum gh_secret_place place, const struct gh_node *pass,
                        enum gh_secret_place pass_place, struct gh_ike_key_facts *facts)
{
    struct gh_secret file = {.data = NULL}, passphrase = {.data = NULL};
    struct gh_bundle bundle = {.key = NULL};
    struct gh_secret_error why;
    struct gh_pki_error e;
    bool good = place == GH_PLACE_FILE
                    ? gh_secret_octets_from_file(n->values[0], KEY_FILE_MAX, &file, &why)
                    : gh_secret_octets_from_credential(n->values[0], KEY_FILE_MAX, &file, &why);

    if (!good) {
        report(x, n, &why);
        return;
    }
    if (pass_place == GH_PLACE_NONE ||
        read_line(x, pass, pass_place, GH_SECRET_ASCII, &passphrase)) {
        if (gh_bundle_parse(gh_view_of(file.data, file.len),
                            gh_view_of(passphrase.data, passphrase.len), &bundle, &e))
            facts->public_key = gh_pubkey_parse(gh_pubkey_spki(gh_privkey_public(bundle.key)), &e);
        if (facts->public_key == NULL)
            gh_ike_pki_error(x, n->line, &e);
        for (size_t i = 0; i < bundle.cert_count; i++)
            facts->certs[facts->cert_count++] = gh_cert_ref(bundle.certs[i]);
    }
    gh_bundle_clear(&bundle);
    gh_secret_clear(&file);
    gh_secret_clear(&passphrase);
}

static void look_at_pin(struct gh_ike_loader *x, const struct gh_node *n,
                        enum gh_secret_place place)
{
    struct gh_secret pin = {.data = NULL};

    if (place != GH_PLACE_NONE && read_line(x, n, place, GH_SECRET_ASCII, &pin))
        gh_secret_clear(&pin);
}

void gh_ike_secret(struct gh_ike_loader *x, enum gh_secret_kind kind, const char *name, int line,
                   const struct gh_ike_secret_nodes *nodes, struct gh_ike_key_facts *key_facts)
{
    const struct gh_node *n =
        only_one(x, nodes->file, nodes->credential, nodes->uri != NULL ? nodes->uri : nodes->text);
    const struct gh_node *pass = passphrase_of(x, nodes);
    enum gh_secret_place place = n != NULL && n == nodes->uri
                                     ? place_of_uri(x, n)
                                     : place_of(x, n, nodes->file, nodes->text);
    enum gh_secret_place pass_place = place_of(
        x, pass, nodes->uri != NULL ? nodes->pin_file : nodes->pass_file, nodes->pass_text);
    struct gh_ike_config *c = x->ike;
    struct gh_ike_secret facts = {.kind = kind, .line = line};

    if (place == GH_PLACE_NONE)
        return;
    if (!gh_keeper_order_add(x->order, kind, name, place, n->values[0], pass_place,
                             pass_place != GH_PLACE_NONE ? pass->values[0] : NULL))
        gh_load_error(x->l, line, "too-many-secrets", "share those that may be shared",
                      "at most %d secrets are possible, %d of them in tokens", (int)GH_ORDER_ITEMS,
                      (int)GH_ORDER_TOKENS);
    if (!x->l->options->skip_secrets) {
        if (place == GH_PLACE_TOKEN)
            look_at_pin(x, pass, pass_place);
        else if (kind == GH_SECRET_KEY)
            look_at_key(x, n, place, pass, pass_place, key_facts);
        else
            look_at_line(x, n, place, &facts);
    }
    facts.name = gh_config_strdup(name);
    c->secrets = gh_config_grow(c->secrets, c->secret_count, sizeof(*c->secrets));
    c->secrets[c->secret_count++] = facts;
}

void gh_ike_token_public(struct gh_ike_loader *x, size_t index, const char *name, int line,
                         const struct gh_pubkey *public_key)
{
    struct gh_view spki = gh_pubkey_spki(public_key);
    char *from;

    if (x->keys[index] != NULL)
        return;
    from = gh_config_asprintf("%s:%d", x->l->file, line);
    if (gh_keeper_order_expect(x->order, name, spki, from))
        x->keys[index] = gh_config_must(gh_pubkey_parse(spki, NULL));
    free(from);
}

/* ---- Sections of their own ------------------------------------------------------------------ */

enum { SECRET_FILE, SECRET_CREDENTIAL, SECRET_TEXT, SECRET_ITEMS };

static const struct gh_item secret_items[SECRET_ITEMS] = {
    [SECRET_FILE] = {"secret-file", GH_ITEM_VALUE},
    [SECRET_CREDENTIAL] = {"secret-credential", GH_ITEM_VALUE},
    [SECRET_TEXT] = {"secret", GH_ITEM_VALUE},
};

static void load_line(struct gh_ike_loader *x, const struct gh_node *section,
                      enum gh_secret_kind kind)
{
    const struct gh_node *got[SECRET_ITEMS];
    const char *name = gh_ike_name(x, section);
    struct gh_ike_secret_nodes nodes;

    gh_items_collect(x->l, section, secret_items, SECRET_ITEMS, got);
    nodes = (struct gh_ike_secret_nodes){
        .file = got[SECRET_FILE], .credential = got[SECRET_CREDENTIAL], .text = got[SECRET_TEXT]};
    if (!gh_ike_secret_given(&nodes))
        gh_load_error(x->l, section->line, "missing-option",
                      "add secret-file = \"/etc/gatehouse/secrets/NAME\"",
                      "the %s \"%s\" has no secret", section->name, name);
    gh_ike_define(x, kind == GH_SECRET_PSK ? "ike-psk" : "ike-ppk", name, section->line, 0);
    gh_ike_secret(x, kind, name, section->line, &nodes, NULL);
}

void gh_load_ike_psk(struct gh_ike_loader *x, const struct gh_node *section)
{
    load_line(x, section, GH_SECRET_PSK);
}

void gh_load_ike_ppk(struct gh_ike_loader *x, const struct gh_node *section)
{
    load_line(x, section, GH_SECRET_PPK);
}

enum {
    KEY_FILE,
    KEY_CREDENTIAL,
    KEY_PASS_FILE,
    KEY_PASS_CREDENTIAL,
    KEY_PASS,
    KEY_URI,
    KEY_PIN_FILE,
    KEY_PIN_CREDENTIAL,
    KEY_PUBLIC_FILE,
    KEY_ITEMS
};

static const struct gh_item key_items[KEY_ITEMS] = {
    [KEY_FILE] = {"key-file", GH_ITEM_VALUE},
    [KEY_CREDENTIAL] = {"key-credential", GH_ITEM_VALUE},
    [KEY_PASS_FILE] = {"passphrase-file", GH_ITEM_VALUE},
    [KEY_PASS_CREDENTIAL] = {"passphrase-credential", GH_ITEM_VALUE},
    [KEY_PASS] = {"passphrase", GH_ITEM_VALUE},
    [KEY_URI] = {"key-uri", GH_ITEM_VALUE},
    [KEY_PIN_FILE] = {"pin-file", GH_ITEM_VALUE},
    [KEY_PIN_CREDENTIAL] = {"pin-credential", GH_ITEM_VALUE},
    [KEY_PUBLIC_FILE] = {"public-key-file", GH_ITEM_VALUE},
};

/* A token's key that no certificate tells of has its public half in a file. */
static void read_public_half(struct gh_ike_loader *x, const struct gh_node **got, const char *name)
{
    const struct gh_node *n = got[KEY_PUBLIC_FILE];
    struct gh_pubkey *public_key;

    if (n == NULL)
        return;
    if (got[KEY_URI] == NULL) {
        gh_load_error(x->l, n->line, "key-uri", "leave it out: the key's file tells it",
                      "\"public-key-file\" is for a key in a token");
        return;
    }
    public_key = gh_ike_public_key(x, n);
    if (public_key != NULL)
        gh_ike_token_public(x, x->key_count - 1, name, got[KEY_URI]->line, public_key);
    gh_pubkey_free(public_key);
}

void gh_load_ike_key(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[KEY_ITEMS];
    const char *name = gh_ike_name(x, section);
    struct gh_ike_key_facts facts = {.public_key = NULL};
    struct gh_ike_secret_nodes nodes;

    gh_items_collect(x->l, section, key_items, KEY_ITEMS, got);
    nodes = (struct gh_ike_secret_nodes){.file = got[KEY_FILE],
                                         .credential = got[KEY_CREDENTIAL],
                                         .pass_file = got[KEY_PASS_FILE],
                                         .pass_credential = got[KEY_PASS_CREDENTIAL],
                                         .pass_text = got[KEY_PASS],
                                         .uri = got[KEY_URI],
                                         .pin_file = got[KEY_PIN_FILE],
                                         .pin_credential = got[KEY_PIN_CREDENTIAL]};
    if (!gh_ike_secret_given(&nodes))
        gh_load_error(x->l, section->line, "missing-option",
                      "add key-file = \"/etc/gatehouse/secrets/NAME.key\"",
                      "the ike-key \"%s\" has no key", name);
    gh_ike_define(x, "ike-key", name, section->line, x->key_count);
    gh_ike_secret(x, GH_SECRET_KEY, name, section->line, &nodes, &facts);
    for (size_t i = 0; i < facts.cert_count; i++)
        gh_cert_free(facts.certs[i]);
    x->keys = gh_config_grow(x->keys, x->key_count, sizeof(struct gh_pubkey *));
    x->keys[x->key_count++] = facts.public_key;
    read_public_half(x, got, name);
}

/*
 * `trust-anchor-profile NAME { … }` and `cert-profile NAME { … }`: certificates, read here and now.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"

/* What a file of certificates brought. */
struct certs {
    struct gh_cert *cert[GH_CERT_FILE_MAX];
    size_t count;
};

static void clear(struct certs *c)
{
    for (size_t i = 0; i < c->count; i++)
        gh_cert_free(c->cert[i]);
    c->count = 0;
}

/* False: an error was reported, or files are not read. */
static bool read_certs(struct gh_ike_loader *x, const struct gh_node *n, size_t i,
                       struct certs *out)
{
    struct gh_secret file = {.data = NULL};
    int line = n->value_lines[i];
    struct gh_pki_error e;

    out->count = 0;
    if (n->values[i][0] == '/' && x->l->options->skip_secrets)
        return false;
    if (!gh_ike_read_file(x, n->values[i], line, &file))
        return false;
    out->count =
        gh_certs_parse_file(gh_view_of(file.data, file.len), out->cert, GH_CERT_FILE_MAX, &e);
    gh_secret_clear(&file);
    if (out->count == 0)
        gh_load_error(x->l, line, e.rule, e.remedy, "%s: %s", n->values[i], e.message);
    return out->count > 0;
}

/* ---- Trust anchors -------------------------------------------------------------------------- */

enum { TRUST_CA, TRUST_KNOWN, TRUST_ITEMS };

static const struct gh_item trust_items[TRUST_ITEMS] = {
    [TRUST_CA] = {"ca-file", GH_ITEM_LIST},
    [TRUST_KNOWN] = {"intermediate-file", GH_ITEM_LIST},
};

static void add_anchors(struct gh_ike_loader *x, const struct gh_node *n, struct gh_ike_trust *t)
{
    for (size_t i = 0; n != NULL && i < n->value_count; i++) {
        struct gh_pki_error e;
        struct certs certs;

        if (i == GH_TRUST_ANCHORS) {
            gh_load_error(x->l, n->value_lines[i], "trust-anchors",
                          "use a second trust-anchor-profile",
                          "\"%s\" has %zu CAs, %d are possible", n->name, n->value_count,
                          (int)GH_TRUST_ANCHORS);
            return;
        }
        read_certs(x, n, i, &certs);
        for (size_t c = 0; c < certs.count; c++) {
            if (gh_trust_add(t->trust, certs.cert[c], &e))
                t->anchors[t->anchor_count++] = gh_cert_ref(certs.cert[c]);
            else
                gh_ike_pki_error(x, n->value_lines[i], &e);
        }
        clear(&certs);
    }
}

static void add_known(struct gh_ike_loader *x, const struct gh_node *n, struct gh_ike_trust *t)
{
    for (size_t i = 0; n != NULL && i < n->value_count; i++) {
        struct gh_pki_error e;
        struct certs certs;

        read_certs(x, n, i, &certs);
        for (size_t c = 0; c < certs.count; c++) {
            if (!gh_trust_know(t->trust, certs.cert[c], &e)) {
                gh_ike_pki_error(x, n->value_lines[i], &e);
                continue;
            }
            t->known = gh_config_grow(t->known, t->known_count, sizeof(struct gh_cert *));
            t->known[t->known_count++] = gh_cert_ref(certs.cert[c]);
        }
        clear(&certs);
    }
}

void gh_load_ike_trust(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[TRUST_ITEMS];
    struct gh_ike_config *c = x->ike;
    const char *name = gh_ike_name(x, section);
    struct gh_ike_trust t = {.line = section->line};

    gh_items_collect(x->l, section, trust_items, TRUST_ITEMS, got);
    t.name = gh_config_strdup(name);
    t.trust = gh_config_must(gh_trust_new(name));
    if (got[TRUST_CA] == NULL || got[TRUST_CA]->value_count == 0)
        gh_load_error(x->l, section->line, "missing-option",
                      "add ca-file = { \"/etc/gatehouse/certs/ca.pem\" }",
                      "the trust-anchor-profile \"%s\" has no CA", name);
    add_anchors(x, got[TRUST_CA], &t);
    add_known(x, got[TRUST_KNOWN], &t);
    gh_ike_define(x, "trust-anchor-profile", name, section->line, c->trust_count);
    c->trusts = gh_config_grow(c->trusts, c->trust_count, sizeof(*c->trusts));
    c->trusts[c->trust_count++] = t;
}

/* ---- Our own certificates ------------------------------------------------------------------- */

enum {
    ENTRY_CERT,
    ENTRY_KEY,
    ENTRY_KEY_FILE,
    ENTRY_KEY_CREDENTIAL,
    ENTRY_PASS_FILE,
    ENTRY_PASS_CREDENTIAL,
    ENTRY_PASS,
    ENTRY_URI,
    ENTRY_PIN_FILE,
    ENTRY_PIN_CREDENTIAL,
    ENTRY_SEND_CHAIN,
    ENTRY_RSA,
    ENTRY_ITEMS
};

static const struct gh_item entry_items[ENTRY_ITEMS] = {
    [ENTRY_CERT] = {"cert-file", GH_ITEM_VALUE},
    [ENTRY_KEY] = {"key", GH_ITEM_VALUE},
    [ENTRY_KEY_FILE] = {"key-file", GH_ITEM_VALUE},
    [ENTRY_KEY_CREDENTIAL] = {"key-credential", GH_ITEM_VALUE},
    [ENTRY_PASS_FILE] = {"passphrase-file", GH_ITEM_VALUE},
    [ENTRY_PASS_CREDENTIAL] = {"passphrase-credential", GH_ITEM_VALUE},
    [ENTRY_PASS] = {"passphrase", GH_ITEM_VALUE},
    [ENTRY_URI] = {"key-uri", GH_ITEM_VALUE},
    [ENTRY_PIN_FILE] = {"pin-file", GH_ITEM_VALUE},
    [ENTRY_PIN_CREDENTIAL] = {"pin-credential", GH_ITEM_VALUE},
    [ENTRY_SEND_CHAIN] = {"send-chain", GH_ITEM_LIST},
    [ENTRY_RSA] = {"rsa-signature", GH_ITEM_VALUE},
};

static const struct gh_item profile_items[] = {{"entry", GH_ITEM_TITLED_SECTION}};

/* The key's name for the keeper, where it stands among x->keys, and the certificates of its file.
 * False: there is none. */
static bool read_key(struct gh_ike_loader *x, const struct gh_node *entry,
                     const struct gh_node **got, const char *name,
                     char key_name[GH_KEY_NAME_MAX + 1], size_t *index, struct certs *beside)
{
    struct gh_ike_secret_nodes nodes = {.file = got[ENTRY_KEY_FILE],
                                        .credential = got[ENTRY_KEY_CREDENTIAL],
                                        .pass_file = got[ENTRY_PASS_FILE],
                                        .pass_credential = got[ENTRY_PASS_CREDENTIAL],
                                        .pass_text = got[ENTRY_PASS],
                                        .uri = got[ENTRY_URI],
                                        .pin_file = got[ENTRY_PIN_FILE],
                                        .pin_credential = got[ENTRY_PIN_CREDENTIAL]};
    struct gh_ike_key_facts facts = {.public_key = NULL};

    if (got[ENTRY_KEY] != NULL && gh_ike_secret_given(&nodes))
        gh_load_error(x->l, got[ENTRY_KEY]->line, "duplicate", "keep one of them",
                      "entry %s of \"%s\" has two keys", entry->title, name);
    if (got[ENTRY_KEY] != NULL) {
        if (!gh_ike_refer_option(x, got[ENTRY_KEY], "ike-key", index))
            return false;
        (void)snprintf(key_name, GH_KEY_NAME_MAX + 1, "%s", got[ENTRY_KEY]->values[0]);
        return true;
    }
    if (!gh_ike_secret_given(&nodes)) {
        gh_load_error(x->l, entry->line, "missing-option",
                      "add key-file = \"/etc/gatehouse/secrets/NAME.key\"",
                      "entry %s of \"%s\" has no key", entry->title, name);
        return false;
    }
    (void)snprintf(key_name, GH_KEY_NAME_MAX + 1, "%.58s/%.4s", name, entry->title);
    gh_ike_define(x, "ike-key", key_name, entry->line, x->key_count);
    x->ike->definitions[x->ike->definition_count - 1].used = true;
    gh_ike_secret(x, GH_SECRET_KEY, key_name, entry->line, &nodes, &facts);
    x->keys = gh_config_grow(x->keys, x->key_count, sizeof(struct gh_pubkey *));
    *index = x->key_count;
    x->keys[x->key_count++] = facts.public_key;
    memcpy(beside->cert, facts.certs, facts.cert_count * sizeof(facts.certs[0]));
    beside->count = facts.cert_count;
    return true;
}

/* The files of send-chain. */
static void read_chain(struct gh_ike_loader *x, const struct gh_node *n, struct certs *send)
{
    struct certs file;

    for (size_t i = 0; n != NULL && i < n->value_count; i++) {
        read_certs(x, n, i, &file);
        for (size_t c = 0; c < file.count; c++) {
            if (send->count < GH_CERT_FILE_MAX)
                send->cert[send->count++] = gh_cert_ref(file.cert[c]);
        }
        clear(&file);
    }
    if (n != NULL && n->value_count > GH_CHAIN_CAS)
        gh_load_error(x->l, n->value_lines[GH_CHAIN_CAS], "cert-profile",
                      "send fewer: the peer has the root itself",
                      "\"%s\" has %zu CAs, %d are possible", n->name, n->value_count,
                      (int)GH_CHAIN_CAS);
}

/* Our certificate is in cert-file, or in the key's file, which PKCS #12 is made for. unread: that
 * was not read, or could not be, which has been said. */
static void read_own(struct gh_ike_loader *x, const struct gh_node *entry,
                     const struct gh_node **got, const char *name, bool unread, struct certs *own)
{
    if (got[ENTRY_CERT] != NULL) {
        clear(own);
        read_certs(x, got[ENTRY_CERT], 0, own);
    } else if (own->count == 0 && !unread) {
        gh_load_error(x->l, entry->line, "missing-option",
                      "add cert-file = \"/etc/gatehouse/certs/NAME.pem\"",
                      "entry %s of \"%s\" has no certificate", entry->title, name);
    }
}

static void add_entry(struct gh_ike_loader *x, struct gh_ike_profile *p,
                      const struct gh_node *entry, const struct certs *own,
                      const struct certs *chain, const char *key_name, bool pss)
{
    struct gh_cert *send[2 * GH_CERT_FILE_MAX], **known;
    size_t count = 0, known_count;
    struct gh_pki_error e;

    for (size_t i = 1; i < own->count; i++)
        send[count++] = own->cert[i];
    for (size_t i = 0; i < chain->count; i++)
        send[count++] = chain->cert[i];
    known = gh_ike_known_cas(x->ike, &known_count);
    if (gh_cert_profile_add(p->profile, key_name, own->cert[0], send, count, known, known_count,
                            pss, &e))
        p->entry_lines[gh_cert_profile_count(p->profile) - 1] = entry->line;
    else
        gh_ike_pki_error(x, entry->line, &e);
    free(known);
}

static void read_entry(struct gh_ike_loader *x, const struct gh_node *entry,
                       struct gh_ike_profile *p)
{
    static const char *const signatures[] = {"pkcs1", "pss", NULL};
    const struct gh_node *got[ENTRY_ITEMS];
    const struct gh_node *place;
    struct certs own = {.count = 0}, chain = {.count = 0};
    char key_name[GH_KEY_NAME_MAX + 1] = "";
    unsigned signature = 0;
    size_t index;
    bool has_key, unread;

    gh_items_collect(x->l, entry, entry_items, ENTRY_ITEMS, got);
    gh_node_choice(x->l, got[ENTRY_RSA], signatures, &signature);
    has_key = read_key(x, entry, got, p->name, key_name, &index, &own);
    unread = has_key && got[ENTRY_KEY] == NULL && got[ENTRY_URI] == NULL && x->keys[index] == NULL;
    read_own(x, entry, got, p->name, unread, &own);
    read_chain(x, got[ENTRY_SEND_CHAIN], &chain);
    place = got[ENTRY_URI] != NULL ? got[ENTRY_URI] : entry;
    if (own.count > 0 && has_key && gh_cert_key(own.cert[0]) != NULL)
        gh_ike_token_public(x, index, key_name, place->line, gh_cert_key(own.cert[0]));
    if (own.count > 0 && has_key && x->keys[index] != NULL && gh_cert_key(own.cert[0]) != NULL &&
        !gh_pubkey_equal(x->keys[index], gh_cert_key(own.cert[0])))
        gh_load_error(x->l, entry->line, "key-mismatch", "take the key it was made for",
                      "entry %s of \"%s\": the key is not that of the certificate of %s",
                      entry->title, p->name, gh_cert_subject(own.cert[0]));
    else if (own.count > 0 && has_key)
        add_entry(x, p, entry, &own, &chain, key_name, signature == 1);
    clear(&own);
    clear(&chain);
}

/* An entry's number, 1 to 8, not twice. */
static bool check_number(struct gh_ike_loader *x, const struct gh_node *entry, const char *name,
                         int lines[GH_PROFILE_ENTRIES + 1])
{
    const char *t = entry->title;

    if (t[0] < '1' || t[0] > '0' + GH_PROFILE_ENTRIES || t[1] != '\0') {
        gh_load_error(x->l, entry->line, "cert-profile", "use a second cert-profile",
                      "the entries of \"%s\" are numbered 1 to %d", name, (int)GH_PROFILE_ENTRIES);
        return false;
    }
    if (lines[t[0] - '0'] != 0) {
        gh_load_error(x->l, entry->line, "duplicate", "number it otherwise",
                      "entry %s of \"%s\" is there twice, first on line %d", t, name,
                      lines[t[0] - '0']);
        return false;
    }
    lines[t[0] - '0'] = entry->line;
    return true;
}

void gh_load_ike_profile(struct gh_ike_loader *x, const struct gh_node *section)
{
    const struct gh_node *got[1];
    struct gh_ike_config *c = x->ike;
    const char *name = gh_ike_name(x, section);
    struct gh_ike_profile p = {.line = section->line};
    int lines[GH_PROFILE_ENTRIES + 1] = {0};
    size_t entries = 0;

    gh_items_collect(x->l, section, profile_items, 1, got);
    p.name = gh_config_strdup(name);
    p.profile = gh_config_must(gh_cert_profile_new(name));
    for (size_t i = 0; i < section->child_count; i++) {
        const struct gh_node *n = &section->children[i];

        if (!n->section || n->title == NULL || strcmp(n->name, "entry") != 0)
            continue;
        entries++;
        if (check_number(x, n, name, lines))
            read_entry(x, n, &p);
    }
    if (entries == 0)
        gh_load_error(x->l, section->line, "missing-option", "add entry 1 { … }",
                      "the cert-profile \"%s\" has no entry", name);
    gh_ike_define(x, "cert-profile", name, section->line, c->profile_count);
    c->profiles = gh_config_grow(c->profiles, c->profile_count, sizeof(*c->profiles));
    c->profiles[c->profile_count++] = p;
}

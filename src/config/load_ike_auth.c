/*
 * How the ends of a peer's section authenticate: pre-shared keys, certificates, raw public keys.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "config/alloc.h"
#include "config/ike_load_peer.h"
#include "pki/auth.h"

static const char *const auth_names[] = {"psk", "cert", "raw-key", "null", NULL};
/* ---- Raw public keys (RFC 7670) ------------------------------------------------------------- */

static struct gh_pubkey *parse_public_key(struct gh_view file, struct gh_pki_error *e)
{
    BIO *bio = BIO_new_mem_buf(file.p, (int)file.len);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    struct gh_pubkey *key;
    long len = 0;

    if (bio != NULL && PEM_read_bio(bio, &name, &header, &der, &len) == 1)
        key = gh_pubkey_parse(gh_view_of(der, (size_t)len), e);
    else
        key = gh_pubkey_parse(file, e);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    return key;
}

struct gh_pubkey *gh_ike_public_key(struct gh_ike_loader *x, const struct gh_node *n)
{
    struct gh_secret file = {.data = NULL};
    struct gh_pubkey *key;
    struct gh_pki_error e;

    if ((n->values[0][0] == '/' && x->l->options->skip_secrets) ||
        !gh_ike_read_file(x, n->values[0], n->line, &file))
        return NULL;
    key = parse_public_key(gh_view_of(file.data, file.len), &e);
    if (key == NULL)
        gh_load_error(x->l, n->line, e.rule, e.remedy, "%s: %s", n->values[0], e.message);
    gh_secret_clear(&file);
    return key;
}

static void own_raw_key(struct gh_ike_loader *x, struct gh_pubkey *key)
{
    struct gh_ike_config *c = x->ike;

    c->raw_keys = gh_config_grow(c->raw_keys, c->raw_key_count, sizeof(struct gh_pubkey *));
    c->raw_keys[c->raw_key_count++] = key;
}

static void read_raw_keys(struct gh_ike_loader *x, const struct gh_node **got,
                          struct ike2_policy *p)
{
    const struct gh_node *n = got[PEER_PEER_RAW_KEY];
    struct gh_pki_error e;
    size_t index;

    if (gh_ike_refer_option(x, got[PEER_RAW_KEY], "ike-key", &index)) {
        (void)snprintf(p->raw_key, sizeof(p->raw_key), "%s", got[PEER_RAW_KEY]->values[0]);
        if (x->keys[index] != NULL) {
            struct gh_pubkey *copy = gh_pubkey_parse(gh_pubkey_spki(x->keys[index]), &e);

            own_raw_key(x, gh_config_must(copy));
            p->raw_key_spki = gh_pubkey_spki(copy);
        } else if (gh_keeper_order_in_token(x->order, p->raw_key) && !x->l->options->skip_secrets) {
            gh_load_error(
                x->l, got[PEER_RAW_KEY]->line, "key-uri", "add public-key-file to its section",
                "the public half of \"%s\" is not known: the key is in a token", p->raw_key);
        }
    }
    p->peer_raw_key = n != NULL ? gh_ike_public_key(x, n) : NULL;
    if (p->peer_raw_key != NULL)
        own_raw_key(x, p->peer_raw_key);
}

/* ---- Authentication ------------------------------------------------------------------------- */

static bool read_psk(struct gh_ike_loader *x, const struct gh_node *section,
                     const struct gh_node **got, struct ike2_policy *p)
{
    struct gh_ike_secret_nodes nodes = {.file = got[PEER_PSK_FILE],
                                        .credential = got[PEER_PSK_CREDENTIAL],
                                        .text = got[PEER_PSK_SECRET]};
    bool given = gh_ike_secret_given(&nodes);
    size_t index;

    if (got[PEER_PSK] != NULL && given)
        gh_load_error(x->l, got[PEER_PSK]->line, "duplicate", "keep one of them",
                      "the ike-peer \"%s\" has two pre-shared keys", p->name);
    if (gh_ike_refer_option(x, got[PEER_PSK], "ike-psk", &index)) {
        (void)snprintf(p->psk, sizeof(p->psk), "%s", got[PEER_PSK]->values[0]);
    } else if (given) {
        (void)snprintf(p->psk, sizeof(p->psk), "%s", p->name);
        gh_ike_define(x, "ike-psk", p->name, section->line, 0);
        x->ike->definitions[x->ike->definition_count - 1].used = true;
        gh_ike_secret(x, GH_SECRET_PSK, p->name, section->line, &nodes, NULL);
    }
    return got[PEER_PSK] != NULL || given;
}

/* GH_BIT()s of the methods for which an end has what it needs. */
struct means {
    unsigned local, remote;
};

static struct means read_means(struct gh_ike_loader *x, const struct gh_node *section,
                               const struct gh_node **got, struct ike2_policy *p)
{
    struct means m = {0, 0};
    size_t index;

    if (read_psk(x, section, got, p))
        m.local = m.remote = GH_BIT(IKE2_AUTH_PSK);
    if (got[PEER_PROFILE] != NULL)
        m.local |= GH_BIT(IKE2_AUTH_CERT);
    if (got[PEER_TRUST] != NULL)
        m.remote |= GH_BIT(IKE2_AUTH_CERT);
    if (got[PEER_RAW_KEY] != NULL)
        m.local |= GH_BIT(IKE2_AUTH_RAW_KEY);
    if (got[PEER_PEER_RAW_KEY] != NULL)
        m.remote |= GH_BIT(IKE2_AUTH_RAW_KEY);
    if (gh_ike_refer_option(x, got[PEER_PROFILE], "cert-profile", &index))
        p->cert_profile = x->ike->profiles[index].profile;
    if (gh_ike_refer_option(x, got[PEER_TRUST], "trust-anchor-profile", &index))
        p->trust = x->ike->trusts[index].trust;
    if (gh_ike_refer_option(x, got[PEER_CLIENT_DB], "client-db", &index))
        p->client_db = x->ike->client_dbs[index].db;
    read_raw_keys(x, got, p);
    return m;
}

static bool one_bit(unsigned bits)
{
    return bits != 0 && (bits & (bits - 1)) == 0;
}

static unsigned bit_index(unsigned bits)
{
    unsigned i = 0;

    while ((bits & GH_BIT(i)) == 0)
        i++;
    return i;
}

static const char *needed_for(enum ike2_auth auth, bool local)
{
    switch (auth) {
    case IKE2_AUTH_PSK:
        return "add psk-file = \"/etc/gatehouse/secrets/NAME\"";
    case IKE2_AUTH_CERT:
        return local ? "add cert-profile = NAME" : "add trust-anchor-profile = NAME";
    case IKE2_AUTH_RAW_KEY:
        return local ? "add raw-key = NAME of an ike-key" : "add peer-raw-key-file = \"/…\"";
    case IKE2_AUTH_NULL:
        break;
    }
    return NULL;
}

/* `auth` is asked for; is there what it needs? */
static void check_means(struct gh_ike_loader *x, const struct gh_node *n, size_t i,
                        enum ike2_auth auth, unsigned means, bool local, bool clients)
{
    if (auth == IKE2_AUTH_NULL)
        gh_load_warning(x->l, n->value_lines[i], "null-authentication",
                        "take psk, cert or raw-key where the ends know each other",
                        "\"%s\" null AUTHENTICATES NOBODY: who is in between reads everything",
                        n->name);
    else if ((means & GH_BIT(auth)) == 0 && !(auth == IKE2_AUTH_PSK && clients))
        gh_load_error(x->l, n->value_lines[i], "missing-option", needed_for(auth, local),
                      "\"%s\" %s needs something that the peer does not have", n->name,
                      auth_names[auth]);
}

/* What is not said follows from what there is, if that is one thing. */
static bool settle(struct gh_ike_loader *x, const struct gh_node *section, const char *option,
                   unsigned means, bool clients, unsigned *out)
{
    if (means == 0 && clients)
        means = GH_BIT(IKE2_AUTH_PSK);
    if (one_bit(means)) {
        *out = means;
        return true;
    }
    if (means == 0)
        gh_load_error(x->l, section->line, "missing-option",
                      "add what is missing, or say how that end authenticates",
                      "the ike-peer \"%s\" has nothing for \"%s\"", section->title, option);
    else
        gh_load_error(x->l, section->line, "missing-option", "add it: psk, cert, raw-key or null",
                      "the ike-peer \"%s\" could authenticate in several ways, and has no \"%s\"",
                      section->title, option);
    return false;
}

/* Nothing at all is one mistake, not one for each end. */
static bool has_nothing(struct gh_ike_loader *x, const struct gh_node *section,
                        const struct gh_node **got, const struct means *means)
{
    if (means->local != 0 || means->remote != 0 || got[PEER_CLIENT_DB] != NULL ||
        got[PEER_LOCAL_AUTH] != NULL || got[PEER_REMOTE_AUTH] != NULL)
        return false;
    gh_load_error(x->l, section->line, "missing-option",
                  "add psk-file = \"/etc/gatehouse/secrets/NAME\", or a cert-profile and a "
                  "trust-anchor-profile",
                  "the ike-peer \"%s\" has nothing to authenticate by", section->title);
    return true;
}

static void read_local_auth(struct gh_ike_loader *x, const struct gh_node *section,
                            const struct gh_node *n, unsigned means, struct ike2_policy *p)
{
    unsigned choice = 0, bits;
    bool clients = p->client_db != NULL;

    if (n == NULL) {
        if (settle(x, section, "local-auth", means, clients, &bits))
            p->local_auth = (enum ike2_auth)bit_index(bits);
    } else if (gh_node_choice(x->l, n, auth_names, &choice)) {
        p->local_auth = (enum ike2_auth)choice;
        check_means(x, n, 0, p->local_auth, means, true, clients);
    }
}

static void read_remote_auth(struct gh_ike_loader *x, const struct gh_node *section,
                             const struct gh_node *n, unsigned means, struct ike2_policy *p)
{
    bool clients = p->client_db != NULL;

    if (n == NULL) {
        settle(x, section, "remote-auth", means, clients, &p->remote_auths);
        return;
    }
    p->remote_auths = 0;
    for (size_t i = 0; i < n->value_count; i++) {
        unsigned auth = 0;

        while (auth_names[auth] != NULL && strcmp(auth_names[auth], n->values[i]) != 0)
            auth++;
        if (auth_names[auth] == NULL) {
            gh_load_error(x->l, n->value_lines[i], "range", "write psk, cert, raw-key or null",
                          "\"%s\" does not know \"%.64s\"", n->name, n->values[i]);
            continue;
        }
        p->remote_auths |= GH_BIT(auth);
        check_means(x, n, i, (enum ike2_auth)auth, means, false, clients);
    }
    if (n->value_count == 0)
        gh_load_error(x->l, n->line, "range", "write psk, cert, raw-key or null",
                      "\"%s\" names no method", n->name);
}

/* "cert:fqdn": of all our certificates the first alternative name of this kind. False: it is not
 * written so. */
static bool read_id_of_cert(struct gh_ike_loader *x, const struct gh_node *n, struct ike2_policy *p)
{
    static const struct {
        const char *text;
        uint8_t type;
    } kinds[] = {{"cert:fqdn", GH_ID_FQDN},
                 {"cert:email", GH_ID_RFC822},
                 {"cert:ipv4", GH_ID_IPV4},
                 {"cert:ipv6", GH_ID_IPV6}};
    struct gh_identity id;
    size_t k = 0;

    while (k < sizeof(kinds) / sizeof(kinds[0]) && strcmp(n->values[0], kinds[k].text) != 0)
        k++;
    if (k == sizeof(kinds) / sizeof(kinds[0]))
        return false;
    p->local_id = (struct gh_identity){.type = kinds[k].type};
    if (p->local_auth != IKE2_AUTH_CERT)
        gh_load_error(x->l, n->line, "missing-option", "write the name itself",
                      "\"%s\" without a certificate of ours", n->values[0]);
    for (size_t i = 0; p->cert_profile != NULL && i < gh_cert_profile_count(p->cert_profile); i++) {
        const struct gh_cert *c = gh_cert_profile_entry(p->cert_profile, i)->cert;

        if (!gh_identity_of_alternative(c, (enum gh_id_type)kinds[k].type, &id))
            gh_load_error(x->l, n->line, "cert-identity", "write the name itself",
                          "the certificate of %s has no alternative name for \"%s\"",
                          gh_cert_subject(c), n->values[0]);
    }
    return true;
}

static void read_identities(struct gh_ike_loader *x, const struct gh_node *section,
                            const struct gh_node **got, struct ike2_policy *p)
{
    struct gh_pki_error e;

    if (got[PEER_LOCAL_ID] != NULL && !read_id_of_cert(x, got[PEER_LOCAL_ID], p) &&
        !gh_identity_from_text(got[PEER_LOCAL_ID]->values[0], &p->local_id, &e))
        gh_ike_pki_error(x, got[PEER_LOCAL_ID]->line, &e);
    if (got[PEER_REMOTE_ID] != NULL) {
        p->remote_id = gh_pattern_new(got[PEER_REMOTE_ID]->values[0], &e);
        if (p->remote_id == NULL)
            gh_ike_pki_error(x, got[PEER_REMOTE_ID]->line, &e);
    } else if ((p->remote_auths & GH_BIT(IKE2_AUTH_CERT)) != 0 && p->client_db == NULL) {
        gh_load_error(x->l, section->line, "missing-option",
                      "add remote-id = \"NAME\"; any means whoever has a certificate of these CAs",
                      "the ike-peer \"%s\" does not say whom it expects", p->name);
    }
    gh_node_bool(x->l, got[PEER_MATCH_ID], &p->match_id_to_cert);
}

static void read_ppk(struct gh_ike_loader *x, const struct gh_node **got, struct ike2_policy *p)
{
    size_t index;

    if (gh_ike_refer_option(x, got[PEER_PPK], "ike-ppk", &index))
        (void)snprintf(p->ppk, sizeof(p->ppk), "%s", got[PEER_PPK]->values[0]);
    gh_node_bool(x->l, got[PEER_PPK_REQUIRED], &p->ppk_required);
    if (p->ppk_required && got[PEER_PPK] == NULL)
        gh_load_error(x->l, got[PEER_PPK_REQUIRED]->line, "missing-option",
                      "add ppk = NAME of an ike-ppk", "\"ppk-required\" without a \"ppk\"");
}

void gh_load_ike_auth(struct gh_ike_loader *x, const struct gh_node *section,
                      const struct gh_node **got, struct ike2_policy *p)
{
    struct means means = read_means(x, section, got, p);

    if (!has_nothing(x, section, got, &means)) {
        read_local_auth(x, section, got[PEER_LOCAL_AUTH], means.local, p);
        read_remote_auth(x, section, got[PEER_REMOTE_AUTH], means.remote, p);
    }
    read_identities(x, section, got, p);
    read_ppk(x, got, p);
}

/*
 * `key-chain NAME { … }` and its keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/alloc.h"
#include "config/lifetime.h"
#include "config/schema.h"
#include "config/secret_source.h"

enum {
    KEY_NUMBER_MAX = 2147483647, /* as in IOS */
    TOLERANCE_MAX = 8640000,     /* 100 days, as in IOS XR */
    DESCRIPTION_MAX = 1024,
    PATH_MAX_TEXT = 4095
};

enum {
    KEY_SEND_ID,
    KEY_RECV_ID,
    KEY_ALGORITHM,
    KEY_MAC_LENGTH,
    KEY_INCLUDE_TCP_OPTIONS,
    KEY_ACCEPT_AO_MISMATCH,
    KEY_SECRET_FILE,
    KEY_SECRET_CREDENTIAL,
    KEY_SECRET,
    KEY_SECRET_HEX,
    KEY_SECRET_FILE_FORMAT,
    KEY_LIFETIME,
    KEY_SEND_LIFETIME,
    KEY_ACCEPT_LIFETIME,
    KEY_START_TIME,
    KEY_DURATION,
    KEY_ITEMS
};

static const struct gh_item key_items[KEY_ITEMS] = {
    [KEY_SEND_ID] = {"send-id", GH_ITEM_VALUE},
    [KEY_RECV_ID] = {"recv-id", GH_ITEM_VALUE},
    [KEY_ALGORITHM] = {"algorithm", GH_ITEM_VALUE},
    [KEY_MAC_LENGTH] = {"mac-length", GH_ITEM_VALUE},
    [KEY_INCLUDE_TCP_OPTIONS] = {"include-tcp-options", GH_ITEM_VALUE},
    [KEY_ACCEPT_AO_MISMATCH] = {"accept-ao-mismatch", GH_ITEM_VALUE},
    [KEY_SECRET_FILE] = {"secret-file", GH_ITEM_VALUE},
    [KEY_SECRET_CREDENTIAL] = {"secret-credential", GH_ITEM_VALUE},
    [KEY_SECRET] = {"secret", GH_ITEM_VALUE},
    [KEY_SECRET_HEX] = {"secret-hex", GH_ITEM_VALUE},
    [KEY_SECRET_FILE_FORMAT] = {"secret-file-format", GH_ITEM_VALUE},
    [KEY_LIFETIME] = {"lifetime", GH_ITEM_VALUE},
    [KEY_SEND_LIFETIME] = {"send-lifetime", GH_ITEM_VALUE},
    [KEY_ACCEPT_LIFETIME] = {"accept-lifetime", GH_ITEM_VALUE},
    [KEY_START_TIME] = {"start-time", GH_ITEM_VALUE},
    [KEY_DURATION] = {"duration", GH_ITEM_VALUE},
};

enum { CHAIN_DESCRIPTION, CHAIN_TOLERANCE, CHAIN_WARN_BEFORE, CHAIN_KEY, CHAIN_ITEMS };

static const struct gh_item chain_items[CHAIN_ITEMS] = {
    [CHAIN_DESCRIPTION] = {"description", GH_ITEM_VALUE},
    [CHAIN_TOLERANCE] = {"tolerance", GH_ITEM_VALUE},
    [CHAIN_WARN_BEFORE] = {"warn-before", GH_ITEM_LIST},
    [CHAIN_KEY] = {"key", GH_ITEM_TITLED_SECTION},
};

/* A key until its neighbours are known. */
struct draft {
    struct gh_key key;
    bool started; /* start-time, as in Junos: lasts until the next one's */
    int64_t start;
    int64_t duration; /* 0: none */
};

/* ---- Algorithm and MAC length ---- */

bool gh_mac_length_in_name(const char *algorithm)
{
    /* a name that still takes a length has none */
    char *longer = gh_config_asprintf("%s-96", algorithm);
    enum tcpao_alg alg;
    unsigned len;
    bool has = !tcpao_alg_parse(longer, &alg, &len);

    free(longer);
    return has;
}

static void read_algorithm(struct gh_loader *l, const struct gh_node **got, struct tcpao_mkt *mkt)
{
    const struct gh_node *n = got[KEY_ALGORITHM];
    bool length_in_name = false;
    unsigned mac_len = 12;
    uint64_t number;

    if (n != NULL) {
        length_in_name = gh_mac_length_in_name(n->values[0]);
        if (!tcpao_alg_parse(n->values[0], &mkt->alg, &mac_len)) {
            gh_load_error(l, n->line, "algorithm",
                          "write hmac-sha-1-96, aes-128-cmac-96, hmac-sha-256-96, "
                          "hmac-sha-256-128 or hmac-sha-256-256",
                          "this algorithm, or its MAC length, is not known");
            return;
        }
    }
    mkt->mac_len = (uint8_t)mac_len;
    if (n != NULL && mkt->alg == TCPAO_HMAC_SHA_256 && !length_in_name &&
        got[KEY_MAC_LENGTH] == NULL)
        gh_load_warning(l, n->line, "ambiguous-mac-length",
                        "write hmac-sha-256-96, or hmac-sha-256-256 for an IOS XE peer",
                        "\"%s\" alone means MACs of 12 octets here and in Linux, of 32 in IOS XE",
                        n->values[0]);
    n = got[KEY_MAC_LENGTH];
    if (!gh_node_number(l, n, GH_MAC_MIN, tcpao_mac_len_max(mkt->alg), &number))
        return;
    if (length_in_name && number != mac_len)
        gh_load_error(l, n->line, "mac-length", "remove one of the two",
                      "\"mac-length\" is %u octets but the name of the algorithm says %u",
                      (unsigned)number, mac_len);
    mkt->mac_len = (uint8_t)number;
}

/* ---- Secret ---- */

static void report_secret(struct gh_loader *l, const struct gh_node *n,
                          const struct gh_secret_error *e)
{
    gh_load_error(l, n->line, e->rule, e->remedy, "%s", e->message);
}

static void read_inline_secret(struct gh_loader *l, const struct gh_node *n,
                               enum gh_secret_format format, struct gh_key *key)
{
    struct gh_secret_error e;

    key->secret_source = gh_config_strdup("inline");
    if (l->exposed)
        gh_load_warning(l, n->line, "inline-secret",
                        "move it to a secret-file, or chmod 600 the configuration",
                        "a secret stands in a configuration that others can read");
    if (!l->options->skip_secrets &&
        !gh_secret_from_text(n->values[0], strlen(n->values[0]), format, &key->secret, &e))
        report_secret(l, n, &e);
}

static void read_stored_secret(struct gh_loader *l, const struct gh_node *n, bool credential,
                               enum gh_secret_format format, struct gh_key *key)
{
    struct gh_secret_error e;
    const char *where;
    bool good;

    if (!gh_node_text(l, n, PATH_MAX_TEXT, &where))
        return;
    if (!credential && where[0] != '/') {
        gh_load_error(l, n->line, "secret-missing", "write the path from / on",
                      "\"secret-file\" must be an absolute path");
        return;
    }
    key->secret_source = gh_config_asprintf("%s %s", credential ? "credential" : "file", where);
    key->secret_hex = format == GH_SECRET_HEX;
    if (l->options->skip_secrets)
        return;
    good = credential ? gh_secret_from_credential(where, format, &key->secret, &e)
                      : gh_secret_from_file(where, format, &key->secret, &e);
    if (!good)
        report_secret(l, n, &e);
}

static void read_secret(struct gh_loader *l, const struct gh_node **got, struct gh_key *key)
{
    static const char *const formats[] = {"ascii", "hex", NULL};
    static const int sources[] = {KEY_SECRET_FILE, KEY_SECRET_CREDENTIAL, KEY_SECRET,
                                  KEY_SECRET_HEX};
    const struct gh_node *n = NULL;
    unsigned format = GH_SECRET_ASCII;
    int source = -1;

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (got[sources[i]] == NULL)
            continue;
        if (n != NULL)
            gh_load_error(l, got[sources[i]]->line, "duplicate", "keep one of them",
                          "the key has a \"%s\" already", n->name);
        n = got[sources[i]];
        source = sources[i];
    }
    gh_node_choice(l, got[KEY_SECRET_FILE_FORMAT], formats, &format);
    if (n == NULL)
        gh_load_error(l, key->line, "missing-option",
                      "add secret-file = \"/etc/gatehouse/secrets/NAME\" "
                      "(gatectl key-chain generate makes one)",
                      "key %u has no secret", key->mkt.number);
    else if (source == KEY_SECRET || source == KEY_SECRET_HEX)
        read_inline_secret(l, n, source == KEY_SECRET_HEX ? GH_SECRET_HEX : GH_SECRET_ASCII, key);
    else
        read_stored_secret(l, n, source == KEY_SECRET_CREDENTIAL, (enum gh_secret_format)format,
                           key);
}

/* ---- Lifetimes ---- */

static bool read_lifetime(struct gh_loader *l, const struct gh_node *n, struct tcpao_lifetime *out)
{
    const char *why;

    if (n == NULL)
        return false;
    if (gh_lifetime_parse(n->values[0], out, &why))
        return true;
    gh_load_error(l, n->line, "lifetime",
                  "write for example \"2026-12-01T00:00:00Z/2026-12-31T00:00:00Z\"", "\"%s\": %s",
                  n->name, why);
    return false;
}

static void exclude(struct gh_loader *l, const struct gh_node *a, const struct gh_node *b)
{
    if (a != NULL && b != NULL)
        gh_load_error(l, b->line, "lifetime", "keep one of them",
                      "\"%s\" and \"%s\" exclude each other", a->name, b->name);
}

/* start-time and duration; the end is settled when the next key's start is known. */
static void read_start(struct gh_loader *l, const struct gh_node **got, struct draft *d)
{
    const struct gh_node *n = got[KEY_START_TIME];
    const char *why;

    if (n != NULL) {
        d->started = gh_instant_parse(n->values[0], &d->start, &why);
        if (!d->started)
            gh_load_error(l, n->line, "lifetime", "write for example \"2026-12-01.04:00 -0700\"",
                          "\"start-time\": %s", why);
    }
    n = got[KEY_DURATION];
    if (n == NULL)
        return;
    if (got[KEY_START_TIME] == NULL)
        gh_load_error(l, n->line, "lifetime", "add start-time, or write lifetime = START/DURATION",
                      "\"duration\" has no \"start-time\" to count from");
    if (!gh_duration_parse(n->values[0], &d->duration, &why))
        gh_load_error(l, n->line, "lifetime", "write for example \"30d\"", "\"duration\": %s", why);
}

static void read_lifetimes(struct gh_loader *l, const struct gh_node **got, struct draft *d)
{
    const struct tcpao_lifetime infinite = {TCPAO_TIME_MIN, TCPAO_TIME_MAX};
    struct gh_key *key = &d->key;

    exclude(l, got[KEY_LIFETIME], got[KEY_SEND_LIFETIME]);
    exclude(l, got[KEY_LIFETIME], got[KEY_ACCEPT_LIFETIME]);
    exclude(l, got[KEY_START_TIME], got[KEY_LIFETIME]);
    exclude(l, got[KEY_START_TIME], got[KEY_SEND_LIFETIME]);
    key->mkt.send = infinite;
    read_start(l, got, d);
    key->send_set = d->started || read_lifetime(l, got[KEY_LIFETIME], &key->mkt.send) ||
                    read_lifetime(l, got[KEY_SEND_LIFETIME], &key->mkt.send);
    key->mkt.accept = key->mkt.send;
    key->accept_set = read_lifetime(l, got[KEY_ACCEPT_LIFETIME], &key->mkt.accept);
    if (got[KEY_ACCEPT_LIFETIME] != NULL && got[KEY_SEND_LIFETIME] == NULL &&
        got[KEY_START_TIME] == NULL && got[KEY_LIFETIME] == NULL)
        gh_load_error(l, got[KEY_ACCEPT_LIFETIME]->line, "lifetime",
                      "add send-lifetime (\"never\" for a key that is only accepted)",
                      "\"accept-lifetime\" alone leaves open when key %u is sent", key->mkt.number);
}

/* J5: the key whose start-time passed last is the active one, until the next start-time. */
static void settle_starts(struct gh_loader *l, struct draft *drafts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct draft *d = &drafts[i];
        int64_t until = TCPAO_TIME_MAX;

        if (!d->started)
            continue;
        for (size_t j = 0; j < count; j++) {
            if (j == i || !drafts[j].started)
                continue;
            if (drafts[j].start == d->start && j > i)
                gh_load_error(l, drafts[j].key.line, "lifetime", "give them different start-times",
                              "key %u starts at the same time as key %u, so that one of them "
                              "would never be used",
                              drafts[j].key.mkt.number, d->key.mkt.number);
            if (drafts[j].start > d->start && drafts[j].start < until)
                until = drafts[j].start;
        }
        if (d->duration > 0 && until > d->start + d->duration)
            until = d->start + d->duration;
        d->key.mkt.send = (struct tcpao_lifetime){d->start, until};
        if (!d->key.accept_set)
            d->key.mkt.accept = d->key.mkt.send;
    }
}

/* ---- A key ---- */

static void read_id(struct gh_loader *l, const struct gh_node *n, const struct gh_key *key,
                    const char *name, uint8_t *out)
{
    uint64_t v = 0;

    if (n == NULL)
        gh_load_error(l, key->line, "missing-option",
                      "add it, 0 to 255; the peer has the same number in the other direction",
                      "key %u has no \"%s\"", key->mkt.number, name);
    gh_node_number(l, n, 0, 255, &v);
    *out = (uint8_t)v;
}

static void read_key(struct gh_loader *l, const struct gh_node *section, struct draft *d)
{
    const struct gh_node *got[KEY_ITEMS];
    const struct gh_node title = {.name = section->name,
                                  .line = section->line,
                                  .values = (char *[]){section->title},
                                  .value_count = 1};
    struct gh_key *key = &d->key;
    uint64_t number = 0;

    key->line = section->line;
    key->mkt.alg = TCPAO_HMAC_SHA_1;
    key->mkt.mac_len = 12;
    key->mkt.options_covered = true;
    gh_items_collect(l, section, key_items, KEY_ITEMS, got);
    gh_node_number(l, &title, 0, KEY_NUMBER_MAX, &number);
    key->mkt.number = (uint32_t)number;
    read_id(l, got[KEY_SEND_ID], key, "send-id", &key->mkt.send_id);
    read_id(l, got[KEY_RECV_ID], key, "recv-id", &key->mkt.recv_id);
    read_algorithm(l, got, &key->mkt);
    gh_node_bool(l, got[KEY_INCLUDE_TCP_OPTIONS], &key->mkt.options_covered);
    gh_node_bool(l, got[KEY_ACCEPT_AO_MISMATCH], &key->mkt.accept_mismatch);
    if (key->mkt.accept_mismatch)
        gh_load_warning(l, got[KEY_ACCEPT_AO_MISMATCH]->line, "accept-mismatch",
                        "remove it as soon as the peer signs correctly",
                        "key %u ACCEPTS SEGMENTS WITH A WRONG MAC: its sessions are not protected",
                        key->mkt.number);
    read_secret(l, got, key);
    read_lifetimes(l, got, d);
}

/* ---- Rules over all keys of a chain ---- */

static int by_number(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;

    if (x->key.mkt.number != y->key.mkt.number)
        return x->key.mkt.number < y->key.mkt.number ? -1 : 1;
    return x->key.line - y->key.line;
}

static void id_in_use(struct gh_loader *l, const struct gh_key *a, const struct gh_key *b,
                      const char *what, unsigned id, const char *lifetimes)
{
    int line = a->line > b->line ? a->line : b->line;

    gh_load_error(l, line, "id-in-use", "choose another id, or lifetimes that do not overlap",
                  "key %u (line %d) and key %u (line %d) both have %s %u and their %s lifetimes "
                  "overlap",
                  a->mkt.number, a->line, b->mkt.number, b->line, what, id, lifetimes);
}

static void check_ids(struct gh_loader *l, const struct gh_key *a, const struct gh_key *b)
{
    if (a->mkt.number == b->mkt.number)
        gh_load_error(l, b->line, "duplicate", "number it otherwise",
                      "key %u is defined twice, first on line %d", b->mkt.number, a->line);
    if (a->mkt.send_id == b->mkt.send_id && gh_lifetime_overlap(&a->mkt.send, &b->mkt.send))
        id_in_use(l, a, b, "send-id", a->mkt.send_id, "send");
    if (a->mkt.recv_id == b->mkt.recv_id && gh_lifetime_overlap(&a->mkt.accept, &b->mkt.accept))
        id_in_use(l, a, b, "recv-id", a->mkt.recv_id, "accept");
}

static void read_keys(struct gh_loader *l, const struct gh_node *section,
                      struct gh_key_chain *chain)
{
    struct draft *drafts = NULL;
    size_t count = 0;

    for (size_t i = 0; i < section->child_count; i++) {
        const struct gh_node *n = &section->children[i];

        if (!n->section || n->title == NULL || strcmp(n->name, "key") != 0)
            continue;
        drafts = gh_config_grow(drafts, count, sizeof(*drafts));
        read_key(l, n, &drafts[count++]);
    }
    if (count == 0) {
        gh_load_error(l, section->line, "missing-option", "add key 1 { … }",
                      "the key chain \"%s\" has no key", chain->name);
        return;
    }
    if (count > GH_KEYS_MAX)
        gh_load_error(l, drafts[GH_KEYS_MAX].key.line, "too-many-keys",
                      "remove keys that have expired",
                      "the key chain \"%s\" has %zu keys, %d are possible", chain->name, count,
                      (int)GH_KEYS_MAX);
    qsort(drafts, count, sizeof(*drafts), by_number);
    settle_starts(l, drafts, count);
    chain->keys = gh_config_alloc(count, sizeof(*chain->keys));
    chain->key_count = count;
    for (size_t i = 0; i < count; i++) {
        struct gh_key *key = &chain->keys[i];

        *key = drafts[i].key;
        key->mkt.secret = key->secret.data;
        key->mkt.secret_len = key->secret.len;
        for (size_t j = 0; count <= GH_KEYS_MAX && j < i; j++)
            check_ids(l, &chain->keys[j], key);
    }
    free(drafts);
}

/* ---- The chain itself ---- */

static void read_tolerance(struct gh_loader *l, const struct gh_node *n, uint32_t *out)
{
    const char *why;
    int64_t seconds = 0;

    if (n == NULL)
        return;
    if (strcmp(n->values[0], "0") != 0 && !gh_duration_parse(n->values[0], &seconds, &why))
        gh_load_error(l, n->line, "range", "write seconds, or such as \"1h\"", "\"tolerance\": %s",
                      why);
    else if (seconds > TOLERANCE_MAX)
        gh_load_error(l, n->line, "range", NULL, "\"tolerance\" is at most %d seconds",
                      (int)TOLERANCE_MAX);
    else
        *out = (uint32_t)seconds;
}

static int descending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x < *y) - (*x > *y);
}

static void read_warn_before(struct gh_loader *l, const struct gh_node *n,
                             struct gh_key_chain *chain)
{
    const char *why;

    if (n == NULL)
        return;
    chain->warn_count = 0;
    if (n->value_count > GH_WARN_TIMES_MAX) {
        gh_load_error(l, n->line, "range", "remove some", "\"warn-before\" takes at most %d times",
                      (int)GH_WARN_TIMES_MAX);
        return;
    }
    for (size_t i = 0; i < n->value_count; i++) {
        if (gh_duration_parse(n->values[i], &chain->warn_before[chain->warn_count], &why))
            chain->warn_count++;
        else
            gh_load_error(l, n->line, "lifetime", "write for example { \"30d\", \"7d\", \"1d\" }",
                          "\"warn-before\": %s", why);
    }
    qsort(chain->warn_before, chain->warn_count, sizeof(chain->warn_before[0]), descending);
}

static void check_name(struct gh_loader *l, const struct gh_node *section, const char *name)
{
    for (size_t i = 0; i < l->config->chain_count; i++) {
        if (strcmp(l->config->chains[i].name, name) == 0)
            gh_load_error(l, section->line, "duplicate", "give them different names",
                          "there is a key chain \"%s\" already, on line %d", name,
                          l->config->chains[i].line);
    }
}

void gh_load_chain(struct gh_loader *l, const struct gh_node *section)
{
    const struct gh_node *got[CHAIN_ITEMS];
    struct gh_key_chain chain = {.tolerance = TCPAO_DEFAULT_TOLERANCE,
                                 .warn_before = {30 * 86400, 7 * 86400, 86400},
                                 .warn_count = 3,
                                 .line = section->line};
    const char *text;

    gh_items_collect(l, section, chain_items, CHAIN_ITEMS, got);
    if (!gh_node_name(l, section, &text))
        text = "?";
    else
        check_name(l, section, text);
    chain.name = gh_config_strdup(text);
    if (gh_node_text(l, got[CHAIN_DESCRIPTION], DESCRIPTION_MAX, &text))
        chain.description = gh_config_strdup(text);
    read_tolerance(l, got[CHAIN_TOLERANCE], &chain.tolerance);
    read_warn_before(l, got[CHAIN_WARN_BEFORE], &chain);
    read_keys(l, section, &chain);
    l->config->chains =
        gh_config_grow(l->config->chains, l->config->chain_count, sizeof(*l->config->chains));
    l->config->chains[l->config->chain_count++] = chain;
}

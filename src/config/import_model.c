#include "config/import_model.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/alloc.h"

enum { KEY_NUMBER_MAX = 2147483647 };

void gh_import_set(char **field, const char *text)
{
    free(*field);
    *field = gh_config_strdup(text);
}

struct gh_import_chain *gh_import_chain(struct gh_import *im, const char *name, int line)
{
    struct gh_import_chain *c;

    for (size_t i = 0; i < im->chain_count; i++) {
        if (strcmp(im->chains[i].name, name) == 0)
            return &im->chains[i];
    }
    im->chains = gh_config_grow(im->chains, im->chain_count, sizeof(*im->chains));
    c = &im->chains[im->chain_count++];
    c->name = gh_config_strdup(name);
    c->line = line;
    c->tolerance = GH_IMPORT_UNSAID;
    return c;
}

struct gh_import_key *gh_import_key(struct gh_import_chain *c, uint32_t number, int line)
{
    struct gh_import_key *k;

    for (size_t i = 0; i < c->key_count; i++) {
        if (c->keys[i].number == number)
            return &c->keys[i];
    }
    c->keys = gh_config_grow(c->keys, c->key_count, sizeof(*c->keys));
    k = &c->keys[c->key_count++];
    k->number = number;
    k->line = line;
    k->send_id = k->recv_id = k->covered = GH_IMPORT_UNSAID;
    k->send = k->accept = (struct tcpao_lifetime){TCPAO_TIME_MIN, TCPAO_TIME_MAX};
    return k;
}

struct gh_import_peer *gh_import_peer(struct gh_import *im, const char *id, int line)
{
    struct gh_import_peer *p;

    for (size_t i = 0; i < im->peer_count; i++) {
        if (strcmp(im->peers[i].id, id) == 0)
            return &im->peers[i];
    }
    im->peers = gh_config_grow(im->peers, im->peer_count, sizeof(*im->peers));
    p = &im->peers[im->peer_count++];
    p->id = gh_config_strdup(id);
    p->line = line;
    p->covered = p->port = p->direction = p->mode = GH_IMPORT_UNSAID;
    return p;
}

void gh_import_address(struct gh_import *im, const char *interface, const char *text, unsigned bits)
{
    char host[GH_ADDR_TEXT];
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct gh_import_address *a;
    struct gh_addr addr;

    if (n >= sizeof(host))
        return;
    memcpy(host, text, n);
    host[n] = '\0';
    if (!gh_addr_parse(host, &addr))
        return;
    if (slash != NULL)
        bits = (unsigned)strtoul(slash + 1, NULL, 10);
    im->addresses = gh_config_grow(im->addresses, im->address_count, sizeof(*im->addresses));
    a = &im->addresses[im->address_count++];
    a->interface = gh_config_strdup(interface);
    a->addr = addr;
    a->bits = bits <= addr.len * 8u ? bits : addr.len * 8u;
}

/* ---- Values ---- */

bool gh_import_number(struct gh_import *im, int line, const char *what, const char *text,
                      int64_t max, int64_t *out)
{
    char *end;
    long long v = strtoll(text, &end, 10);

    if (*text >= '0' && *text <= '9' && *end == '\0' && v <= max) {
        *out = v;
        return true;
    }
    gh_import_error(im, line, "range", "correct it there or in the result",
                    "\"%s\" is not a number from 0 to %lld", what, (long long)max);
    return false;
}

void gh_import_id(struct gh_import *im, int line, const char *what, const char *text, int *out)
{
    int64_t v;

    if (gh_import_number(im, line, what, text, 255, &v))
        *out = (int)v;
}

void gh_import_hidden_secret(struct gh_import *im, struct gh_import_key *k, int line)
{
    k->has_secret = true;
    gh_secret_clear(&k->secret);
    gh_import_error(im, line, "secret-hidden",
                    "write the secret in plain text into its secret-file (mode 0600), and nothing "
                    "else",
                    "the secret stands here encrypted, obfuscated or left out");
}

/* What vendors, their documents and our own generator write instead of a secret. */
static bool hides_secret(const char *text)
{
    size_t n = strlen(text);
    const char *last = strrchr(text, ' ');

    if (n == 0 || strspn(text, "*") == n || strspn(text, ".") == n)
        return true;
    if (strncmp(text, "$9$", 3) == 0 || strncmp(text, "$8$", 3) == 0 ||
        strncmp(text, "$ABC", 4) == 0 || strcmp(text, "SECRET-DATA") == 0)
        return true;
    if (text[0] == '<' && text[n - 1] == '>')
        return true;
    return last != NULL && (strcmp(last, " hash") == 0 || strcmp(last, " hash2") == 0 ||
                            strcmp(last, " custom") == 0);
}

void gh_import_secret(struct gh_import *im, struct gh_import_key *k, int line, const char *text)
{
    size_t n = strlen(text);

    if (hides_secret(text)) {
        gh_import_hidden_secret(im, k, line);
        return;
    }
    k->has_secret = true;
    if (n > TCPAO_SECRET_MAX || !gh_secret_set(&k->secret, (const uint8_t *)text, n))
        gh_import_error(im, line, "secret-format", "choose a shorter one at both ends",
                        "the secret is longer than %d octets", (int)TCPAO_SECRET_MAX);
}

static bool parse_algorithm(const struct gh_import *im, const char *lower, enum tcpao_alg *alg,
                            unsigned *mac_len)
{
    /* XR writes the one without a dash; XE means the whole digest. */
    if (strcmp(lower, "hmac-sha1-96") == 0 || strcmp(lower, "hmac-sha1") == 0)
        lower = "hmac-sha-1-96";
    if (im->vendor == GH_VENDOR_IOS_XE && strcmp(lower, "hmac-sha-256") == 0)
        lower = "hmac-sha-256-256";
    if (strcmp(lower, "hmac sha1") == 0)
        lower = "hmac-sha-1-96";
    if (strcmp(lower, "cmac aes128") == 0)
        lower = "aes-128-cmac-96";
    if (strcmp(lower, "hmac sha256") == 0)
        lower = "hmac-sha-256-96";
    return tcpao_alg_parse(lower, alg, mac_len);
}

void gh_import_algorithm(struct gh_import *im, struct gh_import_key *k, int line, const char *text)
{
    unsigned mac_len;
    char lower[64];
    size_t i;

    for (i = 0; text[i] != '\0' && i + 1 < sizeof(lower); i++)
        lower[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    lower[i] = '\0';
    if (!parse_algorithm(im, lower, &k->alg, &mac_len)) {
        gh_import_error(
            im, line, "algorithm", "choose hmac-sha-1-96 or aes-128-cmac-96 at both ends",
            "the algorithm \"%.40s\" is none of TCP-AO's; key %u is left out", text, k->number);
        k->dropped = true;
        return;
    }
    k->has_alg = true;
    k->mac_len = (uint8_t)mac_len;
    if (strcmp(lower, "hmac-sha-256") == 0 && im->vendor != GH_VENDOR_IOS_XE)
        gh_import_warn(im, line, "ambiguous-mac-length",
                       "write hmac-sha-256-128 or hmac-sha-256-256 in the result if it is that",
                       "\"hmac-sha-256\" does not say how long MACs are; taken as 12 octets");
}

void gh_import_not_carried(struct gh_import *im, int line, const char *word)
{
    gh_import_warn(im, line, "not-carried", "look up what it does; nothing here corresponds to it",
                   "\"%.40s\" is not carried over", word);
}

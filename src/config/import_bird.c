/*
 * BIRD 2.17 and newer: `keys { … }` of a protocol or template. Its keys have ids and no lifetimes;
 * which one is sent is said by `preferred` and `deprecated`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/import_model.h"
#include "config/import_words.h"

enum { WORDS = 16, DEPTH = 32 };
enum level { OTHER, PROTOCOL, KEYS, KEY };
enum rank { DEPRECATED, USUAL, PREFERRED };

struct bird {
    struct gh_import *im;
    char *words[WORDS];
    size_t count;
    int line;
    enum level levels[DEPTH];
    size_t depth, skipped; /* braces beyond DEPTH */
    char *peer;            /* id of the protocol or template */
    char *name;            /* for its key chain */
    char *chain;
    uint32_t key; /* its place in the chain; the rank follows at the end */
    unsigned protocols;
    enum rank *ranks; /* of the keys of the chain */
    size_t rank_count;
};

static bool is(const char *word, const char *want)
{
    return strcmp(word, want) == 0;
}

static bool starts(const struct bird *b, const char *first, const char *second)
{
    return b->count > (second != NULL) && is(b->words[0], first) &&
           (second == NULL || is(b->words[1], second));
}

/* ---- Keys ---- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdefABCDEF", *at = c != '\0' ? strchr(digits, c) : NULL;

    if (at == NULL)
        return -1;
    return (int)(at - digits) < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

/* hex:01:23, 0123…: decoded over itself. */
static void read_hex_secret(struct bird *b, struct gh_import_key *k, char *text)
{
    uint8_t octets[TCPAO_SECRET_MAX];
    size_t n = 0;

    if (strncmp(text, "hex:", 4) == 0)
        text += 4;
    while (n < sizeof(octets) && hex_digit(text[0]) >= 0 && hex_digit(text[1]) >= 0) {
        octets[n++] = (uint8_t)(hex_digit(text[0]) * 16 + hex_digit(text[1]));
        text += 2;
        text += *text == ':';
    }
    k->has_secret = n > 0 && *text == '\0' && gh_secret_set(&k->secret, octets, n);
    k->secret_hex = k->has_secret;
    gh_wipe(octets, sizeof(octets));
    if (!k->has_secret)
        gh_import_error(b->im, b->line, "secret-format", "put it between double quotes",
                        "the secret is neither quoted nor hexadecimal");
}

static void read_key(struct bird *b, bool quoted)
{
    struct gh_import_chain *c = gh_import_chain(b->im, b->chain, b->line);
    struct gh_import_key *k = gh_import_key(c, b->key, b->line);
    char text[64];

    if (starts(b, "send", "id") && b->count > 2) {
        gh_import_id(b->im, b->line, "send id", b->words[2], &k->send_id);
    } else if (starts(b, "recv", "id") && b->count > 2) {
        gh_import_id(b->im, b->line, "recv id", b->words[2], &k->recv_id);
    } else if (starts(b, "id", NULL) && b->count > 1) {
        gh_import_id(b->im, b->line, "id", b->words[1], &k->send_id);
        k->recv_id = k->send_id;
    } else if (starts(b, "secret", NULL) && b->count > 1) {
        if (quoted)
            gh_import_secret(b->im, k, b->line, b->words[1]);
        else
            read_hex_secret(b, k, b->words[1]);
    } else if (starts(b, "algorithm", NULL) && b->count > 1) {
        gh_import_algorithm(b->im, k, b->line,
                            gh_words_join(b->words + 1, b->count - 1, text, sizeof(text)));
    } else if (starts(b, "preferred", NULL)) {
        b->ranks[b->key] = PREFERRED;
    } else if (starts(b, "deprecated", NULL)) {
        b->ranks[b->key] = DEPRECATED;
    } else {
        gh_import_not_carried(b->im, b->line, b->words[0]);
    }
}

static bool chain_exists(const struct bird *b, const char *name)
{
    for (size_t i = 0; i < b->im->chain_count; i++) {
        if (is(b->im->chains[i].name, name))
            return true;
    }
    return false;
}

static void open_keys(struct bird *b)
{
    char *name =
        b->name != NULL ? gh_config_strdup(b->name) : gh_config_asprintf("bird-%u", b->protocols);

    for (unsigned n = 2; chain_exists(b, name); n++) {
        free(name);
        name = gh_config_asprintf("%s-%u", b->name != NULL ? b->name : "bird", n);
    }
    gh_import_set(&b->chain, name);
    free(name);
    gh_import_chain(b->im, b->chain, b->line)->for_tcp = true;
    if (b->peer != NULL) {
        struct gh_import_peer *p = gh_import_peer(b->im, b->peer, b->line);

        gh_import_set(&p->chain, b->chain);
        p->line = b->line;
    }
    b->rank_count = 0;
}

static void open_key(struct bird *b)
{
    struct gh_import_chain *c = gh_import_chain(b->im, b->chain, b->line);

    b->key = (uint32_t)c->key_count;
    gh_import_key(c, b->key, b->line)->covered = true;
    b->ranks = gh_config_grow(b->ranks, b->rank_count, sizeof(*b->ranks));
    b->ranks[b->rank_count++] = USUAL;
}

/* Of keys that are valid together Gatehouse sends the highest number, BIRD the best rank and among
 * equals the first. */
static void number_keys(struct bird *b)
{
    struct gh_import_chain *c = gh_import_chain(b->im, b->chain, b->line);
    uint32_t number = 1;

    for (int rank = DEPRECATED; rank <= PREFERRED; rank++) {
        for (size_t i = c->key_count; i-- > 0;) {
            if (i < b->rank_count && b->ranks[i] == (enum rank)rank)
                c->keys[i].number = number++;
        }
    }
    if (c->key_count > 1)
        gh_import_warn(b->im, c->line, "no-lifetimes",
                       "give the keys of the result lifetimes, or move the peer's preference",
                       "BIRD's keys have no lifetimes; those of \"%.64s\" are numbered so that the "
                       "preferred one is sent",
                       c->name);
}

/* ---- Protocols ---- */

/* protocol bgp [NAME] [from TEMPLATE], template bgp NAME [from TEMPLATE] */
static void open_protocol(struct bird *b)
{
    struct gh_import_peer *p;
    size_t i = 2;

    b->protocols++;
    gh_import_set(&b->name, NULL);
    free(b->peer);
    if (b->count > i && !is(b->words[i], "from"))
        gh_import_set(&b->name, b->words[i++]);
    b->peer = b->name != NULL ? gh_config_asprintf("bird %s", b->name)
                              : gh_config_asprintf("bird  %u", b->protocols);
    p = gh_import_peer(b->im, b->peer, b->line);
    p->port = is(b->words[0], "protocol") ? GH_IMPORT_UNSAID : GH_PORT_BGP;
    if (b->count > i + 1 && is(b->words[i], "from")) {
        free(p->parent);
        p->parent = gh_config_asprintf("bird %s", b->words[i + 1]);
    }
}

/* local [ADDRESS] [port N] [as N], neighbor [range] [ADDRESS] [port N] [as N] */
static void read_end(struct bird *b, struct gh_import_peer *p, bool local)
{
    struct gh_prefix prefix;
    int64_t port;

    for (size_t i = 1; i < b->count; i++) {
        if (is(b->words[i], "port") && i + 1 < b->count) {
            if (gh_import_number(b->im, b->line, "port", b->words[++i], 65535, &port) && !local)
                p->port = (int)port;
        } else if (is(b->words[i], "as")) {
            i++;
        } else if (gh_prefix_parse(b->words[i], &prefix)) {
            gh_import_set(local ? &p->local : &p->address, b->words[i]);
            if (!local && !gh_prefix_is_host(&prefix))
                p->direction = GH_PASSIVE;
        }
    }
}

static void read_protocol(struct bird *b)
{
    struct gh_import_peer *p = gh_import_peer(b->im, b->peer, b->line);

    if (starts(b, "local", NULL))
        read_end(b, p, true);
    else if (starts(b, "neighbor", NULL))
        read_end(b, p, false);
    else if (starts(b, "source", "address") && b->count > 2)
        gh_import_set(&p->local, b->words[2]);
    else if (starts(b, "authentication", NULL) && b->count > 1)
        gh_import_set(&p->algorithm, b->words[1]);
    else if (starts(b, "passive", NULL))
        p->direction = b->count > 1 && (is(b->words[1], "off") || is(b->words[1], "no"))
                           ? GH_BOTH
                           : GH_PASSIVE;
    else if (starts(b, "vrf", NULL) && b->count > 1 && !is(b->words[1], "default"))
        gh_import_set(&p->vrf, b->words[1]);
    else if (starts(b, "description", NULL) && b->count > 1 && b->name == NULL)
        gh_import_set(&b->name, b->words[1]);
}

/* ---- Braces ---- */

static void open_brace(struct bird *b)
{
    enum level at = b->depth > 0 ? b->levels[b->depth - 1] : OTHER, level = OTHER;

    if (b->depth == DEPTH) {
        b->skipped++;
        return;
    }
    if (b->depth == 0 && (starts(b, "protocol", "bgp") || starts(b, "template", "bgp"))) {
        open_protocol(b);
        level = PROTOCOL;
    } else if (starts(b, "keys", NULL) && (at == PROTOCOL || b->depth == 0)) {
        open_keys(b);
        level = KEYS;
    } else if (at == KEYS && starts(b, "key", NULL)) {
        open_key(b);
        level = KEY;
    }
    b->levels[b->depth++] = level;
}

static void close_brace(struct bird *b)
{
    enum level level;

    if (b->skipped > 0) {
        b->skipped--;
        return;
    }
    if (b->depth == 0)
        return;
    level = b->levels[--b->depth];
    if (level == KEYS)
        number_keys(b);
    if (level == PROTOCOL)
        gh_import_set(&b->peer, NULL);
    if (b->depth == 0)
        gh_import_set(&b->name, NULL);
}

static void finish(struct bird *b, bool quoted)
{
    enum level at = b->depth > 0 ? b->levels[b->depth - 1] : OTHER;

    if (b->count > 0 && b->skipped == 0 && at == KEY)
        read_key(b, quoted);
    else if (b->count > 0 && b->skipped == 0 && at == PROTOCOL)
        read_protocol(b);
    b->count = 0;
}

void gh_import_bird(struct gh_import *im, char *text)
{
    struct bird b = {.im = im};
    struct gh_words lexer;
    bool quoted = false;

    gh_words_start(&lexer, text);
    while (gh_words_next(&lexer) != GH_WORD_END) {
        switch (lexer.kind) {
        case GH_WORD_TEXT:
            if (b.count == 0)
                b.line = lexer.line;
            if (b.count < WORDS)
                b.words[b.count++] = lexer.text;
            quoted = lexer.quoted;
            break;
        case GH_WORD_OPEN:
            open_brace(&b);
            b.count = 0;
            break;
        case GH_WORD_CLOSE:
            finish(&b, quoted);
            close_brace(&b);
            break;
        case GH_WORD_SEMICOLON:
            finish(&b, quoted);
            break;
        default:
            break; /* the end of a line means nothing to BIRD */
        }
    }
    while (b.depth > 0)
        close_brace(&b);
    free(b.peer);
    free(b.name);
    free(b.chain);
    free(b.ranks);
}

/*
 * Nokia SR OS, MD-CLI, as lines (`/configure …`) or as a tree. An entry's number is its KeyID on
 * the wire, so that a key of ours is a send entry and the receive entry with the same secret.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/import_model.h"
#include "config/import_tree.h"
#include "config/lifetime.h"

/* Until they are paired, entries are keys numbered by their direction and their id. */
enum { SEND = 0, RECEIVE = 1000, BOTH = 2000, ENTRY_MAX = 255, TOLERANCE_DEFAULT = 300 };

struct rest {
    struct gh_import *im;
    char **words;
    size_t count;
    int line;
};

static bool is(const char *word, const char *want)
{
    return strcmp(word, want) == 0;
}

static void step(struct rest *r, size_t n)
{
    r->words += n;
    r->count -= n;
}

/* ---- Entries ---- */

/* 2026-12-01T00:00:00.0Z: without the fraction. */
static bool read_time(struct rest *r, const char *text, int64_t *out)
{
    char whole[64];
    size_t n = strcspn(text, "."), skip;
    const char *why;

    skip = text[n] == '.' ? 1 + strspn(text + n + 1, "0123456789") : 0;
    snprintf(whole, sizeof(whole), "%.*s%.20s", (int)(n < 40 ? n : 40), text, text + n + skip);
    if (gh_instant_parse(whole, out, &why))
        return true;
    gh_import_error(r->im, r->line, "lifetime", "write it by hand in the result",
                    "the time is not understood: %s", why);
    return false;
}

static void read_attribute(struct rest *r, struct gh_import_chain *c, struct gh_import_key *k)
{
    const char *name = r->words[0], *value = r->words[1];

    if (is(name, "authentication-key")) {
        gh_import_secret(r->im, k, r->line, value);
    } else if (is(name, "algorithm")) {
        gh_import_algorithm(r->im, k, r->line, value);
    } else if (is(name, "begin-time")) {
        k->send_set = is(value, "forever") || read_time(r, value, &k->send.from);
    } else if (is(name, "end-time")) {
        if (!is(value, "forever"))
            read_time(r, value, &k->send.until);
    } else if (is(name, "tolerance")) {
        int64_t tolerance = TOLERANCE_DEFAULT;

        if (!is(value, "forever"))
            gh_import_number(r->im, r->line, name, value, 8640000, &tolerance);
        if (tolerance > c->tolerance)
            c->tolerance = tolerance; /* one for the chain: the longest */
    } else if (is(name, "admin-state")) {
        k->dropped = is(value, "disable");
        if (k->dropped)
            gh_import_warn(r->im, r->line, "not-active", NULL,
                           "the entry %u is disabled; it is left out", k->number % 1000);
    } else if (!is(name, "option")) {
        gh_import_not_carried(r->im, r->line, name);
    }
}

static void read_entry(struct rest *r, struct gh_import_chain *c, uint32_t direction)
{
    struct gh_import_key *k;
    int64_t id;

    if (r->count < 3 || !is(r->words[1], "entry")) {
        gh_import_not_carried(r->im, r->line, r->words[0]);
        return;
    }
    if (!gh_import_number(r->im, r->line, "entry", r->words[2], ENTRY_MAX, &id))
        return;
    k = gh_import_key(c, direction + (uint32_t)id, r->line);
    k->covered = true;
    k->send_id = direction == RECEIVE ? GH_IMPORT_UNSAID : (int)id;
    k->recv_id = direction == SEND ? GH_IMPORT_UNSAID : (int)id;
    for (step(r, 3); r->count >= 2; step(r, 2))
        read_attribute(r, c, k);
}

static void read_chain(struct rest *r)
{
    struct gh_import_chain *c = gh_import_chain(r->im, r->words[1], r->line);

    step(r, 2);
    if (r->count < 2)
        return;
    if (is(r->words[0], "receive"))
        read_entry(r, c, RECEIVE);
    else if (is(r->words[0], "send"))
        read_entry(r, c, SEND);
    else if (is(r->words[0], "bidirectional"))
        read_entry(r, c, BOTH);
    else if (is(r->words[0], "description"))
        gh_import_set(&c->description, r->words[1]);
    else if (is(r->words[0], "tcp-option-number"))
        c->for_tcp = c->for_tcp || is(r->words[r->count - 1], "tcp-ao");
    else if (!is(r->words[0], "admin-state"))
        gh_import_not_carried(r->im, r->line, r->words[0]);
}

/* ---- Sessions ---- */

static void read_property(struct rest *r, struct gh_import_peer *p, const char *scope)
{
    const char *name = r->words[0], *value = r->words[1];

    if (is(name, "authentication-keychain") || is(name, "auth-keychain")) {
        gh_import_set(&p->chain, value);
        p->line = r->line;
    } else if (is(name, "local-address")) {
        gh_import_set(&p->local, value);
    } else if (is(name, "passive")) {
        p->direction = is(value, "true") ? GH_PASSIVE : GH_BOTH;
    } else if (is(name, "group")) {
        free(p->parent);
        p->parent = gh_config_asprintf("%s group %s", scope, value);
    }
}

static void read_session(struct rest *r, const char *scope, bool base, int port)
{
    const char *kind = r->words[0], *name = r->words[1];
    char *id = gh_config_asprintf("%s %s %s", scope, kind, name);
    struct gh_import_peer *p = gh_import_peer(r->im, id, r->line);

    free(id);
    p->port = port;
    p->loopback = port == GH_PORT_LDP;
    if (!is(kind, "group")) {
        gh_import_set(&p->address, name);
        if (!base)
            gh_import_set(&p->vrf, scope);
    }
    step(r, 2);
    if (r->count >= 2)
        read_property(r, p, scope);
}

/* router "Base" …, service vprn "x" … */
static void read_router(struct rest *r, const char *scope, bool base)
{
    if (r->count >= 3 && is(r->words[0], "bgp") &&
        (is(r->words[1], "neighbor") || is(r->words[1], "group"))) {
        step(r, 1);
        read_session(r, scope, base, GH_PORT_BGP);
        return;
    }
    if (r->count >= 2 && is(r->words[0], "router-id"))
        gh_import_set(&r->im->router_id, r->words[1]);
    if (r->count >= 5 && is(r->words[0], "interface")) {
        for (size_t i = 2; i + 1 < r->count; i++) {
            if (is(r->words[i], "address"))
                gh_import_address(r->im, r->words[1], r->words[i + 1], 128);
        }
        return;
    }
    for (size_t i = 0; i + 2 < r->count && is(r->words[0], "ldp"); i++) {
        if (!is(r->words[i], "peer-transport"))
            continue;
        step(r, i);
        read_session(r, scope, base, GH_PORT_LDP);
        return;
    }
}

static void read_leaf(struct gh_import *im, char **words, size_t count, int line, void *ctx)
{
    struct rest r = {im, words, count, line};

    for (size_t i = 0; i + 1 < count; i++) {
        if (is(words[i], "keychain") && (i == 0 || is(words[i - 1], "keychains"))) {
            step(&r, i);
            read_chain(&r);
            return;
        }
    }
    if (is(r.words[0], "configure"))
        step(&r, 1);
    if (r.count > 2 && is(r.words[0], "router")) {
        const char *name = r.words[1];

        step(&r, 2);
        read_router(&r, name, is(name, "Base"));
    } else if (r.count > 3 && is(r.words[0], "service") && is(r.words[1], "vprn")) {
        const char *name = r.words[2];

        step(&r, 3);
        read_router(&r, name, false);
    }
}

/* ---- Pairs ---- */

static bool fits(const struct gh_import_key *send, const struct gh_import_key *receive)
{
    return receive->number >= RECEIVE && receive->number < BOTH && !receive->dropped &&
           receive->send_id == GH_IMPORT_UNSAID && send->alg == receive->alg &&
           send->mac_len == receive->mac_len && send->send.from == receive->send.from &&
           gh_secret_equal(&send->secret, &receive->secret);
}

/* The receive entry becomes a part of the key and goes. */
static void pair(struct gh_import *im, struct gh_import_chain *c, struct gh_import_key *send)
{
    for (size_t i = 0; i < c->key_count; i++) {
        struct gh_import_key *receive = &c->keys[i];

        if (!fits(send, receive))
            continue;
        send->recv_id = receive->recv_id;
        send->accept = receive->send;
        send->accept_set = receive->send_set || receive->send.until != TCPAO_TIME_MAX;
        receive->dropped = true;
        return;
    }
    gh_import_error(im, send->line, "no-pair",
                    "give both the same secret, algorithm and begin-time",
                    "the send entry %u has no receive entry like it; it is left out", send->number);
    send->dropped = true;
}

static void settle_chain(struct gh_import *im, struct gh_import_chain *c)
{
    if (!c->for_tcp && c->key_count > 0)
        gh_import_warn(im, c->line, "option-number",
                       "set tcp-option-number send and receive to tcp-ao there",
                       "without tcp-option-number tcp-ao the keychain \"%.64s\" uses the option of "
                       "an old draft, not TCP-AO",
                       c->name);
    c->for_tcp = true;
    if (c->tolerance == GH_IMPORT_UNSAID)
        c->tolerance = TOLERANCE_DEFAULT;
    for (size_t i = 0; i < c->key_count; i++) {
        struct gh_import_key *k = &c->keys[i];

        if (k->number < RECEIVE && !k->dropped)
            pair(im, c, k);
        if (k->number < RECEIVE || k->number >= BOTH)
            k->starts = k->send_set;
    }
    for (size_t i = 0; i < c->key_count; i++) {
        struct gh_import_key *k = &c->keys[i];

        if (k->number >= RECEIVE && k->number < BOTH && !k->dropped) {
            gh_import_error(im, k->line, "no-pair",
                            "give both the same secret, algorithm and begin-time",
                            "the receive entry %u has no send entry like it; it is left out",
                            k->number - RECEIVE);
            k->dropped = true;
        }
        k->number %= 1000;
    }
}

void gh_import_sr_os(struct gh_import *im, char *text)
{
    gh_import_tree(im, text, true, read_leaf, NULL);
    for (size_t i = 0; i < im->chain_count; i++)
        settle_chain(im, &im->chains[i]);
}

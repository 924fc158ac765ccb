/*
 * Juniper Junos: `security authentication-key-chains`, and BGP, LDP and RPKI sessions that use
 * them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/import_model.h"
#include "config/import_tree.h"
#include "config/lifetime.h"

enum { KEY_MAX = 63, TOLERANCE_DEFAULT = 3600 };

struct junos {
    int listen_port; /* of the local cache, or GH_IMPORT_UNSAID */
    char *zone;      /* system time-zone, where that is not UTC */
};

/* One statement's words, from the one that is looked at on. */
struct rest {
    struct gh_import *im;
    struct junos *junos;
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

/* Index of the word, or count. */
static size_t find(const struct rest *r, const char *word)
{
    size_t i = 0;

    while (i < r->count && !is(r->words[i], word))
        i++;
    return i;
}

/* ---- Keys ---- */

/* 2022-5-18.04:00, then perhaps an offset in a word of its own. Takes one or two words. */
static size_t read_start(struct rest *r, struct gh_import_key *k)
{
    const char *text = r->words[1], *why;
    char both[80];
    size_t used = 2;
    bool has_offset;

    if (r->count > 2 && (r->words[2][0] == '+' || r->words[2][0] == '-')) {
        snprintf(both, sizeof(both), "%s %s", text, r->words[2]);
        text = both;
        used = 3;
    }
    k->starts = gh_instant_parse(text, &k->send.from, &why);
    if (!k->starts) {
        gh_import_error(r->im, r->line, "lifetime", "write it by hand in the result",
                        "the start-time of key %u is not understood: %s", k->number, why);
        k->send.from = TCPAO_TIME_MIN;
        return used;
    }
    has_offset = strchr(text, '+') != NULL || strchr(text, 'Z') != NULL ||
                 strchr(text, ' ') != NULL ||
                 (strchr(text, '.') != NULL && strchr(strchr(text, '.'), '-') != NULL);
    if (!has_offset && r->junos->zone != NULL)
        gh_import_error(r->im, r->line, "local-time", "correct the lifetimes in the result",
                        "the start-time of key %u is in the router's time zone \"%.40s\"; taken as "
                        "UTC",
                        k->number, r->junos->zone);
    return used;
}

static void read_key_algorithm(struct rest *r, struct gh_import_key *k)
{
    if (is(r->words[1], "ao"))
        return;
    gh_import_warn(r->im, r->line, "not-tcp-ao", NULL,
                   "key %u is for \"%.40s\", not for TCP-AO; it is left out", k->number,
                   r->words[1]);
    k->dropped = true;
}

/* One attribute with its value. 0: not known. */
static size_t read_attribute(struct rest *r, struct gh_import_key *k)
{
    const char *name = r->words[0], *value = r->words[1];

    if (is(name, "start-time"))
        return read_start(r, k);
    if (is(name, "secret"))
        gh_import_secret(r->im, k, r->line, value);
    else if (is(name, "algorithm"))
        read_key_algorithm(r, k);
    else if (is(name, "send-id"))
        gh_import_id(r->im, r->line, name, value, &k->send_id);
    else if (is(name, "recv-id"))
        gh_import_id(r->im, r->line, name, value, &k->recv_id);
    else if (is(name, "cryptographic-algorithm"))
        gh_import_algorithm(r->im, k, r->line, value);
    else if (is(name, "tcp-ao-option"))
        k->covered = is(value, "enabled");
    else if (!is(name, "options"))
        return 0;
    return 2;
}

static void read_key(struct rest *r, struct gh_import_chain *c)
{
    struct gh_import_key *k;
    int64_t number;

    if (!gh_import_number(r->im, r->line, "key", r->words[1], KEY_MAX, &number))
        return;
    k = gh_import_key(c, (uint32_t)number, r->line);
    step(r, 2);
    while (r->count > 0) {
        size_t used = 1;

        if (!is(r->words[0], "ao-attribute"))
            used = r->count > 1 ? read_attribute(r, k) : 0;
        if (used == 0) {
            gh_import_not_carried(r->im, r->line, r->words[0]);
            return;
        }
        step(r, used);
    }
}

static void read_chain(struct rest *r)
{
    struct gh_import_chain *c = gh_import_chain(r->im, r->words[1], r->line);

    c->for_tcp = true;
    step(r, 2);
    if (r->count < 2) {
        if (r->count > 0)
            gh_import_not_carried(r->im, r->line, r->words[0]);
    } else if (is(r->words[0], "key")) {
        read_key(r, c);
    } else if (is(r->words[0], "description")) {
        gh_import_set(&c->description, r->words[1]);
    } else if (is(r->words[0], "tolerance")) {
        gh_import_number(r->im, r->line, "tolerance", r->words[1], 8640000, &c->tolerance);
    } else {
        gh_import_not_carried(r->im, r->line, r->words[0]);
    }
}

/* ---- Sessions ---- */

struct place {
    const char *protocol, *scope;
};

/* The group or neighbour named `name`, which inherits from `parent`. */
static struct gh_import_peer *node(const struct rest *r, const struct place *at, const char *parent,
                                   const char *name)
{
    char *id = gh_config_asprintf("%s %s/%s/%s", at->protocol, at->scope != NULL ? at->scope : "",
                                  parent, name);
    struct gh_import_peer *p = gh_import_peer(r->im, id, r->line);

    free(id);
    if (at->scope != NULL)
        gh_import_set(&p->vrf, at->scope);
    return p;
}

static void descend(struct gh_import_peer **p, const struct rest *r, const struct place *at,
                    const char *group, const char *name)
{
    char *parent = gh_config_strdup((*p)->id);

    *p = node(r, at, group, name);
    free((*p)->parent);
    (*p)->parent = parent;
}

static void read_allow(struct rest *r, const struct place *at, struct gh_import_peer *p,
                       const char *group)
{
    char *parent = gh_config_strdup(p->id);

    for (size_t i = 1; i < r->count; i++) {
        p = node(r, at, group, r->words[i]);
        gh_import_set(&p->parent, parent);
        gh_import_set(&p->address, r->words[i]);
        p->direction = GH_PASSIVE;
    }
    free(parent);
}

static void read_property(struct rest *r, struct gh_import_peer *p)
{
    const char *name = r->count > 0 ? r->words[0] : "", *value = r->count > 1 ? r->words[1] : "";
    int64_t port;

    if (is(name, "authentication-key-chain")) {
        gh_import_set(&p->chain, value);
        p->line = r->line;
    } else if (is(name, "authentication-algorithm")) {
        gh_import_set(&p->algorithm, value);
    } else if (is(name, "tcpao-auth-mismatch")) {
        p->mode = GH_ALLOW_WITHOUT_AO;
    } else if (is(name, "local-address") || is(name, "transport-address")) {
        gh_import_set(&p->local, value);
    } else if (is(name, "passive") || is(name, "local-cache")) {
        p->direction = GH_PASSIVE;
    } else if (is(name, "port") && gh_import_number(r->im, r->line, "port", value, 65535, &port)) {
        p->port = (int)port;
    }
}

static void read_protocol(struct rest *r, const struct place *at, int port)
{
    struct gh_import_peer *p = node(r, at, "", "");
    const char *group = "";

    if (p->port == GH_IMPORT_UNSAID)
        p->port = port;
    p->loopback = port == GH_PORT_LDP;
    step(r, 1);
    if (r->count >= 2 && (is(r->words[0], "group") || is(r->words[0], "session-group"))) {
        group = r->words[1];
        descend(&p, r, at, "", group);
        if (is(r->words[0], "session-group")) {
            gh_import_set(&p->address, group);
            p->loopback = true;
        }
        step(r, 2);
    }
    if (r->count >= 2 && (is(r->words[0], "neighbor") || is(r->words[0], "session"))) {
        const char *address = r->words[1];

        descend(&p, r, at, group, address);
        gh_import_set(&p->address, address);
        p->loopback = port == GH_PORT_LDP;
        if (is(at->protocol, "validation") && p->direction == GH_IMPORT_UNSAID)
            p->direction = GH_ACTIVE; /* the router asks; a local cache is asked */
        step(r, 2);
    }
    if (r->count >= 2 && is(r->words[0], "allow"))
        read_allow(r, at, p, group);
    else
        read_property(r, p);
}

/* ---- Statements ---- */

static void read_interface(struct rest *r)
{
    size_t at = find(r, "address");

    if (r->count > 1 && at + 1 < r->count)
        gh_import_address(r->im, r->words[1], r->words[at + 1], 128);
}

static void read_routing_options(struct rest *r, const struct place *at)
{
    int64_t port;

    if (r->count >= 3 && is(r->words[1], "router-id"))
        gh_import_set(&r->im->router_id, r->words[2]);
    if (r->count < 3 || !is(r->words[1], "validation"))
        return;
    step(r, 1);
    if (r->count >= 4 && is(r->words[1], "local-cache") && is(r->words[2], "listen-port") &&
        gh_import_number(r->im, r->line, "listen-port", r->words[3], 65535, &port))
        r->junos->listen_port = (int)port;
    else
        read_protocol(r, at, GH_IMPORT_UNSAID);
}

static bool skip_statement(struct rest *r)
{
    if (is(r->words[0], "delete") || is(r->words[0], "deactivate") || is(r->words[0], "groups") ||
        find(r, "inactive:") < r->count) {
        if (find(r, "key-chain") < r->count || find(r, "authentication-key-chain") < r->count)
            gh_import_warn(r->im, r->line, "not-active", "write it by hand if it is meant to be",
                           "a statement that is inactive, deleted or part of a group is not "
                           "carried over");
        return true;
    }
    return false;
}

static void read_leaf(struct gh_import *im, char **words, size_t count, int line, void *ctx)
{
    struct rest r = {im, ctx, words, count, line};
    struct place at = {.protocol = "bgp"};
    size_t chain;

    if (skip_statement(&r))
        return;
    chain = find(&r, "key-chain");
    if (chain + 1 < r.count &&
        (chain == 0 || is(r.words[chain - 1], "authentication-key-chains"))) {
        step(&r, chain);
        read_chain(&r);
        return;
    }
    if (r.count > 2 && is(r.words[0], "logical-systems"))
        step(&r, 2);
    if (r.count > 2 && is(r.words[0], "routing-instances")) {
        at.scope = r.words[1];
        step(&r, 2);
    }
    if (r.count > 1 && is(r.words[0], "protocols"))
        step(&r, 1);
    at.protocol = r.words[0];
    if (is(r.words[0], "bgp"))
        read_protocol(&r, &at, GH_PORT_BGP);
    else if (is(r.words[0], "ldp"))
        read_protocol(&r, &at, GH_PORT_LDP);
    else if (is(r.words[0], "routing-options")) {
        at.protocol = "validation";
        read_routing_options(&r, &at);
    } else if (is(r.words[0], "validation"))
        read_protocol(&r, &at, GH_IMPORT_UNSAID);
    else if (is(r.words[0], "router-id") && r.count > 1)
        gh_import_set(&im->router_id, r.words[1]);
    else if (is(r.words[0], "interfaces"))
        read_interface(&r);
    else if (r.count > 2 && is(r.words[0], "system") && is(r.words[1], "time-zone") &&
             !is(r.words[2], "UTC") && !is(r.words[2], "GMT"))
        gh_import_set(&r.junos->zone, r.words[2]);
}

/* RPKI-RTR has port 323 unless it is told. */
static void settle_ports(struct gh_import *im, const struct junos *j)
{
    for (size_t i = 0; i < im->peer_count; i++) {
        struct gh_import_peer *p = &im->peers[i];

        if (strncmp(p->id, "validation", 10) != 0 || p->address == NULL)
            continue;
        if (p->direction == GH_PASSIVE && j->listen_port != GH_IMPORT_UNSAID)
            p->port = j->listen_port;
        else if (p->port == GH_IMPORT_UNSAID)
            p->port = GH_PORT_RTR;
    }
}

/* What is documented to hold where nothing is said. */
static void settle_chains(struct gh_import *im)
{
    for (size_t i = 0; i < im->chain_count; i++) {
        struct gh_import_chain *c = &im->chains[i];

        if (c->tolerance == GH_IMPORT_UNSAID)
            c->tolerance = TOLERANCE_DEFAULT;
        for (size_t j = 0; j < c->key_count; j++) {
            struct gh_import_key *k = &c->keys[j];

            if (k->dropped)
                continue;
            if (!k->has_alg) {
                k->has_alg = true;
                k->alg = TCPAO_HMAC_SHA_1;
                k->mac_len = 12;
                gh_import_warn(im, k->line, "algorithm-default", "say it at both ends",
                               "key %u has no cryptographic-algorithm; taken as hmac-sha-1-96",
                               k->number);
            }
            if (k->covered != GH_IMPORT_UNSAID)
                continue;
            k->covered = false;
            gh_import_warn(im, k->line, "options-default", "say it at both ends",
                           "key %u has no tcp-ao-option, which is disabled by default in Junos: "
                           "taken as include-tcp-options = false",
                           k->number);
        }
    }
}

void gh_import_junos(struct gh_import *im, char *text)
{
    struct junos j = {.listen_port = GH_IMPORT_UNSAID};

    gh_import_tree(im, text, false, read_leaf, &j);
    settle_ports(im, &j);
    settle_chains(im);
    free(j.zone);
}

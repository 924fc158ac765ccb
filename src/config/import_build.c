/*
 * What a reader found, checked, settled, seen from the wanted end, as a configuration of ours.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/alloc.h"
#include "config/import_model.h"
#include "config/lifetime.h"
#include "config/schema.h"

enum { PARENTS_MAX = 8, VRF_MAX = 15 };

struct builder {
    struct gh_import *im;
    const struct gh_import_options *options;
    struct gh_config *config;
    size_t *origins; /* of each chain of config: its index in im */
};

/* ---- Keys ---- */

static void lacks(struct gh_import *im, struct gh_import_key *k, const char *what)
{
    gh_import_error(im, k->line, "incomplete-key", "add it there, or write the key by hand",
                    "key %u has no %s; it is left out", k->number, what);
    k->dropped = true;
}

static void check_key(struct gh_import *im, struct gh_import_key *k)
{
    if (k->dropped)
        return;
    if (k->send_id < 0)
        lacks(im, k, "send-id");
    else if (k->recv_id < 0)
        lacks(im, k, "recv-id");
    else if (!k->has_alg)
        lacks(im, k, "algorithm");
    else if (!k->has_secret)
        gh_import_error(im, k->line, "secret-missing", "write it into its secret-file (mode 0600)",
                        "key %u has no secret in this text", k->number);
}

/* A key that only starts lasts until the next one does. */
static void settle_starts(struct gh_import_chain *c)
{
    for (size_t i = 0; i < c->key_count; i++) {
        struct gh_import_key *k = &c->keys[i];

        if (k->dropped || !k->starts)
            continue;
        k->send_set = true;
        for (size_t j = 0; j < c->key_count; j++) {
            const struct gh_import_key *other = &c->keys[j];

            if (!other->dropped && other->starts && other->send.from > k->send.from &&
                other->send.from < k->send.until)
                k->send.until = other->send.from;
        }
    }
}

static char *file_name(const char *chain, uint32_t number)
{
    char *name = gh_config_asprintf("%s-%u", chain, number);

    for (char *p = name; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '-' || *p == '_' || (*p == '.' && p > name);

        if (!plain)
            *p = '_';
    }
    return name;
}

static void swap_ends(struct gh_key *k)
{
    struct tcpao_lifetime sent = k->mkt.send;
    uint8_t id = k->mkt.send_id;

    k->mkt.send_id = k->mkt.recv_id;
    k->mkt.recv_id = id;
    if (!k->accept_set)
        return;
    k->mkt.send = k->mkt.accept; /* what the router accepts is what may be sent to it */
    k->mkt.accept = sent;
    k->send_set = true;
}

/* In IOS XE BGP heeds what its neighbours say and nothing of this in the key chain. */
static bool accepts_mismatch(const struct gh_import *im, const struct gh_import_key *k, int covered)
{
    return k->accept_mismatch && (im->vendor != GH_VENDOR_IOS_XE || covered == GH_IMPORT_UNSAID);
}

static void make_key(const struct builder *b, const struct gh_import_chain *c,
                     const struct gh_import_key *from, int covered, struct gh_key *k)
{
    char *file = file_name(c->name, from->number);

    k->line = from->line;
    k->mkt.number = from->number;
    k->mkt.send_id = (uint8_t)from->send_id;
    k->mkt.recv_id = (uint8_t)from->recv_id;
    k->mkt.alg = from->alg;
    k->mkt.mac_len = from->mac_len;
    k->mkt.options_covered = covered != GH_IMPORT_UNSAID ? covered : from->covered;
    k->mkt.accept_mismatch = accepts_mismatch(b->im, from, covered);
    k->mkt.send = from->send;
    k->send_set = from->send_set;
    k->accept_set = from->accept_set && (from->accept.from != from->send.from ||
                                         from->accept.until != from->send.until);
    k->mkt.accept = k->accept_set ? from->accept : from->send;
    k->send_set = k->send_set || k->accept_set; /* "infinite", where nothing else was said */
    gh_secret_set(&k->secret, from->secret.data, from->secret.len);
    k->mkt.secret = k->secret.data;
    k->mkt.secret_len = k->secret.len;
    k->secret_hex = from->secret_hex;
    k->secret_source = gh_config_asprintf("file %s/%s", b->options->secret_dir, file);
    free(file);
    if (b->options->as_peer)
        swap_ends(k);
}

/* ---- Key chains ---- */

static int by_number(const void *a, const void *b)
{
    const struct gh_key *x = a, *y = b;

    return (x->mkt.number > y->mkt.number) - (x->mkt.number < y->mkt.number);
}

static size_t make_chain(struct builder *b, const struct gh_import_chain *from, char *name,
                         int covered)
{
    struct gh_config *c = b->config;
    struct gh_key_chain *k;

    c->chains = gh_config_grow(c->chains, c->chain_count, sizeof(*c->chains));
    k = &c->chains[c->chain_count];
    k->name = name;
    k->description = gh_config_strdup(from->description);
    k->line = from->line;
    k->tolerance =
        from->tolerance >= 0 ? (uint32_t)from->tolerance : (uint32_t)TCPAO_DEFAULT_TOLERANCE;
    k->warn_before[0] = 30 * 86400;
    k->warn_before[1] = 7 * 86400;
    k->warn_before[2] = 86400;
    k->warn_count = 3;
    for (size_t i = 0; i < from->key_count; i++) {
        if (from->keys[i].dropped)
            continue;
        k->keys = gh_config_grow(k->keys, k->key_count, sizeof(*k->keys));
        make_key(b, from, &from->keys[i], covered, &k->keys[k->key_count++]);
    }
    qsort(k->keys, k->key_count, sizeof(*k->keys), by_number);
    return c->chain_count++;
}

static bool has_keys(const struct gh_import_chain *c)
{
    for (size_t i = 0; i < c->key_count; i++) {
        if (!c->keys[i].dropped)
            return true;
    }
    return false;
}

static bool same_options(const struct gh_import *im, const struct gh_key_chain *chain,
                         const struct gh_import_chain *from, int covered)
{
    for (size_t i = 0; i < from->key_count; i++) {
        const struct gh_import_key *k = &from->keys[i];
        bool wanted = covered != GH_IMPORT_UNSAID ? covered : k->covered;

        for (size_t j = 0; j < chain->key_count && !k->dropped; j++) {
            if (chain->keys[j].mkt.number == k->number &&
                (chain->keys[j].mkt.options_covered != wanted ||
                 chain->keys[j].mkt.accept_mismatch != accepts_mismatch(im, k, covered)))
                return false;
        }
    }
    return true;
}

/* The result's chain for a session that covers options, or does not, or leaves it to the keys. Two
 * sessions that differ in this get two chains with the same secrets. */
static size_t chain_for(struct builder *b, size_t index, int covered)
{
    static const char *const suffixes[] = {"-as-keys-say", "-options-excluded", "-options-covered"};
    const struct gh_import_chain *from = &b->im->chains[index];
    struct gh_config *c = b->config;
    bool taken = false;

    for (size_t i = 0; i < c->chain_count; i++) {
        if (b->origins[i] == index && same_options(b->im, &c->chains[i], from, covered))
            return i;
        taken = taken || b->origins[i] == index;
    }
    b->origins = gh_config_grow(b->origins, c->chain_count, sizeof(*b->origins));
    b->origins[c->chain_count] = index;
    return make_chain(b, from,
                      gh_config_asprintf("%s%s", from->name, taken ? suffixes[covered + 1] : ""),
                      covered);
}

/* ---- Sessions ---- */

static const struct gh_import_peer *find_peer(const struct gh_import *im, const char *id)
{
    for (size_t i = 0; id != NULL && i < im->peer_count; i++) {
        if (strcmp(im->peers[i].id, id) == 0)
            return &im->peers[i];
    }
    return NULL;
}

/* With what its groups say; the texts still belong to them. */
static struct gh_import_peer resolve(const struct gh_import *im, const struct gh_import_peer *peer)
{
    struct gh_import_peer p = *peer;
    const struct gh_import_peer *up = find_peer(im, peer->parent);

#define TAKE_TEXT(field)   p.field = p.field != NULL ? p.field : up->field
#define TAKE_NUMBER(field) p.field = p.field != GH_IMPORT_UNSAID ? p.field : up->field
    for (int i = 0; i < PARENTS_MAX && up != NULL; i++) {
        if (p.chain == NULL)
            p.line = up->chain != NULL ? up->line : p.line;
        if (p.chain == NULL)
            p.covered = up->covered;
        TAKE_TEXT(chain);
        TAKE_TEXT(algorithm);
        TAKE_TEXT(local);
        TAKE_TEXT(source);
        TAKE_NUMBER(port);
        TAKE_NUMBER(direction);
        TAKE_NUMBER(mode);
        up = find_peer(im, up->parent);
    }
#undef TAKE_TEXT
#undef TAKE_NUMBER
    return p;
}

static bool is_loopback(const char *interface)
{
    return strncasecmp(interface, "lo", 2) == 0 || strcmp(interface, "system") == 0;
}

static const struct gh_addr *find_address(const struct gh_import *im,
                                          const struct gh_import_peer *p,
                                          const struct gh_prefix *far)
{
    const struct gh_import_address *best = NULL;

    for (size_t i = 0; i < im->address_count; i++) {
        const struct gh_import_address *a = &im->addresses[i];
        struct gh_prefix host = {.addr = a->addr, .bits = (uint8_t)a->bits};

        if (a->addr.len != far->addr.len || gh_addr_equal(&a->addr, &far->addr))
            continue;
        if (p->source != NULL ? strcasecmp(a->interface, p->source) != 0
            : p->loopback     ? !is_loopback(a->interface)
                              : !gh_prefix_contains(&host, &far->addr))
            continue;
        if (best == NULL || a->bits > best->bits)
            best = a;
    }
    return best != NULL ? &best->addr : NULL;
}

/* The router's own address in this session; len 0: it cannot be told. */
static struct gh_prefix own_address(const struct gh_import *im, const struct gh_import_peer *p,
                                    const struct gh_prefix *far)
{
    struct gh_prefix own = {0};
    const struct gh_addr *a;

    if (p->local != NULL && gh_prefix_parse(p->local, &own) && gh_prefix_is_host(&own) &&
        own.addr.len == far->addr.len)
        return own;
    own = (struct gh_prefix){0};
    a = find_address(im, p, far);
    if (a != NULL)
        own = (struct gh_prefix){.addr = *a, .bits = (uint8_t)(a->len * 8)};
    else if (p->loopback && p->source == NULL && im->router_id != NULL && far->addr.len == 4 &&
             !gh_prefix_parse(im->router_id, &own))
        own = (struct gh_prefix){0};
    return own;
}

static bool name_taken(const struct gh_config *c, const char *name)
{
    for (size_t i = 0; i < c->session_count; i++) {
        if (strcmp(c->sessions[i].name, name) == 0)
            return true;
    }
    return false;
}

static char *session_name(const struct gh_config *c, const struct gh_import_peer *p)
{
    char *name = gh_config_asprintf("%s%s%s", p->address, p->vrf != NULL ? "-" : "",
                                    p->vrf != NULL ? p->vrf : "");

    for (unsigned n = 2; name_taken(c, name); n++) {
        free(name);
        name = gh_config_asprintf("%s-%u", p->address, n);
    }
    return name;
}

static void set_vrf(struct builder *b, const struct gh_import_peer *p, struct gh_session *s)
{
    if (p->vrf == NULL || b->options->as_peer)
        return;
    if (strlen(p->vrf) > VRF_MAX || strpbrk(p->vrf, "/ \t") != NULL) {
        gh_import_error(b->im, p->line, "vrf", "add vrf = DEVICE to the session",
                        "the VRF \"%.40s\" cannot be the name of a device on Linux", p->vrf);
        return;
    }
    s->vrf = gh_config_strdup(p->vrf);
    gh_import_warn(b->im, p->line, "vrf", "correct it if the device has another name",
                   "the session stands in the VRF \"%s\": taken as the VRF device of this name",
                   p->vrf);
}

/* False: the other end of the session cannot be told. */
static bool set_ends(struct builder *b, const struct gh_import_peer *p, struct gh_session *s)
{
    static const enum gh_direction opposite[] = {GH_BOTH, GH_PASSIVE, GH_ACTIVE};
    struct gh_prefix far, own;

    if (!gh_prefix_parse(p->address, &far)) {
        gh_import_error(b->im, p->line, "address", "write the session by hand",
                        "\"%.60s\" is not the address of a neighbour", p->address);
        return false;
    }
    own = own_address(b->im, p, &far);
    s->direction = p->direction != GH_IMPORT_UNSAID ? (enum gh_direction)p->direction : GH_BOTH;
    s->peer = far;
    s->local = own;
    if (!b->options->as_peer)
        return true;
    s->direction = opposite[s->direction];
    s->peer = own;
    s->local = far.bits > 0 ? far : (struct gh_prefix){0};
    if (own.addr.len == 0)
        gh_import_error(b->im, p->line, "own-address",
                        "write the session by hand, with the router's address as its peer",
                        "the text does not tell the router's own address for the session with "
                        "%.60s",
                        p->address);
    return own.addr.len != 0;
}

static void unknown_chain(struct gh_import *im, const struct gh_import_peer *p)
{
    const char **names = gh_config_alloc(im->chain_count + 1, sizeof(*names)), *near;
    char *remedy;

    for (size_t i = 0; i < im->chain_count; i++)
        names[i] = im->chains[i].name;
    near = gh_nearest(p->chain, names);
    remedy = near != NULL ? gh_config_asprintf("did you mean \"%s\"?", near)
                          : gh_config_strdup("add the key chain to the text");
    gh_import_error(im, p->line, "unknown-chain", remedy,
                    "the session with %.60s uses a key chain \"%.64s\", which has no usable key "
                    "here",
                    p->address, p->chain);
    free(remedy);
    free(names);
}

/* Junos and BIRD say beside the chain what it is for. */
static bool is_ao(struct gh_import *im, const struct gh_import_peer *p)
{
    if (im->vendor != GH_VENDOR_JUNOS && im->vendor != GH_VENDOR_BIRD)
        return true;
    if (p->algorithm == NULL)
        gh_import_warn(im, p->line, "no-algorithm", "say ao there",
                       "the session with %.60s does not say that its keys are for TCP-AO; taken "
                       "as that",
                       p->address);
    else if (strcmp(p->algorithm, "ao") != 0)
        gh_import_warn(im, p->line, "not-tcp-ao", NULL,
                       "the session with %.60s is protected by \"%.40s\", not by TCP-AO; it is "
                       "left out",
                       p->address, p->algorithm);
    return p->algorithm == NULL || strcmp(p->algorithm, "ao") == 0;
}

static void make_session(struct builder *b, const struct gh_import_peer *peer)
{
    struct gh_import_peer p = resolve(b->im, peer);
    struct gh_session s = {.line = p.line};
    struct gh_config *c = b->config;
    size_t chain = 0;

    if (p.chain == NULL || !is_ao(b->im, &p))
        return;
    while (chain < b->im->chain_count && strcmp(b->im->chains[chain].name, p.chain) != 0)
        chain++;
    if (chain == b->im->chain_count || !has_keys(&b->im->chains[chain])) {
        unknown_chain(b->im, &p);
        return;
    }
    s.chain = chain_for(b, chain, p.covered);
    if (!set_ends(b, &p, &s))
        return;
    set_vrf(b, &p, &s);
    s.name = session_name(c, &p);
    s.port = (uint16_t)(p.port > 0 ? p.port : GH_PORT_BGP);
    s.mode = p.mode != GH_IMPORT_UNSAID ? (enum gh_mode)p.mode : GH_REQUIRED;
    c->sessions = gh_config_grow(c->sessions, c->session_count, sizeof(*c->sessions));
    c->sessions[c->session_count++] = s;
}

static bool is_made(const struct builder *b, size_t index)
{
    for (size_t i = 0; i < b->config->chain_count; i++) {
        if (b->origins[i] == index)
            return true;
    }
    return false;
}

/* A chain that only a group without neighbours, or nobody, uses. */
static void make_rest(struct builder *b)
{
    for (size_t i = 0; i < b->im->chain_count; i++) {
        struct gh_import_chain *c = &b->im->chains[i];

        if (!c->for_tcp || is_made(b, i))
            continue;
        if (has_keys(c))
            chain_for(b, i, GH_IMPORT_UNSAID);
        else
            gh_import_error(b->im, c->line, "empty-chain", NULL,
                            "the key chain \"%.64s\" has no key that could be carried over",
                            c->name);
    }
    for (size_t i = 0; i < b->im->peer_count; i++) {
        const struct gh_import_peer *p = &b->im->peers[i];
        bool used = p->address != NULL;

        for (size_t j = 0; j < b->im->peer_count && !used; j++)
            used = b->im->peers[j].parent != NULL && strcmp(b->im->peers[j].parent, p->id) == 0;
        if (p->chain != NULL && !used)
            gh_import_warn(b->im, p->line, "no-neighbour", "write a session for each neighbour",
                           "the key chain \"%.64s\" is used here without any neighbour's address",
                           p->chain);
    }
}

/* IOS XR says it with the neighbour; XE leaves options out. */
static void settle_covered(struct gh_import *im, struct gh_import_key *k)
{
    if (k->dropped || k->covered != GH_IMPORT_UNSAID)
        return;
    k->covered = im->vendor == GH_VENDOR_IOS_XR;
}

/* A chain that a session names is for TCP, whatever its own section says. */
static void mark_used(struct gh_import *im)
{
    for (size_t i = 0; i < im->peer_count; i++) {
        for (size_t j = 0; j < im->chain_count && im->peers[i].chain != NULL; j++) {
            if (strcmp(im->chains[j].name, im->peers[i].chain) == 0)
                im->chains[j].for_tcp = true;
        }
    }
}

struct gh_config *gh_import_build(struct gh_import *im, const struct gh_import_options *options)
{
    struct builder b = {
        .im = im, .options = options, .config = gh_config_alloc(1, sizeof(*b.config))};

    b.config->path = gh_config_strdup(im->file);
    mark_used(im);
    for (size_t i = 0; i < im->chain_count; i++) {
        struct gh_import_chain *c = &im->chains[i];

        for (size_t j = 0; j < c->key_count && c->for_tcp; j++) {
            check_key(im, &c->keys[j]);
            settle_covered(im, &c->keys[j]);
        }
        settle_starts(c);
    }
    for (size_t i = 0; i < im->peer_count; i++) {
        if (im->peers[i].address != NULL)
            make_session(&b, &im->peers[i]);
    }
    make_rest(&b);
    free(b.origins);
    return b.config;
}

/*
 * `tcp-ao NAME { … }`: which sessions are protected, and how.
 */
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/backend.h"
#include "config/load_session.h"

enum { DESCRIPTION_MAX = 1024, DEFAULT_PORT = 179 };

static const struct gh_item session_items[SESSION_ITEMS] = {
    [SESSION_DESCRIPTION] = {"description", GH_ITEM_VALUE},
    [SESSION_PEER] = {"peer", GH_ITEM_VALUE},
    [SESSION_LOCAL] = {"local", GH_ITEM_VALUE},
    [SESSION_PORT] = {"port", GH_ITEM_VALUE},
    [SESSION_SOURCE_PORT] = {"source-port", GH_ITEM_VALUE},
    [SESSION_DIRECTION] = {"direction", GH_ITEM_VALUE},
    [SESSION_MODE] = {"mode", GH_ITEM_VALUE},
    [SESSION_BACKEND] = {"backend", GH_ITEM_VALUE},
    [SESSION_NETNS] = {"netns", GH_ITEM_VALUE},
    [SESSION_VRF] = {"vrf", GH_ITEM_VALUE},
    [SESSION_ACCEPT_ICMP] = {"accept-icmp", GH_ITEM_VALUE},
    [SESSION_KEY_CHAIN] = {"key-chain", GH_ITEM_VALUE},
    [SESSION_IKE_PEER] = {"ike-peer", GH_ITEM_VALUE},
    [SESSION_FALLBACK] = {"fallback", GH_ITEM_VALUE},
    [SESSION_ALGORITHM] = {"algorithm", GH_ITEM_LIST},
    [SESSION_MAC_LENGTH] = {"mac-length", GH_ITEM_VALUE},
    [SESSION_TCP_OPTIONS] = {"include-tcp-options", GH_ITEM_VALUE},
    [SESSION_KE] = {"ke", GH_ITEM_LIST},
    [SESSION_ADDKE1] = {"additional-ke-1", GH_ITEM_LIST},
    [SESSION_ADDKE1 + 1] = {"additional-ke-2", GH_ITEM_LIST},
    [SESSION_ADDKE1 + 2] = {"additional-ke-3", GH_ITEM_LIST},
    [SESSION_ADDKE1 + 3] = {"additional-ke-4", GH_ITEM_LIST},
    [SESSION_ADDKE1 + 4] = {"additional-ke-5", GH_ITEM_LIST},
    [SESSION_ADDKE1 + 5] = {"additional-ke-6", GH_ITEM_LIST},
    [SESSION_ADDKE7] = {"additional-ke-7", GH_ITEM_LIST},
    [SESSION_REKEY] = {"rekey", GH_ITEM_VALUE},
    [SESSION_REKEY_BYTES] = {"rekey-bytes", GH_ITEM_VALUE},
    [SESSION_REKEY_PACKETS] = {"rekey-packets", GH_ITEM_VALUE},
    [SESSION_PATIENCE] = {"patience", GH_ITEM_VALUE},
};

/* ---- Addresses ---- */

/* The host, and the prefix with the host bits cleared, of a text such as 192.0.2.1/24. */
static char *prefix_remedy(const char *text)
{
    char host[GH_ADDR_TEXT], cleared[GH_PREFIX_TEXT];
    const char *slash = strchr(text, '/');
    struct gh_prefix p;
    char *end;
    unsigned long bits;

    if (slash == NULL || (size_t)(slash - text) >= sizeof(host))
        return NULL;
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    if (!gh_addr_parse(host, &p.addr))
        return NULL;
    bits = strtoul(slash + 1, &end, 10);
    if (*end != '\0' || end == slash + 1 || bits > p.addr.len * 8u)
        return gh_config_asprintf("a prefix length here is 0 to %u", p.addr.len * 8u);
    p.bits = (uint8_t)bits;
    for (unsigned bit = p.bits; bit < p.addr.len * 8u; bit++)
        p.addr.octets[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
    return gh_config_asprintf("write %s for the network or %s for the host",
                              gh_prefix_format(&p, cleared), host);
}

/* Addresses that no TCP session can have. */
static const char *impossible(const struct gh_prefix *p)
{
    const uint8_t *o = p->addr.octets;
    bool v4 = p->addr.len == 4;
    struct gh_prefix zero = {.addr = {.len = p->addr.len}, .bits = (uint8_t)(p->addr.len * 8)};

    if ((v4 && o[0] >= 224 && p->bits >= 4) || (!v4 && o[0] == 0xff && p->bits >= 8))
        return "a multicast or reserved address has no TCP sessions";
    if (!v4 && p->bits >= 96 && gh_addr_is_mapped(o))
        return "an IPv4 address mapped into IPv6 does not appear on the wire; write it as IPv4";
    if (gh_prefix_is_host(p) && gh_addr_equal(&p->addr, &zero.addr))
        return "this is not the address of a host";
    return NULL;
}

static bool read_prefix(struct gh_loader *l, const struct gh_node *n, struct gh_prefix *out)
{
    const char *why;
    char *remedy;

    if (n == NULL)
        return false;
    if (!gh_prefix_parse(n->values[0], out)) {
        remedy = prefix_remedy(n->values[0]);
        gh_load_error(l, n->line, "address",
                      remedy != NULL ? remedy
                                     : "write such as 192.0.2.2, 2001:db8::2 or 192.0.2.0/24",
                      "\"%s\" is not an address or prefix", n->name);
        free(remedy);
        return false;
    }
    why = impossible(out);
    if (why != NULL)
        gh_load_error(l, n->line, "address", NULL, "\"%s\": %s", n->name, why);
    return true;
}

static void read_addresses(struct gh_loader *l, const struct gh_node **got, struct gh_session *s)
{
    bool peer = read_prefix(l, got[SESSION_PEER], &s->peer);
    bool local = read_prefix(l, got[SESSION_LOCAL], &s->local);

    if (got[SESSION_PEER] == NULL)
        gh_load_error(l, s->line, "missing-option", "add peer = ADDRESS or PREFIX",
                      "the session \"%s\" has no \"peer\"", s->name);
    if (peer && local && s->peer.addr.len != s->local.addr.len)
        gh_load_error(l, got[SESSION_LOCAL]->line, "address", "write both as IPv4 or both as IPv6",
                      "\"peer\" and \"local\" are of different address families");
}

/* ---- Other options ---- */

static void read_mode(struct gh_loader *l, const struct gh_node *n, struct gh_session *s)
{
    static const char *const modes[] = {"required", "allow-without-ao", "accept-mismatch", NULL};
    unsigned mode = GH_REQUIRED;

    gh_node_choice(l, n, modes, &mode);
    s->mode = (enum gh_mode)mode;
    if (s->mode == GH_ALLOW_WITHOUT_AO)
        gh_load_warning(l, n->line, "allow-without-ao", "set mode = required when the peer has it",
                        "the session \"%s\" COMES UP WITHOUT TCP-AO if the peer has none", s->name);
    if (s->mode == GH_ACCEPT_MISMATCH)
        gh_load_warning(l, n->line, "accept-mismatch", "set mode = required as soon as you can",
                        "the session \"%s\" ACCEPTS SEGMENTS WITH A WRONG MAC: it is not protected",
                        s->name);
}

static void read_chain_reference(struct gh_loader *l, const struct gh_node *n, struct gh_session *s)
{
    const struct gh_config *c = l->config;
    const char **names, *near;
    char *remedy;

    for (s->chain = 0; s->chain < c->chain_count; s->chain++) {
        if (strcmp(c->chains[s->chain].name, n->values[0]) == 0)
            return;
    }
    names = gh_config_alloc(c->chain_count + 1, sizeof(*names));
    for (size_t i = 0; i < c->chain_count; i++)
        names[i] = c->chains[i].name;
    near = gh_nearest(n->values[0], names);
    remedy = near != NULL ? gh_config_asprintf("did you mean \"%s\"?", near)
                          : gh_config_strdup("define it with key-chain NAME { … }");
    gh_load_error(l, n->line, "unknown-chain", remedy, "there is no key chain \"%s\"",
                  n->values[0]);
    free(remedy);
    free(names);
    s->chain = 0;
}

/* Where its keys come from: of a key chain, of IKE, or of the first where the second has none. */
static void read_keys(struct gh_loader *l, const struct gh_node **got, struct gh_session *s)
{
    const struct gh_node *chain = got[SESSION_KEY_CHAIN];

    gh_node_bool(l, got[SESSION_FALLBACK], &s->fallback);
    s->chain = GH_NO_CHAIN;
    if (got[SESSION_IKE_PEER] != NULL)
        s->ike_peer = gh_config_strdup(got[SESSION_IKE_PEER]->values[0]);
    for (size_t i = SESSION_FALLBACK; s->ike_peer == NULL && i < SESSION_ITEMS; i++) {
        if (got[i] != NULL)
            gh_load_error(l, got[i]->line, "missing-option",
                          "add ike-peer = NAME, or remove it: a key chain says it in its keys",
                          "\"%s\" is for sessions whose keys IKE negotiates", got[i]->name);
    }
    if (chain != NULL && s->ike_peer != NULL && !s->fallback)
        gh_load_error(l, chain->line, "unused-chain",
                      "add fallback = yes if its keys are to be used while IKE has none, or remove "
                      "it",
                      "the session \"%s\" has an \"ike-peer\", so that its \"key-chain\" is not "
                      "used",
                      s->name);
    if (chain == NULL && s->ike_peer == NULL)
        gh_load_error(l, s->line, "missing-option", "add key-chain = NAME, or ike-peer = NAME",
                      "the session \"%s\" has no \"key-chain\"", s->name);
    if (chain == NULL && s->ike_peer != NULL && s->fallback)
        gh_load_error(l, got[SESSION_FALLBACK]->line, "missing-option",
                      "add key-chain = NAME, or remove \"fallback\"",
                      "the session \"%s\" has no \"key-chain\" to fall back to", s->name);
    if (chain != NULL && (s->ike_peer == NULL || s->fallback))
        read_chain_reference(l, chain, s);
}

/* "4000", "4000-4999" */
static void read_source_ports(struct gh_loader *l, const struct gh_node *n, struct gh_session *s)
{
    unsigned long first, last;
    char *end;

    if (n == NULL)
        return;
    first = last = strtoul(n->values[0], &end, 10);
    if (*end == '-' && end != n->values[0])
        last = strtoul(end + 1, &end, 10);
    if (*end != '\0' || strspn(n->values[0], "0123456789-") != strlen(n->values[0]) || first < 1 ||
        first > last || last > 65535) {
        gh_load_error(
            l, n->line, "range", "write such as 4000 or 4000-4999",
            "\"%s\" is a port of the side that opens, or a range of them, from 1 to 65535",
            n->name);
        return;
    }
    s->source_first = (uint16_t)first;
    s->source_last = (uint16_t)last;
}

/* ---- Sessions among each other ---- */

/* A session with ports of the side that opens goes before one without. */
static bool same_sources(const struct gh_session *a, const struct gh_session *b)
{
    return a->source_last == 0 || b->source_last == 0
               ? a->source_last == b->source_last
               : a->source_first <= b->source_last && b->source_first <= a->source_last;
}

/* The longest peer prefix wins, then the longest local one; equal ones are ambiguous. */
static bool ambiguous(const struct gh_session *a, const struct gh_session *b)
{
    bool apart = (a->direction == GH_ACTIVE && b->direction == GH_PASSIVE) ||
                 (a->direction == GH_PASSIVE && b->direction == GH_ACTIVE);

    return !apart && a->port == b->port && same_sources(a, b) &&
           gh_prefix_equal(&a->peer, &b->peer) &&
           (gh_prefix_equal(&a->local, &b->local) ||
            (a->local.addr.len == 0 && b->local.addr.len == 0)) &&
           gh_config_text_equal(a->netns, b->netns) && gh_config_text_equal(a->vrf, b->vrf);
}

static void check_others(struct gh_loader *l, const struct gh_session *s)
{
    for (size_t i = 0; i < l->config->session_count; i++) {
        const struct gh_session *other = &l->config->sessions[i];

        if (strcmp(other->name, s->name) == 0)
            gh_load_error(l, s->line, "duplicate", "give them different names",
                          "there is a session \"%s\" already, on line %d", s->name, other->line);
        else if (s->peer.addr.len != 0 && ambiguous(other, s))
            gh_load_error(
                l, s->line, "session-overlap",
                "remove one of them, or tell them apart by local, port, source-port, netns or vrf",
                "the session \"%s\" has the same peer, port and place as \"%s\" (line %d)", s->name,
                other->name, other->line);
    }
}

void gh_load_session(struct gh_loader *l, const struct gh_node *section)
{
    static const char *const directions[] = {"both", "active", "passive", NULL};
    static const char *const backends[] = {"auto", "engine", "kernel", NULL};
    const struct gh_node *got[SESSION_ITEMS];
    struct gh_session s = {.port = DEFAULT_PORT, .line = section->line};
    unsigned direction = GH_BOTH, backend = GH_BACKEND_AUTO;
    uint64_t port = DEFAULT_PORT;
    const char *text;

    gh_items_collect(l, section, session_items, SESSION_ITEMS, got);
    s.name = gh_config_strdup(gh_node_name(l, section, &text) ? text : "?");
    if (gh_node_text(l, got[SESSION_DESCRIPTION], DESCRIPTION_MAX, &text))
        s.description = gh_config_strdup(text);
    read_addresses(l, got, &s);
    gh_node_number(l, got[SESSION_PORT], 1, 65535, &port);
    s.port = (uint16_t)port;
    gh_node_choice(l, got[SESSION_DIRECTION], directions, &direction);
    s.direction = (enum gh_direction)direction;
    read_mode(l, got[SESSION_MODE], &s);
    gh_node_choice(l, got[SESSION_BACKEND], backends, &backend);
    s.backend = (enum gh_backend)backend;
    gh_node_bool(l, got[SESSION_ACCEPT_ICMP], &s.accept_icmp);
    gh_load_place(l, got[SESSION_NETNS], got[SESSION_VRF], &s.netns, &s.vrf);
    read_source_ports(l, got[SESSION_SOURCE_PORT], &s);
    read_keys(l, got, &s);
    check_others(l, &s);
    if (s.ike_peer != NULL)
        gh_load_session_ike(l, got, &s);
    l->config->sessions =
        gh_config_grow(l->config->sessions, l->config->session_count, sizeof(*l->config->sessions));
    l->config->sessions[l->config->session_count++] = s;
}

void gh_load_check_backends(struct gh_loader *l)
{
    char why[GH_BACKEND_WHY_MAX];

    for (size_t i = 0; i < l->config->session_count; i++) {
        const struct gh_session *s = &l->config->sessions[i];

        if (s->backend == GH_BACKEND_KERNEL &&
            !gh_backend_kernel_can(l->config, s, why, sizeof(why)))
            gh_load_error(l, s->line, "kernel-backend",
                          "set backend = engine, or leave it out, or change what it cannot do",
                          "the kernel cannot carry the session \"%s\": %s", s->name, why);
    }
}

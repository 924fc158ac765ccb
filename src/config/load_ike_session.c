/*
 * `tcp-ao NAME { ike-peer = PEER … }`: what IKE negotiates for a session.
 *
 * Its peer gets a child policy for the connections that we open, and one for those that the peer
 * opens; the gatekeeper gets what tells them apart.
 */
#include <stdio.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"
#include "config/ike_print.h"
#include "config/load_session.h"
#include "ike/codes.h"

enum {
    TCP = 6,
    REKEY_MIN = 10,
    REKEY_MAX = GH_LIFETIME_MAX / 3 * 2,
    REKEY_BYTES_MIN = 65536,
    REKEY_PACKETS_MIN = 1024,
    PATIENCE = 15,
    PATIENCE_MAX = 600,
    SETTLE_MS = 2000,
    PLACE_TEXT = 200
};

static const char passive_suffix[] = ":passive";

static bool wants(const struct gh_session *s, bool active)
{
    return s->direction != (active ? GH_PASSIVE : GH_ACTIVE);
}

/* ---- With whom ------------------------------------------------------------------------------ */

/* The IKE peer's policy and its place; NULL: an error was reported. */
static struct ike2_policy *find_peer(struct gh_loader *l, const struct gh_node *n, size_t *index)
{
    if (l->ike != NULL)
        return gh_ike_refer(l->ike, n, 0, "ike-peer", index) ? l->ike->ike->policies[*index] : NULL;
    gh_load_error(l, n->line, "unknown-reference", "define it with ike-peer NAME { … }",
                  "there is no ike-peer \"%.64s\"", n->values[0]);
    return NULL;
}

/* One host at each end, and the same that IKE authenticates: a peer that may come from anywhere
 * must not get a key for somebody else's address. */
static bool find_ends(struct gh_loader *l, const struct gh_node **got, const struct gh_session *s,
                      const struct ike2_policy *p, int place, struct gh_addr *local,
                      struct gh_addr *remote)
{
    const struct gh_node *at = got[SESSION_LOCAL];
    char peer[GH_PREFIX_TEXT], other[GH_PREFIX_TEXT], addr[GH_ADDR_TEXT];

    if (s->peer.addr.len == 0) /* said already */
        return false;
    if (!gh_prefix_is_host(&s->peer)) {
        gh_load_error(l, got[SESSION_PEER]->line, "ike-address",
                      "write the peer's address, and a section for each peer",
                      "the session \"%s\" is for all of %s, and keys are negotiated with one peer",
                      s->name, gh_prefix_format(&s->peer, peer));
        return false;
    }
    if (!gh_prefix_equal(&s->peer, &p->remote)) {
        gh_load_error(l, got[SESSION_PEER]->line, "ike-address",
                      "let peer and the ike-peer's remote be the same address",
                      "the session \"%s\" is with %s, but the ike-peer \"%s\" (line %d) is %s",
                      s->name, gh_prefix_format(&s->peer, peer), p->name, place,
                      p->remote.addr.len != 0 ? gh_prefix_format(&p->remote, other) : "anybody");
        return false;
    }
    *remote = s->peer.addr;
    *local = at != NULL ? s->local.addr : p->local;
    if (at != NULL && s->local.addr.len != 0 && !gh_prefix_is_host(&s->local)) {
        gh_load_error(l, at->line, "ike-address", "write this end's address",
                      "\"local\" is a prefix, and keys are negotiated for one address");
        return false;
    }
    if (at != NULL && p->local.len != 0 && !gh_addr_equal(local, &p->local)) {
        gh_load_error(l, at->line, "ike-address", "let both be the same address",
                      "\"local\" is not that of the ike-peer \"%s\" (line %d), which is %s",
                      p->name, place, gh_addr_format(&p->local, addr));
        return false;
    }
    if (local->len == 0)
        gh_load_error(l, s->line, "missing-option", "add local = ADDRESS here or to the ike-peer",
                      "the session \"%s\" has no \"local\": which of this end's addresses the key "
                      "is for has to be known",
                      s->name);
    return local->len != 0;
}

/* "namespace blue, VRF red" */
static const char *place_text(const char *netns, const char *vrf, char buf[PLACE_TEXT])
{
    snprintf(buf, PLACE_TEXT, "%s%.64s%s%.64s",
             netns != NULL ? "namespace " : "gatehoused's namespace", netns != NULL ? netns : "",
             vrf != NULL ? ", VRF " : "", vrf != NULL ? vrf : "");
    return buf;
}

/* The same addresses in another place are other hosts: those must not get each other's keys. */
static void check_place(struct gh_loader *l, const struct gh_session *s,
                        const struct ike2_policy *p, int line)
{
    const struct gh_ike_config *c = l->ike->ike;
    const struct gh_ike_zone none = {.netns = NULL},
                             *zone = p->zone > 0 ? &c->zones[p->zone - 1] : &none;
    char here[PLACE_TEXT], there[PLACE_TEXT];

    if (!gh_config_text_equal(s->netns, zone->netns) || !gh_config_text_equal(s->vrf, zone->vrf))
        gh_load_error(l, s->line, "ike-place",
                      "give the session and its ike-peer the same netns and vrf",
                      "the session \"%s\" is in %s, but the ike-peer \"%s\" (line %d) in %s",
                      s->name, place_text(s->netns, s->vrf, here), p->name, line,
                      place_text(zone->netns, zone->vrf, there));
}

static void check_ways(struct gh_loader *l, const struct gh_node **got, const struct gh_session *s,
                       const struct ike2_policy *p)
{
    if (s->mode != GH_REQUIRED)
        gh_load_error(l, got[SESSION_MODE]->line, "ike-mode", "set mode = required",
                      "a session whose keys are negotiated cannot be %s",
                      gh_config_mode_name(s->mode));
    if (p->responder_only && s->direction == GH_ACTIVE)
        gh_load_error(l, got[SESSION_DIRECTION]->line, "ike-direction",
                      "let the ike-peer initiate, or the peer open the session",
                      "this end is to open \"%s\", but never initiates IKE with \"%s\"", s->name,
                      p->name);
}

/* ---- What is negotiated --------------------------------------------------------------------- */

/* RFC 5926 couples a KDF with its MAC, and so do we; see ike/tcp_ao.h. */
static uint16_t prf_of(enum tcpao_alg alg)
{
    switch (alg) {
    case TCPAO_AES_128_CMAC:
        return IKE_PRF_AES128_CMAC;
    case TCPAO_HMAC_SHA_256:
        return IKE_PRF_HMAC_SHA2_256;
    case TCPAO_HMAC_SHA_1:
        break;
    }
    return IKE_PRF_HMAC_SHA1;
}

/* All algorithms have MACs of one length. False: an error was reported. */
static bool read_mac_length(struct gh_loader *l, const struct gh_node **got, size_t i,
                            enum tcpao_alg alg, unsigned len, uint64_t *all)
{
    const struct gh_node *n = got[SESSION_ALGORITHM];
    bool named = gh_mac_length_in_name(n->values[i]);

    if (got[SESSION_MAC_LENGTH] == NULL && i == 0)
        *all = len;
    if ((named || got[SESSION_MAC_LENGTH] == NULL) && len != *all)
        gh_load_error(l, n->value_lines[i], "mac-length",
                      "write names with the same length, as in hmac-sha-256-96",
                      "\"%s\" has MACs of %u octets, but one length, here %u octets, is agreed for "
                      "all algorithms",
                      n->values[i], len, (unsigned)*all);
    else if (*all > tcpao_mac_len_max(alg))
        gh_load_error(l, n->value_lines[i], "mac-length", "make \"mac-length\" shorter",
                      "\"%s\" makes no MACs of %u octets", n->values[i], (unsigned)*all);
    else
        return true;
    return false;
}

static void read_algorithms(struct gh_loader *l, const struct gh_node **got, struct ike_proposal *p,
                            uint8_t *mac_len)
{
    static const enum tcpao_alg usual[] = {TCPAO_AES_128_CMAC, TCPAO_HMAC_SHA_1};
    const struct gh_node *n = got[SESSION_ALGORITHM];
    enum tcpao_alg algs[3] = {usual[0], usual[1]};
    size_t count = n == NULL ? 2 : 0;
    uint64_t all = IKE_TCP_AO_MAC_LEN;
    unsigned len;

    /* 16: what the usual algorithms make */
    gh_node_number(l, got[SESSION_MAC_LENGTH], GH_MAC_MIN, n != NULL ? 32 : 16, &all);
    if (n != NULL && n->value_count == 0)
        gh_load_error(l, n->line, "range", "remove it for the default, or name some",
                      "\"%s\" has no algorithm", n->name);
    for (size_t i = 0; n != NULL && i < n->value_count; i++) {
        bool again = false;
        enum tcpao_alg alg;

        if (!tcpao_alg_parse(n->values[i], &alg, &len)) {
            gh_load_error(l, n->value_lines[i], "algorithm",
                          "write aes-128-cmac-96, hmac-sha-1-96 or hmac-sha-256-96",
                          "this algorithm, or its MAC length, is not known");
            continue;
        }
        for (size_t k = 0; k < count; k++)
            again = again || algs[k] == alg;
        if (again)
            gh_load_error(l, n->value_lines[i], "duplicate", "keep one of them",
                          "\"%s\" names one algorithm twice", n->name);
        else if (read_mac_length(l, got, i, alg, len, &all))
            algs[count++] = alg;
    }
    for (size_t i = 0; i < count; i++)
        ike_proposal_add(p, IKE_T_PRF, prf_of(algs[i]), 0);
    for (size_t i = 0; i < count; i++)
        ike_proposal_add(p, IKE_T_INTEG, ike_tcp_ao_integ(prf_of(algs[i])), 0);
    *mac_len = (uint8_t)all;
}

/* The core begins to rekey after about two thirds of a lifetime, and earlier in one of less than a
 * minute or so: the rest is for more tries. */
static struct ike2_lifetime read_lifetime(struct gh_ike_loader *x, const struct gh_node **got)
{
    const uint64_t most = UINT64_C(999999999999999999); /* what a number may have: 18 digits */
    uint32_t rekey = GH_TCP_AO_REKEY;
    struct ike2_lifetime lifetime = {.octets = 0};

    gh_ike_seconds(x, got[SESSION_REKEY], REKEY_MIN, REKEY_MAX, &rekey);
    lifetime.seconds = rekey + rekey / 2;
    gh_node_number(x->l, got[SESSION_REKEY_BYTES], REKEY_BYTES_MIN, most, &lifetime.octets);
    gh_node_number(x->l, got[SESSION_REKEY_PACKETS], REKEY_PACKETS_MIN, most, &lifetime.packets);
    return lifetime;
}

/* What both directions have in common. */
static struct ike2_child_policy read_common(struct gh_ike_loader *x, const struct gh_node **got,
                                            struct ike_sa *offer)
{
    struct ike2_child_policy child = {.mode = IKE2_TCP_AO,
                                      .tcp_ao = {.options_covered = true},
                                      .local = {.count = 1},
                                      .remote = {.count = 1}};
    struct ike_proposal *p = &offer->proposal[0];

    *p = (struct ike_proposal){.number = 1, .protocol = IKE_PROTO_TCP_AO};
    offer->count = 1;
    read_algorithms(x->l, got, p, &child.tcp_ao.mac_len);
    gh_ike_key_exchanges(x, got + SESSION_KE, p);
    p->protocol = x->ike->settings.tcp_ao_protocol;
    gh_node_bool(x->l, got[SESSION_TCP_OPTIONS], &child.tcp_ao.options_covered);
    child.lifetime = read_lifetime(x, got);
    return child;
}

/* ---- Child policies ------------------------------------------------------------------------- */

static struct ike_ts selector(const struct gh_addr *addr, uint16_t first, uint16_t last)
{
    struct ike_ts ts = ike_ts_from_range(addr, addr);

    ts.protocol = TCP;
    ts.start_port = first;
    ts.end_port = last;
    return ts;
}

static bool for_any_source(const struct ike2_child_policy *c)
{
    return c->mode == IKE2_TCP_AO &&
           (ike_ts_any_port(&c->local.ts[0]) || ike_ts_any_port(&c->remote.ts[0]));
}

/* In the order in which they are looked at: those for certain ports before those for any. */
static void add_child(struct gh_ike_loader *x, struct ike2_policy *p, struct gh_ike_place *place,
                      const struct ike2_child_policy *child, const struct ike_sa *offer, int line)
{
    size_t at = p->child_count;

    for (size_t i = 0; i < p->child_count; i++) {
        if (strcmp(p->children[i].name, child->name) != 0)
            continue;
        gh_load_error(x->l, line, "duplicate", "give them different names",
                      "\"%s\" has a child \"%s\" already, on line %d", p->name, child->name,
                      place->child_lines[i]);
        return;
    }
    if (p->child_count == IKE2_CHILDREN) {
        gh_load_error(x->l, line, "too-many-children",
                      "let one end alone open (direction), or join sessions",
                      "\"%s\" has more than %d children: of a session it needs two, or one where "
                      "one end alone opens it",
                      p->name, (int)IKE2_CHILDREN);
        return;
    }
    while (!for_any_source(child) && at > 0 && for_any_source(&p->children[at - 1]))
        at--;
    p->children = gh_config_grow(p->children, p->child_count, sizeof(*p->children));
    memmove(&p->children[at + 1], &p->children[at], (p->child_count - at) * sizeof(*p->children));
    memmove(&place->child_lines[at + 1], &place->child_lines[at],
            (p->child_count - at) * sizeof(place->child_lines[0]));
    p->children[at] = *child; /* has no proposals yet */
    gh_ike_keep_proposals(&p->children[at].proposals, offer);
    place->child_lines[at] = line;
    p->child_count++;
}

static void add_children(struct gh_ike_loader *x, const struct gh_session *s, size_t peer,
                         struct ike2_child_policy *child, const struct ike_sa *offer,
                         const struct gk_policy *gk)
{
    const struct ike_ts local = selector(&gk->local, gk->source_first, gk->source_last);
    const struct ike_ts remote = selector(&gk->remote, gk->source_first, gk->source_last);
    struct ike2_policy *p = x->ike->policies[peer];
    struct gh_ike_place *place = &x->ike->places[peer];

    if (wants(s, true)) {
        memcpy(child->name, gk->active, sizeof(child->name));
        child->local.ts[0] = local;
        child->remote.ts[0] = selector(&gk->remote, gk->port, gk->port);
        add_child(x, p, place, child, offer, s->line);
    }
    if (wants(s, false)) {
        memcpy(child->name, gk->passive, sizeof(child->name));
        child->local.ts[0] = selector(&gk->local, gk->port, gk->port);
        child->remote.ts[0] = remote;
        add_child(x, p, place, child, offer, s->line);
    }
}

/* ---- The gatekeeper's part ------------------------------------------------------------------ */

static void reserve_ids(const struct gh_key_chain *chain, struct gk_policy *gk)
{
    for (size_t i = 0; i < chain->key_count; i++) {
        const struct tcpao_mkt *m = &chain->keys[i].mkt;

        gk->static_send[m->send_id / 8] |= (uint8_t)(1u << m->send_id % 8);
        gk->static_recv[m->recv_id / 8] |= (uint8_t)(1u << m->recv_id % 8);
    }
}

static bool name_children(struct gh_loader *l, const struct gh_session *s, struct gk_policy *gk)
{
    if (strlen(s->name) + strlen(passive_suffix) > IKE2_NAME) {
        gh_load_error(l, s->line, "name-length", "choose a shorter name",
                      "the name of a session whose keys are negotiated has at most %d characters",
                      (int)(IKE2_NAME - strlen(passive_suffix)));
        return false;
    }
    (void)snprintf(gk->name, sizeof(gk->name), "%s", s->name);
    if (wants(s, true))
        (void)snprintf(gk->active, sizeof(gk->active), "%s", s->name);
    if (wants(s, false))
        (void)snprintf(gk->passive, sizeof(gk->passive), "%s%s", s->name, passive_suffix);
    return true;
}

void gh_load_session_ike(struct gh_loader *l, const struct gh_node **got, struct gh_session *s)
{
    struct gk_policy gk = {.port = s->port,
                           .source_first = s->source_first,
                           .source_last = s->source_last != 0 ? s->source_last : UINT16_MAX,
                           .fallback = s->fallback,
                           .settle_ms = SETTLE_MS};
    uint64_t patience = PATIENCE;
    struct gh_ike_config *c;
    struct ike2_child_policy child;
    struct ike2_policy *p;
    struct ike_sa offer;
    size_t peer;

    s->ike_text = gh_ike_options_text(got + SESSION_ALGORITHM, SESSION_ITEMS - SESSION_ALGORITHM);
    p = find_peer(l, got[SESSION_IKE_PEER], &peer);
    if (p == NULL)
        return;
    c = l->ike->ike;
    child = read_common(l->ike, got, &offer);
    s->ike_mac_len = child.tcp_ao.mac_len;
    check_place(l, s, p, c->places[peer].line);
    check_ways(l, got, s, p);
    gh_node_number(l, got[SESSION_PATIENCE], 1, PATIENCE_MAX, &patience);
    gk.patience_ms = (uint32_t)patience * 1000;
    memcpy(gk.ike, p->name, sizeof(gk.ike));
    if (p->backup_count > 0)
        gh_load_error(l, s->line, "session-ike-backup", "give it an ike-peer without backup",
                      "the keys of a session are made between its own two ends, and the ike-peer "
                      "\"%s\" has other gateways",
                      p->name);
    if (!find_ends(l, got, s, p, c->places[peer].line, &gk.local, &gk.remote) ||
        !name_children(l, s, &gk))
        return;
    if (s->chain < l->config->chain_count) /* also not, where an unknown one is named */
        reserve_ids(&l->config->chains[s->chain], &gk);
    add_children(l->ike, s, peer, &child, &offer, &gk);
    c->sessions = gh_config_grow(c->sessions, c->session_count, sizeof(*c->sessions));
    c->sessions[c->session_count++] = gk;
}

/*
 * Tables as the engine sees them: a listener has one flow for each peer that its keys name, whose
 * chain holds all keys that cover that peer; a connecting socket has one flow with both ports.
 *
 * The engine takes the flow with the longest prefix, so that a segment finds all its keys there.
 */
#include "emulate/emulate_priv.h"

#include <stdio.h>
#include <stdlib.h>

/* Keys of other VRFs than the socket's are out of play. */
static bool in_play(const struct emu_table *t, const struct emu_key *k)
{
    if ((k->scope.flags & EMU_KEYF_IFINDEX) && k->scope.ifindex != t->vrf)
        return false;
    return t->flow_local.len == 0 || t->flow_local.len == k->scope.addr.len;
}

static bool covers(const struct emu_scope *s, const struct gh_prefix *peer)
{
    return s->addr.len == peer->addr.len && s->bits <= peer->bits &&
           gh_bits_equal(s->addr.octets, peer->addr.octets, s->bits);
}

static bool same_peer(const struct emu_scope *a, const struct emu_scope *b)
{
    return a->bits == b->bits && gh_addr_equal(&a->addr, &b->addr);
}

/* `newest` knows peers with their VRFs: keys of one peer for several VRFs are compared one by one.
 */
static bool said_before(const struct emu_table *t, const struct emu_key *k)
{
    const struct emu_key *other = t->keys;

    if (!k->newest)
        return true;
    if (t->vrf_keys == 0)
        return false;

    while (other != k && !(in_play(t, other) && same_peer(&other->scope, &k->scope)))
        other = other->next;
    return other != k;
}

/* ao_required: whoever is named by no key is refused. */
static void each_unnamed_family(const struct emu_table *t,
                                void (*fn)(void *ctx, const struct gh_prefix *peer), void *ctx)
{
    for (unsigned len = 4; len <= 16; len += 12) {
        const struct gh_prefix any = {.addr.len = (uint8_t)len};
        const struct emu_key *k = t->keys;

        if (t->flow_local.len != 0 ? t->flow_local.len != len
                                   : (len == 16 ? !t->ipv6 : t->ipv6 && t->v6only))
            continue;
        while (k != NULL && !(in_play(t, k) && k->scope.bits == 0 && k->scope.addr.len == len))
            k = k->next;
        if (k == NULL)
            fn(ctx, &any);
    }
}

void emu_each_peer(const struct emu_table *t, void (*fn)(void *ctx, const struct gh_prefix *peer),
                   void *ctx)
{
    if (t->role == EMU_CONNECTS && t->remote.addr_len != 0) {
        const struct gh_prefix peer = {.addr = gh_addr_from(t->remote.addr, t->remote.addr_len),
                                       .bits = (uint8_t)(8 * t->remote.addr_len)};

        fn(ctx, &peer);
    }
    if (t->role != EMU_LISTENS)
        return;
    for (const struct emu_key *k = t->keys; k != NULL; k = k->next) {
        const struct gh_prefix peer = {.addr = k->scope.addr, .bits = k->scope.bits};

        if (in_play(t, k) && !said_before(t, k))
            fn(ctx, &peer);
    }
    if (t->ao_required)
        each_unnamed_family(t, fn, ctx);
}

/* Whom the listener has no key for: what comes with the option is counted at the socket. */
static void each_other_family(const struct emu_table *t,
                              void (*fn)(void *ctx, const struct gh_prefix *peer), void *ctx)
{
    if (t->role == EMU_LISTENS && !t->ao_required)
        each_unnamed_family(t, fn, ctx);
}

/* ---- Chains --------------------------------------------------------------------------------- */

/* False: no memory. A key whose ids another one has is left out: Linux finds the first in the list.
 * (It takes keys with equal ids for one peer only if they are of different VRFs.) */
static bool add_key(struct tcpao_chain *chain, const struct emu_key *k, uint32_t number)
{
    static const uint8_t empty[1]; /* HMAC fills a short key up with zeros */
    const struct tcpao_mkt mkt = {.number = number,
                                  .send_id = k->send_id,
                                  .recv_id = k->recv_id,
                                  .alg = k->alg,
                                  .mac_len = k->mac_len,
                                  .options_covered = !(k->scope.flags & EMU_KEYF_EXCLUDE_OPT),
                                  .send = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .secret = k->key_len > 0 ? k->key : empty,
                                  .secret_len = k->key_len > 0 ? k->key_len : sizeof(empty)};
    enum tcpao_chain_result r = tcpao_chain_add(chain, &mkt, NULL);

    return r == TCPAO_CHAIN_OK || r == TCPAO_CHAIN_SEND_ID_IN_USE ||
           r == TCPAO_CHAIN_RECV_ID_IN_USE;
}

struct tcpao_chain *emu_chain_of(const struct emu_table *t)
{
    struct tcpao_chain *chain = tcpao_chain_new(0);

    for (const struct emu_key *k = t->keys; chain != NULL && k != NULL; k = k->next) {
        if (!add_key(chain, k, k->number)) {
            tcpao_chain_put(chain);
            chain = NULL;
        }
    }
    return chain;
}

static struct tcpao_chain *make_chain(const struct emu_table *t, const struct gh_prefix *peer)
{
    struct tcpao_chain *chain = tcpao_chain_new(0);

    for (const struct emu_key *k = t->keys; chain != NULL && k != NULL; k = k->next) {
        if (in_play(t, k) && covers(&k->scope, peer) && !add_key(chain, k, emu_turned(k->number))) {
            tcpao_chain_put(chain);
            chain = NULL;
        }
    }
    return chain;
}

/* ---- Chains that stay the same ---- */

static size_t chain_slot(const struct emu_table *t, const struct gh_prefix *peer)
{
    uint64_t h = peer->bits;

    for (size_t i = 0; i < peer->addr.len; i++)
        h = (h ^ peer->addr.octets[i]) * 0x100000001b3u;
    return (h ^ h >> 32) & t->chain_mask;
}

void emu_chains_clear(struct emu_table *t)
{
    for (size_t i = 0; t->chains != NULL && i <= t->chain_mask; i++) {
        for (struct emu_chain *c = t->chains[i], *next; c != NULL; c = next) {
            next = c->next;
            tcpao_chain_put(c->chain);
            free(c);
        }
    }
    free(t->chains);
    t->chains = NULL;
    t->chain_mask = t->chain_count = 0;
}

static void forget_slot(struct emu_table *t, size_t slot, const struct emu_scope *scope)
{
    for (struct emu_chain **at = &t->chains[slot], *c; (c = *at) != NULL;) {
        if (!covers(scope, &c->peer)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        tcpao_chain_put(c->chain);
        free(c);
        t->chain_count--;
    }
}

void emu_chains_forget(struct emu_table *t, const struct emu_scope *scope)
{
    const struct gh_prefix peer = {.addr = scope->addr, .bits = scope->bits};

    if (t->chains == NULL)
        return;
    if (gh_prefix_is_host(&peer)) {
        forget_slot(t, chain_slot(t, &peer), scope);
        return;
    }
    for (size_t i = 0; i <= t->chain_mask; i++)
        forget_slot(t, i, scope);
}

/* Room for one more. False: no memory. */
static bool reserve_chain(struct emu_table *t)
{
    size_t mask = t->chains == NULL ? 15 : 2 * t->chain_mask + 1, was = t->chain_mask;
    struct emu_chain **old = t->chains, **slots;

    if (old != NULL && t->chain_count <= t->chain_mask)
        return true;
    slots = calloc(mask + 1, sizeof(struct emu_chain *));
    if (slots == NULL)
        return false;
    t->chains = slots;
    t->chain_mask = mask;
    for (size_t i = 0; old != NULL && i <= was; i++) {
        for (struct emu_chain *c = old[i], *next; c != NULL; c = next) {
            struct emu_chain **at = &slots[chain_slot(t, &c->peer)];

            next = c->next;
            c->next = *at;
            *at = c;
        }
    }
    free(old);
    return true;
}

/* A reference for the caller. NULL: no memory. */
static struct tcpao_chain *chain_for_peer(struct emu_table *t, const struct gh_prefix *peer)
{
    struct emu_chain *c;

    if (t->chain_vrf != t->vrf || t->chain_family != t->local.addr_len)
        emu_chains_clear(t);
    t->chain_vrf = t->vrf;
    t->chain_family = t->local.addr_len;
    if (!reserve_chain(t))
        return NULL;
    for (c = t->chains[chain_slot(t, peer)]; c != NULL; c = c->next)
        if (c->peer.bits == peer->bits && gh_addr_equal(&c->peer.addr, &peer->addr))
            return tcpao_chain_get(c->chain);
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->peer = *peer;
    c->chain = make_chain(t, peer);
    if (c->chain == NULL) {
        free(c);
        return NULL;
    }
    c->next = t->chains[chain_slot(t, peer)];
    t->chains[chain_slot(t, peer)] = c;
    t->chain_count++;
    return tcpao_chain_get(c->chain);
}

/* ---- The engine's flows --------------------------------------------------------------------- */

struct flow_list {
    struct emu_table *table;
    struct ao_socket_flow *flows;
    size_t count, room;
    char name[EMU_TEXT + GH_ADDR_TEXT + 16];
    bool others, failed;
};

static void put_flow(void *ctx, const struct gh_prefix *peer)
{
    struct flow_list *l = ctx;
    struct emu_table *t = l->table;
    bool connects = t->role == EMU_CONNECTS;
    struct ao_socket_flow *more, *f;

    if (l->failed)
        return;
    if (l->count == l->room) {
        more = realloc(l->flows, (2 * l->room + 4) * sizeof(*more));
        if (more == NULL) {
            l->failed = true;
            return;
        }
        l->flows = more;
        l->room = 2 * l->room + 4;
    }
    f = &l->flows[l->count];
    *f = (struct ao_socket_flow){.owner = t->cookie,
                                 .zone = t->zone,
                                 .zone_name = t->zone_name,
                                 .name = l->name,
                                 .peer = *peer,
                                 .local = t->flow_local,
                                 .local_port = t->local.port,
                                 .others = l->others,
                                 .accept_icmp = t->accept_icmps};
    f->chain = connects ? emu_chain_of(t) : chain_for_peer(t, peer);
    if (f->chain == NULL) {
        l->failed = true;
        return;
    }
    if (connects) {
        f->remote_port = t->remote.port;
        f->current_known = t->current_known;
        f->rnext_known = t->rnext_known;
        f->current_key = t->current;
        f->rnext_key = t->rnext;
    }
    l->count++;
}

static void name_flow(struct flow_list *l)
{
    const struct emu_table *t = l->table;
    char addr[GH_ADDR_TEXT] = "*";

    if (t->role == EMU_CONNECTS && t->remote.addr_len != 0) {
        struct gh_addr a = gh_addr_from(t->remote.addr, t->remote.addr_len);

        gh_addr_format(&a, addr);
        snprintf(l->name, sizeof(l->name), a.len == 4 ? "%s %s:%u" : "%s [%s]:%u", t->program, addr,
                 t->remote.port);
        return;
    }
    snprintf(l->name, sizeof(l->name), "%s %s:%u", t->program, addr, t->local.port);
}

bool emu_flows_update(struct emu *e, struct gh_now now, struct emu_table *t)
{
    struct flow_list l = {.table = t};
    bool ok;

    if (t->has_ao && !t->child && t->local.port != 0) {
        name_flow(&l);
        emu_each_peer(t, put_flow, &l);
        l.others = true;
        each_other_family(t, put_flow, &l);
    }
    emu_fold_counters(e, t);
    ok = !l.failed && ((l.count == 0 && !t->flowing) ||
                       ao_engine_set_socket(e->settings.engine, now, t->cookie, l.flows, l.count));
    if (ok && (l.count > 0 || t->flowing)) {
        t->flowing = l.count > 0;
        e->settings.flows_changed(e->settings.ctx, t->zone);
    }
    emu_unfold_counters(e, t);
    for (size_t i = 0; i < l.count; i++)
        tcpao_chain_put(l.flows[i].chain);
    free(l.flows);
    return ok;
}

/* ---- The firewall's flows ------------------------------------------------------------------- */

struct rule_writer {
    const struct emu *emu;
    uint16_t zone;
    const struct emu_table *table;
    void (*fn)(void *ctx, const struct emu_flow *flow);
    void *ctx;
};

static void write_rule(void *ctx, const struct gh_prefix *peer)
{
    struct rule_writer *w = ctx;
    const struct emu_table *t = w->table;
    struct emu_flow flow = {.peer = *peer, .local = t->flow_local, .local_port = t->local.port};

    if (t->role == EMU_CONNECTS)
        flow.remote_port = t->remote.port;
    w->fn(w->ctx, &flow);
}

static void write_rules_of(void *ctx, struct emu_table *t)
{
    struct rule_writer *w = ctx;

    if (t->zone != w->zone || !t->flowing)
        return;
    w->table = t;
    emu_each_peer(t, write_rule, w);
}

/* Connections outlive the flow under which they began: a listener that is closed, late segments. */
static void write_connection(void *ctx, const struct ao_connection_view *view)
{
    struct rule_writer *w = ctx;
    struct emu_flow flow;

    if (!view->flow_gone || view->zone != w->zone)
        return;
    flow = (struct emu_flow){.peer.addr = gh_addr_from(view->remote.addr, view->remote.addr_len),
                             .peer.bits = (uint8_t)(8 * view->remote.addr_len),
                             .local = gh_addr_from(view->local.addr, view->local.addr_len),
                             .local_port = view->local.port,
                             .remote_port = view->remote.port};
    w->fn(w->ctx, &flow);
}

void emu_each_flow(const struct emu *e, uint16_t zone,
                   void (*fn)(void *ctx, const struct emu_flow *flow), void *ctx)
{
    struct rule_writer w = {.emu = e, .zone = zone, .fn = fn, .ctx = ctx};

    emu_each_table(e, write_rules_of, &w);
    ao_engine_each_connection(e->settings.engine, write_connection, &w);
}

#include "gk_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/unused.h"

enum { BGP = 179, STEP_MS = 10, LOOK_MS = 1000 };

/* ---- What the gatekeeper wants ----------------------------------------------------------------
 */

static struct gk_wish *wish(struct gk_end *e)
{
    if (e->wish_count == sizeof(e->wishes) / sizeof(e->wishes[0]))
        abort();
    return &e->wishes[e->wish_count++];
}

static void on_acquire(void *ctx, const char *policy, const char *child, const struct ike_ts *local,
                       const struct ike_ts *remote)
{
    struct gk_wish *w = wish(ctx);

    *w = (struct gk_wish){.kind = WISH_ACQUIRE, .local = *local, .remote = *remote};
    snprintf(w->policy, sizeof(w->policy), "%s", policy);
    snprintf(w->child, sizeof(w->child), "%s", child);
}

static void on_retire(void *ctx, uint32_t child)
{
    *wish(ctx) = (struct gk_wish){.kind = WISH_RETIRE, .id = child};
}

static void on_renew(void *ctx, const char *policy)
{
    struct gk_wish *w = wish(ctx);

    *w = (struct gk_wish){.kind = WISH_RENEW};
    snprintf(w->policy, sizeof(w->policy), "%s", policy);
}

static void on_key(void *ctx, const char *session, const struct tcpao_mkt *key, uint64_t left_ms)
{
    struct gk_end *e = ctx;

    if (tcpao_chain_add(e->chain, key, NULL) != TCPAO_CHAIN_OK)
        snprintf(e->world->wrong, sizeof(e->world->wrong), "key %u cannot be added", key->number);
    e->release = true;
}

static void on_rank(void *ctx, const char *session, const struct tcpao_mkt *key)
{
    struct gk_end *e = ctx;

    tcpao_chain_set_lifetimes(e->chain, key->number, key->send, key->accept);
}

static void on_remove_key(void *ctx, const char *session, uint32_t number)
{
    struct gk_end *e = ctx;

    tcpao_chain_remove(e->chain, number);
}

static void on_fallback(void *ctx, const char *session, bool on)
{
    struct gk_end *e = ctx;

    e->fallback = on;
}

static void on_used(void *ctx, uint32_t child, uint64_t octets, uint64_t segments)
{
    struct gk_wish *w = wish(ctx);

    w->kind = WISH_USED;
    w->id = child;
    w->octets = octets;
    w->segments = segments;
}

static void on_event(void *ctx, const struct gk_event *event)
{
    struct gk_end *e = ctx;

    e->events[event->kind]++;
    snprintf(e->last, sizeof(e->last), "%s", event->text);
    if (e->world->ike->verbose)
        printf("%8llu end %d %s: %s\n", (unsigned long long)e->world->ike->now.mono_ms,
               (int)(e - e->world->end), gk_event_name(event->kind), event->text);
}

static void on_random(void *ctx, void *out, size_t len)
{
    struct gk_end *e = ctx;

    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)ike_world_random(e->world->ike, 256);
}

/* ---- What the core and the engine say ---------------------------------------------------------
 */

static struct gh_now now_of(const struct gk_end *e)
{
    return ike_world_now(e->host);
}

static bool installs(struct ike_host *h, const struct ike2_child_view *v)
{
    struct gk_end *e = h->hooks_ctx;

    return gk_child_installed(e->gk, now_of(e), v);
}

static void removes(struct ike_host *h, uint32_t id, enum ike2_removal why)
{
    struct gk_end *e = h->hooks_ctx;

    gk_child_removed(e->gk, now_of(e), id, why);
}

static bool spi(struct ike_host *h, const struct ike2_child_policy *p, uint8_t *out, size_t len)
{
    struct gk_end *e = h->hooks_ctx;

    return len == 1 && gk_child_spi(e->gk, now_of(e), p->name, out);
}

static void hears(struct ike_host *h, const struct ike2_event *event)
{
    struct gk_end *e = h->hooks_ctx;

    if (event->kind == IKE2_EVENT_SA_FAILED || event->kind == IKE2_EVENT_CHILD_FAILED)
        gk_failed(e->gk, now_of(e), event->policy, event->text);
}

static void needs(struct side *s)
{
    struct gk_end *e = s->need_ctx;

    gk_need(e->gk, now_of(e), "peer");
}

static void unused(void *ctx, uint32_t number)
{
    struct gk_end *e = ctx;

    gk_key_unused(e->gk, now_of(e), "peer", number);
}

/* ---- Made -------------------------------------------------------------------------------------
 */

static struct ike_ts tcp(const struct ike_host *h, uint16_t first, uint16_t last)
{
    struct ike_ts ts = ike_ts_from_range(&h->addr, &h->addr);

    ts.protocol = 6;
    ts.start_port = first;
    ts.end_port = last;
    return ts;
}

static void add_child(struct ike_world *w, size_t i, const char *name, bool active,
                      struct ike2_lifetime lifetime)
{
    struct ike2_policy *p = w->hosts[i].policies[0];
    struct ike_sa offer;
    struct ike2_child_policy *child = p->child_count == 1 && p->children[0].mode == IKE2_TUNNEL
                                          ? &p->children[0]
                                          : ike_world_child(p, i, !i, p->child_count);

    snprintf(child->name, sizeof(child->name), "%s", name);
    child->mode = IKE2_TCP_AO;
    child->tcp_ao = (struct ike_tcp_ao){.mac_len = 12, .options_covered = true};
    child->lifetime = lifetime;
    ike2_default_proposals(IKE_PROTO_TCP_AO, &offer);
    if (!ike_proposals_set(&child->proposals, &offer))
        abort();
    child->local = child->remote = (struct ike_ts_list){.count = 1};
    child->local.ts[0] = tcp(&w->hosts[i], active ? 0 : BGP, active ? 65535 : BGP);
    child->remote.ts[0] = tcp(&w->hosts[!i], active ? BGP : 0, active ? BGP : 65535);
}

static void start_gk(struct gk_end *e)
{
    const struct gk_ops ops = {.ctx = e,
                               .random = on_random,
                               .install = on_key,
                               .rank = on_rank,
                               .remove = on_remove_key,
                               .fallback = on_fallback,
                               .acquire = on_acquire,
                               .retire = on_retire,
                               .renew = on_renew,
                               .used = on_used,
                               .event = on_event};
    struct gk_policy p = {.name = "peer",
                          .active = "active",
                          .passive = "passive",
                          .local = e->host->addr,
                          .remote = e->world->ike->hosts[e == &e->world->end[0]].addr,
                          .port = BGP,
                          .source_last = 65535,
                          .patience_ms = 10000,
                          .settle_ms = 2000};

    snprintf(p.ike, sizeof(p.ike), "%s", e->host->policies[0]->name);
    e->gk = gk_new(&ops);
    e->wish_count = 0;
    if (e->gk == NULL || !gk_set_policies(e->gk, now_of(e), &p, 1))
        abort();
}

struct gk_world *gk_world_new(uint64_t seed, struct ike2_lifetime lifetime)
{
    struct gk_world *w = calloc(1, sizeof(*w));

    if (w == NULL)
        abort();
    w->tcp = world_new(seed, false);
    w->ike = ike_world_new(seed, 2);
    w->ike->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    w->tcp->side[0].tcp.segment = w->tcp->side[1].tcp.segment = 1400;
    for (size_t i = 0; i < 2; i++)
        ike_world_policy(w->ike, i, !i);
    for (size_t i = 0; i < 2; i++) {
        struct gk_end *e = &w->end[i];

        *e = (struct gk_end){.world = w,
                             .side = &w->tcp->side[i],
                             .host = &w->ike->hosts[i],
                             .chain = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE)};
        if (e->chain == NULL)
            abort();
        add_child(w->ike, i, "active", true, lifetime);
        add_child(w->ike, i, "passive", false, lifetime);
        e->host->installs = installs;
        e->host->removes = removes;
        e->host->spi = spi;
        e->host->hears = hears;
        e->host->hooks_ctx = e;
        e->side->need = needs;
        e->side->need_ctx = e;
        side_protect_negotiated(e->side, e->chain, "negotiated");
        start_gk(e);
    }
    for (size_t i = 0; i < 2; i++)
        ike_world_configure(w->ike, i);
    return w;
}

void gk_world_free(struct gk_world *w)
{
    for (size_t i = 0; i < 2; i++)
        gk_free(w->end[i].gk);
    world_free(w->tcp);
    ike_world_free(w->ike);
    for (size_t i = 0; i < 2; i++)
        tcpao_chain_put(w->end[i].chain);
    free(w);
}

/* ---- Time passes ------------------------------------------------------------------------------
 */

uint64_t gk_world_now(const struct gk_world *w)
{
    return w->tcp->now_ms;
}

static void grant(struct gk_end *e)
{
    for (size_t i = 0; i < e->wish_count; i++) {
        const struct gk_wish w = e->wishes[i];
        struct ike2 *core = e->host->core;

        if (w.kind == WISH_ACQUIRE)
            ike2_acquire(core, now_of(e), w.policy, w.child, &w.local, &w.remote);
        else if (w.kind == WISH_RETIRE)
            ike2_retire_child(core, now_of(e), w.id);
        else if (w.kind == WISH_USED)
            ike2_child_used(core, now_of(e), w.id, w.octets, w.segments, false);
        else
            ike2_renew(core, now_of(e), w.policy);
    }
    e->wish_count = 0;
}

static void tell_usage(void *ctx, const struct ao_session_view *v)
{
    struct gk_end *e = ctx;

    for (size_t i = 0; i < v->key_count; i++)
        gk_key_used(e->gk, "peer", v->keys[i].number, v->keys[i].octets,
                    v->keys[i].good_in + v->keys[i].out);
}

static void look(struct gk_end *e)
{
    bool up = e->side->tcp.state == TOY_ESTABLISHED;

    if (up != e->up)
        gk_connection(e->gk, now_of(e), "peer", up);
    e->up = up;
    gk_each_unused(e->side->engine, "peer", e->chain, side_now(e->side).wall, unused, e);
    ao_engine_each_session(e->side->engine, tell_usage, e);
}

void gk_world_run(struct gk_world *w, uint64_t ms)
{
    for (uint64_t end = w->tcp->now_ms + ms; w->tcp->now_ms < end && w->wrong[0] == '\0';) {
        bool looks;

        world_run(w->tcp, w->tcp->now_ms + STEP_MS);
        ike_world_run(w->ike, STEP_MS);
        if (w->ike->wrong[0] != '\0')
            snprintf(w->wrong, sizeof(w->wrong), "%s", w->ike->wrong);
        looks = w->tcp->now_ms >= w->next_look;
        if (looks)
            w->next_look = w->tcp->now_ms + LOOK_MS;
        for (size_t i = 0; i < 2; i++) {
            struct gk_end *e = &w->end[i];

            if (looks)
                look(e);
            if (gk_next_deadline(e->gk) <= now_of(e).mono_ms)
                gk_tick(e->gk, now_of(e));
            grant(e);
            if (e->release)
                side_release(e->side);
            e->release = false;
        }
    }
}

void gk_world_restart_ike(struct gk_world *w, size_t i)
{
    struct gk_end *e = &w->end[i];

    gk_free(e->gk);
    start_gk(e);
    for (size_t k = 0; k < tcpao_chain_count(e->chain); k++)
        gk_known(e->gk, now_of(e), "peer", tcpao_chain_at(e->chain, k), 0);
    if (e->up)
        gk_connection(e->gk, now_of(e), "peer", true);
    ike_world_restart(w->ike, i);
}

void gk_world_restart_engine(struct gk_world *w, size_t i)
{
    struct gk_end *e = &w->end[i];

    side_restart(e->side);
    tcpao_chain_put(e->chain);
    e->chain = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE);
    if (e->chain == NULL)
        abort();
    gk_engine_started(e->gk, now_of(e));
    if (e->up)
        gk_connection(e->gk, now_of(e), "peer", true);
    side_protect_negotiated(e->side, e->chain, "negotiated");
}

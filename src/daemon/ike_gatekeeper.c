#include "daemon/ike_gatekeeper.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/channel.h"
#include "daemon/gk_messages.h"

/* What is wanted of the IKE core. */
struct wish {
    struct wish *next;
    enum { ACQUIRE, RETIRE, RENEW, USED } kind;
    char policy[IKE2_NAME + 1], child[IKE2_NAME + 1];
    struct ike_ts local, remote;
    uint32_t id;
    uint64_t octets, segments;
};

struct gh_ike_gatekeeper {
    uv_loop_t *loop;
    const struct gh_ike_gatekeeper_ops *ops;
    void *ctx;
    struct gk *core;
    struct gh_channel *channel; /* NULL: the engine is away */
    struct wish *wishes, **end;
};

/* ---- Wishes -----------------------------------------------------------------------------------
 */

static struct wish *wish(struct gh_ike_gatekeeper *g, int kind)
{
    struct wish *w = calloc(1, sizeof(*w));

    if (w == NULL) { /* the core asks again when nothing comes of it */
        gh_error("the gatekeeper: no memory");
        return NULL;
    }
    w->kind = kind;
    *g->end = w;
    g->end = &w->next;
    return w;
}

static void on_acquire(void *ctx, const char *policy, const char *child, const struct ike_ts *local,
                       const struct ike_ts *remote)
{
    struct wish *w = wish(ctx, ACQUIRE);

    if (w == NULL)
        return;
    snprintf(w->policy, sizeof(w->policy), "%s", policy);
    snprintf(w->child, sizeof(w->child), "%s", child);
    w->local = *local;
    w->remote = *remote;
}

static void on_retire(void *ctx, uint32_t child)
{
    struct wish *w = wish(ctx, RETIRE);

    if (w != NULL)
        w->id = child;
}

static void on_renew(void *ctx, const char *policy)
{
    struct wish *w = wish(ctx, RENEW);

    if (w != NULL)
        snprintf(w->policy, sizeof(w->policy), "%s", policy);
}

static void on_used(void *ctx, uint32_t child, uint64_t octets, uint64_t segments)
{
    struct wish *w = wish(ctx, USED);

    if (w == NULL)
        return;
    w->id = child;
    w->octets = octets;
    w->segments = segments;
}

static void grant(struct gh_ike_gatekeeper *g, struct gh_now now, struct ike2 *core)
{
    while (g->wishes != NULL) {
        struct wish *w = g->wishes;

        g->wishes = w->next;
        if (g->wishes == NULL)
            g->end = &g->wishes;
        if (w->kind == ACQUIRE &&
            !ike2_acquire(core, now, w->policy, w->child, &w->local, &w->remote))
            gk_failed(g->core, now, w->policy, "IKE cannot begin with this peer");
        else if (w->kind == RETIRE)
            ike2_retire_child(core, now, w->id);
        else if (w->kind == RENEW)
            ike2_renew(core, now, w->policy);
        else if (w->kind == USED) /* by TCP, which is no sign that the IKE peer lives */
            ike2_child_used(core, now, w->id, w->octets, w->segments, false);
        free(w);
    }
}

void gh_ike_gatekeeper_settle(struct gh_ike_gatekeeper *g, struct gh_now now, struct ike2 *core)
{
    if (gk_next_deadline(g->core) <= now.mono_ms)
        gk_tick(g->core, now);
    grant(g, now, core);
    gh_channel_flush(g->channel);
}

uint64_t gh_ike_gatekeeper_next_deadline(const struct gh_ike_gatekeeper *g)
{
    return gk_next_deadline(g->core);
}

/* ---- To the engine ----------------------------------------------------------------------------
 */

static void tell(struct gh_ike_gatekeeper *g, enum gh_message type, struct gh_wr *w)
{
    if (g->channel != NULL && gh_wr_ok(w))
        gh_channel_send(g->channel, type, w->base, w->len, -1);
}

static void on_install(void *ctx, const char *session, const struct tcpao_mkt *key,
                       uint64_t left_ms)
{
    uint8_t body[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_gk_put_key(&w, session, key, left_ms, true);
    tell(ctx, GH_MESSAGE_KEY_INSTALL, &w);
    gh_wipe(body, sizeof(body));
}

static void on_rank(void *ctx, const char *session, const struct tcpao_mkt *key)
{
    uint8_t body[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_gk_put_key(&w, session, key, 0, false);
    tell(ctx, GH_MESSAGE_KEY_RANK, &w);
}

static void on_remove(void *ctx, const char *session, uint32_t number)
{
    uint8_t body[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_gk_put_number(&w, session, number);
    tell(ctx, GH_MESSAGE_KEY_REMOVE, &w);
}

static void on_fallback(void *ctx, const char *session, bool on)
{
    uint8_t body[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_gk_put_flag(&w, session, on);
    tell(ctx, GH_MESSAGE_FALLBACK, &w);
}

static void on_event(void *ctx, const struct gk_event *e)
{
    struct gh_ike_gatekeeper *g = ctx;

    g->ops->event(g->ctx, e);
}

static void on_random(void *ctx, void *out, size_t len)
{
    struct gh_ike_gatekeeper *g = ctx;

    g->ops->random(g->ctx, out, len);
}

/* ---- From the engine --------------------------------------------------------------------------
 */

static bool hear(struct gh_ike_gatekeeper *g, struct gh_frame *frame, struct gh_now now)
{
    struct gh_gk_message m;

    switch (frame->type) {
    case GH_MESSAGE_KEY_KNOWN:
        if (!gh_gk_take_key(&frame->body, true, &m))
            return false;
        gk_known(g->core, now, m.session, &m.mkt, m.left_ms);
        return true;
    case GH_MESSAGE_ENGINE_STARTED:
        gk_engine_started(g->core, now);
        return true;
    case GH_MESSAGE_KEY_NEEDED:
        if (!gh_gk_take_session(&frame->body, &m))
            return false;
        gk_need(g->core, now, m.session);
        return true;
    case GH_MESSAGE_SIGNED:
        if (!gh_gk_take_session(&frame->body, &m))
            return false;
        gk_signed(g->core, now, m.session);
        return true;
    case GH_MESSAGE_KEY_UNUSED:
        if (!gh_gk_take_number(&frame->body, &m))
            return false;
        gk_key_unused(g->core, now, m.session, m.number);
        return true;
    case GH_MESSAGE_KEY_USED:
        if (!gh_gk_take_usage(&frame->body, &m))
            return false;
        gk_key_used(g->core, m.session, m.number, m.octets, m.segments);
        return true;
    case GH_MESSAGE_CONNECTION:
        if (!gh_gk_take_flag(&frame->body, &m))
            return false;
        gk_connection(g->core, now, m.session, m.flag);
        return true;
    default:
        return false;
    }
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_ike_gatekeeper *g = ctx;
    bool good = hear(g, frame, gh_clock_now());

    g->ops->stirred(g->ctx);
    return good;
}

static void on_broken(void *ctx, const char *why)
{
    struct gh_ike_gatekeeper *g = ctx;

    gh_notice("the engine: %s", why);
    gh_channel_close(g->channel);
    g->channel = NULL;
}

void gh_ike_gatekeeper_open(struct gh_ike_gatekeeper *g, int fd)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};

    gh_channel_close(g->channel);
    g->channel = gh_channel_new(g->loop, fd, GH_TO_GATEKEEPER, &ops, g);
    if (g->channel == NULL)
        gh_error("no memory for the engine's socket");
    else
        gh_channel_hold(g->channel);
}

bool gh_ike_gatekeeper_is_open(const struct gh_ike_gatekeeper *g)
{
    return g->channel != NULL;
}

struct gk *gh_ike_gatekeeper_core(struct gh_ike_gatekeeper *g)
{
    return g->core;
}

/* ---- Life -------------------------------------------------------------------------------------
 */

struct gh_ike_gatekeeper *gh_ike_gatekeeper_new(uv_loop_t *loop,
                                                const struct gh_ike_gatekeeper_ops *ops, void *ctx)
{
    struct gh_ike_gatekeeper *g = calloc(1, sizeof(*g));
    const struct gk_ops core_ops = {.ctx = g,
                                    .random = on_random,
                                    .install = on_install,
                                    .rank = on_rank,
                                    .remove = on_remove,
                                    .fallback = on_fallback,
                                    .acquire = on_acquire,
                                    .retire = on_retire,
                                    .renew = on_renew,
                                    .used = on_used,
                                    .event = on_event};

    if (g == NULL)
        return NULL;
    g->loop = loop;
    g->ops = ops;
    g->ctx = ctx;
    g->end = &g->wishes;
    g->core = gk_new(&core_ops);
    if (g->core == NULL) {
        free(g);
        return NULL;
    }
    return g;
}

void gh_ike_gatekeeper_free(struct gh_ike_gatekeeper *g)
{
    if (g == NULL)
        return;
    gh_channel_close(g->channel);
    while (g->wishes != NULL) {
        struct wish *w = g->wishes;

        g->wishes = w->next;
        free(w);
    }
    gk_free(g->core);
    free(g);
}

#include "daemon/ao_gatekeeper.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/channel.h"
#include "daemon/gk_messages.h"
#include "gatekeeper/gatekeeper.h"
#include "gatekeeper/unused.h"

enum {
    LOOK_MS = 1000,
    GRACE_MS = 5000, /* beyond a key's lifetime: the gatekeeper, if there is one, ends it itself */
    KEYS = TCPAO_CHAIN_KEYS_MAX
};

struct life { /* of a key */
    uint32_t number;
    uint64_t until;    /* monotonic; 0: no limit */
    uint64_t segments; /* under it, that the gatekeeper was told of */
};

struct session {
    struct session *next;
    char *name;
    struct tcpao_chain *chain, *fallback;
    bool falls_back, wanted;
    struct life lives[KEYS];
    size_t life_count;
};

struct gh_ao_gatekeeper {
    uv_loop_t *loop;
    const struct gh_ao_gatekeeper_ops *ops;
    void *ctx;
    struct gh_channel *channel; /* NULL: the gatekeeper is away */
    struct session *sessions;
    uint64_t looked_ms;
};

/* ---- Sessions ---------------------------------------------------------------------------------
 */

static struct session *find(const struct gh_ao_gatekeeper *g, const char *name)
{
    struct session *s = g->sessions;

    while (s != NULL && strcmp(s->name, name) != 0)
        s = s->next;
    return s;
}

static void free_session(struct session *s)
{
    tcpao_chain_put(s->chain);
    tcpao_chain_put(s->fallback);
    free(s->name);
    free(s);
}

static struct session *add(struct gh_ao_gatekeeper *g, const char *name)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->name = strdup(name);
    s->chain = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE);
    if (s->name == NULL || s->chain == NULL) {
        free_session(s);
        return NULL;
    }
    s->next = g->sessions;
    g->sessions = s;
    return s;
}

/* Behind all negotiated keys while those are there again: `last`. */
static void put_static_keys(struct session *s, bool last)
{
    for (size_t i = 0; s->fallback != NULL && i < tcpao_chain_count(s->fallback); i++) {
        const struct tcpao_mkt *key = tcpao_chain_at(s->fallback, i);
        struct tcpao_lifetime send = key->send;

        if (last)
            send.from = TCPAO_TIME_MIN;
        if (tcpao_chain_add(s->chain, key, NULL) == TCPAO_CHAIN_DUPLICATE || last)
            tcpao_chain_set_lifetimes(s->chain, key->number, send, key->accept);
    }
}

static void take_static_keys(struct session *s)
{
    size_t i = 0;

    while (i < tcpao_chain_count(s->chain)) {
        const struct tcpao_mkt *key = tcpao_chain_at(s->chain, i);

        if (key->number < GK_FIRST_NUMBER)
            tcpao_chain_remove(s->chain, key->number);
        else
            i++;
    }
}

struct tcpao_chain *gh_ao_gatekeeper_chain(struct gh_ao_gatekeeper *g, const char *session,
                                           struct tcpao_chain *fallback)
{
    struct session *s = find(g, session);

    if (s == NULL)
        s = add(g, session);
    if (s == NULL)
        return NULL;
    s->wanted = true;
    take_static_keys(s);
    tcpao_chain_put(s->fallback);
    s->fallback = fallback != NULL ? tcpao_chain_get(fallback) : NULL;
    if (s->falls_back)
        put_static_keys(s, false);
    return s->chain;
}

void gh_ao_gatekeeper_sweep(struct gh_ao_gatekeeper *g)
{
    struct session **at = &g->sessions;

    while (*at != NULL) {
        struct session *s = *at;

        if (s->wanted) {
            s->wanted = false;
            at = &s->next;
            continue;
        }
        *at = s->next;
        free_session(s);
    }
}

/* ---- Lifetimes --------------------------------------------------------------------------------
 */

static struct life *life_of(struct session *s, uint32_t number)
{
    for (size_t i = 0; i < s->life_count; i++)
        if (s->lives[i].number == number)
            return &s->lives[i];
    return NULL;
}

static void remove_key(struct session *s, uint32_t number)
{
    struct life *life = life_of(s, number);

    tcpao_chain_remove(s->chain, number);
    if (life != NULL)
        *life = s->lives[--s->life_count];
}

/* ---- What the gatekeeper says -----------------------------------------------------------------
 */

static void install(struct session *s, const struct gh_gk_message *m)
{
    enum tcpao_chain_result r = tcpao_chain_add(s->chain, &m->mkt, NULL);

    if (r == TCPAO_CHAIN_DUPLICATE) { /* it begins anew, we do not */
        tcpao_chain_set_lifetimes(s->chain, m->mkt.number, m->mkt.send, m->mkt.accept);
        return;
    }
    if (r != TCPAO_CHAIN_OK) {
        gh_error("%s: key %u: %s", s->name, m->mkt.number, tcpao_chain_result_text(r));
        return;
    }
    if (s->life_count < KEYS)
        s->lives[s->life_count++] =
            (struct life){.number = m->mkt.number,
                          .until = m->left_ms != 0 ? gh_clock_now().mono_ms + m->left_ms : 0};
}

static void fall_back(struct session *s, bool on)
{
    if (s->falls_back == on)
        return;
    s->falls_back = on;
    put_static_keys(s, !on); /* nobody uses them any more when they go: see tick */
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_ao_gatekeeper *g = ctx;
    struct gh_gk_message m;
    struct session *s;
    bool good;

    switch (frame->type) {
    case GH_MESSAGE_KEY_INSTALL:
        good = gh_gk_take_key(&frame->body, true, &m);
        break;
    case GH_MESSAGE_KEY_RANK:
        good = gh_gk_take_key(&frame->body, false, &m);
        break;
    case GH_MESSAGE_KEY_REMOVE:
        good = gh_gk_take_number(&frame->body, &m);
        break;
    default:
        good = gh_gk_take_flag(&frame->body, &m);
        break;
    }
    if (!good)
        return false;
    s = find(g, m.session);
    if (s == NULL && frame->type == GH_MESSAGE_KEY_INSTALL)
        s = add(g, m.session); /* of a configuration that we do not have yet, or no more */
    if (s == NULL)
        return true;
    if (frame->type == GH_MESSAGE_KEY_INSTALL) {
        install(s, &m);
    } else if (frame->type == GH_MESSAGE_KEY_RANK) {
        tcpao_chain_set_lifetimes(s->chain, m.mkt.number, m.mkt.send, m.mkt.accept);
    } else if (frame->type == GH_MESSAGE_KEY_REMOVE) {
        remove_key(s, m.number);
    } else {
        fall_back(s, m.flag);
    }
    g->ops->keys_changed(g->ctx, s->name);
    return true;
}

static void on_broken(void *ctx, const char *why)
{
    struct gh_ao_gatekeeper *g = ctx;

    gh_notice("the gatekeeper: %s; its keys live on", why);
    gh_channel_close(g->channel);
    g->channel = NULL;
}

/* ---- What it is told --------------------------------------------------------------------------
 */

static void tell(struct gh_ao_gatekeeper *g, enum gh_message type, const struct gh_wr *w)
{
    if (g->channel != NULL && gh_wr_ok(w))
        gh_channel_send(g->channel, type, w->base, w->len, -1);
}

static void tell_name(struct gh_ao_gatekeeper *g, enum gh_message type, const char *session)
{
    uint8_t body[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_gk_put_session(&w, session);
    tell(g, type, &w);
}

static void tell_connection(struct gh_ao_gatekeeper *g, const char *session, bool up)
{
    uint8_t body[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_gk_put_flag(&w, session, up);
    tell(g, GH_MESSAGE_CONNECTION, &w);
}

static void tell_known(struct gh_ao_gatekeeper *g, struct session *s, struct gh_now now)
{
    uint8_t body[GH_GK_MESSAGE];

    for (size_t i = 0; i < tcpao_chain_count(s->chain); i++) {
        const struct tcpao_mkt *key = tcpao_chain_at(s->chain, i);
        const struct life *life = life_of(s, key->number);
        struct gh_wr w = gh_wr_make(body, sizeof(body));

        if (life == NULL)
            continue; /* of the fallback chain */
        gh_gk_put_key(&w, s->name, key,
                      life->until == 0            ? 0
                      : life->until > now.mono_ms ? life->until - now.mono_ms
                                                  : 1,
                      true);
        tell(g, GH_MESSAGE_KEY_KNOWN, &w);
        gh_wipe(body, sizeof(body));
    }
}

static void tell_of_connection(void *ctx, const struct ao_connection_view *v)
{
    struct gh_ao_gatekeeper *g = ctx;

    if (!v->own_keys && v->state == AO_STATE_ESTABLISHED && find(g, v->session) != NULL)
        tell_connection(g, v->session, true);
}

void gh_ao_gatekeeper_open(struct gh_ao_gatekeeper *g, struct gh_now now, const struct ao_engine *e,
                           int fd)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};

    gh_channel_close(g->channel);
    g->channel = gh_channel_new(g->loop, fd, GH_TO_ENGINE, &ops, g);
    if (g->channel == NULL)
        return;
    for (struct session *s = g->sessions; s != NULL; s = s->next)
        tell_known(g, s, now);
    gh_channel_send(g->channel, GH_MESSAGE_ENGINE_STARTED, NULL, 0, -1);
    if (e != NULL) /* the gatekeeper has just begun to count them anew */
        ao_engine_each_connection(e, tell_of_connection, g);
}

void gh_ao_gatekeeper_needed(struct gh_ao_gatekeeper *g, const char *session)
{
    tell_name(g, GH_MESSAGE_KEY_NEEDED, session);
}

void gh_ao_gatekeeper_called(struct gh_ao_gatekeeper *g, const char *session)
{
    const struct session *s = find(g, session);

    if (s != NULL && s->fallback != NULL)
        tell_name(g, GH_MESSAGE_KEY_NEEDED, session);
}

void gh_ao_gatekeeper_signed(struct gh_ao_gatekeeper *g, const char *session)
{
    tell_name(g, GH_MESSAGE_SIGNED, session);
}

void gh_ao_gatekeeper_event(struct gh_ao_gatekeeper *g, const struct ao_event *event)
{
    bool up = event->kind == AO_EVENT_CONNECTION_UP;

    if ((up || event->kind == AO_EVENT_CONNECTION_CLOSED) && find(g, event->session) != NULL)
        tell_connection(g, event->session, up);
}

struct look {
    struct gh_ao_gatekeeper *g;
    const char *session;
};

static void tell_unused(void *ctx, uint32_t number)
{
    const struct look *l = ctx;
    uint8_t body[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_gk_put_number(&w, l->session, number);
    tell(l->g, GH_MESSAGE_KEY_UNUSED, &w);
}

static void tell_used(struct gh_ao_gatekeeper *g, const char *session, struct life *life,
                      const struct ao_key_counters *k)
{
    uint64_t segments = k->good_in + k->out;
    uint8_t body[GH_GK_MESSAGE];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (segments == life->segments)
        return;
    life->segments = segments;
    gh_gk_put_usage(&w, session, k->number, k->octets, segments);
    tell(g, GH_MESSAGE_KEY_USED, &w);
}

static void tell_usage(void *ctx, const struct ao_session_view *v)
{
    struct gh_ao_gatekeeper *g = ctx;
    struct session *s = v->own_keys ? NULL : find(g, v->policy->name);

    for (size_t i = 0; s != NULL && i < v->key_count; i++) {
        struct life *life = life_of(s, v->keys[i].number);

        if (life != NULL)
            tell_used(g, s->name, life, &v->keys[i]);
    }
}

/* Of keys that were replaced nobody need know. */
static void end_lifetimes(struct gh_ao_gatekeeper *g, struct session *s, struct gh_now now)
{
    for (size_t i = 0; i < s->life_count;) {
        const struct tcpao_mkt *first = tcpao_chain_preferred(s->chain, now.wall);
        const struct life life = s->lives[i];

        if (life.until == 0 || now.mono_ms < life.until + GRACE_MS) {
            i++;
            continue;
        }
        if (first == NULL || first->number == life.number)
            gh_warning("%s: key %u: its lifetime is over, and no gatekeeper has made another",
                       s->name, life.number);
        remove_key(s, life.number);
        g->ops->keys_changed(g->ctx, s->name);
    }
}

void gh_ao_gatekeeper_tick(struct gh_ao_gatekeeper *g, struct gh_now now, const struct ao_engine *e)
{
    if (now.mono_ms < g->looked_ms + LOOK_MS)
        return;
    g->looked_ms = now.mono_ms;
    for (struct session *s = g->sessions; s != NULL; s = s->next) {
        struct look look = {g, s->name};

        end_lifetimes(g, s, now);
        if (g->channel != NULL)
            gk_each_unused(e, s->name, s->chain, now.wall, tell_unused, &look);
    }
    if (g->channel != NULL)
        ao_engine_each_session(e, tell_usage, g);
}

/* ---- Life -------------------------------------------------------------------------------------
 */

struct gh_ao_gatekeeper *gh_ao_gatekeeper_new(uv_loop_t *loop,
                                              const struct gh_ao_gatekeeper_ops *ops, void *ctx)
{
    struct gh_ao_gatekeeper *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->loop = loop;
    g->ops = ops;
    g->ctx = ctx;
    return g;
}

void gh_ao_gatekeeper_free(struct gh_ao_gatekeeper *g)
{
    if (g == NULL)
        return;
    gh_channel_close(g->channel);
    while (g->sessions != NULL) {
        struct session *s = g->sessions;

        g->sessions = s->next;
        free_session(s);
    }
    free(g);
}

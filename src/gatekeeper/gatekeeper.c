/* The sessions of the gatekeeper: when IKE is asked for a key, what fails, and time. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/priv.h"

/* ---- Words ----------------------------------------------------------------------------------- */

void gk_tell(struct gk *g, const struct gk_session *s, enum gk_event_kind kind, uint32_t key,
             const char *format, ...)
{
    char text[GK_TEXT];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    g->ops.event(
        g->ops.ctx,
        &(struct gk_event){.kind = kind, .session = s->policy.name, .key = key, .text = text});
}

void gk_reach(struct gk *g, struct gk_session *s, enum gk_step step)
{
    s->steps[step] = g->now;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

struct gk *gk_new(const struct gk_ops *ops)
{
    struct gk *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->ops = *ops;
    g->next_number = GK_FIRST_NUMBER;
    return g;
}

static void free_session(struct gk_session *s)
{
    gk_free_keys(s);
    free(s);
}

void gk_free(struct gk *g)
{
    if (g == NULL)
        return;
    while (g->sessions != NULL) {
        struct gk_session *s = g->sessions;

        g->sessions = s->next;
        free_session(s);
    }
    free(g);
}

struct gk_session *gk_session_named(const struct gk *g, const char *name)
{
    struct gk_session *s = g->sessions;

    while (s != NULL && strcmp(s->policy.name, name) != 0)
        s = s->next;
    return s;
}

static void end_session(struct gk *g, struct gk_session *s)
{
    while (s->keys != NULL) {
        struct gk_key *key = s->keys;

        if (key->child != 0)
            g->ops.retire(g->ops.ctx, key->child);
        gk_drop_key(g, s, key, "the session is no longer configured");
    }
    free_session(s);
}

/* Keys of other hosts or ports are none of this session. */
static bool goes_on(const struct gk_policy *was, const struct gk_policy *is)
{
    return gh_addr_equal(&was->local, &is->local) && gh_addr_equal(&was->remote, &is->remote) &&
           was->port == is->port && was->source_first == is->source_first &&
           was->source_last == is->source_last && strcmp(was->ike, is->ike) == 0;
}

static struct gk_session *take_session(struct gk_session **list, const char *name)
{
    while (*list != NULL) {
        struct gk_session *s = *list;

        if (strcmp(s->policy.name, name) == 0) {
            *list = s->next;
            return s;
        }
        list = &s->next;
    }
    return NULL;
}

bool gk_set_policies(struct gk *g, struct gh_now now, const struct gk_policy *list, size_t count)
{
    struct gk_session *fresh = NULL, **at = &fresh, *old = NULL;

    g->now = now;
    for (size_t i = 0; i < count; i++) {
        *at = calloc(1, sizeof(**at));
        if (*at == NULL) {
            while (fresh != NULL) {
                old = fresh->next;
                free(fresh);
                fresh = old;
            }
            return false;
        }
        (*at)->policy = list[i];
        at = &(*at)->next;
    }
    old = g->sessions;
    g->sessions = fresh;
    for (struct gk_session *s = fresh; s != NULL; s = s->next) {
        struct gk_session *was = take_session(&old, s->policy.name);

        if (was == NULL)
            continue;
        if (goes_on(&was->policy, &s->policy)) {
            struct gk_session *next = s->next;
            const struct gk_policy policy = s->policy;

            *s = *was;
            s->policy = policy;
            s->next = next;
            free(was);
        } else {
            end_session(g, was);
        }
    }
    while (old != NULL) {
        struct gk_session *next = old->next;

        end_session(g, old);
        old = next;
    }
    return true;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static struct ike_ts selector(const struct gh_addr *addr, uint16_t first, uint16_t last)
{
    struct ike_ts ts = ike_ts_from_range(addr, addr);

    ts.protocol = 6;
    ts.start_port = first;
    ts.end_port = last;
    return ts;
}

/* As who opens, if that may be us: only then the selectors are those of the SYN. */
static void ask(struct gk *g, struct gk_session *s)
{
    const struct gk_policy *p = &s->policy;
    bool active = p->active[0] != '\0';
    struct ike_ts service = selector(active ? &p->remote : &p->local, p->port, p->port);
    struct ike_ts source =
        selector(active ? &p->local : &p->remote, p->source_first, p->source_last);
    uint64_t wait = (uint64_t)GK_ASK_AGAIN_MS << (s->failures < 5 ? s->failures : 5);

    if (wait > GK_ASK_AGAIN_MAX_MS)
        wait = GK_ASK_AGAIN_MAX_MS;
    s->asked_at = g->now.mono_ms;
    s->ask_at = g->now.mono_ms + wait;
    gk_reach(g, s, GK_STEP_ASKED);
    gk_tell(g, s, GK_EVENT_ASKED, 0, "IKE is asked for a key, with %s", p->ike);
    g->ops.acquire(g->ops.ctx, p->ike, active ? p->active : p->passive, active ? &source : &service,
                   active ? &service : &source);
}

static bool is_needed(const struct gk *g, const struct gk_session *s)
{
    return s->connections > 0 || g->now.mono_ms < s->needed_until;
}

void gk_ask_if_needed(struct gk *g, struct gk_session *s)
{
    if (gk_live_key(s) != NULL || !is_needed(g, s))
        s->ask_at = 0;
    else if (s->ask_at == 0 || g->now.mono_ms >= s->ask_at)
        ask(g, s);
}

void gk_need(struct gk *g, struct gh_now now, const char *session)
{
    struct gk_session *s = gk_session_named(g, session);

    g->now = now;
    if (s == NULL)
        return;
    gk_reach(g, s, GK_STEP_DEMANDED);
    if (now.mono_ms >= s->needed_until)
        s->needed_since = now.mono_ms;
    s->needed_until = now.mono_ms + GK_NEEDED_MS;
    gk_ask_if_needed(g, s);
}

/* ---- What else happens ----------------------------------------------------------------------- */

static bool begins_with(const char *text, const char *child)
{
    size_t len = strlen(child);

    return len > 0 && strncmp(text, child, len) == 0 && strncmp(text + len, ": ", 2) == 0;
}

/* The core's words begin with the child, if it was one that failed. */
static bool is_of_another(const struct gk *g, const struct gk_session *s, const char *text)
{
    for (const struct gk_session *other = g->sessions; other != NULL; other = other->next)
        if (other != s && strcmp(other->policy.ike, s->policy.ike) == 0 &&
            (begins_with(text, other->policy.active) || begins_with(text, other->policy.passive)))
            return true;
    return false;
}

void gk_failed(struct gk *g, struct gh_now now, const char *policy, const char *text)
{
    g->now = now;
    for (struct gk_session *s = g->sessions; s != NULL; s = s->next) {
        if (strcmp(s->policy.ike, policy) != 0 || s->asked_at == 0 || gk_live_key(s) != NULL ||
            is_of_another(g, s, text))
            continue;
        s->failed++;
        s->failures++;
        s->failed_at = now.wall;
        snprintf(s->failure, sizeof(s->failure), "%s", text);
        s->asked_at = 0;
        s->ask_at =
            now.mono_ms + ((uint64_t)GK_ASK_AGAIN_MS << (s->failures < 5 ? s->failures : 5));
        gk_tell(g, s, GK_EVENT_FAILED, 0, "no key: %s", text);
    }
}

void gk_connection(struct gk *g, struct gh_now now, const char *session, bool up)
{
    struct gk_session *s = gk_session_named(g, session);

    g->now = now;
    if (s == NULL)
        return;
    if (!up) {
        s->connections -= s->connections > 0;
        return;
    }
    s->connections++;
    gk_reach(g, s, GK_STEP_PROTECTED);
    gk_ask_if_needed(g, s); /* one that was up before us */
}

void gk_signed(struct gk *g, struct gh_now now, const char *session)
{
    struct gk_session *s = gk_session_named(g, session);

    g->now = now;
    if (s != NULL)
        gk_reach(g, s, GK_STEP_SIGNED);
}

void gk_known(struct gk *g, struct gh_now now, const char *session, const struct tcpao_mkt *mkt,
              uint64_t left_ms)
{
    struct gk_session *s = gk_session_named(g, session);
    struct gk_key *key = NULL;

    g->now = now;
    if (mkt->number >= g->next_number)
        g->next_number = mkt->number + 1;
    if (s != NULL && gk_key_numbered(s, mkt->number) == NULL)
        key = calloc(1, sizeof(*key));
    if (key == NULL || !gh_secret_set(&key->secret, mkt->secret, mkt->secret_len)) {
        free(key);
        return;
    }
    key->mkt = *mkt;
    key->mkt.secret = key->secret.data;
    key->state = gk_live_key(s) != NULL ? GK_KEY_REPLACED : GK_KEY_ORPHAN;
    if (mkt->send.from >= mkt->send.until) { /* it had been let go of */
        key->state = GK_KEY_LEAVING;
        key->leave_at = now.mono_ms + 1000 * (uint64_t)TCPAO_DRAIN;
    }
    key->since = now;
    key->expire_at = left_ms != 0 ? now.mono_ms + left_ms : 0;
    key->next = s->keys;
    s->keys = key;
}

void gk_engine_started(struct gk *g, struct gh_now now)
{
    g->now = now;
    for (struct gk_session *s = g->sessions; s != NULL; s = s->next) {
        s->connections = 0;
        for (const struct gk_key *key = s->keys; key != NULL; key = key->next)
            gk_install(g, s, key);
        if (s->fallback)
            g->ops.fallback(g->ops.ctx, s->policy.name, true);
    }
}

bool gk_revoke(struct gk *g, struct gh_now now, const char *policy)
{
    bool any = false;

    g->now = now;
    for (struct gk_session *s = g->sessions; s != NULL; s = s->next) {
        if (strcmp(s->policy.ike, policy) != 0)
            continue;
        any = true;
        s->revoked++;
        gk_tell(g, s, GK_EVENT_REVOKED, 0, "its keys are revoked: a fresh IKE SA makes others");
    }
    if (any)
        g->ops.renew(g->ops.ctx, policy);
    return any;
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void look_at_patience(struct gk *g, struct gk_session *s)
{
    if (!is_needed(g, s) || gk_has_key(s) || s->told || s->needed_since == 0 ||
        g->now.mono_ms < s->needed_since + s->policy.patience_ms)
        return;
    s->told = true;
    if (!s->policy.fallback) {
        gk_tell(g, s, GK_EVENT_FAILED, 0, "no key after %u s: nothing passes",
                s->policy.patience_ms / 1000);
        return;
    }
    s->fallback = true;
    g->ops.fallback(g->ops.ctx, s->policy.name, true);
    gk_tell(g, s, GK_EVENT_FALLBACK, 0, "no key after %u s: its key chain is used",
            s->policy.patience_ms / 1000);
}

static bool is_over(const struct gk *g, uint64_t at)
{
    return at != 0 && g->now.mono_ms >= at;
}

static void look_at_key(struct gk *g, struct gk_session *s, struct gk_key *key)
{
    if (is_over(g, key->settle_at)) {
        key->settle_at = 0;
        key->mkt.send.from = key->mkt.number;
        g->ops.rank(g->ops.ctx, s->policy.name, &key->mkt);
    }
    if (is_over(g, key->patience) && !key->retiring) {
        key->patience = 0;
        key->retiring = true;
        if (key->child != 0)
            g->ops.retire(g->ops.ctx, key->child);
        gk_let_go(g, s, key, "replaced long ago");
    }
    if (is_over(g, key->leave_at))
        gk_drop_key(g, s, key, "it was replaced, and the last segments are over");
    else if (is_over(g, key->expire_at) && key->child == 0 && key->leave_at == 0)
        gk_end_lifetime(g, s, key);
}

static void look_at_keys(struct gk *g, struct gk_session *s)
{
    struct gk_key *next;

    for (struct gk_key *key = s->keys; key != NULL; key = next) {
        next = key->next;
        look_at_key(g, s, key);
    }
}

void gk_tick(struct gk *g, struct gh_now now)
{
    g->now = now;
    for (struct gk_session *s = g->sessions; s != NULL; s = s->next) {
        look_at_keys(g, s);
        look_at_patience(g, s);
        if (s->ask_at != 0 && now.mono_ms >= s->ask_at)
            gk_ask_if_needed(g, s);
    }
}

static void least(uint64_t *due, uint64_t at)
{
    if (at != 0 && at < *due)
        *due = at;
}

uint64_t gk_next_deadline(const struct gk *g)
{
    uint64_t due = UINT64_MAX;

    for (const struct gk_session *s = g->sessions; s != NULL; s = s->next) {
        least(&due, s->ask_at);
        if (!s->told && s->needed_until != 0)
            least(&due, s->needed_since + s->policy.patience_ms);
        for (const struct gk_key *key = s->keys; key != NULL; key = key->next) {
            least(&due, key->retiring ? 0 : key->patience);
            least(&due, key->leave_at);
            least(&due, key->settle_at);
            least(&due, key->child == 0 && key->leave_at == 0 ? key->expire_at : 0);
        }
    }
    return due;
}

/* ---- Looking --------------------------------------------------------------------------------- */

void gk_each(const struct gk *g, void (*fn)(void *ctx, const struct gk_view *v), void *ctx)
{
    for (const struct gk_session *s = g->sessions; s != NULL; s = s->next) {
        struct gk_view v = {.policy = &s->policy,
                            .keys = s->keys,
                            .negotiating = s->asked_at != 0,
                            .fallback = s->fallback,
                            .connections = s->connections,
                            .installed = s->installed,
                            .rekeyed = s->rekeyed,
                            .revoked = s->revoked,
                            .failed = s->failed,
                            .failed_at = s->failed_at,
                            .failure = s->failure[0] != '\0' ? s->failure : NULL};

        memcpy(v.steps, s->steps, sizeof(v.steps));
        fn(ctx, &v);
    }
}

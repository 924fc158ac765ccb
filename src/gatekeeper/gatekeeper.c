#include "gatekeeper/gatekeeper.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"
#include "gatekeeper/priv.h"

/* ---- Names and words --------------------------------------------------------------------------
 */

#define NAME(constant, name)            [constant] = name,
#define STEP_NAME(constant, name, text) [constant] = name,
#define STEP_TEXT(constant, name, text) [constant] = text,

const char *gk_step_name(enum gk_step step)
{
    static const char *const names[] = {GK_STEPS(STEP_NAME)};

    return names[step];
}

const char *gk_step_text(enum gk_step step)
{
    static const char *const texts[] = {GK_STEPS(STEP_TEXT)};

    return texts[step];
}

const char *gk_event_name(enum gk_event_kind kind)
{
    static const char *const names[] = {GK_EVENTS(NAME)};

    return names[kind];
}

const char *gk_key_state_name(enum gk_key_state state)
{
    static const char *const names[] = {[GK_KEY_LIVE] = "live",
                                        [GK_KEY_REPLACED] = "replaced",
                                        [GK_KEY_ORPHAN] = "orphan",
                                        [GK_KEY_LEAVING] = "leaving"};

    return names[state];
}

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

/* ---- Sessions ---------------------------------------------------------------------------------
 */

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

static struct gk_session *session_named(const struct gk *g, const char *name)
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

/* ---- Asking -----------------------------------------------------------------------------------
 */

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

static void ask_if_needed(struct gk *g, struct gk_session *s)
{
    if (gk_live_key(s) != NULL || !is_needed(g, s))
        s->ask_at = 0;
    else if (s->ask_at == 0 || g->now.mono_ms >= s->ask_at)
        ask(g, s);
}

void gk_need(struct gk *g, struct gh_now now, const char *session)
{
    struct gk_session *s = session_named(g, session);

    g->now = now;
    if (s == NULL)
        return;
    gk_reach(g, s, GK_STEP_DEMANDED);
    if (now.mono_ms >= s->needed_until)
        s->needed_since = now.mono_ms;
    s->needed_until = now.mono_ms + GK_NEEDED_MS;
    ask_if_needed(g, s);
}

/* ---- Keys come --------------------------------------------------------------------------------
 */

static struct gk_session *session_of_child(const struct gk *g, const char *policy,
                                           const char *child)
{
    for (struct gk_session *s = g->sessions; s != NULL; s = s->next)
        if ((policy == NULL || strcmp(s->policy.ike, policy) == 0) &&
            (strcmp(s->policy.active, child) == 0 || strcmp(s->policy.passive, child) == 0))
            return s;
    return NULL;
}

bool gk_child_is_ours(const struct gk *g, const char *policy, const char *child)
{
    return session_of_child(g, policy, child) != NULL;
}

bool gk_child_spi(struct gk *g, struct gh_now now, const char *child, uint8_t *spi)
{
    struct gk_session *s = session_of_child(g, NULL, child);
    uint8_t first;

    g->now = now;
    if (s == NULL)
        return false;
    g->ops.random(g->ops.ctx, &first, 1);
    for (unsigned i = 0; i < 256; i++) {
        *spi = (uint8_t)(first + i);
        if (gk_recv_id_is_new(g, s, *spi)) {
            gk_promise(g, s, *spi);
            return true;
        }
    }
    return false;
}

static enum tcpao_alg alg_of(const struct ike_proposal *suite)
{
    switch (ike_proposal_id(suite, IKE_T_PRF)) {
    case IKE_PRF_AES128_CMAC:
        return TCPAO_AES_128_CMAC;
    case IKE_PRF_HMAC_SHA2_256:
        return TCPAO_HMAC_SHA_256;
    default:
        return TCPAO_HMAC_SHA_1;
    }
}

/* The newest counts. If both ends asked at once they may not agree which that is; then each
 * direction has another one until the next is made. */
static void replace_others(struct gk *g, struct gk_session *s, const struct gk_key *newest)
{
    for (struct gk_key *key = s->keys; key != NULL; key = key->next) {
        if (key == newest || key->state == GK_KEY_REPLACED || key->state == GK_KEY_LEAVING)
            continue;
        key->state = GK_KEY_REPLACED;
        key->patience = g->now.mono_ms + GK_PEERS_DELETE_MS;
        gk_tell(g, s, GK_EVENT_REPLACED, key->mkt.number, "key %u (KeyIDs %u, %u) is replaced",
                key->mkt.number, key->mkt.send_id, key->mkt.recv_id);
    }
}

/* Behind all others. */
static void demote(struct gk *g, struct gk_session *s, struct gk_key *key)
{
    key->state = GK_KEY_REPLACED;
    key->patience = g->now.mono_ms + GK_PEERS_DELETE_MS;
    key->settle_at = 0;
    key->mkt.send.from = 0;
    g->ops.rank(g->ops.ctx, s->policy.name, &key->mkt);
}

/* The newest is gone from IKE, but not what it was to replace: both ends made one at once, and this
 * was one too many (RFC 7296 2.8.1). */
static void promote_other(struct gk *g, struct gk_session *s, struct gk_key *gone)
{
    struct gk_key *key = s->keys;

    while (key != NULL &&
           (key == gone || key->child == 0 || key->retiring || key->state == GK_KEY_LEAVING))
        key = key->next;
    if (key == NULL)
        return;
    key->state = GK_KEY_LIVE;
    key->patience = key->settle_at = 0;
    key->mkt.send.from = key->mkt.number;
    g->ops.rank(g->ops.ctx, s->policy.name, &key->mkt);
    demote(g, s, gone);
}

static void recovered(struct gk *g, struct gk_session *s)
{
    if (s->fallback) {
        s->fallback = false;
        g->ops.fallback(g->ops.ctx, s->policy.name, false);
        gk_tell(g, s, GK_EVENT_RECOVERED, 0, "a negotiated key is there again");
    }
    s->told = false;
    s->failures = 0;
    s->asked_at = s->ask_at = s->needed_until = 0;
}

static struct gk_key *make_key(struct gk *g, struct gk_session *s, const struct ike2_child_view *v)
{
    struct gk_key *key = calloc(1, sizeof(*key));

    if (key == NULL || !gh_secret_set(&key->secret, v->key_in.p, v->key_in.len)) {
        free(key);
        return NULL;
    }
    key->mkt = (struct tcpao_mkt){
        .number = g->next_number++,
        .send_id = v->spi_out.p[0],
        .recv_id = v->spi_in.p[0],
        .alg = alg_of(v->suite),
        .mac_len = v->tcp_ao.mac_len,
        .options_covered = v->tcp_ao.options_covered,
        .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
        .secret = key->secret.data,
        .secret_len = key->secret.len,
    };
    /* At the responder it is there before the peer has it: whoever is asked for it uses it, but
     * nobody chooses it yet. */
    if (!v->initiator && s->policy.settle_ms > 0)
        key->settle_at = g->now.mono_ms + s->policy.settle_ms;
    key->mkt.send =
        (struct tcpao_lifetime){key->settle_at != 0 ? 0 : key->mkt.number, TCPAO_TIME_MAX};
    key->child = v->id;
    key->initiator = v->initiator;
    key->since = g->now;

    if (v->lifetime.seconds > 0)
        key->expire_at = g->now.mono_ms + 1000 * (uint64_t)v->lifetime.seconds;
    return key;
}

static void install(struct gk *g, const struct gk_session *s, const struct gk_key *key)
{
    uint64_t left = key->expire_at > g->now.mono_ms ? key->expire_at - g->now.mono_ms : 1;

    g->ops.install(g->ops.ctx, s->policy.name, &key->mkt, key->expire_at != 0 ? left : 0);
}

bool gk_child_installed(struct gk *g, struct gh_now now, const struct ike2_child_view *v)
{
    struct gk_session *s = session_of_child(g, v->policy->name, v->child->name);
    struct gk_key *key;

    g->now = now;
    if (s == NULL || v->spi_in.len != 1 || v->spi_out.len != 1 || v->key_in.len == 0 ||
        !gk_recv_id_is_free(g, s, v->spi_in.p[0]) || !gk_send_id_is_free(g, s, v->spi_out.p[0]))
        return false;
    gk_reach(g, s, GK_STEP_NEGOTIATED);
    key = make_key(g, s, v);
    if (key == NULL)
        return false;
    gk_reach(g, s, GK_STEP_DELIVERED);
    gk_keep_promise(s, key->mkt.recv_id);
    key->next = s->keys;
    s->keys = key;
    s->installed++;
    s->rekeyed += v->replaces != 0;
    install(g, s, key);
    gk_reach(g, s, GK_STEP_INSTALLED);
    gk_tell(g, s, GK_EVENT_INSTALLED, key->mkt.number, "key %u (KeyIDs %u, %u), %s",
            key->mkt.number, key->mkt.send_id, key->mkt.recv_id,
            tcpao_alg_name(key->mkt.alg, key->mkt.mac_len));
    if (v->redundant)
        demote(g, s, key);
    else
        replace_others(g, s, key);
    recovered(g, s);
    return true;
}

/* ---- Keys go ----------------------------------------------------------------------------------
 */

static void end_lifetime(struct gk *g, struct gk_session *s, struct gk_key *key)
{
    if (key->state == GK_KEY_REPLACED || key->state == GK_KEY_LEAVING)
        gk_let_go(g, s, key, "its lifetime is over");
    else
        gk_drop_key(g, s, key, "its lifetime is over");
}

bool gk_child_removed(struct gk *g, struct gh_now now, uint32_t child, enum ike2_removal why)
{
    struct gk_session *s;
    struct gk_key *key = gk_key_of_child(g, child, &s);

    g->now = now;
    if (key == NULL)
        return false;
    key->child = 0;
    if (key->state == GK_KEY_LIVE)
        promote_other(g, s, key);
    switch (why) {
    case IKE2_REMOVED_LOST:
    case IKE2_REMOVED_REPLACED:
        if (key->retiring) {
            gk_let_go(g, s, key, "both ends have left it");
        } else if (key->state == GK_KEY_LIVE) {
            key->state = GK_KEY_ORPHAN;
            gk_tell(g, s, GK_EVENT_ORPHANED, key->mkt.number,
                    "key %u (KeyIDs %u, %u) lives on to its lifetime: its IKE SA is gone",
                    key->mkt.number, key->mkt.send_id, key->mkt.recv_id);
        }
        break;
    case IKE2_REMOVED_DELETED:
        gk_let_go(g, s, key, "the peer has deleted it");
        break;
    case IKE2_REMOVED_COMMAND:
        gk_let_go(g, s, key, "ended by the operator");
        break;
    case IKE2_REMOVED_IDLE:    /* never of TCP-AO */
    case IKE2_REMOVED_REFUSED: /* nor this */
    case IKE2_REMOVED_EXPIRED:
        end_lifetime(g, s, key);
        break;
    }
    ask_if_needed(g, s);
    return true;
}

void gk_key_used(struct gk *g, const char *session, uint32_t number, uint64_t octets,
                 uint64_t segments)
{
    struct gk_session *s = session_named(g, session);
    struct gk_key *key = s != NULL ? gk_key_numbered(s, number) : NULL;

    if (key == NULL)
        return;
    if (segments < key->segments)
        key->octets = key->segments = 0;
    if (key->child != 0 && segments > key->segments)
        g->ops.used(g->ops.ctx, key->child, octets - key->octets, segments - key->segments);
    key->octets = octets;
    key->segments = segments;
}

void gk_key_unused(struct gk *g, struct gh_now now, const char *session, uint32_t number)
{
    struct gk_session *s = session_named(g, session);
    struct gk_key *key = s != NULL ? gk_key_numbered(s, number) : NULL;

    g->now = now;
    if (key == NULL || key->state != GK_KEY_REPLACED || key->retiring)
        return;
    if (key->child == 0)
        gk_let_go(g, s, key, "nobody uses it any more");
    else if (gk_live_key(s) == NULL || gk_live_key(s)->initiator) {
        key->retiring = true; /* whoever made the successor deletes */
        g->ops.retire(g->ops.ctx, key->child);
    }
}

/* ---- What else happens ------------------------------------------------------------------------
 */

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
    struct gk_session *s = session_named(g, session);

    g->now = now;
    if (s == NULL)
        return;
    if (!up) {
        s->connections -= s->connections > 0;
        return;
    }
    s->connections++;
    gk_reach(g, s, GK_STEP_PROTECTED);
    ask_if_needed(g, s); /* one that was up before us */
}

void gk_signed(struct gk *g, struct gh_now now, const char *session)
{
    struct gk_session *s = session_named(g, session);

    g->now = now;
    if (s != NULL)
        gk_reach(g, s, GK_STEP_SIGNED);
}

void gk_known(struct gk *g, struct gh_now now, const char *session, const struct tcpao_mkt *mkt,
              uint64_t left_ms)
{
    struct gk_session *s = session_named(g, session);
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
            install(g, s, key);
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

/* ---- Time -------------------------------------------------------------------------------------
 */

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
        end_lifetime(g, s, key);
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
            ask_if_needed(g, s);
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

/* ---- Looking ----------------------------------------------------------------------------------
 */

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

/* Child SAs of IKEv2 become keys of a session, and keys end with them or by themselves. */
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/priv.h"
#include "ike/codes.h"

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

void gk_install(struct gk *g, const struct gk_session *s, const struct gk_key *key)
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
    gk_install(g, s, key);
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

/* ---- Keys go --------------------------------------------------------------------------------- */

void gk_end_lifetime(struct gk *g, struct gk_session *s, struct gk_key *key)
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
        gk_end_lifetime(g, s, key);
        break;
    }
    gk_ask_if_needed(g, s);
    return true;
}

void gk_key_used(struct gk *g, const char *session, uint32_t number, uint64_t octets,
                 uint64_t segments)
{
    struct gk_session *s = gk_session_named(g, session);
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
    struct gk_session *s = gk_session_named(g, session);
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

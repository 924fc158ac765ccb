/* The keys of a session: which are there, which KeyIDs are free, how they go. */
#include <stdlib.h>

#include "gatekeeper/priv.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct gk_key *gk_live_key(const struct gk_session *s)
{
    struct gk_key *key = s->keys;

    while (key != NULL && key->state != GK_KEY_LIVE)
        key = key->next;
    return key;
}

bool gk_has_key(const struct gk_session *s)
{
    for (const struct gk_key *key = s->keys; key != NULL; key = key->next)
        if (key->state != GK_KEY_LEAVING)
            return true;
    return false;
}

static bool has_bit(const uint8_t bits[32], uint8_t id)
{
    return bits[id / 8] >> id % 8 & 1;
}

static bool same_hosts(const struct gk_session *a, const struct gk_session *b)
{
    return gh_addr_equal(&a->policy.local, &b->policy.local) &&
           gh_addr_equal(&a->policy.remote, &b->policy.remote);
}

bool gk_recv_id_is_free(const struct gk *g, const struct gk_session *s, uint8_t id)
{
    for (const struct gk_session *other = g->sessions; other != NULL; other = other->next) {
        if (!same_hosts(s, other))
            continue;
        if (has_bit(other->policy.static_recv, id))
            return false;
        for (const struct gk_key *key = other->keys; key != NULL; key = key->next)
            if (key->mkt.recv_id == id)
                return false;
    }
    return true;
}

bool gk_recv_id_is_new(const struct gk *g, const struct gk_session *s, uint8_t id)
{
    if (!gk_recv_id_is_free(g, s, id))
        return false;
    for (const struct gk_session *other = g->sessions; other != NULL; other = other->next)
        for (size_t i = 0; same_hosts(s, other) && i < ARRAY_LEN(other->promises); i++)
            if (other->promises[i].id == id && other->promises[i].until > g->now.mono_ms)
                return false;
    return true;
}

void gk_promise(struct gk *g, struct gk_session *s, uint8_t id)
{
    s->promises[s->next_promise++ % ARRAY_LEN(s->promises)] =
        (struct gk_promise){.id = id, .until = g->now.mono_ms + GK_PROMISE_MS};
}

void gk_keep_promise(struct gk_session *s, uint8_t id)
{
    for (size_t i = 0; i < ARRAY_LEN(s->promises); i++)
        if (s->promises[i].id == id)
            s->promises[i].until = 0;
}

bool gk_send_id_is_free(const struct gk *g, const struct gk_session *s, uint8_t id)
{
    for (const struct gk_session *other = g->sessions; other != NULL; other = other->next) {
        if (!same_hosts(s, other))
            continue;
        if (has_bit(other->policy.static_send, id))
            return false;
        for (const struct gk_key *key = other->keys; key != NULL; key = key->next)
            if (key->mkt.send_id == id && key->state != GK_KEY_LEAVING)
                return false;
    }
    return true;
}

struct gk_key *gk_key_numbered(const struct gk_session *s, uint32_t number)
{
    struct gk_key *key = s->keys;

    while (key != NULL && key->mkt.number != number)
        key = key->next;
    return key;
}

struct gk_key *gk_key_of_child(struct gk *g, uint32_t child, struct gk_session **session)
{
    for (struct gk_session *s = g->sessions; child != 0 && s != NULL; s = s->next)
        for (struct gk_key *key = s->keys; key != NULL; key = key->next)
            if (key->child == child) {
                *session = s;
                return key;
            }
    return NULL;
}

static void free_key(struct gk_key *key)
{
    gh_secret_clear(&key->secret);
    free(key);
}

void gk_drop_key(struct gk *g, struct gk_session *s, struct gk_key *key, const char *why)
{
    struct gk_key **at = &s->keys;

    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    g->ops.remove(g->ops.ctx, s->policy.name, key->mkt.number);
    gk_tell(g, s, GK_EVENT_GONE, key->mkt.number, "key %u (KeyIDs %u, %u) is gone: %s",
            key->mkt.number, key->mkt.send_id, key->mkt.recv_id, why);
    free_key(key);
}

void gk_let_go(struct gk *g, struct gk_session *s, struct gk_key *key, const char *why)
{
    if (key->state == GK_KEY_LEAVING)
        return;
    key->state = GK_KEY_LEAVING;
    key->patience = key->settle_at = 0;
    key->leave_at = g->now.mono_ms + 1000 * (uint64_t)TCPAO_DRAIN;
    key->mkt.send = (struct tcpao_lifetime){0, 0};
    g->ops.rank(g->ops.ctx, s->policy.name, &key->mkt);
    gk_tell(g, s, GK_EVENT_REPLACED, key->mkt.number, "key %u (KeyIDs %u, %u) goes: %s",
            key->mkt.number, key->mkt.send_id, key->mkt.recv_id, why);
}

void gk_free_keys(struct gk_session *s)
{
    while (s->keys != NULL) {
        struct gk_key *key = s->keys;

        s->keys = key->next;
        free_key(key);
    }
}

/*
 * Key chains: MKTs with lifetimes, and which of them to use at a given time.
 *
 * RFC 5925 3.1 (MKTs and their ids), RFC 7210 and RFC 8177 (lifetimes) as declared in tcpao.h. All
 * decisions are functions of the chain and of a time given by the caller.
 */
#include "keys/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

struct chain_key {
    struct tcpao_mkt mkt; /* mkt.secret points into `secret` */
    struct gh_secret secret;
};

struct tcpao_chain {
    unsigned references;
    uint32_t tolerance;
    uint64_t generation;
    struct chain_key *keys; /* in the order of their addition */
    size_t count, room;
};

struct tcpao_chain *tcpao_chain_new(uint32_t tolerance)
{
    struct tcpao_chain *c = calloc(1, sizeof(*c));

    if (c != NULL) {
        c->references = 1;
        c->tolerance = tolerance;
    }
    return c;
}

struct tcpao_chain *tcpao_chain_get(struct tcpao_chain *c)
{
    __atomic_add_fetch(&c->references, 1, __ATOMIC_RELAXED);
    return c;
}

void tcpao_chain_put(struct tcpao_chain *c)
{
    if (c == NULL || __atomic_sub_fetch(&c->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < c->count; i++)
        gh_secret_clear(&c->keys[i].secret);
    free(c->keys);
    free(c);
}

void tcpao_chain_set_tolerance(struct tcpao_chain *c, uint32_t tolerance)
{
    c->tolerance = tolerance;
}

uint32_t tcpao_chain_tolerance(const struct tcpao_chain *c)
{
    return c->tolerance;
}

uint64_t tcpao_chain_generation(const struct tcpao_chain *c)
{
    return c->generation;
}

const char *tcpao_chain_result_text(enum tcpao_chain_result r)
{
    switch (r) {
    case TCPAO_CHAIN_OK:
        return "done";
    case TCPAO_CHAIN_FULL:
        return "the chain has as many keys as it may have";
    case TCPAO_CHAIN_DUPLICATE:
        return "a key of this number exists";
    case TCPAO_CHAIN_SEND_ID_IN_USE:
        return "another key has this send-id and an overlapping send lifetime";
    case TCPAO_CHAIN_RECV_ID_IN_USE:
        return "another key has this recv-id and an overlapping accept lifetime";
    case TCPAO_CHAIN_BAD_MAC_LEN:
        return "the algorithm has no MAC of this length";
    case TCPAO_CHAIN_BAD_SECRET:
        return "the secret is empty or too long";
    case TCPAO_CHAIN_BAD_ALG:
        return "no such algorithm";
    case TCPAO_CHAIN_NOT_FOUND:
        return "no key of this number";
    case TCPAO_CHAIN_NO_MEMORY:
        return "out of memory";
    }
    return "unknown";
}

/* ---- Lifetimes ------------------------------------------------------------------------------ */

static int64_t earlier(int64_t t, uint32_t by)
{
    return t < TCPAO_TIME_MIN + (int64_t)by ? TCPAO_TIME_MIN : t == TCPAO_TIME_MAX ? t : t - by;
}

static int64_t later(int64_t t, uint32_t by)
{
    return t > TCPAO_TIME_MAX - (int64_t)by ? TCPAO_TIME_MAX : t == TCPAO_TIME_MIN ? t : t + by;
}

static bool is_empty(struct tcpao_lifetime l)
{
    return l.from >= l.until;
}

bool tcpao_lifetime_includes(struct tcpao_lifetime l, int64_t t, uint32_t tolerance)
{
    if (is_empty(l) || t < earlier(l.from, tolerance))
        return false;
    return l.until == TCPAO_TIME_MAX || t < later(l.until, tolerance);
}

static bool overlap(struct tcpao_lifetime a, struct tcpao_lifetime b)
{
    return !is_empty(a) && !is_empty(b) && a.from < b.until && b.from < a.until;
}

/* ---- Adding, removing, changing ------------------------------------------------------------- */

static struct chain_key *find(const struct tcpao_chain *c, uint32_t number)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->keys[i].mkt.number == number)
            return &c->keys[i];
    return NULL;
}

/* May `mkt` stand in the chain beside all keys but those of its own number? */
static enum tcpao_chain_result check_ids(const struct tcpao_chain *c, const struct tcpao_mkt *mkt,
                                         uint32_t *other)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct tcpao_mkt *k = &c->keys[i].mkt;

        if (k->number == mkt->number)
            continue;
        if (other != NULL)
            *other = k->number;
        if (k->send_id == mkt->send_id && overlap(k->send, mkt->send))
            return TCPAO_CHAIN_SEND_ID_IN_USE;
        if (k->recv_id == mkt->recv_id && overlap(k->accept, mkt->accept))
            return TCPAO_CHAIN_RECV_ID_IN_USE;
    }
    return TCPAO_CHAIN_OK;
}

static enum tcpao_chain_result check_mkt(const struct tcpao_mkt *mkt)
{
    size_t longest = tcpao_mac_len_max(mkt->alg);

    if (longest == 0)
        return TCPAO_CHAIN_BAD_ALG;
    if (mkt->mac_len < TCPAO_MAC_MIN || mkt->mac_len > longest)
        return TCPAO_CHAIN_BAD_MAC_LEN;
    if (mkt->secret == NULL || mkt->secret_len == 0 || mkt->secret_len > TCPAO_SECRET_MAX)
        return TCPAO_CHAIN_BAD_SECRET;
    return TCPAO_CHAIN_OK;
}

static bool make_room(struct tcpao_chain *c)
{
    size_t room = c->room == 0 ? 4 : 2 * c->room;
    struct chain_key *keys;

    if (c->count < c->room)
        return true;
    keys = realloc(c->keys, room * sizeof(*keys));
    if (keys == NULL)
        return false;
    c->keys = keys;
    c->room = room;
    return true;
}

enum tcpao_chain_result tcpao_chain_add(struct tcpao_chain *c, const struct tcpao_mkt *mkt,
                                        uint32_t *other)
{
    enum tcpao_chain_result r = check_mkt(mkt);
    struct chain_key key = {.mkt = *mkt};

    if (r == TCPAO_CHAIN_OK && find(c, mkt->number) != NULL) {
        if (other != NULL)
            *other = mkt->number;
        r = TCPAO_CHAIN_DUPLICATE;
    }
    if (r == TCPAO_CHAIN_OK)
        r = check_ids(c, mkt, other);
    if (r != TCPAO_CHAIN_OK)
        return r;
    if (c->count >= TCPAO_CHAIN_KEYS_MAX)
        return TCPAO_CHAIN_FULL;
    if (!make_room(c) || !gh_secret_set(&key.secret, mkt->secret, mkt->secret_len))
        return TCPAO_CHAIN_NO_MEMORY;
    key.mkt.secret = key.secret.data;
    c->keys[c->count++] = key;
    c->generation++;
    return TCPAO_CHAIN_OK;
}

enum tcpao_chain_result tcpao_chain_remove(struct tcpao_chain *c, uint32_t number)
{
    struct chain_key *k = find(c, number);
    size_t after;

    if (k == NULL)
        return TCPAO_CHAIN_NOT_FOUND;
    gh_secret_clear(&k->secret);
    after = (size_t)(c->keys + c->count - (k + 1));
    memmove(k, k + 1, after * sizeof(*k));
    c->count--;
    c->generation++;
    return TCPAO_CHAIN_OK;
}

enum tcpao_chain_result tcpao_chain_set_lifetimes(struct tcpao_chain *c, uint32_t number,
                                                  struct tcpao_lifetime send,
                                                  struct tcpao_lifetime accept)
{
    struct chain_key *k = find(c, number);
    enum tcpao_chain_result r;
    struct tcpao_mkt changed;

    if (k == NULL)
        return TCPAO_CHAIN_NOT_FOUND;
    changed = k->mkt;
    changed.send = send;
    changed.accept = accept;
    r = check_ids(c, &changed, NULL);
    if (r == TCPAO_CHAIN_OK)
        k->mkt = changed;
    return r;
}

size_t tcpao_chain_count(const struct tcpao_chain *c)
{
    return c->count;
}

const struct tcpao_mkt *tcpao_chain_at(const struct tcpao_chain *c, size_t i)
{
    return i < c->count ? &c->keys[i].mkt : NULL;
}

const struct tcpao_mkt *tcpao_chain_find(const struct tcpao_chain *c, uint32_t number)
{
    const struct chain_key *k = find(c, number);

    return k == NULL ? NULL : &k->mkt;
}

/* ---- Choosing by time ----------------------------------------------------------------------- */

const struct tcpao_mkt *tcpao_chain_preferred(const struct tcpao_chain *c, int64_t now)
{
    const struct tcpao_mkt *best = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct tcpao_mkt *k = &c->keys[i].mkt;

        if (!tcpao_lifetime_includes(k->send, now, 0))
            continue;
        if (best == NULL || k->send.from > best->send.from ||
            (k->send.from == best->send.from && k->number > best->number))
            best = k;
    }
    return best;
}

/* Of two keys with one id that are both within the tolerance: does the first fit better? */
static bool fits_better(struct tcpao_lifetime a, struct tcpao_lifetime b, int64_t now)
{
    bool a_now = tcpao_lifetime_includes(a, now, 0), b_now = tcpao_lifetime_includes(b, now, 0);

    return a_now != b_now ? a_now : a.from > b.from;
}

const struct tcpao_mkt *tcpao_chain_by_recv_id(const struct tcpao_chain *c, uint8_t recv_id,
                                               int64_t now)
{
    const struct tcpao_mkt *best = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct tcpao_mkt *k = &c->keys[i].mkt;

        if (k->recv_id == recv_id && tcpao_lifetime_includes(k->accept, now, c->tolerance) &&
            (best == NULL || fits_better(k->accept, best->accept, now)))
            best = k;
    }
    return best;
}

const struct tcpao_mkt *tcpao_chain_by_send_id(const struct tcpao_chain *c, uint8_t send_id,
                                               int64_t now)
{
    const struct tcpao_mkt *best = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct tcpao_mkt *k = &c->keys[i].mkt;

        if (k->send_id == send_id && tcpao_lifetime_includes(k->send, now, c->tolerance) &&
            (best == NULL || fits_better(k->send, best->send, now)))
            best = k;
    }
    return best;
}

bool tcpao_chain_knows_recv_id(const struct tcpao_chain *c, uint8_t recv_id)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->keys[i].mkt.recv_id == recv_id)
            return true;
    return false;
}

/* The earliest of the lifetime's four edges (with and without tolerance) that lies in
 * (now, soonest). */
static int64_t next_edge(struct tcpao_lifetime l, uint32_t tolerance, int64_t now, int64_t soonest)
{
    const int64_t edges[] = {l.from, l.until, earlier(l.from, tolerance),
                             later(l.until, tolerance)};

    if (is_empty(l))
        return soonest;
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
        if (edges[i] > now && edges[i] < soonest)
            soonest = edges[i];
    return soonest;
}

int64_t tcpao_chain_next_change(const struct tcpao_chain *c, int64_t now)
{
    int64_t soonest = TCPAO_TIME_MAX;

    for (size_t i = 0; i < c->count; i++) {
        soonest = next_edge(c->keys[i].mkt.send, c->tolerance, now, soonest);
        soonest = next_edge(c->keys[i].mkt.accept, c->tolerance, now, soonest);
    }
    return soonest;
}

int64_t tcpao_chain_expiry(const struct tcpao_chain *c)
{
    int64_t last = TCPAO_TIME_MIN;

    for (size_t i = 0; i < c->count; i++)
        if (!is_empty(c->keys[i].mkt.send) && c->keys[i].mkt.send.until > last)
            last = c->keys[i].mkt.send.until;
    return last;
}

/*
 * One key chain: ids, lifetimes, MAC lengths.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/alloc.h"
#include "config/lifetime.h"
#include "config/lint.h"

enum {
    SPACING = 30 * 60, /* seconds between starts that Junos recommends */
    MAC_RECOMMENDED = 12,
    SYN_OPTIONS_USUAL = 20, /* MSS, SACK permitted, timestamps, window scale */
    TOLERANCE_LEAST = 60
};

static const char *at(int64_t t, char buf[32])
{
    return gh_time_format(t, buf, 32);
}

/* ---- Ids ---- */

/* Cisco's and Juniper's rule, stricter than RFC 5925's: an id number belongs to one key. */
static void lint_ids(struct gh_lint *l, const struct gh_key_chain *chain, const struct gh_key *a,
                     const struct gh_key *b)
{
    const uint8_t ids[] = {a->mkt.send_id, a->mkt.recv_id};
    struct tcpao_lifetime wide_a = gh_lifetime_widen(&a->mkt.accept, chain->tolerance);
    struct tcpao_lifetime wide_b = gh_lifetime_widen(&b->mkt.accept, chain->tolerance);

    if (a->mkt.recv_id == b->mkt.recv_id && gh_lifetime_overlap(&wide_a, &wide_b)) {
        gh_lint_warn(l, b->line, "id-within-tolerance",
                     "choose another id, or leave more time between the keys",
                     "key %u and key %u of \"%s\" both have recv-id %u and are both accepted for a "
                     "while because of the tolerance: segments of one may be checked with the "
                     "other",
                     a->mkt.number, b->mkt.number, chain->name, a->mkt.recv_id);
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        if (ids[i] != b->mkt.send_id && ids[i] != b->mkt.recv_id)
            continue;
        gh_lint_warn(l, b->line, "vendor-ids",
                     "give each key its own numbers if the peer is a Cisco or a Juniper",
                     "key %u and key %u of \"%s\" share the id %u; IOS XE and Junos refuse an id "
                     "that another key of the chain has in either direction",
                     a->mkt.number, b->mkt.number, chain->name, ids[i]);
        return;
    }
}

/* ---- One key ---- */

static void lint_mac(struct gh_lint *l, const struct gh_key *key)
{
    size_t room = tcpao_syn_option_room(key->mkt.mac_len);

    if (key->mkt.mac_len < MAC_RECOMMENDED)
        gh_lint_warn(l, key->line, "short-mac", "use 12 octets or more (RFC 5926 3.2)",
                     "the MACs of key %u have only %u octets", key->mkt.number, key->mkt.mac_len);
    if (room < SYN_OPTIONS_USUAL)
        gh_lint_warn(l, key->line, "option-space",
                     "choose a MAC of 12 octets unless the peer needs this length",
                     "a MAC of %u octets leaves %zu octets for other options in a SYN: %s",
                     key->mkt.mac_len, room,
                     room < 8 ? "window scaling, SACK and timestamps go" : "timestamps or SACK go");
}

static void lint_key(struct gh_lint *l, const struct gh_key_chain *chain, const struct gh_key *key)
{
    const struct tcpao_lifetime *send = &key->mkt.send, *accept = &key->mkt.accept;
    struct tcpao_lifetime wide = gh_lifetime_widen(accept, chain->tolerance);
    char text[32];

    lint_mac(l, key);
    if (!key->mkt.options_covered)
        gh_lint_warn(l, key->line, "options-excluded",
                     "set include-tcp-options = true unless the peer (IOS XE, LISP) or a "
                     "middlebox needs it so",
                     "key %u does not protect the other TCP options", key->mkt.number);
    if (!gh_lifetime_empty(send) && (accept->from > send->from || accept->until < send->until))
        gh_lint_warn(l, key->line, "accept-shorter",
                     "make accept-lifetime at least as long as send-lifetime",
                     "key %u is accepted for a shorter time than it is sent; a peer with the same "
                     "lifetimes sends what this end refuses",
                     key->mkt.number);
    if (!gh_lifetime_empty(send) && send->from != TCPAO_TIME_MIN && send->until != TCPAO_TIME_MAX &&
        send->until - send->from < chain->tolerance)
        gh_lint_warn(l, key->line, "tolerance-wide", "make the lifetime longer",
                     "key %u lives shorter than the tolerance of %u s", key->mkt.number,
                     chain->tolerance);
    if (!gh_lifetime_empty(accept) && wide.until <= l->now)
        gh_lint_warn(l, key->line, "expired-key", "remove it", "key %u expired at %s",
                     key->mkt.number, at(accept->until, text));
}

/* ---- The sequence of keys ---- */

static int by_start(const void *a, const void *b)
{
    const struct gh_key *x = *(const struct gh_key *const *)a;
    const struct gh_key *y = *(const struct gh_key *const *)b;

    return (x->mkt.send.from > y->mkt.send.from) - (x->mkt.send.from < y->mkt.send.from);
}

static void lint_spacing(struct gh_lint *l, const struct gh_key *a, const struct gh_key *b)
{
    if (a->mkt.send.from == TCPAO_TIME_MIN || b->mkt.send.from - a->mkt.send.from >= SPACING)
        return;
    gh_lint_warn(l, b->line, "spacing", "let at least 30 minutes pass between two starts",
                 "key %u starts %lld s after key %u; not all peers roll over that fast",
                 b->mkt.number, (long long)(b->mkt.send.from - a->mkt.send.from), a->mkt.number);
}

/* A start at which the key before is refused at once: any difference of clocks loses segments. */
static void lint_handover(struct gh_lint *l, const struct gh_key_chain *chain,
                          const struct gh_key *a, const struct gh_key *b)
{
    struct tcpao_lifetime old = gh_lifetime_widen(&a->mkt.accept, chain->tolerance);
    struct tcpao_lifetime new = gh_lifetime_widen(&b->mkt.accept, chain->tolerance);
    int64_t start = b->mkt.send.from;

    if (start == TCPAO_TIME_MIN || gh_lifetime_empty(&a->mkt.accept) || old.until < start ||
        old.until <= l->now)
        return; /* no handover; a gap, which is reported as such; or long past */
    if (old.until < start + TOLERANCE_LEAST || new.from > start - TOLERANCE_LEAST)
        gh_lint_warn(l, b->line, "no-overlap",
                     "set tolerance to more than the clocks may differ (the default is 3600)",
                     "key %u and key %u are accepted together for less than a minute around the "
                     "rollover: clocks that differ more lose segments",
                     a->mkt.number, b->mkt.number);
}

static void lint_gap(struct gh_lint *l, const struct gh_key_chain *chain, const struct gh_key *next,
                     int64_t from)
{
    char begin[32], end[32];

    if (next->mkt.send.from <= l->now)
        return;
    gh_lint_warn(l, next->line, "gap", "let the key before last until this one starts",
                 "no key of \"%s\" can be sent from %s to %s: its sessions are down meanwhile",
                 chain->name, at(from, begin), at(next->mkt.send.from, end));
}

static void lint_sequence(struct gh_lint *l, const struct gh_key_chain *chain)
{
    const struct gh_key **keys = gh_config_alloc(chain->key_count, sizeof(*keys));
    int64_t covered = TCPAO_TIME_MIN;
    size_t count = 0;

    for (size_t i = 0; i < chain->key_count; i++) {
        if (!gh_lifetime_empty(&chain->keys[i].mkt.send))
            keys[count++] = &chain->keys[i];
    }
    qsort(keys, count, sizeof(*keys), by_start);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            lint_spacing(l, keys[i - 1], keys[i]);
            lint_handover(l, chain, keys[i - 1], keys[i]);
            if (keys[i]->mkt.send.from > covered)
                lint_gap(l, chain, keys[i], covered);
        }
        if (keys[i]->mkt.send.until > covered)
            covered = keys[i]->mkt.send.until;
    }
    free(keys);
}

/* ---- The end ---- */

static void lint_expiry(struct gh_lint *l, const struct gh_key_chain *chain)
{
    int64_t expiry = TCPAO_TIME_MIN;
    bool now = false;
    char text[32], left[GH_LIFETIME_TEXT];

    for (size_t i = 0; i < chain->key_count; i++) {
        const struct tcpao_lifetime *send = &chain->keys[i].mkt.send;

        now = now || gh_lifetime_includes(send, l->now);
        if (!gh_lifetime_empty(send) && send->until > expiry)
            expiry = send->until;
    }
    if (expiry <= l->now) {
        gh_lint_error(l, chain->line, "expired", "add a key",
                      "the last key of \"%s\" expired at %s: no session of it can be up",
                      chain->name, at(expiry, text));
        return;
    }
    if (!now)
        gh_lint_warn(l, chain->line, "no-current-key", "start a key now",
                     "no key of \"%s\" can be sent now", chain->name);
    for (size_t i = chain->warn_count; expiry != TCPAO_TIME_MAX && i-- > 0;) {
        if (expiry - l->now > chain->warn_before[i])
            continue;
        gh_lint_warn(l, chain->line, "expiry", "add a key that lasts longer, at both ends",
                     "the last key of \"%s\" expires at %s, in less than %s", chain->name,
                     at(expiry, text), gh_duration_text(chain->warn_before[i], left));
        return;
    }
}

void gh_lint_chain(struct gh_lint *l, const struct gh_key_chain *chain)
{
    for (size_t i = 0; i < chain->key_count; i++) {
        lint_key(l, chain, &chain->keys[i]);
        for (size_t j = 0; j < i; j++)
            lint_ids(l, chain, &chain->keys[j], &chain->keys[i]);
    }
    lint_sequence(l, chain);
    lint_expiry(l, chain);
}

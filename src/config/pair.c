#include "config/pair.h"

#include "config/lifetime.h"

/* How well an address that one end names fits the one that the other has. */
enum fit { FIT_NO, FIT_OPEN, FIT_YES };

static enum fit fit_address(const struct gh_prefix *named, const struct gh_prefix *own)
{
    if (named->addr.len == 0 || own->addr.len == 0)
        return FIT_OPEN;
    return gh_prefix_overlaps(named, own) ? FIT_YES : FIT_NO;
}

static enum fit fit_sessions(const struct gh_session *a, const struct gh_session *b)
{
    enum fit there = fit_address(&a->peer, &b->local), here = fit_address(&b->peer, &a->local);

    if (a->peer.addr.len != b->peer.addr.len || there == FIT_NO || here == FIT_NO)
        return FIT_NO;
    return there == FIT_YES || here == FIT_YES ? FIT_YES : FIT_OPEN;
}

/* Of several sessions between the same ends. */
static unsigned likeness(const struct gh_session *s, const struct gh_session *t)
{
    return (t->port == s->port ? 2 : 0) +
           (t->source_first == s->source_first && t->source_last == s->source_last);
}

const struct gh_session *gh_find_mirror(const struct gh_config *peer, const struct gh_session *s)
{
    const struct gh_session *sure = NULL, *open = NULL;
    size_t opens = 0;

    for (size_t i = 0; i < peer->session_count; i++) {
        const struct gh_session *t = &peer->sessions[i];
        enum fit fit = fit_sessions(s, t);

        if (fit == FIT_YES && (sure == NULL || likeness(s, t) > likeness(s, sure)))
            sure = t;
        if (fit != FIT_OPEN || t->port != s->port)
            continue;
        if (open == NULL || likeness(s, t) > likeness(s, open)) {
            open = t;
            opens = 1;
        } else if (likeness(s, t) == likeness(s, open)) {
            opens++;
        }
    }
    if (sure != NULL)
        return sure;
    return opens == 1 ? open : NULL;
}

const struct gh_key *gh_find_counterpart(const struct gh_key_chain *peer_chain,
                                         const struct gh_key *key, uint32_t tolerance)
{
    const struct gh_key *any = NULL;
    struct tcpao_lifetime ours = gh_lifetime_widen(&key->mkt.send, tolerance);

    for (size_t i = 0; i < peer_chain->key_count; i++) {
        const struct gh_key *k = &peer_chain->keys[i];
        struct tcpao_lifetime theirs = gh_lifetime_widen(&k->mkt.accept, peer_chain->tolerance);

        if (k->mkt.send_id != key->mkt.recv_id || k->mkt.recv_id != key->mkt.send_id)
            continue;
        if (gh_lifetime_overlap(&ours, &theirs))
            return k;
        any = k;
    }
    return any;
}

/*
 * What a reload may change while keys are in use (features C24, J8, J9).
 *
 * A key in use is one whose send or accept lifetime, widened by the tolerance, includes now. Its
 * lifetimes may change: that is how an operator rolls over. What makes up its MACs, and its ids,
 * may not: both ends would have to change at the same instant. New keys may come at any time, keys
 * may go at any time (a compromised one must), with a warning where the peer may still use it.
 */
#include <string.h>

#include "config/config.h"
#include "config/lifetime.h"

enum { ROOM_FOR_MAC = 16 }; /* octets that every connection has room for: AO_USUAL_MAC */

struct change {
    const struct gh_config *next;
    int64_t now;
    struct gh_problems *problems;
};

static bool in_use(const struct gh_key_chain *chain, const struct gh_key *key, int64_t now)
{
    struct tcpao_lifetime send = gh_lifetime_widen(&key->mkt.send, chain->tolerance);
    struct tcpao_lifetime accept = gh_lifetime_widen(&key->mkt.accept, chain->tolerance);

    return gh_lifetime_includes(&send, now) || gh_lifetime_includes(&accept, now);
}

static const struct gh_key_chain *find_chain(const struct gh_config *c, const char *name)
{
    for (size_t i = 0; i < c->chain_count; i++) {
        if (strcmp(c->chains[i].name, name) == 0)
            return &c->chains[i];
    }
    return NULL;
}

static const struct gh_key *find_key(const struct gh_key_chain *k, uint32_t number)
{
    for (size_t i = 0; i < k->key_count; i++) {
        if (k->keys[i].mkt.number == number)
            return &k->keys[i];
    }
    return NULL;
}

/* The first property that differs, or NULL. */
static const char *difference(const struct gh_key *a, const struct gh_key *b)
{
    if (a->mkt.send_id != b->mkt.send_id)
        return "send-id";
    if (a->mkt.recv_id != b->mkt.recv_id)
        return "recv-id";
    if (a->mkt.alg != b->mkt.alg)
        return "algorithm";
    if (a->mkt.mac_len != b->mkt.mac_len)
        return "MAC length";
    if (a->mkt.options_covered != b->mkt.options_covered)
        return "include-tcp-options flag";
    if (!gh_secret_equal(&a->secret, &b->secret))
        return "secret";
    return NULL;
}

static void check_key(struct change *x, const struct gh_key_chain *chain, const struct gh_key *old,
                      const struct gh_key_chain *next_chain)
{
    const struct gh_key *new = find_key(next_chain, old->mkt.number);
    const char *what;

    if (new == NULL) {
        gh_problem_add(x->problems, GH_PROBLEM_WARNING, x->next->path, next_chain->line,
                       "key-in-use-removed",
                       "if it is not compromised, end its lifetime instead and remove it later",
                       "key %u of \"%s\" is in use and goes; segments that the peer still signs "
                       "with it will be dropped",
                       old->mkt.number, chain->name);
        return;
    }
    what = difference(old, new);
    if (what != NULL)
        gh_problem_add(x->problems, GH_PROBLEM_ERROR, x->next->path, new->line, "key-in-use",
                       "add a new key with another number and ids, and let this one expire",
                       "key %u of \"%s\" is in use: its %s cannot change", old->mkt.number,
                       chain->name, what);
}

static unsigned longest_mac(const struct gh_key_chain *chain)
{
    unsigned longest = 0;

    for (size_t i = 0; i < chain->key_count; i++) {
        if (chain->keys[i].mkt.mac_len > longest)
            longest = chain->keys[i].mkt.mac_len;
    }
    return longest;
}

/* What TCP options and which MSS a connection has was settled by its SYNs, for the chain of then.
 */
static void check_room(struct change *x, const struct gh_key_chain *old,
                       const struct gh_key_chain *new)
{
    unsigned longest = longest_mac(new);

    if (longest <= ROOM_FOR_MAC || longest <= longest_mac(old))
        return;
    gh_problem_add(x->problems, GH_PROBLEM_WARNING, x->next->path, new->line, "longer-mac",
                   "reset-session before the key begins, or take an algorithm with a shorter MAC",
                   "\"%s\" gets a key with a MAC of %u octets; connections that are up now have no "
                   "room for it beside timestamps and end when it comes into use",
                   new->name, longest);
}

/* J8: a session keeps its chain while it lives. Another name for the same keys in use is fine. */
static void check_session(struct change *x, const struct gh_session *old_session,
                          const struct gh_key_chain *old, const struct gh_session *session,
                          const struct gh_key_chain *new)
{
    for (size_t i = 0; i < old->key_count; i++) {
        const struct gh_key *key = &old->keys[i];
        const struct gh_key *same = find_key(new, key->mkt.number);

        if (!in_use(old, key, x->now) || (same != NULL && difference(key, same) == NULL))
            continue;
        gh_problem_add(x->problems, GH_PROBLEM_ERROR, x->next->path, session->line, "chain-in-use",
                       "add the new keys to the old chain, or remove the session, reload, and add "
                       "it again (which resets its connections)",
                       "the session \"%s\" moves from key chain \"%s\" to \"%s\", which does not "
                       "have its key %u that is in use",
                       old_session->name, old->name, new->name, key->mkt.number);
        return;
    }
}

void gh_config_check_change(const struct gh_config *current, const struct gh_config *next,
                            int64_t now, struct gh_problems *problems)
{
    struct change x = {.next = next, .now = now, .problems = problems};

    for (size_t i = 0; i < current->chain_count; i++) {
        const struct gh_key_chain *chain = &current->chains[i];
        const struct gh_key_chain *next_chain = find_chain(next, chain->name);

        /* a chain that no session uses is not in use */
        if (next_chain == NULL || !gh_config_chain_used(current, i))
            continue;
        check_room(&x, chain, next_chain);
        for (size_t k = 0; k < chain->key_count; k++) {
            if (in_use(chain, &chain->keys[k], now))
                check_key(&x, chain, &chain->keys[k], next_chain);
        }
    }
    for (size_t i = 0; i < current->session_count; i++) {
        const struct gh_session *old = &current->sessions[i];
        const struct gh_session *new = gh_config_session(next, old->name);

        if (new != NULL && old->backend != new->backend &&
            (old->backend == GH_BACKEND_KERNEL || new->backend == GH_BACKEND_KERNEL))
            gh_problem_add(problems, GH_PROBLEM_WARNING, next->path, new->line, "backend-change",
                           "let the routing daemon open the session anew",
                           "the connections of session \"%s\" cannot go from backend = %s to %s",
                           new->name, gh_config_backend_name(old->backend),
                           gh_config_backend_name(new->backend));
        if (new == NULL)
            continue;
        if (!gh_config_text_equal(old->ike_peer, new->ike_peer))
            gh_problem_add(problems, GH_PROBLEM_WARNING, next->path, new->line, "keys-change",
                           "change both ends at the same time",
                           "the session \"%s\" gets its keys from elsewhere: its connections end",
                           new->name);
        else if (old->ike_peer == NULL &&
                 strcmp(current->chains[old->chain].name, next->chains[new->chain].name) != 0)
            check_session(&x, old, &current->chains[old->chain], new, &next->chains[new->chain]);
    }
}

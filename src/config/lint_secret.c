/*
 * Secrets that are weak, known to everybody, or used twice.
 */
#include <string.h>

#include "config/lint.h"

enum { SHORT = GH_SECRET_SHORT, FEW_OCTETS = 6 };

/* What vendors' documents, RFCs and examples print; also as they are commonly pasted. */
static const char *const published[] = {
    "$ABC123", "abcde",   "some-key", "secretpassword", "testvector", "password",
    "cisco",   "juniper", "cisco123", "keys1",          "hello321",   "bye123",
    "secret",  "key1",    "changeme", "bgp-secret",     "swordfish",  "123456",
};

static unsigned distinct_octets(const struct gh_secret *s)
{
    bool seen[256] = {false};
    unsigned count = 0;

    for (size_t i = 0; i < s->len; i++) {
        count += !seen[s->data[i]];
        seen[s->data[i]] = true;
    }
    return count;
}

bool gh_secret_published(const struct gh_secret *s)
{
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        if (s->len == strlen(published[i]) && gh_ct_equal(s->data, published[i], s->len))
            return true;
    }
    return false;
}

bool gh_secret_repeats(const struct gh_secret *s)
{
    return distinct_octets(s) < FEW_OCTETS;
}

static void lint_key(struct gh_lint *l, const struct gh_key_chain *chain, const struct gh_key *key)
{
    static const char remedy[] = "gatectl key-chain generate makes a strong one";

    if (key->secret.len == 0)
        return; /* not loaded */
    if (gh_secret_published(&key->secret))
        gh_lint_warn(l, key->line, "known-secret", remedy,
                     "the secret of key %u of \"%s\" is an example from public documents",
                     key->mkt.number, chain->name);
    else if (key->secret.len < SHORT)
        gh_lint_warn(l, key->line, "weak-secret", remedy,
                     "the secret of key %u of \"%s\" is shorter than %d octets, so that one "
                     "captured segment is enough to search for it",
                     key->mkt.number, chain->name, (int)SHORT);
    else if (gh_secret_repeats(&key->secret))
        gh_lint_warn(l, key->line, "weak-secret", remedy,
                     "the secret of key %u of \"%s\" repeats a few characters", key->mkt.number,
                     chain->name);
}

/* Is there an earlier key with this secret? Keys are counted through all chains. */
static void lint_repetition(struct gh_lint *l, size_t chain, size_t index)
{
    const struct gh_config *c = l->config;
    const struct gh_key *key = &c->chains[chain].keys[index];

    for (size_t i = 0; i <= chain; i++) {
        size_t end = i == chain ? index : c->chains[i].key_count;

        for (size_t k = 0; k < end; k++) {
            const struct gh_key *other = &c->chains[i].keys[k];

            if (other->secret.len == 0 || !gh_secret_equal(&other->secret, &key->secret))
                continue;
            gh_lint_warn(l, key->line, "same-secret",
                         "make a new secret for each key: rolling over to it gains nothing",
                         "key %u of \"%s\" has the secret of key %u of \"%s\" (line %d)",
                         key->mkt.number, c->chains[chain].name, other->mkt.number,
                         c->chains[i].name, other->line);
            return;
        }
    }
}

void gh_lint_secrets(struct gh_lint *l)
{
    for (size_t i = 0; i < l->config->chain_count; i++) {
        const struct gh_key_chain *chain = &l->config->chains[i];

        for (size_t k = 0; k < chain->key_count; k++) {
            lint_key(l, chain, &chain->keys[k]);
            lint_repetition(l, i, k);
        }
    }
}

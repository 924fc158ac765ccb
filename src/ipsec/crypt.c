#include "ipsec/crypt.h"

#include <stdlib.h>
#include <string.h>

enum { BACK_ENDS = 2 };
/* Of a key, what a short packet needs of it: round keys and the first powers of GHASH's key. */
enum { PREFETCH = 640, LINE = 64 };

/* The fastest first. OpenSSL is the last, for it takes what the others do not. */
static const struct ipsec_crypt_ops *const back_ends[BACK_ENDS] = {&ipsec_crypt_mb,
                                                                   &ipsec_crypt_openssl};

struct ipsec_crypt {
    size_t first; /* of back_ends */
    void *state[BACK_ENDS];
};

struct ipsec_crypt_key {
    size_t by; /* of back_ends */
    void *key;
};

struct ipsec_crypt *ipsec_crypt_new(const char *name)
{
    struct ipsec_crypt *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->state[BACK_ENDS - 1] = ipsec_crypt_openssl.start();
    for (c->first = 0; c->first < BACK_ENDS; c->first++) {
        const struct ipsec_crypt_ops *ops = back_ends[c->first];

        if (name != NULL && strcmp(name, ops->name) != 0)
            continue;
        if (c->state[c->first] == NULL)
            c->state[c->first] = ops->start();
        if (c->state[c->first] != NULL)
            return c;
    }
    ipsec_crypt_free(c);
    return NULL;
}

void ipsec_crypt_free(struct ipsec_crypt *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < BACK_ENDS; i++)
        if (c->state[i] != NULL)
            back_ends[i]->stop(c->state[i]);
    free(c);
}

const char *ipsec_crypt_name(const struct ipsec_crypt *c)
{
    return back_ends[c->first]->name;
}

struct ipsec_crypt_key *ipsec_crypt_key_new(struct ipsec_crypt *c,
                                            const struct ipsec_crypt_algs *algs, bool seal,
                                            bool in_line)
{
    struct ipsec_crypt_key *key = calloc(1, sizeof(*key));

    if (key == NULL)
        return NULL;
    for (key->by = in_line ? c->first : BACK_ENDS - 1; key->by < BACK_ENDS; key->by++) {
        if (c->state[key->by] == NULL)
            continue;
        key->key = back_ends[key->by]->key_new(c->state[key->by], algs, seal);
        if (key->key != NULL)
            return key;
    }
    free(key);
    return NULL;
}

void ipsec_crypt_key_free(struct ipsec_crypt_key *key)
{
    if (key == NULL)
        return;
    back_ends[key->by]->key_free(key->key);
    free(key);
}

const char *ipsec_crypt_key_by(const struct ipsec_crypt_key *key)
{
    return back_ends[key->by]->name;
}

void ipsec_crypt_key_prefetch(const struct ipsec_crypt_key *key)
{
    for (size_t at = 0; at < PREFETCH; at += LINE)
        __builtin_prefetch((const char *)key->key + at);
}

void ipsec_crypt_run(struct ipsec_crypt *c, struct ipsec_crypt_job *const *jobs, size_t count,
                     bool seal)
{
    struct ipsec_crypt_job *mine[IPSEC_BATCH];
    void *keys[IPSEC_BATCH];

    for (size_t by = c->first; by < BACK_ENDS; by++) {
        size_t n = 0;

        for (size_t i = 0; i < count; i++)
            if (jobs[i]->key->by == by) {
                keys[n] = jobs[i]->key->key;
                mine[n++] = jobs[i];
            }
        if (n > 0)
            back_ends[by]->run(c->state[by], mine, keys, n, seal);
    }
}

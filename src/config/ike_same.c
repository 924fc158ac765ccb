/*
 * Whether two configurations mean the same by a peer: its octets are the same, and those of what it
 * borrows, each encoded alone.
 */
#include "config/ike.h"

#include <stdlib.h>
#include <string.h>

static struct gh_ike_profile *find_profile(const struct gh_ike_config *c,
                                           const struct gh_cert_profile *p)
{
    for (size_t i = 0; i < c->profile_count; i++) {
        if (c->profiles[i].profile == p)
            return &c->profiles[i];
    }
    return NULL;
}

static struct gh_ike_trust *find_trust(const struct gh_ike_config *c, const struct gh_trust *t)
{
    for (size_t i = 0; i < c->trust_count; i++) {
        if (c->trusts[i].trust == t)
            return &c->trusts[i];
    }
    return NULL;
}

static struct gh_ike_client_db *find_client_db(const struct gh_ike_config *c,
                                               const struct gh_client_db *db)
{
    for (size_t i = 0; i < c->client_db_count; i++) {
        if (c->client_dbs[i].db == db)
            return &c->client_dbs[i];
    }
    return NULL;
}

/* The octets of a configuration with this peer alone; what it holds is borrowed from `c`. */
static uint8_t *encode_one(const struct gh_ike_config *c, size_t policy, size_t *len)
{
    struct ike2_policy *p = c->policies[policy];
    struct gh_ike_config one = {.policies = &p,
                                .policy_count = 1,
                                .profiles = find_profile(c, p->cert_profile),
                                .trusts = find_trust(c, p->trust),
                                .client_dbs = find_client_db(c, p->client_db),
                                .raw_keys = c->raw_keys,
                                .raw_key_count = c->raw_key_count};

    one.profile_count = one.profiles != NULL;
    one.trust_count = one.trusts != NULL;
    one.client_db_count = one.client_dbs != NULL;
    if (one.client_dbs != NULL) { /* its clients name them */
        one.ts_lists = c->ts_lists;
        one.ts_list_count = c->ts_list_count;
    }
    if (p->peer_raw_key == NULL && p->raw_key_spki.len == 0)
        one.raw_key_count = 0;
    return gh_ike_config_encode(&one, len);
}

bool gh_ike_policy_same(const struct gh_ike_config *a, size_t i, const struct gh_ike_config *b,
                        size_t k)
{
    size_t a_len = 0, b_len = 0;
    uint8_t *x = encode_one(a, i, &a_len), *y = encode_one(b, k, &b_len);
    bool same = x != NULL && y != NULL && a_len == b_len && memcmp(x, y, a_len) == 0;

    free(x);
    free(y);
    return same;
}

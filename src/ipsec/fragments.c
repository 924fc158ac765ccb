#include "ipsec/fragments.h"

#include <stdlib.h>
#include <string.h>

/* Up to TCP's flags (RFC 1858 3.1). */
enum { TCP = 6, TCP_LOOKED_AT = 16 };

/* Octets without gaps that mean nothing: it is hashed and compared. Two datagrams of IPv6 have no
 * ID in common whatever their protocols, and a later fragment may name another than the first. */
struct key {
    uint8_t local[16], remote[16];
    uint64_t number;
    uint32_t id;
    uint8_t scope, way, len, protocol;
};

struct entry {
    struct key key;
    uint64_t until_ms; /* 0: free */
    uint16_t local_port, remote_port;
    uint8_t protocol;
    bool one_sided;
};

struct ipsec_fragments {
    struct gh_hash_seed seed;
    uint64_t ms;
    struct entry sets[IPSEC_FRAGMENTS_SETS][IPSEC_FRAGMENTS_WAYS];
};

struct ipsec_fragments *ipsec_fragments_new(const struct gh_hash_seed *seed, uint64_t ms)
{
    struct ipsec_fragments *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->seed = *seed;
    t->ms = ms;
    return t;
}

void ipsec_fragments_free(struct ipsec_fragments *t)
{
    free(t);
}

static void make_key(enum ipsec_fragments_scope scope, uint64_t number, const struct ipsec_flow *f,
                     struct key *k)
{
    memset(k, 0, sizeof(*k));
    memcpy(k->local, f->local.octets, f->local.len);
    memcpy(k->remote, f->remote.octets, f->remote.len);
    k->number = number;
    k->id = f->fragment_id;
    k->scope = (uint8_t)scope;
    k->way = (uint8_t)f->way;
    k->len = f->local.len;
    k->protocol = f->local.len == 4 ? f->protocol : 0;
}

static size_t set_of(const struct ipsec_fragments *t, const struct key *k)
{
    return gh_siphash(&t->seed, k, sizeof(*k)) % IPSEC_FRAGMENTS_SETS;
}

void ipsec_fragments_keep(struct ipsec_fragments *t, uint64_t now_ms,
                          enum ipsec_fragments_scope scope, uint64_t number,
                          const struct ipsec_flow *f)
{
    struct entry *set, *oldest;
    struct key k;

    if (!f->fragment || f->fragment_offset != 0 || !f->ports)
        return;
    make_key(scope, number, f, &k);
    set = oldest = t->sets[set_of(t, &k)];
    for (size_t i = 0; i < IPSEC_FRAGMENTS_WAYS; i++) {
        if (set[i].until_ms != 0 && memcmp(&set[i].key, &k, sizeof(k)) == 0) {
            oldest = &set[i];
            break;
        }
        if (set[i].until_ms < oldest->until_ms)
            oldest = &set[i];
    }
    *oldest = (struct entry){.key = k,
                             .until_ms = now_ms + t->ms,
                             .local_port = f->local_port,
                             .remote_port = f->remote_port,
                             .protocol = f->protocol,
                             .one_sided = f->one_sided};
}

bool ipsec_fragments_find(const struct ipsec_fragments *t, uint64_t now_ms,
                          enum ipsec_fragments_scope scope, uint64_t number,
                          const struct ipsec_flow *f, struct ipsec_flow *out)
{
    const struct entry *set;
    struct key k;

    if (!f->fragment || f->fragment_offset == 0)
        return false;
    make_key(scope, number, f, &k);
    set = t->sets[set_of(t, &k)];
    for (size_t i = 0; i < IPSEC_FRAGMENTS_WAYS; i++) {
        const struct entry *e = &set[i];

        if (now_ms >= e->until_ms || memcmp(&e->key, &k, sizeof(k)) != 0)
            continue;
        *out = *f;
        out->protocol = e->protocol;
        out->local_port = e->local_port;
        out->remote_port = e->remote_port;
        out->one_sided = e->one_sided;
        out->ports = true;
        return !ipsec_fragment_overlaps(out);
    }
    return false;
}

bool ipsec_fragment_overlaps(const struct ipsec_flow *f)
{
    return f->protocol == TCP && f->fragment_offset > 0 && f->fragment_offset < TCP_LOOKED_AT;
}

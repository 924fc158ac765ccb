#include "tunnel/reassembly.h"

#include <stdlib.h>
#include <string.h>

#include "ipsec/header.h"
#include "tunnel/pieces.h"
#include "wire/wr.h"

enum {
    DEFAULT_OCTETS = 4 << 20,
    DEFAULT_DATAGRAMS = 1024,
    DEFAULT_OF_A_SOURCE = 64,
    DEFAULT_FRAGMENTS = 64,
    DEFAULT_SMALLEST = 48,
    SOURCES = 4096,
    IPV6_NEXT_LEN_AT = 4
};

/* Which datagram; without gaps, for it is hashed and compared as octets. */
struct key {
    uint8_t src[16], dst[16];
    uint32_t place, id;
    uint16_t version, protocol; /* protocol: IPv4 only (RFC 791 3.2, RFC 8200 4.5) */
};

struct datagram {
    struct datagram *next_in_bucket;
    struct datagram *older, *newer;
    struct key key;
    size_t bucket, source;
    uint64_t until;
    bool condemned;
    struct tunnel_pieces pieces;
};

struct tunnel_reassembly {
    struct tunnel_reassembly_limits limits;
    struct gh_hash_seed seed;
    struct datagram **buckets;
    size_t bucket_count; /* a power of two */
    struct datagram *oldest, *newest;
    uint32_t datagrams;
    size_t octets;
    uint32_t of_source[SOURCES];
    uint64_t counts[TUNNEL_RESULT_COUNT];
};

static size_t or_default(size_t value, size_t otherwise)
{
    return value != 0 ? value : otherwise;
}

struct tunnel_reassembly *tunnel_reassembly_new(const struct tunnel_reassembly_limits *limits,
                                                const struct gh_hash_seed *seed)
{
    struct tunnel_reassembly *r = calloc(1, sizeof(*r));
    struct tunnel_reassembly_limits *l;

    if (r == NULL || limits->wait_ms > TUNNEL_REASSEMBLY_WAIT_MAX_MS) {
        free(r);
        return NULL;
    }
    l = &r->limits;
    l->octets = or_default(limits->octets, DEFAULT_OCTETS);
    l->datagrams = (uint32_t)or_default(limits->datagrams, DEFAULT_DATAGRAMS);
    l->of_a_source = (uint32_t)or_default(limits->of_a_source, DEFAULT_OF_A_SOURCE);
    l->fragments = (uint32_t)or_default(limits->fragments, DEFAULT_FRAGMENTS);
    l->smallest = (uint32_t)or_default(limits->smallest, DEFAULT_SMALLEST);
    l->wait_ms = (uint32_t)or_default(limits->wait_ms, TUNNEL_REASSEMBLY_WAIT_MS);
    r->seed = *seed;
    for (r->bucket_count = 16; r->bucket_count < l->datagrams; r->bucket_count *= 2)
        ;
    r->buckets = calloc(r->bucket_count, sizeof(struct datagram *));
    if (r->buckets == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

static void forget(struct tunnel_reassembly *r, struct datagram *d)
{
    struct datagram **link = &r->buckets[d->bucket];

    while (*link != d)
        link = &(*link)->next_in_bucket;
    *link = d->next_in_bucket;
    *(d->older != NULL ? &d->older->newer : &r->oldest) = d->newer;
    *(d->newer != NULL ? &d->newer->older : &r->newest) = d->older;
    r->of_source[d->source]--;
    r->datagrams--;
    r->octets -= tunnel_pieces_clear(&d->pieces) + sizeof(*d);
    free(d);
}

static void give_up(struct tunnel_reassembly *r, struct datagram *d, enum tunnel_result why)
{
    r->counts[why] += d->pieces.count;
    forget(r, d);
}

void tunnel_reassembly_free(struct tunnel_reassembly *r)
{
    if (r == NULL)
        return;
    while (r->oldest != NULL)
        forget(r, r->oldest);
    free(r->buckets);
    free(r);
}

static struct key key_of(const struct tunnel_fragment *f, uint32_t place)
{
    struct key k;

    memset(&k, 0, sizeof(k));
    memcpy(k.src, f->src.octets, sizeof(k.src));
    memcpy(k.dst, f->dst.octets, sizeof(k.dst));
    k.place = place;
    k.id = f->id;
    k.version = f->version;
    k.protocol = f->version == 4 ? f->protocol : 0;
    return k;
}

static size_t source_of(const struct tunnel_reassembly *r, const struct key *k)
{
    return (size_t)gh_siphash(&r->seed, k->src, sizeof(k->src)) & (SOURCES - 1);
}

static struct datagram *find(const struct tunnel_reassembly *r, const struct key *k, size_t bucket)
{
    struct datagram *d = r->buckets[bucket];

    while (d != NULL && memcmp(&d->key, k, sizeof(*k)) != 0)
        d = d->next_in_bucket;
    return d;
}

/* Makes room for `more` octets by dropping what is older than `keep`. */
static bool make_room(struct tunnel_reassembly *r, size_t more, const struct datagram *keep)
{
    while (r->octets + more > r->limits.octets) {
        struct datagram *d = r->oldest != keep ? r->oldest : r->oldest->newer;

        if (d == NULL)
            return false;
        give_up(r, d, TUNNEL_FRAGMENT_EVICTED);
    }
    return true;
}

static enum tunnel_result begin(struct tunnel_reassembly *r, uint64_t now_ms, const struct key *k,
                                size_t bucket, struct datagram **out)
{
    size_t source = source_of(r, k);
    struct datagram *d;

    if (r->of_source[source] >= r->limits.of_a_source)
        return TUNNEL_FRAGMENT_SHARE;
    if (r->datagrams >= r->limits.datagrams)
        give_up(r, r->oldest, TUNNEL_FRAGMENT_EVICTED);
    if (!make_room(r, sizeof(*d), NULL))
        return TUNNEL_FRAGMENT_NO_MEMORY;
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return TUNNEL_FRAGMENT_NO_MEMORY;
    d->key = *k;
    d->bucket = bucket;
    d->source = source;
    d->until = now_ms + r->limits.wait_ms;
    d->next_in_bucket = r->buckets[bucket];
    r->buckets[bucket] = d;
    d->older = r->newest;
    *(r->newest != NULL ? &r->newest->newer : &r->oldest) = d;
    r->newest = d;
    r->of_source[source]++;
    r->datagrams++;
    r->octets += sizeof(*d);
    *out = d;
    return TUNNEL_OK;
}

/* RFC 5722 3: all of the datagram, also what is still to come. */
static void condemn(struct tunnel_reassembly *r, struct datagram *d, enum tunnel_result why)
{
    r->counts[why] += d->pieces.count;
    r->octets -= tunnel_pieces_clear(&d->pieces);
    d->condemned = true;
}

static enum tunnel_result add(struct tunnel_reassembly *r, struct datagram *d,
                              const struct tunnel_fragment *f, const uint8_t *packet)
{
    size_t octets = tunnel_piece_octets(f);
    enum tunnel_result result;

    if (d->condemned)
        return TUNNEL_FRAGMENT_CONDEMNED;
    result = tunnel_pieces_check(&d->pieces, f, packet);
    if (result == TUNNEL_OK && d->pieces.count >= r->limits.fragments)
        result = TUNNEL_FRAGMENT_TOO_MANY;
    if (result == TUNNEL_FRAGMENT_OVERLAP || result == TUNNEL_FRAGMENT_TOO_MANY ||
        result == TUNNEL_FRAGMENT_LENGTH)
        condemn(r, d, result);
    if (result != TUNNEL_OK)
        return result;
    if (!make_room(r, octets, d) || !tunnel_pieces_add(&d->pieces, f, packet))
        return TUNNEL_FRAGMENT_NO_MEMORY;
    r->octets += octets;
    return TUNNEL_KEPT;
}

/* What can be told by the fragment alone. */
static enum tunnel_result check_alone(const struct tunnel_reassembly *r,
                                      const struct tunnel_fragment *f, const uint8_t *packet)
{
    if (f->data_len == 0 || (f->more && f->data_len % 8 != 0) ||
        f->offset + f->data_len > UINT16_MAX ||
        (f->version == 4 && f->offset + f->data_len + f->header_len > UINT16_MAX))
        return TUNNEL_FRAGMENT_LENGTH;
    if (f->more && f->data_len < r->limits.smallest)
        return TUNNEL_FRAGMENT_TINY;
    if (f->version == 6 && f->offset == 0 && !tunnel_chain_is_whole(f, packet))
        return TUNNEL_FRAGMENT_CHAIN;
    return TUNNEL_OK;
}

/* RFC 6946 4: by itself, whatever waits with the same identification. */
static enum tunnel_result unwrap_atomic(const struct tunnel_fragment *f,
                                        const struct ipsec_packet *in, struct ipsec_packet *whole)
{
    const uint8_t *packet = ipsec_packet_data(in);
    size_t len = f->header_len + f->data_len;
    uint8_t *out = whole->mem + whole->at;

    if (!tunnel_chain_is_whole(f, packet))
        return TUNNEL_FRAGMENT_CHAIN;
    if (whole->at > whole->cap || len > whole->cap - whole->at)
        return TUNNEL_NO_ROOM;
    memmove(out, packet, f->header_len);
    memmove(out + f->header_len, packet + f->data_at, f->data_len);
    whole->len = len;
    return ipsec_header_fix(out, len, f->next_at, f->protocol) ? TUNNEL_OK : TUNNEL_MALFORMED;
}

static enum tunnel_result pass(const struct ipsec_packet *in, struct ipsec_packet *whole)
{
    if (whole->at > whole->cap || in->len > whole->cap - whole->at)
        return TUNNEL_NO_ROOM;
    memmove(whole->mem + whole->at, ipsec_packet_data(in), in->len);
    whole->len = in->len;
    return TUNNEL_OK;
}

static enum tunnel_result collect(struct tunnel_reassembly *r, uint64_t now_ms,
                                  const struct tunnel_fragment *f, const struct ipsec_packet *in,
                                  struct ipsec_packet *whole)
{
    const uint8_t *packet = ipsec_packet_data(in);
    struct key k = key_of(f, in->place);
    size_t bucket = (size_t)gh_siphash(&r->seed, &k, sizeof(k)) & (r->bucket_count - 1);
    enum tunnel_result result = check_alone(r, f, packet);
    struct datagram *d = find(r, &k, bucket);

    if (result == TUNNEL_OK && d == NULL)
        result = begin(r, now_ms, &k, bucket, &d);
    if (result != TUNNEL_OK)
        return result;
    result = add(r, d, f, packet);
    if (result == TUNNEL_KEPT && tunnel_pieces_whole(&d->pieces)) {
        result = tunnel_pieces_join(&d->pieces, whole);
        forget(r, d);
    } else if (d->pieces.count == 0 && !d->condemned) {
        forget(r, d);
    }
    return result;
}

enum tunnel_result tunnel_reassemble(struct tunnel_reassembly *r, uint64_t now_ms,
                                     const struct ipsec_packet *in, struct ipsec_packet *whole)
{
    struct tunnel_fragment f;
    enum tunnel_result result = tunnel_fragment_read(ipsec_packet_data(in), in->len, &f);

    tunnel_reassembly_tick(r, now_ms);
    if (result == TUNNEL_OK)
        result = f.is_fragment ? collect(r, now_ms, &f, in, whole)
                 : f.atomic    ? unwrap_atomic(&f, in, whole)
                               : pass(in, whole);
    if (result == TUNNEL_OK) {
        whole->place = in->place;
        whole->encapsulated = in->encapsulated;
    }
    r->counts[result]++;
    return result;
}

void tunnel_reassembly_tick(struct tunnel_reassembly *r, uint64_t now_ms)
{
    while (r->oldest != NULL && r->oldest->until <= now_ms)
        give_up(r, r->oldest, TUNNEL_FRAGMENT_TIMEOUT);
}

uint64_t tunnel_reassembly_deadline(const struct tunnel_reassembly *r)
{
    return r->oldest != NULL ? r->oldest->until : UINT64_MAX;
}

size_t tunnel_reassembly_octets(const struct tunnel_reassembly *r)
{
    return r->octets;
}

uint32_t tunnel_reassembly_datagrams(const struct tunnel_reassembly *r)
{
    return r->datagrams;
}

uint64_t tunnel_reassembly_count(const struct tunnel_reassembly *r, enum tunnel_result result)
{
    return (unsigned)result < TUNNEL_RESULT_COUNT ? r->counts[result] : 0;
}

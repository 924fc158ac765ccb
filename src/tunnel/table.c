#include "tunnel/table.h"

#include <stdlib.h>
#include <string.h>

#include "ipsec/header.h"
#include "tunnel/fragment.h"
#include "tunnel/limit.h"

enum { PRIMARY, BACKUP, ENDPOINTS };
enum what { BY_ENDPOINTS = 1, BY_ID, BY_DEST };

/* What is looked up; without gaps, for it is hashed and compared as octets. */
struct key {
    uint8_t a[16], b[16];
    uint64_t id;
    uint32_t place;
    uint8_t what, kind, a_len, b_len;
};

struct slot {
    struct slot *next;
    struct node *node;
    struct key key;
};

struct node {
    struct tunnel tunnel; /* first: it is what others see */
    struct node *older, *newer;
    struct slot by_id, by_endpoints[ENDPOINTS], by_dest[];
};

struct tunnel_table {
    struct gh_hash_seed seed;
    size_t max, count, bucket_count; /* the last is a power of two */
    struct slot **buckets;
    struct node *oldest, *newest;
};

struct tunnel_table *tunnel_table_new(size_t max, const struct gh_hash_seed *seed)
{
    struct tunnel_table *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->seed = *seed;
    t->max = max;
    for (t->bucket_count = 16; t->bucket_count < 2 * max; t->bucket_count *= 2)
        ;
    t->buckets = calloc(t->bucket_count, sizeof(struct slot *));
    if (t->buckets == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void tunnel_table_free(struct tunnel_table *t)
{
    if (t == NULL)
        return;
    for (struct node *n = t->oldest, *next; n != NULL; n = next) {
        next = n->newer;
        free(n);
    }
    free(t->buckets);
    free(t);
}

static struct key key_by_id(uint64_t id)
{
    struct key k;

    memset(&k, 0, sizeof(k));
    k.what = BY_ID;
    k.id = id;
    return k;
}

static struct key key_by_endpoints(uint32_t place, enum tunnel_kind kind,
                                   const struct gh_addr *local, const struct gh_addr *remote)
{
    struct key k;

    memset(&k, 0, sizeof(k));
    k.what = BY_ENDPOINTS;
    k.kind = (uint8_t)kind;
    k.place = place;
    memcpy(k.a, local->octets, sizeof(k.a));
    memcpy(k.b, remote->octets, sizeof(k.b));
    k.a_len = local->len;
    k.b_len = remote->len;
    return k;
}

static struct key key_by_dest(uint32_t place, const struct gh_addr *dest)
{
    struct key k;

    memset(&k, 0, sizeof(k));
    k.what = BY_DEST;
    k.place = place;
    memcpy(k.a, dest->octets, sizeof(k.a));
    k.a_len = dest->len;
    return k;
}

static struct slot **bucket(const struct tunnel_table *t, const struct key *k)
{
    return &t->buckets[(size_t)gh_siphash(&t->seed, k, sizeof(*k)) & (t->bucket_count - 1)];
}

/* The next slot with this key, from `s` on. */
static struct slot *with_key(struct slot *s, const struct key *k)
{
    while (s != NULL && memcmp(&s->key, k, sizeof(*k)) != 0)
        s = s->next;
    return s;
}

static struct slot *first(const struct tunnel_table *t, const struct key *k)
{
    return with_key(*bucket(t, k), k);
}

/* Each slot that a tunnel has; NULL after the last. */
static struct slot *slot_of(struct node *n, size_t i, struct key *key)
{
    const struct tunnel_params *p = &n->tunnel.p;

    if (i == 0) {
        *key = key_by_id(p->id);
        return &n->by_id;
    }
    if (i == 1) {
        *key = key_by_endpoints(p->place, p->kind, &p->local, &p->remote);
        return &n->by_endpoints[PRIMARY];
    }
    if (i == 2 && p->backup.len != 0) {
        *key = key_by_endpoints(p->place, p->kind, &p->local, &p->backup);
        return &n->by_endpoints[BACKUP];
    }
    i -= p->backup.len != 0 ? 3 : 2;
    if (i >= p->dest_count)
        return NULL;
    *key = key_by_dest(p->private_place, &p->dests[i]);
    return &n->by_dest[i];
}

static bool same_receive_key(const struct tunnel_params *a, const struct tunnel_params *b)
{
    return a->has_receive_key == b->has_receive_key &&
           (!a->has_receive_key || a->receive_key == b->receive_key);
}

/* What another tunnel has already that this one would have too. */
static enum tunnel_added conflict(const struct tunnel_table *t, struct node *n)
{
    struct key k;

    for (size_t i = 0; slot_of(n, i, &k) != NULL; i++)
        for (struct slot *s = first(t, &k); s != NULL; s = with_key(s->next, &k)) {
            if (k.what == BY_ID)
                return TUNNEL_ADD_ID;
            if (k.what == BY_DEST)
                return TUNNEL_ADD_DEST;
            if (same_receive_key(&s->node->tunnel.p, &n->tunnel.p))
                return TUNNEL_ADD_SAME;
        }
    return TUNNEL_ADDED;
}

enum tunnel_added tunnel_table_add(struct tunnel_table *t, const struct tunnel_params *params)
{
    enum tunnel_added result;
    struct slot *s;
    struct node *n;
    struct key k;

    if (!tunnel_params_valid(params))
        return TUNNEL_ADD_INVALID;
    if (t->count >= t->max)
        return TUNNEL_ADD_FULL;
    n = calloc(1, sizeof(*n) + params->dest_count * sizeof(n->by_dest[0]));
    if (n == NULL)
        return TUNNEL_ADD_NO_MEMORY;
    tunnel_init(&n->tunnel, params);
    result = conflict(t, n);
    if (result != TUNNEL_ADDED) {
        free(n);
        return result;
    }
    for (size_t i = 0; (s = slot_of(n, i, &k)) != NULL; i++) {
        struct slot **list = bucket(t, &k);

        *s = (struct slot){.next = *list, .node = n, .key = k};
        *list = s;
    }
    n->older = t->newest;
    *(t->newest != NULL ? &t->newest->newer : &t->oldest) = n;
    t->newest = n;
    t->count++;
    return TUNNEL_ADDED;
}

static struct node *node_by_id(const struct tunnel_table *t, uint64_t id)
{
    struct key k = key_by_id(id);
    struct slot *s = first(t, &k);

    return s != NULL ? s->node : NULL;
}

bool tunnel_table_remove(struct tunnel_table *t, uint64_t id)
{
    struct node *n = node_by_id(t, id);
    struct slot *s;
    struct key k;

    if (n == NULL)
        return false;
    for (size_t i = 0; (s = slot_of(n, i, &k)) != NULL; i++) {
        struct slot **link = bucket(t, &k);

        while (*link != s)
            link = &(*link)->next;
        *link = s->next;
    }
    *(n->older != NULL ? &n->older->newer : &t->oldest) = n->newer;
    *(n->newer != NULL ? &n->newer->older : &t->newest) = n->older;
    free(n);
    t->count--;
    return true;
}

struct tunnel *tunnel_table_get(const struct tunnel_table *t, uint64_t id)
{
    struct node *n = node_by_id(t, id);

    return n != NULL ? &n->tunnel : NULL;
}

struct tunnel *tunnel_table_by_dest(const struct tunnel_table *t, uint32_t private_place,
                                    const struct gh_addr *dest)
{
    struct key k = key_by_dest(private_place, dest);
    struct slot *s = first(t, &k);

    return s != NULL ? &s->node->tunnel : NULL;
}

static bool kind_of(uint8_t protocol, enum tunnel_kind *kind)
{
    *kind = protocol == TUNNEL_PROTO_GRE ? TUNNEL_GRE : TUNNEL_IP_IP;
    return protocol == TUNNEL_PROTO_GRE || protocol == IPSEC_PROTO_IPV4 ||
           protocol == IPSEC_PROTO_IPV6;
}

/* The one with the packet's key, else one that has none to receive. */
static struct tunnel *by_receive_key(const struct tunnel_table *t, const struct key *k,
                                     const struct tunnel_gre *gre)
{
    struct tunnel *without = NULL;

    for (struct slot *s = first(t, k); s != NULL; s = with_key(s->next, k)) {
        struct tunnel *tunnel = &s->node->tunnel;

        if (tunnel->p.has_receive_key && gre->has_key && tunnel->p.receive_key == gre->key)
            return tunnel;
        if (!tunnel->p.has_receive_key && (!gre->has_key || tunnel->p.ignore_key))
            without = tunnel;
    }
    return without;
}

static struct tunnel *reassembles(const struct tunnel_table *t, const struct key *k, bool *any)
{
    for (struct slot *s = first(t, k); s != NULL; s = with_key(s->next, k)) {
        *any = true;
        if (s->node->tunnel.p.reassembly)
            return &s->node->tunnel;
    }
    return NULL;
}

/* Destination options may hide which kind of tunnel an IPv6 fragment is of. */
static bool may_be(const struct tunnel_fragment *f, enum tunnel_kind wanted)
{
    enum tunnel_kind kind;

    return (f->version == 6 && f->protocol == TUNNEL_PROTO_DEST_OPTIONS) ||
           (kind_of(f->protocol, &kind) && kind == wanted);
}

static enum tunnel_result find_for_fragment(const struct tunnel_table *t, uint32_t place,
                                            const struct tunnel_fragment *f, struct tunnel **out)
{
    bool any = false;

    *out = NULL;
    for (int kind = TUNNEL_GRE; kind <= TUNNEL_IP_IP && *out == NULL; kind++) {
        struct key k = key_by_endpoints(place, (enum tunnel_kind)kind, &f->dst, &f->src);

        if (may_be(f, (enum tunnel_kind)kind))
            *out = reassembles(t, &k, &any);
    }
    if (*out != NULL)
        return TUNNEL_OK;
    return any ? TUNNEL_REASSEMBLY_OFF : TUNNEL_NO_TUNNEL;
}

enum tunnel_result tunnel_table_find(const struct tunnel_table *t, const struct ipsec_packet *p,
                                     struct tunnel **out)
{
    const uint8_t *octets = ipsec_packet_data(p);
    struct tunnel_gre gre = {0};
    struct tunnel_fragment f;
    enum tunnel_kind kind;
    struct key k;

    *out = NULL;
    if (tunnel_fragment_read(octets, p->len, &f) != TUNNEL_OK)
        return TUNNEL_MALFORMED;
    if (f.is_fragment)
        return find_for_fragment(t, p->place, &f, out);
    if (!kind_of(f.protocol, &kind))
        return TUNNEL_NO_TUNNEL;
    if (kind == TUNNEL_GRE) {
        struct gh_rd r = gh_rd_make(octets + f.data_at, f.data_len);
        enum tunnel_result result = tunnel_gre_read(&r, &gre);

        if (result != TUNNEL_OK)
            return result;
    }
    k = key_by_endpoints(p->place, kind, &f.dst, &f.src);
    *out = by_receive_key(t, &k, &gre);
    return *out != NULL ? TUNNEL_OK : TUNNEL_NO_TUNNEL;
}

struct tunnel *tunnel_table_quoted(const struct tunnel_table *t, uint32_t place,
                                   const struct gh_addr *local, const struct gh_addr *remote,
                                   uint8_t protocol, const uint32_t *key)
{
    enum tunnel_kind kind;
    struct key k;

    if (!kind_of(protocol, &kind))
        return NULL;
    k = key_by_endpoints(place, kind, local, remote);
    for (struct slot *s = first(t, &k); s != NULL; s = with_key(s->next, &k)) {
        const struct tunnel_params *p = &s->node->tunnel.p;

        if (key == NULL || (p->has_send_key && p->send_key == *key))
            return &s->node->tunnel;
    }
    return NULL;
}

size_t tunnel_table_count(const struct tunnel_table *t)
{
    return t->count;
}

void tunnel_table_each(const struct tunnel_table *t, void (*each)(void *arg, struct tunnel *tunnel),
                       void *arg)
{
    for (struct node *n = t->oldest; n != NULL; n = n->newer)
        each(arg, &n->tunnel);
}

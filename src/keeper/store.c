#include "keeper/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wr.h"

enum { BUCKETS = 4096 };

struct item {
    size_t next; /* of the same hash, its place + 1; 0: none */
    enum gh_secret_kind kind;
    char name[GH_KEEPER_NAME_MAX + 1];
    struct gh_bundle bundle; /* of a KEY */
    struct gh_secret secret; /* of the others */
};

struct gh_keeper_store {
    struct item *items;
    size_t count, room;
    size_t bucket[BUCKETS]; /* by name: the place of the newest + 1; 0: none */
};

static const char *const kinds[] = {[GH_SECRET_KEY] = "private key",
                                    [GH_SECRET_PSK] = "pre-shared key",
                                    [GH_SECRET_PPK] = "post-quantum pre-shared key"};

struct gh_keeper_store *gh_keeper_store_new(void)
{
    return calloc(1, sizeof(struct gh_keeper_store));
}

void gh_keeper_store_free(struct gh_keeper_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++) {
        gh_bundle_clear(&s->items[i].bundle);
        gh_secret_clear(&s->items[i].secret);
    }
    free(s->items);
    free(s);
}

size_t gh_keeper_store_count(const struct gh_keeper_store *s)
{
    return s->count;
}

bool gh_keeper_name_valid(struct gh_view name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] < 0x21 || name.p[i] > 0x7e)
            return false;
    return name.len >= 1 && name.len <= GH_KEEPER_NAME_MAX;
}

/* FNV-1a: the names are the operator's. */
static size_t bucket_of(struct gh_view name)
{
    uint32_t h = 0x811c9dc5;

    for (size_t i = 0; i < name.len; i++)
        h = (h ^ name.p[i]) * 0x01000193;
    return h % BUCKETS;
}

static struct item *find(const struct gh_keeper_store *s, enum gh_secret_kind kind,
                         struct gh_view name)
{
    for (size_t at = s->bucket[bucket_of(name)]; at != 0; at = s->items[at - 1].next) {
        struct item *item = &s->items[at - 1];

        if (item->kind == kind && gh_view_equal(gh_view_of(item->name, strlen(item->name)), name))
            return item;
    }
    return NULL;
}

/* ---- Filling -------------------------------------------------------------------------------- */

/* A new item, without its secret. NULL, and the reason. */
static struct item *add(struct gh_keeper_store *s, enum gh_secret_kind kind, const char *name,
                        struct gh_pki_error *e)
{
    struct gh_view view = gh_view_of(name, strlen(name));
    struct item *item;

    if (!gh_keeper_name_valid(view)) {
        gh_pki_fail(e, "secret-name", "take letters, digits and dashes",
                    "the name of a %s has 1 to %d printable characters without blanks", kinds[kind],
                    (int)GH_KEEPER_NAME_MAX);
        return NULL;
    }
    if (find(s, kind, view) != NULL) {
        gh_pki_fail(e, "secret-name", "give each a name of its own",
                    "there are two of the name %s for a %s", name, kinds[kind]);
        return NULL;
    }
    if (s->count == s->room) {
        size_t room = s->room * 2 + 8;
        struct item *more = realloc(s->items, room * sizeof(*more)); /* pointers, no secrets */

        if (more == NULL) {
            gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
            return NULL;
        }
        s->items = more;
        s->room = room;
    }
    item = &s->items[s->count++];
    *item = (struct item){.kind = kind, .next = s->bucket[bucket_of(view)]};
    s->bucket[bucket_of(view)] = s->count;
    snprintf(item->name, sizeof(item->name), "%s", name);
    return item;
}

/* Signs something and verifies it: a key that cannot is better found out now than by a peer. */
static bool try_key(const struct gh_privkey *k, struct gh_pki_error *e)
{
    const struct gh_auth_accept accept = {
        .methods = GH_AUTH_SIGNATURES, .hashes = GH_SIG_DEFAULT, .rsa_bits = 1};
    const struct gh_pubkey *pub = gh_privkey_public(k);
    const struct gh_view octets = gh_view_of("trial", 5);
    uint8_t body[GH_AUTH_BODY_MAX];
    struct gh_sign_params params;
    size_t len;

    return gh_auth_choose(gh_pubkey_type(pub), gh_pubkey_bits(pub), false, GH_SIG_DEFAULT,
                          GH_SIG_DEFAULT, &params, e) &&
           gh_auth_sign(k, &params, octets, body, &len, e) &&
           (gh_auth_verify(pub, &accept, gh_view_of(body, len), octets, NULL) ||
            gh_pki_fail(e, "key-mismatch", "make the key anew",
                        "what the private key signs does not verify with its public key"));
}

bool gh_keeper_store_add_key(struct gh_keeper_store *s, const char *name, struct gh_bundle *bundle,
                             struct gh_pki_error *e)
{
    struct item *item = NULL;

    if (bundle->key == NULL)
        gh_pki_fail(e, "key-format", "give a private key", "there is no private key");
    else if (try_key(bundle->key, e))
        item = add(s, GH_SECRET_KEY, name, e);
    if (item == NULL) {
        gh_bundle_clear(bundle);
        return false;
    }
    item->bundle = *bundle;
    *bundle = (struct gh_bundle){.key = NULL};
    return true;
}

bool gh_keeper_store_add_secret(struct gh_keeper_store *s, enum gh_secret_kind kind,
                                const char *name, struct gh_secret *secret, struct gh_pki_error *e)
{
    struct item *item = NULL;

    if (kind == GH_SECRET_KEY || secret->len == 0)
        gh_pki_fail(e, "secret-format", "write one", "the secret is empty");
    else
        item = add(s, kind, name, e);
    if (item == NULL) {
        gh_secret_clear(secret);
        return false;
    }
    item->secret = *secret;
    *secret = (struct gh_secret){.data = NULL};
    return true;
}

/* ---- Answering ------------------------------------------------------------------------------ */

/* To be wiped and freed. NULL: no memory. */
static uint8_t *answer(const struct gh_keeper_request *q, enum gh_keeper_result result,
                       struct gh_view value, size_t *len)
{
    const struct gh_keeper_answer a = {.id = q->id, .result = result, .value = value};
    uint8_t *out = malloc(5 + value.len);
    struct gh_wr w = gh_wr_make(out, 5 + value.len);

    if (out == NULL || !gh_keeper_answer_put(&w, &a)) {
        free(out);
        return NULL;
    }
    *len = w.len;
    return out;
}

static uint8_t *refuse(const struct gh_keeper_request *q, const char *why, size_t *len)
{
    return answer(q, GH_KEEPER_REFUSED, gh_view_of(why, strlen(why)), len);
}

static uint8_t *answer_sign(const struct item *item, const struct gh_keeper_request *q, size_t *len)
{
    uint8_t body[GH_AUTH_BODY_MAX];
    struct gh_pki_error e;
    size_t body_len;

    if (!gh_auth_sign(item->bundle.key, &q->params, q->octets, body, &body_len, &e))
        return refuse(q, e.message, len);
    return answer(q, GH_KEEPER_OK, gh_view_of(body, body_len), len);
}

static bool psk_values(const struct gh_keeper_request *q, struct gh_view secret, uint8_t *value,
                       size_t *len)
{
    const size_t one = gh_prf_len(q->prf);

    *len = q->also.len > 0 ? 2 * one : one;
    return gh_auth_psk(q->prf, secret, q->octets, value) &&
           (q->also.len == 0 || gh_auth_psk(q->prf, secret, q->also, value + one));
}

static uint8_t *answer_prf(const struct item *item, const struct gh_keeper_request *q, size_t *len)
{
    struct gh_view secret = gh_view_of(item->secret.data, item->secret.len);
    uint8_t value[GH_KEEPER_PPK_OUT_MAX]; /* more than two outputs of any PRF */
    size_t value_len = q->len;
    bool good = q->kind == GH_KEEPER_PSK
                    ? psk_values(q, secret, value, &value_len)
                    : gh_prf_plus(q->prf, secret, &q->octets, 1, value, value_len);
    uint8_t *out;

    if (!good)
        return refuse(q, "libcrypto failed", len);
    out = answer(q, GH_KEEPER_OK, gh_view_of(value, value_len), len);
    gh_wipe(value, sizeof(value));
    return out;
}

static void put_item(struct gh_wr *w, const struct item *item)
{
    const struct gh_pubkey *pub;
    struct gh_view spki;

    gh_wr_u8(w, item->kind);
    gh_wr_u8(w, strlen(item->name));
    gh_wr_bytes(w, item->name, strlen(item->name));
    if (item->kind != GH_SECRET_KEY)
        return;
    pub = gh_privkey_public(item->bundle.key);
    spki = gh_pubkey_spki(pub);
    gh_wr_u8(w, gh_pubkey_type(pub));
    gh_wr_u16(w, gh_pubkey_bits(pub));
    gh_wr_u16(w, spki.len);
    gh_wr_bytes(w, spki.p, spki.len);
    gh_wr_u8(w, item->bundle.cert_count);
    for (size_t i = 0; i < item->bundle.cert_count; i++) {
        struct gh_view der = gh_cert_der(item->bundle.certs[i]);

        gh_wr_u16(w, der.len);
        gh_wr_bytes(w, der.p, der.len);
    }
}

static uint8_t *answer_list(const struct gh_keeper_store *s, const struct gh_keeper_request *q,
                            size_t *len)
{
    const size_t room = GH_KEEPER_ANSWER_MAX - 5;
    uint8_t *list = malloc(room), *out;
    struct gh_wr w = gh_wr_make(list, room);

    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < s->count; i++)
        put_item(&w, &s->items[i]);
    out = gh_wr_ok(&w) ? answer(q, GH_KEEPER_OK, gh_view_of(list, w.len), len)
                       : refuse(q, "the list is too long", len);
    free(list);
    return out;
}

uint8_t *gh_keeper_store_answer(const struct gh_keeper_store *s, struct gh_view request,
                                size_t *len)
{
    static const enum gh_secret_kind wanted[] = {[GH_KEEPER_SIGN] = GH_SECRET_KEY,
                                                 [GH_KEEPER_PSK] = GH_SECRET_PSK,
                                                 [GH_KEEPER_PPK] = GH_SECRET_PPK};
    struct gh_keeper_request q;
    const struct item *item;

    if (!gh_keeper_request_parse(request, &q))
        return NULL;
    if (q.kind == GH_KEEPER_LIST)
        return answer_list(s, &q, len);
    item = find(s, wanted[q.kind], q.name);
    if (item == NULL)
        return answer(&q, GH_KEEPER_NO_NAME, gh_view_of(NULL, 0), len);
    return q.kind == GH_KEEPER_SIGN ? answer_sign(item, &q, len) : answer_prf(item, &q, len);
}

/*
 * X25519 and X448 (RFC 7748, in IKE by RFC 8031): the seed is the private key, the curve's function
 * itself clears and sets the bits that it needs so.
 *
 * Of what OpenSSL 3.0 does around the curve's function most is looking up names, so what can be
 * kept for the next time is kept. And its function for any point takes a sixth less time than the
 * one that it makes public values with (on x86-64 with ADX), so ours is made as the definition
 * says, from the base point.
 */
#include "crypto/ke_priv.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/core_names.h>

enum { CURVES = 2, VALUE_MAX = 56 };

/* What is needed of a curve each time. No secret stays in it. */
struct curve {
    EVP_PKEY_CTX *import;
    EVP_PKEY *base, *peer; /* the peer's public value is put in */
};

static uint8_t base_point_of(const struct gh_ke_info *info)
{
    return info->group == GH_KE_X25519 ? 9 : 5;
}

/* private_key: NULL for a public key alone. OpenSSL only reads both, but takes no const. */
static EVP_PKEY *import(EVP_PKEY_CTX *ctx, const uint8_t *private_key, uint8_t *public_value,
                        size_t len)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } octets = {.in = private_key};
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public_value, len),
        OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
    EVP_PKEY *key = NULL;

    if (private_key != NULL)
        params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, octets.out, len);
    if (EVP_PKEY_fromdata(ctx, &key, private_key != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          params) == 1)
        return key;
    return NULL;
}

static void free_curve(struct curve *c)
{
    if (c == NULL)
        return;
    EVP_PKEY_CTX_free(c->import);
    EVP_PKEY_free(c->base);
    EVP_PKEY_free(c->peer);
    free(c);
}

static struct curve *new_curve(const struct gh_ke_info *info)
{
    struct curve *c = calloc(1, sizeof(*c));
    uint8_t point[VALUE_MAX] = {base_point_of(info)};

    if (c == NULL)
        return NULL;
    c->import = EVP_PKEY_CTX_new_from_name(NULL, info->name, NULL);
    if (c->import != NULL && EVP_PKEY_fromdata_init(c->import) == 1) {
        c->base = import(c->import, NULL, point, info->public_i);
        c->peer = import(c->import, NULL, point, info->public_i);
    }
    if (c->base != NULL && c->peer != NULL)
        return c;
    free_curve(c);
    return NULL;
}

/* One of each curve that nobody uses just now; a second thread makes another one. */
static _Atomic(struct curve *) idle[CURVES];

static _Atomic(struct curve *) *idle_of(const struct gh_ke_info *info)
{
    return &idle[info->group == GH_KE_X25519 ? 0 : 1];
}

/* NULL: this OpenSSL does not have it, or no memory. */
static struct curve *take_curve(const struct gh_ke_info *info)
{
    struct curve *c = atomic_exchange(idle_of(info), NULL);

    return c != NULL ? c : new_curve(info);
}

static void put_back(const struct gh_ke_info *info, struct curve *c)
{
    if (c != NULL)
        free_curve(atomic_exchange(idle_of(info), c));
}

static bool x_available(const struct gh_ke_info *info)
{
    struct curve *c = take_curve(info);

    put_back(info, c);
    return c != NULL;
}

/* The base point stands in the place of the public value, for OpenSSL would else make that. */
static EVP_PKEY *private_key(const struct gh_ke_info *info, const struct curve *c,
                             const uint8_t *seed)
{
    uint8_t point[VALUE_MAX] = {base_point_of(info)};

    return import(c->import, seed, point, info->seed);
}

static EVP_PKEY_CTX *multiplier(EVP_PKEY *key)
{
    EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;

    if (ctx != NULL && EVP_PKEY_derive_init(ctx) == 1)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

/* The private key times a point. Any octets of the right length are one (RFC 7748 6). */
static bool multiply(EVP_PKEY_CTX *ctx, EVP_PKEY *point, uint8_t *out, size_t len)
{
    size_t made = len;

    return ctx != NULL && EVP_PKEY_derive_set_peer_ex(ctx, point, 0) == 1 &&
           EVP_PKEY_derive(ctx, out, &made) == 1 && made == len;
}

/* RFC 8031 3.2: an all-zero secret comes from a peer that chose it, and is refused. OpenSSL does so
 * too; no version is trusted to. */
static bool all_zero(const uint8_t *octets, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++)
        any |= octets[i];
    return any == 0;
}

static bool multiply_peer(const struct gh_ke_info *info, EVP_PKEY_CTX *ctx, const struct curve *c,
                          const uint8_t *peer, uint8_t *secret)
{
    return EVP_PKEY_set1_encoded_public_key(c->peer, peer, info->public_r) == 1 &&
           multiply(ctx, c->peer, secret, info->secret) && !all_zero(secret, info->secret);
}

static bool x_start(const struct gh_ke_info *info, const uint8_t *seed, struct gh_ke_private *own,
                    uint8_t *public_value)
{
    struct curve *c = take_curve(info);
    EVP_PKEY_CTX *ctx;
    bool ok;

    if (c == NULL)
        return false;
    own->pkey = private_key(info, c, seed);
    ctx = multiplier(own->pkey);
    ok = multiply(ctx, c->base, public_value, info->public_i);
    EVP_PKEY_CTX_free(ctx);
    put_back(info, c);
    return ok;
}

static bool x_agree(const struct gh_ke_info *info, const struct gh_ke_private *own,
                    const uint8_t *peer, uint8_t *secret)
{
    struct curve *c = take_curve(info);
    EVP_PKEY_CTX *ctx = c != NULL ? multiplier(own->pkey) : NULL;
    bool ok = c != NULL && multiply_peer(info, ctx, c, peer, secret);

    EVP_PKEY_CTX_free(ctx);
    put_back(info, c);
    return ok;
}

static bool x_answer(const struct gh_ke_info *info, const uint8_t *seed, const uint8_t *peer,
                     uint8_t *public_value, uint8_t *secret)
{
    struct curve *c = take_curve(info);
    EVP_PKEY *own = c != NULL ? private_key(info, c, seed) : NULL;
    EVP_PKEY_CTX *ctx = multiplier(own);
    bool ok = c != NULL && multiply(ctx, c->base, public_value, info->public_r) &&
              multiply_peer(info, ctx, c, peer, secret);

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(own);
    put_back(info, c);
    return ok;
}

const struct gh_ke_family gh_ke_x = {x_available, x_start, x_agree, x_answer};

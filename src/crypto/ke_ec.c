/*
 * Diffie-Hellman on the prime curves of RFC 5903 and 6954: the public value is x | y, the secret x.
 */
#include "crypto/ke_priv.h"

#include <stdatomic.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/obj_mac.h>

enum { COORDINATE_MAX = 66, CURVES = 6 };

/* Made once for the life of the process. NULL: no memory, or this OpenSSL does not have it. */
static const EC_GROUP *group_of(const struct gh_ke_info *info)
{
    static _Atomic(EC_GROUP *) made[CURVES];
    const size_t slot = info->group >= GH_KE_BRAINPOOL_256 ? 3 + info->group - GH_KE_BRAINPOOL_256
                                                           : info->group - GH_KE_ECP_256;
    EC_GROUP *g = atomic_load(&made[slot]), *none = NULL;

    if (g != NULL)
        return g;
    g = EC_GROUP_new_by_curve_name((int)info->which);
    if (g != NULL && !atomic_compare_exchange_strong(&made[slot], &none, g)) {
        EC_GROUP_free(g);
        g = none;
    }
    return g;
}

static bool ec_available(const struct gh_ke_info *info)
{
    return group_of(info) != NULL;
}

/* d = seed mod (n - 1) + 1, so that each of 1 … n-1 is as likely as the other. */
static BIGNUM *scalar_of(const EC_GROUP *g, const uint8_t *seed, size_t len, BN_CTX *ctx)
{
    BIGNUM *d = BN_bin2bn(seed, (int)len, NULL), *last = BN_dup(EC_GROUP_get0_order(g));
    bool ok = d != NULL && last != NULL && BN_sub_word(last, 1) == 1;

    if (ok) {
        BN_set_flags(d, BN_FLG_CONSTTIME);
        ok = BN_mod(d, d, last, ctx) == 1 && BN_add_word(d, 1) == 1;
    }
    BN_free(last);
    if (ok)
        return d;
    BN_clear_free(d);
    return NULL;
}

/* 0x04 | x | y, of `octets` each. */
static bool encode(const EC_GROUP *g, const EC_POINT *point, uint8_t *out, size_t octets,
                   BN_CTX *ctx)
{
    return EC_POINT_point2oct(g, point, POINT_CONVERSION_UNCOMPRESSED, out, 1 + 2 * octets, ctx) ==
           1 + 2 * octets;
}

static bool ec_start(const struct gh_ke_info *info, const uint8_t *seed, struct gh_ke_private *own,
                     uint8_t *public_value)
{
    const EC_GROUP *g = group_of(info);
    EC_POINT *point = g != NULL ? EC_POINT_new(g) : NULL;
    BN_CTX *ctx = BN_CTX_new();
    uint8_t octets[1 + 2 * COORDINATE_MAX];
    bool ok = false;

    if (point != NULL && ctx != NULL) {
        own->number = scalar_of(g, seed, info->seed, ctx);
        ok = own->number != NULL && EC_POINT_mul(g, point, own->number, NULL, NULL, ctx) == 1 &&
             encode(g, point, octets, info->secret, ctx);
    }
    if (ok)
        memcpy(public_value, octets + 1, info->public_i);
    EC_POINT_free(point);
    BN_CTX_free(ctx);
    return ok;
}

static bool ec_agree(const struct gh_ke_info *info, const struct gh_ke_private *own,
                     const uint8_t *peer, uint8_t *secret)
{
    const EC_GROUP *g = group_of(info);
    EC_POINT *point = g != NULL ? EC_POINT_new(g) : NULL;
    BN_CTX *ctx = BN_CTX_new();
    uint8_t octets[1 + 2 * COORDINATE_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    bool ok;

    memcpy(octets + 1, peer, info->public_r);
    /* oct2point refuses coordinates that are not below p, and what is not on the curve
     * (RFC 6989 2.3). The curves have cofactor 1, so each point but infinity will do. */
    ok = point != NULL && ctx != NULL &&
         EC_POINT_oct2point(g, point, octets, 1u + info->public_r, ctx) == 1 &&
         EC_POINT_mul(g, point, NULL, point, own->number, ctx) == 1 &&
         EC_POINT_is_at_infinity(g, point) == 0 && encode(g, point, octets, info->secret, ctx);
    if (ok)
        memcpy(secret, octets + 1, info->secret);
    gh_wipe(octets, sizeof(octets));
    EC_POINT_clear_free(point);
    BN_CTX_free(ctx);
    return ok;
}

const struct gh_ke_family gh_ke_ec = {ec_available, ec_start, ec_agree, NULL};

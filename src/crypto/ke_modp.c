/*
 * Diffie-Hellman modulo the safe primes of RFC 2409 and 3526, with generator 2. BN's constant-time
 * exponentiation looks at no bit of the exponent but its length in words, which is always the same.
 */
#include "crypto/ke_priv.h"

#include <stdatomic.h>
#include <stdlib.h>

struct modp {
    BIGNUM *p, *last; /* last: p - 1 */
    BIGNUM *g;
    BN_MONT_CTX *mont;
};

static BIGNUM *(*const primes[])(BIGNUM *) = {
    BN_get_rfc2409_prime_768,  BN_get_rfc2409_prime_1024, BN_get_rfc3526_prime_1536,
    BN_get_rfc3526_prime_2048, BN_get_rfc3526_prime_3072, BN_get_rfc3526_prime_4096,
    BN_get_rfc3526_prime_6144, BN_get_rfc3526_prime_8192,
};

static void free_modp(struct modp *m)
{
    if (m == NULL)
        return;
    BN_free(m->p);
    BN_free(m->last);
    BN_free(m->g);
    BN_MONT_CTX_free(m->mont);
    free(m);
}

static struct modp *new_modp(unsigned which)
{
    struct modp *m = calloc(1, sizeof(*m));
    BN_CTX *ctx = BN_CTX_new();
    bool ok = m != NULL && ctx != NULL;

    if (ok) {
        m->p = primes[which](NULL);
        m->last = m->p != NULL ? BN_dup(m->p) : NULL;
        m->g = BN_new();
        m->mont = BN_MONT_CTX_new();
        ok = m->last != NULL && m->g != NULL && m->mont != NULL && BN_sub_word(m->last, 1) == 1 &&
             BN_set_word(m->g, 2) == 1 && BN_MONT_CTX_set(m->mont, m->p, ctx) == 1;
    }
    BN_CTX_free(ctx);
    if (ok)
        return m;
    free_modp(m);
    return NULL;
}

/* Made once for the life of the process. NULL: no memory. */
static const struct modp *modp_of(const struct gh_ke_info *info)
{
    static _Atomic(struct modp *) made[sizeof(primes) / sizeof(primes[0])];
    struct modp *m = atomic_load(&made[info->which]), *none = NULL;

    if (m != NULL)
        return m;
    m = new_modp(info->which);
    if (m != NULL && !atomic_compare_exchange_strong(&made[info->which], &none, m)) {
        free_modp(m);
        m = none;
    }
    return m;
}

static bool modp_available(const struct gh_ke_info *info)
{
    return modp_of(info) != NULL;
}

/* base^x mod p, with leading zeros (RFC 7296 2.14 and 3.4). */
static bool power(const struct modp *m, const BIGNUM *base, const BIGNUM *x, uint8_t *out,
                  size_t len)
{
    BIGNUM *r = BN_new();
    BN_CTX *ctx = BN_CTX_new();
    bool ok = r != NULL && ctx != NULL &&
              BN_mod_exp_mont_consttime(r, base, x, m->p, ctx, m->mont) == 1 &&
              BN_bn2binpad(r, out, (int)len) == (int)len;

    BN_clear_free(r);
    BN_CTX_free(ctx);
    return ok;
}

static bool modp_start(const struct gh_ke_info *info, const uint8_t *seed,
                       struct gh_ke_private *own, uint8_t *public_value)
{
    const struct modp *m = modp_of(info);

    own->number = BN_bin2bn(seed, info->seed, NULL);
    if (m == NULL || own->number == NULL)
        return false;
    BN_set_flags(own->number, BN_FLG_CONSTTIME);
    /* The top bit is always there, so that the length tells nothing. */
    return BN_set_bit(own->number, info->seed * 8 - 1) == 1 &&
           power(m, m->g, own->number, public_value, info->public_i);
}

static bool modp_agree(const struct gh_ke_info *info, const struct gh_ke_private *own,
                       const uint8_t *peer, uint8_t *secret)
{
    const struct modp *m = modp_of(info);
    BIGNUM *y = BN_bin2bn(peer, info->public_r, NULL);
    /* RFC 6989 2.1: 1 < y < p-1. */
    bool ok = m != NULL && y != NULL && BN_cmp(y, BN_value_one()) > 0 && BN_cmp(y, m->last) < 0 &&
              power(m, y, own->number, secret, info->secret);

    BN_free(y);
    return ok;
}

const struct gh_ke_family gh_ke_modp = {modp_available, modp_start, modp_agree, NULL};

/*
 * Between crypto/ke.c and the families of groups: ke_modp.c, ke_ec.c, ke_x.c, ke_kem.c.
 *
 * A family gets octets whose lengths ke.c has checked against its table, and writes to buffers of
 * those lengths. What it says false to, ke.c wipes.
 */
#ifndef GH_CRYPTO_KE_PRIV_H
#define GH_CRYPTO_KE_PRIV_H

#include <openssl/bn.h>
#include <openssl/evp.h>

#include "crypto/ke.h"

enum { GH_KE_SECRET_MAX = 1024 };

struct gh_ke_family;

struct gh_ke_info {
    enum gh_ke_group group;
    const struct gh_ke_family *family;
    unsigned which;   /* the family's own: a row of its table, a curve's NID */
    const char *name; /* OpenSSL's, where the family goes by it */
    uint16_t public_i, public_r, secret, seed; /* octets */
};

/* A private key: one of the two. */
struct gh_ke_private {
    BIGNUM *number;
    EVP_PKEY *pkey;
};

struct gh_ke_family {
    bool (*available)(const struct gh_ke_info *info);
    bool (*start)(const struct gh_ke_info *info, const uint8_t *seed, struct gh_ke_private *own,
                  uint8_t *public_value);
    bool (*agree)(const struct gh_ke_info *info, const struct gh_ke_private *own,
                  const uint8_t *peer, uint8_t *secret);
    /* NULL: the responder starts and agrees as the initiator does. */
    bool (*answer)(const struct gh_ke_info *info, const uint8_t *seed, const uint8_t *peer,
                   uint8_t *public_value, uint8_t *secret);
};

extern const struct gh_ke_family gh_ke_modp, gh_ke_ec, gh_ke_x, gh_ke_kem;

#endif

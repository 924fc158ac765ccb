/*
 * X25519 and X448 (RFC 7748, in IKE by RFC 8031): the seed is the private key, the curve's function
 * itself clears and sets the bits that it needs so.
 */
#include "crypto/ke_priv.h"

static bool x_available(const struct gh_ke_info *info)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, info->name, NULL);
    bool ok = ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool x_start(const struct gh_ke_info *info, const uint8_t *seed, struct gh_ke_private *own,
                    uint8_t *public_value)
{
    size_t len = info->public_i;

    own->pkey = EVP_PKEY_new_raw_private_key_ex(NULL, info->name, NULL, seed, info->seed);
    return own->pkey != NULL && EVP_PKEY_get_raw_public_key(own->pkey, public_value, &len) == 1 &&
           len == info->public_i;
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

static bool x_agree(const struct gh_ke_info *info, const struct gh_ke_private *own,
                    const uint8_t *peer, uint8_t *secret)
{
    EVP_PKEY *y = EVP_PKEY_new_raw_public_key_ex(NULL, info->name, NULL, peer, info->public_r);
    EVP_PKEY_CTX *ctx = y != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, own->pkey, NULL) : NULL;
    size_t len = info->secret;
    bool ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_derive_set_peer(ctx, y) == 1 && EVP_PKEY_derive(ctx, secret, &len) == 1 &&
              len == info->secret && !all_zero(secret, len);

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(y);
    return ok;
}

const struct gh_ke_family gh_ke_x = {x_available, x_start, x_agree, NULL};

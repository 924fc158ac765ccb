/*
 * ML-KEM (FIPS 203), which OpenSSL has since 3.5. The initiator makes a key pair from the seed's 64
 * octets (d | z), the responder encapsulates with the first 32 (m). All by names, so that this is
 * built with older versions, where the groups are not available.
 */
#include "crypto/ke_priv.h"

#include <openssl/core_names.h>

enum { MESSAGE = 32 };

static bool kem_available(const struct gh_ke_info *info)
{
    EVP_KEM *kem = EVP_KEM_fetch(NULL, info->name, NULL);

    EVP_KEM_free(kem);
    return kem != NULL;
}

/* What OpenSSL only reads, but takes no const. */
static OSSL_PARAM octets_param(const char *name, const uint8_t *octets, size_t len)
{
    union {
        const uint8_t *in;
        void *out;
    } p = {.in = octets};

    return OSSL_PARAM_construct_octet_string(name, p.out, len);
}

static bool kem_start(const struct gh_ke_info *info, const uint8_t *seed, struct gh_ke_private *own,
                      uint8_t *public_value)
{
    const OSSL_PARAM params[] = {octets_param("seed", seed, info->seed),
                                 OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, info->name, NULL);
    size_t len = 0;
    bool ok = ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_params(ctx, params) == 1 &&
              EVP_PKEY_generate(ctx, &own->pkey) == 1 &&
              EVP_PKEY_get_octet_string_param(own->pkey, OSSL_PKEY_PARAM_PUB_KEY, public_value,
                                              info->public_i, &len) == 1 &&
              len == info->public_i;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool kem_agree(const struct gh_ke_info *info, const struct gh_ke_private *own,
                      const uint8_t *peer, uint8_t *secret)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own->pkey, NULL);
    size_t len = info->secret;
    bool ok = ctx != NULL && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
              EVP_PKEY_decapsulate(ctx, secret, &len, peer, info->public_r) == 1 &&
              len == info->secret;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* Importing the peer's key checks it (FIPS 203 7.2). */
static bool kem_answer(const struct gh_ke_info *info, const uint8_t *seed, const uint8_t *peer,
                       uint8_t *public_value, uint8_t *secret)
{
    const OSSL_PARAM params[] = {octets_param("ikme", seed, MESSAGE), OSSL_PARAM_construct_end()};
    EVP_PKEY *y = EVP_PKEY_new_raw_public_key_ex(NULL, info->name, NULL, peer, info->public_i);
    EVP_PKEY_CTX *ctx = y != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, y, NULL) : NULL;
    size_t public_len = info->public_r, len = info->secret;
    bool ok = ctx != NULL && EVP_PKEY_encapsulate_init(ctx, params) == 1 &&
              EVP_PKEY_encapsulate(ctx, public_value, &public_len, secret, &len) == 1 &&
              public_len == info->public_r && len == info->secret;

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(y);
    return ok;
}

const struct gh_ke_family gh_ke_kem = {kem_available, kem_start, kem_agree, kem_answer};

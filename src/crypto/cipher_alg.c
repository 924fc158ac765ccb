#include "crypto/cipher_alg.h"

/* By key length: 128, 192 and 256 bits. */
static struct gh_fetched aes_cbc[] = {{"AES-128-CBC"}, {"AES-192-CBC"}, {"AES-256-CBC"}};
static struct gh_fetched aes_ctr[] = {{"AES-128-CTR"}, {"AES-192-CTR"}, {"AES-256-CTR"}};
static struct gh_fetched aes_ccm[] = {{"AES-128-CCM"}, {"AES-192-CCM"}, {"AES-256-CCM"}};
static struct gh_fetched aes_gcm[] = {{"AES-128-GCM"}, {"AES-192-GCM"}, {"AES-256-GCM"}};
static struct gh_fetched camellia_cbc[] = {
    {"CAMELLIA-128-CBC"}, {"CAMELLIA-192-CBC"}, {"CAMELLIA-256-CBC"}};
static struct gh_fetched camellia_ctr[] = {
    {"CAMELLIA-128-CTR"}, {"CAMELLIA-192-CTR"}, {"CAMELLIA-256-CTR"}};
static struct gh_fetched des = {"DES-CBC", .legacy = true};
static struct gh_fetched triple_des = {"DES-EDE3-CBC"};
static struct gh_fetched chacha = {"ChaCha20-Poly1305"};

static const struct gh_enc_info encs[] = {
    /* mode, then octets of key, salt, IV, block and ICV */
    {GH_ENC_DES, GH_MODE_CBC, 8, 0, 8, 8, 0, &des},          /* RFC 2405 */
    {GH_ENC_3DES, GH_MODE_CBC, 24, 0, 8, 8, 0, &triple_des}, /* RFC 2451 */
    {GH_ENC_NULL, GH_MODE_NULL, 0, 0, 0, 1, 0, NULL},        /* RFC 2410 */
    {GH_ENC_AES_CBC, GH_MODE_CBC, 0, 0, 16, 16, 0, aes_cbc}, /* RFC 3602 */
    {GH_ENC_AES_CTR, GH_MODE_CTR, 0, 4, 8, 1, 0, aes_ctr},   /* RFC 3686 */
    {GH_ENC_AES_CCM_8, GH_MODE_CCM, 0, 3, 8, 1, 8, aes_ccm}, /* RFC 4309 */
    {GH_ENC_AES_CCM_12, GH_MODE_CCM, 0, 3, 8, 1, 12, aes_ccm},
    {GH_ENC_AES_CCM_16, GH_MODE_CCM, 0, 3, 8, 1, 16, aes_ccm},
    {GH_ENC_AES_GCM_8, GH_MODE_AEAD, 0, 4, 8, 1, 8, aes_gcm}, /* RFC 4106 */
    {GH_ENC_AES_GCM_12, GH_MODE_AEAD, 0, 4, 8, 1, 12, aes_gcm},
    {GH_ENC_AES_GCM_16, GH_MODE_AEAD, 0, 4, 8, 1, 16, aes_gcm},
    {GH_ENC_NULL_AES_GMAC, GH_MODE_GMAC, 0, 4, 8, 1, 16, aes_gcm},     /* RFC 4543 */
    {GH_ENC_CAMELLIA_CBC, GH_MODE_CBC, 0, 0, 16, 16, 0, camellia_cbc}, /* RFC 5529 */
    {GH_ENC_CAMELLIA_CTR, GH_MODE_CTR, 0, 4, 8, 1, 0, camellia_ctr},
    {GH_ENC_CHACHA20_POLY1305, GH_MODE_AEAD, 32, 4, 8, 1, 16, &chacha}, /* RFC 7634 */
    {GH_ENC_AES_CCM_8_IIV, GH_MODE_CCM, 0, 3, 8, 1, 8, aes_ccm},        /* RFC 8750 */
    {GH_ENC_AES_GCM_16_IIV, GH_MODE_AEAD, 0, 4, 8, 1, 16, aes_gcm},
    {GH_ENC_CHACHA20_POLY1305_IIV, GH_MODE_AEAD, 32, 4, 8, 1, 16, &chacha},
};

static const struct gh_integ_info integs[] = {
    {GH_INTEG_HMAC_MD5_96, GH_MAC_HMAC_MD5, 16, 12},
    {GH_INTEG_HMAC_SHA1_96, GH_MAC_HMAC_SHA_1, 20, 12},
    {GH_INTEG_AES_XCBC_96, GH_MAC_AES_128_XCBC, 16, 12},
    {GH_INTEG_AES_CMAC_96, GH_MAC_AES_128_CMAC, 16, 12},
    {GH_INTEG_HMAC_SHA2_256_128, GH_MAC_HMAC_SHA_256, 32, 16},
    {GH_INTEG_HMAC_SHA2_384_192, GH_MAC_HMAC_SHA_384, 48, 24},
    {GH_INTEG_HMAC_SHA2_512_256, GH_MAC_HMAC_SHA_512, 64, 32},
};

const struct gh_enc_info *gh_enc_info(enum gh_enc_alg enc)
{
    for (size_t i = 0; i < sizeof(encs) / sizeof(encs[0]); i++)
        if (encs[i].enc == enc)
            return &encs[i];
    return NULL;
}

const struct gh_integ_info *gh_integ_info(enum gh_integ_alg integ)
{
    for (size_t i = 0; i < sizeof(integs) / sizeof(integs[0]); i++)
        if (integs[i].integ == integ)
            return &integs[i];
    return NULL;
}

struct gh_fetched *gh_enc_fetched(const struct gh_enc_info *info, unsigned bits)
{
    if (info->ciphers == NULL)
        return NULL;
    if (info->key > 0)
        return bits == 0 ? info->ciphers : NULL;
    return bits == 128 || bits == 192 || bits == 256 ? &info->ciphers[(bits - 128) / 64] : NULL;
}

bool gh_enc_known(enum gh_enc_alg enc, unsigned bits)
{
    const struct gh_enc_info *info = gh_enc_info(enc);

    if (info == NULL)
        return false;
    return info->mode == GH_MODE_NULL ? bits == 0 : gh_enc_fetched(info, bits) != NULL;
}

bool gh_enc_available(enum gh_enc_alg enc, unsigned bits)
{
    const struct gh_enc_info *info = gh_enc_info(enc);

    if (!gh_enc_known(enc, bits))
        return false;
    return info->mode == GH_MODE_NULL || gh_fetched_cipher(gh_enc_fetched(info, bits)) != NULL;
}

size_t gh_enc_key_len(enum gh_enc_alg enc, unsigned bits)
{
    const struct gh_enc_info *info = gh_enc_info(enc);

    if (!gh_enc_known(enc, bits))
        return 0;
    return (info->key > 0 ? info->key : bits / 8) + (size_t)info->salt;
}

bool gh_enc_is_aead(enum gh_enc_alg enc)
{
    const struct gh_enc_info *info = gh_enc_info(enc);

    return info != NULL && info->icv > 0;
}

size_t gh_enc_iv_len(enum gh_enc_alg enc)
{
    const struct gh_enc_info *info = gh_enc_info(enc);

    return info != NULL ? info->iv : 0;
}

bool gh_enc_iv_implicit(enum gh_enc_alg enc)
{
    return enc == GH_ENC_AES_CCM_8_IIV || enc == GH_ENC_AES_GCM_16_IIV ||
           enc == GH_ENC_CHACHA20_POLY1305_IIV;
}

bool gh_enc_iv_random(enum gh_enc_alg enc)
{
    const struct gh_enc_info *info = gh_enc_info(enc);

    return info != NULL && info->mode == GH_MODE_CBC;
}

size_t gh_enc_block(enum gh_enc_alg enc)
{
    const struct gh_enc_info *info = gh_enc_info(enc);

    return info != NULL ? info->block : 1;
}

bool gh_integ_known(enum gh_integ_alg integ)
{
    return gh_integ_info(integ) != NULL;
}

size_t gh_integ_key_len(enum gh_integ_alg integ)
{
    const struct gh_integ_info *info = gh_integ_info(integ);

    return info != NULL ? info->key : 0;
}

size_t gh_icv_len(enum gh_enc_alg enc, enum gh_integ_alg integ)
{
    const struct gh_enc_info *e = gh_enc_info(enc);
    const struct gh_integ_info *i = gh_integ_info(integ);

    if (e == NULL)
        return 0;
    if (e->icv > 0)
        return integ == GH_INTEG_NONE ? e->icv : 0;
    return i != NULL ? i->icv : 0;
}

#include "config/ike_words.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/cipher.h"
#include "crypto/ke.h"
#include "ike/codes.h"
#include "ike/payload.h"

enum {
    IKE = GH_FOR_IKE,
    ESP = GH_FOR_ESP,
    IKE_ESP = GH_FOR_IKE | GH_FOR_ESP,
    ESP_AH = GH_FOR_ESP | GH_FOR_AH,
    ALL = GH_FOR_IKE | GH_FOR_ESP | GH_FOR_AH,
    AO = GH_FOR_TCP_AO
};

static const struct gh_ike_word encr[] = {
    {"aes-128-gcm", IKE_ENCR_AES_GCM_16, 128, IKE_ESP, false},
    {"aes-192-gcm", IKE_ENCR_AES_GCM_16, 192, IKE_ESP, false},
    {"aes-256-gcm", IKE_ENCR_AES_GCM_16, 256, IKE_ESP, false},
    {"aes-128-gcm-12", IKE_ENCR_AES_GCM_12, 128, IKE_ESP, false},
    {"aes-192-gcm-12", IKE_ENCR_AES_GCM_12, 192, IKE_ESP, false},
    {"aes-256-gcm-12", IKE_ENCR_AES_GCM_12, 256, IKE_ESP, false},
    {"aes-128-gcm-8", IKE_ENCR_AES_GCM_8, 128, IKE_ESP, false},
    {"aes-192-gcm-8", IKE_ENCR_AES_GCM_8, 192, IKE_ESP, false},
    {"aes-256-gcm-8", IKE_ENCR_AES_GCM_8, 256, IKE_ESP, false},
    {"aes-128-ccm", IKE_ENCR_AES_CCM_16, 128, IKE_ESP, false},
    {"aes-192-ccm", IKE_ENCR_AES_CCM_16, 192, IKE_ESP, false},
    {"aes-256-ccm", IKE_ENCR_AES_CCM_16, 256, IKE_ESP, false},
    {"aes-128-ccm-12", IKE_ENCR_AES_CCM_12, 128, IKE_ESP, false},
    {"aes-192-ccm-12", IKE_ENCR_AES_CCM_12, 192, IKE_ESP, false},
    {"aes-256-ccm-12", IKE_ENCR_AES_CCM_12, 256, IKE_ESP, false},
    {"aes-128-ccm-8", IKE_ENCR_AES_CCM_8, 128, IKE_ESP, false},
    {"aes-192-ccm-8", IKE_ENCR_AES_CCM_8, 192, IKE_ESP, false},
    {"aes-256-ccm-8", IKE_ENCR_AES_CCM_8, 256, IKE_ESP, false},
    {"chacha20-poly1305", IKE_ENCR_CHACHA20_POLY1305, 0, IKE_ESP, false},
    {"aes-128-gcm-iiv", IKE_ENCR_AES_GCM_16_IIV, 128, ESP, false},
    {"aes-192-gcm-iiv", IKE_ENCR_AES_GCM_16_IIV, 192, ESP, false},
    {"aes-256-gcm-iiv", IKE_ENCR_AES_GCM_16_IIV, 256, ESP, false},
    {"aes-128-ccm-8-iiv", IKE_ENCR_AES_CCM_8_IIV, 128, ESP, false},
    {"aes-192-ccm-8-iiv", IKE_ENCR_AES_CCM_8_IIV, 192, ESP, false},
    {"aes-256-ccm-8-iiv", IKE_ENCR_AES_CCM_8_IIV, 256, ESP, false},
    {"chacha20-poly1305-iiv", IKE_ENCR_CHACHA20_POLY1305_IIV, 0, ESP, false},
    {"aes-128-cbc", IKE_ENCR_AES_CBC, 128, IKE_ESP, false},
    {"aes-192-cbc", IKE_ENCR_AES_CBC, 192, IKE_ESP, false},
    {"aes-256-cbc", IKE_ENCR_AES_CBC, 256, IKE_ESP, false},
    {"aes-128-ctr", IKE_ENCR_AES_CTR, 128, IKE_ESP, false},
    {"aes-192-ctr", IKE_ENCR_AES_CTR, 192, IKE_ESP, false},
    {"aes-256-ctr", IKE_ENCR_AES_CTR, 256, IKE_ESP, false},
    {"camellia-128-cbc", IKE_ENCR_CAMELLIA_CBC, 128, IKE_ESP, false},
    {"camellia-192-cbc", IKE_ENCR_CAMELLIA_CBC, 192, IKE_ESP, false},
    {"camellia-256-cbc", IKE_ENCR_CAMELLIA_CBC, 256, IKE_ESP, false},
    {"aes-128-gmac", IKE_ENCR_NULL_AES_GMAC, 128, ESP, false},
    {"aes-192-gmac", IKE_ENCR_NULL_AES_GMAC, 192, ESP, false},
    {"aes-256-gmac", IKE_ENCR_NULL_AES_GMAC, 256, ESP, false},
    {"null", IKE_ENCR_NULL, 0, ESP, false},
    {"3des", IKE_ENCR_3DES, 0, IKE_ESP, true},
    {"des", IKE_ENCR_DES, 0, IKE_ESP, true},
    {NULL, 0, 0, 0, false},
};

static const struct gh_ike_word prf[] = {
    {"hmac-sha-256", IKE_PRF_HMAC_SHA2_256, 0, IKE | AO, false},
    {"hmac-sha-384", IKE_PRF_HMAC_SHA2_384, 0, IKE, false},
    {"hmac-sha-512", IKE_PRF_HMAC_SHA2_512, 0, IKE, false},
    {"hmac-sha-1", IKE_PRF_HMAC_SHA1, 0, IKE | AO, false},
    {"aes-xcbc", IKE_PRF_AES128_XCBC, 0, IKE, false},
    {"aes-cmac", IKE_PRF_AES128_CMAC, 0, IKE | AO, false},
    {"hmac-md5", IKE_PRF_HMAC_MD5, 0, IKE, true},
    {NULL, 0, 0, 0, false},
};

static const struct gh_ike_word integ[] = {
    {"hmac-sha-256-128", IKE_INTEG_HMAC_SHA2_256_128, 0, ALL | AO, false},
    {"hmac-sha-384-192", IKE_INTEG_HMAC_SHA2_384_192, 0, ALL, false},
    {"hmac-sha-512-256", IKE_INTEG_HMAC_SHA2_512_256, 0, ALL, false},
    {"hmac-sha-1-96", IKE_INTEG_HMAC_SHA1_96, 0, ALL | AO, false},
    {"aes-xcbc-96", IKE_INTEG_AES_XCBC_96, 0, ALL, false},
    {"aes-cmac-96", IKE_INTEG_AES_CMAC_96, 0, ALL | AO, false},
    {"hmac-md5-96", IKE_INTEG_HMAC_MD5_96, 0, ALL, true},
    {NULL, 0, 0, 0, false},
};

static const struct gh_ike_word ke[] = {
    {"x25519", IKE_KE_CURVE25519, 0, ALL | AO, false},
    {"x448", IKE_KE_CURVE448, 0, ALL | AO, false},
    {"ecp-256", IKE_KE_ECP_256, 0, ALL | AO, false},
    {"ecp-384", IKE_KE_ECP_384, 0, ALL | AO, false},
    {"ecp-521", IKE_KE_ECP_521, 0, ALL | AO, false},
    {"modp-2048", IKE_KE_MODP_2048, 0, ALL | AO, false},
    {"modp-3072", IKE_KE_MODP_3072, 0, ALL | AO, false},
    {"modp-4096", IKE_KE_MODP_4096, 0, ALL | AO, false},
    {"modp-6144", IKE_KE_MODP_6144, 0, ALL | AO, false},
    {"modp-8192", IKE_KE_MODP_8192, 0, ALL | AO, false},
    {"brainpool-256", IKE_KE_BRAINPOOL_256, 0, ALL | AO, false},
    {"brainpool-384", IKE_KE_BRAINPOOL_384, 0, ALL | AO, false},
    {"brainpool-512", IKE_KE_BRAINPOOL_512, 0, ALL | AO, false},
    {"ml-kem-512", IKE_KE_ML_KEM_512, 0, ALL | AO, false},
    {"ml-kem-768", IKE_KE_ML_KEM_768, 0, ALL | AO, false},
    {"ml-kem-1024", IKE_KE_ML_KEM_1024, 0, ALL | AO, false},
    {"modp-768", IKE_KE_MODP_768, 0, ALL, true},
    {"modp-1024", IKE_KE_MODP_1024, 0, ALL, true},
    {"modp-1536", IKE_KE_MODP_1536, 0, ALL, true},
    {"none", IKE_KE_NONE, 0, ESP_AH | AO, false},
    {NULL, 0, 0, 0, false},
};

static const struct gh_ike_word sn[] = {
    {"yes", IKE_SN_64, 0, ESP_AH, false},
    {"no", IKE_SN_32, 0, ESP_AH, false},
    {NULL, 0, 0, 0, false},
};

const struct gh_ike_word *gh_ike_words(uint8_t type)
{
    switch (type) {
    case IKE_T_ENCR:
        return encr;
    case IKE_T_PRF:
        return prf;
    case IKE_T_INTEG:
        return integ;
    case IKE_T_SN:
        return sn;
    default:
        return ike_transform_is_ke(type) ? ke : NULL;
    }
}

const struct gh_ike_word *gh_ike_word(uint8_t type, const char *name)
{
    bool number = ike_transform_is_ke(type) && strspn(name, "0123456789") == strlen(name) &&
                  strlen(name) >= 1 && strlen(name) <= 3 && name[0] != '0';

    for (const struct gh_ike_word *w = gh_ike_words(type); w != NULL && w->name != NULL; w++) {
        if (strcmp(w->name, name) == 0 || (number && strtoul(name, NULL, 10) == w->id))
            return w;
    }
    return NULL;
}

bool gh_ike_word_available(uint8_t type, const struct gh_ike_word *word)
{
    if (type == IKE_T_ENCR)
        return gh_enc_available(word->id, word->key_bits);
    if (ike_transform_is_ke(type))
        return word->id == IKE_KE_NONE || gh_ke_available(word->id);
    return true;
}

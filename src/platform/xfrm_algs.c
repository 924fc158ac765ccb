#include "platform/xfrm_algs.h"

#include <stdio.h>
#include <string.h>

static const struct {
    enum gh_enc_alg alg;
    const char *name;
} ciphers[] = {
    {GH_ENC_DES, "cbc(des)"},
    {GH_ENC_3DES, "cbc(des3_ede)"},
    {GH_ENC_NULL, "ecb(cipher_null)"},
    {GH_ENC_AES_CBC, "cbc(aes)"},
    {GH_ENC_AES_CTR, "rfc3686(ctr(aes))"},
    {GH_ENC_CAMELLIA_CBC, "cbc(camellia)"},
    {GH_ENC_AES_CCM_8, "rfc4309(ccm(aes))"},
    {GH_ENC_AES_CCM_12, "rfc4309(ccm(aes))"},
    {GH_ENC_AES_CCM_16, "rfc4309(ccm(aes))"},
    {GH_ENC_AES_GCM_8, "rfc4106(gcm(aes))"},
    {GH_ENC_AES_GCM_12, "rfc4106(gcm(aes))"},
    {GH_ENC_AES_GCM_16, "rfc4106(gcm(aes))"},
    {GH_ENC_NULL_AES_GMAC, "rfc4543(gcm(aes))"},
    {GH_ENC_CHACHA20_POLY1305, "rfc7539esp(chacha20,poly1305)"},
};

static const struct {
    enum gh_integ_alg alg;
    const char *name;
} macs[] = {
    {GH_INTEG_HMAC_MD5_96, "hmac(md5)"},          {GH_INTEG_HMAC_SHA1_96, "hmac(sha1)"},
    {GH_INTEG_AES_XCBC_96, "xcbc(aes)"},          {GH_INTEG_AES_CMAC_96, "cmac(aes)"},
    {GH_INTEG_HMAC_SHA2_256_128, "hmac(sha256)"}, {GH_INTEG_HMAC_SHA2_384_192, "hmac(sha384)"},
    {GH_INTEG_HMAC_SHA2_512_256, "hmac(sha512)"},
};

static const char *cipher_name(enum gh_enc_alg alg)
{
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
        if (ciphers[i].alg == alg)
            return ciphers[i].name;
    return NULL;
}

static const char *mac_name(enum gh_integ_alg alg)
{
    for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++)
        if (macs[i].alg == alg)
            return macs[i].name;
    return NULL;
}

/* struct xfrm_algo, which with the length of the ICV is struct xfrm_algo_auth and _aead. */
static void put_alg(struct gh_wr *w, uint16_t type, const char *name, struct gh_view key,
                    size_t icv_len)
{
    char padded[sizeof(((struct xfrm_algo *)0)->alg_name)] = "";
    size_t head = sizeof(padded) + 4 + (icv_len > 0 ? 4 : 0);

    snprintf(padded, sizeof(padded), "%s", name);
    gh_nl_put_attr_header(w, type, head + key.len);
    gh_wr_bytes(w, padded, sizeof(padded));
    gh_nl_put_u32(w, (uint32_t)key.len * 8);
    if (icv_len > 0)
        gh_nl_put_u32(w, (uint32_t)icv_len * 8);
    if (key.len > 0)
        gh_wr_bytes(w, key.p, key.len);
    gh_wr_zero(w, gh_nl_padding(head + key.len));
}

static bool put_aead(struct gh_wr *w, enum ipsec_protocol protocol,
                     const struct ipsec_crypt_algs *algs, const char *name, struct gh_xfrm_why *why)
{
    if (protocol == IPSEC_AH)
        return gh_xfrm_refuse(why, "Linux has no AES-GMAC for AH");
    put_alg(w, XFRMA_ALG_AEAD, name, algs->enc_key, gh_icv_len(algs->enc, algs->integ));
    return true;
}

bool gh_xfrm_put_algs(struct gh_wr *w, enum ipsec_protocol protocol,
                      const struct ipsec_crypt_algs *algs, struct gh_xfrm_why *why)
{
    const char *cipher = cipher_name(algs->enc), *mac = mac_name(algs->integ);

    if (cipher == NULL)
        return gh_xfrm_refuse(why, "Linux has no such encryption for ESP");
    if (!gh_enc_known(algs->enc, algs->bits) || gh_icv_len(algs->enc, algs->integ) == 0)
        return gh_xfrm_refuse(why, "these algorithms do not go together");
    if (algs->enc_key.len != gh_enc_key_len(algs->enc, algs->bits) ||
        algs->integ_key.len != gh_integ_key_len(algs->integ))
        return gh_xfrm_refuse(why, "a key has not its algorithm's length");
    if (gh_enc_is_aead(algs->enc))
        return put_aead(w, protocol, algs, cipher, why);
    if (mac == NULL)
        return gh_xfrm_refuse(why, "Linux has no such integrity algorithm");
    if (protocol == IPSEC_AH && algs->enc != GH_ENC_NULL)
        return gh_xfrm_refuse(why, "AH does not encrypt");
    if (protocol == IPSEC_ESP)
        put_alg(w, XFRMA_ALG_CRYPT, cipher, algs->enc_key, 0);
    put_alg(w, XFRMA_ALG_AUTH_TRUNC, mac, algs->integ_key, gh_icv_len(algs->enc, algs->integ));
    return true;
}

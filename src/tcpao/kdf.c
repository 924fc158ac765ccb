/*
 * RFC 5926 3.1: traffic keys.
 *
 *   input = i (1 octet, = 1) || "TCP-AO" || context || output length in bits (2 octets)
 *   context (RFC 5925 5.2) = source address || destination address || source port ||
 *                            destination port || source ISN || destination ISN
 *
 * All three algorithms need just one round of their PRF: the traffic key is as long as its output.
 */
#include "tcpao/segment.h"

#include <string.h>

#include "base/secret.h"
#include "wire/wr.h"

enum { KDF_INPUT_MAX = 1 + 6 + 2 * 16 + 2 * 2 + 2 * 4 + 2 };

enum gh_mac_alg tcpao_mac_alg(enum tcpao_alg alg)
{
    switch (alg) {
    case TCPAO_HMAC_SHA_1:
        return GH_MAC_HMAC_SHA_1;
    case TCPAO_AES_128_CMAC:
        return GH_MAC_AES_128_CMAC;
    case TCPAO_HMAC_SHA_256:
        return GH_MAC_HMAC_SHA_256;
    }
    return GH_MAC_NONE;
}

bool tcpao_condense(const uint8_t *secret, size_t len, uint8_t key[GH_MAC_AES_KEY])
{
    static const uint8_t zero[GH_MAC_AES_KEY];
    struct gh_mac_key cmac = {0};
    uint8_t tag[GH_MAC_TAG_MAX];
    struct gh_mac m;
    bool ok;

    if (len == GH_MAC_AES_KEY) {
        memcpy(key, secret, len);
        return true;
    }
    ok = gh_mac_key_set(&cmac, GH_MAC_AES_128_CMAC, zero, sizeof(zero));
    if (ok) {
        gh_mac_init(&m, &cmac);
        gh_mac_update(&m, secret, len);
        ok = gh_mac_final(&m, tag);
    }
    if (ok)
        memcpy(key, tag, GH_MAC_AES_KEY);
    gh_mac_key_clear(&cmac);
    gh_wipe(tag, sizeof(tag));
    return ok;
}

/* HMAC takes the master key as it is. */
static bool prf_key(struct gh_mac_key *prf, enum tcpao_alg alg, const uint8_t *secret, size_t len)
{
    uint8_t condensed[GH_MAC_AES_KEY];
    bool ok;

    if (alg != TCPAO_AES_128_CMAC)
        return gh_mac_key_set(prf, tcpao_mac_alg(alg), secret, len);
    ok = tcpao_condense(secret, len, condensed) &&
         gh_mac_key_set(prf, GH_MAC_AES_128_CMAC, condensed, sizeof(condensed));
    gh_wipe(condensed, sizeof(condensed));
    return ok;
}

enum tcpao_result tcpao_kdf(enum tcpao_alg alg, const uint8_t *secret, size_t secret_len,
                            const struct tcpao_endpoint *src, const struct tcpao_endpoint *dst,
                            uint32_t src_isn, uint32_t dst_isn, uint8_t key[TCPAO_TRAFFIC_KEY_MAX])
{
    struct gh_mac_key prf = {0};
    uint8_t input[KDF_INPUT_MAX];
    struct gh_wr w = gh_wr_make(input, sizeof(input));
    struct gh_mac m;
    bool ok;

    gh_wr_u8(&w, 1);
    gh_wr_bytes(&w, "TCP-AO", 6);
    gh_wr_bytes(&w, src->addr, src->addr_len);
    gh_wr_bytes(&w, dst->addr, dst->addr_len);
    gh_wr_u16(&w, src->port);
    gh_wr_u16(&w, dst->port);
    gh_wr_u32(&w, src_isn);
    gh_wr_u32(&w, dst_isn);
    gh_wr_u16(&w, tcpao_traffic_key_len(alg) * 8);
    ok = gh_wr_ok(&w) && prf_key(&prf, alg, secret, secret_len);
    if (ok) {
        gh_mac_init(&m, &prf);
        gh_mac_update(&m, input, w.len);
        ok = gh_mac_final(&m, key);
    }
    gh_mac_key_clear(&prf);
    return ok ? TCPAO_OK : TCPAO_CRYPTO_FAILED;
}

enum tcpao_result tcpao_traffic_key(struct gh_mac_key *key, const struct tcpao_mkt *mkt,
                                    const struct tcpao_endpoint *src,
                                    const struct tcpao_endpoint *dst, uint32_t src_isn,
                                    uint32_t dst_isn)
{
    uint8_t raw[TCPAO_TRAFFIC_KEY_MAX];
    enum tcpao_result result =
        tcpao_kdf(mkt->alg, mkt->secret, mkt->secret_len, src, dst, src_isn, dst_isn, raw);

    if (result == TCPAO_OK &&
        !gh_mac_key_set(key, tcpao_mac_alg(mkt->alg), raw, tcpao_traffic_key_len(mkt->alg)))
        result = TCPAO_CRYPTO_FAILED;
    gh_wipe(raw, sizeof(raw));
    return result;
}

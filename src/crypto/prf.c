#include "crypto/prf.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/mac.h"

static enum gh_mac_alg mac_of(enum gh_prf_alg alg)
{
    switch (alg) {
    case GH_PRF_HMAC_MD5:
        return GH_MAC_HMAC_MD5;
    case GH_PRF_HMAC_SHA1:
        return GH_MAC_HMAC_SHA_1;
    case GH_PRF_AES128_XCBC:
        return GH_MAC_AES_128_XCBC;
    case GH_PRF_HMAC_SHA2_256:
        return GH_MAC_HMAC_SHA_256;
    case GH_PRF_HMAC_SHA2_384:
        return GH_MAC_HMAC_SHA_384;
    case GH_PRF_HMAC_SHA2_512:
        return GH_MAC_HMAC_SHA_512;
    case GH_PRF_AES128_CMAC:
        return GH_MAC_AES_128_CMAC;
    case GH_PRF_NONE:
        break;
    }
    return GH_MAC_NONE;
}

size_t gh_prf_len(enum gh_prf_alg alg)
{
    return gh_mac_tag_len(mac_of(alg));
}

size_t gh_prf_fixed_key(enum gh_prf_alg alg)
{
    return alg == GH_PRF_AES128_XCBC || alg == GH_PRF_AES128_CMAC ? GH_MAC_AES_KEY : 0;
}

static bool mac(struct gh_mac_key *k, const struct gh_view *parts, size_t n, uint8_t *tag)
{
    struct gh_mac m;

    gh_mac_init(&m, k);
    for (size_t i = 0; i < n; i++)
        gh_mac_update(&m, parts[i].p, parts[i].len);
    return gh_mac_final(&m, tag);
}

/* RFC 4434 2 and RFC 4615 3: what does not have 128 bits is brought to them, by XCBC if it is too
 * long and zeros if it is too short, by CMAC always. */
static bool aes_key(struct gh_mac_key *k, enum gh_mac_alg alg, struct gh_view key)
{
    static const uint8_t zero[GH_MAC_AES_KEY];
    uint8_t fitted[GH_MAC_TAG_MAX] = {0};
    bool ok = true;

    if (key.len == GH_MAC_AES_KEY || (alg == GH_MAC_AES_128_XCBC && key.len < GH_MAC_AES_KEY)) {
        if (key.len > 0)
            memcpy(fitted, key.p, key.len);
    } else {
        ok = gh_mac_key_set(k, alg, zero, sizeof(zero)) && mac(k, &key, 1, fitted);
    }
    ok = ok && gh_mac_key_set(k, alg, fitted, GH_MAC_AES_KEY);
    gh_wipe(fitted, sizeof(fitted));
    return ok;
}

static bool prf_key(struct gh_mac_key *k, enum gh_prf_alg alg, struct gh_view key)
{
    return gh_prf_fixed_key(alg) > 0 ? aes_key(k, mac_of(alg), key)
                                     : gh_mac_key_set(k, mac_of(alg), key.p, key.len);
}

bool gh_prf(enum gh_prf_alg alg, struct gh_view key, const struct gh_view *parts, size_t n,
            uint8_t out[GH_PRF_MAX])
{
    struct gh_mac_key k = {0};
    uint8_t tag[GH_MAC_TAG_MAX];
    bool ok = prf_key(&k, alg, key) && mac(&k, parts, n, tag);

    if (ok)
        memcpy(out, tag, gh_prf_len(alg));
    gh_mac_key_clear(&k);
    gh_wipe(tag, sizeof(tag));
    return ok;
}

/* T1 = prf(K, S | 0x01), T2 = prf(K, T1 | S | 0x02), … */
static bool round_of(struct gh_mac_key *k, struct gh_view before, const struct gh_view *parts,
                     size_t n, uint8_t number, uint8_t *tag)
{
    struct gh_mac m;

    gh_mac_init(&m, k);
    gh_mac_update(&m, before.p, before.len);
    for (size_t i = 0; i < n; i++)
        gh_mac_update(&m, parts[i].p, parts[i].len);
    gh_mac_update(&m, &number, 1);
    return gh_mac_final(&m, tag);
}

bool gh_prf_plus(enum gh_prf_alg alg, struct gh_view key, const struct gh_view *parts, size_t n,
                 uint8_t *out, size_t len)
{
    const size_t size = gh_prf_len(alg);
    struct gh_mac_key k = {0};
    uint8_t tag[GH_MAC_TAG_MAX];
    bool ok = size > 0 && len <= GH_PRF_ROUNDS * size && prf_key(&k, alg, key);

    for (size_t done = 0, number = 1; ok && done < len; number++) {
        size_t take = len - done < size ? len - done : size;

        ok = round_of(&k, (struct gh_view){tag, number > 1 ? size : 0}, parts, n, (uint8_t)number,
                      tag);
        if (ok)
            memcpy(out + done, tag, take);
        done += take;
    }
    if (!ok)
        gh_wipe(out, len);
    gh_mac_key_clear(&k);
    gh_wipe(tag, sizeof(tag));
    return ok;
}

#include "crypto/ke_priv.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/obj_mac.h>

struct gh_ke {
    const struct gh_ke_info *info;
    struct gh_ke_private own;
    uint8_t public_value[]; /* info->public_i octets */
};

/*
 * MODP: the seed is the exponent. RFC 3526 8 asks for twice the strength of the group, which it
 * estimates in a range; these are in it, and not below RFC 7919's.
 * ECP: 64 bits more than the order, so that the remainder is even (FIPS 186-4 B.4.1).
 */
#define MODP(bits, row, exponent)                                                                  \
    &gh_ke_modp, row, NULL, (bits) / 8, (bits) / 8, (bits) / 8, (exponent) / 8
#define CURVE(nid, octets) &gh_ke_ec, nid, NULL, 2 * (octets), 2 * (octets), octets, (octets) + 8

static const struct gh_ke_info groups[] = {
    {GH_KE_MODP_768, MODP(768, 0, 256)},
    {GH_KE_MODP_1024, MODP(1024, 1, 256)},
    {GH_KE_MODP_1536, MODP(1536, 2, 256)},
    {GH_KE_MODP_2048, MODP(2048, 3, 256)},
    {GH_KE_MODP_3072, MODP(3072, 4, 320)},
    {GH_KE_MODP_4096, MODP(4096, 5, 384)},
    {GH_KE_MODP_6144, MODP(6144, 6, 448)},
    {GH_KE_MODP_8192, MODP(8192, 7, 512)},
    {GH_KE_ECP_256, CURVE(NID_X9_62_prime256v1, 32)},
    {GH_KE_ECP_384, CURVE(NID_secp384r1, 48)},
    {GH_KE_ECP_521, CURVE(NID_secp521r1, 66)},
    {GH_KE_BRAINPOOL_256, CURVE(NID_brainpoolP256r1, 32)},
    {GH_KE_BRAINPOOL_384, CURVE(NID_brainpoolP384r1, 48)},
    {GH_KE_BRAINPOOL_512, CURVE(NID_brainpoolP512r1, 64)},
    {GH_KE_X25519, &gh_ke_x, 0, "X25519", 32, 32, 32, 32},
    {GH_KE_X448, &gh_ke_x, 0, "X448", 56, 56, 56, 56},
    {GH_KE_ML_KEM_512, &gh_ke_kem, 0, "ML-KEM-512", 800, 768, 32, 64},
    {GH_KE_ML_KEM_768, &gh_ke_kem, 0, "ML-KEM-768", 1184, 1088, 32, 64},
    {GH_KE_ML_KEM_1024, &gh_ke_kem, 0, "ML-KEM-1024", 1568, 1568, 32, 64},
};

enum { GROUPS = sizeof(groups) / sizeof(groups[0]) };

static const struct gh_ke_info *info_of(unsigned group)
{
    for (size_t i = 0; i < GROUPS; i++)
        if (groups[i].group == group)
            return &groups[i];
    return NULL;
}

bool gh_ke_known(unsigned group)
{
    return info_of(group) != NULL;
}

/* To find that out takes as long as a tenth of a key exchange, and each proposal asks for it. */
bool gh_ke_available(unsigned group)
{
    enum { UNKNOWN, YES, NO };
    static _Atomic(uint8_t) found[GROUPS];
    const struct gh_ke_info *info = info_of(group);
    _Atomic(uint8_t) *f;

    if (info == NULL)
        return false;
    f = &found[info - groups];
    if (atomic_load(f) == UNKNOWN)
        atomic_store(f, info->family->available(info) ? YES : NO);
    return atomic_load(f) == YES;
}

size_t gh_ke_public_len(unsigned group, bool responder)
{
    const struct gh_ke_info *info = info_of(group);

    if (info == NULL)
        return 0;
    return responder ? info->public_r : info->public_i;
}

size_t gh_ke_seed_len(unsigned group)
{
    const struct gh_ke_info *info = info_of(group);

    return info != NULL ? info->seed : 0;
}

static void clear_private(struct gh_ke_private *own)
{
    BN_clear_free(own->number);
    EVP_PKEY_free(own->pkey); /* wipes */
}

struct gh_ke *gh_ke_new(unsigned group, struct gh_view seed)
{
    const struct gh_ke_info *info = info_of(group);
    struct gh_ke *ke;

    if (info == NULL || seed.len != info->seed)
        return NULL;
    ke = calloc(1, sizeof(*ke) + info->public_i);
    if (ke == NULL)
        return NULL;
    ke->info = info;
    if (info->family->start(info, seed.p, &ke->own, ke->public_value))
        return ke;
    gh_ke_free(ke);
    return NULL;
}

void gh_ke_free(struct gh_ke *ke)
{
    if (ke == NULL)
        return;
    clear_private(&ke->own);
    free(ke);
}

unsigned gh_ke_group(const struct gh_ke *ke)
{
    return ke->info->group;
}

struct gh_view gh_ke_public(const struct gh_ke *ke)
{
    return (struct gh_view){ke->public_value, ke->info->public_i};
}

bool gh_ke_shared(struct gh_ke *ke, struct gh_view peer_public, struct gh_secret *out)
{
    const struct gh_ke_info *info = ke->info;
    uint8_t secret[GH_KE_SECRET_MAX];
    struct gh_secret made = {0};
    bool ok = peer_public.len == info->public_r &&
              info->family->agree(info, &ke->own, peer_public.p, secret) &&
              gh_secret_set(&made, secret, info->secret);

    gh_wipe(secret, sizeof(secret));
    if (ok) {
        gh_secret_clear(out);
        *out = made;
    }
    return ok;
}

static bool start_and_agree(const struct gh_ke_info *info, const uint8_t *seed, const uint8_t *peer,
                            uint8_t *public_value, uint8_t *secret)
{
    struct gh_ke_private own = {0};
    bool ok = info->family->start(info, seed, &own, public_value) &&
              info->family->agree(info, &own, peer, secret);

    clear_private(&own);
    return ok;
}

bool gh_ke_answer(unsigned group, struct gh_view seed, struct gh_view peer_public,
                  uint8_t public_value[GH_KE_PUBLIC_MAX], struct gh_secret *out)
{
    const struct gh_ke_info *info = info_of(group);
    uint8_t ours[GH_KE_PUBLIC_MAX], secret[GH_KE_SECRET_MAX];
    struct gh_secret made = {0};
    bool ok;

    if (info == NULL || seed.len != info->seed || peer_public.len != info->public_i)
        return false;
    ok = (info->family->answer != NULL ? info->family->answer : start_and_agree)(
             info, seed.p, peer_public.p, ours, secret) &&
         gh_secret_set(&made, secret, info->secret);
    gh_wipe(secret, sizeof(secret));
    if (ok) {
        memcpy(public_value, ours, info->public_r);
        gh_secret_clear(out);
        *out = made;
    }
    return ok;
}

/* Keys: SKEYSEED and SK_* (RFC 7296 2.14), rekeyed (2.18), KEYMAT (2.17). */
#include <string.h>

#include "crypto/cipher.h"
#include "crypto/ke.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"

struct layout {
    size_t prf, integ, encr, total;
};

static struct layout layout_of(const struct ike2_suite *s)
{
    struct layout l = {.prf = gh_prf_len((enum gh_prf_alg)s->prf),
                       .integ = gh_integ_key_len((enum gh_integ_alg)s->integ),
                       .encr = gh_enc_key_len((enum gh_enc_alg)s->encr, s->encr_bits)};

    l.total = 3 * l.prf + 2 * l.integ + 2 * l.encr;
    return l;
}

struct gh_view ike2_sk_d(const struct ike2_sa *sa)
{
    return gh_view_of(sa->sk.data, layout_of(&sa->suite).prf);
}

struct gh_view ike2_sk_p(const struct ike2_sa *sa, bool initiator)
{
    struct layout l = layout_of(&sa->suite);

    return gh_view_of(sa->sk.data + l.total - (initiator ? 2 : 1) * l.prf, l.prf);
}

bool ike2_suite_of(const struct ike_proposal *p, struct ike2_suite *out)
{
    const struct ike_transform *encr = ike_proposal_find(p, IKE_T_ENCR);

    *out = (struct ike2_suite){.protocol = p->protocol,
                               .encr = encr != NULL ? encr->id : 0,
                               .encr_bits = encr != NULL ? encr->key_bits : 0,
                               .prf = ike_proposal_id(p, IKE_T_PRF),
                               .integ = ike_proposal_id(p, IKE_T_INTEG),
                               .ke = ike_proposal_id(p, IKE_T_KE),
                               .sn = ike_proposal_id(p, IKE_T_SN)};
    for (uint8_t i = 0; i < IKE2_ADDKES; i++) {
        out->addke[i] = ike_proposal_id(p, (uint8_t)(IKE_T_ADDKE1 + i));
        if (out->addke[i] != IKE_KE_NONE && !gh_ke_available(out->addke[i]))
            return false;
    }
    if (p->protocol == IKE_PROTO_IKE && /* RFC 7296 5: never in clear */
        (out->encr == IKE_ENCR_NULL || out->encr == IKE_ENCR_NULL_AES_GMAC))
        return false;
    if (p->protocol == IKE_PROTO_AH)
        return gh_integ_known((enum gh_integ_alg)out->integ);
    if (ike_protocol_is_tcp_ao(p->protocol))
        return ike_tcp_ao_key_len(out->prf, out->integ) > 0;
    if (!gh_enc_known((enum gh_enc_alg)out->encr, out->encr_bits) ||
        gh_icv_len((enum gh_enc_alg)out->encr, (enum gh_integ_alg)out->integ) == 0)
        return false;
    return p->protocol != IKE_PROTO_IKE ||
           (gh_prf_len((enum gh_prf_alg)out->prf) > 0 && gh_ke_available(out->ke));
}

void ike2_suite_proposal(const struct ike2_suite *s, struct ike_proposal *out)
{
    *out = (struct ike_proposal){.number = 1, .protocol = s->protocol};
    if (s->encr != 0)
        ike_proposal_add(out, IKE_T_ENCR, s->encr, s->encr_bits);
    if (s->prf != 0)
        ike_proposal_add(out, IKE_T_PRF, s->prf, 0);
    if (s->integ != 0)
        ike_proposal_add(out, IKE_T_INTEG, s->integ, 0);
    if (s->ke != 0)
        ike_proposal_add(out, IKE_T_KE, s->ke, 0);
    if (s->protocol == IKE_PROTO_AH || s->protocol == IKE_PROTO_ESP)
        ike_proposal_add(out, IKE_T_SN, s->sn, 0);
    for (uint8_t i = 0; i < IKE2_ADDKES; i++)
        if (s->addke[i] != IKE_KE_NONE)
            ike_proposal_add(out, (uint8_t)(IKE_T_ADDKE1 + i), s->addke[i], 0);
}

bool ike2_make_ke(struct ike2 *c, uint16_t group, struct gh_ke **ke)
{
    uint8_t seed[GH_KE_SEED_MAX];
    size_t len = gh_ke_seed_len(group);

    c->ops.random(c->ops.ctx, seed, len);
    *ke = gh_ke_new(group, gh_view_of(seed, len));
    gh_wipe(seed, sizeof(seed));
    return *ke != NULL;
}

bool ike2_answer_ke(struct ike2 *c, uint16_t group, struct gh_view peer_public,
                    uint8_t public_value[GH_KE_PUBLIC_MAX], struct gh_secret *shared)
{
    uint8_t seed[GH_KE_SEED_MAX];
    size_t len = gh_ke_seed_len(group);
    bool good;

    c->ops.random(c->ops.ctx, seed, len);
    good = gh_ke_answer(group, gh_view_of(seed, len), peer_public, public_value, shared);
    gh_wipe(seed, sizeof(seed));
    return good;
}

/* {SK_d | …} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) */
static bool expand(struct ike2_sa *sa, struct gh_view skeyseed, struct gh_view ni,
                   struct gh_view nr)
{
    const struct gh_view parts[] = {ni, nr, gh_view_of(sa->spi_i, IKE_SPI_LEN),
                                    gh_view_of(sa->spi_r, IKE_SPI_LEN)};
    uint8_t all[1024];
    size_t len = layout_of(&sa->suite).total;
    bool good = len <= sizeof(all) &&
                gh_prf_plus((enum gh_prf_alg)sa->suite.prf, skeyseed, parts, 4, all, len) &&
                gh_secret_set(&sa->sk, all, len);

    gh_wipe(all, sizeof(all));
    ike2_ciphers_drop(sa);
    return good;
}

bool ike2_derive(struct ike2_sa *sa, const struct gh_secret *shared, struct gh_view ni,
                 struct gh_view nr)
{
    enum gh_prf_alg prf = (enum gh_prf_alg)sa->suite.prf;
    const struct gh_view part = ike2_view(shared);
    uint8_t key[2 * IKE_NONCE_MAX], skeyseed[GH_PRF_MAX];
    size_t half = gh_prf_fixed_key(prf) / 2;
    bool good;

    if (half > 0) { /* 8 octets of each */
        ni.len = ni.len < half ? ni.len : half;
        nr.len = nr.len < half ? nr.len : half;
    }
    memcpy(key, ni.p, ni.len);
    memcpy(key + ni.len, nr.p, nr.len);
    good = gh_prf(prf, gh_view_of(key, ni.len + nr.len), &part, 1, skeyseed);
    if (good && half > 0) { /* prf+ takes the whole nonces again */
        const struct ike2_setup *s = sa->setup;

        ni = gh_view_of(s->nonce_i, s->nonce_i_len);
        nr = gh_view_of(s->nonce_r, s->nonce_r_len);
    }
    good = good && expand(sa, gh_view_of(skeyseed, gh_prf_len(prf)), ni, nr);
    gh_wipe(skeyseed, sizeof(skeyseed));
    return good;
}

bool ike2_derive_rekeyed(struct ike2_sa *sa, const struct ike2_sa *old,
                         const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                         struct gh_view more)
{
    const struct gh_view parts[] = {ike2_view(shared), ni, nr, more};
    enum gh_prf_alg prf = (enum gh_prf_alg)old->suite.prf;
    uint8_t skeyseed[GH_PRF_MAX];
    bool good = gh_prf(prf, ike2_sk_d(old), parts, 4, skeyseed) &&
                expand(sa, gh_view_of(skeyseed, gh_prf_len(prf)), ni, nr);

    gh_wipe(skeyseed, sizeof(skeyseed));
    return good;
}

bool ike2_derive_resumed(struct ike2_sa *sa, struct gh_view sk_d, struct gh_view ni,
                         struct gh_view nr)
{
    const struct gh_view parts[] = {gh_view_of("Resumption", 10), ni, nr};
    enum gh_prf_alg prf = (enum gh_prf_alg)sa->suite.prf;
    uint8_t skeyseed[GH_PRF_MAX];
    bool good = sk_d.len == gh_prf_len(prf) && gh_prf(prf, sk_d, parts, 3, skeyseed) &&
                expand(sa, gh_view_of(skeyseed, gh_prf_len(prf)), ni, nr);

    gh_wipe(skeyseed, sizeof(skeyseed));
    return good;
}

bool ike2_ciphers(struct ike2_sa *sa)
{
    struct layout l = layout_of(&sa->suite);
    const uint8_t *a = sa->sk.data + l.prf, *e = a + 2 * l.integ;

    for (int i = 0; i < 2; i++) {
        struct gh_cipher **at = (i == 0) == sa->initiator ? &sa->out : &sa->in;

        if (*at == NULL && sa->sk.data != NULL)
            *at = gh_cipher_new((enum gh_enc_alg)sa->suite.encr, sa->suite.encr_bits,
                                (enum gh_integ_alg)sa->suite.integ,
                                gh_view_of(e + (size_t)i * l.encr, l.encr),
                                gh_view_of(a + (size_t)i * l.integ, l.integ));
    }
    return sa->in != NULL && sa->out != NULL;
}

void ike2_ciphers_drop(struct ike2_sa *sa)
{
    gh_cipher_free(sa->in);
    gh_cipher_free(sa->out);
    sa->in = sa->out = NULL;
}

/* Octets of KEYMAT for one direction: encryption first, then integrity. */
static size_t keymat_len(const struct ike2_suite *s)
{
    size_t integ = gh_integ_key_len((enum gh_integ_alg)s->integ);

    if (s->protocol == IKE_PROTO_AH)
        return integ;
    return gh_enc_key_len((enum gh_enc_alg)s->encr, s->encr_bits) + integ;
}

bool ike2_keymat(const struct ike2_sa *sa, const struct ike2_suite *child,
                 const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                 struct gh_view more, struct gh_secret *i_to_r, struct gh_secret *r_to_i)
{
    const struct gh_view parts[] = {shared != NULL ? ike2_view(shared) : gh_view_of(NULL, 0), ni,
                                    nr, more};
    bool both = ike_protocol_is_tcp_ao(child->protocol); /* one key for both directions */
    size_t len = both ? ike_tcp_ao_key_len(child->prf, child->integ) : keymat_len(child);
    uint8_t all[512];
    bool good =
        2 * len <= sizeof(all) &&
        gh_prf_plus((enum gh_prf_alg)sa->suite.prf, ike2_sk_d(sa), parts, 4, all, 2 * len) &&
        gh_secret_set(i_to_r, all, len) && gh_secret_set(r_to_i, both ? all : all + len, len);

    gh_wipe(all, sizeof(all));
    return good;
}

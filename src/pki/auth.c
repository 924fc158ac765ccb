#include "pki/auth.h"

#include <stdio.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/secret.h"
#include "pki/bodies.h"
#include "pki/pki_priv.h"
#include "pki/sigalg.h"
#include "wire/rd.h"

/* ---- Names and lists ------------------------------------------------------------------------ */

const char *gh_auth_method_name(uint8_t method)
{
    switch (method) {
    case GH_AUTH_RSA:
        return "RSA signature";
    case GH_AUTH_PSK:
        return "pre-shared key";
    case GH_AUTH_ECDSA_256:
        return "ECDSA-256";
    case GH_AUTH_ECDSA_384:
        return "ECDSA-384";
    case GH_AUTH_ECDSA_521:
        return "ECDSA-521";
    case GH_AUTH_NULL:
        return "NULL";
    case GH_AUTH_DIGITAL:
        return "digital signature";
    default:
        return "unknown method";
    }
}

const char *gh_sig_hash_name(uint8_t hash)
{
    static const char *const names[] = {"no hash", "SHA-1",   "SHA-256",
                                        "SHA-384", "SHA-512", "identity"};

    return hash < sizeof(names) / sizeof(names[0]) ? names[hash] : "unknown hash";
}

unsigned gh_sig_hashes_parse(struct gh_view data)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    unsigned hashes = 0;

    while (gh_rd_left(&r) >= 2) {
        uint16_t hash = gh_rd_u16(&r);

        if (hash >= GH_SIG_SHA1 && hash <= GH_SIG_IDENTITY)
            hashes |= GH_BIT(hash);
    }
    return hashes;
}

void gh_sig_hashes_put(struct gh_wr *w, unsigned hashes)
{
    for (unsigned hash = GH_SIG_SHA1; hash <= GH_SIG_IDENTITY; hash++)
        if ((hashes & GH_BIT(hash)) != 0)
            gh_wr_u16(w, hash);
}

/* ---- How to sign ---------------------------------------------------------------------------- */

/* Methods 9 to 11: the curve says all. */
static const struct fixed {
    uint8_t method, hash;
    enum gh_key_type type;
    unsigned width; /* octets of r and of s */
} fixed[] = {{GH_AUTH_ECDSA_256, GH_SIG_SHA2_256, GH_KEY_ECDSA_P256, 32},
             {GH_AUTH_ECDSA_384, GH_SIG_SHA2_384, GH_KEY_ECDSA_P384, 48},
             {GH_AUTH_ECDSA_521, GH_SIG_SHA2_512, GH_KEY_ECDSA_P521, 66}};

enum { FIXED = sizeof(fixed) / sizeof(fixed[0]), WIDTH_MAX = 66 };

static const struct fixed *fixed_of_method(uint8_t method)
{
    for (size_t i = 0; i < FIXED; i++)
        if (fixed[i].method == method)
            return &fixed[i];
    return NULL;
}

static bool is_eddsa(enum gh_key_type type)
{
    return type == GH_KEY_ED25519 || type == GH_KEY_ED448;
}

static bool is_ecdsa(enum gh_key_type type)
{
    return type >= GH_KEY_ECDSA_P256 && type <= GH_KEY_ECDSA_OTHER;
}

/* The hash as strong as the key first, then what is stronger, then what is weaker. */
static uint8_t best_hash(enum gh_key_type type, unsigned bits, unsigned hashes)
{
    static const uint8_t orders[][4] = {
        {GH_SIG_SHA2_256, GH_SIG_SHA2_384, GH_SIG_SHA2_512, GH_SIG_SHA1},
        {GH_SIG_SHA2_384, GH_SIG_SHA2_512, GH_SIG_SHA2_256, GH_SIG_SHA1},
        {GH_SIG_SHA2_512, GH_SIG_SHA2_384, GH_SIG_SHA2_256, GH_SIG_SHA1}};
    size_t order = is_ecdsa(type) ? (bits > 384) + (bits > 256) : (bits > 7680) + (bits > 3072);

    for (size_t i = 0; i < 4; i++)
        if ((hashes & GH_BIT(orders[order][i])) != 0)
            return orders[order][i];
    return 0;
}

static bool choose_digital(enum gh_key_type type, unsigned bits, bool pss, unsigned hashes,
                           struct gh_sign_params *out, struct gh_pki_error *e)
{
    struct gh_sign_params p = {.method = GH_AUTH_DIGITAL};

    if (is_eddsa(type))
        p.hash = (hashes & GH_BIT(GH_SIG_IDENTITY)) != 0 ? GH_SIG_IDENTITY : 0;
    else
        p.hash = best_hash(type, bits, hashes);
    if (p.hash == 0)
        return gh_pki_fail(e, "auth-hash", "allow a hash that both sides have",
                           "no hash that both sides allow fits to sign with a key of %s",
                           gh_key_type_name(type));
    p.pss = type == GH_KEY_RSA_PSS || (type == GH_KEY_RSA && pss);
    *out = p;
    return true;
}

bool gh_auth_choose(enum gh_key_type type, unsigned bits, bool pss, unsigned peer_hashes,
                    unsigned our_hashes, struct gh_sign_params *out, struct gh_pki_error *e)
{
    if (peer_hashes != 0)
        return choose_digital(type, bits, pss, peer_hashes & our_hashes, out, e);
    if (type == GH_KEY_RSA) { /* RFC 7296 3.8: SHA-1 unless one knows better */
        uint8_t hash = (our_hashes & GH_BIT(GH_SIG_SHA1)) != 0 ? GH_SIG_SHA1 : GH_SIG_SHA2_256;

        *out = (struct gh_sign_params){.method = GH_AUTH_RSA, .hash = hash};
        return true;
    }
    for (size_t i = 0; i < FIXED; i++)
        if (fixed[i].type == type) {
            *out = (struct gh_sign_params){.method = fixed[i].method, .hash = fixed[i].hash};
            return true;
        }
    return gh_pki_fail(e, "auth-method", "take an RSA or ECDSA key for this peer",
                       "a key of %s signs by the digital signature method only, and the peer sent "
                       "no SIGNATURE_HASH_ALGORITHMS",
                       gh_key_type_name(type));
}

/* ---- Signatures ----------------------------------------------------------------------------- */

/* One signature algorithm as OpenSSL is told. */
struct scheme {
    const EVP_MD *md; /* NULL: of EdDSA */
    bool pss;
    unsigned salt;
};

static const EVP_MD *md_of(uint8_t hash)
{
    switch (hash) {
    case GH_SIG_SHA1:
        return EVP_sha1();
    case GH_SIG_SHA2_256:
        return EVP_sha256();
    case GH_SIG_SHA2_384:
        return EVP_sha384();
    case GH_SIG_SHA2_512:
        return EVP_sha512();
    default:
        return NULL;
    }
}

static bool set_padding(EVP_PKEY_CTX *ctx, enum gh_key_type type, const struct scheme *s)
{
    if (type != GH_KEY_RSA && type != GH_KEY_RSA_PSS)
        return true;
    if (!s->pss)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, s->md) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, (int)s->salt) == 1;
}

static bool sign(const struct gh_privkey *k, const struct scheme *s, struct gh_view octets,
                 uint8_t *out, size_t *len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner;
    bool good = ctx != NULL && EVP_DigestSignInit(ctx, &inner, s->md, NULL, k->pkey) == 1 &&
                set_padding(inner, k->public_part->type, s) &&
                EVP_DigestSign(ctx, out, len, octets.p, octets.len) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

static bool verify(const struct gh_pubkey *k, const struct scheme *s, struct gh_view octets,
                   struct gh_view signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner;
    bool good = ctx != NULL && EVP_DigestVerifyInit(ctx, &inner, s->md, NULL, k->pkey) == 1 &&
                set_padding(inner, k->type, s) &&
                EVP_DigestVerify(ctx, signature.p, signature.len, octets.p, octets.len) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

/* RFC 4754: r and s side by side, each as wide as the curve; OpenSSL has them in DER. */
static bool der_to_fixed(const uint8_t *der, size_t len, unsigned width, uint8_t *out)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool good = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)width) == (int)width &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + width, (int)width) == (int)width;

    ECDSA_SIG_free(sig);
    return good;
}

/* OpenSSL's memory; NULL: no memory. */
static uint8_t *fixed_to_der(const uint8_t *in, unsigned width, size_t *len)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(in, (int)width, NULL), *s = BN_bin2bn(in + width, (int)width, NULL);
    uint8_t *der = NULL;
    int n = 0;

    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* its own now */
        n = i2d_ECDSA_SIG(sig, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? der : NULL;
}

/* ---- Signing -------------------------------------------------------------------------------- */

static bool scheme_of_key(enum gh_key_type type, bool pss, enum gh_sig_scheme *out)
{
    switch (type) {
    case GH_KEY_RSA:
        *out = pss ? GH_SCHEME_RSA_PSS : GH_SCHEME_RSA_PKCS1;
        return true;
    case GH_KEY_RSA_PSS:
        *out = GH_SCHEME_RSA_PSS;
        return pss;
    case GH_KEY_ECDSA_P256:
    case GH_KEY_ECDSA_P384:
    case GH_KEY_ECDSA_P521:
    case GH_KEY_ECDSA_OTHER:
        *out = GH_SCHEME_ECDSA;
        return !pss;
    case GH_KEY_ED25519:
        *out = GH_SCHEME_ED25519;
        return !pss;
    case GH_KEY_ED448:
        *out = GH_SCHEME_ED448;
        return !pss;
    case GH_KEY_NONE:
        break;
    }
    return false;
}

/* The data before the signature itself, and how to make that. */
static bool prepare(enum gh_key_type type, const struct gh_sign_params *p, struct gh_wr *w,
                    struct scheme *s)
{
    const struct fixed *f = fixed_of_method(p->method);
    enum gh_sig_scheme scheme;
    struct gh_view der;

    *s = (struct scheme){.md = md_of(p->hash), .pss = p->pss};
    gh_auth_body_put_method(w, p->method);
    if (f != NULL)
        return f->type == type && f->hash == p->hash && !p->pss;
    if (p->method == GH_AUTH_RSA)
        return type == GH_KEY_RSA && s->md != NULL && !p->pss;
    if (p->method != GH_AUTH_DIGITAL || !scheme_of_key(type, p->pss, &scheme))
        return false;
    der = gh_sigalg_der(scheme, p->hash);
    if (der.len == 0)
        return false;
    if (p->pss)
        s->salt = (unsigned)EVP_MD_get_size(s->md);
    gh_wr_u8(w, der.len);
    gh_wr_bytes(w, der.p, der.len);
    return true;
}

bool gh_auth_sign(const struct gh_privkey *k, const struct gh_sign_params *params,
                  struct gh_view octets, uint8_t *out, size_t *len, struct gh_pki_error *e)
{
    const struct fixed *f = fixed_of_method(params->method);
    enum gh_key_type type = k->public_part->type;
    struct gh_wr w = gh_wr_make(out, GH_AUTH_BODY_MAX);
    uint8_t der[2 * WIDTH_MAX + 16], *to;
    struct scheme s;
    size_t room;

    if (!prepare(type, params, &w, &s))
        return gh_pki_fail(e, "auth-method", "let the key choose the method",
                           "a key of %s does not sign by the method \"%s\"%s with %s",
                           gh_key_type_name(type), gh_auth_method_name(params->method),
                           params->pss ? " and PSS" : "", gh_sig_hash_name(params->hash));
    to = f != NULL ? der : out + w.len;
    room = f != NULL ? sizeof(der) : w.cap - w.len;
    if (!sign(k, &s, octets, to, &room))
        return gh_pki_fail(e, "auth-sign", "look at the key with openssl pkey -check",
                           "signing with a key of %s failed: %s", gh_key_type_name(type),
                           gh_openssl_reason());
    if (f != NULL && !der_to_fixed(der, room, f->width, out + w.len))
        return gh_pki_fail(e, "auth-sign", "free some memory", "signing failed: %s",
                           gh_openssl_reason());
    *len = w.len + (f != NULL ? (size_t)2 * f->width : room);
    return true;
}

/* ---- Verification --------------------------------------------------------------------------- */

static bool wrong(struct gh_pki_error *e)
{
    return gh_pki_fail(e, "auth-signature",
                       "look whether the peer signs with the key of the certificate that it sends",
                       "the peer's signature does not verify");
}

static bool wrong_key(const struct gh_pubkey *k, uint8_t method, struct gh_pki_error *e)
{
    return gh_pki_fail(e, "auth-method", "look at the peer's configuration",
                       "the peer signed by the method \"%s\", but its key is of %s",
                       gh_auth_method_name(method), gh_key_type_name(k->type));
}

static bool verify_rsa(const struct gh_pubkey *k, unsigned hashes, struct gh_view signature,
                       struct gh_view octets, struct gh_pki_error *e)
{
    if (k->type != GH_KEY_RSA)
        return wrong_key(k, GH_AUTH_RSA, e);
    /* The hash stands inside the signature. */
    for (uint8_t hash = GH_SIG_SHA1; hash <= GH_SIG_SHA2_512; hash++) {
        struct scheme s = {.md = md_of(hash)};

        if (verify(k, &s, octets, signature)) {
            if ((hashes & GH_BIT(hash)) != 0)
                return true;
            return gh_pki_fail(e, "auth-hash",
                               "have the peer use digital signatures (RFC 7427), or allow the hash",
                               "the peer signed with %s, which is not allowed here",
                               gh_sig_hash_name(hash));
        }
    }
    return wrong(e);
}

static bool verify_fixed(const struct gh_pubkey *k, const struct fixed *f, struct gh_view signature,
                         struct gh_view octets, struct gh_pki_error *e)
{
    struct scheme s = {.md = md_of(f->hash)};
    uint8_t *der;
    size_t len;
    bool good;

    if (k->type != f->type)
        return wrong_key(k, f->method, e);
    if (signature.len != (size_t)2 * f->width)
        return gh_pki_fail(e, "auth-signature", "look at the peer's implementation",
                           "the peer's signature has %zu octets, and %s has %u", signature.len,
                           gh_auth_method_name(f->method), 2 * f->width);
    der = fixed_to_der(signature.p, f->width, &len);
    good = der != NULL && verify(k, &s, octets, gh_view_of(der, len));
    OPENSSL_free(der);
    return good || wrong(e);
}

static bool verify_digital(const struct gh_pubkey *k, unsigned hashes, struct gh_view data,
                           struct gh_view octets, struct gh_pki_error *e)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    size_t len = gh_rd_u8(&r);
    const uint8_t *der = gh_rd_bytes(&r, len);
    enum gh_sig_scheme ours;
    struct gh_sigalg a;
    struct scheme s;

    if (der == NULL || !gh_sigalg_parse(gh_view_of(der, len), &a))
        return gh_pki_fail(e, "auth-algorithm", "have the peer sign by another algorithm",
                           "the peer signed by an algorithm that is unknown or malformed");
    if ((hashes & GH_BIT(a.hash)) == 0)
        return gh_pki_fail(e, "auth-hash", "have the peer keep to the hashes it was told",
                           "the peer signed with %s, which is not allowed here",
                           gh_sig_hash_name(a.hash));
    if (!scheme_of_key(k->type, a.scheme == GH_SCHEME_RSA_PSS, &ours) || ours != a.scheme)
        return wrong_key(k, GH_AUTH_DIGITAL, e);
    s = (struct scheme){.md = md_of(a.hash), .pss = a.scheme == GH_SCHEME_RSA_PSS, .salt = a.salt};
    len = gh_rd_left(&r);
    return verify(k, &s, octets, gh_view_of(gh_rd_bytes(&r, len), len)) || wrong(e);
}

bool gh_auth_verify(const struct gh_pubkey *k, const struct gh_auth_accept *accept,
                    struct gh_view body, struct gh_view octets, struct gh_pki_error *e)
{
    unsigned least = accept->rsa_bits != 0 ? accept->rsa_bits : GH_RSA_BITS_MIN;
    const struct fixed *f;
    struct gh_auth_body b;

    if (!gh_auth_body_parse(body, &b))
        return gh_pki_fail(e, "auth-format", "look at the peer's implementation",
                           "the peer's AUTH payload is too short");
    if (b.method > GH_AUTH_DIGITAL || (accept->methods & GH_BIT(b.method)) == 0)
        return gh_pki_fail(
            e, "auth-method", "have both sides agree on how the peer authenticates",
            "the peer authenticates by the method %u (%s), which is not allowed here", b.method,
            gh_auth_method_name(b.method));
    if ((k->type == GH_KEY_RSA || k->type == GH_KEY_RSA_PSS) && k->bits < least)
        return gh_pki_fail(e, "cert-key-size", "take a longer key, or an elliptic curve",
                           "the peer's RSA key has %u bits, and %u are the least", k->bits, least);
    f = fixed_of_method(b.method);
    if (f != NULL)
        return verify_fixed(k, f, b.data, octets, e);
    if (b.method == GH_AUTH_RSA)
        return verify_rsa(k, accept->rsa_hashes, b.data, octets, e);
    if (b.method == GH_AUTH_DIGITAL)
        return verify_digital(k, accept->hashes, b.data, octets, e);
    return wrong_key(k, b.method, e);
}

/* ---- Shared secrets ------------------------------------------------------------------------- */

bool gh_auth_psk(enum gh_prf_alg prf, struct gh_view secret, struct gh_view octets, uint8_t out[64])
{
    const struct gh_view pad = gh_view_of("Key Pad for IKEv2", 17);
    uint8_t padded[GH_PRF_MAX];
    bool good = gh_prf(prf, secret, &pad, 1, padded) &&
                gh_prf(prf, gh_view_of(padded, gh_prf_len(prf)), &octets, 1, out);

    gh_wipe(padded, sizeof(padded));
    return good;
}

bool gh_auth_equal(struct gh_view body, uint8_t method, struct gh_view value)
{
    struct gh_auth_body b;

    return gh_auth_body_parse(body, &b) && b.method == method && value.len > 0 &&
           b.data.len == value.len && gh_ct_equal(b.data.p, value.p, value.len);
}

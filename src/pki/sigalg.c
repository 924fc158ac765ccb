#include "pki/sigalg.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pki/auth.h"

/* DER, written in pieces. RFC 4055: of RSASSA-PSS the trailer field is the default and left out. */
#define OID_PKCS1 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01
#define OID_SHA2  0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02
#define RSA(arc)                                                                                   \
    {                                                                                              \
        0x30, 0x0d, OID_PKCS1, arc, 0x05, 0x00                                                     \
    }
#define ECDSA2(arc)                                                                                \
    {                                                                                              \
        0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, arc                      \
    }
#define SHA2(arc) 0x30, 0x0d, OID_SHA2, arc, 0x05, 0x00
#define PSS(arc, salt)                                                                             \
    {                                                                                              \
        0x30, 0x41, OID_PKCS1, 0x0a, 0x30, 0x34, 0xa0, 0x0f, SHA2(arc), 0xa1, 0x1c, 0x30, 0x1a,    \
            OID_PKCS1, 0x08, SHA2(arc), 0xa2, 0x03, 0x02, 0x01, salt                               \
    }

static const struct {
    enum gh_sig_scheme scheme;
    uint8_t hash, len;
    uint8_t der[72];
} known[] = {
    {GH_SCHEME_RSA_PKCS1, GH_SIG_SHA1, 15, RSA(0x05)},
    {GH_SCHEME_RSA_PKCS1, GH_SIG_SHA2_256, 15, RSA(0x0b)},
    {GH_SCHEME_RSA_PKCS1, GH_SIG_SHA2_384, 15, RSA(0x0c)},
    {GH_SCHEME_RSA_PKCS1, GH_SIG_SHA2_512, 15, RSA(0x0d)},
    {GH_SCHEME_RSA_PSS, GH_SIG_SHA1, 15, {0x30, 0x0d, OID_PKCS1, 0x0a, 0x30, 0x00}},
    {GH_SCHEME_RSA_PSS, GH_SIG_SHA2_256, 67, PSS(0x01, 32)},
    {GH_SCHEME_RSA_PSS, GH_SIG_SHA2_384, 67, PSS(0x02, 48)},
    {GH_SCHEME_RSA_PSS, GH_SIG_SHA2_512, 67, PSS(0x03, 64)},
    {GH_SCHEME_ECDSA,
     GH_SIG_SHA1,
     11,
     {0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01}},
    {GH_SCHEME_ECDSA, GH_SIG_SHA2_256, 12, ECDSA2(0x02)},
    {GH_SCHEME_ECDSA, GH_SIG_SHA2_384, 12, ECDSA2(0x03)},
    {GH_SCHEME_ECDSA, GH_SIG_SHA2_512, 12, ECDSA2(0x04)},
    {GH_SCHEME_ED25519, GH_SIG_IDENTITY, 7, {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}},
    {GH_SCHEME_ED448, GH_SIG_IDENTITY, 7, {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71}},
};

struct gh_view gh_sigalg_der(enum gh_sig_scheme scheme, uint8_t hash)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].scheme == scheme && known[i].hash == hash)
            return gh_view_of(known[i].der, known[i].len);
    return gh_view_of(NULL, 0);
}

/* 0: none that IKE has. */
static uint8_t hash_of(int nid)
{
    switch (nid) {
    case NID_sha1:
        return GH_SIG_SHA1;
    case NID_sha256:
        return GH_SIG_SHA2_256;
    case NID_sha384:
        return GH_SIG_SHA2_384;
    case NID_sha512:
        return GH_SIG_SHA2_512;
    default:
        return 0;
    }
}

static bool absent_or_null(const ASN1_TYPE *parameter)
{
    return parameter == NULL || parameter->type == V_ASN1_NULL;
}

static uint8_t hash_algorithm(const X509_ALGOR *a)
{
    if (a == NULL)
        return GH_SIG_SHA1; /* RFC 4055's default */
    return absent_or_null(a->parameter) ? hash_of(OBJ_obj2nid(a->algorithm)) : 0;
}

static bool mask_has_hash(const X509_ALGOR *mask, uint8_t hash)
{
    X509_ALGOR *inner;
    bool same;

    if (mask == NULL)
        return hash == GH_SIG_SHA1;
    if (OBJ_obj2nid(mask->algorithm) != NID_mgf1)
        return false;
    inner = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), mask->parameter);
    same = inner != NULL && hash_algorithm(inner) == hash;
    X509_ALGOR_free(inner);
    return same;
}

/* The number, or `absent`; -1 if it is not one of 0 to 1024. */
static int small(const ASN1_INTEGER *n, int absent)
{
    long value;

    if (n == NULL)
        return absent;
    value = ASN1_INTEGER_get(n);
    return value >= 0 && value <= 1024 ? (int)value : -1;
}

static bool parse_pss(const ASN1_TYPE *parameter, struct gh_sigalg *out)
{
    RSA_PSS_PARAMS *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), parameter);
    struct gh_sigalg s = {.scheme = GH_SCHEME_RSA_PSS};
    int salt;
    bool good;

    if (p == NULL)
        return false;
    s.hash = hash_algorithm(p->hashAlgorithm);
    salt = small(p->saltLength, 20);
    good = s.hash != 0 && mask_has_hash(p->maskGenAlgorithm, s.hash) && salt >= 0 &&
           small(p->trailerField, 1) == 1;
    s.salt = good ? (unsigned)salt : 0;
    RSA_PSS_PARAMS_free(p);
    if (good)
        *out = s;
    return good;
}

static bool parse_plain(int nid, const ASN1_TYPE *parameter, struct gh_sigalg *out)
{
    int hash, key;

    if (!absent_or_null(parameter))
        return false;
    if (nid == NID_ED25519 || nid == NID_ED448) {
        *out =
            (struct gh_sigalg){.scheme = nid == NID_ED25519 ? GH_SCHEME_ED25519 : GH_SCHEME_ED448,
                               .hash = GH_SIG_IDENTITY};
        return parameter == NULL;
    }
    if (OBJ_find_sigid_algs(nid, &hash, &key) != 1 || hash_of(hash) == 0 ||
        (key != NID_rsaEncryption && key != NID_X9_62_id_ecPublicKey))
        return false;
    *out = (struct gh_sigalg){.scheme =
                                  key == NID_rsaEncryption ? GH_SCHEME_RSA_PKCS1 : GH_SCHEME_ECDSA,
                              .hash = hash_of(hash)};
    return true;
}

bool gh_sigalg_parse(struct gh_view der, struct gh_sigalg *out)
{
    const uint8_t *at = der.p;
    X509_ALGOR *a = d2i_X509_ALGOR(NULL, &at, (long)der.len);
    struct gh_sigalg s = {.hash = 0};
    bool good = a != NULL && at == der.p + der.len;
    int nid = good ? OBJ_obj2nid(a->algorithm) : NID_undef;

    if (good && nid == NID_rsassaPss)
        good = parse_pss(a->parameter, &s);
    else if (good)
        good = parse_plain(nid, a->parameter, &s);
    X509_ALGOR_free(a);
    ERR_clear_error();
    if (good)
        *out = s;
    return good;
}

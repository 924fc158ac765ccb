#include "pki/pubkey.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "crypto/hash.h"
#include "pki/pki_priv.h"

enum { SPKI_MAX = 8192 };

static const char *const type_names[] = {[GH_KEY_NONE] = "no key",
                                         [GH_KEY_RSA] = "RSA",
                                         [GH_KEY_RSA_PSS] = "RSA-PSS",
                                         [GH_KEY_ECDSA_P256] = "ECDSA P-256",
                                         [GH_KEY_ECDSA_P384] = "ECDSA P-384",
                                         [GH_KEY_ECDSA_P521] = "ECDSA P-521",
                                         [GH_KEY_ECDSA_OTHER] = "ECDSA",
                                         [GH_KEY_ED25519] = "Ed25519",
                                         [GH_KEY_ED448] = "Ed448"};

const char *gh_key_type_name(enum gh_key_type t)
{
    return (size_t)t < sizeof(type_names) / sizeof(type_names[0]) ? type_names[t] : "?";
}

const char *gh_openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason != NULL ? reason : "unknown reason";
}

static enum gh_key_type ec_type(const EVP_PKEY *pkey)
{
    char group[64];

    if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
        return GH_KEY_NONE; /* explicit parameters: RFC 5480 forbids them */
    switch (OBJ_sn2nid(group)) {
    case NID_X9_62_prime256v1:
        return GH_KEY_ECDSA_P256;
    case NID_secp384r1:
        return GH_KEY_ECDSA_P384;
    case NID_secp521r1:
        return GH_KEY_ECDSA_P521;
    case NID_brainpoolP256r1:
    case NID_brainpoolP384r1:
    case NID_brainpoolP512r1:
        return GH_KEY_ECDSA_OTHER;
    default:
        return GH_KEY_NONE;
    }
}

static enum gh_key_type type_of(const EVP_PKEY *pkey)
{
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        return GH_KEY_RSA;
    case EVP_PKEY_RSA_PSS:
        return GH_KEY_RSA_PSS;
    case EVP_PKEY_EC:
        return ec_type(pkey);
    case EVP_PKEY_ED25519:
        return GH_KEY_ED25519;
    case EVP_PKEY_ED448:
        return GH_KEY_ED448;
    default:
        return GH_KEY_NONE;
    }
}

bool gh_spki_hash(struct gh_view spki, uint8_t out[GH_SPKI_HASH])
{
    uint8_t digest[GH_HASH_MAX];
    bool good = gh_hash(GH_HASH_SHA_1, &spki, 1, digest);

    if (good)
        memcpy(out, digest, GH_SPKI_HASH);
    return good;
}

struct gh_pubkey *gh_pubkey_of(EVP_PKEY *pkey, struct gh_pki_error *e)
{
    struct gh_pubkey *k = calloc(1, sizeof(*k));
    int len;

    if (k == NULL) {
        EVP_PKEY_free(pkey);
        gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
        return NULL;
    }
    k->pkey = pkey;
    k->type = type_of(pkey);
    k->bits = (unsigned)EVP_PKEY_get_bits(pkey);
    if (k->type == GH_KEY_NONE) {
        gh_pubkey_free(k);
        ERR_clear_error();
        gh_pki_fail(e, "key-type",
                    "take RSA, ECDSA (P-256, P-384, P-521, Brainpool), Ed25519 or Ed448",
                    "the key is of a kind that does not sign in IKEv2");
        return NULL;
    }
    len = i2d_PUBKEY(pkey, &k->spki);
    k->spki_len = len > 0 ? (size_t)len : 0;
    if (len <= 0 || !gh_spki_hash(gh_pubkey_spki(k), k->hash)) {
        gh_pubkey_free(k);
        gh_pki_fail(e, "key-format", "make the key anew", "the key cannot be encoded: %s",
                    gh_openssl_reason());
        return NULL;
    }
    return k;
}

struct gh_pubkey *gh_pubkey_parse(struct gh_view spki, struct gh_pki_error *e)
{
    const uint8_t *at = spki.p;
    EVP_PKEY *pkey;

    if (spki.len == 0 || spki.len > SPKI_MAX) {
        gh_pki_fail(e, "key-format", "give a SubjectPublicKeyInfo in DER",
                    "%zu octets are no public key", spki.len);
        return NULL;
    }
    pkey = d2i_PUBKEY(NULL, &at, (long)spki.len);
    if (pkey != NULL && at == spki.p + spki.len)
        return gh_pubkey_of(pkey, e);
    EVP_PKEY_free(pkey);
    gh_pki_fail(e, "key-format", "give a SubjectPublicKeyInfo in DER",
                "the public key cannot be read: %s", gh_openssl_reason());
    return NULL;
}

void gh_pubkey_free(struct gh_pubkey *k)
{
    if (k == NULL)
        return;
    EVP_PKEY_free(k->pkey);
    OPENSSL_free(k->spki);
    free(k);
}

enum gh_key_type gh_pubkey_type(const struct gh_pubkey *k)
{
    return k->type;
}

unsigned gh_pubkey_bits(const struct gh_pubkey *k)
{
    return k->bits;
}

struct gh_view gh_pubkey_spki(const struct gh_pubkey *k)
{
    return gh_view_of(k->spki, k->spki_len);
}

const uint8_t *gh_pubkey_hash(const struct gh_pubkey *k)
{
    return k->hash;
}

bool gh_pubkey_equal(const struct gh_pubkey *a, const struct gh_pubkey *b)
{
    return gh_view_equal(gh_pubkey_spki(a), gh_pubkey_spki(b));
}

/*
 * The table of encryption and integrity algorithms behind crypto/cipher.h, for cipher.c alone.
 */
#ifndef GH_CRYPTO_CIPHER_ALG_H
#define GH_CRYPTO_CIPHER_ALG_H

#include "crypto/cipher.h"
#include "crypto/fetched.h"
#include "crypto/mac.h"

enum gh_enc_mode {
    GH_MODE_NULL,
    GH_MODE_CBC,
    GH_MODE_CTR,
    GH_MODE_AEAD,
    GH_MODE_CCM,  /* AEAD whose lengths OpenSSL wants to know first */
    GH_MODE_GMAC, /* AEAD that encrypts nothing: data too is associated */
};

struct gh_enc_info {
    enum gh_enc_alg enc;
    enum gh_enc_mode mode;
    uint8_t key;  /* octets, without salt; 0: 16, 24 or 32 by the key length attribute */
    uint8_t salt; /* octets at the end of the key material that precede the IV */
    uint8_t iv, block, icv;
    struct gh_fetched *ciphers; /* one, or three by key length */
};

struct gh_integ_info {
    enum gh_integ_alg integ;
    enum gh_mac_alg mac;
    uint8_t key, icv;
};

/* NULL: not known. */
const struct gh_enc_info *gh_enc_info(enum gh_enc_alg enc);
const struct gh_integ_info *gh_integ_info(enum gh_integ_alg integ);
/* Where the cipher for this key length is; NULL: it has none. Not for GH_MODE_NULL. */
struct gh_fetched *gh_enc_fetched(const struct gh_enc_info *info, unsigned bits);

#endif

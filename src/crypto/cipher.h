/*
 * Protection of packets with one key: encryption and integrity as one object, for IKE's SK and SKF
 * payloads (RFC 7296 3.14, 5282) and for ESP (RFC 4303).
 *
 * What is sealed: data, encrypted in place; what stands before it (`aad`) and the IV are only
 * authenticated. With an algorithm that does both (AEAD) the aad is its associated data; otherwise
 * the MAC covers aad, IV and ciphertext in this order, which in IKE is the message from its header
 * to its last ciphertext octet. Padding, where the IV and the ICV stand on the wire, and which aad
 * a protocol wants are the caller's.
 *
 * The owner frees it (and the keys are wiped). One cipher has one key, so it serves one direction
 * of one SA, and one thread at a time. Sealing and opening allocate nothing (what is refused may
 * leave a note in libcrypto's error queue, here as in all of src/crypto).
 */
#ifndef GH_CRYPTO_CIPHER_H
#define GH_CRYPTO_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"

/* The numbers of IKEv2's registry (transform type 1). What is not here is not known. */
enum gh_enc_alg {
    GH_ENC_DES = 2, /* only where OpenSSL's legacy provider is installed */
    GH_ENC_3DES = 3,
    GH_ENC_NULL = 11,
    GH_ENC_AES_CBC = 12,
    GH_ENC_AES_CTR = 13,
    GH_ENC_AES_CCM_8 = 14,
    GH_ENC_AES_CCM_12 = 15,
    GH_ENC_AES_CCM_16 = 16,
    GH_ENC_AES_GCM_8 = 18,
    GH_ENC_AES_GCM_12 = 19,
    GH_ENC_AES_GCM_16 = 20,
    GH_ENC_NULL_AES_GMAC = 21, /* ESP alone (RFC 4543): data stays clear */
    GH_ENC_CAMELLIA_CBC = 23,
    GH_ENC_CAMELLIA_CTR = 24,
    GH_ENC_CHACHA20_POLY1305 = 28,
    /* RFC 8750, ESP alone: as the ones above, but the IV is the sequence number and not sent. */
    GH_ENC_AES_CCM_8_IIV = 29,
    GH_ENC_AES_GCM_16_IIV = 30,
    GH_ENC_CHACHA20_POLY1305_IIV = 31,
};

/* The numbers of IKEv2's registry (transform type 3). */
enum gh_integ_alg {
    GH_INTEG_NONE = 0,
    GH_INTEG_HMAC_MD5_96 = 1,
    GH_INTEG_HMAC_SHA1_96 = 2,
    GH_INTEG_AES_XCBC_96 = 5,
    GH_INTEG_AES_CMAC_96 = 8,
    GH_INTEG_HMAC_SHA2_256_128 = 12,
    GH_INTEG_HMAC_SHA2_384_192 = 13,
    GH_INTEG_HMAC_SHA2_512_256 = 14,
};

enum { GH_CIPHER_IV_MAX = 16, GH_CIPHER_ICV_MAX = 32, GH_CIPHER_BLOCK_MAX = 16 };

/* Octets of key material, salt or nonce included (so what prf+ has to give). `bits` is the key
 * length attribute; 0 if the proposal had none. 0: this algorithm does not go with these bits,
 * or is not known; GH_ENC_NULL too has no key: ask gh_enc_known(). */
size_t gh_enc_key_len(enum gh_enc_alg enc, unsigned bits);
/* The algorithm is known and goes with this key length. */
bool gh_enc_known(enum gh_enc_alg enc, unsigned bits);
/* Known, and the running OpenSSL has it. Call it before entering a sandbox: it loads what later
 * would be looked for in the file system (the legacy provider for DES). */
bool gh_enc_available(enum gh_enc_alg enc, unsigned bits);
bool gh_enc_is_aead(enum gh_enc_alg enc);
/* Octets of the IV, in the packet or not. */
size_t gh_enc_iv_len(enum gh_enc_alg enc);
/* The IV is not in the packet, but made of what is (RFC 8750). */
bool gh_enc_iv_implicit(enum gh_enc_alg enc);
/* True: the IV has to be unpredictable. False: it must never repeat under one key, so that a
 * counter is best (and the same key in two hands is fatal). */
bool gh_enc_iv_random(enum gh_enc_alg enc);
/* What the length of data has to be a multiple of; 1: anything. */
size_t gh_enc_block(enum gh_enc_alg enc);

bool gh_integ_known(enum gh_integ_alg integ);
size_t gh_integ_key_len(enum gh_integ_alg integ); /* 0: not known, or none */
/* Octets of the ICV of a pair that may go together: AEAD with GH_INTEG_NONE, others with an
 * integrity algorithm. 0: they may not. */
size_t gh_icv_len(enum gh_enc_alg enc, enum gh_integ_alg integ);

struct gh_cipher;

/* Copies the keys, whose lengths must be gh_enc_key_len() and gh_integ_key_len(). NULL: a pair that
 * may not go together (nothing is ever encrypted without integrity), a wrong length, not available,
 * or no memory. */
struct gh_cipher *gh_cipher_new(enum gh_enc_alg enc, unsigned bits, enum gh_integ_alg integ,
                                struct gh_view enc_key, struct gh_view integ_key);
/* Wipes. NULL is fine. */
void gh_cipher_free(struct gh_cipher *c);
size_t gh_cipher_iv_len(const struct gh_cipher *c);
size_t gh_cipher_icv_len(const struct gh_cipher *c);
size_t gh_cipher_block(const struct gh_cipher *c);

/* Encrypts data in place and writes the ICV. aad, iv, data and icv may not overlap, but may touch.
 * False: data and ICV must not leave, and are wiped. */
bool gh_cipher_seal(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                    size_t len, uint8_t *icv);
/* Checks the ICV and decrypts in place. False: refused, and data is wiped. */
bool gh_cipher_open(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                    size_t len, const uint8_t *icv);

/* The same where the MAC goes on over octets after the ciphertext: the high half of ESP's extended
 * sequence number (RFC 4303 2.2.1). AEAD has it in its aad; a tail that is not empty is refused. */
bool gh_cipher_seal_tail(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                         size_t len, struct gh_view tail, uint8_t *icv);
bool gh_cipher_open_tail(struct gh_cipher *c, struct gh_view aad, const uint8_t *iv, uint8_t *data,
                         size_t len, struct gh_view tail, const uint8_t *icv);

#endif

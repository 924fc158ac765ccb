/*
 * A cipher of OpenSSL's, looked up once for the life of the process: a look-up by name takes locks
 * and more time than to encrypt a small packet.
 *
 * Whoever needs a cipher keeps one of these as a static variable. It holds nothing but OpenSSL's
 * constant object, and is safe in any number of threads; a failed look-up is not remembered.
 */
#ifndef GH_CRYPTO_FETCHED_H
#define GH_CRYPTO_FETCHED_H

#include <stdatomic.h>
#include <stdbool.h>

#include <openssl/evp.h>

struct gh_fetched {
    const char *name; /* OpenSSL's: "AES-128-CBC" */
    bool legacy;      /* from the legacy provider, loaded at the first use */
    _Atomic(EVP_CIPHER *) cipher;
};

/* NULL: this OpenSSL does not have it. Borrowed, never freed. */
const EVP_CIPHER *gh_fetched_cipher(struct gh_fetched *f);

#endif

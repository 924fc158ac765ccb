#include "crypto/fetched.h"

#include <openssl/provider.h>

/* A library context of its own: in the default one, a provider that is loaded by name would take
 * the default provider's place. Never freed, as the ciphers from it are not. */
static EVP_CIPHER *fetch_legacy(const char *name)
{
    OSSL_LIB_CTX *own = OSSL_LIB_CTX_new();
    EVP_CIPHER *cipher = NULL;

    if (own == NULL)
        return NULL;
    if (OSSL_PROVIDER_load(own, "legacy") != NULL)
        cipher = EVP_CIPHER_fetch(own, name, NULL);
    if (cipher == NULL)
        OSSL_LIB_CTX_free(own);
    return cipher;
}

const EVP_CIPHER *gh_fetched_cipher(struct gh_fetched *f)
{
    EVP_CIPHER *cipher = atomic_load(&f->cipher), *none = NULL;

    if (cipher != NULL)
        return cipher;
    cipher = f->legacy ? fetch_legacy(f->name) : EVP_CIPHER_fetch(NULL, f->name, NULL);
    if (cipher != NULL && !atomic_compare_exchange_strong(&f->cipher, &none, cipher)) {
        /* Another thread was first. (Of a legacy context, this leaves one behind.) */
        EVP_CIPHER_free(cipher);
        cipher = none;
    }
    return cipher;
}

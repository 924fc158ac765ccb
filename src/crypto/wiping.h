/*
 * libcrypto's memory, wiped whenever it is given back: private keys and what is computed with them
 * otherwise leave copies behind in freed memory.
 *
 * A program calls it once, before anything else of libcrypto.
 */
#ifndef GH_CRYPTO_WIPING_H
#define GH_CRYPTO_WIPING_H

#include <stdbool.h>

/* False: libcrypto has allocated something already. */
bool gh_crypto_wipe_on_free(void);

#endif

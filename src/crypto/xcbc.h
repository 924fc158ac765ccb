/*
 * AES-XCBC-MAC with its full tag of 16 octets (RFC 3566), which OpenSSL does not have. Called by
 * crypto/mac.c alone. The object holds one key and the message in progress; nothing is allocated
 * after gh_xcbc_new().
 */
#ifndef GH_CRYPTO_XCBC_H
#define GH_CRYPTO_XCBC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GH_XCBC_BLOCK = 16 };

struct gh_xcbc;

/* NULL: no memory, or the library refused. */
struct gh_xcbc *gh_xcbc_new(const uint8_t key[GH_XCBC_BLOCK]);
/* Wipes. NULL is fine. */
void gh_xcbc_free(struct gh_xcbc *x);

bool gh_xcbc_init(struct gh_xcbc *x);
bool gh_xcbc_update(struct gh_xcbc *x, const void *data, size_t len);
bool gh_xcbc_final(struct gh_xcbc *x, uint8_t tag[GH_XCBC_BLOCK]);

#endif

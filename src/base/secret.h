/*
 * An owned secret: wiped when released, with no way to print it, compared in constant time.
 *
 * Whoever holds the struct owns the octets. Zero-initialised is empty and valid.
 */
#ifndef GH_BASE_SECRET_H
#define GH_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_secret {
    uint8_t *data;
    size_t len;
};

/* Copies. Releases what was held before. False: no memory (then empty). */
bool gh_secret_set(struct gh_secret *s, const uint8_t *data, size_t len);
/* Wipes and frees; empty afterwards. */
void gh_secret_clear(struct gh_secret *s);
/* Constant time in the contents, not in the length. */
bool gh_secret_equal(const struct gh_secret *a, const struct gh_secret *b);

/* Overwrites memory in a way that the compiler keeps. */
void gh_wipe(void *p, size_t len);
/* Constant-time comparison: the only one for MACs and secrets. */
bool gh_ct_equal(const void *a, const void *b, size_t len);

#endif

/*
 * Memory that fails when a test wants it: for test programs that are linked with wrap_malloc.
 *
 *     for (int n = 0; !done; n++) {
 *         countdown = n;           // the n-th allocation from now on fails, counted from 0
 *         done = thing();          // … and is refused, or done
 *         countdown = -1;
 *     }
 *
 * Allocations of what is linked statically are seen by the linker's --wrap; those of libcrypto
 * after fail_libcrypto_too(), which has to be called before anything else of it.
 */
#ifndef GH_TESTS_FAILING_MEMORY_H
#define GH_TESTS_FAILING_MEMORY_H

#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>

#include <openssl/crypto.h>

/* Allocations until one fails; negative: none does. */
static int countdown = -1;
/* All since the beginning. */
static size_t allocations;

static bool fails(void)
{
    allocations++;
    return countdown >= 0 && countdown-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

static inline void *crypto_malloc(size_t size, const char *file, int line)
{
    return malloc(size);
}

static inline void *crypto_realloc(void *p, size_t size, const char *file, int line)
{
    return realloc(p, size);
}

static inline void crypto_free(void *p, const char *file, int line)
{
    free(p);
}

/* False: too late, libcrypto has allocated already. */
static inline bool fail_libcrypto_too(void)
{
    return CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) == 1;
}

#endif

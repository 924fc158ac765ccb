#include "crypto/wiping.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/secret.h"

static void *take(size_t len, const char *file, int line)
{
    return malloc(len);
}

static void give_back(void *p, const char *file, int line)
{
    if (p != NULL)
        gh_wipe(p, malloc_usable_size(p));
    free(p);
}

/* Never in place: what realloc() leaves where the block was could not be wiped. */
static void *resize(void *p, size_t len, const char *file, int line)
{
    size_t old = p != NULL ? malloc_usable_size(p) : 0;
    void *more;

    if (len == 0) {
        give_back(p, file, line);
        return NULL;
    }
    more = malloc(len);
    if (more != NULL && old > 0)
        memcpy(more, p, old < len ? old : len);
    if (more != NULL)
        give_back(p, file, line);
    return more;
}

bool gh_crypto_wipe_on_free(void)
{
    return CRYPTO_set_mem_functions(take, resize, give_back) == 1;
}

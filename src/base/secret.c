#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

void gh_wipe(void *p, size_t len)
{
    if (p != NULL && len > 0)
        explicit_bzero(p, len);
}

bool gh_ct_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t diff = 0;

    for (size_t i = 0; i < len; i++)
        diff |= x[i] ^ y[i];
    return diff == 0;
}

void gh_secret_clear(struct gh_secret *s)
{
    gh_wipe(s->data, s->len);
    free(s->data);
    s->data = NULL;
    s->len = 0;
}

bool gh_secret_set(struct gh_secret *s, const uint8_t *data, size_t len)
{
    uint8_t *copy = NULL;

    if (len > 0) {
        copy = malloc(len);
        if (copy != NULL)
            memcpy(copy, data, len);
    }
    gh_secret_clear(s);
    if (len > 0 && copy == NULL)
        return false;
    s->data = copy;
    s->len = len;
    return true;
}

bool gh_secret_equal(const struct gh_secret *a, const struct gh_secret *b)
{
    return a->len == b->len && gh_ct_equal(a->data, b->data, a->len);
}

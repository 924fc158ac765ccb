#include "wire/rd.h"

#include <string.h>

void gh_rd_copy(struct gh_rd *r, void *out, size_t n)
{
    const uint8_t *p = gh_rd_bytes(r, n);

    if (n == 0)
        return;
    if (p != NULL)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
}

struct gh_rd gh_rd_sub(struct gh_rd *r, size_t n)
{
    const uint8_t *p = gh_rd_bytes(r, n);

    if (p == NULL)
        return (struct gh_rd){.p = r->end, .end = r->end, .bad = true};
    return (struct gh_rd){.p = p, .end = p + n};
}

#include "wire/wr.h"

#include <string.h>

static void put_be(struct gh_wr *w, size_t offset, uint64_t v, size_t n)
{
    if (w->bad || offset > w->len || n > w->len - offset)
        w->bad = true;
    else
        gh_wr_store(w, w->base + offset, v, n);
}

void gh_wr_bytes(struct gh_wr *w, const void *data, size_t n)
{
    uint8_t *p = gh_wr_room(w, n);

    if (p != NULL && n > 0)
        memcpy(p, data, n);
}

void gh_wr_zero(struct gh_wr *w, size_t n)
{
    uint8_t *p = gh_wr_room(w, n);

    if (p != NULL && n > 0)
        memset(p, 0, n);
}

void gh_wr_put_u8(struct gh_wr *w, size_t offset, uint64_t v)
{
    put_be(w, offset, v, 1);
}

void gh_wr_put_u16(struct gh_wr *w, size_t offset, uint64_t v)
{
    put_be(w, offset, v, 2);
}

void gh_wr_put_u32(struct gh_wr *w, size_t offset, uint64_t v)
{
    put_be(w, offset, v, 4);
}

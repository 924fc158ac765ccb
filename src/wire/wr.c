#include "wire/wr.h"

#include <string.h>

struct gh_wr gh_wr_make(void *mem, size_t cap)
{
    return (struct gh_wr){.base = mem, .cap = cap};
}

static uint8_t *wr_room(struct gh_wr *w, size_t n)
{
    uint8_t *p;

    if (w->bad || n > w->cap - w->len) {
        w->bad = true;
        return NULL;
    }
    p = w->base + w->len;
    w->len += n;
    return p;
}

static void store(struct gh_wr *w, uint8_t *p, uint64_t v, size_t n)
{
    if (n < 8 && v >> (8 * n) != 0) {
        w->bad = true;
        return;
    }
    for (size_t i = n; i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}

static void wr_be(struct gh_wr *w, uint64_t v, size_t n)
{
    uint8_t *p = wr_room(w, n);

    if (p != NULL)
        store(w, p, v, n);
}

static void put_be(struct gh_wr *w, size_t offset, uint64_t v, size_t n)
{
    if (w->bad || offset > w->len || n > w->len - offset)
        w->bad = true;
    else
        store(w, w->base + offset, v, n);
}

void gh_wr_u8(struct gh_wr *w, uint64_t v)
{
    wr_be(w, v, 1);
}

void gh_wr_u16(struct gh_wr *w, uint64_t v)
{
    wr_be(w, v, 2);
}

void gh_wr_u32(struct gh_wr *w, uint64_t v)
{
    wr_be(w, v, 4);
}

void gh_wr_u64(struct gh_wr *w, uint64_t v)
{
    wr_be(w, v, 8);
}

void gh_wr_bytes(struct gh_wr *w, const void *data, size_t n)
{
    uint8_t *p = wr_room(w, n);

    if (p != NULL && n > 0)
        memcpy(p, data, n);
}

void gh_wr_zero(struct gh_wr *w, size_t n)
{
    uint8_t *p = wr_room(w, n);

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

bool gh_wr_ok(const struct gh_wr *w)
{
    return !w->bad;
}

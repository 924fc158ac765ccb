#include "wire/rd.h"

#include <string.h>

struct gh_rd gh_rd_make(const void *data, size_t len)
{
    const uint8_t *p = data;

    return (struct gh_rd){.p = p, .end = len > 0 ? p + len : p}; /* no octets may be NULL */
}

size_t gh_rd_left(const struct gh_rd *r)
{
    return (size_t)(r->end - r->p);
}

const uint8_t *gh_rd_bytes(struct gh_rd *r, size_t n)
{
    const uint8_t *p = r->p;

    if (r->bad || n > gh_rd_left(r)) {
        r->bad = true;
        r->p = r->end;
        return NULL;
    }
    r->p += n;
    return p;
}

static uint64_t rd_be(struct gh_rd *r, size_t n)
{
    const uint8_t *p = gh_rd_bytes(r, n);
    uint64_t v = 0;

    if (p == NULL)
        return 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t gh_rd_u8(struct gh_rd *r)
{
    return (uint8_t)rd_be(r, 1);
}

uint16_t gh_rd_u16(struct gh_rd *r)
{
    return (uint16_t)rd_be(r, 2);
}

uint32_t gh_rd_u32(struct gh_rd *r)
{
    return (uint32_t)rd_be(r, 4);
}

uint64_t gh_rd_u64(struct gh_rd *r)
{
    return rd_be(r, 8);
}

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

void gh_rd_skip(struct gh_rd *r, size_t n)
{
    (void)gh_rd_bytes(r, n);
}

struct gh_rd gh_rd_sub(struct gh_rd *r, size_t n)
{
    const uint8_t *p = gh_rd_bytes(r, n);

    if (p == NULL)
        return (struct gh_rd){.p = r->end, .end = r->end, .bad = true};
    return (struct gh_rd){.p = p, .end = p + n};
}

bool gh_rd_done(const struct gh_rd *r)
{
    return !r->bad && r->p == r->end;
}

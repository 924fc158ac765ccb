/*
 * Bounds-checked reader: the only way bytes from outside are parsed.
 *
 * A value on the stack that borrows the bytes. Failure is sticky: a read past the end returns zero,
 * empties the reader and sets `bad`, so that one gh_rd_done() at the close tells whether all was
 * well. No read ever touches memory outside [p, end). What is read for each packet stands here, so
 * that it costs no call.
 */
#ifndef GH_WIRE_RD_H
#define GH_WIRE_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_rd {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct gh_rd gh_rd_make(const void *data, size_t len)
{
    const uint8_t *p = (const uint8_t *)data;

    return (struct gh_rd){.p = p, .end = len > 0 ? p + len : p}; /* no octets may be NULL */
}

static inline size_t gh_rd_left(const struct gh_rd *r)
{
    return (size_t)(r->end - r->p);
}

/* A view of the next n octets, or NULL (then bad is set; n == 0 gives a valid empty view). */
static inline const uint8_t *gh_rd_bytes(struct gh_rd *r, size_t n)
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

/* A number of n octets, at most 8, in network byte order. */
static inline uint64_t gh_rd_number(struct gh_rd *r, size_t n)
{
    const uint8_t *p = gh_rd_bytes(r, n);
    uint64_t v = 0;

    for (size_t i = 0; p != NULL && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static inline uint8_t gh_rd_u8(struct gh_rd *r)
{
    return (uint8_t)gh_rd_number(r, 1);
}

static inline uint16_t gh_rd_u16(struct gh_rd *r)
{
    return (uint16_t)gh_rd_number(r, 2);
}

static inline uint32_t gh_rd_u32(struct gh_rd *r)
{
    return (uint32_t)gh_rd_number(r, 4);
}

static inline uint64_t gh_rd_u64(struct gh_rd *r)
{
    return gh_rd_number(r, 8);
}

static inline void gh_rd_skip(struct gh_rd *r, size_t n)
{
    (void)gh_rd_bytes(r, n);
}

/* True only if nothing went wrong and nothing is left. */
static inline bool gh_rd_done(const struct gh_rd *r)
{
    return !r->bad && r->p == r->end;
}

/* Copies n octets; zeroes `out` on failure. */
void gh_rd_copy(struct gh_rd *r, void *out, size_t n);
/* A child over the next n octets, which the parent steps over. */
struct gh_rd gh_rd_sub(struct gh_rd *r, size_t n);

#endif

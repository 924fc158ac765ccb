/*
 * Bounds-checked writer into the caller's memory: the only way bytes for the wire are built.
 *
 * Failure is sticky: what does not fit, or a value too large for its field, sets `bad` and writes
 * nothing more. Check gh_wr_ok() once at the end. Lengths are filled in later by offset. What is
 * written for each packet stands here, so that it costs no call.
 */
#ifndef GH_WIRE_WR_H
#define GH_WIRE_WR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_wr {
    uint8_t *base;
    size_t len, cap;
    bool bad;
};

static inline struct gh_wr gh_wr_make(void *mem, size_t cap)
{
    return (struct gh_wr){.base = (uint8_t *)mem, .cap = cap};
}

static inline bool gh_wr_ok(const struct gh_wr *w)
{
    return !w->bad;
}

/* The next n octets, which the caller writes. NULL: there is no room. */
static inline uint8_t *gh_wr_room(struct gh_wr *w, size_t n)
{
    uint8_t *p = w->base + w->len;

    if (w->bad || n > w->cap - w->len) {
        w->bad = true;
        return NULL;
    }
    w->len += n;
    return p;
}

/* A number at p, in n octets, at most 8. */
static inline void gh_wr_store(struct gh_wr *w, uint8_t *p, uint64_t v, size_t n)
{
    if (n < 8 && v >> (8 * n) != 0) {
        w->bad = true;
        return;
    }
    for (size_t i = n; i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}

static inline void gh_wr_number(struct gh_wr *w, uint64_t v, size_t n)
{
    uint8_t *p = gh_wr_room(w, n);

    if (p != NULL)
        gh_wr_store(w, p, v, n);
}

static inline void gh_wr_u8(struct gh_wr *w, uint64_t v) /* v > 255 sets bad; likewise below */
{
    gh_wr_number(w, v, 1);
}

static inline void gh_wr_u16(struct gh_wr *w, uint64_t v)
{
    gh_wr_number(w, v, 2);
}

static inline void gh_wr_u32(struct gh_wr *w, uint64_t v)
{
    gh_wr_number(w, v, 4);
}

static inline void gh_wr_u64(struct gh_wr *w, uint64_t v)
{
    gh_wr_number(w, v, 8);
}

void gh_wr_bytes(struct gh_wr *w, const void *data, size_t n);
void gh_wr_zero(struct gh_wr *w, size_t n);
/* Overwrites a field that was written before. */
void gh_wr_put_u8(struct gh_wr *w, size_t offset, uint64_t v);
void gh_wr_put_u16(struct gh_wr *w, size_t offset, uint64_t v);
void gh_wr_put_u32(struct gh_wr *w, size_t offset, uint64_t v);

#endif

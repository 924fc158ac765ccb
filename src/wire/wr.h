/*
 * Bounds-checked writer into the caller's memory: the only way bytes for the wire are built.
 *
 * Failure is sticky: what does not fit, or a value too large for its field, sets `bad` and writes
 * nothing more. Check gh_wr_ok() once at the end. Lengths are filled in later by offset.
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

struct gh_wr gh_wr_make(void *mem, size_t cap);

void gh_wr_u8(struct gh_wr *w, uint64_t v); /* v > 255 sets bad; likewise below */
void gh_wr_u16(struct gh_wr *w, uint64_t v);
void gh_wr_u32(struct gh_wr *w, uint64_t v);
void gh_wr_u64(struct gh_wr *w, uint64_t v);
void gh_wr_bytes(struct gh_wr *w, const void *data, size_t n);
void gh_wr_zero(struct gh_wr *w, size_t n);
/* Overwrites a field that was written before. */
void gh_wr_put_u8(struct gh_wr *w, size_t offset, uint64_t v);
void gh_wr_put_u16(struct gh_wr *w, size_t offset, uint64_t v);
void gh_wr_put_u32(struct gh_wr *w, size_t offset, uint64_t v);
bool gh_wr_ok(const struct gh_wr *w);

#endif

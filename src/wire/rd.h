/*
 * Bounds-checked reader: the only way bytes from outside are parsed.
 *
 * A value on the stack that borrows the bytes. Failure is sticky: a read past the end returns zero,
 * empties the reader and sets `bad`, so that one gh_rd_done() at the close tells whether all was
 * well. No read ever touches memory outside [p, end).
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

struct gh_rd gh_rd_make(const void *data, size_t len);
size_t gh_rd_left(const struct gh_rd *r);

uint8_t gh_rd_u8(struct gh_rd *r);
uint16_t gh_rd_u16(struct gh_rd *r); /* network byte order, here and below */
uint32_t gh_rd_u32(struct gh_rd *r);
uint64_t gh_rd_u64(struct gh_rd *r);
/* A view of the next n octets, or NULL (then bad is set; n == 0 gives a valid empty view). */
const uint8_t *gh_rd_bytes(struct gh_rd *r, size_t n);
/* Copies n octets; zeroes `out` on failure. */
void gh_rd_copy(struct gh_rd *r, void *out, size_t n);
void gh_rd_skip(struct gh_rd *r, size_t n);
/* A child over the next n octets, which the parent steps over. */
struct gh_rd gh_rd_sub(struct gh_rd *r, size_t n);
/* True only if nothing went wrong and nothing is left. */
bool gh_rd_done(const struct gh_rd *r);

#endif

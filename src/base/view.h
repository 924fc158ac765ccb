/*
 * A view: somebody else's octets, borrowed. Whoever holds one must not outlive the owner, and may
 * not write. Zero-initialised is empty and valid; an empty view may have a NULL pointer.
 */
#ifndef GH_BASE_VIEW_H
#define GH_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gh_view {
    const uint8_t *p;
    size_t len;
};

static inline struct gh_view gh_view_of(const void *octets, size_t len)
{
    return (struct gh_view){octets, len};
}

/* Not for secrets and MACs: those are compared by gh_ct_equal(). */
static inline bool gh_view_equal(struct gh_view a, struct gh_view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

#endif

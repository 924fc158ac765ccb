/*
 * A range of addresses as prefixes: what IKE's selectors are, and what kernels take. Pure.
 */
#ifndef GH_BASE_RANGE_H
#define GH_BASE_RANGE_H

#include <stddef.h>

#include "base/addr.h"

enum { GH_RANGE_PREFIXES = 254 }; /* of the worst range, from ::1 to the last address but one */

/* The fewest that are the range together, in order. 0: it is none, or of two IP versions. */
size_t gh_range_prefixes(const struct gh_addr *start, const struct gh_addr *end,
                         struct gh_prefix out[GH_RANGE_PREFIXES]);

#endif

/*
 * Entries of the SPD beside children (`ipsec-policy`) as rules of nftables, in the table of
 * unprotected.h: what comes in clear and may, what is discarded either way, and how much that was.
 *
 * What goes into a tunnel device is the IPsec engine's to judge; the rules are for all else that is
 * forwarded or sent. Pure.
 */
#ifndef GH_PLATFORM_CLEAR_ENTRIES_H
#define GH_PLATFORM_CLEAR_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ipsec/selector.h"

struct gh_clear_entry {
    const char *name;
    bool discard; /* else bypass */
    bool out, in;
    bool after; /* the tunnels' own */
    const struct ipsec_selector *selectors;
    size_t selector_count;
};

enum { GH_CLEAR_COUNTER = 24 };
/* The name of the counter of an entry's one direction. */
const char *gh_clear_counter(const char *entry, enum ipsec_way way, char out[GH_CLEAR_COUNTER]);

/* Chains entries_in, entries_in_after, and, if there is something for them, hooks of what is
 * forwarded and sent; a whole text for `nft -f`. */
void gh_clear_entries_put(FILE *out, const struct gh_clear_entry *list, size_t count);

#endif

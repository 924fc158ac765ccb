/*
 * Entries of the SPD beside children (`ipsec-policy`) as rules of nftables, in the table of
 * unprotected.h: what comes in clear and may, what is discarded either way, and how much that was.
 *
 * What goes into a tunnel device is the IPsec engine's to judge; the rules are for all else that is
 * forwarded or sent. In a VRF the hooks of what is delivered and forwarded judge, for there a
 * packet has the VRF's device; what this host itself sends in one has it only before a way is
 * chosen, so that entries after children's cannot be asked. Pure.
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

struct gh_unprotected_range;

/* A place of a namespace: what is outside of its VRFs, or one of these. */
struct gh_clear_place {
    const char *vrf;                                  /* NULL: outside */
    const struct gh_unprotected_range *ours, *theirs; /* of children: at this side, at the other */
    size_t our_count, their_count;
    const char *const *devices; /* of tunnels, by their names; outside of VRFs */
    size_t device_count;
    const char (*members)[16]; /* of VRFs: they are not outside of them */
    size_t member_count;
    const struct gh_clear_entry *entries;
    size_t entry_count;
};

enum { GH_CLEAR_COUNTER = 24, GH_CLEAR_PREFIX = 16 };
/* A name for nftables of something that may have any. */
const char *gh_clear_name(const char *of, const char *what, char out[GH_CLEAR_COUNTER]);
/* The name of the counter of an entry's one direction. */
const char *gh_clear_counter(const char *entry, enum ipsec_way way, char out[GH_CLEAR_COUNTER]);

/* What names of a place's chains and sets begin with; n: which of its namespace's it is. */
const char *gh_clear_prefix(const struct gh_clear_place *place, size_t n,
                            char out[GH_CLEAR_PREFIX]);

/* Chains entries_in and entries_in_after of each place, and, if there is something for them, hooks
 * of what is forwarded and sent; a whole text for `nft -f`. */
void gh_clear_entries_put(FILE *out, const struct gh_clear_place *places, size_t count);

#endif

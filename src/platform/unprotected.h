/*
 * What comes in clear although it should have come through a tunnel: dropped, and counted, by a
 * table of nftables of its own (`inet gatehouse-ipsec`).
 *
 * That is what comes by another interface than a tunnel's device, from where the way back leads
 * into such a device, to what a tunnel protects on our side. While no device is there, the way back
 * leads nowhere: then it is what a tunnel has at the other side. Routes say where from, so there is
 * nothing to change when they do. What carries a tunnel or keys it, and neighbour discovery,
 * passes. What comes into a VRF is judged where it is the VRF's: after addresses were translated,
 * and where it is delivered or forwarded. Entries of the SPD that let something pass, or discard
 * it, are in the table too (clear_entries.h).
 */
#ifndef GH_PLATFORM_UNPROTECTED_H
#define GH_PLATFORM_UNPROTECTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "platform/clear_entries.h"
#include "platform/rules.h"

/* Addresses that are protected, from first to last. */
struct gh_unprotected_range {
    struct gh_addr first, last;
};

/* Makes the table, or changes it, for the places of a namespace; what was counted stays. False:
 * nothing changed, and why. VRFs want nftables 0.9.5 and Linux 5.19. */
bool gh_unprotected_install(const char *netns, const struct gh_clear_place *places, size_t count,
                            char said[GH_RULES_SAID]);
/* Takes it away, if it is there. */
bool gh_unprotected_remove(const char *netns, char said[GH_RULES_SAID]);

enum { GH_UNPROTECTED_JSON = 128 * 1024 };
/* What all counters of the table have, as nft says it in JSON. */
bool gh_unprotected_read(const char *netns, char json[GH_UNPROTECTED_JSON]);

/* Does this kernel look for ways back in VRFs? Else nothing is dropped there. */
bool gh_unprotected_knows_vrfs(void);

/* The name of the counter of what was dropped outside of VRFs (NULL), or in one. */
const char *gh_unprotected_counter(const char *vrf, char out[GH_CLEAR_COUNTER]);

/* Pure, for tests: to be freed. NULL: no memory. */
char *gh_unprotected_text(const struct gh_clear_place *places, size_t count);

#endif

/*
 * Entries of the security policy database beside those of children: `ipsec-policy NAME { … }`. What
 * one of them is for passes in clear (bypass), or not at all (discard).
 *
 * All of a VRF, or of what is outside of a namespace's VRFs, are one list with the children there:
 * those `before` them in the order of the file, then all children, then those `after`. The first
 * that matches counts.
 */
#ifndef GH_CONFIG_SPD_H
#define GH_CONFIG_SPD_H

#include "config/octets.h"
#include "ike/ts.h"

enum { GH_SPD_ENTRIES = 256 };

struct gh_spd_entry {
    char *name;    /* owned */
    uint16_t zone; /* the namespace and VRF of what is protected, as struct ike2_policy has it */
    bool discard;  /* else bypass */
    bool out, in;  /* one of them, or both */
    bool after;
    struct ike_ts_list local, remote;
    int line; /* of the parent's value alone */
};

void gh_spd_put(struct gh_wr *w, const struct gh_spd_entry *list, size_t count);
/* Sticky, as octets.h; zones: how many there are. *list is to be freed either way. */
void gh_spd_get(struct gh_rd *r, size_t zones, struct gh_spd_entry **list, size_t *count);
/* Who carries children of a namespace and VRF: our process, the kernel, or both. */
struct gh_ike_config;
void gh_spd_planes(const struct gh_ike_config *c, uint16_t zone, bool *user, bool *kernel);
void gh_spd_free(struct gh_spd_entry *list, size_t count);

#endif

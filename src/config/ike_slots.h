/*
 * Which slot of its tunnel group each peer is in, and so which process carries its packets.
 *
 * What the kernel could not tell apart is in one slot: peers that share addresses of the other
 * side, for one route leads to each, and peers with one gateway, for their datagrams may come as
 * one train. The rest is spread: where fewest are. Who is somewhere stays there. What the kernel's
 * own plane carries and what protects a tunnel is in slot 0, which alone has to do with those.
 *
 * Peers that are for many clients have all slots of their group, and each client gets one of them
 * (daemon/ike_spread.h), if its networks tell it from the others: each has reverse routes, none may
 * overlap another's, and none may be everything, to which no reverse route leads. Pure.
 */
#ifndef GH_CONFIG_IKE_SLOTS_H
#define GH_CONFIG_IKE_SLOTS_H

#include "config/config.h"
#include "config/ike.h"

/* Writes the slots of next's children. current: the configuration in force, or NULL. False: *a and
 * *b, policies of different groups, belong together. */
bool gh_ike_assign_slots(struct gh_ike_config *next, const struct gh_ike_config *current, size_t *a,
                         size_t *b);

/* What cannot change while processes carry packets, as errors: the slots of the groups, and the
 * group of a peer that is not down in the configuration in force (features N33, N34). What was
 * counted from processors stays as it was counted. */
void gh_ike_keep_slots(struct gh_ike_config *next, const struct gh_ike_config *current,
                       const char *path, struct gh_problems *problems);

/* Why all clients of a policy are in one slot, although its group has several. NULL: they are not,
 * or it is not for many, or it is as it must be. */
const char *gh_ike_why_together(const struct gh_ike_config *c, size_t at, const char **remedy);

/* The slot of a policy, or the first of several: of all its children the same. */
static inline uint8_t gh_ike_slot(const struct ike2_policy *p)
{
    return p->child_count > 0 ? p->children[0].slot : 0;
}

/* Has each client of it a slot of its own? */
static inline bool gh_ike_is_spread(const struct ike2_policy *p)
{
    return p->child_count > 0 && p->children[0].last_slot > p->children[0].slot;
}

/* Does this slot carry it, or some of its clients? */
static inline bool gh_ike_is_in_slot(const struct ike2_policy *p, unsigned slot)
{
    return slot >= gh_ike_slot(p) &&
           slot <= (gh_ike_is_spread(p) ? p->children[0].last_slot : gh_ike_slot(p));
}

/* Does it have children of ESP or AH? */
bool gh_ike_has_ipsec(const struct ike2_policy *p);

#endif

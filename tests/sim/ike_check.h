/*
 * What must hold of IKEv2 cores at any moment, and of both ends when all is quiet. The one user of
 * the core's inside beside the core itself.
 */
#ifndef IKE_CHECK_H
#define IKE_CHECK_H

#include "ike_world.h"

/*
 * For ike_world's `after`. Of the host: every SA has a deadline that is in the heap, half-open ones
 * expire, Message IDs and windows, tasks and memory are bounded, children are those that were
 * installed. Of host and peer: SPIs, keys and suites are the same, Message IDs are in step and
 * never go back. A host with many SAs is looked at less often.
 */
void ike_check_step(struct ike_world *w, struct ike_host *h);
/* The same without the peer, who may say what it wants. */
void ike_check_alone(struct ike_world *w, struct ike_host *h);
/* A Child SA went: is there a cause? Called by the world while the core is at it. */
void ike_check_removal(struct ike_host *h, const struct world_child *c, enum ike2_removal why);

/* Runs until no exchange is under way anywhere. False: not within that time. */
bool ike_check_settle(struct ike_world *w, uint64_t ms);
/* When all is quiet: every SA and Child SA is at both ends, with the same keys. NULL, or what is
 * wrong. */
const char *ike_check_agreement(struct ike_world *w);
/* Child SAs of host i by this policy of it. */
size_t ike_check_children(const struct ike_host *h, const struct ike2_policy *p,
                          const struct ike2_child_policy *child);

/* Whether a datagram ends an exchange: asked before and after it is given to the core. */
struct ike_check_awaited {
    bool awaited;
    uint8_t spi[IKE_SPI_LEN];
    uint32_t id;
};
struct ike_check_awaited ike_check_awaited(const struct ike2 *core, struct gh_view datagram);
bool ike_check_answered(const struct ike2 *core, const struct ike_check_awaited *a);

#endif

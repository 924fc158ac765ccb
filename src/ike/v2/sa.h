/* An IKE SA's life: sa.c and sa_time.c, called by whoever makes, establishes or ends one. */
#ifndef IKE2_SA_H
#define IKE2_SA_H

#include "ike/v2/priv.h"

/* When it ends if no packet comes from now on; 0: never. */
uint64_t ike2_idle_at(const struct ike2 *c, const struct ike2_child *child);

struct ike2_sa *ike2_sa_new(struct ike2 *c, struct ike2_policy *policy, bool initiator,
                            const struct ike2_endpoint *local, const struct ike2_endpoint *remote);
void ike2_sa_free(struct ike2_sa *sa);
/* Ends it without a word on the wire; children go. */
void ike2_sa_die(struct ike2 *c, struct ike2_sa *sa, enum ike2_removal why);
/* Its children go with it. A key of TCP-AO lives on, but when the operator has ended it here
 * (docs/specs/ikev2-tcp-ao.md 11). */
void ike2_children_drop(struct ike2 *c, struct ike2_sa *sa, enum ike2_removal why);
void ike2_set_state(struct ike2 *c, struct ike2_sa *sa, enum ike2_state state);
void ike2_sa_established(struct ike2 *c, struct ike2_sa *sa);
/* Begins another in the place of this one, if that is ours to do. */
bool ike2_reauthenticate(struct ike2 *c, struct ike2_sa *sa);
/* Deletes SAs in whose place this one, just established, was made. */
void ike2_end_reauthenticated(struct ike2 *c, struct ike2_sa *fresh);
void ike2_sa_tick(struct ike2 *c, struct ike2_sa *sa);
uint64_t ike2_sa_due(const struct ike2_sa *sa);
/* False: there are too many half-open ones. The oldest that does not wait for the keeper gives way.
 */
bool ike2_half_open_room(struct ike2 *c);
void ike2_setup_free(struct ike2_setup *s);
/* Tries again what the policy wants to be up, after an SA was lost. */
void ike2_begin_again(struct ike2 *c, struct ike2_policy *policy);
/* Ends it without a word on the wire, and begins again after the pause, which keeps two ends that
 * do not understand each other from a storm. */
void ike2_sa_lost(struct ike2 *c, struct ike2_sa *sa, uint32_t pause_ms);
/* A part of a lifetime before its end, at random: 5 to 15 %. */
uint64_t ike2_soft(struct ike2 *c, uint64_t from, uint32_t seconds);

#endif

/*
 * What is asked for from outside or by a policy (command.c): IKE SAs that begin, Child SAs for the
 * packets that wait.
 */
#ifndef IKE2_COMMAND_H
#define IKE2_COMMAND_H

#include "ike/v2/priv.h"

/* An IKE SA to this gateway of the policy. NULL: no memory, or too many. */
struct ike2_sa *ike2_begin_at(struct ike2 *c, struct ike2_policy *p, const struct gh_addr *gateway);
/* In the place of one that did not get far: the same from its first exchange on. */
void ike2_begin_anew(struct ike2 *c, struct ike2_sa *sa, const char *why);

/* The selectors to ask with. */
void ike2_acquired_selectors(const struct ike2_sa *sa, const struct ike2_task *t,
                             struct ike_ts_list *local, struct ike_ts_list *remote);
/* IKE_AUTH, the current task, makes the first of those; the others follow when the SA is up. */
void ike2_acquired_first(struct ike2_sa *sa);
void ike2_acquired_rest(struct ike2_sa *sa);

#endif

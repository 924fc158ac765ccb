/* Packets that the peer grants no Child SA for (vain.c): asked by command.c, told by create.c. */
#ifndef IKE2_VAIN_H
#define IKE2_VAIN_H

#include "ike/v2/priv.h"

/* It is not long ago that the peer did not grant a Child SA for these. */
bool ike2_asked_in_vain(const struct ike2 *c, const struct ike2_sa *sa,
                        const struct ike2_child_policy *p, const struct ike2_packets *packets);
/* The peer does not grant what the task was for, if it was for certain packets. */
void ike2_ask_no_more(const struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t);
/* What the task has made does not have its packets, and others have all that it has: it may go. */
bool ike2_made_in_vain(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t,
                       const struct ike2_child *fresh);

#endif

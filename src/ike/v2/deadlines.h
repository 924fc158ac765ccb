/* Which SA is next: the heap of deadlines (deadlines.c). Called by whoever changes one. */
#ifndef IKE2_DEADLINES_H
#define IKE2_DEADLINES_H

#include "ike/v2/priv.h"

void ike2_schedule(struct ike2 *c, struct ike2_sa *sa);
void ike2_unschedule(struct ike2 *c, struct ike2_sa *sa);
/* Has a deadline that is neither past nor the one before. */
void ike2_postpone(struct ike2 *c, struct ike2_sa *sa, uint64_t due);

#endif

/*
 * Proposals that are kept for long, as those of a configuration are: the body of an SA payload,
 * which takes some 50 octets, where struct ike_sa with its room for 32 proposals of 64 transforms
 * takes 50,000. They have no SPIs, and are numbered from 1.
 *
 *     struct ike_sa sa;
 *     ike_proposals_get(&policy->proposals, &sa);
 */
#ifndef IKE_PROPOSALS_H
#define IKE_PROPOSALS_H

#include "ike/sa.h"

/* Zero-initialised: none. Not to be copied by assignment: it owns its octets. */
struct ike_proposals {
    uint8_t *octets;
    size_t len;
};

/* In the place of what was there, which stays if it says false: no memory. */
bool ike_proposals_set(struct ike_proposals *p, const struct ike_sa *sa);
bool ike_proposals_copy(struct ike_proposals *to, const struct ike_proposals *from);
void ike_proposals_get(const struct ike_proposals *p, struct ike_sa *out);
/* Of the first; 0 if there is none. */
uint8_t ike_proposals_protocol(const struct ike_proposals *p);
void ike_proposals_clear(struct ike_proposals *p);

#endif

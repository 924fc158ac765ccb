/*
 * Why no proposal was chosen, in words that name what stood in the way at both ends: "no transform
 * in common: KE: ours CURVE25519 ECP256, offered MODP1024". For logs.
 */
#ifndef IKE_MISS_H
#define IKE_MISS_H

#include "ike/proposal.h"

enum { IKE_MISS_TEXT = 300 };

/* `miss` is ike_proposal_choose()'s of the same lists. Cut off where buf ends. */
const char *ike_miss_format(const struct ike_sa *offered, const struct ike_sa *ours,
                            const struct ike_choice_miss *miss, char *buf, size_t len);

#endif

/* What takes the place of SAs: succeed.c, called when a rekeying is done. */
#ifndef IKE2_SUCCEED_H
#define IKE2_SUCCEED_H

#include "ike/v2/priv.h"

/* Another is in the place of this Child SA. Its end is the peer's to ask for; ours if it does not.
 */
void ike2_supersede(struct ike2 *c, struct ike2_child *child);
/* The IKE SA that is to be in the place of `old`, up. spi: both, the initiator's first. NULL: no
 * memory. */
struct ike2_sa *ike2_make_ike(struct ike2 *c, struct ike2_sa *old, bool initiator,
                              const uint8_t *spi[2], const struct ike2_suite *suite,
                              const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                              struct gh_view more);
/* All that hangs on the old IKE SA goes on with the new one. */
void ike2_inherit(struct ike2 *c, struct ike2_sa *old, struct ike2_sa *sa);

#endif

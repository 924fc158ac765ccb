/* Our addresses, and the way from them to a peer: paths.c. */
#ifndef IKE2_PATHS_H
#define IKE2_PATHS_H

#include "ike/v2/priv.h"

/* How long one that begins may take in all. */
uint64_t ike2_begin_ms(const struct ike2_policy *p);
/* Is this an address of ours, there? Yes, if nobody knows. */
bool ike2_path_has(const struct ike2 *c, uint16_t zone, const struct gh_addr *a);
/* From where a peer can be reached at this address of it. */
enum ike2_way ike2_path_from(const struct ike2 *c, const struct ike2_policy *p,
                             const struct gh_addr *remote, struct gh_addr *out);
/* Our addresses beside the one in use that the peer may know; how many. */
size_t ike2_path_others(const struct ike2 *c, const struct ike2_sa *sa,
                        struct gh_addr out[IKE2_ADDRESSES]);
/* One that begins and has no address yet gets one. False: it has to wait. */
bool ike2_path_begin(struct ike2 *c, struct ike2_sa *sa);
/* After a change: one that cannot move may have lost its address. */
void ike2_path_lost(struct ike2 *c, struct ike2_sa *sa);

#endif

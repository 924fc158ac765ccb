/*
 * A peer that authenticates well and says nonsense: single payloads of its messages are omitted,
 * repeated, corrupted, swapped or unknown, and the message is sealed again with the keys of its SA.
 */
#ifndef IKE_MUTATE_H
#define IKE_MUTATE_H

#include "ike_world.h"

/* What becomes of the payloads of a message. */
typedef void ike_change_fn(struct ike_world *w, struct ike_out *o, const struct ike_payloads *in);

/* The datagram with one of its payloads changed, into `out` of `cap` octets. 0: it is not one that
 * can be changed (a fragment, an empty message, of an SA that is gone). */
size_t ike_mutate(struct ike_world *w, const struct ike_host *from, const struct ike2_datagram *d,
                  uint8_t *out, size_t cap);
/* The same, with a change of the test's own. */
size_t ike_change(struct ike_world *w, const struct ike_host *from, const struct ike2_datagram *d,
                  ike_change_fn *change, uint8_t *out, size_t cap);

/* For the world's `meddle`: one datagram of six. */
bool ike_mutate_some(struct ike_world *w, struct ike_host *from, const struct ike2_datagram *d);

#endif

/*
 * AH (RFC 4302), in tunnel and transport mode.
 *
 * Called by the engine in two halves, as ESP is (esp.h). The integrity algorithm sees a copy of the
 * IP header in which what changes on the way is zero, and then the packet itself from the AH on.
 */
#ifndef IPSEC_AH_H
#define IPSEC_AH_H

#include "ipsec/work.h"

enum { IPSEC_AH_FIXED = 12 };

/* Octets of the header that this SA adds: with IV and ICV, padded for its IP version (2.6). */
size_t ipsec_ah_len(const struct ipsec_sa *sa);

/* Needs packet, sa, layout (transport mode), seq and ip_id. */
enum ipsec_result ipsec_ah_wrap(struct ipsec_work *w);
/* After the job: the ICV goes into its place. */
void ipsec_ah_wrapped(struct ipsec_work *w);

/* Needs packet, sa and layout; data_at is where the AH begins. */
enum ipsec_result ipsec_ah_unwrap(struct ipsec_work *w);
enum ipsec_result ipsec_ah_unwrapped(struct ipsec_work *w);

/* For both: in `header`, a copy of the `len` octets in front of the AH, zeroes what is mutable
 * (3.3.3.1, appendix A). False: it cannot be told. */
bool ipsec_ah_zero_mutable(uint8_t *header, size_t len);
/* For both: the job over the packet as it is on the wire, whose AH is at `at`. */
enum ipsec_result ipsec_ah_cover(struct ipsec_work *w, size_t at);

#endif

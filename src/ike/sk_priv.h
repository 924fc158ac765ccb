/*
 * What Encrypted and Encrypted Fragment payloads have in common: for sk.c and fragment.c alone.
 *
 * `prefix` are the octets between the generic header and the IV: none, or fragment number and
 * total.
 */
#ifndef IKE_SK_PRIV_H
#define IKE_SK_PRIV_H

#include "ike/sk.h"

enum { IKE_SKF_PREFIX_LEN = 4 };

size_t ike_envelope_len(const struct gh_cipher *c, size_t prefix_len, size_t inner_len);
/* beside: a payload in clear in front of it, or NULL. */
bool ike_envelope_seal(struct gh_cipher *c, const struct ike_header *h,
                       const struct ike_payload *beside, uint8_t type, uint8_t first,
                       struct gh_view prefix, struct gh_view inner, struct gh_view iv, uint8_t *mem,
                       size_t cap, struct gh_view *datagram);
enum ike_fault ike_envelope_open(struct gh_cipher *c, uint8_t *datagram,
                                 const struct ike_message *m, size_t prefix_len,
                                 struct gh_view *inner);

#endif

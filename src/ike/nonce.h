/* The Nonce payload (RFC 7296 3.9): 16 … 256 octets. */
#ifndef IKE_NONCE_H
#define IKE_NONCE_H

#include "ike/out.h"
#include "ike/payload.h"

enum { IKE_NONCE_MIN = 16, IKE_NONCE_MAX = 256 };

enum ike_fault ike_nonce_parse(struct gh_view body, struct gh_view *out);
void ike_nonce_emit(struct ike_out *o, struct gh_view nonce);

#endif

/* The Vendor ID payload (RFC 7296 3.12): octets that say who one is. */
#ifndef IKE_VENDOR_H
#define IKE_VENDOR_H

#include "ike/out.h"
#include "ike/payload.h"

void ike_vendor_emit(struct ike_out *o, struct gh_view id);
bool ike_has_vendor(const struct ike_payloads *p, struct gh_view id);

#endif

/* The Key Exchange payload (RFC 7296 3.4): a method of transform type 4 and its public value. */
#ifndef IKE_KE_PAYLOAD_H
#define IKE_KE_PAYLOAD_H

#include "ike/out.h"
#include "ike/payload.h"

struct ike_ke {
    uint16_t method; /* IKE_KE_… */
    struct gh_view data;
};

enum ike_fault ike_ke_parse(struct gh_view body, struct ike_ke *out);
void ike_ke_emit(struct ike_out *o, const struct ike_ke *ke);

#endif

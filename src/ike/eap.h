/* The EAP payload (RFC 7296 3.16): one EAP packet, whose inside is not ours. */
#ifndef IKE_EAP_H
#define IKE_EAP_H

#include "ike/out.h"
#include "ike/payload.h"

struct ike_eap {
    uint8_t code; /* IKE_EAP_REQUEST … */
    uint8_t identifier;
    uint8_t type; /* 0 in Success and Failure, which have none */
    struct gh_view packet;
};

/* The packet's own length must be the payload's. */
enum ike_fault ike_eap_parse(struct gh_view body, struct ike_eap *out);
void ike_eap_emit(struct ike_out *o, struct gh_view packet);

#endif

/* The Certificate payload (RFC 7296 3.6): an encoding and its octets. */
#ifndef IKE_CERT_H
#define IKE_CERT_H

#include "ike/out.h"
#include "ike/payload.h"

struct ike_cert {
    uint8_t encoding; /* IKE_CERT_… */
    struct gh_view data;
};

enum ike_fault ike_cert_parse(struct gh_view body, struct ike_cert *out);
void ike_cert_emit(struct ike_out *o, const struct ike_cert *cert);

#endif

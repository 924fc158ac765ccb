/* The Authentication payload (RFC 7296 3.8): a method and its data. */
#ifndef IKE_AUTH_H
#define IKE_AUTH_H

#include "ike/out.h"
#include "ike/payload.h"

struct ike_auth {
    uint8_t method; /* IKE_AUTH_… */
    struct gh_view data;
};

enum ike_fault ike_auth_parse(struct gh_view body, struct ike_auth *out);
void ike_auth_emit(struct ike_out *o, const struct ike_auth *auth);

#endif

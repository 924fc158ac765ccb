/* The Nonce payload: nothing but the nonce. */
#include "ike/nonce.h"

enum ike_fault ike_nonce_parse(struct gh_view body, struct gh_view *out)
{
    if (body.len < IKE_NONCE_MIN || body.len > IKE_NONCE_MAX)
        return IKE_SYNTAX;
    *out = body;
    return IKE_OK;
}

void ike_nonce_emit(struct ike_out *o, struct gh_view nonce)
{
    ike_out_payload(o, IKE_P_NONCE, false, nonce);
}

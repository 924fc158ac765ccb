/* The EAP payload: | code | identifier | length | type and data (Request and Response) … */
#include "ike/eap.h"

#include "wire/rd.h"

enum ike_fault ike_eap_parse(struct gh_view body, struct ike_eap *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct ike_eap eap = {.code = gh_rd_u8(&r), .packet = body};

    eap.identifier = gh_rd_u8(&r);
    if (gh_rd_u16(&r) != body.len || r.bad)
        return IKE_SYNTAX;
    if (eap.code == IKE_EAP_REQUEST || eap.code == IKE_EAP_RESPONSE)
        eap.type = gh_rd_u8(&r);
    else if (eap.code < IKE_EAP_REQUEST || eap.code > IKE_EAP_FAILURE || gh_rd_left(&r) > 0)
        return IKE_SYNTAX;
    if (r.bad)
        return IKE_SYNTAX;
    *out = eap;
    return IKE_OK;
}

void ike_eap_emit(struct ike_out *o, struct gh_view packet)
{
    ike_out_payload(o, IKE_P_EAP, false, packet);
}

/* The Certificate payload: | encoding | data … */
#include "ike/cert.h"

#include "wire/rd.h"

enum ike_fault ike_cert_parse(struct gh_view body, struct ike_cert *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    uint8_t encoding = gh_rd_u8(&r);

    if (r.bad || gh_rd_left(&r) == 0)
        return IKE_SYNTAX;
    *out = (struct ike_cert){encoding, gh_view_of(r.p, gh_rd_left(&r))};
    return IKE_OK;
}

void ike_cert_emit(struct ike_out *o, const struct ike_cert *cert)
{
    ike_out_open(o, IKE_P_CERT, false);
    gh_wr_u8(&o->w, cert->encoding);
    ike_out_view(o, cert->data);
    ike_out_close(o);
}

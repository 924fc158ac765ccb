/* The Authentication payload: | method | reserved, 3 octets | data … */
#include "ike/auth.h"

#include "wire/rd.h"

enum ike_fault ike_auth_parse(struct gh_view body, struct ike_auth *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    uint8_t method = gh_rd_u8(&r);

    gh_rd_skip(&r, 3);
    if (r.bad || gh_rd_left(&r) == 0)
        return IKE_SYNTAX;
    *out = (struct ike_auth){method, gh_view_of(r.p, gh_rd_left(&r))};
    return IKE_OK;
}

void ike_auth_emit(struct ike_out *o, const struct ike_auth *auth)
{
    ike_out_open(o, IKE_P_AUTH, false);
    gh_wr_u8(&o->w, auth->method);
    gh_wr_zero(&o->w, 3);
    ike_out_view(o, auth->data);
    ike_out_close(o);
}

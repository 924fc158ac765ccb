/* The Key Exchange payload: | method | reserved | data … */
#include "ike/ke_payload.h"

#include "wire/rd.h"

enum ike_fault ike_ke_parse(struct gh_view body, struct ike_ke *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    uint16_t method = gh_rd_u16(&r);

    gh_rd_skip(&r, 2);
    if (r.bad || gh_rd_left(&r) == 0)
        return IKE_SYNTAX;
    *out = (struct ike_ke){method, gh_view_of(r.p, gh_rd_left(&r))};
    return IKE_OK;
}

void ike_ke_emit(struct ike_out *o, const struct ike_ke *ke)
{
    ike_out_open(o, IKE_P_KE, false);
    gh_wr_u16(&o->w, ke->method);
    gh_wr_u16(&o->w, 0);
    ike_out_view(o, ke->data);
    ike_out_close(o);
}

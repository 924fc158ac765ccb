/* The Identification payloads: | type | reserved, 3 octets | data … */
#include "ike/id.h"

#include "wire/rd.h"

static bool length_fits(const struct ike_id *id)
{
    switch (id->type) {
    case IKE_ID_IPV4_ADDR:
        return id->data.len == 4;
    case IKE_ID_IPV6_ADDR:
        return id->data.len == 16;
    case IKE_ID_NULL:
        return true; /* what stands there all the same is ignored */
    default:
        return id->data.len > 0;
    }
}

enum ike_fault ike_id_parse(struct gh_view body, struct ike_id *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct ike_id id = {.type = gh_rd_u8(&r)};

    gh_rd_skip(&r, 3);
    id.data = gh_view_of(r.p, gh_rd_left(&r));
    if (r.bad || !length_fits(&id))
        return IKE_SYNTAX;
    *out = id;
    return IKE_OK;
}

void ike_id_emit(struct ike_out *o, uint8_t payload, const struct ike_id *id)
{
    ike_out_open(o, payload, false);
    gh_wr_u8(&o->w, id->type);
    gh_wr_zero(&o->w, 3);
    ike_out_view(o, id->data);
    ike_out_close(o);
}

/*
 * The Configuration payload: | type | reserved, 3 octets | attributes …
 * An attribute: | R, type | length | value …
 */
#include "ike/cp.h"

#include "wire/rd.h"

enum { TYPE_MASK = 0x7fff };

enum ike_fault ike_cp_parse(struct gh_view body, struct ike_cp *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct ike_cp cp = {.type = gh_rd_u8(&r)};

    gh_rd_skip(&r, 3);
    while (gh_rd_left(&r) > 0) {
        uint16_t type = gh_rd_u16(&r) & TYPE_MASK, len = gh_rd_u16(&r);
        const uint8_t *value = gh_rd_bytes(&r, len);

        if (!r.bad && !ike_cp_add(&cp, type, gh_view_of(value, len)))
            return IKE_TOO_MANY;
    }
    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    *out = cp;
    return IKE_OK;
}

void ike_cp_emit(struct ike_out *o, const struct ike_cp *cp)
{
    ike_out_open(o, IKE_P_CP, false);
    gh_wr_u8(&o->w, cp->type);
    gh_wr_zero(&o->w, 3);
    for (size_t i = 0; i < cp->count; i++) {
        gh_wr_u16(&o->w, cp->attribute[i].type);
        gh_wr_u16(&o->w, cp->attribute[i].value.len);
        ike_out_view(o, cp->attribute[i].value);
    }
    ike_out_close(o);
}

const struct ike_cp_attribute *ike_cp_find(const struct ike_cp *cp, uint16_t type, size_t nth)
{
    for (size_t i = 0; i < cp->count; i++)
        if (cp->attribute[i].type == type && nth-- == 0)
            return &cp->attribute[i];
    return NULL;
}

bool ike_cp_add(struct ike_cp *cp, uint16_t type, struct gh_view value)
{
    if (cp->count == IKE_CP_MAX)
        return false;
    cp->attribute[cp->count++] = (struct ike_cp_attribute){type, value};
    return true;
}

/* The Delete payload: | protocol | SPI size | how many | SPIs … */
#include "ike/delete.h"

#include "wire/rd.h"

/* RFC 7296 3.11: an IKE SA has its SPIs in the header, AH and ESP have four octets. */
static bool spi_fits(const struct ike_delete *d)
{
    switch (d->protocol) {
    case IKE_PROTO_IKE:
        return d->spi_len == 0 && d->count == 0;
    case IKE_PROTO_AH:
    case IKE_PROTO_ESP:
        return d->spi_len == 4;
    default:
        return true;
    }
}

enum ike_fault ike_delete_parse(struct gh_view body, struct ike_delete *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct ike_delete d = {.protocol = gh_rd_u8(&r)};

    d.spi_len = gh_rd_u8(&r);
    d.count = gh_rd_u16(&r);
    d.spis = gh_view_of(r.p, gh_rd_left(&r));
    if (r.bad || d.spis.len != (size_t)d.spi_len * d.count || !spi_fits(&d))
        return IKE_SYNTAX;
    *out = d;
    return IKE_OK;
}

void ike_delete_emit(struct ike_out *o, const struct ike_delete *d)
{
    ike_out_open(o, IKE_P_DELETE, false);
    gh_wr_u8(&o->w, d->protocol);
    gh_wr_u8(&o->w, d->spi_len);
    gh_wr_u16(&o->w, d->count);
    ike_out_view(o, d->spis);
    ike_out_close(o);
}

uint32_t ike_delete_spi(const struct ike_delete *d, size_t n)
{
    struct gh_rd r = gh_rd_make(d->spis.p, d->spis.len);

    gh_rd_skip(&r, n * 4);
    return gh_rd_u32(&r);
}

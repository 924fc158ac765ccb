/* The IKE header: 28 octets, all of them fixed fields. */
#include "ike/header.h"

#include "wire/rd.h"

enum { MAJOR_2 = 2 };

enum ike_fault ike_header_parse(struct gh_view datagram, struct ike_header *out)
{
    struct gh_rd r = gh_rd_make(datagram.p, datagram.len);
    struct ike_header h;

    gh_rd_copy(&r, h.spi_i, sizeof(h.spi_i));
    gh_rd_copy(&r, h.spi_r, sizeof(h.spi_r));
    h.next = gh_rd_u8(&r);
    h.version = gh_rd_u8(&r);
    h.exchange = gh_rd_u8(&r);
    h.flags = gh_rd_u8(&r);
    h.id = gh_rd_u32(&r);
    h.length = gh_rd_u32(&r);
    if (r.bad)
        return IKE_NO_IKE;
    *out = h;
    return IKE_OK;
}

enum ike_fault ike_header_check(const struct ike_header *h, size_t datagram_len)
{
    unsigned major = h->version >> 4;

    /* A later version may use the length field for something else. */
    if (major > MAJOR_2)
        return IKE_NEW_VERSION;
    if (h->length != datagram_len)
        return IKE_NO_IKE;
    return major < MAJOR_2 ? IKE_OLD_VERSION : IKE_OK;
}

void ike_header_emit(struct gh_wr *w, const struct ike_header *h)
{
    gh_wr_bytes(w, h->spi_i, sizeof(h->spi_i));
    gh_wr_bytes(w, h->spi_r, sizeof(h->spi_r));
    gh_wr_u8(w, h->next);
    gh_wr_u8(w, h->version);
    gh_wr_u8(w, h->exchange);
    gh_wr_u8(w, h->flags);
    gh_wr_u32(w, h->id);
    gh_wr_u32(w, h->length);
}

/* The Certificate Request payload: | encoding | authorities … */
#include "ike/certreq.h"

#include "wire/rd.h"

static bool has_hashes(uint8_t encoding)
{
    return encoding == IKE_CERT_X509 || encoding == IKE_CERT_HASH_URL ||
           encoding == IKE_CERT_HASH_URL_BUNDLE;
}

enum ike_fault ike_certreq_parse(struct gh_view body, struct ike_certreq *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    uint8_t encoding = gh_rd_u8(&r);

    if (r.bad || (has_hashes(encoding) && gh_rd_left(&r) % IKE_CERTREQ_HASH_LEN != 0))
        return IKE_SYNTAX;
    *out = (struct ike_certreq){encoding, gh_view_of(r.p, gh_rd_left(&r))};
    return IKE_OK;
}

void ike_certreq_emit(struct ike_out *o, const struct ike_certreq *req)
{
    ike_out_open(o, IKE_P_CERTREQ, false);
    gh_wr_u8(&o->w, req->encoding);
    ike_out_view(o, req->authorities);
    ike_out_close(o);
}

bool ike_certreq_asks(const struct ike_certreq *req, const uint8_t hash[IKE_CERTREQ_HASH_LEN])
{
    struct gh_rd r = gh_rd_make(req->authorities.p, req->authorities.len);
    bool asks = req->authorities.len == 0;

    if (!has_hashes(req->encoding))
        return false;
    while (!asks && gh_rd_left(&r) >= IKE_CERTREQ_HASH_LEN)
        asks =
            gh_view_equal(gh_view_of(gh_rd_bytes(&r, IKE_CERTREQ_HASH_LEN), IKE_CERTREQ_HASH_LEN),
                          gh_view_of(hash, IKE_CERTREQ_HASH_LEN));
    return asks;
}

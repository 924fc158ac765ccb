#include "pki/bodies.h"

#include "wire/rd.h"

static struct gh_view rest(struct gh_rd *r)
{
    size_t len = gh_rd_left(r);

    return gh_view_of(gh_rd_bytes(r, len), len);
}

bool gh_cert_body_parse(struct gh_view body, struct gh_cert_body *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct gh_cert_body b = {.encoding = gh_rd_u8(&r), .data = rest(&r)};

    if (!gh_rd_done(&r))
        return false;
    *out = b;
    return true;
}

void gh_cert_body_put(struct gh_wr *w, enum gh_cert_encoding encoding, struct gh_view data)
{
    gh_wr_u8(w, encoding);
    gh_wr_bytes(w, data.p, data.len);
}

bool gh_certreq_body_parse(struct gh_view body, struct gh_certreq_body *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct gh_certreq_body b = {.encoding = gh_rd_u8(&r)};
    struct gh_view data = rest(&r);

    if (!gh_rd_done(&r))
        return false;
    switch (b.encoding) {
    case GH_CERT_X509:
    case GH_CERT_HASH_URL:
    case GH_CERT_HASH_URL_BUNDLE:
        if (data.len % GH_SPKI_HASH != 0)
            return false;
        b.hashes = data.p;
        b.hash_count = data.len / GH_SPKI_HASH;
        break;
    case GH_CERT_RAW_KEY:
        if (data.len != 0)
            return false;
        break;
    default:
        break; /* what its data are is not defined */
    }
    *out = b;
    return true;
}

bool gh_auth_body_parse(struct gh_view body, struct gh_auth_body *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct gh_auth_body b = {.method = gh_rd_u8(&r)};

    gh_rd_skip(&r, 3); /* reserved */
    b.data = rest(&r);
    if (!gh_rd_done(&r))
        return false;
    *out = b;
    return true;
}

void gh_auth_body_put_method(struct gh_wr *w, uint8_t method)
{
    gh_wr_u8(w, method);
    gh_wr_zero(w, 3);
}

/* ---- CERT payloads together ----------------------------------------------------------------- */

static bool take(const struct gh_cert_body *b, struct gh_peer_certs *p, struct gh_pki_error *e)
{
    if (b->encoding == GH_CERT_RAW_KEY) {
        if (p->raw_key != NULL)
            return gh_pki_fail(e, "cert-raw-key", "have the peer send one",
                               "the peer sent more than one raw public key");
        p->raw_key = gh_pubkey_parse(b->data, e);
        return p->raw_key != NULL;
    }
    if (b->encoding != GH_CERT_X509)
        return true;
    if (p->count == GH_PEER_CERTS)
        return gh_pki_fail(e, "cert-too-many", "have the peer send its own chain alone",
                           "the peer sent more than %d certificates", (int)GH_PEER_CERTS);
    p->certs[p->count] = gh_cert_parse(b->data, e);
    if (p->certs[p->count] == NULL)
        return false;
    p->count++;
    return true;
}

bool gh_peer_certs_take(const struct gh_view *bodies, size_t count, struct gh_peer_certs *out,
                        struct gh_pki_error *e)
{
    struct gh_peer_certs p = {.count = 0};
    struct gh_cert_body b;
    bool good = true;

    for (size_t i = 0; good && i < count; i++) {
        if (gh_cert_body_parse(bodies[i], &b))
            good = take(&b, &p, e);
        else
            good = gh_pki_fail(e, "cert-format", "look at the peer's implementation",
                               "the peer sent an empty CERT payload");
    }
    if (good && p.raw_key != NULL && p.count > 0)
        good = gh_pki_fail(e, "cert-raw-key", "have the peer send one or the other",
                           "the peer sent a raw public key and certificates: which signed is "
                           "unknown");
    if (good)
        *out = p;
    else
        gh_peer_certs_clear(&p);
    return good;
}

void gh_peer_certs_clear(struct gh_peer_certs *p)
{
    for (size_t i = 0; i < p->count; i++)
        gh_cert_free(p->certs[i]);
    gh_pubkey_free(p->raw_key);
    *p = (struct gh_peer_certs){.count = 0};
}

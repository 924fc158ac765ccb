/*
 * The Certificate Request payload (RFC 7296 3.7): for X.509 a list of SHA-1 hashes of the trust
 * anchors' SubjectPublicKeyInfo.
 */
#ifndef IKE_CERTREQ_H
#define IKE_CERTREQ_H

#include "ike/out.h"
#include "ike/payload.h"

enum { IKE_CERTREQ_HASH_LEN = 20 };

struct ike_certreq {
    uint8_t encoding;           /* IKE_CERT_… */
    struct gh_view authorities; /* empty: any */
};

/* For X.509 and hash-and-URL a length that is no multiple of 20 is IKE_SYNTAX. */
enum ike_fault ike_certreq_parse(struct gh_view body, struct ike_certreq *out);
void ike_certreq_emit(struct ike_out *o, const struct ike_certreq *req);
/* Whether it names this authority, or any. Only for the encodings with hashes. */
bool ike_certreq_asks(const struct ike_certreq *req, const uint8_t hash[IKE_CERTREQ_HASH_LEN]);

#endif

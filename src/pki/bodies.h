/*
 * The bodies (after the generic header) of CERT, CERTREQ and AUTH payloads: RFC 7296 3.6 to 3.8.
 *
 * Views into the message; nothing is copied or allocated but by gh_peer_certs_take().
 */
#ifndef GH_PKI_BODIES_H
#define GH_PKI_BODIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"
#include "pki/cert.h"
#include "pki/pubkey.h"
#include "pki/trust.h"
#include "wire/wr.h"

enum gh_cert_encoding {
    GH_CERT_PKCS7 = 1,
    GH_CERT_X509 = 4, /* X.509 Certificate - Signature */
    GH_CERT_CRL = 7,
    GH_CERT_HASH_URL = 12,
    GH_CERT_HASH_URL_BUNDLE = 13,
    GH_CERT_OCSP = 14,
    GH_CERT_RAW_KEY = 15 /* RFC 7670 */
};

struct gh_cert_body {
    uint8_t encoding;
    struct gh_view data;
};
bool gh_cert_body_parse(struct gh_view body, struct gh_cert_body *out);
void gh_cert_body_put(struct gh_wr *w, enum gh_cert_encoding encoding, struct gh_view data);

/* hashes: hash_count times GH_SPKI_HASH octets. False for X.509 encodings whose data are no
 * multiple of that, and for a raw key's that are not empty. */
struct gh_certreq_body {
    uint8_t encoding;
    const uint8_t *hashes;
    size_t hash_count;
};
bool gh_certreq_body_parse(struct gh_view body, struct gh_certreq_body *out);

struct gh_auth_body {
    uint8_t method;
    struct gh_view data;
};
bool gh_auth_body_parse(struct gh_view body, struct gh_auth_body *out);
/* Writes the 4 octets before the data. */
void gh_auth_body_put_method(struct gh_wr *w, uint8_t method);

/* What a peer's CERT payloads brought. Zero-initialised is empty. */
struct gh_peer_certs {
    struct gh_cert *certs[GH_PEER_CERTS]; /* as they came: the first signed AUTH */
    size_t count;
    struct gh_pubkey *raw_key; /* or NULL */
};
/* From all CERT bodies in order. Encodings that we do not read are stepped over; a malformed
 * certificate, too many, or a raw key beside certificates is an error. */
bool gh_peer_certs_take(const struct gh_view *bodies, size_t count, struct gh_peer_certs *out,
                        struct gh_pki_error *e);
void gh_peer_certs_clear(struct gh_peer_certs *p);

#endif

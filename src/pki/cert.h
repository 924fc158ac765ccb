/*
 * One X.509 certificate (RFC 5280), parsed once.
 *
 * Profiles, chains and SAs share certificates, so each holder has a reference. Nothing of it
 * changes after the parse.
 */
#ifndef GH_PKI_CERT_H
#define GH_PKI_CERT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"
#include "pki/error.h"
#include "pki/pubkey.h"

enum {
    GH_CERT_DER_MAX = 32768, /* octets: a peer's certificate beyond that is refused unread */
    GH_CERT_FILE_MAX = 32    /* certificates in one file */
};

struct gh_cert;

/* DER that fills the view. NULL, and the reason. */
struct gh_cert *gh_cert_parse(struct gh_view der, struct gh_pki_error *e);
struct gh_cert *gh_cert_ref(struct gh_cert *c);
void gh_cert_free(struct gh_cert *c); /* gives a reference back; NULL is fine */

/* All certificates of a file's octets: DER, PEM (other blocks are stepped over), PKCS#7. In the
 * file's order; at most `max`. 0: none, and the reason. */
size_t gh_certs_parse_file(struct gh_view file, struct gh_cert **out, size_t max,
                           struct gh_pki_error *e);

struct gh_view gh_cert_der(const struct gh_cert *c);
struct gh_view gh_cert_subject_der(const struct gh_cert *c); /* as an ID_DER_ASN1_DN */
/* "C=CH, O=Net, CN=gw": what messages call it. */
const char *gh_cert_subject(const struct gh_cert *c);
const char *gh_cert_issuer(const struct gh_cert *c);
const char *gh_cert_serial(const struct gh_cert *c); /* hexadecimal */
int64_t gh_cert_not_before(const struct gh_cert *c); /* seconds since 1970, UTC */
int64_t gh_cert_not_after(const struct gh_cert *c);  /* OpenSSL: no longer valid at that second */
bool gh_cert_is_ca(const struct gh_cert *c);         /* basic constraints say so */
bool gh_cert_is_self_issued(const struct gh_cert *c);
/* NULL: a kind of key that signs nothing in IKE (a CA's may be such). */
const struct gh_pubkey *gh_cert_key(const struct gh_cert *c);
/* SHA-1 of the SubjectPublicKeyInfo: GH_SPKI_HASH octets. */
const uint8_t *gh_cert_spki_hash(const struct gh_cert *c);
bool gh_cert_equal(const struct gh_cert *a, const struct gh_cert *b);

/* That it may sign IKE's AUTH at this time: validity, key usage digitalSignature or nonRepudiation
 * (RFC 4945 5.1.3.2), an extended key usage that covers IKE. It says nothing of who issued it. */
bool gh_cert_may_sign(const struct gh_cert *c, int64_t now, struct gh_pki_error *e);
/* That it may be configured as a CA: version 3, basic constraints CA, if there is a key usage
 * keyCertSign and cRLSign, in validity. */
bool gh_cert_may_issue(const struct gh_cert *c, int64_t now, struct gh_pki_error *e);
/* Inside its validity? The reason names the certificate and the date. */
bool gh_cert_valid_at(const struct gh_cert *c, int64_t now, struct gh_pki_error *e);

#endif

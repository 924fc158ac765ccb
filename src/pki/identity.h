/*
 * IKE identities (RFC 7296 3.5): text of the configuration ↔ ID payload, and whether a certificate
 * has one.
 *
 * A value; it owns its octets.
 */
#ifndef GH_PKI_IDENTITY_H
#define GH_PKI_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/view.h"
#include "pki/cert.h"
#include "pki/error.h"
#include "wire/wr.h"

enum gh_id_type {
    GH_ID_NONE = 0,
    GH_ID_IPV4 = 1,
    GH_ID_FQDN = 2,
    GH_ID_RFC822 = 3,
    GH_ID_IPV6 = 5,
    GH_ID_DN = 9,
    GH_ID_GN = 10,
    GH_ID_KEY_ID = 11,
    GH_ID_NULL = 13
};

enum {
    GH_ID_DATA = 512,                    /* octets: a longer identity is refused */
    GH_ID_BODY = 4 + GH_ID_DATA,         /* of the payload's body */
    GH_ID_TEXT = 16 + 4 * GH_ID_DATA + 1 /* of gh_identity_format()'s longest */
};

/* type NONE: no identity. */
struct gh_identity {
    uint8_t type;
    uint16_t len;
    uint8_t data[GH_ID_DATA];
};

/*
 * Text: an address; a name with "=" in it is a DN ("C=CH, O=Net, CN=gw", most significant first as
 * in the certificate, commas escaped by \); with "@" an RFC 822 address; else an FQDN. The type may
 * be written before it: "ipv4:", "ipv6:", "fqdn:", "email:", "dn:", "key-id:" (text, or 0x and
 * hexadecimal digits), "general-name:0x…", and "null" alone.
 */
bool gh_identity_from_text(const char *text, struct gh_identity *out, struct gh_pki_error *e);
/* Printable whatever the peer sent (\xHH for other octets). FQDN, RFC 822, addresses, key ids and
 * null read back to the same identity; a DN to one that is equal. buf of GH_ID_TEXT is enough. */
const char *gh_identity_format(const struct gh_identity *id, char *buf, size_t size);
const char *gh_id_type_name(uint8_t type);

/* The ID payload's body: type, 3 reserved octets (ignored), data. False: a type that we do not
 * know, or data that are not of it. */
bool gh_identity_parse(struct gh_view body, struct gh_identity *out);
void gh_identity_put(struct gh_wr *w, const struct gh_identity *id);

struct gh_identity gh_identity_of_addr(const struct gh_addr *a);
/* The subject: what we are called when nothing is configured. False: longer than GH_ID_DATA. */
bool gh_identity_of_subject(const struct gh_cert *c, struct gh_identity *out);
/* The first of its alternative names of this type (address, FQDN, RFC 822), for who would rather be
 * called that. */
bool gh_identity_of_alternative(const struct gh_cert *c, enum gh_id_type type,
                                struct gh_identity *out);

/* Domain names without regard to case; the local part of an address with; DNs by RFC 5280 7.1. */
bool gh_identity_equal(const struct gh_identity *a, const struct gh_identity *b);

/* Does the certificate have it: in the subject's alternative names, or as the subject (DN)? No
 * wildcards, and no common name for an FQDN (RFC 4945 3.1). A key id is in no certificate. */
bool gh_identity_in_cert(const struct gh_identity *id, const struct gh_cert *c,
                         struct gh_pki_error *e);

#endif

/*
 * Patterns over identities, for the client database and for policies of peers.
 *
 *     any                  every identity but null
 *     192.0.2.0/24         an IPv4 or IPv6 address in the prefix
 *     ipv4:any, ipv6:any   any address of the family
 *     *.example.net        an FQDN below the domain (not the domain itself)
 *     *@example.net        an RFC 822 address of the domain
 *     gw-*                 an FQDN that begins so; email:, key-id: before it for the others
 *     regex:gw[0-9]+\.net  a POSIX extended regular expression that the identity's text matches
 * from its first to its last octet, without regard to case anything else        that identity, as
 * gh_identity_from_text() reads it
 */
#ifndef GH_PKI_PATTERN_H
#define GH_PKI_PATTERN_H

#include <stdbool.h>

#include "pki/error.h"
#include "pki/identity.h"

enum {
    GH_PATTERN_TEXT = 512,
    GH_REGEX_MAX = 256,        /* octets of an expression */
    GH_REGEX_SUBJECT_MAX = 255 /* of an identity: a longer one matches no expression */
};

struct gh_pattern;

/* NULL, and the reason. Back-references are refused: their cost has no bound. */
struct gh_pattern *gh_pattern_new(const char *text, struct gh_pki_error *e);
void gh_pattern_free(struct gh_pattern *p); /* NULL is fine */
const char *gh_pattern_text(const struct gh_pattern *p);

enum gh_match { GH_MATCH_NO, GH_MATCH_YES, GH_MATCH_FAILED }; /* FAILED: no memory */
enum gh_match gh_pattern_match(const struct gh_pattern *p, const struct gh_identity *id);

#endif

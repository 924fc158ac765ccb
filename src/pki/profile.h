/*
 * A cert-profile: up to eight of our own certificates, each with the name of its key (the keeper
 * has it) and, if wanted, CAs to send with it. The peer's CERTREQ chooses among them.
 *
 * For each entry the compare-chain is the CAs above the certificate, as far as they are known; it
 * may be partial or empty.
 */
#ifndef GH_PKI_PROFILE_H
#define GH_PKI_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"
#include "pki/cert.h"
#include "pki/chain.h"

enum {
    GH_PROFILE_ENTRIES = 8,
    GH_CERTREQ_HASHES = 16, /* that are processed of all CERTREQs together */
    GH_KEY_NAME_MAX = 64
};

struct gh_cert_entry {
    char key_name[GH_KEY_NAME_MAX + 1]; /* the keeper's name of the private key */
    struct gh_cert *cert;
    struct gh_cert *send[GH_CHAIN_CAS]; /* after `cert`, in this order */
    size_t send_count;
    bool pss; /* sign by RSASSA-PSS, not PKCS #1 (RSA keys, digital signature method) */
    struct gh_chain compare; /* [0] is cert */
};

struct gh_cert_profile;

struct gh_cert_profile *gh_cert_profile_new(const char *name);
void gh_cert_profile_free(struct gh_cert_profile *p);

/* Takes references of its own. `known`: all CAs of the configuration, for the compare-chain (the
 * ones to send are known too). */
bool gh_cert_profile_add(struct gh_cert_profile *p, const char *key_name, struct gh_cert *cert,
                         struct gh_cert *const *send, size_t send_count,
                         struct gh_cert *const *known, size_t known_count, bool pss,
                         struct gh_pki_error *e);
size_t gh_cert_profile_count(const struct gh_cert_profile *p);
const struct gh_cert_entry *gh_cert_profile_entry(const struct gh_cert_profile *p, size_t i);

enum gh_choice {
    GH_CHOICE_MATCH, /* the first entry with a CA among the first 16 hashes */
    GH_CHOICE_FIRST, /* nothing matched: the first configured entry */
    GH_CHOICE_BEYOND /* the only match is behind the 16th hash: authentication fails */
};

/* certreqs: the bodies of the peer's CERTREQ payloads, none if it sent none. *out is NULL for
 * BEYOND and for an empty profile. */
enum gh_choice gh_cert_profile_choose(const struct gh_cert_profile *p,
                                      const struct gh_view *certreqs, size_t count,
                                      const struct gh_cert_entry **out);
/* The same for what CERTREQ cannot say: does the peer ask for a raw public key? */
bool gh_certreq_wants_raw_key(const struct gh_view *certreqs, size_t count);

#endif

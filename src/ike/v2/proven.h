/*
 * How the two ends of an IKE SA proved who they are, for who looks. proof.c writes it; an IKE SA in
 * another's place has that one's.
 */
#ifndef IKE2_PROVEN_H
#define IKE2_PROVEN_H

#include "ike/v2/policy.h"
#include "pki/cert.h"

struct ike2_proven {
    bool local_known, remote_known; /* false: not yet, or by a ticket (RFC 5723) */
    enum ike2_auth local, remote;
    struct gh_cert *cert, *anchor; /* ours, and the CA that the peer's led to; NULL: none */
};

static inline void ike2_proven_clear(struct ike2_proven *p)
{
    gh_cert_free(p->cert);
    gh_cert_free(p->anchor);
    *p = (struct ike2_proven){.cert = NULL};
}

static inline void ike2_proven_local(struct ike2_proven *p, enum ike2_auth how,
                                     struct gh_cert *cert)
{
    gh_cert_free(p->cert);
    p->local_known = true;
    p->local = how;
    p->cert = cert != NULL ? gh_cert_ref(cert) : NULL;
}

static inline void ike2_proven_remote(struct ike2_proven *p, enum ike2_auth how,
                                      struct gh_cert *anchor)
{
    gh_cert_free(p->anchor);
    p->remote_known = true;
    p->remote = how;
    p->anchor = anchor != NULL ? gh_cert_ref(anchor) : NULL;
}

static inline void ike2_proven_inherit(struct ike2_proven *p, const struct ike2_proven *old)
{
    *p = *old;
    if (p->cert != NULL)
        gh_cert_ref(p->cert);
    if (p->anchor != NULL)
        gh_cert_ref(p->anchor);
}

#endif

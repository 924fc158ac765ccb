#include "pki/chain.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki/pki_priv.h"

void gh_chain_clear(struct gh_chain *c)
{
    for (size_t i = 0; i < c->count; i++)
        gh_cert_free(c->certs[i]);
    *c = (struct gh_chain){.count = 0};
}

bool gh_chain_has(const struct gh_chain *c, const struct gh_cert *cert)
{
    for (size_t i = 0; i < c->count; i++)
        if (gh_cert_equal(c->certs[i], cert))
            return true;
    return false;
}

bool gh_cert_issued_by(const struct gh_cert *c, const struct gh_cert *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
    bool issued = key != NULL && X509_check_issued(issuer->x509, c->x509) == X509_V_OK &&
                  X509_verify(c->x509, key) == 1;

    ERR_clear_error();
    return issued;
}

bool gh_chain_build(struct gh_cert *leaf, struct gh_cert *const *known, size_t count,
                    struct gh_chain *out)
{
    struct gh_cert *top = leaf;

    *out = (struct gh_chain){.certs = {gh_cert_ref(leaf)}, .count = 1};
    while (!gh_cert_issued_by(top, top)) {
        struct gh_cert *issuer = NULL;

        for (size_t i = 0; issuer == NULL && i < count; i++)
            if (!gh_chain_has(out, known[i]) && gh_cert_issued_by(top, known[i]))
                issuer = known[i];
        if (issuer == NULL || out->count == GH_CHAIN_MAX)
            return false;
        out->certs[out->count++] = gh_cert_ref(issuer);
        top = issuer;
    }
    return true;
}

#include "pki/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pki/bodies.h"
#include "pki/pki_priv.h"

struct gh_cert_profile {
    char name[65];
    struct gh_cert_entry entries[GH_PROFILE_ENTRIES];
    size_t count;
};

struct gh_cert_profile *gh_cert_profile_new(const char *name)
{
    struct gh_cert_profile *p = calloc(1, sizeof(*p));

    if (p != NULL)
        snprintf(p->name, sizeof(p->name), "%s", name);
    return p;
}

static void clear_entry(struct gh_cert_entry *entry)
{
    gh_cert_free(entry->cert);
    for (size_t i = 0; i < entry->send_count; i++)
        gh_cert_free(entry->send[i]);
    gh_chain_clear(&entry->compare);
}

void gh_cert_profile_free(struct gh_cert_profile *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++)
        clear_entry(&p->entries[i]);
    free(p);
}

static bool build_compare(struct gh_cert_entry *entry, struct gh_cert *const *known, size_t count,
                          struct gh_pki_error *e)
{
    size_t all = entry->send_count + count;
    struct gh_cert **list = calloc(all + 1, sizeof(struct gh_cert *));

    if (list == NULL)
        return gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
    for (size_t i = 0; i < all; i++)
        list[i] = i < entry->send_count ? entry->send[i] : known[i - entry->send_count];
    gh_chain_build(entry->cert, list, all, &entry->compare);
    free(list);
    return true;
}

bool gh_cert_profile_add(struct gh_cert_profile *p, const char *key_name, struct gh_cert *cert,
                         struct gh_cert *const *send, size_t send_count,
                         struct gh_cert *const *known, size_t known_count, bool pss,
                         struct gh_pki_error *e)
{
    struct gh_cert_entry entry = {.pss = pss};

    if (p->count == GH_PROFILE_ENTRIES)
        return gh_pki_fail(e, "cert-profile", "use a second cert-profile",
                           "cert-profile %s has %d entries already", p->name,
                           (int)GH_PROFILE_ENTRIES);
    if (send_count > GH_CHAIN_CAS)
        return gh_pki_fail(e, "cert-profile", "send fewer: the peer has the root itself",
                           "cert-profile %s: %zu CAs to send with %s, and at most %d are allowed",
                           p->name, send_count, cert->subject, (int)GH_CHAIN_CAS);
    if (key_name[0] == '\0' || strlen(key_name) > GH_KEY_NAME_MAX)
        return gh_pki_fail(e, "cert-profile", "name the key of the certificate",
                           "cert-profile %s: the name of the key of %s has not 1 to %d characters",
                           p->name, cert->subject, (int)GH_KEY_NAME_MAX);
    if (cert->key == NULL)
        return gh_pki_fail(
            e, "cert-key-type",
            "take RSA, ECDSA (P-256, P-384, P-521, Brainpool), Ed25519 or Ed448",
            "cert-profile %s: the key of %s is of a kind that does not sign in IKEv2", p->name,
            cert->subject);
    snprintf(entry.key_name, sizeof(entry.key_name), "%s", key_name);
    entry.cert = gh_cert_ref(cert);
    for (; entry.send_count < send_count; entry.send_count++)
        entry.send[entry.send_count] = gh_cert_ref(send[entry.send_count]);
    if (!build_compare(&entry, known, known_count, e)) {
        clear_entry(&entry);
        return false;
    }
    p->entries[p->count++] = entry;
    return true;
}

size_t gh_cert_profile_count(const struct gh_cert_profile *p)
{
    return p->count;
}

const struct gh_cert_entry *gh_cert_profile_entry(const struct gh_cert_profile *p, size_t i)
{
    return &p->entries[i];
}

/* ---- The choice ----------------------------------------------------------------------------- */

/* The first entry with this CA in its chain; a leaf that signed itself is its own. */
static const struct gh_cert_entry *with_ca(const struct gh_cert_profile *p, size_t entries,
                                           const uint8_t *hash)
{
    for (size_t i = 0; i < entries; i++) {
        const struct gh_chain *chain = &p->entries[i].compare;

        for (size_t j = chain->count > 1 ? 1 : 0; j < chain->count; j++)
            if (memcmp(chain->certs[j]->spki_hash, hash, GH_SPKI_HASH) == 0)
                return &p->entries[i];
    }
    return NULL;
}

enum gh_choice gh_cert_profile_choose(const struct gh_cert_profile *p,
                                      const struct gh_view *certreqs, size_t count,
                                      const struct gh_cert_entry **out)
{
    const struct gh_cert_entry *found = NULL;
    bool beyond = false;
    size_t seen = 0;

    for (size_t i = 0; i < count; i++) {
        struct gh_certreq_body b;

        if (!gh_certreq_body_parse(certreqs[i], &b) || b.encoding != GH_CERT_X509)
            continue;
        for (size_t j = 0; j < b.hash_count; j++, seen++) {
            const uint8_t *hash = b.hashes + j * GH_SPKI_HASH;
            size_t before = found != NULL ? (size_t)(found - p->entries) : p->count;
            const struct gh_cert_entry *entry;

            if (seen < GH_CERTREQ_HASHES) {
                entry = with_ca(p, before, hash);
                found = entry != NULL ? entry : found;
            } else if (found == NULL && with_ca(p, p->count, hash) != NULL) {
                beyond = true;
            }
        }
    }
    *out = found;
    if (found != NULL)
        return GH_CHOICE_MATCH;
    if (beyond)
        return GH_CHOICE_BEYOND;
    *out = p->count > 0 ? &p->entries[0] : NULL;
    return GH_CHOICE_FIRST;
}

bool gh_certreq_wants_raw_key(const struct gh_view *certreqs, size_t count)
{
    struct gh_certreq_body b;

    for (size_t i = 0; i < count; i++)
        if (gh_certreq_body_parse(certreqs[i], &b) && b.encoding == GH_CERT_RAW_KEY)
            return true;
    return false;
}

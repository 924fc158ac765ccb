/*
 * CERT, CERTREQ and AUTH bodies of peers who have proved nothing yet. The first octet says which of
 * them, and which key AUTH is verified with.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pki/auth.h"
#include "pki/bodies.h"
#include "pki/identity.h"
#include "pki/profile.h"
#include "pki/sigalg.h"
#include "pki/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct gh_view id_text = {(const uint8_t *)"\x02\0\0\0gw.example.net", 18};

static void read_certs(struct gh_view in)
{
    static struct gh_trust *trust;
    struct gh_view bodies[GH_PEER_CERTS + 1];
    struct gh_peer_certs p;
    struct gh_pki_error e;
    struct gh_identity id;
    struct gh_chain chain;
    size_t n = 0;

    /* Bodies with their lengths before them. */
    while (n < GH_PEER_CERTS + 1 && in.len >= 2) {
        size_t len = (size_t)in.p[0] << 8 | in.p[1];

        if (len > in.len - 2)
            len = in.len - 2;
        bodies[n++] = gh_view_of(in.p + 2, len);
        in = gh_view_of(in.p + 2 + len, in.len - 2 - len);
    }
    if (!gh_peer_certs_take(bodies, n, &p, &e))
        return;
    if (trust == NULL)
        trust = gh_trust_new("fuzz");
    if (p.count > 0) {
        struct gh_trust *own = gh_trust_new("own");

        if (gh_trust_verify(trust, p.certs, p.count, 2000000000, NULL, &e))
            abort(); /* no anchor, no trust */
        /* With its own last certificate as the anchor, all of the verification runs. */
        if (gh_trust_add(own, p.certs[p.count - 1], &e) &&
            gh_trust_verify(own, p.certs, p.count, gh_cert_not_before(p.certs[0]), &chain, &e))
            gh_chain_clear(&chain);
        gh_trust_free(own);
        if (gh_identity_parse(id_text, &id))
            (void)gh_identity_in_cert(&id, p.certs[0], &e);
        if (gh_identity_of_subject(p.certs[0], &id) && !gh_identity_in_cert(&id, p.certs[0], &e))
            abort();
    }
    gh_peer_certs_clear(&p);
}

static void read_certreq(struct gh_view in)
{
    static struct gh_cert_profile *profile;
    const struct gh_cert_entry *entry;
    struct gh_certreq_body b;

    if (profile == NULL)
        profile = gh_cert_profile_new("fuzz");
    if (gh_certreq_body_parse(in, &b) && b.hash_count > 0 &&
        (b.hashes < in.p || b.hashes + b.hash_count * GH_SPKI_HASH > in.p + in.len))
        abort();
    (void)gh_cert_profile_choose(profile, &in, 1, &entry);
    (void)gh_certreq_wants_raw_key(&in, 1);
}

static void read_auth(struct gh_view in, unsigned which)
{
    static const uint8_t spki[2][91] = {
        {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0x19, 0xbf, 0x44,
         0x09, 0x69, 0x84, 0xcd, 0xfe, 0x85, 0x41, 0xba, 0xc1, 0x67, 0xdc, 0x3b, 0x96, 0xc8, 0x50,
         0x86, 0xaa, 0x30, 0xb6, 0xb6, 0xcb, 0x0c, 0x5c, 0x38, 0xad, 0x70, 0x31, 0x66, 0xe1},
        {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
         0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
         0x04, 0xcb, 0x28, 0xe0, 0x99, 0x9b, 0x9c, 0x77, 0x15, 0xfd, 0x0a, 0x80, 0xd8,
         0xe4, 0x7a, 0x77, 0x07, 0x97, 0x16, 0xcb, 0xbf, 0x91, 0x7d, 0xd7, 0x2e, 0x97,
         0x56, 0x6e, 0xa1, 0xc0, 0x66, 0x95, 0x7c, 0x2b, 0x57, 0xc0, 0x23, 0x5f, 0xb7,
         0x48, 0x97, 0x68, 0xd0, 0x58, 0xff, 0x49, 0x11, 0xc2, 0x0f, 0xdb, 0xe7, 0x1e,
         0x36, 0x99, 0xd9, 0x13, 0x39, 0xaf, 0xbb, 0x90, 0x3e, 0xe1, 0x72, 0x55, 0xdc}};
    static const size_t lens[2] = {44, 91};
    static struct gh_pubkey *keys[2];
    const struct gh_auth_accept all = {
        .methods = GH_AUTH_SIGNATURES, .hashes = 0x3e, .rsa_hashes = 0x3e};
    struct gh_pki_error e;
    struct gh_sigalg a;

    if (keys[which] == NULL)
        keys[which] = gh_pubkey_parse(gh_view_of(spki[which], lens[which]), NULL);
    if (gh_auth_verify(keys[which], &all, in, gh_view_of("octets that nobody signed", 25), &e))
        abort();
    (void)gh_sigalg_parse(in, &a);
    (void)gh_auth_equal(in, GH_AUTH_PSK, gh_view_of("0123456789abcdef", 16));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_view in;

    if (size < 1)
        return 0;
    in = gh_view_of(data + 1, size - 1);
    if (data[0] % 4 == 0)
        read_certs(in);
    else if (data[0] % 4 == 1)
        read_certreq(in);
    else
        read_auth(in, data[0] % 2);
    return 0;
}

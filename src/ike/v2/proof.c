/*
 * Who we are and who the peer is (RFC 7296 2.15): identities, certificates, AUTH. Secrets are the
 * keeper's: it is asked, and answers later.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/cert.h"
#include "ike/v2/core_priv.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/keys.h"
#include "ike/v2/ppk.h"
#include "ike/v2/priv.h"
#include "ike/v2/proof.h"
#include "pki/bodies.h"
#include "wire/rd.h"

enum { CERTREQS_MAX = IKE_PAYLOADS_MAX };

/* ---- Signed octets -------------------------------------------------------------------------- */

bool ike2_signed_octets(const struct ike2_sa *sa, bool initiator, struct gh_view id_body,
                        struct gh_secret *out)
{
    const struct ike2_setup *s = sa->setup;
    const struct gh_secret *message = initiator ? &s->request : &s->response;
    const uint8_t *nonce = initiator ? s->nonce_r : s->nonce_i;
    size_t nonce_len = initiator ? s->nonce_r_len : s->nonce_i_len;
    enum gh_prf_alg prf = (enum gh_prf_alg)sa->suite.prf;
    uint8_t mac[GH_PRF_MAX], int_auth[IKE2_INT_AUTH_MAX];
    size_t len = message->len + nonce_len + gh_prf_len(prf), more = ike2_int_auth_put(sa, int_auth);
    uint8_t *all = malloc(len + more);
    bool good = all != NULL && gh_prf(prf, ike2_sk_p(sa, initiator), &id_body, 1, mac);

    if (good) {
        memcpy(all, message->data, message->len);
        memcpy(all + message->len, nonce, nonce_len);
        memcpy(all + message->len + nonce_len, mac, gh_prf_len(prf));
        memcpy(all + len, int_auth, more);
        good = gh_secret_set(out, all, len + more);
        gh_wipe(all, len + more);
    }
    gh_wipe(mac, sizeof(mac)); /* with our AUTH it would let the pre-shared key be guessed */
    free(all);
    return good;
}

static bool own_octets(const struct ike2_sa *sa, struct gh_secret *out)
{
    uint8_t body[GH_ID_BODY];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_identity_put(&w, sa->local_id);
    return gh_wr_ok(&w) && ike2_signed_octets(sa, sa->initiator, gh_view_of(body, w.len), out);
}

/* ---- CERTREQ and CERT ----------------------------------------------------------------------- */

/* All of them, and some hosts name every CA that they know: which of them count is for who chooses
 * the certificate to say. */
bool ike2_take_certreqs(struct ike2_setup *s, const struct ike_payloads *in)
{
    const struct ike_payload *p;
    size_t size = 0;
    uint8_t *octets;
    struct gh_wr w;
    bool good;

    for (size_t i = 0; (p = ike_find(in, IKE_P_CERTREQ, i)) != NULL; i++)
        size += 2 + p->body.len;
    if (size == 0)
        return true;
    octets = malloc(size);
    if (octets == NULL)
        return false;
    w = gh_wr_make(octets, size);
    for (size_t i = 0; (p = ike_find(in, IKE_P_CERTREQ, i)) != NULL; i++) {
        gh_wr_u16(&w, p->body.len);
        gh_wr_bytes(&w, p->body.p, p->body.len);
    }
    good = gh_wr_ok(&w) && gh_secret_set(&s->certreqs, octets, w.len);
    free(octets);
    return good;
}

static size_t certreqs_of(const struct ike2_setup *s, struct gh_view out[CERTREQS_MAX])
{
    struct gh_rd r = gh_rd_make(s->certreqs.data, s->certreqs.len);
    size_t count = 0;

    while (gh_rd_left(&r) > 0 && count < CERTREQS_MAX) {
        size_t len = gh_rd_u16(&r);

        out[count++] = gh_view_of(gh_rd_bytes(&r, len), len);
    }
    return count;
}

void ike2_put_certreq(struct ike2 *c, const struct ike2_policy *p, struct ike_out *o)
{
    uint8_t body[1 + GH_TRUST_ANCHORS * GH_SPKI_HASH];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if ((p->remote_auths & GH_BIT(IKE2_AUTH_CERT)) && p->trust != NULL) {
        gh_trust_put_certreq(p->trust, &w);
        ike_out_payload(o, IKE_P_CERTREQ, false, gh_view_of(body, w.len));
    }
    if (p->remote_auths & GH_BIT(IKE2_AUTH_RAW_KEY)) {
        body[0] = GH_CERT_RAW_KEY;
        ike_out_payload(o, IKE_P_CERTREQ, false, gh_view_of(body, 1));
    }
}

static void put_cert(struct ike_out *o, uint8_t encoding, struct gh_view data)
{
    ike_cert_emit(o, &(struct ike_cert){.encoding = encoding, .data = data});
}

void ike2_put_certs(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o)
{
    const struct gh_cert_entry *entry = sa->setup->cert;

    if (sa->policy->local_auth == IKE2_AUTH_RAW_KEY)
        put_cert(o, GH_CERT_RAW_KEY, sa->policy->raw_key_spki);
    if (sa->policy->local_auth != IKE2_AUTH_CERT || entry == NULL)
        return;
    put_cert(o, GH_CERT_X509, gh_cert_der(entry->cert));
    for (size_t i = 0; i < entry->send_count; i++)
        put_cert(o, GH_CERT_X509, gh_cert_der(entry->send[i]));
}

/* ---- Our side ------------------------------------------------------------------------------- */

static bool choose_cert(struct ike2_sa *sa, struct gh_pki_error *e)
{
    struct gh_view certreqs[CERTREQS_MAX];
    size_t count = certreqs_of(sa->setup, certreqs);

    if (sa->policy->cert_profile == NULL ||
        gh_cert_profile_choose(sa->policy->cert_profile, certreqs, count, &sa->setup->cert) ==
            GH_CHOICE_BEYOND ||
        sa->setup->cert == NULL)
        return gh_pki_fail(e, "no-certificate", "list the peer's CA among the first 16",
                           "no certificate of ours is one that the peer asks for");
    return true;
}

bool ike2_local_id_is_of_cert(const struct ike2_policy *p)
{
    return p->local_id.type != GH_ID_NONE && p->local_id.type != GH_ID_NULL && p->local_id.len == 0;
}

bool ike2_choose_identity(struct ike2 *c, struct ike2_sa *sa, struct gh_pki_error *e)
{
    const struct ike2_policy *p = sa->policy;

    if (p->local_auth == IKE2_AUTH_CERT && !choose_cert(sa, e))
        return false;
    if (sa->local_id == NULL)
        sa->local_id = calloc(1, sizeof(*sa->local_id));
    if (sa->local_id == NULL)
        return gh_pki_fail(e, "memory", "", "no memory");
    if (ike2_local_id_is_of_cert(p)) {
        if (p->local_auth != IKE2_AUTH_CERT ||
            !gh_identity_of_alternative(sa->setup->cert->cert, (enum gh_id_type)p->local_id.type,
                                        sa->local_id))
            return gh_pki_fail(e, "no-identity", "set local-id to a name",
                               "our certificate has no name of the kind that local-id wants");
    } else if (p->local_id.type != GH_ID_NONE)
        *sa->local_id = p->local_id;
    else if (p->local_auth == IKE2_AUTH_NULL)
        sa->local_id->type = GH_ID_NULL;
    else if (p->local_auth != IKE2_AUTH_CERT ||
             !gh_identity_of_subject(sa->setup->cert->cert, sa->local_id))
        *sa->local_id = gh_identity_of_addr(&sa->local.addr);
    return true;
}

static const char *psk_name(const struct ike2_sa *sa)
{
    return sa->client != NULL && sa->client->gets.psk[0] != '\0' ? sa->client->gets.psk
                                                                 : sa->policy->psk;
}

/* `also`: for a second value in the same answer; may be empty. */
static bool ask_for_psk(struct ike2 *c, struct ike2_sa *sa, enum ike2_job job,
                        struct gh_view octets, struct gh_view also)
{
    const char *name = psk_name(sa);
    struct gh_keeper_request r = {.kind = GH_KEEPER_PSK,
                                  .name = gh_view_of(name, strlen(name)),
                                  .prf = (enum gh_prf_alg)sa->suite.prf,
                                  .octets = octets,
                                  .also = also};

    return ike2_ask(c, sa, job, &r);
}

/* As responder that has a pre-shared key too: our own value with the peer's, by one request. */
static bool ask_for_peer_psk(struct ike2 *c, struct ike2_sa *sa, struct gh_view octets)
{
    struct gh_secret own = {.data = NULL};
    struct gh_pki_error later; /* prove_ourselves() meets it again */
    bool both = !sa->initiator && sa->policy->local_auth == IKE2_AUTH_PSK &&
                ike2_choose_identity(c, sa, &later) && own_octets(sa, &own);
    bool asked =
        ask_for_psk(c, sa, IKE2_JOB_PEER_PSK, octets, both ? ike2_view(&own) : gh_view_of(NULL, 0));

    gh_secret_clear(&own);
    return asked;
}

static bool ask_to_sign(struct ike2 *c, struct ike2_sa *sa, const char *name,
                        const struct gh_pubkey *key, bool pss, struct gh_view octets,
                        struct gh_pki_error *e)
{
    struct gh_keeper_request r = {
        .kind = GH_KEEPER_SIGN, .name = gh_view_of(name, strlen(name)), .octets = octets};

    return gh_auth_choose(gh_pubkey_type(key), gh_pubkey_bits(key), pss, sa->setup->peer_hashes,
                          GH_SIG_DEFAULT | GH_BIT(GH_SIG_SHA1), &r.params, e) &&
           (ike2_ask(c, sa, IKE2_JOB_OWN_AUTH, &r) ||
            gh_pki_fail(e, "keeper", "", "the keeper cannot be asked"));
}

static bool null_auth(const struct ike2_sa *sa, bool initiator, struct gh_view octets,
                      uint8_t out[GH_PRF_MAX])
{
    return gh_auth_psk((enum gh_prf_alg)sa->suite.prf, ike2_sk_p(sa, initiator), octets, out);
}

static bool prove(struct ike2 *c, struct ike2_sa *sa, struct gh_view octets, struct gh_secret *now,
                  struct gh_pki_error *e)
{
    const struct ike2_policy *p = sa->policy;
    uint8_t body[4 + GH_PRF_MAX] = {GH_AUTH_NULL};
    struct gh_pubkey *key;
    bool good;

    switch (p->local_auth) {
    case IKE2_AUTH_PSK:
        return ask_for_psk(c, sa, IKE2_JOB_OWN_AUTH, octets, gh_view_of(NULL, 0)) ||
               gh_pki_fail(e, "keeper", "", "the keeper cannot be asked");
    case IKE2_AUTH_CERT:
        return ask_to_sign(c, sa, sa->setup->cert->key_name, gh_cert_key(sa->setup->cert->cert),
                           sa->setup->cert->pss, octets, e);
    case IKE2_AUTH_RAW_KEY:
        key = gh_pubkey_parse(p->raw_key_spki, e);
        good = key != NULL && ask_to_sign(c, sa, p->raw_key, key, false, octets, e);
        gh_pubkey_free(key);
        return good;
    default:
        return null_auth(sa, sa->initiator, octets, body + 4) &&
               gh_secret_set(now, body, 4 + gh_prf_len((enum gh_prf_alg)sa->suite.prf));
    }
}

bool ike2_prove(struct ike2 *c, struct ike2_sa *sa, struct gh_secret *now, struct gh_pki_error *e)
{
    struct gh_secret octets = {.data = NULL};
    bool good = own_octets(sa, &octets) ? prove(c, sa, ike2_view(&octets), now, e)
                                        : gh_pki_fail(e, "memory", "", "no memory");

    gh_secret_clear(&octets);
    if (good)
        ike2_proven_local(&sa->proven, sa->policy->local_auth,
                          sa->policy->local_auth == IKE2_AUTH_CERT ? sa->setup->cert->cert : NULL);
    return good;
}

/* ---- The peer's side ------------------------------------------------------------------------ */

static bool check_signature(struct ike2 *c, struct ike2_sa *sa, const struct gh_pubkey *key,
                            struct gh_view auth, struct gh_view octets, struct gh_pki_error *e)
{
    const struct gh_auth_accept accept = {
        .methods = GH_AUTH_SIGNATURES,
        .hashes = GH_SIG_DEFAULT,
        .rsa_hashes = GH_SIG_DEFAULT | (sa->setup->peer_hashes == 0 ? GH_BIT(GH_SIG_SHA1) : 0)};

    if (key == NULL)
        return gh_pki_fail(e, "key-kind", "", "its key is of a kind that signs nothing in IKE");
    return gh_auth_verify(key, &accept, auth, octets, e);
}

static bool check_certificate(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                              struct gh_view auth, struct gh_view octets, struct gh_pki_error *e)
{
    const struct ike2_policy *p = sa->policy;
    struct gh_peer_certs peer = {.count = 0};
    struct gh_chain chain = {.count = 0};
    struct gh_view bodies[IKE_PAYLOADS_MAX];
    const struct ike_payload *cert;
    size_t count = 0;
    bool good;

    while ((cert = ike_find(in, IKE_P_CERT, count)) != NULL)
        bodies[count++] = cert->body;
    if (!gh_peer_certs_take(bodies, count, &peer, e))
        return false;
    if (peer.raw_key != NULL) {
        good = (p->remote_auths & GH_BIT(IKE2_AUTH_RAW_KEY)) && p->peer_raw_key != NULL &&
               gh_pubkey_equal(peer.raw_key, p->peer_raw_key);
        good = good ? check_signature(c, sa, p->peer_raw_key, auth, octets, e)
                    : gh_pki_fail(e, "raw-key", "configure the key that the peer shows",
                                  "its raw public key is not the one of the configuration");
    } else if (peer.count == 0) {
        good = (p->remote_auths & GH_BIT(IKE2_AUTH_RAW_KEY)) && p->peer_raw_key != NULL
                   ? check_signature(c, sa, p->peer_raw_key, auth, octets, e)
                   : gh_pki_fail(e, "no-certificate", "let the peer send its certificate",
                                 "the peer signed, but sent no certificate");
    } else if (!(p->remote_auths & GH_BIT(IKE2_AUTH_CERT)) || p->trust == NULL) {
        good = gh_pki_fail(e, "method", "allow certificates for this peer",
                           "the peer has a certificate, which is not allowed for it");
    } else {
        good = gh_trust_verify(p->trust, peer.certs, peer.count, c->now.wall, &chain, e) &&
               (!p->match_id_to_cert || gh_identity_in_cert(sa->remote_id, peer.certs[0], e)) &&
               check_signature(c, sa, gh_cert_key(peer.certs[0]), auth, octets, e);
    }
    if (good)
        ike2_proven_remote(&sa->proven, chain.count > 0 ? IKE2_AUTH_CERT : IKE2_AUTH_RAW_KEY,
                           chain.count > 0 ? chain.certs[chain.count - 1] : NULL);
    gh_chain_clear(&chain);
    gh_peer_certs_clear(&peer);
    return good;
}

static enum ike2_proof check(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                             struct gh_view auth, struct gh_view octets, struct gh_pki_error *e)
{
    const struct ike2_policy *p = sa->policy;
    uint8_t method = auth.p[0], value[GH_PRF_MAX];

    switch (method) {
    case GH_AUTH_PSK:
        if (!(p->remote_auths & GH_BIT(IKE2_AUTH_PSK)))
            break;
        if (ask_for_peer_psk(c, sa, octets))
            return IKE2_PROOF_ASKED;
        gh_pki_fail(e, "keeper", "", "the keeper cannot be asked");
        return IKE2_PROOF_UNSEEN;
    case GH_AUTH_NULL:
        if (!(p->remote_auths & GH_BIT(IKE2_AUTH_NULL)))
            break;
        if (null_auth(sa, !sa->initiator, octets, value) &&
            gh_auth_equal(auth, GH_AUTH_NULL,
                          gh_view_of(value, gh_prf_len((enum gh_prf_alg)sa->suite.prf)))) {
            ike2_proven_remote(&sa->proven, IKE2_AUTH_NULL, NULL);
            return IKE2_PROOF_GOOD;
        }
        gh_pki_fail(e, "auth", "", "its AUTH does not verify");
        return IKE2_PROOF_BAD;
    default:
        if (p->remote_auths & (GH_BIT(IKE2_AUTH_CERT) | GH_BIT(IKE2_AUTH_RAW_KEY)))
            return check_certificate(c, sa, in, auth, octets, e) ? IKE2_PROOF_GOOD : IKE2_PROOF_BAD;
        break;
    }
    gh_pki_fail(e, "method", "configure the same method at both ends",
                "it authenticates by %s, which is not allowed for it",
                gh_auth_method_name(method) != NULL ? gh_auth_method_name(method)
                                                    : "an unknown method");
    return IKE2_PROOF_BAD;
}

enum ike2_proof ike2_check_proof(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                                 struct gh_pki_error *e)
{
    const struct ike_payload *id = ike_find(in, sa->initiator ? IKE_P_IDR : IKE_P_IDI, 0);
    struct gh_secret octets = {.data = NULL};
    enum ike2_proof proof = IKE2_PROOF_UNSEEN;

    if (ike2_signed_octets(sa, !sa->initiator, id->body, &octets))
        proof = check(c, sa, in, ike2_ppk_peer_auth(sa, in), ike2_view(&octets), e);
    else
        gh_pki_fail(e, "memory", "", "no memory");
    gh_secret_clear(&octets);
    return proof;
}

bool ike2_check_psk(struct ike2_sa *sa, const struct ike_payloads *in, struct gh_view value)
{
    if (!gh_auth_equal(ike2_ppk_peer_auth(sa, in), GH_AUTH_PSK, value))
        return false;
    ike2_proven_remote(&sa->proven, IKE2_AUTH_PSK, NULL);
    return true;
}

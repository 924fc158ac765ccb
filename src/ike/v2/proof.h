/* Who we are and who the peer is, in IKE_AUTH (proof.c). */
#ifndef IKE2_PROOF_H
#define IKE2_PROOF_H

#include "ike/v2/priv.h"

/* InitiatorSignedOctets or ResponderSignedOctets; to be cleared. id_body: of the ID payload. */
bool ike2_signed_octets(const struct ike2_sa *sa, bool initiator, struct gh_view id_body,
                        struct gh_secret *out);
/* Our identity is found in the certificate that is chosen, not in the policy. */
bool ike2_local_id_is_of_cert(const struct ike2_policy *p);
bool ike2_choose_identity(struct ike2 *c, struct ike2_sa *sa, struct gh_pki_error *e);
/* Asks the keeper for our AUTH, or has it at once (NULL authentication): `now` is set. */
bool ike2_prove(struct ike2 *c, struct ike2_sa *sa, struct gh_secret *now, struct gh_pki_error *e);
/* UNSEEN: it is our fault that it could not be looked at. */
enum ike2_proof { IKE2_PROOF_GOOD, IKE2_PROOF_ASKED, IKE2_PROOF_BAD, IKE2_PROOF_UNSEEN };
/* The peer's proof in its IKE_AUTH message. */
enum ike2_proof ike2_check_proof(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                                 struct gh_pki_error *e);
bool ike2_check_psk(struct ike2_sa *sa, const struct ike_payloads *in, struct gh_view value);
void ike2_put_certs(struct ike2 *c, struct ike2_sa *sa, struct ike_out *o);
void ike2_put_certreq(struct ike2 *c, const struct ike2_policy *p, struct ike_out *o);
bool ike2_take_certreqs(struct ike2_setup *s, const struct ike_payloads *in);

#endif

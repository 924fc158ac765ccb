/* What the parts of IKE_AUTH share: auth.c, auth_initiator.c, auth_responder.c. */
#ifndef IKE2_AUTH_PARTS_H
#define IKE2_AUTH_PARTS_H

#include "ike/v2/ppk.h"
#include "ike/v2/priv.h"

/* ---- auth.c: both roles --------------------------------------------------------------------- */

/* The peer is not believed, and is told so: AUTHENTICATION_FAILED. remedy: what would be right, may
 * be empty. An initiator's IKE SA is gone then; a responder's stays, to say so again. */
void ike2_auth_refuse(struct ike2 *c, struct ike2_sa *sa, const char *why, const char *remedy);

/* The same where the peer proved that it is not whom we know: counts for its lockout. */
void ike2_auth_disbelieve(struct ike2 *c, struct ike2_sa *sa, const char *why, const char *remedy);

/* Whether it proves nothing (RFC 7619). */
bool ike2_auth_is_anonymous(const struct ike_payloads *in);

/* Takes the peer's identity from the payload of that type (IDi, IDr). */
bool ike2_auth_take_id(struct ike2_sa *sa, const struct ike_payloads *in, uint8_t type);

/* The message, while the keeper is asked; and its payloads once more. False: no memory. */
bool ike2_auth_keep_inner(struct ike2_sa *sa, uint8_t first, struct gh_view octets);
bool ike2_auth_inner_again(const struct ike2_sa *sa, struct ike_payloads *in);

/* AUTH with our proof (of a pre-shared key: its value alone), and our identity. */
void ike2_auth_put(struct ike2_sa *sa, struct ike_out *o, struct gh_view value);
void ike2_auth_put_id(struct ike_out *o, uint8_t payload, const struct gh_identity *id);

/* INITIAL_CONTACT: all others with this peer are of an earlier life of it; but not those that came
 * up since this one began, as where both ends begin at once. Of somebody without a name it says
 * nothing (RFC 7619 2.3). */
void ike2_auth_drop_others(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);

/* Both are believed. */
void ike2_auth_up(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);

/* ---- auth_initiator.c ----------------------------------------------------------------------- */

/* We have nothing to prove ourselves with: the IKE SA is gone. */
void ike2_auth_cannot_begin(struct ike2 *c, struct ike2_sa *sa, const char *why,
                            const char *remedy);

/* The initiator's own proof is there. */
void ike2_auth_have(struct ike2 *c, struct ike2_sa *sa, struct gh_view value);
void ike2_auth_prove_to_responder(struct ike2 *c, struct ike2_sa *sa);

/* The responder's proof is good. */
void ike2_auth_believe_responder(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);

/* ---- auth_responder.c ----------------------------------------------------------------------- */

/* The responder believes, and its own proof is there: the answer. */
void ike2_auth_finish(struct ike2 *c, struct ike2_sa *sa, struct gh_view value);
void ike2_auth_prove_to_initiator(struct ike2 *c, struct ike2_sa *sa);

/* Which PPK is used with the initiator, if any, is known. */
void ike2_auth_ppk_decided(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                           enum ike2_ppk_state state);

#endif

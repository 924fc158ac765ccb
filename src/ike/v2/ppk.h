/* Post-quantum preshared keys (RFC 8784): ppk.c, asked in IKE_SA_INIT and IKE_AUTH. */
#ifndef IKE2_PPK_H
#define IKE2_PPK_H

#include "ike/v2/priv.h"

/* No IKE SA of ours without it. */
bool ike2_ppk_required(const struct ike2_policy *p);
/* USE_PPK in IKE_SA_INIT: the initiator's, the responder's in answer to `m`. */
void ike2_ppk_offer(const struct ike2_policy *p, struct ike_out *o);
void ike2_ppk_answer(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                     struct ike_out *o);
/* As initiator. False: the peer does without, and must not. */
bool ike2_ppk_answered(struct ike2_sa *sa, const struct ike_message *m);
enum ike2_ppk_state {
    IKE2_PPK_NONE,    /* goes on without one */
    IKE2_PPK_ASKED,   /* the keeper is */
    IKE2_PPK_READY,   /* ike2_ppk_swap() puts SK_* in their place */
    IKE2_PPK_UNKNOWN, /* there is no PPK that both have, but must be */
    IKE2_PPK_FAILED   /* no memory, or the keeper cannot */
};
bool ike2_ppk_ask(struct ike2 *c, struct ike2_sa *sa);
/* The keeper's answer. */
enum ike2_ppk_state ike2_ppk_take(struct ike2 *c, struct ike2_sa *sa,
                                  const struct gh_keeper_answer *a);
/* SK_* with the PPK in the place of those without it, or back. */
void ike2_ppk_swap(struct ike2_sa *sa);
/* As initiator: our AUTH is there. True: it is the one for NO_PPK_AUTH, another one is needed. */
bool ike2_ppk_keep_auth(struct ike2_sa *sa, struct gh_view value);
void ike2_ppk_put_identity(const struct ike2_sa *sa, struct ike_out *o);
/* As initiator: the answer with or without PPK_IDENTITY. False: it must be used, but is not. */
bool ike2_ppk_confirm(struct ike2_sa *sa, const struct ike_payloads *in);
/* As responder: what to do with the request, by RFC 8784's table 1. */
enum ike2_ppk_state ike2_ppk_judge(struct ike2 *c, struct ike2_sa *sa,
                                   const struct ike_payloads *in);
/* As responder, the PPK is not known: NO_PPK_AUTH will do (IKE2_PPK_NONE) or not. */
enum ike2_ppk_state ike2_ppk_without(struct ike2_sa *sa, const struct ike_payloads *in);
/* The body of AUTH that is to be verified. */
struct gh_view ike2_ppk_peer_auth(const struct ike2_sa *sa, const struct ike_payloads *in);
void ike2_ppk_clear(struct ike2_ppk *ppk);

#endif

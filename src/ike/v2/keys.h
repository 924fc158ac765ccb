/* SKEYSEED, SK_*, KEYMAT, ciphers and key exchange (keys.c), and the key log (keylog.c). */
#ifndef IKE2_KEYS_H
#define IKE2_KEYS_H

#include "crypto/ke.h"
#include "ike/v2/priv.h"

struct gh_view ike2_sk_d(const struct ike2_sa *sa);
struct gh_view ike2_sk_p(const struct ike2_sa *sa, bool initiator);
bool ike2_derive(struct ike2_sa *sa, const struct gh_secret *shared, struct gh_view ni,
                 struct gh_view nr);
bool ike2_derive_rekeyed(struct ike2_sa *sa, const struct ike2_sa *old,
                         const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                         struct gh_view more); /* SK(1) | … | SK(n) */
bool ike2_derive_resumed(struct ike2_sa *sa, struct gh_view sk_d, struct gh_view ni,
                         struct gh_view nr);
bool ike2_ciphers(struct ike2_sa *sa);      /* made if need be */
void ike2_ciphers_drop(struct ike2_sa *sa); /* an idle SA keeps its keys alone */
bool ike2_keymat(const struct ike2_sa *sa, const struct ike2_suite *child,
                 const struct gh_secret *shared, struct gh_view ni, struct gh_view nr,
                 struct gh_view more, struct gh_secret *i_to_r, struct gh_secret *r_to_i);
bool ike2_suite_of(const struct ike_proposal *p, struct ike2_suite *out);
void ike2_suite_proposal(const struct ike2_suite *s, struct ike_proposal *out);
bool ike2_make_ke(struct ike2 *c, uint16_t group, struct gh_ke **ke);
/* The responder's half. False: the peer's value is refused. */
bool ike2_answer_ke(struct ike2 *c, uint16_t group, struct gh_view peer_public,
                    uint8_t public_value[GH_KE_PUBLIC_MAX], struct gh_secret *shared);

void ike2_log_keys(struct ike2 *c, const struct ike2_sa *sa);

#endif

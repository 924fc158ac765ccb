/* CREATE_CHILD_SA: create.c begins it, create_answer.c answers. */
#ifndef IKE2_CREATE_H
#define IKE2_CREATE_H

#include "ike/v2/priv.h"

struct ike2_pending;

void ike2_create_start(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
void ike2_create_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                          const struct ike_payloads *in, uint8_t first, struct gh_view octets);
/* Our exchange comes to nothing; what the peer made at the same time counts. */
void ike2_create_abandon(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t);
/* The peer began the same as this task of ours, with these nonces (RFC 7296 2.8.1). */
void ike2_note_collision(struct ike2 *c, struct ike2_task *t, struct gh_view ni, struct gh_view nr);

void ike2_create_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);
/* As responder: `p` has all its keys. `o` is the answer to the last exchange. */
void ike2_create_finish(struct ike2 *c, struct ike2_sa *sa, struct ike2_pending *p,
                        struct ike_out *o);

#endif

/*
 * IKE_INTERMEDIATE (RFC 9242): intermediate.c, called between IKE_SA_INIT and IKE_AUTH; what it
 * adds to the octets of AUTH is for proof.c.
 */
#ifndef IKE2_INTERMEDIATE_H
#define IKE2_INTERMEDIATE_H

#include "ike/v2/priv.h"

enum { IKE2_INT_AUTH_MAX = 2 * GH_PRF_MAX + 4 };

void ike2_intermediate_put(struct ike_out *o);
bool ike2_intermediate_heard(const struct ike_message *m);
/* The next additional key exchange before IKE_AUTH; NONE: all are over. */
uint16_t ike2_intermediate_next(const struct ike2_sa *sa);
/* As initiator: the next exchange, or IKE_AUTH. */
void ike2_intermediate_go_on(struct ike2 *c, struct ike2_sa *sa);
void ike2_intermediate_start(struct ike2 *c, struct ike2_sa *sa);
void ike2_intermediate_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                               const struct ike_payloads *in, uint8_t first, struct gh_view inner);
void ike2_intermediate_response(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                                const struct ike_payloads *in, uint8_t first, struct gh_view inner);
/* Takes one message of either side into IntAuth. clear: payloads in front of SK; flags: the second
 * octet of SK's generic header. */
bool ike2_int_auth(struct ike2_sa *sa, bool initiator, const struct ike_header *header,
                   struct gh_view clear, uint8_t flags, uint8_t first, struct gh_view inner);
/* What it adds to the signed octets: so many octets. */
size_t ike2_int_auth_put(const struct ike2_sa *sa, uint8_t out[IKE2_INT_AUTH_MAX]);

#endif

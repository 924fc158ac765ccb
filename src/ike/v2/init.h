/*
 * IKE_SA_INIT: init.c, and what resume.c, whose first exchange is another, has in common with it.
 */
#ifndef IKE2_INIT_H
#define IKE2_INIT_H

#include "ike/v2/priv.h"

void ike2_init_start(struct ike2 *c, struct ike2_sa *sa);
void ike2_init_request(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m);
void ike2_init_response(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                        const struct ike_message *m);

/* An answer in clear to a first request, for which nothing is kept; `puzzle` may be NULL. */
void ike2_answer_plain(struct ike2 *c, const struct ike2_datagram *d, const struct ike_message *m,
                       uint16_t type, struct gh_view data, const struct ike_puzzle *puzzle);
void ike2_put_abilities(struct ike_out *o, const struct ike2_policy *p);
void ike2_take_abilities(struct ike2_sa *sa, const struct ike_message *m);
/* The first exchange is over, keys are there: as initiator IKE_AUTH is next; as responder the SA is
 * linked, and the response goes. */
void ike2_first_answered(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m);
void ike2_first_accepted(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d);
/* NAT detection for the SPIs of a message; `in` of the peer's. */
void ike2_put_nat(struct ike_out *o, const uint8_t *spi_i, const uint8_t *spi_r,
                  const struct ike2_sa *sa);
void ike2_detect_nat(struct ike2_sa *sa, const uint8_t *spi_i, const uint8_t *spi_r,
                     const struct ike_payloads *in);

#endif
